package main

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
)

func newPolicy() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show the policy in force, and the one that waits for two persons; exits 1 when one waits", Args: upTo(0),
		Example: "  tocsin policy show -o json",
	}
	k := calls(show).answers(show)
	show.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewAuthorityServiceClient(conn).ShowPolicy(c.Context(), &pb.ShowPolicyRequest{})
			if err != nil {
				return err
			}
			if err := k.put(c.OutOrStdout(), r, k.language().Policy(r.GetInForce(), r.GetProposed())...); err != nil {
				return err
			}
			if r.GetProposed() != nil {
				return errBadVerdict
			}
			return nil
		})
	}
	return group("policy", "Look at the policy, and agree to a looser one", show, newPolicyAgree())
}

func newPolicyAgree() *cobra.Command {
	c := &cobra.Command{
		Use: "agree DIGEST", Short: "Agree to the policy that waits, by the digest that show has shown", Args: exactly(1),
		Long:    "A policy that asks for less than the one in force takes effect when two persons, approvers or commanders, have agreed.",
		Example: "  tocsin policy agree 5f2a…e1",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewAuthorityServiceClient(conn).AgreePolicy(c.Context(), &pb.AgreePolicyRequest{Digest: args[0]})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Policy(r.GetInForce(), r.GetProposed())...)
		})
	}
	return c
}

// attention is what waits for a person: warnings without approval, open reviews, and a policy that nobody has agreed to yet.
func (k *client) attention(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	waiting, err := pb.NewWarningServiceClient(conn).List(ctx, &pb.ListRequest{States: []pb.State{pb.State_STATE_SUBMITTED}})
	if err != nil {
		return nil, err
	}
	api := pb.NewAuthorityServiceClient(conn)
	reviews, err := api.ListReviews(ctx, &pb.ListReviewsRequest{})
	if err != nil {
		return nil, err
	}
	policy, err := api.ShowPolicy(ctx, &pb.ShowPolicyRequest{})
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, w := range waiting.GetWarnings() {
		lines = append(lines, k.language().Warning(w))
	}
	for _, r := range reviews.GetReviews() {
		lines = append(lines, k.language().Review(r))
	}
	return append(lines, k.language().Proposal(policy.GetProposed())...), nil
}
