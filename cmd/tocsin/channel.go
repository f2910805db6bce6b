package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "tocsin/proto/tocsin/v1"
)

func newChannel() *cobra.Command {
	return group("channel", "Show and steer the accounts with carriers", newChannelList(), newPause(), newResume(), newRate(), newProbe())
}

func newChannelList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the accounts with their health", Args: upTo(0), Example: "  tocsin channel list -o json"}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewChannelServiceClient(conn).List(c.Context(), &pb.ListChannelsRequest{})
			if err != nil {
				return err
			}
			var lines []string
			for _, a := range r.GetAccounts() {
				lines = append(lines, k.language().Account(a))
			}
			return k.put(c.OutOrStdout(), r, lines...)
		})
	}
	return c
}

// steered is an answer that is an account.
type steered interface {
	proto.Message
	GetAccount() *pb.Account
}

// steer fills in a verb that changes one account.
func steer(c *cobra.Command, do func(ctx context.Context, api pb.ChannelServiceClient, key string, args []string) (steered, error)) *cobra.Command {
	k := calls(c).answers(c).changes(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.set(func(conn *grpc.ClientConn, key string) error {
			r, err := do(c.Context(), pb.NewChannelServiceClient(conn), key, args)
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Account(r.GetAccount()))
		})
	}
	return c
}

func newPause() *cobra.Command {
	c := &cobra.Command{Use: "pause ACCOUNT", Short: "Stop an account until resume", Args: exactly(1), Example: "  tocsin channel pause mobile --why 'work at the carrier until 14:00'"}
	why := c.Flags().String("why", "", "the reason, for the record")
	return steer(c, func(ctx context.Context, api pb.ChannelServiceClient, key string, args []string) (steered, error) {
		return api.Pause(ctx, &pb.PauseRequest{Key: key, Account: args[0], Why: *why})
	})
}

func newResume() *cobra.Command {
	c := &cobra.Command{Use: "resume ACCOUNT", Short: "Let a paused account go on", Args: exactly(1), Example: "  tocsin channel resume mobile"}
	return steer(c, func(ctx context.Context, api pb.ChannelServiceClient, key string, args []string) (steered, error) {
		return api.Resume(ctx, &pb.ResumeRequest{Key: key, Account: args[0]})
	})
}

func newRate() *cobra.Command {
	c := &cobra.Command{Use: "rate ACCOUNT MESSAGES_PER_SECOND|configured", Short: "Change the rate of an account, or give up the change", Args: exactly(2),
		Example: "  tocsin channel rate mobile 1200\n  tocsin channel rate mobile configured"}
	return steer(c, func(ctx context.Context, api pb.ChannelServiceClient, key string, args []string) (steered, error) {
		if args[1] == "configured" {
			return api.ResetRate(ctx, &pb.ResetRateRequest{Key: key, Account: args[0]})
		}
		rate, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return nil, usage(fmt.Errorf("%q is no number of messages a second", args[1]))
		}
		return api.SetRate(ctx, &pb.SetRateRequest{Key: key, Account: args[0], MessagesPerS: int32(rate)})
	})
}

func newProbe() *cobra.Command {
	c := &cobra.Command{
		Use: "probe ACCOUNT", Short: "Send a link test to the operator's own number and wait for its receipt", Args: exactly(1),
		Example: "  tocsin channel probe mobile",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewChannelServiceClient(conn).Probe(c.Context(), &pb.ProbeRequest{Account: args[0]})
			if err != nil {
				return err
			}
			if err := k.put(c.OutOrStdout(), r, k.language().Account(r.GetAccount())); err != nil {
				return err
			}
			if !r.GetAccount().GetTest().GetOk() {
				return fmt.Errorf("the link test of %s failed", args[0])
			}
			return nil
		})
	}
	return c
}
