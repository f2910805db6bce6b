package dispatcher_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/warning"
)

// TestManyRedsAtOnceShareEverySecond releases more reds than one grant holds messages, behind a flow of blue: each of k
// lanes gets 1/k of the messages of any second, less one (promise 4).
func TestManyRedsAtOnceShareEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		h.warn(spec(warning.Blue, "blue", ""))
		const k = 120 // a grant is 75 messages
		for i := range k {
			h.warn(spec(warning.Red, fmt.Sprintf("red %d", i), ""))
		}
		began := time.Now()
		pass(10 * time.Second)
		for from := began.Add(3 * time.Second); from.Before(began.Add(8 * time.Second)); from = from.Add(100 * time.Millisecond) {
			got, all := map[string]int{}, 0
			for _, a := range h.c.log() {
				if a.text != "blue" && !a.at.Before(from) && a.at.Before(from.Add(time.Second)) {
					got[a.text]++
					all++
				}
			}
			for i := range k {
				if n := got[fmt.Sprintf("red %d", i)]; float64(n) < float64(all)/k-1-1e-9 {
					t.Fatalf("lane %d got %d of %d messages in the second from %v, its share is %.1f", i, n, all, from.Sub(began), float64(all)/k)
				}
			}
		}
	})
}
