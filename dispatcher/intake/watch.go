package intake

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

const (
	watchEvery   = 500 * time.Millisecond // when the caller names no time
	watchFastest = 50 * time.Millisecond  // however little time it names: each look costs the store a read
)

// active is the states in which a warning has something to show to somebody who watches all.
var active = []warning.State{warning.Submitted, warning.Approved, warning.Released, warning.Held}

// over tells whether a warning in this state moves no more by itself.
func over(s warning.State) bool {
	switch s {
	case warning.Completed, warning.Cancelled, warning.Expired, warning.Rejected, warning.Replaced:
		return true
	}
	return false
}

// Watch sends the progress of one warning until it is over, or of all active ones until the caller goes away.
func (s *warnings) Watch(r *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	every := time.Duration(r.GetEveryMs()) * time.Millisecond
	if every == 0 {
		every = watchEvery
	}
	c, err := s.caller(stream.Context())
	if err != nil {
		return statusOf(s.Log, err)
	}
	w := watcher{s: s, caller: c, send: stream.Send, last: map[string]*pb.WatchResponse{}}
	look := w.all
	if id := r.GetId(); id != "" {
		look = func(ctx context.Context) (bool, error) { return w.one(ctx, id) }
	}
	tick := time.NewTicker(max(every, watchFastest))
	defer tick.Stop()
	for {
		end, err := look(stream.Context())
		if err != nil {
			return statusOf(s.Log, err)
		}
		if end {
			return nil
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return statusOf(s.Log, stream.Context().Err())
		case <-s.stop:
			return statusOf(s.Log, warning.Refuse(warning.ReasonUnavailable, "the engine is stopping: watch again"))
		}
	}
}

// watcher is one call of Watch.
type watcher struct {
	s      *warnings
	caller dispatcher.Caller
	send   func(*pb.WatchResponse) error
	last   map[string]*pb.WatchResponse // by warning: what was sent last
}

// one sends the warning's progress when it is new, and tells whether the warning is over.
func (w *watcher) one(ctx context.Context, id string) (bool, error) {
	p, err := w.s.Looks.Progress(ctx, id)
	if err != nil {
		return false, err
	}
	next := w.s.progressTo(p, w.caller)
	if differs(w.last[id], next) {
		if err := w.send(next); err != nil {
			return false, err
		}
		w.last[id] = next
	}
	return over(p.Warning.State), nil
}

// all sends every active warning that has news, and once more each that is over since the last look.
func (w *watcher) all(ctx context.Context) (bool, error) {
	now, err := w.s.Looks.List(ctx, active, false, defaultList)
	if err != nil {
		return false, err
	}
	ids := map[string]bool{}
	for _, x := range now {
		ids[x.ID] = true
	}
	for id := range w.last {
		ids[id] = true
	}
	for id := range ids {
		end, err := w.one(ctx, id)
		if err != nil {
			return false, err
		}
		if end {
			delete(w.last, id)
		}
	}
	return false, nil
}
