package wiring

import (
	"testing"
	"time"

	"tocsin/dispatcher/intake"
	"tocsin/warning"
)

// TestAnImportThatIsRepeatedLeavesNothing: where the directory has changed since, the answer of before is given again, and what
// the change replaced is not stored again: no snapshot names it, so that no sweep would find it.
func TestAnImportThatIsRepeatedLeavesNothing(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	first := mustImport(t, d, "i", people(t, 3000, 1))
	if _, err := change(t.Context(), d, "c", "", warning.Change{Number: somebody(d.current(), 5), Deed: warning.DeedUnsubscribe}); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if err := d.sweep(t.Context(), time.Now().Add(time.Duration(n+2)*retireAfter)); err != nil {
			t.Fatal(err)
		}
	}
	before := len(r.keys(t, ""))
	again, err := d.Import(t.Context(), engineer, intake.ImportHead{Key: "i"}, chunks(people(t, 3000, 1), 1000))
	if err != nil || again.Snapshot != first.Snapshot || d.current().ID() == first.Snapshot {
		t.Errorf("the repeat was answered %+v: %v", again, err)
	}
	if after := len(r.keys(t, "")); after != before {
		t.Errorf("%d keys became %d", before, after)
	}
}
