package dispatcher_test

import "time"

// This file counts what a simulated carrier got.

// highest is the most arrivals in any second, whole messages by text.
func highest(log []arrival) (n int) {
	from := 0
	for i := range log {
		for log[i].at.Sub(log[from].at) >= time.Second {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// complete counts, for one text, how often each number got all its segments, by the carrier's log.
func complete(log []arrival, text string) map[uint64]int {
	segments := (len(text) + 9) / 10
	parts := map[uint64]map[int]int{}
	for _, a := range log {
		if a.text != text {
			continue
		}
		if parts[a.number] == nil {
			parts[a.number] = map[int]int{}
		}
		parts[a.number][a.segment]++
	}
	out := map[uint64]int{}
	for n, p := range parts {
		if len(p) == segments {
			for _, k := range p {
				out[n] = max(out[n], k)
			}
		}
	}
	return out
}
