package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "tocsin/proto/tocsin/v1"
)

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }

// answered is an answer that is a warning.
type answered interface {
	proto.Message
	GetWarning() *pb.Warning
}

// decision is a verb that changes one warning, in one way or the other of a client to say it.
func decision(way func(*client, func(*grpc.ClientConn, string) error) error, use, short, example string, why bool, do func(ctx context.Context, c pb.WarningServiceClient, key, id, why string) (answered, error)) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: exactly(1)}
	k := calls(c).answers(c).changes(c)
	reason := ""
	if why {
		c.Flags().StringVar(&reason, "why", "", "the reason, for the record")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return way(k, func(conn *grpc.ClientConn, key string) error {
			r, err := do(c.Context(), pb.NewWarningServiceClient(conn), key, args[0], reason)
			if err != nil {
				return err
			}
			lines := []string{k.language().Warning(r.GetWarning())}
			if cancelled, ok := r.(*pb.CancelResponse); ok && cancelled.GetCorrection() != nil {
				lines = append(lines, k.language().Warning(cancelled.GetCorrection()))
			}
			return k.put(c.OutOrStdout(), r, lines...)
		})
	}
	return c
}

func newReject() *cobra.Command {
	return decision((*client).act, "reject ID --why REASON", "Refuse a warning that waits for approval", "  tocsin reject 01J… --why 'wrong district'", true,
		func(ctx context.Context, c pb.WarningServiceClient, key, id, why string) (answered, error) {
			return c.Reject(ctx, &pb.RejectRequest{Key: key, Id: id, Why: why})
		})
}

func newHold() *cobra.Command {
	return decision((*client).set, "hold ID", "Stop a warning; a commander lets it go on with release", "  tocsin hold 01J… --why 'check the area'", true,
		func(ctx context.Context, c pb.WarningServiceClient, key, id, why string) (answered, error) {
			return c.Hold(ctx, &pb.HoldRequest{Key: key, Id: id, Why: why})
		})
}

func newRelease() *cobra.Command {
	emergency := false
	c := decision((*client).set, "release ID", "Let a held warning go on; in an emergency, one that still lacks approvals",
		"  tocsin release 01J…\n  tocsin release 01J… --emergency --why 'the dam fails, nobody answers'", true,
		func(ctx context.Context, c pb.WarningServiceClient, key, id, why string) (answered, error) {
			if emergency {
				return c.EmergencyRelease(ctx, &pb.EmergencyReleaseRequest{Key: key, Id: id, Why: why})
			}
			if why != "" {
				return nil, usage(errors.New("--why is for --emergency"))
			}
			return c.Release(ctx, &pb.ReleaseRequest{Key: key, Id: id})
		})
	c.Flags().BoolVar(&emergency, "emergency", false, "without the approvals that it lacks; another person must review it, and --why is needed")
	return c
}

func newCancel() *cobra.Command {
	return decision((*client).act, "cancel ID", "End a warning that was issued by mistake; its correction waits for approval", "  tocsin cancel 01J… --why 'issued by mistake'", true,
		func(ctx context.Context, c pb.WarningServiceClient, key, id, why string) (answered, error) {
			return c.Cancel(ctx, &pb.CancelRequest{Key: key, Id: id, Why: why})
		})
}

func newAllClear() *cobra.Command {
	return decision((*client).act, "all-clear ID", "Say that the danger is over, to everybody who got the warning", "  tocsin all-clear 01J…", false,
		func(ctx context.Context, c pb.WarningServiceClient, key, id, _ string) (answered, error) {
			return c.AllClear(ctx, &pb.AllClearRequest{Key: key, Id: id})
		})
}

func newApprove() *cobra.Command {
	c := &cobra.Command{
		Use: "approve ID", Short: "Approve a warning as it was shown; it may leave with it", Args: exactly(1),
		Long: "Shows the warning and asks on a terminal. A script names the digest that it was shown by submit or preview.",
		Example: `  tocsin approve 01J…
  tocsin approve 01J… --digest 5f2a…e1 --people 2341207`,
	}
	k := calls(c).answers(c).changes(c)
	digest, people := "", int64(0)
	c.Flags().StringVar(&digest, "digest", "", "digest of what is approved (default: it is shown, and asked for on a terminal)")
	c.Flags().Int64Var(&people, "people", 0, "the head count, typed in where the policy asks for it")
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.act(func(conn *grpc.ClientConn, key string) error {
			api := pb.NewWarningServiceClient(conn)
			got, err := api.Get(c.Context(), &pb.GetRequest{Id: args[0]})
			if err != nil {
				return err
			}
			if digest == "" {
				if err := k.confirm(c, api, got.GetWarning()); err != nil {
					return err
				}
				digest = got.GetWarning().GetDigest()
			}
			r, err := api.Approve(c.Context(), &pb.ApproveRequest{Key: key, Id: args[0], Version: got.GetWarning().GetVersion(), Digest: digest, People: people})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Warning(r.GetWarning()))
		})
	}
	return c
}

// terminal tells whether a stream of the command is one.
func terminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}

// confirm shows what is approved and asks on the terminal.
func (k *client) confirm(c *cobra.Command, api pb.WarningServiceClient, w *pb.Warning) error {
	if !terminal(c.InOrStdin()) {
		return usage(errors.New("nobody is here to ask: name what is approved with --digest, as preview shows it"))
	}
	p, err := api.Preview(c.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Id{Id: w.GetId()}})
	if err != nil {
		return err
	}
	// On the error stream, so that the answer alone is on the other.
	if err := putLines(c.ErrOrStderr(), append(k.shown(w), k.language().Preview(p)...)); err != nil {
		return err
	}
	fmt.Fprint(c.ErrOrStderr(), k.language().Ask(), " [y/N] ")
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	if s := strings.ToLower(strings.TrimSpace(line)); s != "y" && s != "yes" {
		return errors.New("not approved")
	}
	return nil
}
