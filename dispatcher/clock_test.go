package dispatcher

import (
	"testing"
	"time"
	"unsafe"

	"tocsin/channels"
	"tocsin/warning"
)

// stepped is t as it is read after the wall clock was set by d: its monotonic reading stays.
func stepped(t time.Time, d time.Duration) time.Time {
	*(*int64)(unsafe.Pointer(&t)) += int64(d/time.Second) << 30 // the seconds stand above 30 bits of nanoseconds
	return t
}

func TestSteppedIsAStep(t *testing.T) {
	now := time.Now()
	for _, d := range []time.Duration{time.Hour, -time.Hour} {
		then := stepped(now, d)
		if then.Sub(now) != 0 || then.Round(0).Sub(now.Round(0)) != d {
			t.Fatalf("%v is not %v after %v", then, d, now)
		}
	}
}

// TestWhoIsDueIsDueWhenTheClockIsSetBack: whoever is to be sent to again is, though the warning was released an hour ahead of
// the clock as it is now; and not before, where it is set forward.
func TestWhoIsDueIsDueWhenTheClockIsSetBack(t *testing.T) {
	for name, step := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			c := oneBlock{numbers: make([]uint64, 10)}
			w := warning.Warning{ID: "w", ReleasedAt: now.Round(0)} // as it is read from the store
			s, err := openStrand(Strand{ID: 1, People: 10, Batches: []Batch{{Mask: warning.First(10), Duty: warning.Public}}}, w, c, 0,
				func(channels.Content) (channels.Prepared, error) { return oneSegment{}, nil })
			if err != nil {
				t.Fatal(err)
			}
			s.led.grant(2)
			s.wait(0, now.Add(time.Second))
			after := stepped(now.Add(1500*time.Millisecond), step)
			s.wait(1, after.Add(time.Second))
			if pos, ok := s.popDue(after); !ok || pos != 0 {
				t.Errorf("who was due half a second ago is not: %d, %v", pos, ok)
			}
			if pos, ok := s.popDue(after); ok {
				t.Errorf("person %d is due a second too early", pos)
			}
			if pos, ok := s.popDue(after.Add(1100 * time.Millisecond)); !ok || pos != 1 {
				t.Errorf("who waited a second is not due: %d, %v", pos, ok)
			}
		})
	}
}

// TestAPlayIsTriedAgainWhenTheClockIsSetBack: its next try was written an hour ahead of the clock as it is now.
func TestAPlayIsTriedAgainWhenTheClockIsSetBack(t *testing.T) {
	now := time.Date(2026, 6, 13, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		next, every time.Duration
		rests       bool
	}{
		{-time.Second, 0, false}, {time.Second, 0, true}, {30 * time.Second, 0, true}, {time.Hour, 0, false},
		{10 * time.Minute, 10 * time.Minute, true}, {time.Hour, 10 * time.Minute, false},
	} {
		p := Play{Next: now.Add(c.next), Every: c.every}
		if p.rests(now) != c.rests {
			t.Errorf("next in %v, each %v: rests %v", c.next, c.every, !c.rests)
		}
	}
}

// TestAnAccountIsLeftWhenTheClockIsSetBack: what its carrier answered an hour ahead of the clock does not hide that it fails now.
func TestAnAccountIsLeftWhenTheClockIsSetBack(t *testing.T) {
	for name, step := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			c, now := newCondition(), time.Now()
			for range 60 {
				now = now.Add(time.Second)
				for range 1000 {
					c.answered(now, true)
				}
			}
			for range 12 {
				now = now.Add(time.Second)
				for range 100 {
					c.answered(stepped(now, step), true)
				}
			}
			for range 3 {
				now = now.Add(time.Second)
				for range 100 {
					c.answered(stepped(now, step), false)
				}
			}
			if !c.judge(stepped(now, step), UsualFailOver()) || c.share() != 0 {
				t.Errorf("its share is %v, though a quarter of the answers of ten seconds are failures", c.share())
			}
		})
	}
}
