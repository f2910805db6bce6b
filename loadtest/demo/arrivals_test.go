package demo

import (
	"testing"
	"time"
)

// TestShareFindsTheWorstSecond: two lanes in turn have their part; one that misses three turns of a second is found, and
// what others are sent before, between and after does not count.
func TestShareFindsTheWorstSecond(t *testing.T) {
	const step = int64(10 * time.Millisecond)
	var as []arrival
	for i := range 500 { // five seconds, 50 of each lane a second, and before and after them others
		lane := i % 2
		if i < 20 || i >= 480 {
			lane = -1
		}
		as = append(as, arrival{at: int64(i) * step, lane: lane})
	}
	if s := shareAt("mobile", as, 2, 2, time.Unix(0, 0)); s.short() > 0 || s.Part != 50 || s.ForS < 4.5 || s.ForS > 4.6 {
		t.Errorf("%+v, want 50 of 50 in each of the 4.6 s", s)
	}
	for i := 250; i < 256; i += 2 {
		as[i].lane = 1
	}
	if s := shareAt("mobile", as, 2, 2, time.Unix(0, 0)); s.Got != 47 || s.Part != 50 {
		t.Errorf("%+v, want 47 of 50 in the worst second", s)
	}
	if s := shareAt("mobile", as, 3, 3, time.Unix(0, 0)); s.ForS != 0 {
		t.Errorf("%+v, but the third lane got nothing at all", s)
	}
}

// TestTheMiddleOfAnEvenNumber is not the larger of two.
func TestTheMiddleOfAnEvenNumber(t *testing.T) {
	for want, of := range map[float64][]float64{1: {1}, 2: {3, 1}, 3: {9, 3, 1}, 2.5: {4, 1, 3, 2}} {
		if got := median(of); got != want {
			t.Errorf("%v: %v", of, got)
		}
	}
}
