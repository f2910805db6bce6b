//go:build race

package dispatcher

import "runtime"

// Under the race detector the tests of this room run on one core: two timers of a synctest bubble that are due at once on two
// cores share one context of the detector, and it stops the process (go.dev/issue/78156: "CHECK failed: tsan_rtl.cpp", or a
// SIGSEGV in SlotLock; 3 runs of 4 with Go 1.26.8). What it finds rests on who waits for whom, not on what ran at the same
// moment; loadtest/house and dispatcher/wiring run the same code under it on all cores.
func init() { runtime.GOMAXPROCS(1) }
