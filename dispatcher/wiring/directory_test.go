package wiring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/redisstore"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// realm is an empty Redis, and directories of as many processes over it as are asked for.
type realm struct {
	db    *redis.Client
	store *redisstore.Store
	name  string
}

func newRealm(t testing.TB) *realm {
	t.Helper()
	own, err := managed.Start(t.Context(), managed.Options{Dir: t.TempDir(), Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := &realm{db: managed.Client(own.Socket())}
	t.Cleanup(func() {
		if err := errors.Join(r.db.Close(), own.Stop(context.WithoutCancel(t.Context()))); err != nil {
			t.Error(err)
		}
	})
	r.renew(t, 0)
	return r
}

// renew makes everything empty.
func (r *realm) renew(t interface{ Fatal(...any) }, n int) {
	r.name = fmt.Sprint("realm", n)
	var err error
	r.store, err = redisstore.New(r.db, redisstore.Options{Realm: r.name, DataKey: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
}

// process is the directory of another process.
func (r *realm) process() *directory {
	return newDirectory(r.store, geofence.DefaultLimits(), zap.NewNop())
}

// keys is every key of the realm with this beginning.
func (r *realm) keys(t interface {
	Context() context.Context
	Fatal(...any)
}, beginning string) []string {
	all, err := r.db.Keys(t.Context(), "{tocsin:"+r.name+"}:"+beginning+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var engineer = dispatcher.Caller{User: "eng", Role: warning.Engineer}

// chunks gives the rows of an import.
func chunks(c geofence.Columns, size int) func() (intake.Rows, error) {
	next, _ := pullChunks(c, size)
	return next
}

func pullChunks(c geofence.Columns, size int) (next func() (intake.Rows, error), given func() int) {
	from := 0
	return func() (intake.Rows, error) {
		if from == c.Len() {
			return intake.Rows{}, io.EOF
		}
		p := c.Slice(from, min(from+size, c.Len()))
		from += p.Len()
		return intake.Rows{Number: p.Number, Lon: p.Lon, Lat: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags}, nil
	}, func() int { return from }
}

func people(t testing.TB, n int, seed uint64) geofence.Columns {
	t.Helper()
	c, err := geofence.Synth(n, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustImport(t testing.TB, d *directory, key string, c geofence.Columns) intake.Imported {
	t.Helper()
	done, err := d.Import(t.Context(), engineer, intake.ImportHead{Key: key}, chunks(c, 1000))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// change carries out one request at once.
func change(ctx context.Context, d *directory, key, why string, changes ...warning.Change) (intake.Changed, error) {
	r := &request{ctx: ctx, caller: engineer, key: key, digest: fmt.Sprint(len(changes), why), changes: changes, why: why, done: make(chan struct{})}
	d.together(ctx, []*request{r})
	return r.answer, r.err
}

func erase(number uint64) warning.Change {
	return warning.Change{Number: number, Deed: warning.DeedErase}
}

// somebody is the n-th person who has an address and is a subscriber.
func somebody(r *geofence.Revision, n int) uint64 {
	for i := range r.Blocks() {
		b := r.Block(i)
		for slot, number := range b.Number {
			if number == 0 || b.Flags[slot] != 0 || b.Duty[slot] != 0 {
				continue
			}
			if n--; n < 0 {
				return number
			}
		}
	}
	return 0
}

func TestChangesReachEveryProcessAndShareTheRest(t *testing.T) {
	r := newRealm(t)
	one, two := r.process(), r.process()
	mustImport(t, one, "i", people(t, 20_000, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var follower sync.WaitGroup
	follower.Go(func() { two.follow(ctx) })
	defer follower.Wait()
	defer cancel()
	until(t, "the import at the other process", func() bool { return two.current() != nil })
	before := two.current()
	gone := somebody(before, 5000)
	done, err := change(t.Context(), one, "c", "asked", erase(gone))
	if err != nil || done.Changed != 1 {
		t.Fatal(done, err)
	}
	until(t, "the change at the other process", func() bool { return two.current().ID() == done.Snapshot })
	after, shared := two.current(), 0
	if _, _, ok := after.Find(gone); ok {
		t.Error("the erased person is still there")
	}
	for i := range after.Blocks() {
		if &after.Block(i).Number[0] == &before.Block(i).Number[0] {
			shared++
		}
	}
	if shared != after.Blocks()-1 {
		t.Errorf("%d of %d blocks are shared", shared, after.Blocks())
	}
	sel, err := two.Withdrawn(t.Context(), before.ID())
	if err != nil || sel.People() != 1 || sel.Snapshot != before.ID() {
		t.Errorf("withdrawn: %d, %v", sel.People(), err)
	}
	old, err := r.process().Snapshot(t.Context(), before.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := old.Find(gone); !ok {
		t.Error("the snapshot of before has changed")
	}
}

func TestRequestsShareASnapshotAndKeepTheirNames(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	mustImport(t, d, "i", people(t, 5000, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { d.carryOut(ctx) })
	defer worker.Wait()
	defer cancel()
	first := d.current()
	const callers = 40
	var all sync.WaitGroup
	made := make([]intake.Changed, callers)
	for i := range callers {
		all.Go(func() {
			var err error
			c := dispatcher.Caller{User: fmt.Sprint("user", i), Role: warning.Engineer}
			changes := []warning.Change{{Number: 1, Deed: warning.DeedUnsubscribe}, {Number: somebody(first, i), Deed: warning.DeedUnsubscribe}}
			if made[i], err = d.Change(ctx, c, "k", changes, ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for i, m := range made {
		ids[m.Snapshot] = true
		if m.Changed != 1 || m.BadChanges != 1 || len(m.Bad) != 1 || m.Bad[0].Row != 0 {
			t.Errorf("caller %d: %+v", i, m)
		}
	}
	if len(ids) > 3 {
		t.Errorf("%d snapshots for %d changes at once", len(ids), callers)
	}
	if got := d.current().Stats().OptedOut - first.Stats().OptedOut; got != callers {
		t.Errorf("%d people are opted out", got)
	}
	entries, err := r.store.Entries(t.Context(), 1, 100)
	if err != nil || len(entries) != 1+callers {
		t.Errorf("%d entries: %v", len(entries), err)
	}
	// One after the other they do not share, but come a while apart.
	began := time.Now()
	for n := range 3 {
		if _, err := d.Change(ctx, engineer, fmt.Sprint("slow", n), []warning.Change{erase(uint64(n) + 1)}, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if time.Since(began) < changeEvery {
		t.Errorf("three snapshots within %s", time.Since(began))
	}
	c := dispatcher.Caller{User: "user3", Role: warning.Engineer}
	again, err := d.Change(ctx, c, "k", []warning.Change{{Number: 1, Deed: warning.DeedUnsubscribe}, {Number: somebody(first, 3), Deed: warning.DeedUnsubscribe}}, "")
	if err != nil || again.Snapshot != made[3].Snapshot {
		t.Errorf("a repeat: %+v, %v", again, err)
	}
	if _, err := d.Change(ctx, c, "k", []warning.Change{{Number: 1, Deed: warning.DeedUnsubscribe}}, ""); warning.ReasonOf(err) != warning.ReasonExists {
		t.Errorf("the same key with other content: %v", err)
	}
	if _, err := change(ctx, r.process(), "n", "", warning.Change{Number: 1, Deed: warning.DeedErase}); err != nil {
		t.Errorf("a process that has not looked yet: %v", err)
	}
	r.renew(t, 1)
	if _, err := change(ctx, r.process(), "k", "", warning.Change{Number: 1, Deed: warning.DeedErase}); warning.ReasonOf(err) != warning.ReasonNotFound {
		t.Errorf("without a directory: %v", err)
	}
}

// TestAnErasedPersonIsNowhere: the number is in no key, value or record of the store, nor in any encoding of it that the
// store could read; an import of a file that still has it leaves it out, until it is put in again.
func TestAnErasedPersonIsNowhere(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	rows := people(t, 3000, 1)
	mustImport(t, d, "i", people(t, 3000, 1))
	number := somebody(d.current(), 100)
	if _, err := change(t.Context(), d, "c", "asked by letter", erase(number)); err != nil {
		t.Fatal(err)
	}
	if err := d.sweep(t.Context(), time.Now().Add(2*retireAfter)); err != nil {
		t.Fatal(err)
	}
	if err := d.sweep(t.Context(), time.Now().Add(3*retireAfter)); err != nil {
		t.Fatal(err)
	}
	if ids, err := r.store.Snapshots(t.Context()); err != nil || len(ids) != 1 {
		t.Fatalf("%d snapshots: %v", len(ids), err)
	}
	for i := range d.current().Blocks() {
		if slices.Contains(d.current().Block(i).Number, number) {
			t.Error("the number is in the newest snapshot")
		}
	}
	text := fmt.Sprint(number)
	for _, k := range r.keys(t, "") {
		dump, err := r.db.Dump(t.Context(), k).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(k+dump, text) {
			t.Errorf("key %s shows the number", k)
		}
	}
	entries, err := r.store.Entries(t.Context(), 2, 1)
	if err != nil || len(entries) != 1 || !strings.Contains(string(entries[0]), "1 people erased: asked by letter") {
		t.Errorf("the record says %q, %v", entries, err)
	}
	again := mustImport(t, d, "again", rows)
	if _, _, in := d.current().Find(number); in || again.People != 2999 {
		t.Errorf("a later import brings the person back: %d people", again.People)
	}
	place := d.current().Block(0)
	put := warning.Change{Number: number, Deed: warning.DeedPut, Lon: &place.Lon[0], Lat: &place.Lat[0]}
	if _, err := change(t.Context(), d, "back", "", put); err != nil {
		t.Fatal(err)
	}
	if list, err := r.store.Table(t.Context(), dispatcher.TableErased); err != nil || len(list) != 0 {
		t.Errorf("%d are listed as erased: %v", len(list), err)
	}
}

// TestOfTwoImportsOneWins: the second is told to wait, whichever process it speaks to, and an import over a directory
// that has changed meanwhile is refused.
func TestOfTwoImportsOneWins(t *testing.T) {
	r := newRealm(t)
	one, two := r.process(), r.process()
	mustImport(t, one, "i", people(t, 3000, 1))
	first := one.current().ID()
	for name, d := range map[string]*directory{"the same process": one, "another process": two} {
		next := chunks(people(t, 3000, 2), 1000)
		asked := false
		_, err := one.Import(t.Context(), engineer, intake.ImportHead{Key: "a" + name}, func() (intake.Rows, error) {
			if !asked {
				asked = true
				_, err := d.Import(t.Context(), engineer, intake.ImportHead{Key: "b" + name}, chunks(people(t, 3000, 3), 1000))
				if warning.ReasonOf(err) != warning.ReasonUnavailable {
					t.Errorf("%s: %v", name, err)
				}
			}
			return next()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if one.current().ID() == first {
		t.Error("the first import was not the one that happened")
	}
	// A broken import goes on after a change.
	broken := errors.New("the stream broke")
	next, given := pullChunks(people(t, 3000, 4), 1000)
	_, err := one.Import(t.Context(), engineer, intake.ImportHead{Key: "long"}, func() (intake.Rows, error) {
		if given() == 2000 {
			return intake.Rows{}, broken
		}
		return next()
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, err := change(t.Context(), two, "c", "", warning.Change{Number: somebody(one.current(), 1), Deed: warning.DeedUnsubscribe}); err != nil {
		t.Fatal(err)
	}
	_, err = one.Import(t.Context(), engineer, intake.ImportHead{Key: "long", Offset: 2000}, next)
	if warning.ReasonOf(err) != warning.ReasonConflict {
		t.Errorf("an import over a change: %v", err)
	}
}

func TestABrokenStreamGoesOn(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	api := pb.NewDirectoryServiceClient(as(t, dir, address, token))
	rows := people(t, 5000, 1)
	send := func(ctx context.Context, offset, from, to int) (pb.DirectoryService_ImportClient, error) {
		stream, err := api.Import(ctx)
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i += 500 {
			p := rows.Slice(i, min(i+500, to))
			m := &pb.ImportRequest{Key: "k", Offset: int64(offset), Total: 5000, Number: p.Number, LonE7: p.Lon, LatE7: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags}
			if err := stream.Send(m); err != nil {
				return stream, err
			}
		}
		return stream, nil
	}
	kept, under := int64(0), false
	state := func() {
		r, err := api.ImportState(t.Context(), &pb.ImportStateRequest{Key: "k"})
		if under = status.Code(err) == codes.Unavailable; err != nil && !under {
			t.Fatal(err)
		}
		kept = r.GetRows()
	}
	// A stream that is broken off before the engine has looked at it leaves nothing; another one does.
	until(t, "rows that are kept", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := send(ctx, 0, 0, 3000); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		until(t, "the import", func() bool { state(); return under })
		cancel()
		until(t, "its end", func() bool { state(); return !under })
		return kept > 0
	})
	if kept > 3000 || kept%500 != 0 {
		t.Fatalf("%d rows are kept", kept)
	}
	wrong, err := send(t.Context(), int(kept)+500, int(kept)+500, 5000)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := wrong.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a gap: %v", err)
	}
	rest, err := send(t.Context(), int(kept), int(kept), 5000)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rest.CloseAndRecv()
	if err != nil || r.GetPeople() != 5000 {
		t.Fatal(r, err)
	}
	whole, _ := geofence.Build(people(t, 5000, 1))
	if want := geofence.NewRevision(whole).ID(); r.GetSnapshot() != want {
		t.Errorf("it is another directory than that of one stream")
	}
	if state(); kept != 0 {
		t.Errorf("%d rows are still kept", kept)
	}
}

// TestOnlyWhatNobodyNeedsIsDropped is the rule of the sweep: after any changes, plans, ends of warnings and sweeps at any
// time, the newest snapshot and all that plans name can be read whole by a process that begins; and when time has passed,
// nothing but these is left in the store.
func TestOnlyWhatNobodyNeedsIsDropped(t *testing.T) {
	r := newRealm(t)
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		r.renew(t, runs)
		d := r.process()
		rows, err := geofence.Synth(2100, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Import(t.Context(), engineer, intake.ImportHead{Key: "i"}, chunks(rows, 2100)); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		plans := map[string]string{} // of warnings that have not ended too long ago: snapshot
		ended := map[string]time.Time{}
		steps := []func(int){
			func(n int) { // a change, back and forth so that blocks come again
				c := warning.Change{Number: somebody(d.current(), rapid.IntRange(0, 3).Draw(t, "who")), Deed: warning.DeedUnsubscribe}
				if rapid.Bool().Draw(t, "back") {
					c.Deed = warning.DeedResubscribe
				}
				if _, err := change(t.Context(), d, fmt.Sprint("c", n), "", c); err != nil {
					t.Fatal(err)
				}
			},
			func(n int) { // a plan over any snapshot that is there
				ids, err := r.store.Snapshots(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				id, snap := fmt.Sprint("w", n), rapid.SampledFrom(ids).Draw(t, "snapshot")
				do(t, r, &warning.Warning{Record: 1, ID: id, Version: 1, State: warning.Released, Digest: id}, 0)
				_, err = r.store.PutPlan(t.Context(), 1, dispatcher.Plan{Warning: id, Version: 1, Snapshot: snap})
				if err == nil {
					plans[id] = snap
				} else if !errors.Is(err, dispatcher.ErrChanged) {
					t.Fatal(err)
				}
			},
			func(int) { // a warning ends
				for _, id := range slices.Sorted(maps.Keys(plans)) {
					if ended[id].IsZero() {
						do(t, r, &warning.Warning{Record: 1, ID: id, Version: 1, State: warning.Cancelled, Digest: id, EndedAt: now}, 1)
						ended[id] = now
						return
					}
				}
			},
			func(int) { // and nobody asks for its strands any more
				for _, id := range slices.Sorted(maps.Keys(ended)) {
					if _, is := plans[id]; is {
						if err := r.store.Archive(t.Context(), id, []byte("report")); err != nil {
							t.Fatal(err)
						}
						delete(plans, id)
						return
					}
				}
			},
			func(int) {
				now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, retireAfter, time.Hour}).Draw(t, "passes"))
			},
			func(int) { sweep(t, d, now) },
			func(int) { sweep(t, d, now) },
		}
		for n := range rapid.IntRange(3, 15).Draw(t, "steps") {
			rapid.SampledFrom(steps).Draw(t, "step")(n)
			readable(t, r, plans)
		}
		for range 3 {
			now = now.Add(2 * retireAfter)
			sweep(t, d, now)
		}
		want := readable(t, r, plans)
		ids, err := r.store.Snapshots(t.Context())
		if err != nil || len(ids) != want.snapshots {
			t.Fatalf("%d snapshots are left, %d are needed: %v", len(ids), want.snapshots, err)
		}
		if got := len(r.keys(t, "blob:")); got != want.blobs {
			t.Fatalf("%d blobs are left, %d are needed", got, want.blobs)
		}
	})
}

func do(t *rapid.T, r *realm, w *warning.Warning, rev uint64) {
	w.Spec.Expires = time.Now().Add(time.Hour)
	if _, err := r.store.Do(t.Context(), dispatcher.Act{Warning: w, Rev: rev, ToPlan: rev == 0}); err != nil {
		t.Fatal(err)
	}
}

func sweep(t *rapid.T, d *directory, now time.Time) {
	if err := d.sweep(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

// readable reads all that is needed as a process that begins, and counts it.
func readable(t *rapid.T, r *realm, plans map[string]string) (need struct{ snapshots, blobs int }) {
	d := r.process()
	newest, err := r.store.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids, blobs := map[string]bool{newest: true}, map[[32]byte]bool{}
	for _, id := range plans {
		ids[id] = true
	}
	for id := range ids {
		if _, err := d.Snapshot(t.Context(), id); err != nil {
			t.Fatalf("snapshot %.8s is needed: %v", id, err)
		}
		hashes, err := d.blocksOf(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hashes {
			blobs[h] = true
		}
	}
	need.snapshots, need.blobs = len(ids), len(blobs)
	return need
}

// TestSweepsAndChangesAtOnce: one process changes while another drops, and what is newest can always be read.
func TestSweepsAndChangesAtOnce(t *testing.T) {
	r := newRealm(t)
	one, two := r.process(), r.process()
	mustImport(t, one, "i", people(t, 3000, 1))
	who := somebody(one.current(), 7)
	ctx, cancel := context.WithCancel(t.Context())
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			err := two.sweep(ctx, time.Now().Add(time.Duration(i)*retireAfter))
			if err != nil && ctx.Err() == nil && !errors.Is(err, dispatcher.ErrFenced) {
				t.Error(err)
			}
		}
	})
	for i := range 30 {
		deed := warning.DeedUnsubscribe
		if i%2 == 1 {
			deed = warning.DeedResubscribe // the block of before again
		}
		done, err := change(t.Context(), one, fmt.Sprint(i), "", warning.Change{Number: who, Deed: deed})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.process().Snapshot(t.Context(), done.Snapshot); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	cancel()
	sweeper.Wait()
}
