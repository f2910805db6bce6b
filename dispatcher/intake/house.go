package intake

import (
	"context"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
)

// house is HouseService.
type house struct {
	pb.UnimplementedHouseServiceServer
	*Server
}

func (s *house) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	return statusTo(s.House.Status(ctx)), nil
}

func (s *house) Reload(ctx context.Context, r *pb.ReloadRequest) (*pb.ReloadResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	done, err := s.House.Reload(ctx, c, r.GetKey(), r.GetCheckOnly())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.ReloadResponse{Applied: done.Applied, ByHand: done.ByHand, Node: done.Node, Before: done.Before, After: done.After}
	for _, x := range done.Leaving {
		out.Leaving = append(out.Leaving, &pb.LeavingAccount{Account: x.Account, People: x.People})
	}
	for _, x := range done.Changes {
		out.Changes = append(out.Changes, &pb.ConfigChange{Key: x.Key, Before: x.Before, After: x.After, Takes: x.Takes})
	}
	return out, nil
}

func statusTo(s dispatcher.Status) *pb.StatusResponse {
	out := &pb.StatusResponse{
		Realm: s.Realm, Node: s.Node, At: timeTo(s.At), StartedAt: timeTo(s.Started), Level: pb.Level(s.Level()), Intake: s.Intake,
		Store: &pb.StoreHealth{
			Up: s.Store.Up, Own: s.Store.Own, Version: s.Store.Version, Durability: s.Store.Durability, Error: s.Store.Error,
			MemoryBytes: s.Store.Memory, MaxMemoryBytes: s.Store.MaxMemory, AofBytes: s.Store.AOF, Rewriting: s.Store.Rewriting,
			LastWriteAt: timeTo(s.Store.LastWrite), WriteTookS: s.Store.WriteTook.Seconds(),
		},
		Disk: &pb.DiskHealth{FreeBytes: s.Disk.Free, NeededBytes: s.Disk.Needed},
		Clock: &pb.ClockHealth{
			StoreAheadS: s.Clock.Store.Seconds(), StepS: s.Clock.Step.Seconds(), SteppedAt: timeTo(s.Clock.SteppedAt),
		},
		Config: &pb.ConfigHealth{
			File: s.Config.File, LoadedAt: timeTo(s.Config.LoadedAt), Policy: s.Config.Policy, Changed: s.Config.Changed, Fault: s.Config.Fault,
		},
	}
	for _, f := range s.Findings {
		out.Findings = append(out.Findings, &pb.Finding{Level: pb.Level(f.Level), Kind: f.Kind, Subject: f.Subject, Detail: f.Detail, People: f.People})
	}
	for _, a := range s.Accounts {
		out.Accounts = append(out.Accounts, accountTo(a))
	}
	for _, p := range s.Platforms {
		out.Platforms = append(out.Platforms, &pb.PlatformHealth{
			Name: p.Name, Protocol: p.Protocol, Channel: pb.Channel(p.Channel), Owner: p.Owner, Up: p.Up, Heard: p.Heard, LastError: p.LastError,
		})
	}
	for _, b := range s.Backlog {
		out.Backlog = append(out.Backlog, &pb.TierBacklog{Tier: pb.Tier(b.Tier), People: b.People, Messages: b.Messages, FinishAt: timeTo(b.Finish)})
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, &pb.NodeHealth{
			Node: n.Node, StartedAt: timeTo(n.Started), Owns: n.Accounts, SilentS: n.Silent.Seconds(), AheadS: n.Ahead.Seconds(), Policy: n.Policy,
		})
	}
	for _, w := range s.Awaiting {
		out.Awaiting = append(out.Awaiting, &pb.Awaiting{
			Id: w.ID, EventName: w.Event, Tier: pb.Tier(w.Tier), Status: pb.Status(w.Status), Since: timeTo(w.Since), ApprovalsMissing: int32(w.Missing),
		})
	}
	for i := range s.Reviews {
		out.Reviews = append(out.Reviews, reviewTo(&s.Reviews[i], s.At))
	}
	for _, c := range s.Certificates {
		out.Certificates = append(out.Certificates, &pb.Certificate{File: c.File, DaysLeft: int32(c.Days), Error: c.Error})
	}
	return out
}
