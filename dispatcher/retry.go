package dispatcher

import (
	"math/rand/v2"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// retryRule says when a hand-off that the carrier did not take is made again. Times are seconds, because a warning's
// worth is measured in minutes; its validity is the only other end.
type retryRule struct {
	first, most time.Duration
	tries       uint8 // hand-offs after the first; 0: until the validity ends
}

// retryRules is by reason. A reason without a rule takes otherRetry.
var retryRules = map[channels.Reason]retryRule{
	channels.Throttled:   {first: time.Second, most: 5 * time.Second},
	channels.LinkDown:    {first: 200 * time.Millisecond, most: 5 * time.Second},
	channels.QueueFull:   {first: 2 * time.Second, most: 30 * time.Second},
	channels.SystemError: {first: time.Second, most: 30 * time.Second, tries: 10},
	channels.DailyQuota:  {first: time.Minute, most: 10 * time.Minute},
}

var otherRetry = retryRule{first: time.Second, most: 30 * time.Second, tries: 5}

// delay is the time to wait after tries hand-offs: doubled each time up to the most, and jittered by half so that
// those who were refused together do not come back together. ok is false when it was tried often enough.
func (r retryRule) delay(tries uint8, jitter float64) (d time.Duration, ok bool) {
	if r.tries > 0 && tries >= r.tries {
		return 0, false
	}
	d = r.first << min(tries, 16)
	if d > r.most || d <= 0 {
		d = r.most
	}
	return d/2 + time.Duration(float64(d)*jitter), true
}

// unknownAgain is when somebody whose hand-off has no answer is handed over again (promise 3): red and orange at once,
// and at most three times; lower tiers once, after ten minutes without receipt.
func unknownAgain(t warning.Tier, tries uint8) (d time.Duration, ok bool) {
	if t <= warning.Orange {
		return time.Duration(tries) * 10 * time.Second, tries < 3
	}
	return 10 * time.Minute, tries < 1
}

// schedule decides, after a record was applied, when the person is sent to again; a person who was tried often enough
// is refused. The account's mu is held.
func (a *account) schedule(s *strand, pos uint32, now time.Time) {
	x := s.led.at(pos)
	reason, tries := x.reason, x.tries
	switch x.state {
	case warning.Unknown:
		if d, ok := unknownAgain(s.w.Spec.Tier, tries); ok {
			s.wait(pos, now.Add(d))
		}
	case warning.Waiting:
		rule, ok := retryRules[reason]
		if !ok {
			rule = otherRetry
		}
		d, ok := rule.delay(tries, rand.Float64()) //nolint:gosec // jitter needs no secrecy
		if !ok {
			a.settle(s, pos, warning.Refused, channels.TooManyRetries, now)
			return
		}
		s.wait(pos, now.Add(d))
	}
}

// settle ends somebody who waits, in memory and in the journal.
func (a *account) settle(s *strand, pos uint32, as warning.PersonState, why channels.Reason, now time.Time) {
	r := record{pos: pos, kind: recSettled, reason: why, print: uint16(as)}
	s.led.apply(now, r)
	a.journal.add(s.ID, now, r)
	a.touch(s)
}
