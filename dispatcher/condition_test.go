package dispatcher

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAnAccountDoesNotFlap over random answers, links and link tests: it is left at most once within the stay, comes back
// one step at a time and each a stay after the last change, and never while its carrier fails.
func TestAnAccountDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := FailOver{
			After: time.Duration(rapid.IntRange(1, 20).Draw(t, "after")) * time.Second, Window: time.Duration(rapid.IntRange(1, 30).Draw(t, "window")) * time.Second,
			Bad: 0.15, Good: 0.05, Least: rapid.IntRange(1, 50).Draw(t, "least"), Stay: time.Duration(rapid.IntRange(5, 120).Draw(t, "stay")) * time.Second,
		}
		c := newCondition()
		now := time.Unix(1_000_000, 0)
		var left, changed time.Time
		for range rapid.IntRange(1, 200).Draw(t, "turns") {
			now = now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "passed")) * time.Millisecond)
			up := rapid.IntRange(0, 9).Draw(t, "up") > 1
			c.links(now, up)
			for range rapid.IntRange(0, 60).Draw(t, "answers") {
				c.answered(now, rapid.IntRange(0, 9).Draw(t, "good") > 0)
			}
			before := c.step
			did := c.judge(now, o)
			switch {
			case did != (c.step != before):
				t.Fatalf("step %d to %d is told as changed: %v", before, c.step, did)
			case c.step > before && (c.step != before+1 || now.Sub(changed) < o.Stay && !changed.IsZero() || !up):
				t.Fatalf("rose from %d to %d %v after the last change, links up: %v", before, c.step, now.Sub(changed), up)
			case c.step < before && (c.step != 0 || !left.IsZero() && now.Sub(left) < o.Stay):
				t.Fatalf("fell to %d %v after it fell last", c.step, now.Sub(left))
			}
			if c.step < before {
				left = now
			}
			if did {
				changed = now
			}
		}
	})
}

// TestWhenAnAccountIsLeft is the table of what is held against an account.
func TestWhenAnAccountIsLeft(t *testing.T) {
	o := UsualFailOver()
	for name, c := range map[string]struct {
		good, bad int
		down      time.Duration
		failed    bool
		want      bool // left
	}{
		"nothing":                       {},
		"few answers, all failures":     {bad: o.Least - 1},
		"failures below the mark":       {good: 860, bad: 140},
		"failures at the mark":          {good: 850, bad: 150, want: true},
		"no link for less than it has":  {down: o.After - time.Second},
		"no link for as long as it has": {down: o.After, want: true},
		"a failed link test":            {failed: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_000_000, 0)
			x := newCondition()
			x.failed = c.failed
			for i := range c.good + c.bad {
				x.answered(now, i < c.good)
			}
			if c.down > 0 {
				x.links(now.Add(-c.down), false)
			}
			if left := x.judge(now, o) && x.share() == 0; left != c.want {
				t.Errorf("left: %v, want %v", left, c.want)
			}
		})
	}
}

// TestTheWayHomeIsSlow: after failures have stopped it takes four stays to be trusted wholly.
func TestTheWayHomeIsSlow(t *testing.T) {
	o := UsualFailOver()
	c := newCondition()
	now := time.Unix(1_000_000, 0)
	c.failed = true
	c.judge(now, o)
	c.failed = false
	var seen []float64
	for range 10 * 60 {
		now = now.Add(time.Second)
		c.answered(now, true)
		if c.judge(now, o) {
			seen = append(seen, c.share())
			if at := now.Sub(time.Unix(1_000_000, 0)); at != time.Duration(len(seen))*o.Stay {
				t.Errorf("step %d after %v", len(seen), at)
			}
		}
	}
	if len(seen) != 4 || seen[0] != 0.1 || seen[3] != 1 {
		t.Errorf("shares %v", seen)
	}
}
