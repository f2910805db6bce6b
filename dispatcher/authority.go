package dispatcher

import (
	"context"
	"slices"
	"time"

	"tocsin/warning"
)

// This file is what somebody may do alone, and what another person must look at afterwards. A review stands in the record
// of its warning; TableReviews is the index of those that are open, so that nobody need read every warning to find them.

// EmergencyRelease lets an actual warning leave that still lacks approvals. It opens a review that another person must
// close.
func (e *Engine) EmergencyRelease(ctx context.Context, c Caller, key, id, why string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.emergency", []string{id, why}), "warning.emergency", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			r, err := e.policy.Emergency(w, c.User, c.Role, why, now)
			if err != nil {
				return decision{}, err
			}
			if _, err := e.look(ctx, w.Spec, now); err != nil {
				return decision{}, err
			}
			return e.releaseAlone(w, r, now), nil
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
