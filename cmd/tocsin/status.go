package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
)

// errNotWell is the answer of a status that is not well; what is wrong was shown already.
type errNotWell struct{ code int }

func (errNotWell) Error() string { return "not all is well" }

// The exit codes of status are those that monitoring systems know.
const (
	exitDegraded = 1
	exitWrong    = 2
)

func newStatus() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show on one screen what whoever is on watch must see", Args: upTo(0),
		Long: "Show on one screen what whoever is on watch must see: first what is not well and what to do, then everything.\n\n" +
			"Exit codes: 0 all is well; 1 something is degraded, and somebody should look today; 2 something is wrong: people are\n" +
			"not reached, nothing new is taken in, or no engine answers.",
		Example: "  tocsin status\n  tocsin status --watch\n  tocsin status -o json",
	}
	k := calls(c).answers(c)
	again := c.Flags().Bool("watch", false, "draw it again every second until Ctrl-C")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			if !*again {
				return k.status(c, conn, "")
			}
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				home := ""
				if terminal(c.OutOrStdout()) {
					home = "\x1b[H\x1b[2J" // ECMA-48: cursor home, erase the page
				}
				if err := k.status(c, conn, home); err != nil && !errors.As(err, &errNotWell{}) {
					fmt.Fprintln(c.OutOrStdout(), home+err.Error())
				}
				select {
				case <-tick.C:
				case <-c.Context().Done():
					return nil
				}
			}
		})
	}
	return c
}

// status asks once and writes the page behind before.
func (k *client) status(c *cobra.Command, conn *grpc.ClientConn, before string) error {
	r, err := pb.NewHouseServiceClient(conn).Status(c.Context(), &pb.StatusRequest{})
	if err != nil {
		return errors.Join(err, errNotWell{exitWrong})
	}
	if k.output == "json" {
		err = putProto(c.OutOrStdout(), r)
	} else {
		paint := func(_ pb.Level, s string) string { return s }
		if terminal(c.OutOrStdout()) {
			paint = painted
		}
		_, err = io.WriteString(c.OutOrStdout(), before+strings.Join(k.language().Status(r, paint), "\n")+"\n")
	}
	switch {
	case err != nil:
		return err
	case r.GetLevel() == pb.Level_LEVEL_WRONG:
		return errNotWell{exitWrong}
	case r.GetLevel() == pb.Level_LEVEL_DEGRADED:
		return errNotWell{exitDegraded}
	}
	return nil
}

// painted is text in the colour of its level (ECMA-48); the head of the page stands on it.
func painted(l pb.Level, s string) string {
	colour := map[pb.Level]string{pb.Level_LEVEL_OK: "30;42", pb.Level_LEVEL_DEGRADED: "33", pb.Level_LEVEL_WRONG: "1;31"}[l]
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}
