package storetest

import (
	"fmt"
	"testing"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// archived: the strands leave their accounts and are read by nobody; the report is kept as it was first, and the rolls.
func archived(t *testing.T, s Store) {
	ids := planned(t, s, 1, 10, "a", "b")
	planned(t, s, 2, 10, "a")
	f := own(t, s, "a", "one")
	no(t, s.Fold(t.Context(), f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("chunk")}}, 0))
	for range 2 {
		no(t, s.PutRoll(t.Context(), id(1), ids[0], [][]byte{[]byte("first"), {}}))
	}
	large := make([][]byte, 40) // more than one script
	for i := range large {
		large[i] = fmt.Appendf(make([]byte, 50_000), "page %d", i)
	}
	no(t, s.PutRoll(t.Context(), id(1), 0, large))
	for _, report := range []string{"report", "another"} {
		no(t, s.Archive(t.Context(), id(1), []byte(report)))
	}
	no(t, s.PutRoll(t.Context(), id(1), ids[0], [][]byte{[]byte("of another process, whose ledger was gone")}))
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	if len(im.Strands) != 1 || im.Strands[0].Warning != id(2) {
		t.Fatalf("the account carries %v", im.Strands)
	}
	_, err = s.Read(t.Context(), "a", ids[:1], true)
	must(t, err, dispatcher.ErrNotFound)
	p, tails, err := s.PlanOf(t.Context(), id(1))
	no(t, err)
	if len(p.Strands) != 2 || len(tails) != 2 || string(p.Archived) != "report" {
		t.Fatalf("%d strands of the plan, report %q", len(p.Strands), p.Archived)
	}
	pages, err := s.RollPages(t.Context(), id(1), []dispatcher.RollPage{{Strand: ids[0]}, {Strand: ids[0], Page: 1}, {Strand: ids[1]}, {Page: 39}})
	no(t, err)
	if string(pages[0]) != "first" || pages[1] == nil || pages[2] != nil || string(pages[3]) != string(large[39]) {
		t.Fatalf("pages %.20q", pages)
	}
	more := plan(1, 5, "a")
	more.Parts = 2
	_, err = s.PutPlan(t.Context(), 1, more)
	must(t, err, dispatcher.ErrChanged)
	must(t, s.Archive(t.Context(), id(3), nil), dispatcher.ErrNotFound)
	if once := s.Pseudonym(9991); once == s.Pseudonym(9992) || once != s.Pseudonym(9991) {
		t.Fatal("a pseudonym stands for one number, always")
	}
}

// deleted: nothing is found of the warning, its keys and content are free again, and what was done stays in the record.
func deleted(t *testing.T, s Store) {
	field := func(f string) dispatcher.Put {
		return dispatcher.Put{Table: dispatcher.TablePlays, Field: f, Value: []byte("{}")}
	}
	w := draft(1, warning.Released)
	do(t, s, dispatcher.Act{
		User: "lin", Key: "k", Digest: "d", Answer: []byte("x"), Entry: entry("submit"), Warning: w, ToPlan: true, Unique: true,
		Puts: []dispatcher.Put{field("1/loud"), field("2/loud")},
	})
	ids, err := s.PutPlan(t.Context(), 1, plan(1, 2_000_000, "a", "b"))
	no(t, err)
	others := planned(t, s, 2, 10, "a")
	do(t, s, dispatcher.Act{User: "lin", Key: "2", Digest: "d", Warning: draft(2, warning.Completed), Rev: 1})
	do(t, s, dispatcher.Act{User: "wu", Key: "k", Digest: "e", Warning: draft(1, warning.Completed), Rev: 1})
	no(t, s.PutRoll(t.Context(), id(1), ids[0], [][]byte{{1}}))
	no(t, s.Archive(t.Context(), id(1), []byte("report")))
	for range 2 {
		no(t, s.Delete(t.Context(), id(1), entry("delete"), []dispatcher.Put{{Table: dispatcher.TablePlays, Field: "1/loud"}}))
		no(t, s.Purge(t.Context()))
	}
	_, _, err = s.Warning(t.Context(), id(1))
	must(t, err, dispatcher.ErrNotFound)
	_, _, err = s.PlanOf(t.Context(), id(1))
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.Read(t.Context(), "a", ids[:1], false)
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.States(t.Context(), []string{id(1)})
	must(t, err, dispatcher.ErrNotFound)
	pages, err := s.RollPages(t.Context(), id(1), []dispatcher.RollPage{{Strand: ids[0]}})
	no(t, err)
	same(t, "the roll", pages, [][]byte{nil})
	for user, digest := range map[string]string{"lin": "d", "wu": "e"} {
		if _, ok, err := s.Answered(t.Context(), user, "k", digest); ok || err != nil {
			t.Fatalf("the act of %s is answered still: %v", user, err)
		}
	}
	if _, ok, err := s.Answered(t.Context(), "lin", "2", "d"); !ok || err != nil {
		t.Fatal("the act on another warning is not answered any more", err)
	}
	table, err := s.Table(t.Context(), dispatcher.TablePlays)
	no(t, err)
	same(t, "plays", table, map[string][]byte{"2/loud": []byte("{}")})
	all, err := s.Warnings(t.Context(), nil, 0)
	no(t, err)
	standing, err := s.Standing(t.Context(), dispatcher.Over)
	no(t, err)
	if len(all) != 1 || all[0].ID != id(2) || len(standing) != 1 {
		t.Fatalf("%d warnings, %d of them over", len(all), len(standing))
	}
	record, err := s.Entries(t.Context(), 1, 10)
	no(t, err)
	if len(record) != 2 {
		t.Fatalf("%d entries, wanted the submit and the delete", len(record))
	}
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	no(t, err)
	if len(im.Strands) != 1 || im.Strands[0].ID != others[0] {
		t.Fatalf("the account carries %v", im.Strands)
	}
	same(t, "the next id", planned(t, s, 3, 1, "b"), []dispatcher.StrandID{others[0] + 1})
}

func notDeleted(t *testing.T, s Store) {
	remove := func(n int) error { return s.Delete(t.Context(), id(n), entry("delete"), nil) }
	for n, state := range []warning.State{warning.Submitted, warning.Approved, warning.Released, warning.Held} {
		do(t, s, dispatcher.Act{Warning: draft(n, state)})
		must(t, remove(n), dispatcher.ErrChanged)
	}
	planned(t, s, 5, 10, "a")
	move(t, s, 5, 1, warning.Completed)
	must(t, remove(5), dispatcher.ErrChanged)
	for n, state := range dispatcher.Over { // never planned
		do(t, s, dispatcher.Act{Warning: draft(10+n, state)})
		no(t, remove(10+n))
	}
	no(t, remove(99))
	no(t, s.Purge(t.Context()))
	all, err := s.Warnings(t.Context(), nil, 0)
	no(t, err)
	record, err := s.Entries(t.Context(), 1, 99)
	no(t, err)
	if len(all) != 5 || len(record) != len(dispatcher.Over) {
		t.Fatalf("%d warnings are left, %d entries", len(all), len(record))
	}
}
