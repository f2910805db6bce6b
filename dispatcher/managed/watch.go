package managed

import (
	"context"
	"fmt"
	"time"
)

const (
	look   = 50 * time.Millisecond // how often Watch looks whether the server lives
	steady = 10 * time.Second      // a run of this length was no failed start
	slow   = 5 * time.Second       // the longest wait between two starts
)

// Watch starts the server again whenever it has died, through the same repair as Start, until ctx ends or Stop or Close
// was called. onDown is called with the cause when it died and for each start that failed, and with nil when it answers
// again (with another RunID); Watch waits for it to return. The first start follows at once, the next ones after waits
// from 100 ms to 5 s until a run lasts.
func (s *Server) Watch(ctx context.Context, onDown func(err error)) {
	var wait time.Duration
	began := time.Now()
	ballast := began
	for s.working() && pause(ctx, look) == nil {
		alive, err := s.alive()
		if alive {
			if time.Since(ballast) > time.Minute { // the disk may have room again
				ballast = time.Now()
				s.keepBallast()
			}
			continue
		}
		if err == nil {
			err = fmt.Errorf("redis-server (process %d) has died: %s", s.PID(), lastLine(s.lastRun()))
		}
		if time.Since(began) > steady {
			wait = 0
		}
		for err != nil {
			if !s.working() {
				return
			}
			onDown(err)
			if pause(ctx, wait) != nil {
				return
			}
			wait = min(max(2*wait, 100*time.Millisecond), slow)
			err = s.up(ctx)
		}
		began = time.Now()
		onDown(nil)
	}
}

// working tells that neither Stop nor Close was called.
func (s *Server) working() bool {
	s.act.Lock()
	defer s.act.Unlock()
	return !s.stopped
}
