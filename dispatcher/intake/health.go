package intake

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Health answers promise 12: each is nil while it is well, or says what is not. A load balancer asks for intake only,
// which is also the answer for the empty name.
type Health struct {
	Intake, Dispatch, Live func(context.Context) error
}

// healthEvery is the time between two looks of a health watch.
const healthEvery = time.Second

// health is grpc.health.v1.
type health struct {
	healthpb.UnimplementedHealthServer
	*Server
}

func (s *health) probe(name string) (func(context.Context) error, bool) {
	switch name {
	case "", "intake":
		return s.Health.Intake, true
	case "dispatch":
		return s.Health.Dispatch, true
	case "live":
		return s.Health.Live, true
	}
	return nil, false
}

func (s *health) look(ctx context.Context, name string) healthpb.HealthCheckResponse_ServingStatus {
	probe, ok := s.probe(name)
	switch {
	case !ok:
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	case probe(ctx) != nil:
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

func (s *health) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	st := s.look(ctx, r.GetService())
	if st == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "no health for %q: ask for intake, dispatch or live", r.GetService())
	}
	return &healthpb.HealthCheckResponse{Status: st}, nil
}

func (s *health) List(ctx context.Context, _ *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	out := &healthpb.HealthListResponse{Statuses: map[string]*healthpb.HealthCheckResponse{}}
	for _, name := range []string{"intake", "dispatch", "live"} {
		out.Statuses[name] = &healthpb.HealthCheckResponse{Status: s.look(ctx, name)}
	}
	return out, nil
}

func (s *health) Watch(r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	last := healthpb.HealthCheckResponse_UNKNOWN
	for {
		if st := s.look(stream.Context(), r.GetService()); st != last {
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: st}); err != nil {
				return err
			}
			last = st
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-s.stop:
			return status.Error(codes.Unavailable, "the engine is stopping")
		}
	}
}
