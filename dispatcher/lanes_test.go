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
		sharesOfEverySecond(t, h, k, began.Add(3*time.Second), began.Add(8*time.Second))
	})
}

// TestRedsThatComeWhileOthersAreSent: those that came first had the account for themselves while the grants of the
// others were being written; nobody stands still for it later.
func TestRedsThatComeWhileOthersAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		h.cut.mu.Lock()
		h.cut.slow = 40 * time.Millisecond
		h.cut.mu.Unlock()
		h.warn(spec(warning.Blue, "blue", ""))
		pass(2 * time.Second)
		const k = 120
		for i := range k {
			if i == 7 || i == 50 {
				pass(150 * time.Millisecond)
			}
			h.warn(spec(warning.Red, fmt.Sprintf("red %d", i), ""))
		}
		pass(10 * time.Second)
		got, began := map[string]int{}, time.Time{}
		for _, a := range h.c.log() {
			if got[a.text]++; a.text != "blue" && got[a.text] == 4 { // behind its responsible persons, a class of their own
				began = a.at
			}
		}
		sharesOfEverySecond(t, h, k, began, began.Add(5*time.Second))
	})
}

// sharesOfEverySecond checks that each of k reds has had its part less one of each second between two times.
func sharesOfEverySecond(t *testing.T, h *house, k int, from, to time.Time) {
	t.Helper()
	for at := from; at.Before(to); at = at.Add(20 * time.Millisecond) {
		got, all := map[string]int{}, 0
		for _, a := range h.c.log() {
			if a.text != "blue" && !a.at.Before(at) && a.at.Before(at.Add(time.Second)) {
				got[a.text]++
				all++
			}
		}
		for i := range k {
			if n := got[fmt.Sprintf("red %d", i)]; float64(n) < float64(all)/float64(k)-1-1e-9 {
				t.Fatalf("lane %d got %d of %d messages in the second from %v, its share is %.1f", i, n, all, at.Sub(from), float64(all)/float64(k))
			}
		}
	}
}
