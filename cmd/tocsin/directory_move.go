package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

func newMove() *cobra.Command {
	c := &cobra.Command{
		Use: "move FILE", Short: "Say where people are now: who enters the area of a live warning gets it; - reads a feed", Args: exactly(1),
		Long: "The lines are: " + geofence.PositionsHeader, Example: "  tocsin directory move positions.csv\n  feed | tocsin directory move -",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		in := c.InOrStdin()
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		return k.with(func(conn *grpc.ClientConn) error {
			r, unread, err := move(c.Context(), pb.NewDirectoryServiceClient(conn), in)
			for _, b := range unread {
				fmt.Fprintln(c.ErrOrStderr(), b)
			}
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Moved(r))
		})
	}
	return c
}

// move streams positions until the input ends.
func move(ctx context.Context, api pb.DirectoryServiceClient, in io.Reader) (*pb.MoveResponse, []geofence.BadRow, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := api.Move(ctx)
	if err != nil {
		return nil, nil, err
	}
	unread, err := geofence.ReadPositions(in, func(number []uint64, lon, lat []int32) error {
		return stream.Send(&pb.MoveRequest{Number: number, LonE7: lon, LatE7: lat})
	})
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: the engine has ended the stream; its answer says why
		return nil, unread, err
	}
	r, err := stream.CloseAndRecv()
	return r, unread, err
}
