package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"tocsin/dispatcher/wiring"
	"tocsin/dispatcher/wiring/show"
	pb "tocsin/proto/tocsin/v1"
)

func newGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get ID", Short: "Show one warning as it is recorded, or as a CAP message", Args: exactly(1),
		Example: "  tocsin get 01J… -o json\n  tocsin get 01J… -o cap --sender cap@example.org > alert.xml",
	}
	k := calls(c).answers(c)
	sender := ""
	c.Flags().Lookup("output").Usage = "text, json or cap"
	c.Flags().StringVar(&sender, "sender", "", "who speaks in a CAP message: an address or a name of your domain")
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			api := pb.NewWarningServiceClient(conn)
			if k.output == "cap" {
				message, err := wiring.TellCAP(c.Context(), api, args[0], sender)
				if err != nil {
					return err
				}
				_, err = c.OutOrStdout().Write(message)
				return err
			}
			r, err := api.Get(c.Context(), &pb.GetRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.shown(r.GetWarning())...)
		})
	}
	return c
}

func newList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List warnings, active ones first, then the newest", Args: upTo(0), Example: "  tocsin list --state released --state held"}
	k := calls(c).answers(c)
	var states []string
	limit, rung := int32(0), false
	c.Flags().StringArrayVar(&states, "state", nil, "only those in this state; may be repeated")
	c.Flags().Int32Var(&limit, "limit", 0, "at most so many (default: 100)")
	c.Flags().BoolVar(&rung, "calls", false, "also the calls to people on duty, for tocsin verify")
	c.RunE = func(c *cobra.Command, _ []string) error {
		req := &pb.ListRequest{Limit: limit, Calls: rung}
		for _, s := range states {
			n, ok := pb.State_value["STATE_"+strings.ToUpper(s)]
			if !ok || n == 0 {
				return usage(fmt.Errorf("--state %q: say submitted, approved, released, held, completed, cancelled, expired, rejected or replaced", s))
			}
			req.States = append(req.States, pb.State(n))
		}
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewWarningServiceClient(conn).List(c.Context(), req)
			if err != nil {
				return err
			}
			var lines []string
			for _, w := range r.GetWarnings() {
				lines = append(lines, k.language().Warning(w))
			}
			return k.put(c.OutOrStdout(), r, lines...)
		})
	}
	return c
}

func newReport() *cobra.Command {
	c := &cobra.Command{
		Use: "report ID", Short: "Say what became of everybody, in people", Args: exactly(1),
		Example: "  tocsin report 01J… --lang zh-CN\n  tocsin report 01J… --brief\n  tocsin report 01J… -o csv > report.csv",
	}
	k := calls(c).answers(c)
	c.Flags().Lookup("output").Usage = "text, json or csv"
	brief := c.Flags().Bool("brief", false, "only what became of everybody, and by which channel")
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewWarningServiceClient(conn).Report(c.Context(), &pb.ReportRequest{Id: args[0]})
			if err != nil {
				return err
			}
			if k.output == "csv" {
				return show.ReportCSV(c.OutOrStdout(), r)
			}
			if *brief {
				return k.put(c.OutOrStdout(), r, k.language().Brief(r)...)
			}
			return k.put(c.OutOrStdout(), r, k.language().Report(r)...)
		})
	}
	return c
}

func newWho() *cobra.Command {
	c := &cobra.Command{
		Use: "who NUMBER --why REASON", Short: "Show one person's messages; the look-up stands in the record", Args: exactly(1),
		Example: "  tocsin who 9991000000001 --why 'asked by the person, case 17'",
	}
	k := calls(c).answers(c)
	why := ""
	c.Flags().StringVar(&why, "why", "", "the reason; it stands in the record")
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewWarningServiceClient(conn).Who(c.Context(), &pb.WhoRequest{Number: args[0], Why: why})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Who(r)...)
		})
	}
	return c
}

func newHealth() *cobra.Command {
	c := &cobra.Command{
		Use: "health [intake|dispatch|live]", Short: "Ask how the engine is; exits 1 when it is not well", Args: upTo(1),
		ValidArgs: []string{"intake", "dispatch", "live"}, Example: "  tocsin health intake",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = c.ValidArgs
		}
		return k.with(func(conn *grpc.ClientConn) error {
			out, bad := map[string]string{}, false
			for _, name := range args {
				r, err := healthpb.NewHealthClient(conn).Check(c.Context(), &healthpb.HealthCheckRequest{Service: name})
				if err != nil {
					return err
				}
				out[name] = strings.ToLower(r.GetStatus().String())
				bad = bad || r.GetStatus() != healthpb.HealthCheckResponse_SERVING
			}
			waits, err := k.attention(c.Context(), conn)
			if err != nil {
				return err
			}
			if k.output == "json" {
				if err := putJSON(c.OutOrStdout(), out); err != nil {
					return err
				}
			} else {
				for _, name := range args {
					fmt.Fprintln(c.OutOrStdout(), name+":", out[name])
				}
				if err := putLines(c.OutOrStdout(), waits); err != nil {
					return err
				}
			}
			if bad {
				return errBadVerdict
			}
			return nil
		})
	}
	return c
}
