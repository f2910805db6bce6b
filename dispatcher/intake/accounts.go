package intake

import (
	"context"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
)

// accounts is ChannelService.
type accounts struct {
	pb.UnimplementedChannelServiceServer
	*Server
}

// act carries out one change of an account for the caller and answers the account.
func (s *accounts) act(ctx context.Context, do func(dispatcher.Caller) (dispatcher.AccountHealth, error)) (*pb.Account, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	a, err := do(c)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return accountTo(a), nil
}

func (s *accounts) List(ctx context.Context, _ *pb.ListChannelsRequest) (*pb.ListChannelsResponse, error) {
	all, err := s.Accounts.Accounts(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.ListChannelsResponse{}
	for _, a := range all {
		out.Accounts = append(out.Accounts, accountTo(a))
	}
	return out, nil
}

func (s *accounts) Pause(ctx context.Context, r *pb.PauseRequest) (*pb.PauseResponse, error) {
	a, err := s.act(ctx, func(c dispatcher.Caller) (dispatcher.AccountHealth, error) {
		return s.Accounts.Pause(ctx, c, r.GetKey(), r.GetAccount(), r.GetWhy())
	})
	if err != nil {
		return nil, err
	}
	return &pb.PauseResponse{Account: a}, nil
}

func (s *accounts) Resume(ctx context.Context, r *pb.ResumeRequest) (*pb.ResumeResponse, error) {
	a, err := s.act(ctx, func(c dispatcher.Caller) (dispatcher.AccountHealth, error) {
		return s.Accounts.Resume(ctx, c, r.GetKey(), r.GetAccount())
	})
	if err != nil {
		return nil, err
	}
	return &pb.ResumeResponse{Account: a}, nil
}

func (s *accounts) SetRate(ctx context.Context, r *pb.SetRateRequest) (*pb.SetRateResponse, error) {
	a, err := s.act(ctx, func(c dispatcher.Caller) (dispatcher.AccountHealth, error) {
		return s.Accounts.SetRate(ctx, c, r.GetKey(), r.GetAccount(), int(r.GetMessagesPerS()))
	})
	if err != nil {
		return nil, err
	}
	return &pb.SetRateResponse{Account: a}, nil
}

func (s *accounts) ResetRate(ctx context.Context, r *pb.ResetRateRequest) (*pb.ResetRateResponse, error) {
	a, err := s.act(ctx, func(c dispatcher.Caller) (dispatcher.AccountHealth, error) {
		return s.Accounts.ResetRate(ctx, c, r.GetKey(), r.GetAccount())
	})
	if err != nil {
		return nil, err
	}
	return &pb.ResetRateResponse{Account: a}, nil
}

func (s *accounts) Probe(ctx context.Context, r *pb.ProbeRequest) (*pb.ProbeResponse, error) {
	a, err := s.act(ctx, func(c dispatcher.Caller) (dispatcher.AccountHealth, error) {
		return s.Accounts.Probe(ctx, c, r.GetAccount())
	})
	if err != nil {
		return nil, err
	}
	return &pb.ProbeResponse{Account: a}, nil
}
