package dispatcher

import (
	"slices"
	"sort"
	"strconv"

	"tocsin/warning"
)

// router says which account carries a person's message: the longest prefix of the number, and among accounts with the
// same prefix by weight. A pure function of the number, so that a plan can be made again.
type router struct {
	prefixes map[string][]routed
	lengths  []int // of prefixes, longest first
}

type routed struct {
	account string
	upTo    uint64 // of the sum of weights
}

// newRouter is the router over the accounts that serve the channel and take the status.
func newRouter(accounts []AccountOptions, ch warning.Channel, status warning.Status) *router {
	r := &router{prefixes: map[string][]routed{}}
	seen := map[int]bool{}
	for i := range accounts {
		a := &accounts[i]
		if !slices.Contains(a.Channels, ch) || !slices.Contains(a.Statuses, status) {
			continue
		}
		for _, p := range a.Prefixes {
			list := r.prefixes[p]
			sum := uint64(max(1, a.Weight))
			if len(list) > 0 {
				sum += list[len(list)-1].upTo
			}
			r.prefixes[p] = append(list, routed{a.Name, sum})
			seen[len(p)] = true
		}
	}
	for n := range seen {
		r.lengths = append(r.lengths, n)
	}
	sort.Sort(sort.Reverse(sort.IntSlice(r.lengths)))
	return r
}

// route names the account for a number, or "".
func (r *router) route(number uint64) string {
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], number, 10)
	for _, n := range r.lengths {
		if n > len(d) {
			continue
		}
		list := r.prefixes[string(d[:n])]
		if len(list) == 0 {
			continue
		}
		if len(list) == 1 {
			return list[0].account
		}
		at := (number * 0x9e3779b97f4a7c15 >> 32) % list[len(list)-1].upTo
		for _, x := range list {
			if at < x.upTo {
				return x.account
			}
		}
	}
	return ""
}

// makePlan says who gets the warning by which accounts, in which order: responsible persons first, then the public, in
// the order of the snapshot's blocks. It is a pure function of its arguments.
func makePlan(w *warning.Warning, snap Snapshot, sel *warning.Selection, accounts []AccountOptions) Plan {
	p := Plan{Warning: w.ID, Version: w.Version, Snapshot: snap.ID(), InArea: sel.People()}
	for i, ch := range w.Spec.Channels {
		b := laneBuilder{plan: &p, first: i == 0, channel: ch, router: newRouter(accounts, ch, w.Spec.Status), strands: map[string]*building{}}
		for i, block := range sel.Blocks {
			b.block(block, snap.Block(int(block)), &sel.Masks[i])
		}
		b.finish()
	}
	return p
}

// laneBuilder sorts the people of one channel into strands.
type laneBuilder struct {
	plan    *Plan
	first   bool // the lane that counts who is in no lane
	channel warning.Channel
	router  *router
	strands map[string]*building
	order   []string
}

// building is a strand that grows: the batches of responsible persons and of the public apart, and the one of the
// present block that is open for each language.
type building struct {
	byDuty [2][]Batch
	open   [2][]int // index+1 into byDuty by language; 0: none
	people uint32
}

func (b *laneBuilder) block(block uint32, people warning.Block, mask *warning.Mask) {
	for _, s := range b.strands {
		for d := range s.open {
			clear(s.open[d])
		}
	}
	for slot := range mask.Slots {
		number, duty := people.Number[slot], warning.Duty(people.Duty[slot])
		switch {
		case number == 0:
			if b.first {
				b.plan.NoAddress++
			}
			continue
		case people.Flags[slot]&warning.OptedOut != 0 && duty != warning.Responsible:
			if b.first {
				b.plan.OptedOut++
			}
			continue
		}
		account := b.router.route(number)
		if account == "" {
			if b.first {
				b.plan.NoRoute++
			}
			continue
		}
		s := b.strands[account]
		if s == nil {
			s = &building{}
			for d := range s.open {
				s.open[d] = make([]int, len(warning.Languages))
			}
			b.strands[account] = s
			b.order = append(b.order, account)
		}
		s.add(block, slot, duty, people.Language[slot])
	}
}

func (s *building) add(block uint32, slot int, duty warning.Duty, language uint8) {
	at := &s.open[duty][language]
	if *at == 0 {
		s.byDuty[duty] = append(s.byDuty[duty], Batch{Block: block, Duty: duty, Language: language})
		*at = len(s.byDuty[duty])
	}
	s.byDuty[duty][*at-1].Mask.Set(slot)
	s.people++
}

func (b *laneBuilder) finish() {
	for _, account := range b.order {
		s := b.strands[account]
		b.plan.Strands = append(b.plan.Strands, Strand{
			Warning: b.plan.Warning, Version: b.plan.Version, Channel: b.channel, Words: warning.Alert, Account: account, Snapshot: b.plan.Snapshot,
			People: s.people, Batches: append(s.byDuty[warning.Responsible], s.byDuty[warning.Public]...),
		})
	}
}
