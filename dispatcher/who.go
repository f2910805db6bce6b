package dispatcher

import (
	"context"
	"errors"
	"strconv"
	"time"

	"tocsin/warning"
)

// Who shows one person's messages. The look-up stands in the record, without the number.
func (e *Engine) Who(ctx context.Context, c Caller, number uint64, why string) (Who, error) {
	digits := strconv.FormatUint(number, 10)
	out := Who{Number: mask(digits)}
	_, err := e.records.Do(ctx, Act{Entry: Entry{
		At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "person.look", Subject: out.Number, Detail: why,
	}})
	if err != nil {
		return out, unavailable(err)
	}
	list, err := e.records.Warnings(ctx, nil, 0)
	if err != nil {
		return out, unavailable(err)
	}
	if e.keepFor > 0 {
		out.Since = time.Now().Add(-e.keepFor).UTC()
	}
	if snap, ok := e.dir.Current(); ok {
		if block, slot, in := snap.Find(number); in {
			out.Known, out.District = true, snap.District(warning.DistrictOf(snap.Block(block).Home[slot]))
		}
	}
	for i := range list {
		if err := e.whoIn(ctx, &list[i], number, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func mask(digits string) string {
	out := []byte(digits)
	for i := range max(0, len(out)-4) {
		out[i] = '*'
	}
	return string(out)
}

// whoIn adds what became of one warning for the person.
func (e *Engine) whoIn(ctx context.Context, w *warning.Warning, number uint64, out *Who) error {
	plan, _, err := e.planOf(ctx, w.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	m := WhoMessage{Warning: w.ID, EventName: w.Spec.EventName, Tier: w.Spec.Tier}
	if plan.Archived != nil {
		return e.inRolls(ctx, w, &plan, number, m, out)
	}
	snap, err := e.dir.Snapshot(ctx, plan.Snapshot)
	if err != nil {
		return unavailable(err)
	}
	found := false
	err = e.ledgers(ctx, w, &plan, func(s *strand) error {
		block, slot, in := s.snap.Find(number)
		for i := range s.Batches {
			if !in || int(s.Batches[i].Block) != block {
				continue
			}
			if pos, ok := s.position(i, slot); ok {
				found = true
				out.Messages = append(out.Messages, whoMessage(m, s, pos))
			}
		}
		return nil
	})
	if err != nil || found {
		return err
	}
	block, slot, in := snap.Find(number)
	if in && snap.Block(block).Flags[slot]&warning.OptedOut != 0 {
		sel, err := snap.Resolve(w.Spec.Areas, e.policy().Presence(w.Spec.Tier, w.ReleasedAt))
		if err != nil {
			return err
		}
		for i, at := range sel.Blocks {
			if int(at) == block && sel.Masks[i].Has(slot) {
				m.Excluded = "opted_out"
				out.Messages = append(out.Messages, m)
			}
		}
	}
	return nil
}

func whoMessage(m WhoMessage, s *strand, pos uint32) WhoMessage {
	m.Channel, m.Account, m.State = s.Channel, s.Account, s.led.stateOf(pos)
	if pos >= s.led.granted {
		return m
	}
	m.Reason = s.led.at(pos).reason.String()
	m.HandedOver, _ = s.handedAt(pos)
	if t := s.led.at(pos).receiptAt; t > 0 {
		m.Receipt = s.led.base.Add(time.Duration(t) * time.Millisecond)
	}
	return m
}
