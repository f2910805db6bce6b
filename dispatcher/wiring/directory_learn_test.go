package wiring

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"

	"tocsin/dispatcher"
)

// TestADirectoryIsLearntBeforeItCounts: whoever looks at a warning right after an import, here or in another process, waits for
// none of what is to be found out of it.
func TestADirectoryIsLearntBeforeItCounts(t *testing.T) {
	r := newRealm(t)
	here, there := r.process(), r.process()
	learnt := map[*directory][]string{}
	for _, d := range []*directory{here, there} {
		d.learn = func(s dispatcher.Snapshot) {
			if now := d.current(); now != nil && now.ID() == s.ID() {
				t.Error("it counts before it is learnt")
			}
			learnt[d] = append(learnt[d], s.ID())
		}
	}
	var want []string
	for i := range 2 {
		want = append(want, mustImport(t, here, fmt.Sprint(i), people(t, 3000, uint64(i+1))).Snapshot)
		for range 2 {
			if err := errors.Join(here.refresh(context.Background()), there.refresh(context.Background())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for d, got := range learnt {
		if !slices.Equal(got, want) {
			t.Errorf("here: %t: %d were learnt of %d", d == here, len(got), len(want))
		}
	}
	if len(learnt) != 2 {
		t.Errorf("%d processes have learnt", len(learnt))
	}
}

// TestAProcessLearnsItsDirectory: the engine is what a new directory is shown to.
func TestAProcessLearnsItsDirectory(t *testing.T) {
	dir, _ := house(t, "127.0.0.1:1")
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, err := newProcess(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if p.dir.learn == nil {
		t.Error("nobody learns a new directory before it counts")
	}
}
