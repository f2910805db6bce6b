package storetest

import (
	"bytes"
	"testing"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func ownership(t *testing.T, s Store) {
	ctx := t.Context()
	_, _, ok, err := s.Heartbeat(ctx, "a")
	if ok || err != nil {
		t.Fatal("an account that nobody had has an owner:", err)
	}
	f, err := s.Acquire(ctx, "a", "one", 5, 0, false)
	no(t, err)
	same(t, "the first fence", f, dispatcher.Fence{Account: "a", Owner: "one", Epoch: 6})
	for _, own := range []bool{false, true} { // only the process of the same name knows that the owner is dead
		_, err = s.Acquire(ctx, "a", "two", 0, 0, own)
		must(t, err, dispatcher.ErrFenced)
	}
	beat, owner, ok, err := s.Heartbeat(ctx, "a")
	if owner != "one" || !ok || err != nil {
		t.Fatal("heartbeat:", owner, ok, err)
	}
	_, err = s.Beat(ctx, f)
	no(t, err)
	_, err = s.Acquire(ctx, "a", "two", 0, beat, false) // it moved
	must(t, err, dispatcher.ErrFenced)
	moved, _, _, err := s.Heartbeat(ctx, "a")
	no(t, err)
	if moved <= beat {
		t.Fatalf("the beat went from %d to %d", beat, moved)
	}
	for range 2 { // a commit prolongs the lease too, also where it is answered again
		commit(t, s, f, 1, dispatcher.Commit{})
		beat = moved
		if moved, _, _, err = s.Heartbeat(ctx, "a"); err != nil || moved <= beat {
			t.Fatalf("the beat went from %d to %d with a commit: %v", beat, moved, err)
		}
	}
	g, err := s.Acquire(ctx, "a", "two", 0, moved, false)
	no(t, err)
	if g.Epoch <= f.Epoch {
		t.Fatalf("the epoch went from %d to %d", f.Epoch, g.Epoch)
	}
	_, err = s.Acquire(ctx, "a", "three", 0, moved, false) // a beat of the owner before
	must(t, err, dispatcher.ErrFenced)
	_, err = s.Acquire(ctx, "a", "two", g.Epoch-1, 0, true) // another process of the same name, which may live
	must(t, err, dispatcher.ErrFenced)
	own, err := s.Acquire(ctx, "a", "two", g.Epoch, 0, true)
	no(t, err)
	if own.Epoch != g.Epoch+1 {
		t.Fatalf("epoch %d, wanted %d", own.Epoch, g.Epoch+1)
	}
	no(t, s.Release(ctx, own))
	no(t, s.Release(ctx, own)) // the answer was lost
	_, _, ok, err = s.Heartbeat(ctx, "a")
	if ok || err != nil {
		t.Fatal("a released account has an owner:", err)
	}
	h, err := s.Acquire(ctx, "a", "three", 0, 0, false)
	no(t, err)
	if h.Epoch != own.Epoch+1 {
		t.Fatalf("epoch %d after a release, wanted %d", h.Epoch, own.Epoch+1)
	}
	must(t, s.Release(ctx, own), dispatcher.ErrFenced)
	_, err = s.Acquire(ctx, "b", "", 0, 0, false)
	must(t, err, nil)
	_, err = s.Acquire(ctx, "b", "one", 1<<53, 0, false)
	must(t, err, nil)
}

func fenced(t *testing.T, s Store) {
	ctx := t.Context()
	ids := planned(t, s, 1, 100, "a")
	f := own(t, s, "a", "one")
	commit(t, s, f, 1, dispatcher.Commit{Journal: []byte("one's")})
	g := own(t, s, "a", "two")
	for name, stale := range map[string]dispatcher.Fence{
		"former owner": f, "former epoch": {Account: "a", Owner: "two", Epoch: f.Epoch},
		"other name": {Account: "a", Owner: "one", Epoch: g.Epoch}, "other account": {Account: "b", Owner: "two", Epoch: g.Epoch},
	} {
		t.Run(name, func(t *testing.T) {
			for seq := range uint64(3) {
				_, err := s.Commit(ctx, stale, seq, dispatcher.Commit{Now: start, Journal: []byte("x"), Grants: []dispatcher.Grant{{Strand: ids[0], To: 5}}})
				must(t, err, dispatcher.ErrFenced)
			}
			_, err := s.Beat(ctx, stale)
			must(t, err, dispatcher.ErrFenced)
			must(t, s.Fold(ctx, stale, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("x")}}, 1), dispatcher.ErrFenced)
			must(t, s.Release(ctx, stale), dispatcher.ErrFenced)
		})
	}
	im, err := s.Load(ctx, "a", 0, true, nil)
	no(t, err)
	same(t, "the journal", im.Journal, [][]byte{[]byte("one's")})
	same(t, "the ledger", im.Chunks, []dispatcher.Chunk{})
	if im.Tails[0].Granted != 0 {
		t.Fatal("a fenced grant was kept")
	}
	commit(t, s, g, 1, dispatcher.Commit{})
	no(t, s.Release(ctx, g))
	_, err = s.Commit(ctx, g, 2, dispatcher.Commit{})
	must(t, err, dispatcher.ErrFenced)
}

func sequence(t *testing.T, s Store) {
	ids := planned(t, s, 1, 100, "a")
	do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a", Value: []byte(`{"rate":900}`)}}})
	f := own(t, s, "a", "one")
	for _, seq := range []uint64{0, 2} {
		_, err := s.Commit(t.Context(), f, seq, dispatcher.Commit{Now: start})
		must(t, err, dispatcher.ErrFenced)
	}
	first := commit(t, s, f, 1, dispatcher.Commit{
		Journal: []byte("j1"), Obeyed: 1,
		Grants: []dispatcher.Grant{{Strand: ids[0], To: 50}, {Strand: ids[0], From: 50, To: 60, Again: []byte("+a")}},
	})
	same(t, "the answer", first, dispatcher.Committed{
		Signal: dispatcher.Signal{Generation: 3, Control: dispatcher.Control{Rate: 900}}, Entry: 1, Refused: []warning.State{0, 0},
	})
	move(t, s, 1, 1, warning.Held) // the world goes on, the stored answer does not
	again := commit(t, s, f, 1, dispatcher.Commit{Journal: []byte("other"), Grants: []dispatcher.Grant{{Strand: ids[0], From: 7, To: 9}}})
	same(t, "the repeated answer", again, first)
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	same(t, "the journal", im.Journal, [][]byte{[]byte("j1+a")})
	if im.Tails[0].Granted != 60 || im.Entry != 1 {
		t.Fatalf("granted %d, entry %d; wanted 60 and 1", im.Tails[0].Granted, im.Entry)
	}
	third := commit(t, s, f, 2, dispatcher.Commit{Obeyed: 4})
	if third.Generation != 4 || third.Entry != 1 {
		t.Fatalf("an empty commit answered %+v", third)
	}
	owned, err := s.Obeyed(t.Context(), []string{"a", "nobody's"})
	no(t, err)
	if len(owned) != 1 || owned["a"].Obeyed != 4 || owned["a"].Owner != "one" || owned["a"].Beat == 0 {
		t.Fatalf("obeyed: %+v", owned)
	}
	g := own(t, s, "a", "two") // begins at 1 again
	owned, err = s.Obeyed(t.Context(), []string{"a"})
	no(t, err)
	if owned["a"].Obeyed != 0 {
		t.Fatal("a new owner has obeyed what the former did")
	}
	if r := commit(t, s, g, 1, dispatcher.Commit{Journal: []byte("j2")}); r.Entry != 2 {
		t.Fatalf("the new owner's entry is %d, wanted 2", r.Entry)
	}
}

func refusals(t *testing.T, s Store) {
	f := own(t, s, "a", "one")
	now := start.Add(time.Minute)
	var ids []dispatcher.StrandID
	for n, state := range []warning.State{warning.Released, warning.Held, warning.Cancelled, warning.Completed, warning.Expired} {
		ids = append(ids, planned(t, s, n, 100, "a")...)
		if state != warning.Released {
			move(t, s, n, 1, state)
		}
	}
	ask := func(from uint32) (all []dispatcher.Grant) {
		for i, id := range ids {
			g := dispatcher.Grant{Strand: id, To: 10, Again: []byte{byte('a' + i)}}
			if i == 0 {
				g.From, g.To = from, from+10
			}
			all = append(all, g)
		}
		return all
	}
	others := []warning.State{warning.Held, warning.Cancelled, warning.Completed, warning.Expired}
	r := commit(t, s, f, 1, dispatcher.Commit{Now: now, Journal: []byte("j"), Grants: ask(0)})
	same(t, "refused", r.Refused, append([]warning.State{0}, others...))

	expires := draft(0, warning.Released).Spec.Expires
	r = commit(t, s, f, 2, dispatcher.Commit{Now: expires.Add(-time.Millisecond), Grants: ask(10)})
	same(t, "refused in the last moment", r.Refused, append([]warning.State{0}, others...))
	r = commit(t, s, f, 3, dispatcher.Commit{Now: expires, Grants: ask(20)})
	same(t, "refused after validity", r.Refused, append([]warning.State{warning.Expired}, others...))

	do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a", Value: []byte(`{"paused":true,"why":"x","user":"wu"}`)}}})
	r = commit(t, s, f, 4, dispatcher.Commit{Now: now, Grants: ask(20)})
	same(t, "refused while paused", r.Refused, append([]warning.State{warning.Released}, others...))
	same(t, "the control", r.Control, dispatcher.Control{Paused: true, Why: "x", User: "wu"})
	signal, err := s.Beat(t.Context(), f)
	no(t, err)
	same(t, "the signal of a beat", signal, r.Signal)

	do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a"}}})
	move(t, s, 1, 2, warning.Released)
	r = commit(t, s, f, 5, dispatcher.Commit{Now: now, Grants: ask(20)})
	same(t, "refused after the pause", r.Refused, append([]warning.State{0, 0}, others[1:]...))

	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	same(t, "the journal", im.Journal, [][]byte{[]byte("ja"), []byte("a"), []byte("ab")})
	var granted []uint32
	for _, tail := range im.Tails {
		granted = append(granted, tail.Granted)
	}
	same(t, "granted", granted, []uint32{30, 10, 0, 0, 0})
}

func misfits(t *testing.T, s Store) {
	ids := planned(t, s, 1, 100, "a", "b")
	f := own(t, s, "a", "one")
	commit(t, s, f, 1, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], To: 40}}})
	fits := dispatcher.Grant{Strand: ids[0], From: 40, To: 50}
	for name, c := range map[string]struct {
		c    dispatcher.Commit
		kind error
	}{
		"granted before":      {dispatcher.Commit{Grants: []dispatcher.Grant{fits, {Strand: ids[0], From: 30, To: 60}}}, nil},
		"a gap":               {dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], From: 41, To: 60}}}, nil},
		"beyond the end":      {dispatcher.Commit{Grants: []dispatcher.Grant{fits, {Strand: ids[0], From: 50, To: 101}}}, nil},
		"another's strand":    {dispatcher.Commit{Grants: []dispatcher.Grant{fits, {Strand: ids[1], To: 10}}}, dispatcher.ErrNotFound},
		"no strand":           {dispatcher.Commit{Grants: []dispatcher.Grant{fits, {Strand: 99, To: 10}}}, dispatcher.ErrNotFound},
		"strand zero":         {dispatcher.Commit{Grants: []dispatcher.Grant{fits, {To: 10}}}, dispatcher.ErrNotFound},
		"closed as waiting":   {dispatcher.Commit{Grants: []dispatcher.Grant{fits}, Close: []dispatcher.Close{{Strand: ids[0]}}}, nil},
		"close of another's":  {dispatcher.Commit{Grants: []dispatcher.Grant{fits}, Close: []dispatcher.Close{{Strand: ids[1], As: warning.ExpiredOut}}}, dispatcher.ErrNotFound},
		"tail of another's":   {dispatcher.Commit{Grants: []dispatcher.Grant{fits}, Tails: []dispatcher.StrandTail{{Strand: ids[1]}}}, dispatcher.ErrNotFound},
		"tail of no strand":   {dispatcher.Commit{Grants: []dispatcher.Grant{fits}, Tails: []dispatcher.StrandTail{{Strand: 99}}}, dispatcher.ErrNotFound},
		"misfit after refuse": {dispatcher.Commit{Now: start.Add(2 * time.Hour), Grants: []dispatcher.Grant{fits, {Strand: ids[0], From: 50, To: 60}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if c.c.Now.IsZero() {
				c.c.Now = start
			}
			c.c.Journal = []byte("j")
			_, err := s.Commit(t.Context(), f, 2, c.c)
			must(t, err, c.kind)
			im, err := s.Load(t.Context(), "a", 0, true, nil)
			no(t, err)
			same(t, "the tails", im.Tails, []dispatcher.StrandTail{{Strand: ids[0], Granted: 40}})
			same(t, "the journal", im.Journal, [][]byte{})
		})
	}
	r := commit(t, s, f, 2, dispatcher.Commit{Grants: []dispatcher.Grant{fits}})
	same(t, "the sequence goes on", r.Refused, []warning.State{0})
}

func givenBack(t *testing.T, s Store) {
	ids := planned(t, s, 1, 100, "a")
	f := own(t, s, "a", "one")
	commit(t, s, f, 1, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], To: 100}}})
	move(t, s, 1, 1, warning.Cancelled)
	do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a", Value: []byte(`{"paused":true}`)}}})
	r := commit(t, s, f, 2, dispatcher.Commit{
		Now:    start.Add(2 * time.Hour),
		Close:  []dispatcher.Close{{Strand: ids[0], As: warning.CancelledIn}},
		Grants: []dispatcher.Grant{{Strand: ids[0], From: 100, To: 80, Again: []byte("b")}},
	})
	same(t, "refused", r.Refused, []warning.State{0})
	commit(t, s, f, 3, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], From: 80, To: 70}}}) // closed meanwhile
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	same(t, "the tail", im.Tails, []dispatcher.StrandTail{{Strand: ids[0], Granted: 70, Closed: warning.CancelledIn}})
	same(t, "the journal", im.Journal, [][]byte{[]byte("b")})
}

func closing(t *testing.T, s Store) {
	ids := planned(t, s, 1, 100, "a")
	f := own(t, s, "a", "one")
	commit(t, s, f, 1, dispatcher.Commit{
		Grants: []dispatcher.Grant{{Strand: ids[0], To: 40}},
		Close:  []dispatcher.Close{{Strand: ids[0], As: warning.Superseded}},
	})
	commit(t, s, f, 2, dispatcher.Commit{Close: []dispatcher.Close{{Strand: ids[0], As: warning.Superseded}}})
	_, err := s.Commit(t.Context(), f, 3, dispatcher.Commit{Now: start, Close: []dispatcher.Close{{Strand: ids[0], As: warning.ExpiredOut}}})
	must(t, err, nil)
	_, err = s.Commit(t.Context(), f, 3, dispatcher.Commit{Now: start, Grants: []dispatcher.Grant{{Strand: ids[0], From: 40, To: 41}}})
	must(t, err, nil)
	r := commit(t, s, f, 3, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], From: 40, To: 40, Again: []byte("x")}}})
	same(t, "a repeat in a closed strand", r.Refused, []warning.State{0})
	_, tails, err := s.PlanOf(t.Context(), id(1))
	no(t, err)
	same(t, "the tail", tails, []dispatcher.StrandTail{{Strand: ids[0], Granted: 40, Closed: warning.Superseded}})
}

func journal(t *testing.T, s Store) {
	ctx := t.Context()
	ids := planned(t, s, 1, 100, "a")
	f := own(t, s, "a", "one")
	var want [][]byte
	for n := 1; n <= 200; n++ {
		b := bytes.Repeat([]byte{byte(n)}, n)
		want = append(want, b)
		if r := commit(t, s, f, uint64(n), dispatcher.Commit{Journal: b}); r.Entry != uint64(n) {
			t.Fatalf("entry %d, wanted %d", r.Entry, n)
		}
	}
	check := func(dropped int) {
		t.Helper()
		im, err := s.Load(ctx, "a", 0, true, nil)
		no(t, err)
		same(t, "the journal", im.Journal, want[dropped:])
		if im.Entry != uint64(len(want)) {
			t.Fatalf("the last entry is %d, wanted %d", im.Entry, len(want))
		}
	}
	check(0)
	no(t, s.Fold(ctx, f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("at 70")}}, 70))
	check(70)
	no(t, s.Fold(ctx, f, nil, 70))
	check(70)
	no(t, s.Fold(ctx, f, nil, 12)) // dropped before
	check(70)
	must(t, s.Fold(ctx, f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("beyond")}}, 201), nil)
	must(t, s.Fold(ctx, f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("x")}, {Strand: ids[0] + 1}}, 100), dispatcher.ErrNotFound)
	check(70)
	no(t, s.Fold(ctx, f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("at 200")}}, 200))
	check(200)
	im, err := s.Load(ctx, "a", 0, true, nil)
	no(t, err)
	same(t, "the ledger", im.Chunks, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("at 200")}})
	want = append(want, []byte("after"))
	if r := commit(t, s, f, 201, dispatcher.Commit{Journal: []byte("after")}); r.Entry != 201 {
		t.Fatalf("entry %d after a fold of all, wanted 201", r.Entry)
	}
	check(200)
}

func takeover(t *testing.T, s Store) {
	const people = 3*dispatcher.ChunkSize + 5
	ids := planned(t, s, 1, people, "a", "b")
	ids = append(ids, planned(t, s, 2, 900, "a")...)
	f := own(t, s, "a", "one")
	tail := dispatcher.StrandTail{
		Strand: ids[0], Granted: 999, Closed: warning.ExpiredOut, // what is said of these is not taken
		Counts:  warning.Counts{warning.Waiting: people - 3, warning.Delivered: 2, warning.Unknown: 1},
		Reasons: map[string]int64{"bad_number": 4, "no_answer": 1},
		Stats: dispatcher.StrandStats{
			Segments: 2, Messages: 1 << 40, PossibleRepeats: 7, Due: 3, First: start, Last: start.Add(time.Nanosecond), MaxInAnySecond: 4500,
		},
	}
	commit(t, s, f, 1, dispatcher.Commit{
		Grants: []dispatcher.Grant{{Strand: ids[0], To: 100}, {Strand: ids[2], To: 9}}, Journal: []byte("folded"),
		Tails: []dispatcher.StrandTail{tail}, Stats: []byte("figures"),
	})
	chunks := []dispatcher.Chunk{
		{Strand: ids[0], Index: 0, Data: bytes.Repeat([]byte("x"), 12000)}, {Strand: ids[0], Index: 3, Data: []byte("y")},
		{Strand: ids[2], Index: 0, Data: []byte{}},
	}
	no(t, s.Fold(t.Context(), f, chunks, 1))
	commit(t, s, f, 2, dispatcher.Commit{Journal: []byte("kept")})
	own(t, s, "a", "two")

	tail.Granted, tail.Closed = 100, warning.Waiting
	want := []dispatcher.StrandTail{tail, {Strand: ids[2], Granted: 9}}
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	first, second := plan(1, people, "a", "b").Strands[0], plan(2, 900, "a").Strands[0]
	first.ID, second.ID = ids[0], ids[2]
	same(t, "the image", im, dispatcher.Image{
		Signal: dispatcher.Signal{Generation: 4}, Strands: []dispatcher.Strand{first, second}, Tails: want, Chunks: chunks,
		Journal: [][]byte{[]byte("kept")}, Entry: 2, Stats: []byte("figures"),
	})
	_, tails, err := s.PlanOf(t.Context(), id(1))
	no(t, err)
	same(t, "the counts", tails, []dispatcher.StrandTail{tail, {Strand: ids[1]}})
	im, err = s.Load(t.Context(), "a", 2, false, nil)
	no(t, err)
	same(t, "the image after the first plan", im, dispatcher.Image{
		Signal: dispatcher.Signal{Generation: 4}, Strands: []dispatcher.Strand{second}, Tails: want[1:], Entry: 2, Stats: []byte("figures"),
	})
	im, err = s.Read(t.Context(), "a", ids[2:], false)
	no(t, err)
	same(t, "one strand", im, dispatcher.Image{
		Signal: dispatcher.Signal{Generation: 4}, Strands: []dispatcher.Strand{second}, Tails: want[1:], Entry: 2, Stats: []byte("figures"),
	})
	im, err = s.Read(t.Context(), "a", ids[:1], false)
	no(t, err)
	same(t, "its tail without its counts", im.Tails, []dispatcher.StrandTail{{Strand: ids[0], Granted: 100}})
	im, err = s.Read(t.Context(), "a", ids[:1], true)
	no(t, err)
	if len(im.Strands) != 1 || len(im.Chunks) != 2 || len(im.Journal) != 1 {
		t.Fatalf("one strand with its ledger: %d strands, %d chunks, %d entries", len(im.Strands), len(im.Chunks), len(im.Journal))
	}
	_, err = s.Read(t.Context(), "a", ids[1:2], false) // of account b
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.Read(t.Context(), "a", []dispatcher.StrandID{99}, false)
	must(t, err, dispatcher.ErrNotFound)
	im, err = s.Load(t.Context(), "nobody's", 0, true, nil)
	no(t, err)
	same(t, "the image of an account without strands", im, dispatcher.Image{Signal: dispatcher.Signal{Generation: 4}})
}

func states(t *testing.T, s Store) {
	planned(t, s, 1, 10, "a")
	planned(t, s, 2, 10, "a")
	move(t, s, 2, 1, warning.Held)
	expires := draft(1, warning.Released).Spec.Expires
	got, err := s.States(t.Context(), []string{id(2), id(1), id(2)})
	no(t, err)
	held := dispatcher.Standing{ID: id(2), State: warning.Held, Expires: expires}
	same(t, "the states", got, []dispatcher.Standing{held, {ID: id(1), State: warning.Released, Expires: expires}, held})
	_, err = s.States(t.Context(), []string{id(1), id(99)})
	must(t, err, dispatcher.ErrNotFound)
	got, err = s.States(t.Context(), nil)
	if len(got) != 0 || err != nil {
		t.Fatal("the states of nothing:", got, err)
	}
}
