package intake

import (
	"context"
	"time"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// authority is AuthorityService.
type authority struct {
	pb.UnimplementedAuthorityServiceServer
	*warnings
}

func (s *authority) ListReviews(ctx context.Context, _ *pb.ListReviewsRequest) (*pb.ListReviewsResponse, error) {
	all, err := s.Looks.Reviews(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.ListReviewsResponse{}
	for i := range all {
		out.Reviews = append(out.Reviews, reviewTo(&all[i], s.Now()))
	}
	return out, nil
}

func (s *authority) CloseReview(ctx context.Context, r *pb.CloseReviewRequest) (*pb.CloseReviewResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.CloseReview(ctx, c, r.GetKey(), r.GetWarningId(), r.GetFinding())
	})
	if err != nil {
		return nil, err
	}
	return &pb.CloseReviewResponse{Warning: w}, nil
}

func (s *authority) ShowPolicy(ctx context.Context, _ *pb.ShowPolicyRequest) (*pb.ShowPolicyResponse, error) {
	p, err := s.Rule.Policy(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return &pb.ShowPolicyResponse{InForce: policyTo(&p.InForce), Proposed: proposalTo(p.Proposed)}, nil
}

func (s *authority) AgreePolicy(ctx context.Context, r *pb.AgreePolicyRequest) (*pb.AgreePolicyResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	p, err := s.Rule.AgreePolicy(ctx, c, r.GetDigest())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return &pb.AgreePolicyResponse{InForce: policyTo(&p.InForce), Proposed: proposalTo(p.Proposed)}, nil
}

func policyTo(p *PolicyKept) *pb.Policy {
	return &pb.Policy{Digest: p.Digest, Json: p.JSON, Since: timeTo(p.Since), Agreed: p.Agreed}
}

func proposalTo(p *PolicyKept) *pb.Proposal {
	if p == nil {
		return nil
	}
	return &pb.Proposal{Digest: p.Digest, Json: p.JSON, Since: timeTo(p.Since), Agreed: p.Agreed, Loosens: p.Loosens}
}

func reviewTo(r *warning.Review, now time.Time) *pb.Review {
	if r == nil {
		return nil
	}
	return &pb.Review{
		WarningId: r.Warning, Version: int32(r.Version), Paper: r.Paper, Why: r.Why, OpenedBy: r.OpenedBy, OpenedAt: timeTo(r.OpenedAt),
		Due: timeTo(r.Due), ClosedBy: r.ClosedBy, ClosedAt: timeTo(r.ClosedAt), Finding: r.Finding, Overdue: r.Overdue(now),
	}
}

func reviewFrom(r *pb.Review) *warning.Review {
	if r == nil {
		return nil
	}
	return &warning.Review{
		Warning: r.GetWarningId(), Version: int(r.GetVersion()), Paper: r.GetPaper(), Why: r.GetWhy(), OpenedBy: r.GetOpenedBy(),
		OpenedAt: timeFrom(r.GetOpenedAt()), Due: timeFrom(r.GetDue()), ClosedBy: r.GetClosedBy(), ClosedAt: timeFrom(r.GetClosedAt()),
		Finding: r.GetFinding(),
	}
}
