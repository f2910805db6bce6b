package storetest

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func sameKey(t *testing.T, s Store) {
	a := dispatcher.Act{
		User: "lin", Key: "k", Digest: "d", Answer: []byte(`{"id":"x"}`), Entry: entry("submit"), Warning: draft(1, warning.Submitted),
		Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: "u", Value: []byte("1")}},
	}
	if _, ok, err := s.Answered(t.Context(), "lin", "k", "d"); ok || err != nil {
		t.Fatal("an act that was not made yet is answered", err)
	}
	first := do(t, s, a)
	if first.Repeated || first.Number != 1 || !bytes.Equal(first.Answer, a.Answer) {
		t.Fatalf("first: %+v", first)
	}
	do(t, s, dispatcher.Act{Warning: draft(2, warning.Submitted), Entry: entry("submit")}) // the world goes on
	a.Answer = []byte("another answer")
	a.Puts[0].Value = []byte("2")
	again := do(t, s, a)
	want := first
	want.Repeated = true
	same(t, "the repeated act", again, want)
	answer, ok, err := s.Answered(t.Context(), "lin", "k", "d")
	if string(answer) != `{"id":"x"}` || !ok || err != nil {
		t.Fatal("answered:", string(answer), ok, err)
	}
	table, err := s.Table(t.Context(), dispatcher.TableUsers)
	no(t, err)
	same(t, "the table", table, map[string][]byte{"u": []byte("1")})
	all, err := s.Entries(t.Context(), 1, 10)
	no(t, err)
	if len(all) != 2 {
		t.Fatalf("%d entries after a repeat, wanted 2", len(all))
	}
	_, rev, err := s.Warning(t.Context(), id(1))
	if rev != 1 || err != nil {
		t.Fatal("revision after a repeat:", rev, err)
	}
}

func keyPerUser(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{User: "lin", Key: "k", Digest: "d", Answer: []byte("lin's")})
	d := do(t, s, dispatcher.Act{User: "wu", Key: "k", Digest: "other", Answer: []byte("wu's")})
	if d.Repeated || string(d.Answer) != "wu's" {
		t.Fatalf("the key of one user answered another: %+v", d)
	}
	// User and key must not run into each other.
	d = do(t, s, dispatcher.Act{User: "li", Key: "nk", Digest: "d", Answer: []byte("li's")})
	if d.Repeated {
		t.Fatal("user li with key nk is not user lin with key k")
	}
	for range 2 { // no key, no memory
		if d := do(t, s, dispatcher.Act{User: "lin", Digest: "d", Answer: []byte("x")}); d.Repeated {
			t.Fatal("an act without key was repeated")
		}
	}
}

func otherUse(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{User: "lin", Key: "k", Digest: "d", Warning: draft(1, warning.Submitted)})
	_, err := s.Do(t.Context(), dispatcher.Act{User: "lin", Key: "k", Digest: "e", Warning: draft(2, warning.Submitted)})
	must(t, err, dispatcher.ErrOtherUse)
	_, _, err = s.Answered(t.Context(), "lin", "k", "e")
	must(t, err, dispatcher.ErrOtherUse)
	_, _, err = s.Warning(t.Context(), id(2))
	must(t, err, dispatcher.ErrNotFound)
}

// concurrently runs fn with 0 to n-1 at once.
func concurrently(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { fn(i) })
	}
	all.Wait()
}

func concurrentKey(t *testing.T, s Store) {
	const n = 32
	done, errs := make([]dispatcher.Done, n), make([]error, n)
	concurrently(n, func(i int) {
		a := dispatcher.Act{User: "lin", Key: "k", Digest: "even", Answer: []byte{byte(i)}, Entry: entry("submit"), Warning: draft(i, warning.Submitted)}
		if i%4 == 3 {
			a.Digest = "other"
		}
		done[i], errs[i] = s.Do(t.Context(), a)
	})
	winners, digest := 0, -1
	var answer []byte
	for i := range n {
		if errs[i] == nil && !done[i].Repeated {
			winners, answer, digest = winners+1, done[i].Answer, i%4/3
		}
	}
	if winners != 1 {
		t.Fatalf("%d acts were carried out under one key, wanted 1", winners)
	}
	for i := range n {
		switch {
		case i%4/3 != digest:
			must(t, errs[i], dispatcher.ErrOtherUse)
		case errs[i] != nil || !bytes.Equal(done[i].Answer, answer):
			t.Fatalf("act %d got %v, %v; wanted the stored answer %v", i, done[i].Answer, errs[i], answer)
		}
	}
	all, err := s.Warnings(t.Context(), nil, 0)
	no(t, err)
	if len(all) != 1 {
		t.Fatalf("%d warnings, wanted 1", len(all))
	}
}

func revisions(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Submitted)})
	_, err := s.Do(t.Context(), dispatcher.Act{Warning: draft(1, warning.Submitted)})
	must(t, err, dispatcher.ErrChanged)
	move(t, s, 1, 1, warning.Approved)
	_, err = s.Do(t.Context(), dispatcher.Act{Warning: draft(1, warning.Rejected), Rev: 1})
	must(t, err, dispatcher.ErrChanged)
	_, err = s.Do(t.Context(), dispatcher.Act{Warning: draft(2, warning.Rejected), Rev: 1})
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.Do(t.Context(), dispatcher.Act{Warning: &warning.Warning{}})
	must(t, err, nil)
	changed := draft(1, warning.Approved)
	changed.Digest = "another"
	_, err = s.Do(t.Context(), dispatcher.Act{Warning: changed, Rev: 2})
	must(t, err, nil)
	w, rev, err := s.Warning(t.Context(), id(1))
	no(t, err)
	if rev != 2 {
		t.Fatalf("revision %d, wanted 2", rev)
	}
	same(t, "the warning", w, *draft(1, warning.Approved))
}

func concurrentChange(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Submitted)})
	const n = 16
	errs := make([]error, n)
	concurrently(n, func(i int) {
		_, errs[i] = s.Do(t.Context(), dispatcher.Act{Warning: draft(1, warning.Approved), Rev: 1, Entry: entry("approve")})
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		must(t, err, dispatcher.ErrChanged)
	}
	all, err := s.Entries(t.Context(), 1, n)
	no(t, err)
	if won != 1 || len(all) != 1 {
		t.Fatalf("%d changes and %d entries, wanted one of each", won, len(all))
	}
}

func refusedAct(t *testing.T, s Store) {
	before := do(t, s, dispatcher.Act{Warning: draft(1, warning.Submitted), Entry: entry("submit")})
	_, err := s.Do(t.Context(), dispatcher.Act{
		User: "lin", Key: "k", Digest: "d", Entry: entry("approve"), Warning: draft(1, warning.Released), Rev: 7, ToPlan: true,
		Puts: []dispatcher.Put{{Table: dispatcher.TableControls, Field: "a", Value: []byte("{}")}},
	})
	must(t, err, dispatcher.ErrChanged)
	_, ok, err := s.Answered(t.Context(), "lin", "k", "d")
	if ok || err != nil {
		t.Fatal("a refused act is answered", err)
	}
	table, err := s.Table(t.Context(), dispatcher.TableControls)
	no(t, err)
	same(t, "controls", table, map[string][]byte{})
	after := do(t, s, dispatcher.Act{Entry: entry("look")})
	if after.Generation != before.Generation || after.Number != before.Number+1 {
		t.Fatalf("generation and number went from %+v to %+v", before, after)
	}
}

func unique(t *testing.T, s Store) {
	first := draft(1, warning.Submitted)
	submit := func(n int, at time.Time) error {
		w := draft(n, warning.Submitted)
		w.Content = first.Content
		e := entry("submit")
		e.At = at
		_, err := s.Do(t.Context(), dispatcher.Act{Warning: w, Unique: true, Entry: e})
		return err
	}
	no(t, submit(1, start))
	must(t, submit(2, start), dispatcher.ErrSame)
	must(t, submit(2, first.Spec.Expires.Add(-time.Millisecond)), dispatcher.ErrSame)
	_, _, err := s.Warning(t.Context(), id(2))
	must(t, err, dispatcher.ErrNotFound)
	for rev, state := range []warning.State{warning.Approved, warning.Released, warning.Held} {
		move(t, s, 1, uint64(rev+1), state)
		must(t, submit(2, start), dispatcher.ErrSame)
	}
	no(t, submit(2, first.Spec.Expires)) // 1 is not valid any more
	must(t, submit(3, start), dispatcher.ErrSame)
	// With Again nobody asks for it, and both stand in the way afterwards.
	w := draft(3, warning.Submitted)
	w.Content = first.Content
	do(t, s, dispatcher.Act{Warning: w})
	for n := 1; n <= 3; n++ {
		must(t, submit(4, start), dispatcher.ErrSame)
		w := draft(n, warning.Cancelled)
		w.Content = first.Content
		rev := uint64(1)
		if n == 1 {
			rev = 4
		}
		do(t, s, dispatcher.Act{Warning: w, Rev: rev})
	}
	no(t, submit(4, start))
}

func lists(t *testing.T, s Store) {
	for n := 1; n <= 40; n++ {
		do(t, s, dispatcher.Act{Warning: draft(n, warning.Submitted)})
	}
	move(t, s, 7, 1, warning.Rejected)
	move(t, s, 30, 1, warning.Approved)
	move(t, s, 9, 1, warning.Approved)
	move(t, s, 9, 2, warning.Released)
	move(t, s, 39, 1, warning.Held)
	for _, c := range []struct {
		states []warning.State
		limit  int
		want   []int
	}{
		{nil, 3, []int{40, 39, 38}},
		{[]warning.State{warning.Rejected}, 5, []int{7}},
		{[]warning.State{warning.Approved, warning.Released}, 0, []int{30, 9}},
		{[]warning.State{warning.Approved, warning.Released, warning.Rejected}, 2, []int{30, 9}},
		{[]warning.State{warning.Submitted}, 2, []int{40, 38}},
		{[]warning.State{warning.Approved, warning.Approved}, 9, []int{30}},
		{[]warning.State{warning.Expired}, 9, nil},
	} {
		got, err := s.Warnings(t.Context(), c.states, c.limit)
		no(t, err)
		var want []warning.Warning
		for _, n := range c.want {
			w, _, err := s.Warning(t.Context(), id(n))
			no(t, err)
			want = append(want, w)
		}
		same(t, "the list", got, want)
	}
	all, err := s.Warnings(t.Context(), nil, 0)
	no(t, err)
	if len(all) != 40 {
		t.Fatalf("%d warnings, wanted 40", len(all))
	}
}

func entries(t *testing.T, s Store) {
	for n := 1; n <= 5; n++ {
		e := entry("act")
		e.Detail = string(rune('a' + n))
		if d := do(t, s, dispatcher.Act{Entry: e}); d.Number != uint64(n) {
			t.Fatalf("number %d, wanted %d", d.Number, n)
		}
		if d := do(t, s, dispatcher.Act{Answer: []byte("x")}); d.Number != 0 {
			t.Fatalf("an act without entry has number %d", d.Number)
		}
	}
	got, err := s.Entries(t.Context(), 2, 3)
	no(t, err)
	if len(got) != 3 {
		t.Fatalf("%d entries, wanted 3", len(got))
	}
	for i, b := range got {
		var e struct {
			V      int    `json:"v"`
			Number uint64 `json:"number"`
			dispatcher.Entry
		}
		no(t, json.Unmarshal(b, &e))
		want := entry("act")
		want.Detail = string(rune('a' + i + 2))
		same(t, "the entry", e.Entry, want)
		if e.V != 1 || e.Number != uint64(i+2) {
			t.Fatalf("entry %s: version or number is wrong", b)
		}
	}
	for _, none := range []struct {
		from uint64
		n    int
	}{{6, 10}, {0, 3}, {1, 0}} {
		got, err := s.Entries(t.Context(), none.from, none.n)
		if err != nil || len(got) != 0 {
			t.Fatalf("%d entries from %d, %v; wanted none", len(got), none.from, err)
		}
	}
}

func generation(t *testing.T, s Store) {
	put := func(table string) dispatcher.Act {
		return dispatcher.Act{Entry: entry("x"), Puts: []dispatcher.Put{{Table: table, Field: "f", Value: []byte("{}")}}}
	}
	for i, c := range []struct {
		act  dispatcher.Act
		want uint64
	}{
		{put(dispatcher.TableUsers), 0},
		{dispatcher.Act{Warning: draft(1, warning.Submitted)}, 1},
		{put(dispatcher.TableSeals), 1},
		{put(dispatcher.TableControls), 2},
		{dispatcher.Act{Warning: draft(1, warning.Held), Rev: 1, Puts: put(dispatcher.TableControls).Puts}, 3},
	} {
		if d := do(t, s, c.act); d.Generation != c.want {
			t.Fatalf("act %d: generation %d, wanted %d", i, d.Generation, c.want)
		}
	}
}

func toPlan(t *testing.T, s Store) {
	want := func(ns ...int) {
		t.Helper()
		got, err := s.ToPlan(t.Context())
		no(t, err)
		var ids []string
		for _, n := range ns {
			ids = append(ids, id(n))
		}
		same(t, "to plan", got, ids)
	}
	want()
	for n := 1; n <= 3; n++ {
		do(t, s, dispatcher.Act{Warning: draft(n, warning.Released), ToPlan: true})
	}
	do(t, s, dispatcher.Act{Warning: draft(4, warning.Released)})
	want(1, 2, 3)
	move(t, s, 2, 1, warning.Held)
	want(1, 3)
	move(t, s, 2, 2, warning.Released)
	want(1, 2, 3)
	move(t, s, 3, 1, warning.Cancelled)
	want(1, 2)
	_, err := s.PutPlan(t.Context(), 1, plan(1, 10, "a"))
	no(t, err)
	want(2)
}

func plans(t *testing.T, s Store) {
	_, _, err := s.PlanOf(t.Context(), id(1))
	must(t, err, dispatcher.ErrNotFound)
	p := plan(1, 2_000_000, "a", "b")
	p.Strands = append(p.Strands, plan(1, 3, "a").Strands...)
	done := do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	ids, err := s.PutPlan(t.Context(), 1, p)
	no(t, err)
	same(t, "ids", ids, []dispatcher.StrandID{1, 2, 3})
	move(t, s, 1, 1, warning.Held)
	again, err := s.PutPlan(t.Context(), 1, p) // the answer was lost
	no(t, err)
	same(t, "ids of the repeat", again, ids)
	other, err := s.PutPlan(t.Context(), 2, plan(1, 5, "c"))
	no(t, err)
	same(t, "ids of another plan of the same warning", other, ids)

	got, tails, err := s.PlanOf(t.Context(), id(1))
	no(t, err)
	want := p
	want.Strands = nil
	var wantTails []dispatcher.StrandTail
	for i, h := range p.Strands {
		h.ID = ids[i]
		p.Strands[i].ID = ids[i]
		h.Batches = nil
		want.Strands = append(want.Strands, h)
		wantTails = append(wantTails, dispatcher.StrandTail{Strand: ids[i]})
	}
	same(t, "the plan", got, want)
	same(t, "its counts", tails, wantTails)

	im, err := s.Load(t.Context(), "a", 0, false, nil)
	no(t, err)
	same(t, "the strands of the account", im.Strands, []dispatcher.Strand{p.Strands[0], p.Strands[2]})
	same(t, "their tails", im.Tails, []dispatcher.StrandTail{wantTails[0], wantTails[2]})
	if im.Generation != done.Generation+2 { // the plan, the hold
		t.Fatalf("generation %d, wanted %d", im.Generation, done.Generation+2)
	}
	im, err = s.Load(t.Context(), "a", im.Generation, false, nil)
	no(t, err)
	same(t, "the strands after the plan", im.Strands, []dispatcher.Strand{})

	do(t, s, dispatcher.Act{Warning: draft(2, warning.Released), ToPlan: true})
	none, err := s.PutPlan(t.Context(), 1, plan(2, 0)) // nobody can be reached: still a plan
	no(t, err)
	same(t, "ids of nobody", none, []dispatcher.StrandID{})
	got, _, err = s.PlanOf(t.Context(), id(2))
	no(t, err)
	same(t, "the plan of nobody", got, plan(2, 0))
	same(t, "the next id", planned(t, s, 3, 1, "b"), []dispatcher.StrandID{4})
}

// plansAhead: batches are stored before their plan, as often as one likes, and are read as if they had come with it.
func plansAhead(t *testing.T, s Store) {
	p := plan(1, 2_000_000, "a", "b")
	p.Strands = append(p.Strands, plan(1, 3, "a").Strands...)
	ahead := p
	ahead.Strands = slices.Clone(p.Strands)
	no(t, s.PutBatches(t.Context(), id(1), ahead.Strands))
	first := slices.Clone(ahead.Strands)
	no(t, s.PutBatches(t.Context(), id(1), ahead.Strands)) // again, whether they say where or not
	no(t, s.PutBatches(t.Context(), id(1), slices.Clone(p.Strands)))
	same(t, "where they are", ahead.Strands, first)
	if ahead.Strands[0].Ref == "" || ahead.Strands[0].Ref == ahead.Strands[1].Ref || ahead.Strands[2].Ref != "" {
		t.Fatalf("where batches are: %q, %q, of few %q", ahead.Strands[0].Ref, ahead.Strands[1].Ref, ahead.Strands[2].Ref)
	}
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	lost := ahead
	lost.Strands = slices.Clone(ahead.Strands)
	lost.Strands[1].Ref = "nowhere"
	no(t, s.PutBatches(t.Context(), id(1), lost.Strands)) // which believes what it is told
	_, err := s.PutPlan(t.Context(), 1, lost)
	must(t, err, dispatcher.ErrGone)
	_, _, err = s.PlanOf(t.Context(), id(1))
	must(t, err, dispatcher.ErrNotFound)
	ids, err := s.PutPlan(t.Context(), 1, ahead)
	no(t, err)
	again, err := s.PutPlan(t.Context(), 1, p) // by somebody who does not know where they are
	no(t, err)
	same(t, "ids of the repeat", again, ids)
	im, err := s.Load(t.Context(), "a", 0, false, nil)
	no(t, err)
	for i, of := range []int{0, 2} {
		p.Strands[of].ID = ids[of]
		same(t, "a strand of the account", im.Strands[i], p.Strands[of])
	}
}

// planParts: people are added to a plan part by part; a part is there once, and none is passed over.
func planParts(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	first, err := s.PutPlan(t.Context(), 1, plan(1, 10, "a"))
	no(t, err)
	third := plan(1, 3, "b")
	third.Parts = 3
	_, err = s.PutPlan(t.Context(), 1, third)
	must(t, err, dispatcher.ErrChanged)
	second := plan(1, 2, "b")
	second.Parts, second.Entered, second.Pending = 2, 2, true
	all, err := s.PutPlan(t.Context(), 1, second)
	no(t, err)
	same(t, "ids of both parts", all, append(first, 2))
	again, err := s.PutPlan(t.Context(), 1, second) // the answer was lost
	no(t, err)
	same(t, "ids of the repeat", again, all)
	other := plan(1, 3, "b")
	other.Parts = 2
	_, err = s.PutPlan(t.Context(), 1, other) // another process has other people
	must(t, err, dispatcher.ErrChanged)
	got, tails, err := s.PlanOf(t.Context(), id(1))
	no(t, err)
	if got.Parts != 2 || got.Entered != 2 || !got.Pending || len(got.Strands) != 2 || len(tails) != 2 {
		t.Fatalf("the plan has %d parts, %d entered, pending %v, %d strands", got.Parts, got.Entered, got.Pending, len(got.Strands))
	}
	im, err := s.Load(t.Context(), "b", 2, false, nil)
	no(t, err)
	if len(im.Strands) != 1 || im.Strands[0].People != 2 {
		t.Fatalf("account b carries %v", im.Strands)
	}
	third.Entered = 5
	_, err = s.PutPlan(t.Context(), 1, third)
	no(t, err)
	_, err = s.Do(t.Context(), dispatcher.Act{Warning: draft(1, warning.Completed), Rev: 1, Parts: 2}) // it has grown since
	must(t, err, dispatcher.ErrChanged)
	_, err = s.PutPlan(t.Context(), 1, second) // whether it is there cannot be told any more: the caller reads the plan
	must(t, err, dispatcher.ErrChanged)
	again, err = s.PutPlan(t.Context(), 1, plan(1, 10, "a")) // the first is a pure function
	no(t, err)
	same(t, "ids of the first part's repeat", again, append(all, 3))
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Completed), Rev: 1, Parts: 3, Puts: []dispatcher.Put{{Table: dispatcher.TableDuty, Field: "x", Value: []byte("on")}}})
	duty, err := s.Table(t.Context(), dispatcher.TableDuty)
	no(t, err)
	same(t, "what was put with it", duty, map[string][]byte{"x": []byte("on")})
}

// strandsGrow: a strand gets people at its end, once, and whoever has it already reads it again.
func strandsGrow(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	ids, err := s.PutPlan(t.Context(), 1, plan(1, 2000, "a", "b"))
	no(t, err)
	f := own(t, s, "a", "one")
	commit(t, s, f, 1, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], To: 2000}}})
	before, err := s.Load(t.Context(), "a", 0, false, nil)
	no(t, err)

	more := plan(1, 30, "a")
	more.Parts = 2
	more.Strands[0].ID, more.Strands[0].People = ids[0], 2031
	_, err = s.PutPlan(t.Context(), 1, more)
	must(t, err, dispatcher.ErrChanged) // it has not the people for it
	more.Strands[0].People = 2030
	for i := range 2 { // the answer was lost
		done := s.PutPlans(t.Context(), []dispatcher.Part{{Rev: 1, Plan: more}, {Rev: 7, Plan: more}})
		no(t, done[0].Err)
		same(t, "the ids", done[0].IDs, ids)
		same(t, "whether it was stored now", done[0].New, i == 0)
	}
	after, err := s.Load(t.Context(), "a", before.Generation, false, nil)
	no(t, err)
	want := before.Strands[0]
	want.People, want.Batches = 2030, append(want.Batches, more.Strands[0].Batches...)
	same(t, "the strand", after.Strands, []dispatcher.Strand{want})
	more.Parts, more.Strands[0].People = 3, 2060
	_, err = s.PutPlan(t.Context(), 1, more)
	no(t, err)
	commit(t, s, f, 2, dispatcher.Commit{Grants: []dispatcher.Grant{{Strand: ids[0], From: 2000, To: 2060}}})
	commit(t, s, f, 3, dispatcher.Commit{Close: []dispatcher.Close{{Strand: ids[0], As: warning.Moved}}})
	more.Parts, more.Strands[0].People = 4, 2090
	_, err = s.PutPlan(t.Context(), 1, more)
	must(t, err, dispatcher.ErrChanged)
	none, err := s.Load(t.Context(), "b", after.Generation, false, nil)
	no(t, err)
	same(t, "the strands of another account", none.Strands, []dispatcher.Strand{})
}

// standing: the short list says what the records say.
func standing(t *testing.T, s Store) {
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released)})
	do(t, s, dispatcher.Act{Warning: draft(2, warning.Submitted)})
	move(t, s, 1, 1, warning.Completed)
	got, err := s.Standing(t.Context(), []warning.State{warning.Released, warning.Completed})
	no(t, err)
	same(t, "those that were released", got, []dispatcher.Standing{
		{ID: id(1), State: warning.Completed, Expires: draft(1, warning.Completed).Spec.Expires},
	})
	got, err = s.Standing(t.Context(), nil)
	no(t, err)
	if len(got) != 2 {
		t.Fatalf("%d warnings, wanted both", len(got))
	}
}

func stalePlan(t *testing.T, s Store) {
	_, err := s.PutPlan(t.Context(), 1, plan(1, 10, "a"))
	must(t, err, dispatcher.ErrNotFound)
	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	move(t, s, 1, 1, warning.Held)
	for _, rev := range []uint64{1, 2} {
		_, err = s.PutPlan(t.Context(), rev, plan(1, 10, "a"))
		must(t, err, dispatcher.ErrChanged)
	}
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	same(t, "the strands", im.Strands, []dispatcher.Strand{})
	move(t, s, 1, 2, warning.Released)
	_, err = s.PutPlan(t.Context(), 3, plan(1, 10, "a"))
	no(t, err)
	p := plan(1, 10, "a")
	p.Version = 2
	_, err = s.PutPlan(t.Context(), 3, p)
	must(t, err, dispatcher.ErrChanged)
}
