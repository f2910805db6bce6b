package carrier

import "golang.org/x/sys/unix"

// monotonic is nanoseconds since boot, the same for all processes of a machine; 0 when the system does not tell.
func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
