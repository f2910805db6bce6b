package dispatcher

import (
	"slices"
	"time"

	"tocsin/warning"
)

// This file is how strands leave the memory of their account's owner, so that an engine that runs for a year holds what is
// at work. Their ledger lies in the store, where the report reads it until it is archived.

const (
	dismissEvery = time.Minute
	// quietAfter is how long after the end of a warning nothing but receipts comes: who walked in has been added, and what
	// the carrier was asked to give up is answered.
	quietAfter = 10 * time.Minute
)

// open is the states in which something can still happen to a person: all but those that only an engineer's replay leaves.
var open = [warning.PersonStates]bool{
	warning.Waiting: true, warning.Sending: true, warning.HandedOver: true, warning.Unknown: true,
	warning.Undelivered: true, warning.ExpiredOut: true, // a receipt may say better
}

// dismiss lets strands go in which nothing can happen any more and whose ledger is in the store. mu is held.
func (a *account) dismiss(now time.Time) {
	if a.folding || now.Sub(a.dismissed) < dismissEvery {
		return
	}
	a.dismissed = now
	gone := false
	for _, s := range a.byID {
		if !s.over(now) || s.touched || slices.ContainsFunc(s.led.pages, func(p *page) bool { return p != nil && p.dirty }) {
			continue
		}
		s.gone, gone = true, true
		a.strands[s.index] = nil
		a.free = append(a.free, s.index)
		delete(a.byID, s.ID)
	}
	if gone {
		a.people.forget()
		a.live = slices.DeleteFunc(a.live, func(s *strand) bool { return s.gone })
	}
}

// over tells whether no receipt, answer, repeat or entrant can change anything in a strand: all have a state that no receipt
// changes, or the time for receipts is over.
func (s *strand) over(now time.Time) bool {
	age := now.Sub(s.w.Spec.Expires)
	if age < quietAfter || age >= receiptsFor {
		return age >= receiptsFor
	}
	for state, n := range s.led.counts {
		if open[state] && n > 0 {
			return false
		}
	}
	return true
}
