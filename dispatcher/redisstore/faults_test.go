package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"tocsin/dispatcher"
	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/redisstore"
	"tocsin/warning"
)

// relay lets TCP reach the server, which listens on a socket only.
func relay(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				continue
			}
			copyTo := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src) // however it ends, both sides are closed
				dst.Close()
				src.Close()
			}
			all.Go(func() { copyTo(out, in) })
			all.Go(func() { copyTo(in, out) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// severed is a client behind a proxy, and what makes the proxy swallow answers, and stop doing so.
func severed(t *testing.T) (db *redis.Client, cut, mend func()) {
	upstream := relay(t)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	db = managed.Client(proxy.Listen, func(o *redis.Options) { o.PoolSize = 1 })
	t.Cleanup(func() { db.Close() })
	cut = func() {
		t.Helper()
		if err := db.Ping(t.Context()).Err(); err != nil { // the connection is made and greeted
			t.Fatal(err)
		}
		toxic := `{"name":"cut","type":"limit_data","stream":"downstream","attributes":{"bytes":0}}`
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
	mend = func() {
		t.Helper()
		if err := proxy.Toxics.RemoveToxic(t.Context(), "cut"); err != nil {
			t.Fatal(err)
		}
	}
	return db, cut, mend
}

// load is the account as somebody else sees it.
func load(t *testing.T, s *redisstore.Store, account string) dispatcher.Image {
	t.Helper()
	im, err := s.Load(t.Context(), account, 0, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestLostAnswerOfACommit(t *testing.T) {
	db, cut, mend := severed(t)
	s := open(t, db)
	ids := released(t, s, "w", "a", 1, 1000)
	f := acquire(t, s, "a")
	c := dispatcher.Commit{
		Now: now, Journal: []byte("journal"),
		Grants: []dispatcher.Grant{{Strand: ids[0], To: 40}, {Strand: ids[0], From: 40, To: 50, Again: []byte("+again")}},
	}
	if _, err := s.Commit(t.Context(), f, 1, c); err != nil { // so that Redis knows the script
		t.Fatal(err)
	}
	c.Grants = []dispatcher.Grant{{Strand: ids[0], From: 50, To: 60}}
	cut()
	_, err := s.Commit(t.Context(), f, 2, c)
	if err == nil || errors.Is(err, dispatcher.ErrFenced) {
		t.Fatalf("a commit without answer gave %v", err)
	}
	mend()
	if got := load(t, s, "a"); got.Entry != 2 || got.Tails[0].Granted != 60 {
		t.Fatalf("the commit was to run without its answer: entry %d, granted %d", got.Entry, got.Tails[0].Granted)
	}
	r, err := s.Commit(t.Context(), f, 2, c)
	if err != nil || r.Entry != 2 || !slices.Equal(r.Refused, []warning.State{0}) {
		t.Fatalf("the repeated sequence got %+v, %v", r, err)
	}
	got := load(t, s, "a")
	if len(got.Journal) != 2 || got.Entry != 2 || got.Tails[0].Granted != 60 {
		t.Fatalf("applied twice: %d entries, last %d, granted %d", len(got.Journal), got.Entry, got.Tails[0].Granted)
	}
	if r, err = s.Commit(t.Context(), f, 3, dispatcher.Commit{Now: now, Journal: []byte("next")}); err != nil || r.Entry != 3 {
		t.Fatalf("the next sequence got %+v, %v", r, err)
	}
}

func TestLostAnswerOfAnAct(t *testing.T) {
	db, cut, mend := severed(t)
	s := open(t, db)
	act := func(key string) (dispatcher.Done, error) {
		return s.Do(t.Context(), dispatcher.Act{
			User: "lin", Key: key, Digest: "d", Answer: []byte(key), Entry: dispatcher.Entry{At: now, User: "lin", Act: key},
			Warning: &warning.Warning{Record: 1, ID: key, Digest: key, State: warning.Submitted},
		})
	}
	if _, err := act("first"); err != nil {
		t.Fatal(err)
	}
	cut()
	if _, err := act("second"); err == nil {
		t.Fatalf("an act without answer gave %v", err)
	}
	mend()
	d, err := act("second")
	if err != nil || !d.Repeated || string(d.Answer) != "second" || d.Number != 2 {
		t.Fatalf("the repeated act got %+v, %v", d, err)
	}
	all, err := s.Entries(t.Context(), 1, 10)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d entries, %v; wanted 2", len(all), err)
	}
}

// dying fails every command after the first n that write by script.
type dying struct{ left int }

var errDied = errors.New("the engine died here")

func (d *dying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		for _, c := range all {
			if err := d.dies(c); err != nil {
				return err
			}
		}
		return next(ctx, all)
	}
}

func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if err := d.dies(c); err != nil {
			return err
		}
		return next(ctx, c)
	}
}

func (d *dying) dies(c redis.Cmder) error {
	if c.Name() == "evalsha" {
		if d.left--; d.left < 0 {
			c.SetErr(errDied)
			return errDied
		}
	}
	return nil
}

func TestCrashBetweenPartsOfAFold(t *testing.T) {
	db := client(t)
	s, realm := openRealm(t, db)
	ids := released(t, s, "w", "a", 1, 300*dispatcher.ChunkSize)
	f := acquire(t, s, "a")
	for seq := range uint64(3) {
		if _, err := s.Commit(t.Context(), f, seq+1, dispatcher.Commit{Now: now, Journal: []byte{byte(seq)}}); err != nil {
			t.Fatal(err)
		}
	}
	var chunks []dispatcher.Chunk // three parts
	for i := range uint32(250) {
		chunks = append(chunks, dispatcher.Chunk{Strand: ids[0], Index: i, Data: bytes.Repeat([]byte{byte(i)}, 12<<10)})
	}
	db.AddHook(&dying{left: 2})
	if err := s.Fold(t.Context(), f, chunks, 3); !errors.Is(err, errDied) {
		t.Fatalf("the fold gave %v", err)
	}
	db2 := client(t)
	next := reopen(t, db2, realm)
	got := load(t, next, "a")
	if len(got.Journal) != 3 {
		t.Fatalf("%d journal entries after half a fold, wanted all 3", len(got.Journal))
	}
	if len(got.Chunks) == 0 || len(got.Chunks) == len(chunks) {
		t.Fatalf("%d chunks after half a fold of %d", len(got.Chunks), len(chunks))
	}
	if err := next.Fold(t.Context(), f, chunks, 3); err != nil {
		t.Fatal(err)
	}
	got = load(t, next, "a")
	if len(got.Journal) != 0 || len(got.Chunks) != len(chunks) {
		t.Fatalf("%d entries and %d chunks after the fold", len(got.Journal), len(got.Chunks))
	}
	for i, c := range got.Chunks {
		if c.Index != uint32(i) || !bytes.Equal(c.Data, chunks[i].Data) {
			t.Fatalf("chunk %d is not what was folded", i)
		}
	}
}

func TestCrashBeforeThePlansHeads(t *testing.T) {
	db := client(t)
	s, realm := openRealm(t, db)
	w := &warning.Warning{Record: 1, ID: "w", State: warning.Released, Digest: "d"}
	if _, err := s.Do(t.Context(), dispatcher.Act{Warning: w, ToPlan: true}); err != nil {
		t.Fatal(err)
	}
	p := dispatcher.Plan{Warning: "w", Version: 1, Strands: []dispatcher.Strand{{Account: "a"}}}
	for st := &p.Strands[0]; len(st.Batches) < 100; st.People += 512 { // more than lies beside a head
		b := dispatcher.Batch{Block: uint32(len(st.Batches))}
		for slot := 0; slot < warning.BlockSize; slot += 2 {
			b.Mask.Set(slot)
		}
		st.Batches = append(st.Batches, b)
	}
	db.AddHook(&dying{})
	if _, err := s.PutPlan(t.Context(), 1, p); !errors.Is(err, errDied) {
		t.Fatalf("the plan gave %v", err)
	}
	db2 := client(t)
	orphans := db2.Keys(t.Context(), "{tocsin:"+realm+"}:batches:*").Val()
	if len(orphans) != 1 || db2.TTL(t.Context(), orphans[0]).Val() <= 0 {
		t.Fatalf("what a dead planner left must end by itself: %v", orphans)
	}
	next := reopen(t, db2, realm)
	for range 2 { // the second time as after a lost answer
		if _, err := next.PutPlan(t.Context(), 1, p); err != nil {
			t.Fatal(err)
		}
		if ttl := db2.TTL(t.Context(), orphans[0]).Val(); ttl != -1 {
			t.Fatalf("the batches of a plan end in %v", ttl)
		}
	}
	if got := load(t, next, "a"); !slices.Equal(got.Strands[0].Batches, p.Strands[0].Batches) {
		t.Fatalf("batches: %+v", got.Strands[0].Batches)
	}
	// A planner whose chunks went away meanwhile must not leave heads without them.
	w2 := &warning.Warning{Record: 1, ID: "w2", State: warning.Released, Digest: "e"}
	if _, err := next.Do(t.Context(), dispatcher.Act{Warning: w2, ToPlan: true}); err != nil {
		t.Fatal(err)
	}
	db2.AddHook(beforeScript(func() {
		keys := client(t).Keys(t.Context(), "{tocsin:"+realm+"}:batches:w2:*").Val()
		client(t).Del(t.Context(), keys...)
	}))
	p.Warning = "w2"
	if _, err := next.PutPlan(t.Context(), 1, p); err == nil {
		t.Fatal("heads were written without their batches")
	}
	if waiting, err := next.ToPlan(t.Context()); err != nil || len(waiting) != 1 {
		t.Fatal("to plan:", waiting, err)
	}
}

// counting counts the commands of a client.
type counting struct{ n int }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n++
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n += len(cmds)
		return next(ctx, cmds)
	}
}

// TestBlobsAreStoredManyInACommand: after each command that it reads Redis may wait for an fsync.
func TestBlobsAreStoredManyInACommand(t *testing.T) {
	db := client(t)
	s, _ := openRealm(t, db)
	if err := db.Ping(t.Context()).Err(); err != nil { // a connection begins with commands of its own
		t.Fatal(err)
	}
	var c counting
	db.AddHook(&c)
	hashOf := func(i int) [32]byte { return [32]byte{byte(i), 1} }
	err := s.PutBlobs(t.Context(), 20, func(b []byte, i int) ([32]byte, []byte) { return hashOf(i), append(b, byte(i)) })
	if err != nil {
		t.Fatal(err)
	}
	if c.n != 1 {
		t.Errorf("20 blobs took %d commands", c.n)
	}
	for i := range 20 {
		if b, err := s.Blob(t.Context(), hashOf(i)); err != nil || len(b) != 1 || b[0] != byte(i) {
			t.Errorf("blob %d is %v, %v", i, b, err)
		}
	}
}

// TestBatchesAreStoredInAFewBuffers: a large plan is encoded a megabyte at a time, not at once.
func TestBatchesAreStoredInAFewBuffers(t *testing.T) {
	s, _ := openRealm(t, client(t))
	strands := []dispatcher.Strand{{Account: "a", Batches: make([]dispatcher.Batch, 50_000)}}
	for i := range strands[0].Batches {
		b := &strands[0].Batches[i]
		b.Block = uint32(i)
		for w := range b.Mask {
			b.Mask[w] = 0xaaaaaaaaaaaaaaaa
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.PutBatches(t.Context(), "w", strands); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
		t.Errorf("storing 6 MB of batches takes %.1f MB of memory", float64(took)/(1<<20))
	}
}

// TestBatchesAhead: what no plan names ends by itself, later when it is stored again; what a plan names stays, also when
// it is stored again, and another process reads it; heads without their batches are refused.
func TestBatchesAhead(t *testing.T) {
	db := client(t)
	s, realm := openRealm(t, db)
	strands := []dispatcher.Strand{{Account: "a"}}
	for st := &strands[0]; len(st.Batches) < 1200; st.People += 512 { // three chunks
		b := dispatcher.Batch{Block: uint32(len(st.Batches))}
		for slot := 0; slot < warning.BlockSize; slot += 2 {
			b.Mask.Set(slot)
		}
		st.Batches = append(st.Batches, b)
	}
	put := func() []string {
		t.Helper()
		strands[0].Ref = ""
		if err := s.PutBatches(t.Context(), "w", strands); err != nil {
			t.Fatal(err)
		}
		return db.Keys(t.Context(), "{tocsin:"+realm+"}:batches:w:*").Val()
	}
	left := func(key string) time.Duration { return db.PTTL(t.Context(), key).Val() }
	chunks := put()
	if len(chunks) != 3 {
		t.Fatalf("chunks %v", chunks)
	}
	for _, c := range chunks {
		if d := left(c); d <= 0 || d > 2*dispatcher.AheadEvery {
			t.Errorf("what was stored ahead ends in %v", d)
		}
		db.PExpire(t.Context(), c, time.Minute)
	}
	put()
	for _, c := range chunks {
		if d := left(c); d <= dispatcher.AheadEvery {
			t.Errorf("what was stored again ends in %v", d)
		}
	}
	w := &warning.Warning{Record: 1, ID: "w", State: warning.Released, Digest: "d"}
	if _, err := s.Do(t.Context(), dispatcher.Act{Warning: w, ToPlan: true}); err != nil {
		t.Fatal(err)
	}
	db.Del(t.Context(), chunks[1])
	p := dispatcher.Plan{Warning: "w", Version: 1, Strands: strands}
	if _, err := s.PutPlan(t.Context(), 1, p); !errors.Is(err, dispatcher.ErrGone) {
		t.Fatalf("heads whose batches are gone: %v", err)
	}
	put()
	if _, err := s.PutPlan(t.Context(), 1, p); err != nil {
		t.Fatal(err)
	}
	put() // by another process, which does not know of the release yet
	for _, c := range chunks {
		if d := left(c); d != -1 {
			t.Errorf("the batches of a plan end in %v", d)
		}
	}
	for _, reader := range []*redisstore.Store{s, reopen(t, db, realm)} {
		if got := load(t, reader, "a"); !slices.Equal(got.Strands[0].Batches, strands[0].Batches) {
			t.Errorf("%d batches are read", len(got.Strands[0].Batches))
		}
	}
}

// beforeScript runs something before each script.
type beforeScript func()

func (f beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		if all[0].Name() == "evalsha" {
			f()
		}
		return next(ctx, all)
	}
}

func (f beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if c.Name() == "evalsha" {
			f()
		}
		return next(ctx, c)
	}
}

// At the memory limit what stops, settles and frees still passes; what takes work in does not.
func TestMemoryLimit(t *testing.T) {
	server, err := managed.Start(t.Context(), managed.Options{Dir: t.TempDir(), Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	db := managed.Client(server.Socket())
	t.Cleanup(func() { db.Close() })
	s := open(t, db)
	ids := released(t, s, "w", "a", 1, 1000)
	f := acquire(t, s, "a")
	if _, err := s.Commit(t.Context(), f, 1, dispatcher.Commit{Now: now, Journal: []byte("j")}); err != nil {
		t.Fatal(err)
	}
	w, err := s.BeginWriting(t.Context(), "token", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	submitted := &warning.Warning{Record: 1, ID: "v", State: warning.Submitted, Digest: "v"}
	held := &warning.Warning{Record: 1, ID: "w", State: warning.Held, Digest: "w"}
	for _, c := range []struct {
		name   string
		passes bool
		try    func() error
	}{
		{"submit", false, func() error {
			_, err := s.Do(t.Context(), dispatcher.Act{User: "u", Key: "s", Warning: submitted})
			return err
		}},
		{"import", false, func() error {
			return s.PutBlobs(t.Context(), 1, func(b []byte, _ int) ([32]byte, []byte) { return [32]byte{}, append(b, 'x') })
		}},
		{"snapshot", false, func() error { _, err := w.SetSnapshot(t.Context(), dispatcher.NewSnapshot{ID: "one"}); return err }},
		{"plan", false, func() error { _, err := s.PutPlan(t.Context(), 1, dispatcher.Plan{Warning: "x"}); return err }},
		{"commit", true, func() error {
			_, err := s.Commit(t.Context(), f, 2, dispatcher.Commit{Now: now, Journal: []byte("j"), Grants: []dispatcher.Grant{{Strand: ids[0], To: 5}}})
			return err
		}},
		{"beat", true, func() error { _, err := s.Beat(t.Context(), f); return err }},
		{"hold", true, func() error {
			_, err := s.Do(t.Context(), dispatcher.Act{User: "u", Key: "h", Warning: held, Rev: 1, Entry: dispatcher.Entry{At: now}})
			return err
		}},
		{"pause", true, func() error {
			_, err := s.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a", Value: []byte("{}")}}})
			return err
		}},
		{"fold", true, func() error {
			return s.Fold(t.Context(), f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("x")}}, 2)
		}},
		{"drop", true, func() error {
			err := w.DropSnapshot(t.Context(), "none", nil)
			if errors.Is(err, dispatcher.ErrChanged) { // it came as far as looking
				return nil
			}
			return err
		}},
		{"end of writing", true, func() error { return w.End(t.Context()) }},
		{"release", true, func() error { return s.Release(t.Context(), f) }},
		{"acquire", true, func() error { _, err := s.Acquire(t.Context(), "a", "two", 0, 0, false); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.try()
			if c.passes && err != nil {
				t.Fatalf("refused at the memory limit: %v", err)
			}
			if !c.passes && (err == nil || !strings.Contains(err.Error(), "OOM")) {
				t.Fatalf("wanted a refusal for memory, got %v", err)
			}
		})
	}
}
