package dispatcher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is what is kept of people when a warning is archived. A roll says by the pseudonym of a number what became of
// one person, so that Who needs no snapshot and reads one page of a strand; no number and no position is in it.

// rollPeople is how many people a page of a roll has, on average: 12 bytes each.
const rollPeople = ChunkSize

// roll is what became of the people of a strand. A page is the records of those whose pseudonym falls into it:
//
//	bytes 8 to 13 of the pseudonym | state u8 | reason u8 | handed over, receipt: uvarints, in seconds after the release and one; 0: none
type roll struct {
	people int64
	pages  [][]byte
}

// fate is what became of one person in one strand.
type fate struct {
	state            warning.PersonState
	reason           channels.Reason
	handed, received uint64 // seconds after the release and one; 0: none
}

const rollTag = 6 // with the page 60 bits of a strand of 16 million: nobody is taken for somebody else

func newRoll(people int64) *roll {
	return &roll{people: people, pages: make([][]byte, people/rollPeople+1)}
}

// rollPage is on which page of a roll of so many people a pseudonym stands.
func rollPage(people int64, who [16]byte) int {
	return int(binary.LittleEndian.Uint64(who[:]) % uint64(people/rollPeople+1))
}

func (r *roll) add(who [16]byte, f fate) {
	p := &r.pages[rollPage(r.people, who)]
	*p = append(append(*p, who[8:8+rollTag]...), byte(f.state), byte(f.reason))
	*p = binary.AppendUvarint(binary.AppendUvarint(*p, f.handed), f.received)
}

var errRoll = errors.New("a page of a roll is cut or broken")

// fateIn finds somebody on a page.
func fateIn(page []byte, who [16]byte) (f fate, ok bool, err error) {
	for len(page) > 0 {
		if len(page) < rollTag+2 || int(page[rollTag]) >= warning.PersonStates || int(page[rollTag+1]) >= channels.Reasons {
			return fate{}, false, errRoll
		}
		tag := page[:rollTag]
		f = fate{state: warning.PersonState(page[rollTag]), reason: channels.Reason(page[rollTag+1])}
		page = page[rollTag+2:]
		for _, t := range []*uint64{&f.handed, &f.received} {
			n := 0
			if *t, n = binary.Uvarint(page); n <= 0 {
				return fate{}, false, errRoll
			}
			page = page[n:]
		}
		if bytes.Equal(tag, who[8:8+rollTag]) {
			return f, true, nil
		}
	}
	return fate{}, false, nil
}

// fate is what became of the person at a position. Whose answer has not come for so long is unknown.
func (s *strand) fate(pos uint32) fate {
	f := fate{state: s.led.stateOf(pos)}
	if f.state == warning.Sending {
		f.state = warning.Unknown
	}
	if pos < s.led.granted {
		x := s.led.at(pos)
		f.reason = x.reason
		for t, ms := range map[*uint64]uint32{&f.handed: x.handedAt, &f.received: x.receiptAt} {
			if ms > 0 {
				*t = uint64(ms)/1000 + 1
			}
		}
	}
	return f
}

// after is a time of a roll; zero: none.
func after(release time.Time, t uint64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return release.Add(time.Duration(t-1) * time.Second)
}

// keepRoll stores the roll of a strand.
func (e *Engine) keepRoll(ctx context.Context, s *strand) error {
	r := newRoll(int64(s.People))
	for i := range s.Batches {
		numbers := s.snap.Block(int(s.Batches[i].Block)).Number
		pos := s.starts[i]
		for slot := range s.Batches[i].Mask.Slots {
			r.add(e.records.Pseudonym(numbers[slot]), s.fate(pos))
			pos++
		}
	}
	return e.records.PutRoll(ctx, s.Warning, s.ID, r.pages)
}

// keepExcluded stores who was in the area of a plan and in none of its strands, because they want no messages.
func (e *Engine) keepExcluded(ctx context.Context, w *warning.Warning, plan *Plan) error {
	r := newRoll(plan.OptedOut)
	if plan.OptedOut > 0 {
		snap, err := e.dir.Snapshot(ctx, plan.Snapshot)
		if err != nil {
			return err
		}
		sel, err := snap.Resolve(w.Spec.Areas, e.policy().Presence(w.Spec.Tier, w.ReleasedAt))
		if err != nil {
			return err
		}
		for i, block := range sel.Blocks {
			b := snap.Block(int(block))
			for slot := range sel.Masks[i].Slots {
				if b.Flags[slot]&warning.OptedOut != 0 && b.Number[slot] != 0 {
					r.add(e.records.Pseudonym(b.Number[slot]), fate{})
				}
			}
		}
	}
	return e.records.PutRoll(ctx, w.ID, 0, r.pages)
}

// inRolls adds what became of an archived warning for the person.
func (e *Engine) inRolls(ctx context.Context, w *warning.Warning, plan *Plan, number uint64, m WhoMessage, out *Who) error {
	who := e.records.Pseudonym(number)
	var at []RollPage
	for i := range plan.Strands {
		at = append(at, RollPage{plan.Strands[i].ID, rollPage(int64(plan.Strands[i].People), who)})
	}
	at = append(at, RollPage{0, rollPage(plan.OptedOut, who)}) // last: who is in a lane was not left out
	pages, err := e.records.RollPages(ctx, w.ID, at)
	if err != nil {
		return unavailable(err)
	}
	before := len(out.Messages)
	for i, page := range pages {
		f, ok, err := fateIn(page, who)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		row := m
		switch {
		case i < len(plan.Strands):
			row.Channel, row.Account, row.State = plan.Strands[i].Channel, plan.Strands[i].Account, f.state
			row.Reason, row.HandedOver, row.Receipt = f.reason.String(), after(w.ReleasedAt, f.handed), after(w.ReleasedAt, f.received)
		case len(out.Messages) == before:
			row.Excluded = "opted_out"
		default:
			continue
		}
		out.Messages = append(out.Messages, row)
	}
	if len(out.Messages) == before && slices.ContainsFunc(pages, func(p []byte) bool { return p == nil }) {
		m.Excluded = "not_kept" // archived by a release that kept no rolls: nobody can tell
		out.Messages = append(out.Messages, m)
	}
	return nil
}
