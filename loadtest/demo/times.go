package demo

import "slices"

// timesOf sums up times in milliseconds.
func timesOf(ms []float64, missed int) Times {
	t := Times{Count: len(ms), Missed: missed}
	if len(ms) == 0 {
		return t
	}
	slices.Sort(ms)
	at := func(p float64) float64 { return ms[min(len(ms)-1, int(p*float64(len(ms))))] }
	t.P50, t.P99, t.Max = at(0.5), at(0.99), ms[len(ms)-1]
	return t
}
