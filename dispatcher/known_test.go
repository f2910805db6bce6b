package dispatcher_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// learning is a town that notes of which block it was asked.
type learning struct {
	*town
	name   string
	seen   []atomic.Bool
	during func() // each time
}

func (l *learning) ID() string { return l.name }

func (l *learning) Block(i int) warning.Block {
	l.seen[i].Store(true)
	l.during()
	return l.town.Block(i)
}

// asked is of how many blocks it was asked.
func (l *learning) asked() (n int) {
	for i := range l.seen {
		if l.seen[i].Load() {
			n++
		}
	}
	return n
}

// directoryOf is a directory of one snapshot, which may be changed.
type directoryOf struct {
	*town
	newest atomic.Pointer[learning]
}

func (d *directoryOf) Current() (dispatcher.Snapshot, bool) { return d.newest.Load(), true }

// TestTheDirectoryIsLearntAhead: without anybody looking at a warning, all blocks are known after a start, an import, a change,
// a fail-over and back, and no block twice; what a newer directory overtakes is broken off.
func TestTheDirectoryIsLearntAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(name string, blocks []warning.Block) *learning {
			t := newTown(0)
			t.blocks = blocks
			return &learning{town: t, name: name, seen: make([]atomic.Bool, len(blocks)), during: func() {}}
		}
		h := houseOf(t, 1, 1500)
		h.other = newCarrier()
		dir := &directoryOf{town: h.town}
		dir.newest.Store(of("first", newTown(5000).blocks))
		h.start(func(o *dispatcher.Options) { o.Directory = dir })
		defer h.close()
		var before [3][]any
		// learnt looks that all is known of every block, and of same of them as it was before.
		learnt := func(when string, same ...int) {
			t.Helper()
			pass(time.Second)
			snap := dir.newest.Load()
			var now [3][]any
			now[0], now[1], now[2] = h.e.Known(snap)
			for k, what := range []string{"the ways", "the homes", "who is beyond"} {
				if slices.Contains(now[k], nil) || len(now[k]) != snap.Blocks() {
					t.Errorf("%s: of %d blocks %s are known as %v", when, snap.Blocks(), what, now[k])
				}
				n := 0
				for i := range min(len(before[k]), len(now[k])) {
					if now[k][i] == before[k][i] {
						n++
					}
				}
				if n != same[min(k, len(same)-1)] {
					t.Errorf("%s: %s of %d blocks were not found out again, want %d", when, what, n, same)
				}
			}
			before = now
		}
		learnt("start", 0)

		dir.newest.Store(of("import", newTown(7000).blocks))
		learnt("import", 0)

		blocks := slices.Clone(dir.newest.Load().blocks)
		blocks[2] = newTown(1024).blocks[0]
		dir.newest.Store(of("change", blocks))
		learnt("change", 6)

		overtaken, next := of("overtaken", newTown(9000).blocks), of("next", newTown(8000).blocks)
		overtaken.during = func() { dir.newest.Store(next) }
		dir.newest.Store(overtaken)
		learnt("overtaken", 0)
		if n := overtaken.asked(); n != 1 {
			t.Errorf("of a directory that was overtaken at its first block %d were learnt", n)
		}

		h.c.cut(true) // and the account is left
		pass(20 * time.Second)
		learnt("fail-over", 0, 8)

		same := dispatcher.Accounts{Accounts: h.carriers()}
		for i := range same.Accounts {
			same.Accounts[i].Rate++
		}
		change, err := h.e.Prepare(t.Context(), same, false)
		if err != nil {
			t.Fatal(err)
		}
		change.Apply()
		learnt("another rate", 8)

		dir.newest.Store(of("at once", newTown(6000).blocks))
		h.e.Learn()
		if ways, homes, beyond := h.e.Known(dir.newest.Load()); slices.Contains(slices.Concat(ways, homes, beyond), nil) {
			t.Errorf("the ways are known as %v, the homes as %v, who is beyond as %v", ways, homes, beyond)
		}
	})
}
