package managed

import (
	"context"
	"fmt"
)

// RewriteIfDue begins a rewrite of the append-only file when it has grown by the larger of Growth and its base and the
// engine is not busy (a red is being sent; asked only then), or, busy or not, by twice Growth. It does not wait for the end; call it every
// few seconds. The error also tells of a rewrite that failed before, which is tried again, and of a disk without room
// for one, on which none is begun.
func (s *Server) RewriteIfDue(ctx context.Context, busy func() bool) (began bool, err error) {
	a, err := s.aof()
	if err != nil {
		return false, err
	}
	base, err := s.size(a.base)
	if err != nil {
		return false, err
	}
	grown, err := s.size(a.incr)
	if err != nil {
		return false, err
	}
	if !rewriteDue(base, grown, s.o.Growth, busy) {
		return false, nil
	}
	if free, err := s.free(); err != nil || free < base+grown {
		if err == nil {
			err = fmt.Errorf("%d MB", free>>20)
		}
		return false, fmt.Errorf("the append-only file has grown by %d MB and cannot be rewritten: that may need %d MB on the disk of "+
			"%s, and it has %w free", grown>>20, (base+grown)>>20, s.o.Dir, err)
	}
	client := Client(s.Socket())
	defer client.Close()
	f, err := readFacts(ctx, client)
	if err != nil {
		return false, fmt.Errorf("asking redis-server for INFO: %w", err)
	}
	if f["aof_rewrite_in_progress"] != "0" || f["aof_rewrite_scheduled"] != "0" {
		return false, nil
	}
	if err := client.BgRewriteAOF(ctx).Err(); err != nil {
		return false, fmt.Errorf("BGREWRITEAOF: %w", err)
	}
	if f["aof_last_bgrewrite_status"] != "ok" {
		return true, fmt.Errorf("the last rewrite of the append-only file failed and was begun again: see %s; a fork needs "+
			"vm.overcommit_memory = 1 or as much free memory as the data", s.path(logFile))
	}
	return true, nil
}

// rewriteDue is the rule: not in a red, but before the file doubles the time of a restart.
func rewriteDue(base, grown, growth int64, busy func() bool) bool {
	if grown >= 2*growth {
		return true
	}
	return grown >= max(growth, base) && !busy()
}
