package wiring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/oklog/ulid/v2"
	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/redisstore"
	"tocsin/geofence"
	"tocsin/warning"
)

// directoryEvery is how often a process looks whether the directory has changed: half of what a change may take.
const directoryEvery = 250 * time.Millisecond

// directory keeps revisions in the store's blobs: the newest in memory, one more that was asked for last (a plan that was
// made before the newest change), and as long as somebody works with them, all others.
type directory struct {
	store  *redisstore.Store
	limits geofence.Limits
	log    *zap.Logger
	learn  func(dispatcher.Snapshot) // finds out what previews ask of a directory, before it is the newest here; nil: nobody asks

	archived map[string]bool // warnings whose snapshots are not needed; of whoever sweeps

	// An import and a load each hold all people in memory: there is one of each at a time. A load waits for no import, which
	// takes as long as its sender does, while a correction may need the people of an old plan. Both are taken before mu.
	importing, loading sync.Mutex
	queue              queue

	mu            sync.Mutex // guards what follows
	kept          *session   // of a broken import
	newest, other *geofence.Revision
	all           map[string]weak.Pointer[geofence.Revision]
}

func newDirectory(store *redisstore.Store, limits geofence.Limits, log *zap.Logger) *directory {
	return &directory{
		store: store, limits: limits, log: log, queue: queue{wake: make(chan struct{}, 1)},
		all: map[string]weak.Pointer[geofence.Revision]{},
	}
}

var (
	_ dispatcher.Directory = (*directory)(nil)
	_ intake.Directory     = (*directory)(nil)
)

// Current is the newest snapshot.
func (d *directory) Current() (dispatcher.Snapshot, bool) {
	s := d.current()
	return s, s != nil
}

func (d *directory) current() *geofence.Revision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newest
}

// people is how many there are in the newest snapshot.
func (d *directory) people() int {
	if s := d.current(); s != nil {
		return s.People()
	}
	return 0
}

// Snapshot is the one with this id.
func (d *directory) Snapshot(ctx context.Context, id string) (dispatcher.Snapshot, error) {
	if s, ok, err := d.rostered(id); ok {
		return s, err
	}
	s, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s != d.newest {
		d.other = s
	}
	return s, nil
}

// Withdrawn is who of the snapshot id may not be told any more, because the newest one has erased them, given them
// another number, or says that they want no messages. Each stands at the place that the snapshot id has for them.
func (d *directory) Withdrawn(ctx context.Context, id string) (warning.Selection, error) {
	if strings.HasPrefix(id, rosterID) { // people on duty are not in the directory
		return warning.Selection{}, nil
	}
	old, err := d.get(ctx, id)
	if err != nil {
		return warning.Selection{}, err
	}
	return d.current().Withdrawn(old), nil
}

func (d *directory) have(id string) *geofence.Revision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[id].Value()
}

func (d *directory) get(ctx context.Context, id string) (*geofence.Revision, error) {
	if s := d.have(id); s != nil {
		return s, nil
	}
	d.loading.Lock()
	defer d.loading.Unlock()
	if s := d.have(id); s != nil {
		return s, nil
	}
	manifest, err := d.store.Manifest(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	s, err := geofence.LoadRevision(manifest, d.current(), d.limits, func(hashes [][32]byte, take func(int, []byte) error) error {
		return d.store.Blobs(ctx, hashes, take)
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	d.remember(s)
	if d.current() == nil {
		debug.FreeOSMemory() // what a whole load needed beside the people
	}
	return s, nil
}

// remember lets s be found for as long as somebody holds it.
func (d *directory) remember(s *geofence.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.all, func(_ string, p weak.Pointer[geofence.Revision]) bool { return p.Value() == nil })
	d.all[s.ID()] = weak.Make(s)
}

// refresh takes the newest snapshot of the store, which another process may have made.
func (d *directory) refresh(ctx context.Context) error {
	for {
		before := d.current()
		id, err := d.store.Newest(ctx)
		if err != nil || id == "" {
			return err
		}
		s, err := d.get(ctx, id)
		if err != nil {
			return err
		}
		if s != before {
			d.learnt(s)
		}
		if d.takeAfter(before, s) { // else an import took its own meanwhile, and what was read is perhaps what was before it
			return nil
		}
	}
}

// learnt returns when all is known of s that previews ask.
func (d *directory) learnt(s *geofence.Revision) {
	if d.learn != nil {
		d.learn(s)
	}
}

// take makes s the newest of this process.
func (d *directory) take(s *geofence.Revision) {
	for !d.takeAfter(d.current(), s) {
	}
}

// takeAfter is take while before is the newest.
func (d *directory) takeAfter(before, s *geofence.Revision) bool {
	d.remember(s)
	d.mu.Lock()
	same := d.newest == before
	if same {
		d.newest = s
	}
	d.mu.Unlock()
	if same && (before == nil || s.People() > before.People()+before.People()/8) {
		debug.SetGCPercent(garbage(s.People()))
	}
	return same
}

// garbage is how much of the heap may be garbage, in percent of what lives. People live for long and have no pointers: by
// the usual 100 as much memory as the whole directory takes would be lost to garbage before anybody looked for it.
func garbage(people int) int {
	const (
		perPerson = 33       // bytes
		most      = 64 << 20 // of garbage beside them
	)
	return max(5, min(50, most/(people*perPerson/100+1)))
}

// follow keeps the directory up to date, carries out changes, and drops what is not needed any more, until ctx ends.
func (d *directory) follow(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { d.carryOut(ctx) })
	all.Go(func() {
		each(ctx, sweepEvery, func() {
			if err := d.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil && !errors.Is(err, dispatcher.ErrFenced) {
				d.log.Warn("old snapshots of the directory cannot be dropped", zap.Error(err))
			}
		})
	})
	each(ctx, directoryEvery, func() {
		if err := d.refresh(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the newest directory cannot be read", zap.Error(err))
		}
	})
	all.Wait()
}

// writerLife is how long the right to write the directory outlives its holder.
const writerLife = 8 * time.Second

// write calls do while this process alone may write the directory; ErrFenced when another does. ctx of do ends when the
// right is lost.
func (d *directory) write(ctx context.Context, do func(context.Context, dispatcher.DirectoryWriter) error) error {
	w, err := d.store.BeginWriting(ctx, ulid.Make().String(), writerLife)
	if err != nil {
		return err
	}
	defer func() {
		if err := w.End(context.WithoutCancel(ctx)); err != nil {
			d.log.Warn("the right to write the directory was not given back; it ends by itself", zap.Error(err))
		}
	}()
	ctx, lost := context.WithCancelCause(ctx)
	var renewal sync.WaitGroup
	defer renewal.Wait()
	defer lost(nil)
	renewal.Go(func() {
		tick := time.NewTicker(writerLife / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := w.Renew(ctx, writerLife); errors.Is(err, dispatcher.ErrFenced) {
				lost(err)
			}
		}
	})
	return do(ctx, w)
}

// put stores what base does not have of s.
func (d *directory) put(ctx context.Context, s, base *geofence.Revision) error {
	fresh := s.Fresh(base)
	return d.store.PutBlobs(ctx, len(fresh), func(b []byte, i int) ([32]byte, []byte) { return s.Encode(b, fresh[i]) })
}

// made is what is noted beside every new snapshot.
func made(id string, at time.Time) dispatcher.Put {
	return dispatcher.Put{Table: dispatcher.TableImports, Field: id, Value: []byte(at.UTC().Format(time.RFC3339))}
}

// Stats says what the newest snapshot holds.
func (d *directory) Stats(ctx context.Context) (intake.Stats, error) {
	s := d.current()
	if s == nil {
		return intake.Stats{}, warning.Refuse(warning.ReasonNotFound, "no directory yet: import one with `tocsin directory import FILE`")
	}
	times, err := d.store.Table(ctx, dispatcher.TableImports)
	if err != nil {
		return intake.Stats{}, dispatcher.Refusal(err)
	}
	at, err := time.Parse(time.RFC3339, string(times[s.ID()]))
	if err != nil {
		return intake.Stats{}, fmt.Errorf("time of the import of %s: %w", s.ID(), err)
	}
	st := s.Stats()
	out := intake.Stats{
		Snapshot: s.ID(), People: st.People, Addressable: st.Addressable, OptedOut: st.OptedOut, NoAddress: st.NoAddress,
		Responsible: st.Responsible, ImportedAt: at, Edition: st.Edition,
	}
	for _, u := range st.Units {
		out.Units = append(out.Units, intake.Unit{Code: fmt.Sprintf("%06d", u.Code), Name: u.Name, People: u.People})
	}
	return out, nil
}

// geoJSON reads a drawn area; its faults name field.
func geoJSON(field string, text []byte) (warning.Area, error) {
	parts, err := geofence.ParseGeoJSON(text)
	var e *warning.Error
	if errors.As(err, &e) {
		for i, v := range e.Violations {
			e.Violations[i].Field = field + strings.TrimPrefix(v.Field, "geojson")
		}
	}
	if err != nil {
		return warning.Area{}, err
	}
	return warning.Area{Polygons: parts, CRS: "wgs84"}, nil
}
