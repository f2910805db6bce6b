package dispatcher

import (
	"fmt"
	"time"
)

// FailOver is when an account is left for another one, and how it comes back.
type FailOver struct {
	After  time.Duration // without a link that is up
	Window time.Duration // over which answers are judged; at most a minute
	Bad    float64       // part of the answers that are failures of the carrier, from which on it is left
	Good   float64       // part up to which it is trusted with more
	Least  int           // answers in the window below which nothing is judged by them
	Stay   time.Duration // between leaving and the first step back, and between two steps
}

// UsualFailOver is what holds where nothing else is said.
func UsualFailOver() FailOver {
	return FailOver{After: 10 * time.Second, Window: 10 * time.Second, Bad: 0.15, Good: 0.05, Least: 50, Stay: time.Minute}
}

// shares is the way home: an account that was left is trusted with a little first.
var shares = [...]float64{0, 0.1, 0.25, 0.5, 1}

// condition is how far an account is trusted. It falls at once and rises one step at a time, so that it never falls twice
// within Stay. It is a pure function of the times and figures that it is given.
type condition struct {
	step    int       // into shares
	since   time.Time // of the last change
	why     string
	down    time.Time // without a link since; zero: one is up
	failed  bool      // the last link test
	from    time.Time // seconds count from here, because no step of the clock moves it
	second  int64     // of the newest bucket
	buckets [60]answers
}

// answers is what a carrier answered in one second.
type answers struct{ good, bad int }

func newCondition() condition { return condition{step: len(shares) - 1} }

// begin takes over what an owner before had come to.
func (c *condition) begin(share float64, now time.Time) {
	c.step, c.since = 0, now
	for c.step < len(shares)-1 && shares[c.step] < share {
		c.step++
	}
}

// share is the part of its weight that the account is trusted with.
func (c *condition) share() float64 { return shares[c.step] }

func (c *condition) roll(now time.Time) {
	if c.from.IsZero() {
		c.from = now
	}
	s := int64(now.Sub(c.from) / time.Second)
	for n := min(s-c.second, int64(len(c.buckets))); n > 0; n-- {
		c.buckets[(s-n+1)%int64(len(c.buckets))] = answers{}
	}
	c.second = max(c.second, s)
}

// answered counts one answer.
func (c *condition) answered(now time.Time, good bool) {
	c.roll(now)
	b := &c.buckets[c.second%int64(len(c.buckets))]
	if good {
		b.good++
	} else {
		b.bad++
	}
}

// links says whether a link is up.
func (c *condition) links(now time.Time, up bool) {
	switch {
	case up:
		c.down = time.Time{}
	case c.down.IsZero():
		c.down = now
	}
}

// judge draws the conclusion, and tells whether the share changed.
func (c *condition) judge(now time.Time, o FailOver) bool {
	c.roll(now)
	var sum answers
	for i := range max(1, int64(o.Window/time.Second)) {
		b := c.buckets[(c.second-i+int64(len(c.buckets)))%int64(len(c.buckets))]
		sum.good, sum.bad = sum.good+b.good, sum.bad+b.bad
	}
	rate, judged := 0.0, sum.good+sum.bad >= max(1, o.Least)
	if judged {
		rate = float64(sum.bad) / float64(sum.good+sum.bad)
	}
	why := ""
	switch {
	case !c.down.IsZero() && now.Sub(c.down) >= o.After:
		why = "no link is up"
	case rate >= o.Bad && judged:
		why = fmt.Sprintf("%.0f %% of the answers are failures", 100*rate)
	case c.failed:
		why = "the link test failed"
	}
	switch {
	case why != "":
		if c.step == 0 {
			return false
		}
		c.step = 0
	case c.step == len(shares)-1 || !c.down.IsZero() || rate > o.Good || now.Sub(c.since) < o.Stay:
		return false
	default:
		c.step++
	}
	c.since, c.why = now, why
	return true
}
