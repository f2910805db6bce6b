package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"google.golang.org/grpc"

	"tocsin/dispatcher/wiring/show"
	pb "tocsin/proto/tocsin/v1"
)

// plainEvery is the time between two lines where there is no terminal.
const plainEvery = 2 * time.Second

func newWatch() *cobra.Command {
	c := &cobra.Command{
		Use: "watch [ID]", Short: "Watch one warning until it is over, or all", Args: upTo(1),
		Example: "  tocsin watch 01J…\n  tocsin watch -o json",
	}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		req := &pb.WatchRequest{Id: append(args, "")[0]}
		return k.with(func(conn *grpc.ClientConn) error {
			switch {
			case k.output == "json":
				return watch(c, conn, req, func(p *pb.WatchResponse) error { return putProto(c.OutOrStdout(), p) })
			case terminal(c.OutOrStdout()):
				live := newLive(c.OutOrStdout(), k.language())
				defer live.end()
				return watch(c, conn, req, live.show)
			}
			req.EveryMs = int32(plainEvery / time.Millisecond)
			return watch(c, conn, req, func(p *pb.WatchResponse) error {
				_, err := fmt.Fprintln(c.OutOrStdout(), k.language().Progress(p))
				return err
			})
		})
	}
	return c
}

func watch(c *cobra.Command, conn *grpc.ClientConn, req *pb.WatchRequest, see func(*pb.WatchResponse) error) error {
	stream, err := pb.NewWarningServiceClient(conn).Watch(c.Context(), req)
	if err != nil {
		return err
	}
	for {
		p, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF): // it is over
			return nil
		case errors.Is(c.Context().Err(), context.Canceled): // somebody pressed Ctrl-C
			return nil
		case err != nil:
			return err
		}
		if err := see(p); err != nil {
			return err
		}
	}
}

// colours of the tiers on a terminal (ECMA-48, 256 colours).
var colours = map[pb.Tier]string{
	pb.Tier_TIER_RED: "196", pb.Tier_TIER_ORANGE: "208", pb.Tier_TIER_YELLOW: "226", pb.Tier_TIER_BLUE: "39", pb.Tier_TIER_NOTICE: "250",
}

// live is bars on a terminal, one a warning.
type live struct {
	language show.Language
	bars     *mpb.Progress
	by       map[string]*liveBar
}

type liveBar struct {
	bar   *mpb.Bar
	texts [liveLines]*mpb.Bar
	lines atomic.Pointer[[]string] // written by the stream, read by the painter
}

// liveLines is how many lines of text stand under a bar.
const liveLines = 3

// manyWarnings is more than there are of one tier at a time.
const manyWarnings = 1 << 20

func newLive(w io.Writer, l show.Language) *live {
	return &live{language: l, bars: mpb.New(mpb.WithOutput(w), mpb.WithWidth(50)), by: map[string]*liveBar{}}
}

func (l *live) show(p *pb.WatchResponse) error {
	id := p.GetWarning().GetId()
	b := l.by[id]
	if b == nil {
		b = &liveBar{}
		// The most urgent stands on top; of one tier the older; each with its lines below it.
		top := (int(p.GetWarning().GetSpec().GetTier())*manyWarnings + len(l.by)) * (1 + liveLines)
		l.by[id] = b
		paint := func(s string) string {
			return "\x1b[38;5;" + colours[p.GetWarning().GetSpec().GetTier()] + "m" + s + "\x1b[0m"
		}
		b.say(l.language.ProgressLines(p))
		b.bar = l.bars.New(0, mpb.BarStyle().Filler("█").FillerMeta(paint).Tip("█").TipMeta(paint).Padding("░"), mpb.BarPriority(top), mpb.AppendDecorators(decor.Percentage()))
		for i := range b.texts { // a line is a bar without a bar: each is cut to the width of the terminal
			b.texts[i] = l.bars.New(0, mpb.NopStyle(), mpb.BarPriority(top+1+i), mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
				if lines := *b.lines.Load(); i < len(lines) {
					return lines[i]
				}
				return ""
			})))
		}
	}
	b.say(l.language.ProgressLines(p))
	done, planned, _ := show.Done(p)
	b.bar.SetTotal(max(planned, 1), false)
	b.bar.SetCurrent(done)
	return nil
}

func (b *liveBar) say(lines []string) { b.lines.Store(&lines) }

func (l *live) end() {
	for _, b := range l.by {
		b.bar.Abort(false)
		for _, t := range b.texts {
			t.Abort(false)
		}
	}
	l.bars.Wait()
}
