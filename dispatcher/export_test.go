package dispatcher

import (
	"context"
	"time"

	"tocsin/warning"
)

// Held is what the accounts of this process hold: strands, the places that they have had, and references to their people.
func (e *Engine) Held() (strands, places, refs int) {
	for _, a := range e.all() {
		a.mu.Lock()
		strands, places = strands+len(a.byID), places+len(a.strands)
		for _, s := range a.people.snaps {
			refs += len(s.refs)
		}
		a.mu.Unlock()
	}
	return strands, places, refs
}

// Known is what is known of each block of a snapshot: by which accounts the public goes by SMS, where they live, and who is
// beyond the border; nil where it is not.
func (e *Engine) Known(snap Snapshot) (ways, homes, beyond []any) {
	r := e.routing.Load().router(warning.SMS, warning.Exercise)
	for i := range snap.Blocks() {
		block, people := uint32(i), snap.Block(i)
		ways, homes, beyond = append(ways, entry(r.keeps(), block, people)), append(homes, entry(&e.census.blocks, block, people)), append(beyond, entry(&e.beyond, block, people))
	}
	return ways, homes, beyond
}

func entry[T any](p *perBlock[T], block uint32, people warning.Block) any {
	if !p.has(block, people) {
		return nil
	}
	return p.at(block).Load()
}

// Bell rings whoever is on duty as of the times that it is given.
func (e *Engine) Bell() func(ctx context.Context, now time.Time) error {
	return (&bell{e: e, rung: map[string]rung{}, told: map[string]bool{}}).turn
}

// Stepped is a time as it is read after the wall clock was set.
var Stepped = stepped
