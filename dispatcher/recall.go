package dispatcher

import (
	"context"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// recallTime is how long a carrier may take to give back what it holds of one strand.
const recallTime = time.Minute

// recallMost is how many messages are asked for in one call.
const recallMost = 10_000

// mayRecall tells whether nobody waits in the strand any more, and the carrier may hold messages that a cancel takes back.
func (s *strand) mayRecall(now time.Time) bool {
	return s.led.counts[warning.HandedOver] > 0 && !s.recalled && s.finished() && now.Before(s.w.Spec.Expires)
}

// recall asks the carrier for what it still holds of a cancelled strand, where its protocol can. Somebody whose message
// was given up has not got it, as if a receipt said that the carrier deleted it.
func (a *account) recall(ctx context.Context, s *strand) {
	a.mu.Lock()
	r, ok := a.carrier.(channels.Recaller)
	var batch []channels.Message
	if ok {
		for pos := range s.led.granted {
			if s.led.at(pos).state == warning.HandedOver {
				batch = append(batch, channels.Message{Token: uint64(s.index)<<32 | uint64(pos)})
			}
		}
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recallTime)
	defer cancel()
	for len(batch) > 0 && ctx.Err() == nil {
		n := min(len(batch), recallMost)
		asked, gone := r.Recall(ctx, batch[:n])
		batch = batch[n:]
		a.mu.Lock()
		now := time.Now()
		s.asked += int64(asked)
		s.back += int64(len(gone))
		for _, g := range gone {
			rec := record{pos: uint32(g.Token), kind: recFailed, segment: g.Index, reason: channels.DeletedThere}
			s.led.apply(now, rec)
			a.journal.add(s.ID, now, rec)
		}
		a.touch(s)
		a.mu.Unlock()
	}
}
