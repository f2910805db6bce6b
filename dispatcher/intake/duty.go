package intake

import (
	"context"

	pb "tocsin/proto/tocsin/v1"
)

// duty is DutyService.
type duty struct {
	pb.UnimplementedDutyServiceServer
	*Server
}

func (s *duty) Set(ctx context.Context, r *pb.SetDutyRequest) (*pb.SetDutyResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	if err := s.Duty.SetDuty(ctx, c, r.GetKey(), r.GetState()); err != nil {
		return nil, statusOf(s.Log, err)
	}
	people, err := s.people(ctx)
	return &pb.SetDutyResponse{People: people}, err
}

func (s *duty) List(ctx context.Context, _ *pb.ListDutyRequest) (*pb.ListDutyResponse, error) {
	people, err := s.people(ctx)
	return &pb.ListDutyResponse{People: people}, err
}

// people never shows a number.
func (s *duty) people(ctx context.Context) ([]*pb.OnDuty, error) {
	all, err := s.Duty.OnDuty(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := make([]*pb.OnDuty, len(all))
	for i, c := range all {
		out[i] = &pb.OnDuty{User: c.User, OnDuty: c.OnDuty, ByHand: c.Switched, Approves: c.Approves, Backup: int32(c.Backup)}
	}
	return out, nil
}
