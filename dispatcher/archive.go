package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// This file ends the work on a warning, in three steps counted from the end of its validity. After receiptsFor no receipt
// can come any more: owners let its strands go (settled.go), and nothing may follow it. After archiveAfter its
// report and its rolls are kept in place of the strands, whose snapshots may be dropped. After keep all of it is deleted, but
// what the record of acts says of it. A warning that another one follows, or whose review is open, stays.

const (
	// receiptsFor is how long after the end of a warning a carrier may still send receipts.
	receiptsFor = 72 * time.Hour
	// archiveAfter leaves those who were quick enough to follow a warning the time to plan, and owners to write.
	archiveAfter = receiptsFor + 10*time.Minute
	archiveEvery = 10 * time.Minute
)

// late refuses what would follow a warning that ended too long ago.
func late(o *warning.Warning, now time.Time) error {
	if now.Sub(o.Spec.Expires) < receiptsFor {
		return nil
	}
	return warning.Refuse(warning.ReasonConflict, "the warning ended more than 72 hours ago and nothing can follow it any more; submit a new one for its area")
}

// watchArchive archives and deletes what is long over until ctx ends.
func (e *Engine) watchArchive(ctx context.Context) {
	done := map[string]bool{} // those that are archived, or have nothing to be
	for ctx.Err() == nil {
		if err := e.endOver(ctx, done); err != nil && ctx.Err() == nil {
			e.log.Warn("warnings that are over cannot be archived or deleted now", zap.Error(err))
		}
		pause(ctx, archiveEvery)
	}
}

// endOver archives what is long over and not in done, and deletes what is not kept any more.
func (e *Engine) endOver(ctx context.Context, done map[string]bool) error {
	list, err := e.records.Standing(ctx, Over)
	if err != nil {
		return err
	}
	now := time.Now() // before what is needed is read: what is young enough to be followed stays, however long this takes
	needed, err := e.needed(ctx)
	if err != nil {
		return err
	}
	over := map[string]bool{}
	var all error
	for _, st := range list {
		over[st.ID] = true
		age := now.Sub(st.Expires)
		if needed[st.ID] || age < archiveAfter {
			continue
		}
		if !done[st.ID] {
			err = e.archiveOne(ctx, st.ID)
			done[st.ID] = err == nil
		}
		if err == nil && e.keepFor > 0 && age >= e.keepFor {
			err = e.deleteOne(ctx, st.ID)
		}
		if err != nil {
			all, err = errors.Join(all, err), nil // the others all the same
		}
	}
	maps.DeleteFunc(done, func(id string, _ bool) bool { return !over[id] })
	return errors.Join(all, e.records.Purge(ctx))
}

// needed is the warnings that a live one follows, and those whose review is open.
func (e *Engine) needed(ctx context.Context) (map[string]bool, error) {
	live, err := e.records.Warnings(ctx, []warning.State{warning.Submitted, warning.Approved, warning.Released, warning.Held}, 0)
	if err != nil {
		return nil, err
	}
	reviews, err := e.records.Table(ctx, TableReviews)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for id := range reviews {
		out[id] = true
	}
	for i := range live {
		for _, id := range live[i].Spec.References {
			out[id] = true
		}
	}
	return out, nil
}

func (e *Engine) archiveOne(ctx context.Context, id string) error {
	plan, _, err := e.planOf(ctx, id)
	if errors.Is(err, ErrNotFound) || plan.Archived != nil {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := e.report(ctx, id, func(s *strand) error { return e.keepRoll(ctx, s) })
	if err != nil {
		return err
	}
	if err := e.keepExcluded(ctx, &r.Warning, &plan); err != nil {
		return err
	}
	kept, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return e.records.Archive(ctx, id, kept)
}

// deleteOne removes a warning. That it was there, and who did what with it, stays in the record of acts.
func (e *Engine) deleteOne(ctx context.Context, id string) error {
	fields := []Put{{Table: TableFollowed, Field: id}}
	for _, table := range []string{TablePlays, TableSounds} {
		all, err := e.records.Table(ctx, table)
		if err != nil {
			return err
		}
		for field := range all {
			if strings.HasPrefix(field, PlayField(id, "")) {
				fields = append(fields, Put{Table: table, Field: field})
			}
		}
	}
	c := itself()
	return e.records.Delete(ctx, id, Entry{
		At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "warning.delete", Subject: id, Detail: "kept for " + e.keepFor.String(),
	}, fields)
}
