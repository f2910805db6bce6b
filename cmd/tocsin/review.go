package main

import (
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
)

func newReview() *cobra.Command {
	return group("review", "Look at what somebody released alone", newReviewList(), newReviewClose())
}

func newReviewList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the open reviews, the one due first first", Args: upTo(0), Example: "  tocsin review list",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewAuthorityServiceClient(conn).ListReviews(c.Context(), &pb.ListReviewsRequest{})
			if err != nil {
				return err
			}
			var lines []string
			for _, review := range r.GetReviews() {
				lines = append(lines, k.language().Review(review))
			}
			return k.put(c.OutOrStdout(), r, lines...)
		})
	}
	return c
}

func newReviewClose() *cobra.Command {
	c := &cobra.Command{
		Use: "close ID --finding TEXT", Short: "Close the review of a warning that somebody else submitted and released", Args: exactly(1),
		Example: "  tocsin review close 01J… --finding 'right: the dam was failing'",
	}
	k := calls(c).answers(c).changes(c)
	finding := c.Flags().String("finding", "", "whether the release was right, for the record")
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.act(func(conn *grpc.ClientConn, key string) error {
			r, err := pb.NewAuthorityServiceClient(conn).CloseReview(c.Context(), &pb.CloseReviewRequest{Key: key, WarningId: args[0], Finding: *finding})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Warning(r.GetWarning()), k.language().Review(r.GetWarning().GetReview()))
		})
	}
	return c
}
