package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// errTwin is told while another process that lives has the name of this one.
var errTwin = errors.New("another process has the same node name: give each a node and a data directory of its own")

// acquire makes this process the owner of an account: at once when nobody is or the owner was this process before it
// restarted, as the epoch tells that it kept, else when the other one's heartbeat has stood still for its lease, a second and the guard, by this process's
// clock. Where it is not at home it waits a lease before it takes what nobody owns.
func (e *Engine) acquire(ctx context.Context, name, home string, guard time.Duration, note func(error)) (Fence, error) {
	floor := e.epochs.Epoch(name)
	giveWay := func() {
		if home != "" && home != e.node {
			pause(ctx, lease)
		}
	}
	giveWay()
	var beat, idle uint64
	still, told := time.Now(), false
	for {
		f, err := e.queue.Acquire(ctx, name, e.node, floor, idle, true)
		if err == nil {
			if err := e.epochs.SetEpoch(name, f.Epoch); err != nil {
				return Fence{}, fmt.Errorf("keep the epoch: %w", err)
			}
			return f, nil
		}
		if !errors.Is(err, ErrFenced) {
			note(err)
		}
		pause(ctx, beatEvery)
		if ctx.Err() != nil {
			return Fence{}, ctx.Err()
		}
		now, owner, ok, err := e.queue.Heartbeat(ctx, name)
		if err != nil {
			continue
		}
		if !ok {
			giveWay()
			continue
		}
		switch {
		case owner == e.node && beat != 0 && now != beat && !told:
			told = true
			e.log.Error("the account is not taken", zap.String("account", name), zap.String("node", owner), zap.Error(errTwin))
			note(errTwin)
		case owner != e.node:
			note(fmt.Errorf("owned by %s", owner))
		}
		if now != beat {
			beat, still, idle = now, time.Now(), 0
		} else if time.Since(still) >= lease+time.Second+guard {
			idle = beat
		}
	}
}
