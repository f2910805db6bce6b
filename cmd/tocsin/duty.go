package main

import (
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "tocsin/proto/tocsin/v1"
)

func newDuty() *cobra.Command {
	return group("duty", "Say who is rung while a warning waits for approval", newDutyList(),
		newDutySet("on", "Be rung from now on, whatever the hours of the roster"),
		newDutySet("off", "Be rung no more, whatever the hours of the roster"),
		newDutySet("hours", "Be rung in the hours of the roster again"))
}

// roster is an answer that is people who can be rung.
type roster interface {
	proto.Message
	GetPeople() []*pb.OnDuty
}

func (k *client) putRoster(c *cobra.Command, r roster) error {
	var lines []string
	for _, p := range r.GetPeople() {
		lines = append(lines, k.language().OnDuty(p))
	}
	return k.put(c.OutOrStdout(), r, lines...)
}

func newDutyList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List who can be rung, and who is on duty", Args: upTo(0), Example: "  tocsin duty list"}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewDutyServiceClient(conn).List(c.Context(), &pb.ListDutyRequest{})
			if err != nil {
				return err
			}
			return k.putRoster(c, r)
		})
	}
	return c
}

func newDutySet(state, short string) *cobra.Command {
	c := &cobra.Command{Use: state, Short: short, Args: upTo(0), Example: "  tocsin duty " + state}
	k := calls(c).answers(c).changes(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.set(func(conn *grpc.ClientConn, key string) error {
			r, err := pb.NewDutyServiceClient(conn).Set(c.Context(), &pb.SetDutyRequest{Key: key, State: state})
			if err != nil {
				return err
			}
			return k.putRoster(c, r)
		})
	}
	return c
}
