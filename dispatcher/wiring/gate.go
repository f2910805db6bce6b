package wiring

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tocsin/dispatcher/intake"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// begins is the calls that a full disk stops: they bring something new to keep.
var begins = map[string]bool{
	pb.WarningService_Submit_FullMethodName:   true,
	pb.DirectoryService_Import_FullMethodName: true,
}

// changes is the calls that a store without durability stops, because their OK would promise it. Hold, Cancel and Pause
// are not among them: a stop that may have to be said again is better than none.
var changes = map[string]bool{
	pb.WarningService_Submit_FullMethodName:    true,
	pb.WarningService_Approve_FullMethodName:   true,
	pb.WarningService_Reject_FullMethodName:    true,
	pb.WarningService_Release_FullMethodName:   true,
	pb.DirectoryService_Import_FullMethodName:  true,
	pb.DirectoryService_Change_FullMethodName:  true,
	pb.DirectoryService_Move_FullMethodName:    true,
	pb.ChannelService_Resume_FullMethodName:    true,
	pb.ChannelService_SetRate_FullMethodName:   true,
	pb.ChannelService_ResetRate_FullMethodName: true,
	pb.HouseService_Reload_FullMethodName:      true,
}

// gate keeps out what the store cannot keep just now.
type gate struct {
	volatile atomic.Pointer[string] // why the store does not keep promise 1
	full     atomic.Pointer[string] // why there is no room for anything new
}

func shut(why *atomic.Pointer[string], reason string) {
	if reason == "" {
		why.Store(nil)
		return
	}
	why.Store(&reason)
}

// why is what keeps new warnings out (all), or any change but a stop.
func (g *gate) why(all bool) error {
	if w := g.volatile.Load(); w != nil {
		return warning.Refuse(warning.ReasonUnavailable, "the store does not keep what it accepts: %s", *w)
	}
	if w := g.full.Load(); all && w != nil {
		return warning.Refuse(warning.ReasonExhausted, "no room for anything new: %s", *w)
	}
	return nil
}

func (g *gate) admit(method string) error {
	if !changes[method] {
		return nil
	}
	return intake.Refusal(g.why(begins[method]))
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.admit(info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (g *gate) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.admit(info.FullMethod); err != nil {
		return err
	}
	return handle(srv, stream)
}

// recheckEvery is the time between two looks at the store: the settings of a running Redis may change.
const recheckEvery = 2 * time.Second

// redisDown is told by the watch over the engine's own Redis: nil when it answers again.
func (p *process) redisDown(err error) {
	if err != nil {
		p.log.Error("redis-server ended and is started again", zap.Error(err))
		return
	}
	p.log.Info("redis-server answers again")
}

// keepRedis looks after the store until ctx ends: does it still keep promise 1, has the disk room, is a rewrite due.
func (p *process) keepRedis(ctx context.Context) {
	each(ctx, recheckEvery, func() {
		p.lookClock(time.Now())
		p.lookDurable(ctx)
		if p.own != nil {
			p.lookDisk(ctx)
		}
	})
}

func (p *process) lookDurable(ctx context.Context) {
	looking, cancel := context.WithTimeout(ctx, recheckEvery)
	defer cancel()
	err := p.recheck(looking)
	p.lookStore(looking, err)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		if p.gate.volatile.Load() == nil {
			p.log.Error("intake stops: the store does not keep what it accepts", zap.Error(err))
		}
		shut(&p.gate.volatile, err.Error())
	default:
		shut(&p.gate.volatile, "")
	}
}

func (p *process) lookDisk(ctx context.Context) {
	low, detail := p.own.DiskLow()
	if !low {
		detail = ""
	}
	if low && p.gate.full.Load() == nil {
		p.log.Error("intake stops: the disk is nearly full", zap.String("disk", detail))
	}
	shut(&p.gate.full, detail)
	if _, err := p.own.RewriteIfDue(ctx, p.sendsRed(ctx)); err != nil && ctx.Err() == nil {
		p.log.Warn("the append-only file could not be rewritten", zap.Error(err))
	}
}

// sendsRed tells whether a red is being sent; when it cannot be known it is taken to be so.
func (p *process) sendsRed(ctx context.Context) bool {
	released, err := p.Store.Warnings(ctx, []warning.State{warning.Released}, 0)
	if err != nil {
		return true
	}
	for i := range released {
		if released[i].Spec.Tier == warning.Red {
			return true
		}
	}
	return false
}

// each does something at once and then every so often until ctx ends.
func each(ctx context.Context, every time.Duration, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
