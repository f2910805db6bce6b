package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
)

func newBroadcast() *cobra.Command {
	c := &cobra.Command{
		Use: "broadcast ID --channels CHANNEL", Short: "Play a released warning again on loudspeakers, television or the app", Args: exactly(1),
		Long:    "The message keeps its identity, so that a platform knows it as a repeat. --area names districts of the warning; a place outside it is refused.",
		Example: "  tocsin broadcast 01J… --channels broadcast --repeat 10m --times 6\n  tocsin broadcast 01J… --channels broadcast --area 500101 --audio voice.mp3",
	}
	k := calls(c).answers(c).changes(c)
	names := c.Flags().StringSlice("channels", nil, "broadcast, cable_tv or push; several separated by commas")
	areas := c.Flags().StringSlice("area", nil, "codes of districts of the warning, 6 or 12 digits (default: all of them)")
	every := c.Flags().Duration("repeat", 10*time.Minute, "time between two")
	times := c.Flags().Int32("times", 1, "how many times")
	audio := c.Flags().String("audio", "", "a recorded voice for the loudspeakers, an mp3 of at most 1 MiB (default: the platform speaks the words)")
	c.RunE = func(c *cobra.Command, args []string) error {
		r := &pb.BroadcastRequest{Id: args[0], Times: *times, EveryS: int32(every.Seconds())}
		for _, n := range *names {
			v, ok := pb.Channel_value["CHANNEL_"+strings.ToUpper(n)]
			if !ok {
				return usage(fmt.Errorf("--channels %q: say broadcast, cable_tv or push", n))
			}
			r.Channels = append(r.Channels, pb.Channel(v))
		}
		for _, a := range *areas {
			if len(a) == 6 {
				a += "000000"
			}
			r.Units = append(r.Units, a)
		}
		if *audio != "" {
			b, err := os.ReadFile(*audio)
			if err != nil {
				return err
			}
			r.Audio = &pb.Audio{Name: filepath.Base(*audio), Mpeg: b}
		}
		return k.act(func(conn *grpc.ClientConn, key string) error {
			r.Key = key
			resp, err := pb.NewWarningServiceClient(conn).Broadcast(c.Context(), r)
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), resp, k.language().Warning(resp.GetWarning()))
		})
	}
	return c
}
