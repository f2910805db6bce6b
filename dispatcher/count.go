package dispatcher

import (
	"sort"
	"strconv"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// standing is how well a person was reached, best last: over several channels the best one counts.
type standing uint8

const (
	nowhere standing = iota // in no lane
	moved                   // to another strand
	notReached
	waits
	handedOver
	delivered
)

func standingOf(s warning.PersonState) standing {
	switch s {
	case warning.Delivered:
		return delivered
	case warning.HandedOver:
		return handedOver
	case warning.Waiting, warning.Sending:
		return waits
	case warning.Moved:
		return moved
	}
	return notReached
}

// told is the best that is known of one person.
type told struct {
	standing
	reason channels.Reason
	minute int64 // of the first hand-off, since 1970; 0: none
}

// reportBuilder counts people over all channels: each once, by the channel that reached them best. The rows of carriers
// count the people of each carrier's lanes.
type reportBuilder struct {
	r        *Report
	carriers map[string]*ReportRow
	people   map[blockOf]*[warning.BlockSize]told
}

// blockOf is a block of a snapshot: an update speaks to people of two.
type blockOf struct {
	snap  Snapshot
	block uint32
}

func newReportBuilder(r *Report) *reportBuilder {
	return &reportBuilder{r: r, carriers: map[string]*ReportRow{}, people: map[blockOf]*[warning.BlockSize]told{}}
}

// strand counts one strand in.
func (b *reportBuilder) strand(s *strand) error {
	if !s.led.balanced() {
		for i := range b.r.Lanes {
			if b.r.Lanes[i].Channel == s.Channel {
				b.r.Lanes[i].Balanced = false
			}
		}
	}
	carrier := row(b.carriers, s.Account, func() ReportRow { return ReportRow{Key: s.Account, Name: s.Account} })
	for i := range s.Batches {
		at := blockOf{s.snap, s.Batches[i].Block}
		block := b.people[at]
		if block == nil {
			block = &[warning.BlockSize]told{}
			b.people[at] = block
		}
		pos := s.starts[i]
		for slot := range s.Batches[i].Mask.Slots {
			t := toldOf(s, pos)
			carrier.add(t.standing)
			if was := &block[slot]; t.standing > was.standing {
				if was.minute > 0 && was.minute < t.minute {
					t.minute = was.minute
				}
				*was = t
			}
			pos++
		}
	}
	return nil
}

func toldOf(s *strand, pos uint32) told {
	state := s.led.stateOf(pos)
	t := told{standing: standingOf(state)}
	if pos < s.led.granted {
		t.reason = s.led.at(pos).reason
	} else if t.standing <= notReached {
		t.reason = closedReason(state)
	}
	if at, ok := s.handedAt(pos); ok {
		t.minute = at.Unix() / 60
	}
	return t
}

func (r *ReportRow) add(s standing) {
	r.Planned++
	switch s {
	case delivered:
		r.Delivered++
	case handedOver:
		r.HandedOver++
	case waits:
		r.Waiting++
	case moved:
		r.Moved++
	default:
		r.NotReached++
	}
}

func row[K comparable](rows map[K]*ReportRow, key K, make func() ReportRow) *ReportRow {
	r := rows[key]
	if r == nil {
		made := make()
		r = &made
		rows[key] = r
	}
	return r
}

func sorted[K comparable](rows map[K]*ReportRow) []ReportRow {
	out := make([]ReportRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}

func (b *reportBuilder) finish() {
	districts, minutes := map[uint32]*ReportRow{}, map[int64]*ReportRow{}
	var why [channels.Reasons]int64
	var all ReportRow
	for of, block := range b.people {
		home := of.snap.Block(int(of.block)).Home
		for slot, t := range block {
			switch t.standing {
			case nowhere:
				continue
			case moved: // and has no place yet, or will have none
				if t.standing = notReached; b.r.Warning.State == warning.Released || b.r.Warning.State == warning.Held {
					t.standing = waits
				}
			}
			all.add(t.standing)
			code := home[slot]
			row(districts, code, func() ReportRow {
				return ReportRow{Key: strconv.Itoa(int(code)), Name: of.snap.District(code)}
			}).add(t.standing)
			if t.standing == notReached {
				why[t.reason]++
			}
			if t.minute > 0 {
				at := time.Unix(60*t.minute, 0)
				row(minutes, t.minute, func() ReportRow {
					return ReportRow{Key: at.UTC().Format(time.RFC3339), Name: at.Local().Format("15:04")}
				}).add(t.standing)
			}
		}
	}
	b.r.Delivered, b.r.HandedOver, b.r.NotReached, b.r.Waiting = all.Delivered, all.HandedOver, all.NotReached, all.Waiting
	b.r.ByDistrict, b.r.ByCarrier, b.r.ByMinute = sorted(districts), sorted(b.carriers), sorted(minutes)
	for reason, n := range why {
		if n > 0 {
			b.r.WhyNot = append(b.r.WhyNot, ReportWhy{Reason: channels.Reason(reason).String(), People: n})
		}
	}
	sort.SliceStable(b.r.WhyNot, func(i, j int) bool { return b.r.WhyNot[i].People > b.r.WhyNot[j].People })
}
