package wiring

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tocsin/dispatcher/intake"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// use is what a call does with the store.
type use uint8

const (
	reads   use = iota + 1 // promises nothing that must be kept
	begins                 // brings something new to keep: a full disk stops it, and so does a store without durability
	changes                // OK promises that it is kept: a store without durability stops it
	// stops is carried out whatever the store keeps, since a stop that may have to be said again is better than none; but
	// without durability its answer is no OK.
	stops
)

// uses is every call that needs a token; one without a row is stopped like a change.
var uses = map[string]use{
	pb.WarningService_Submit_FullMethodName:           begins,
	pb.WarningService_Preview_FullMethodName:          reads,
	pb.WarningService_Approve_FullMethodName:          changes,
	pb.WarningService_Reject_FullMethodName:           changes,
	pb.WarningService_Hold_FullMethodName:             stops,
	pb.WarningService_Release_FullMethodName:          changes,
	pb.WarningService_EmergencyRelease_FullMethodName: changes,
	pb.WarningService_Cancel_FullMethodName:           stops,
	pb.WarningService_AllClear_FullMethodName:         changes,
	pb.WarningService_Broadcast_FullMethodName:        changes,
	pb.WarningService_Get_FullMethodName:              reads,
	pb.WarningService_List_FullMethodName:             reads,
	pb.WarningService_Watch_FullMethodName:            reads,
	pb.WarningService_Report_FullMethodName:           reads,
	pb.WarningService_CapTable_FullMethodName:         reads,
	pb.WarningService_Who_FullMethodName:              changes, // the look-up stands in the record

	pb.AuthorityService_ListReviews_FullMethodName: reads,
	pb.AuthorityService_CloseReview_FullMethodName: changes,
	pb.AuthorityService_ShowPolicy_FullMethodName:  reads,
	pb.AuthorityService_AgreePolicy_FullMethodName: changes,

	pb.DirectoryService_Import_FullMethodName:        begins,
	pb.DirectoryService_ImportState_FullMethodName:   reads,
	pb.DirectoryService_Change_FullMethodName:        changes,
	pb.DirectoryService_Move_FullMethodName:          changes,
	pb.DirectoryService_Stats_FullMethodName:         reads,
	pb.DirectoryService_ImportEdition_FullMethodName: begins,
	pb.DirectoryService_ListEditions_FullMethodName:  reads,

	pb.ChannelService_List_FullMethodName:      reads,
	pb.ChannelService_Pause_FullMethodName:     stops,
	pb.ChannelService_Resume_FullMethodName:    changes,
	pb.ChannelService_SetRate_FullMethodName:   changes,
	pb.ChannelService_ResetRate_FullMethodName: changes,
	pb.ChannelService_Probe_FullMethodName:     changes,

	pb.HouseService_Status_FullMethodName: reads,
	pb.HouseService_Reload_FullMethodName: changes,
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
	switch u, ours := uses[method]; {
	case u == reads || u == stops || !ours && !strings.HasPrefix(method, "/tocsin."):
		return nil
	case u == begins:
		return intake.Refusal(g.why(true))
	}
	return intake.Refusal(g.why(false))
}

// unary lets a call through that the store can keep, and never answers OK to a stop that it may not keep.
func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.admit(info.FullMethod); err != nil {
		return nil, err
	}
	resp, err := handle(ctx, req)
	if w := g.volatile.Load(); err == nil && w != nil && uses[info.FullMethod] == stops {
		return nil, intake.Refusal(warning.Refuse(warning.ReasonUnavailable,
			"it is stopped now, but a restart of the store may forget it (%s): say it again with the same key when the store is well", *w))
	}
	return resp, err
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
	if _, err := p.own.RewriteIfDue(ctx, func() bool { return p.sendsRed(ctx) }); err != nil && ctx.Err() == nil {
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
