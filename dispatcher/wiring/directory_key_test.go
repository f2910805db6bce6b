package wiring

import (
	"testing"

	"tocsin/warning"
)

// TestOneKeyTwiceAtOnce: the same call twice, before the first has an answer, happens once and has one answer; with other content
// it is refused.
func TestOneKeyTwiceAtOnce(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	mustImport(t, d, "i", people(t, 3000, 1))
	const number = 9990000009999
	ask := func(digest string, c warning.Change) *request {
		r := &request{ctx: t.Context(), caller: engineer, key: "k", digest: digest, changes: []warning.Change{c}, done: make(chan struct{})}
		d.queue.add(r)
		return r
	}
	c := warning.Change{Number: somebody(d.current(), 1), Deed: warning.DeedPut, NewNumber: number}
	first, again := ask("a", c), ask("a", c)
	other := ask("b", erase(number))
	for all := d.queue.take(); len(all) > 0; all = d.queue.take() {
		d.together(t.Context(), all)
	}
	if first.err != nil || again.err != nil || first.answer.Changed != 1 || again.answer.Changed != 1 || again.answer.Snapshot != first.answer.Snapshot {
		t.Errorf("first %+v, %v; again %+v, %v", first.answer, first.err, again.answer, again.err)
	}
	if warning.ReasonOf(other.err) != warning.ReasonExists {
		t.Errorf("the same key with other content: %v", other.err)
	}
	if _, _, ok := d.current().Find(number); !ok {
		t.Error("who has a new number is gone")
	}
}
