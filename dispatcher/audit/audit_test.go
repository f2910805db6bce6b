package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const realm = "chongqing"

var (
	ours   = ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, ed25519.SeedSize))
	theirs = ed25519.NewKeyFromSeed(slices.Repeat([]byte{2}, ed25519.SeedSize))
	public = ours.Public().(ed25519.PublicKey)
)

// house is a store and a second place.
type house struct {
	*memstore.Store
	path string
	// entries, when not nil, is what the store holds instead of what was written: what a forger made of it.
	entries [][]byte
}

func newHouse(dir string) *house {
	return &house{Store: memstore.New(), path: filepath.Join(dir, "seals")}
}

func (h *house) Entries(ctx context.Context, from uint64, n int) ([][]byte, error) {
	if h.entries == nil {
		return h.Store.Entries(ctx, from, n)
	}
	from = min(from-1, uint64(len(h.entries)))
	return h.entries[from:min(from+uint64(n), uint64(len(h.entries)))], nil
}

type fatal interface{ Fatal(...any) }

func (h *house) act(t fatal, n int) {
	for i := range n {
		_, err := h.Do(context.Background(), dispatcher.Act{Entry: dispatcher.Entry{At: time.Now(), User: "li.wei", Act: "warning.approve", Subject: strconv.Itoa(i)}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (h *house) open(t testing.TB) *Sealer {
	t.Helper()
	s, err := Open(Options{Records: h, Realm: realm, Key: ours, SecondPlace: h.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (h *house) seal(t fatal, s *Sealer) {
	if err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (h *house) verify(t fatal) Result {
	r, err := Verify(context.Background(), h, realm, h.path, public)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// forge gives a copy of the entries to change.
func (h *house) forge(t fatal) [][]byte {
	entries, err := h.Store.Entries(context.Background(), 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// reseal chains the entries as they are now and puts a seal with this key in place of all in the store.
func (h *house) reseal(t fatal, key ed25519.PrivateKey) {
	table, err := h.Table(context.Background(), dispatcher.TableSeals)
	if err != nil {
		t.Fatal(err)
	}
	for field := range table {
		h.put(t, field, "")
	}
	var hash Hash
	for i, e := range h.entries {
		hash = hash.next(uint64(i+1), e)
	}
	if n := uint64(len(h.entries)); n > 0 {
		h.put(t, strconv.FormatUint(n, 10), sign(key, realm, n, hash, time.Now()).String())
	}
}

func (h *house) put(t fatal, field, value string) {
	p := dispatcher.Put{Table: dispatcher.TableSeals, Field: field}
	if value != "" {
		p.Value = []byte(value)
	}
	if _, err := h.Do(context.Background(), dispatcher.Act{Puts: []dispatcher.Put{p}}); err != nil {
		t.Fatal(err)
	}
}

// sealedHouse has twelve entries under four seals.
func sealedHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t.TempDir())
	s := h.open(t)
	for range 4 {
		h.act(t, 3)
		h.seal(t, s)
	}
	if r := h.verify(t); !r.OK() || r.Entries != 12 || r.Sealed != 12 || r.Seals != 5 {
		t.Fatalf("%+v", r)
	}
	return h
}

func (r Result) has(k Kind, n uint64) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == k && f.Number == n })
}

func TestSixForgeries(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		number uint64
		sealed uint64 // what is still proven
		forge  func(e [][]byte) [][]byte
		reseal ed25519.PrivateKey
	}{
		{Changed, 5, 3, func(e [][]byte) [][]byte { e[4][20] ^= 1; return e }, nil},
		{Removed, 5, 3, func(e [][]byte) [][]byte { return slices.Delete(e, 4, 5) }, nil},
		{Inserted, 5, 3, func(e [][]byte) [][]byte { return slices.Insert(e, 4, []byte(`{"act":"x"}`)) }, nil},
		{Reordered, 5, 3, func(e [][]byte) [][]byte { e[4], e[7] = e[7], e[4]; return e }, nil},
		{CutTail, 11, 9, func(e [][]byte) [][]byte { return e[:10] }, nil},
		{Rewritten, 2, 0, func(e [][]byte) [][]byte { e[1][20] ^= 1; return e }, theirs},

		// The same at the edges and in other ways.
		{Changed, 1, 0, func(e [][]byte) [][]byte { e[0][0] ^= 1; return e }, nil},
		{Changed, 12, 9, func(e [][]byte) [][]byte { e[11] = nil; return e }, nil},
		{Removed, 1, 0, func(e [][]byte) [][]byte { return e[1:] }, nil},
		{Removed, 4, 3, func(e [][]byte) [][]byte { return slices.Delete(e, 3, 6) }, nil},
		{CutTail, 12, 9, func(e [][]byte) [][]byte { return e[:11] }, nil},
		{CutTail, 1, 0, func([][]byte) [][]byte { return [][]byte{} }, nil},
		{Inserted, 1, 0, func(e [][]byte) [][]byte { return slices.Insert(e, 0, []byte("x")) }, nil},
		{Reordered, 1, 0, func(e [][]byte) [][]byte { slices.Reverse(e); return e }, nil},
		{Rewritten, 1, 0, func(e [][]byte) [][]byte {
			for i := range e {
				e[i][20] ^= 1
			}
			return e
		}, nil},
		{Rewritten, 5, 3, func(e [][]byte) [][]byte { return slices.Delete(e, 4, 5) }, theirs},
		{Rewritten, 5, 3, func(e [][]byte) [][]byte { e[4][20] ^= 1; return e }, ours}, // the key was stolen: the second place knows
	} {
		t.Run(fmt.Sprintf("%s at %d", c.kind, c.number), func(t *testing.T) {
			h := sealedHouse(t)
			h.entries = c.forge(h.forge(t))
			if c.reseal != nil {
				h.reseal(t, c.reseal)
			}
			r := h.verify(t)
			if !r.has(c.kind, c.number) || r.Sealed != c.sealed {
				t.Fatalf("%+v", r)
			}
			// A sealer that starts, and one that goes on, must never put its name under this.
			s := h.open(t)
			if err := s.Seal(t.Context()); !errors.Is(err, ErrForged) {
				t.Fatalf("a sealer went on: %v", err)
			}
			if after := h.verify(t); after.Seals != r.Seals {
				t.Fatal("a seal was added")
			}
		})
	}
}

// Whatever is done to sealed entries is found, and no later than where it was done.
func TestEveryForgeryIsFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t.TempDir())
		s := h.open(t)
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 5), 1, 6).Draw(rt, "sealed") {
			h.act(rt, n)
			h.seal(rt, s)
		}
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
		honest := h.forge(rt)
		e := h.forge(rt)
		for range rapid.IntRange(1, 3).Draw(rt, "acts") {
			if len(e) == 0 {
				break
			}
			i, j := rapid.IntRange(0, len(e)-1).Draw(rt, "i"), rapid.IntRange(0, len(e)-1).Draw(rt, "j")
			switch rapid.IntRange(0, 4).Draw(rt, "forgery") {
			case 0:
				e[i] = append(slices.Clone(e[i]), ' ')
			case 1:
				e = slices.Delete(e, i, i+1)
			case 2:
				e = slices.Insert(e, i, []byte("x"))
			case 3:
				e[i], e[j] = e[j], e[i]
			case 4:
				e = e[:i]
			}
		}
		first := 0
		for first < len(honest) && first < len(e) && string(honest[first]) == string(e[first]) {
			first++
		}
		h.entries = e
		if rapid.Bool().Draw(rt, "reseal") {
			h.reseal(rt, theirs)
		}
		r := h.verify(rt)
		kinds := []Kind{Changed, Removed, Inserted, Reordered, CutTail, Rewritten}
		at := slices.IndexFunc(r.Findings, func(f Finding) bool { return slices.Contains(kinds, f.Kind) })
		if first == len(honest) {
			return // nothing that was sealed is changed; what stands after it is not sealed
		}
		if at < 0 || r.Findings[at].Number != uint64(first+1) {
			rt.Fatalf("forged at %d, found %+v", first+1, r)
		}
	})
}

func TestForgedSeals(t *testing.T) {
	for name, c := range map[string]struct {
		kind   Kind
		number uint64
		forge  func(t *testing.T, h *house)
	}{
		"signed by another": {BadSeal, 12, func(t *testing.T, h *house) {
			h.entries = h.forge(t)
			h.reseal(t, theirs)
		}},
		"removed from the store": {BadSeal, 12, func(t *testing.T, h *house) { h.put(t, "12", "") }},
		"not a seal":             {BadSeal, 0, func(t *testing.T, h *house) { h.put(t, "12", "x") }},
		"moved to another entry": {BadSeal, 12, func(t *testing.T, h *house) {
			table, err := h.Table(t.Context(), dispatcher.TableSeals)
			if err != nil {
				t.Fatal(err)
			}
			h.put(t, "11", string(table["12"]))
		}},
		"of another realm": {BadSeal, 12, func(t *testing.T, h *house) {
			h.put(t, "12", sign(ours, "elsewhere", 12, Hash{}, time.Now()).String())
		}},
		"line removed": {BadSeal, 4, func(t *testing.T, h *house) { h.edit(t, func(l []string) []string { return slices.Delete(l, 1, 2) }) }},
		"line of others": {BadSeal, 6, func(t *testing.T, h *house) {
			h.edit(t, func(l []string) []string { l[1] = strings.Replace(l[1], realm, "else", 1); return l })
		}},
		"line broken": {BadSeal, 0, func(t *testing.T, h *house) {
			h.edit(t, func(l []string) []string { l[1] = l[1][:40]; return l })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := sealedHouse(t)
			c.forge(t, h)
			if r := h.verify(t); !r.has(c.kind, c.number) {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func (h *house) edit(t *testing.T, f func([]string) []string) {
	t.Helper()
	b, err := os.ReadFile(h.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := f(strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"))
	if err := os.WriteFile(h.path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Marks prove nothing: whoever changes them too is found by the seal, only not as exactly.
func TestChangedMarksHideNothing(t *testing.T) {
	h := sealedHouse(t)
	h.entries = h.forge(t)
	h.entries[4][20] ^= 1
	h.edit(t, func(l []string) []string {
		m := markOf(h.entries[4])
		was, err := parseLine(l[1])
		if err != nil {
			t.Fatal(err)
		}
		was.marks[1] = m
		l[1] = was.String()
		return l
	})
	if r := h.verify(t); !r.has(Changed, 4) || r.Sealed != 3 {
		t.Fatalf("%+v", r)
	}
}

func TestSealerGoesOnWhereTheSecondPlaceEnds(t *testing.T) {
	h := sealedHouse(t)
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("tocsin-seal/1 chongqing 13 ab"); err != nil { // a crash in the middle of a line
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if r := h.verify(t); !r.OK() {
		t.Fatalf("%+v", r)
	}
	s := h.open(t)
	head := s.Head()
	if !strings.Contains(head, realm+" 12 ") {
		t.Fatalf("head %q", head)
	}
	h.seal(t, s)
	if s.Head() != head {
		t.Fatal("nothing moved and there is a new seal")
	}
	h.act(t, 1)
	h.seal(t, s)
	if r := h.verify(t); !r.OK() || r.Sealed != 13 || r.Seals != 6 {
		t.Fatalf("%+v", r)
	}
	seal, err := ParseSeal(s.Head())
	if err != nil || !seal.Valid(public) || seal.Number != 13 {
		t.Fatalf("%v, %v", seal, err)
	}
}

// TestASealThatACrashLeftInTheStoreGoes: a process dies between the store and the second place, again and again.
func TestASealThatACrashLeftInTheStoreGoes(t *testing.T) {
	h := sealedHouse(t)
	for range 3 {
		s := h.open(t)
		h.act(t, 2)
		h.seal(t, s)
		before, err := os.ReadFile(h.path)
		if err != nil {
			t.Fatal(err)
		}
		h.act(t, 1)
		h.seal(t, s)
		if err := errors.Join(s.Close(), os.WriteFile(h.path, before, 0o600)); err != nil { // the line did not come to the disk
			t.Fatal(err)
		}
	}
	s := h.open(t)
	h.act(t, 1)
	h.seal(t, s)
	if r := h.verify(t); !r.OK() || r.Sealed != r.Entries {
		t.Fatalf("%+v", r)
	}
	table, err := h.Table(t.Context(), dispatcher.TableSeals)
	if err != nil || len(table) != 1 {
		t.Fatalf("%d seals in the store, %v", len(table), err)
	}
}

func TestANewSecondPlaceTakesInTheWholeRecord(t *testing.T) {
	h := sealedHouse(t)
	h.act(t, 2*chunk)
	if err := os.Remove(h.path); err != nil {
		t.Fatal(err)
	}
	s := h.open(t)
	h.seal(t, s)
	if r := h.verify(t); !r.OK() || r.Sealed != 2*chunk+12 {
		t.Fatalf("%+v", r)
	}
	h.entries = slices.Delete(h.forge(t), 1500, 1501)
	if r := h.verify(t); !r.has(Removed, 1501) {
		t.Fatalf("%+v", r)
	}
}

// Two engines seal one record, each with a second place of its own.
func TestTwoSealersAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t.TempDir())
		other := &house{Store: h.Store, path: h.path + ".other"}
		a, b := h.open(t), other.open(t)
		for range 5 {
			h.act(rt, rapid.IntRange(0, 3).Draw(rt, "acts"))
			if rapid.Bool().Draw(rt, "a") {
				h.seal(rt, a)
			}
			if rapid.Bool().Draw(rt, "b") {
				other.seal(rt, b)
			}
		}
		for _, place := range []*house{h, other} {
			if r := place.verify(rt); !r.OK() {
				rt.Fatalf("%s: %+v", place.path, r)
			}
		}
		h.seal(rt, a)
		other.seal(rt, b)
		if a.Head() != "" {
			x, _ := ParseSeal(a.Head())
			y, _ := ParseSeal(b.Head())
			if x.Number != y.Number || x.Hash != y.Hash {
				rt.Fatalf("%v and %v", x, y)
			}
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			rt.Fatal(err)
		}
	})
}

// A tail that is cut while the sealer runs, and grows again, is not sealed over.
func TestRunningSealerSeesACutTail(t *testing.T) {
	h := newHouse(t.TempDir())
	s := h.open(t)
	h.act(t, 5)
	h.seal(t, s)
	h.entries = append(h.forge(t)[:4], []byte("x"), []byte("y"))
	for range 2 {
		if err := s.Seal(t.Context()); !errors.Is(err, ErrForged) {
			t.Fatal(err)
		}
	}
	if r := h.verify(t); !r.has(Changed, 5) {
		t.Fatalf("%+v", r)
	}
}

func TestRunSealsEachSecondAndAtTheEnd(t *testing.T) {
	h := newHouse(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		s := h.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		h.act(t, 1)
		time.Sleep(interval)
		synctest.Wait()
		if r := h.verify(t); !r.OK() || r.Sealed != 1 {
			t.Errorf("%+v", r)
		}
		h.act(t, 1)
		cancel()
		<-done
		if r := h.verify(t); !r.OK() || r.Sealed != 2 {
			t.Errorf("%+v", r)
		}
	})
}

// failing is a store that does not answer while it is down.
type failing struct {
	*house
	down bool
}

func (f *failing) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if f.down {
		return dispatcher.Done{}, errors.New("no answer")
	}
	return f.house.Do(ctx, a)
}

func TestAlarmTellsOnceAndTellsTheEnd(t *testing.T) {
	h := newHouse(t.TempDir())
	store := &failing{house: h, down: true}
	var alarms []error
	s, err := Open(Options{Records: store, Realm: realm, Key: ours, SecondPlace: h.path, Alarm: func(err error) { alarms = append(alarms, err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.act(t, 1)
	s.tick(t.Context())
	s.tick(t.Context())
	if s.Head() != "" {
		t.Fatal("a seal that the store does not have")
	}
	store.down = false
	s.tick(t.Context())
	s.tick(t.Context())
	if len(alarms) != 2 || alarms[0] == nil || alarms[1] != nil {
		t.Fatal(alarms)
	}
	if r := h.verify(t); !r.OK() || r.Sealed != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestWhatASealerNeeds(t *testing.T) {
	good := Options{Records: memstore.New(), Realm: realm, Key: ours, SecondPlace: filepath.Join(t.TempDir(), "seals")}
	for _, spoil := range []func(*Options){
		func(o *Options) { o.Realm = "" },
		func(o *Options) { o.Realm = "a b" },
		func(o *Options) { o.Realm = "a\nb" },
		func(o *Options) { o.Key = nil },
		func(o *Options) { o.SecondPlace = t.TempDir() },
	} {
		o := good
		spoil(&o)
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := Verify(t.Context(), memstore.New(), realm, filepath.Join(t.TempDir(), "none"), public); err == nil {
		t.Error("a verification without second place")
	}
}

// The chain as the package's doc states it, computed by other means.
func TestChainIsAsStated(t *testing.T) {
	want := sha256.Sum256([]byte(strings.Repeat("\x00", 32) + "\x00\x00\x00\x00\x00\x00\x00\x01" + "entry"))
	if got := (Hash{}).next(1, []byte("entry")); got != want {
		t.Fatalf("%x", got)
	}
}

func FuzzLine(f *testing.F) {
	l := line{seal: sign(ours, realm, 2, Hash{1}, time.Unix(0, 0)), marks: []mark{{1}, {2}}}
	f.Add(l.String())
	f.Add(sealForm + " a 1 b c d e")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLine(text)
		if err != nil {
			return
		}
		if l.String() != text {
			t.Fatalf("%q has a second spelling", text)
		}
	})
}

// A second place that cannot be written to fails the seal; when it can be again, nothing is missing in either place.
func TestSecondPlaceThatFailsForAWhile(t *testing.T) {
	h := sealedHouse(t)
	s := h.open(t)
	h.seal(t, s)
	h.act(t, 1)
	good := s.place.file
	broken, err := os.Open(h.path) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	s.place.file = broken
	for range 2 {
		if err := s.Seal(t.Context()); err == nil || errors.Is(err, ErrForged) {
			t.Fatal(err)
		}
	}
	s.place.file = good
	h.seal(t, s)
	if r := h.verify(t); !r.OK() || r.Sealed != 13 || r.Seals != 6 {
		t.Fatalf("%+v", r)
	}
}
