package dispatcher

import (
	"context"
	"slices"
	"time"

	"tocsin/warning"
)

// This file is what somebody may do alone, and what another person must look at afterwards. A review stands in the record
// of its warning; TableReviews is the index of those that are open, so that nobody need read every warning to find them.

// covers refuses a warning that the caller's scope does not cover. Where the warning is is asked of those only whom it
// hinders, and not of a correction or all-clear: these go to whom their original reached.
func (e *Engine) covers(c Caller, w *warning.Warning) error {
	if err := c.Scope.Check(c.User, w, true); err != nil || c.Scope&warning.ScopeOutside != 0 {
		return err
	}
	if w.Spec.Type == warning.Cancel || w.Spec.Type == warning.AllClear {
		return nil
	}
	o, _, err := e.border(w.Spec.Areas)
	if err != nil {
		return err
	}
	_, err = e.policy().Admit(o)
	return c.Scope.Check(c.User, w, err == nil)
}

// border is what of the areas lies beyond the jurisdiction, and the part of the jurisdiction that they cover. Who approves
// has looked at the warning a moment ago, and then it is not measured again.
func (e *Engine) border(areas []warning.Area) (warning.Outside, float64, error) {
	if o, share, ok := e.bordering(areas); ok {
		return o, share, nil
	}
	return e.land.Border(areas)
}

// abroad is who of a block is with a neighbour.
type abroad struct {
	neighbour string
	mask      warning.Mask
}

// abroad is who of a block is beyond the jurisdiction. They may be others than those of mask too.
func (e *Engine) abroad(block uint32, people warning.Block, mask *warning.Mask) []abroad {
	find := func(mask *warning.Mask) (out []abroad) {
		e.land.Beyond(people, mask, func(slot int, neighbour string) {
			at := slices.IndexFunc(out, func(a abroad) bool { return a.neighbour == neighbour })
			if at < 0 {
				at = len(out)
				out = append(out, abroad{neighbour: neighbour})
			}
			out[at].mask.Set(slot)
		})
		return slices.Clone(out)
	}
	if !e.beyond.has(block, people) && 4*mask.Count() < people.Len() {
		return find(mask)
	}
	return e.beyond.of(block, people, func() []abroad {
		all := warning.First(people.Len())
		return find(&all)
	})
}

// countBeyond counts who of the selection is with each neighbour.
func (e *Engine) countBeyond(o *warning.Outside, snap Snapshot, sel *warning.Selection) {
	if o.Share == 0 {
		return
	}
	parts := make([]map[string]int64, partsOf(len(sel.Blocks)))
	sideBySide(len(sel.Blocks), func(k, from, to int) {
		people := map[string]int64{}
		for i := from; i < to; i++ {
			for _, a := range e.abroad(sel.Blocks[i], snap.Block(int(sel.Blocks[i])), &sel.Masks[i]) {
				_, n := a.mask.Both(&sel.Masks[i])
				people[a.neighbour] += int64(n)
			}
		}
		parts[k] = people
	})
	for i := range o.Neighbours {
		for _, people := range parts {
			o.Neighbours[i].People += people[o.Neighbours[i].Code]
		}
	}
}

// preAuthorised releases w where a paper lets the caller do so, and opens the review of it.
func (e *Engine) preAuthorised(c Caller, w *warning.Warning, now time.Time) (decision, bool) {
	paper, ok := e.policy().PreAuthorised(c.User, &w.Spec, now, func(units []string) bool { return e.land.Within(w.Spec.Areas, units) })
	if !ok {
		return decision{}, false
	}
	return e.releaseAlone(w, e.policy().ReviewOf(w, paper, c.User, now), now), true
}

// EmergencyRelease lets an actual warning leave that still lacks approvals. It opens a review that another person must
// close.
func (e *Engine) EmergencyRelease(ctx context.Context, c Caller, key, id, why string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.emergency", []string{id, why}), "warning.emergency", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			r, err := e.policy().Emergency(w, c.User, c.Role, why, now)
			if err != nil {
				return decision{}, err
			}
			puts, err := e.follows(ctx, w)
			if err != nil {
				return decision{}, err
			}
			if _, err := e.look(ctx, w.Spec, now, now); err != nil {
				return decision{}, err
			}
			d := e.releaseAlone(w, r, now)
			d.puts = append(d.puts, puts...)
			return d, nil
		})
}

// releaseAlone releases w and opens the review of it.
func (e *Engine) releaseAlone(w *warning.Warning, r warning.Review, now time.Time) decision {
	w.State, w.ReleasedAt, w.Review = warning.Released, now, &r
	detail := "emergency: " + r.Why
	if r.Paper != "" {
		detail = "paper " + r.Paper
	}
	return decision{
		detail: detail + ", review due " + r.Due.Format(time.RFC3339), release: true,
		puts: []Put{{Table: TableReviews, Field: w.ID, Value: []byte(r.Due.Format(time.RFC3339))}},
	}
}

// CloseReview says what a person found who neither submitted nor released the warning.
func (e *Engine) CloseReview(ctx context.Context, c Caller, key, id, finding string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("review.close", []string{id, finding}), "review.close", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if w.Review == nil {
				return decision{}, warning.Refuse(warning.ReasonConflict, "nobody released this warning alone, so there is nothing to review; tocsin review list shows what is open")
			}
			r, err := w.Review.Close(w.SubmittedBy, c.User, c.Role, finding, now)
			if err != nil {
				return decision{}, err
			}
			w.Review = &r
			return decision{detail: finding, puts: []Put{{Table: TableReviews, Field: w.ID}}}, nil
		})
}

// Reviews is the open reviews, the one due first first.
func (e *Engine) Reviews(ctx context.Context) ([]warning.Review, error) {
	table, err := e.records.Table(ctx, TableReviews)
	if err != nil {
		return nil, unavailable(err)
	}
	var out []warning.Review
	for id := range table {
		w, err := e.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if w.Review != nil && w.Review.Open() {
			out = append(out, *w.Review)
		}
	}
	slices.SortFunc(out, func(a, b warning.Review) int { return a.Due.Compare(b.Due) })
	return out, nil
}
