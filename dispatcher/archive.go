package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// This file ends the work on a warning: when no receipt can come any more its strands leave their accounts, and the report
// is kept as it is then. A process that begins does not read them, and the snapshots that they name may be dropped: who
// was erased is nowhere after that, so that Who does not know these warnings any more.

const (
	// receiptsFor is how long after the end of a warning a carrier may still send receipts.
	receiptsFor  = 72 * time.Hour
	archiveEvery = 10 * time.Minute
)

var over = []warning.State{warning.Completed, warning.Cancelled, warning.Expired, warning.Replaced}

// watchArchive archives what is long over until ctx ends.
func (e *Engine) watchArchive(ctx context.Context) {
	done := map[string]bool{}
	for ctx.Err() == nil {
		if err := e.archive(ctx, done); err != nil && ctx.Err() == nil {
			e.log.Warn("warnings that are over cannot be archived now", zap.Error(err))
		}
		pause(ctx, archiveEvery)
	}
}

// archive archives what is long over and not in done.
func (e *Engine) archive(ctx context.Context, done map[string]bool) error {
	list, err := e.records.Standing(ctx, over)
	if err != nil {
		return err
	}
	var all error
	for _, st := range list {
		if done[st.ID] || time.Since(st.Expires) < receiptsFor {
			continue
		}
		if err := e.archiveOne(ctx, st.ID); err != nil {
			all = errors.Join(all, err) // the others are archived all the same
			continue
		}
		done[st.ID] = true
	}
	return all
}

func (e *Engine) archiveOne(ctx context.Context, id string) error {
	plan, _, err := e.planOf(ctx, id)
	if errors.Is(err, ErrNotFound) || plan.Archived != nil {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := e.Report(ctx, id)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return e.records.Archive(ctx, id, kept)
}
