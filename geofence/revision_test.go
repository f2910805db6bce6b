package geofence_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/warning"
)

// blobs is blocks as a store keeps them.
type blobs map[[32]byte][]byte

func (b blobs) keep(r, old *geofence.Revision) (written int) {
	fresh := r.Fresh(old)
	for _, i := range fresh {
		h, data := r.Encode(nil, i)
		b[h] = data
	}
	return len(fresh)
}

func (b blobs) fetch(hashes [][32]byte, take func(int, []byte) error) error {
	for i, h := range slices.Backward(hashes) {
		data, ok := b[h]
		if !ok {
			return errors.New("gone")
		}
		if err := take(i, data); err != nil {
			return err
		}
	}
	return nil
}

// human is one person of the model.
type human struct {
	lon, lat       int32
	home, seen     uint32
	language, duty uint8
	flags          uint8
}

// those is who is in a revision, by number.
func those(r *geofence.Revision) map[uint64]human {
	out := map[uint64]human{}
	for i := range r.Blocks() {
		b := r.Block(i)
		for slot, n := range b.Number {
			if b.Flags[slot] != warning.Gone {
				out[n] = human{b.Lon[slot], b.Lat[slot], b.Home[slot], b.Seen[slot], b.Language[slot], b.Duty[slot], b.Flags[slot]}
			}
		}
	}
	return out
}

// numbersIn is who of a revision is chosen.
func numbersIn(r interface{ Block(int) warning.Block }, sel warning.Selection) (out []uint64) {
	for i, b := range sel.Blocks {
		block := r.Block(int(b))
		for slot := range sel.Masks[i].Slots {
			out = append(out, block.Number[slot])
		}
	}
	slices.Sort(out)
	return out
}

func ptr[T any](v T) *T { return &v }

// randomChange is a change to somebody of the first 3,000 numbers or so, and the model after it.
func randomChange(t *rapid.T, model map[uint64]human) warning.Change {
	c := warning.Change{
		Number: n0 + uint64(rapid.IntRange(0, 3200).Draw(t, "number")),
		Deed:   warning.Deed(rapid.IntRange(1, 4).Draw(t, "deed")),
	}
	if c.Deed == warning.DeedPut {
		if rapid.Bool().Draw(t, "moves") {
			c.Lon, c.Lat = ptr(int32(rapid.IntRange(1065000000, 1066000000).Draw(t, "lon"))), ptr(int32(rapid.IntRange(295000000, 296000000).Draw(t, "lat")))
		}
		if rapid.IntRange(0, 3).Draw(t, "renumbered") == 0 {
			c.NewNumber = n0 + uint64(rapid.IntRange(0, 3400).Draw(t, "new number"))
		}
		if rapid.Bool().Draw(t, "speaks") {
			c.Language, c.Duty, c.Home = ptr(uint8(rapid.IntRange(0, 1).Draw(t, "language"))), ptr(uint8(rapid.IntRange(0, 1).Draw(t, "duty"))), ptr(uint32(500101))
		}
	}
	h, known := model[c.Number]
	switch c.Deed {
	case warning.DeedErase:
		delete(model, c.Number)
	case warning.DeedResubscribe, warning.DeedUnsubscribe:
		if c.Deed == warning.DeedUnsubscribe && h.duty == 1 || !known {
			break
		}
		h.flags = 0
		if c.Deed == warning.DeedUnsubscribe {
			h.flags = warning.OptedOut
		}
		model[c.Number] = h
	case warning.DeedPut:
		next := c.Number
		if c.NewNumber != 0 {
			next = c.NewNumber
		}
		if _, taken := model[next]; taken && next != c.Number || !known && c.Lon == nil {
			break
		}
		if c.Lon != nil && (h.lon != *c.Lon || h.lat != *c.Lat) {
			h.lon, h.lat = *c.Lon, *c.Lat
			h.home, _ = geofence.EditionAt(time.Time{}).Locate(h.lon, h.lat)
		}
		if c.Language != nil {
			h.language, h.duty, h.home = *c.Language, *c.Duty, *c.Home
		}
		if h.duty == 1 {
			h.flags = 0
		}
		delete(model, c.Number)
		model[next] = h
	}
	return c
}

// TestChangesAgreeWithAModel: after any changes a revision holds who the model holds, resolves like a snapshot that was
// built of them at once, is the same when it is loaded whole and when it is loaded over an older one, and names who was
// withdrawn.
func TestChangesAgreeWithAModel(t *testing.T) {
	people := synth(t, 3000, 3)
	for i := range people.Number {
		people.Number[i] = n0 + uint64(i) // everybody has an address, so that the model knows them by it
	}
	first := geofence.NewRevision(build(t, people))
	area := []warning.Area{{Unit: "500103"}, polygon(square(106.55, 29.55, 0.02))}
	rapid.Check(t, func(t *rapid.T) {
		store := blobs{}
		store.keep(first, nil)
		model := those(first)
		r, other := first, first
		for range rapid.IntRange(1, 4).Draw(t, "revisions") {
			var changes []warning.Change
			for range rapid.SampledFrom([]int{1, 1, 3, 40, 1500}).Draw(t, "changes") {
				changes = append(changes, randomChange(t, model))
			}
			next, bad, err := r.Change(changes)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bad {
				if b.Row >= len(changes) || b.Rule == "" {
					t.Fatalf("%+v", b)
				}
			}
			if written := store.keep(next, r); len(changes) == 1 && written > 5 {
				t.Fatalf("one change wrote %d blocks", written)
			}
			identified(t, r, next)
			r = next
		}
		if got := those(r); !maps.Equal(got, model) || r.People() != len(model) {
			t.Fatalf("%d people (it says %d), the model has %d", len(got), r.People(), len(model))
		}
		for n := uint64(n0); n < n0+3500; n++ {
			block, slot, ok := r.Find(n)
			if _, in := model[n]; in != ok || ok && r.Block(block).Number[slot] != n {
				t.Fatalf("number %d: in the model %t, found %t", n-n0, in, ok)
			}
		}
		who := randomPresence(t)
		sel, err := r.Resolve(area, who)
		if err != nil || sel.Snapshot != r.ID() {
			t.Fatal(sel.Snapshot, err)
		}
		fresh, bad := geofence.Build(ofModel(model))
		if len(bad) > 0 {
			t.Fatal(bad[0])
		}
		want, err := geofence.NewRevision(fresh).Resolve(area, who)
		if err != nil || !slices.Equal(numbersIn(r, sel), numbersIn(fresh, want)) {
			t.Fatalf("%d people, built at once %d: %v", sel.People(), want.People(), err)
		}
		if got := fresh.Stats(); fmt.Sprint(r.Stats()) != fmt.Sprint(got) {
			t.Fatalf("stats %v, built at once %v", r.Stats(), got)
		}
		for name, have := range map[string]*geofence.Revision{"whole": nil, "over the first": other} {
			l, err := geofence.LoadRevision(r.Manifest(), have, geofence.DefaultLimits(), store.fetch)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := l.Resolve(area, who)
			if err != nil || l.ID() != r.ID() || l.People() != r.People() || !maps.Equal(those(l), model) || !slices.Equal(numbersIn(l, again), numbersIn(r, sel)) {
				t.Fatalf("loaded %s it is another: %v", name, err)
			}
			identified(t, other, l)
			withdrawn(t, other, l)
		}
	})
}

// identified looks that blocks of two revisions have one identity where, and only where, they are the same in memory.
func identified(t *rapid.T, a, b *geofence.Revision) {
	known := map[*uint64]*warning.Identity{}
	others := map[*warning.Identity]*uint64{nil: nil}
	for _, r := range []*geofence.Revision{a, b} {
		for i := range r.Blocks() {
			people := r.Block(i)
			at := &people.Number[0]
			if is, seen := known[at]; seen && is != people.Identity {
				t.Fatalf("block %d has another identity than before", i)
			}
			if is, seen := others[people.Identity]; seen && is != at {
				t.Fatalf("block %d has the identity of another", i)
			}
			known[at], others[people.Identity] = people.Identity, at
		}
	}
}

// TestAnIdentityKeepsNobodyInMemory: blocks that a build made, and those that a change did.
func TestAnIdentityKeepsNobodyInMemory(t *testing.T) {
	first := geofence.NewRevision(build(t, synth(t, 3000, 3)))
	var some uint64
	for _, n := range first.Block(1).Number {
		some = max(some, n)
	}
	next, bad, err := first.Change([]warning.Change{{Number: some, Deed: warning.DeedUnsubscribe}})
	if err != nil || len(bad) > 0 {
		t.Fatal(bad, err)
	}
	var kept []*warning.Identity
	var people []weak.Pointer[uint64]
	for i := range next.Blocks() {
		b := next.Block(i)
		kept, people = append(kept, b.Identity), append(people, weak.Make(&b.Number[0]))
	}
	first, next = nil, nil
	runtime.GC()
	for i := range people {
		if people[i].Value() != nil {
			t.Errorf("the people of block %d are still in memory", i)
		}
	}
	runtime.KeepAlive(kept)
}

// withdrawn compares with looking everybody up.
func withdrawn(t *rapid.T, old, now *geofence.Revision) {
	var want []uint64
	after := those(now)
	for n, h := range those(old) {
		if later, in := after[n]; h.flags == 0 && (!in || later.flags != 0) {
			want = append(want, n)
		}
	}
	slices.Sort(want)
	if got := numbersIn(old, now.Withdrawn(old)); !slices.Equal(got, want) {
		t.Fatalf("%d withdrawn, looking everybody up finds %d", len(got), len(want))
	}
}

func ofModel(model map[uint64]human) (c geofence.Columns) {
	for _, n := range slices.Sorted(maps.Keys(model)) {
		h := model[n]
		c.Append(geofence.Columns{
			Number: []uint64{n}, Lon: []int32{h.lon}, Lat: []int32{h.lat}, Home: []uint32{h.home}, Seen: []uint32{h.seen},
			Language: []uint8{h.language}, Duty: []uint8{h.duty}, Flags: []uint8{h.flags},
		})
	}
	return c
}

// TestAnErasedPersonLeavesNothing: neither number nor position is in any block of the revision.
func TestAnErasedPersonLeavesNothing(t *testing.T) {
	r := geofence.NewRevision(build(t, synth(t, 5000, 1)))
	for _, at := range [][2]int{{0, 0}, {1, 0}, {2, 77}, {4, 903}} {
		b := r.Block(at[0])
		number, lon, lat := b.Number[at[1]], b.Lon[at[1]], b.Lat[at[1]]
		next, bad, err := r.Change([]warning.Change{{Number: number, Deed: warning.DeedErase}})
		if number == 0 || err != nil || len(bad) > 0 {
			t.Fatal(number, bad, err)
		}
		if next.Blocks() != r.Blocks() || next.People() != r.People()-1 {
			t.Errorf("%d people in %d blocks", next.People(), next.Blocks())
		}
		for i := range next.Blocks() {
			b := next.Block(i)
			for slot := range b.Number {
				if b.Number[slot] == number || b.Lon[slot] == lon && b.Lat[slot] == lat {
					t.Errorf("something of the person is left in block %d", i)
				}
			}
		}
	}
}

func TestChangesThatAreLeftOut(t *testing.T) {
	r := geofence.NewRevision(build(t, columns(row{number: n0, lon: 106.5, lat: 29.5}, row{number: n0 + 1, lon: 106.6, lat: 29.5, duty: 1})))
	for _, c := range []struct {
		rule   string
		change warning.Change
	}{
		{"directory.number", warning.Change{Deed: warning.DeedErase}},
		{"directory.number", warning.Change{Number: 12, Deed: warning.DeedPut, Lon: ptr(int32(1065000000)), Lat: ptr(int32(295000000))}},
		{"directory.number.unknown", warning.Change{Number: n0 + 9, Deed: warning.DeedUnsubscribe}},
		{"directory.number.duplicate", warning.Change{Number: n0, Deed: warning.DeedPut, NewNumber: n0 + 1}},
		{"directory.duty.subscribed", warning.Change{Number: n0 + 1, Deed: warning.DeedUnsubscribe}},
		{"directory.position", warning.Change{Number: n0 + 9, Deed: warning.DeedPut}},
		{"directory.position", warning.Change{Number: n0, Deed: warning.DeedPut, Lon: ptr(int32(5))}},
		{"directory.language", warning.Change{Number: n0, Deed: warning.DeedPut, Language: ptr(uint8(9))}},
		{"directory.change", warning.Change{Number: n0}},
	} {
		next, bad, err := r.Change([]warning.Change{c.change})
		if err != nil || len(bad) != 1 || bad[0].Rule != c.rule || next.ID() != r.ID() {
			t.Errorf("%s: got %v, %v", c.rule, bad, err)
		}
	}
	_, _, err := r.Change([]warning.Change{{Number: n0, Deed: warning.DeedErase}, {Number: n0 + 1, Deed: warning.DeedErase}})
	if v := violations(t, err); v[0].Rule != "directory.empty" {
		t.Error(err)
	}
}

// TestManifestsOfBefore: a manifest of a snapshot alone is read, and keeps its id.
func TestManifestsOfBefore(t *testing.T) {
	s := build(t, synth(t, 3000, 1))
	manifest, blocks := encoded(t, s)
	r, err := geofence.LoadRevision(manifest, nil, geofence.DefaultLimits(), blobs(blocks).fetch)
	if err != nil || r.ID() != s.ID() || r.People() != s.People() {
		t.Fatal(err)
	}
	next, _, err := r.Change([]warning.Change{{Number: r.Block(0).Number[5], Deed: warning.DeedErase}})
	if err != nil {
		t.Fatal(err)
	}
	kept := blobs(blocks)
	if n := kept.keep(next, r); n != 1 {
		t.Errorf("one erasure wrote %d blocks", n)
	}
	named, err := geofence.BlobsOfRevision(next.Manifest())
	if err != nil || len(named) != next.Blocks() {
		t.Error(len(named), err)
	}
}

func TestLoadRevisionRefusesWhatDoesNotFit(t *testing.T) {
	store := blobs{}
	first := geofence.NewRevision(build(t, synth(t, 5000, 1)))
	store.keep(first, nil)
	r, _, err := first.Change([]warning.Change{{Number: first.Block(1).Number[5], Deed: warning.DeedErase}, {Number: n0, Deed: warning.DeedPut, Lon: ptr(int32(1065000000)), Lat: ptr(int32(295000000))}})
	if err != nil {
		t.Fatal(err)
	}
	store.keep(r, first)
	manifest := r.Manifest()
	load := func(m []byte, have *geofence.Revision) error {
		_, err := geofence.LoadRevision(m, have, geofence.DefaultLimits(), store.fetch)
		return err
	}
	if err := load(manifest, first); err != nil {
		t.Fatal(err)
	}
	for n := range manifest {
		if load(manifest[:n], first) == nil {
			t.Fatalf("a manifest cut at %d is taken", n)
		}
	}
	if load(append(bytes.Clone(manifest), 0), first) == nil {
		t.Error("a longer manifest is taken")
	}
	for h, b := range store {
		store[h] = bytes.Clone(b)
		store[h][len(b)-1] ^= 4
	}
	for _, have := range []*geofence.Revision{nil, first} {
		if err := load(manifest, have); err == nil {
			t.Error("a changed block is taken")
		}
	}
	clear(store)
	if load(manifest, first) == nil {
		t.Error("a missing block is taken")
	}
}
