// Package crash breaks a house of real processes while it sends, at contract speed, and has the carriers' logs judged:
// nobody is lost, no more is repeated than promise 3 allows, and the contract holds whoever owns the accounts.
package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tocsin/geofence"
	"tocsin/loadtest/carrierlog"
	"tocsin/loadtest/rig"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

const people = 24_000

// accounts is the contract of the model city. The guard is wide: tests share the machine with others.
func accounts() []rig.Account {
	all := rig.Thirds(4500, 5, 10, 20*time.Millisecond)
	for i := range all {
		all[i].Guard = 100 * time.Millisecond
	}
	return all
}

var (
	binary string
	shared *house // the house of all tests but one
)

// house is a rig with what was sent through it.
type house struct {
	*rig.Rig
	ids     []string
	allowed int64 // messages beyond what was wanted: for each crash so far (promise 3)
}

func TestMain(m *testing.M) {
	code, err := runIn(m)
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runIn(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "tocsin")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "tocsin/cmd/tocsin").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the binary: %w: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if shared, err = up(ctx, filepath.Join(dir, "shared"), ""); err != nil {
		return 1, err
	}
	defer shared.Down()
	return m.Run(), nil
}

// up sets up a house over the engine's own Redis, or over one that others run.
func up(ctx context.Context, dir, redis string) (*house, error) {
	r, err := rig.New(rig.Options{
		Binary: binary, Dir: dir, People: people, Seed: 1, Accounts: accounts(), Redis: redis,
		Outlines: geofence.RawOutlines(geofence.EditionAt(time.Time{}).ID),
	})
	if err != nil {
		return nil, err
	}
	if err := r.Up(ctx); err != nil {
		r.Down()
		return nil, err
	}
	return &house{Rig: r}, nil
}

// crashed allows what one crash may repeat: the open windows, and 100 ms of sending.
func (h *house) crashed() {
	for _, a := range accounts() {
		h.allowed += int64(a.Links*a.Window + a.Contract/10)
	}
}

// warn releases a warning to the twelve districts, in words of its own: some 5,600 people, three messages each.
func (h *house) warn(t *testing.T, name string) string {
	t.Helper()
	spec := rig.Rainstorm(pb.Tier_TIER_ORANGE, name, name, rig.Units(rig.Twelve...)...)
	w, _, err := h.Warn(t.Context(), rig.WithText(spec, spec.GetWords()[0].GetText()+strings.Repeat("请远离河道、沟谷和陡坡。", 8)))
	if err != nil {
		t.Fatal(err)
	}
	h.ids = append(h.ids, w.GetId())
	return w.GetId()
}

// reach waits until the share of the people is no longer waiting; the engine may be gone for a moment.
func (h *house) reach(t *testing.T, id string, share float64) {
	t.Helper()
	until(t, func() error {
		reached := false
		err := h.Follow(t.Context(), id, 50*time.Millisecond, func(p *pb.WatchResponse) bool {
			var planned, waiting int64
			for _, l := range p.GetLanes() {
				planned += l.GetPlanned()
				waiting += l.GetWaiting()
			}
			reached = p.GetPlanned() && float64(planned-waiting) >= share*float64(planned)
			return !reached
		})
		if err == nil && !reached {
			err = errors.New("it ended before")
		}
		return err
	})
}

// balanced waits for a report, and wants every lane of it to add up.
func (h *house) balanced(t *testing.T, id string) {
	t.Helper()
	until(t, func() error {
		rep, err := h.Report(t.Context(), id)
		if err != nil {
			return err
		}
		if len(rep.GetLanes()) == 0 {
			return errors.New("no lane")
		}
		for _, l := range rep.GetLanes() {
			if !l.GetBalanced() {
				t.Errorf("not balanced: %v", l)
			}
		}
		return nil
	})
}

// judge waits until a warning has settled, and has everything that was sent so far judged from the carriers' logs.
func (h *house) judge(t *testing.T, id string) (*pb.ReportResponse, verify.WarningVerdict) {
	t.Helper()
	rep, err := h.Settled(t.Context(), id, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	h.balanced(t, id)
	v, err := h.Verify(t.Context(), h.allowed, h.ids...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range v.Faults {
		t.Error(f)
	}
	if v.Lost+v.WrongPerson+v.WrongText+v.BeforeApproval+v.AfterExpiry+v.AfterStop != 0 {
		t.Errorf("the verdict is %+v", v.Sums)
	}
	for _, a := range v.Accounts {
		if a.Messages == 0 || float64(a.MaxInAnySecond) > a.ContractPerS {
			t.Errorf("account %s: %d messages, %d in a second of contracted %.0f", a.Name, a.Messages, a.MaxInAnySecond, a.ContractPerS)
		}
	}
	for _, a := range rep.GetAccounts() {
		if float64(a.GetMaxMessagesInAnySecond()) > a.GetContractMessagesPerS() {
			t.Errorf("the engine handed over %v", a)
		}
	}
	for _, w := range v.Warnings {
		if len(w.Warnings) == 1 && w.Warnings[0] == id {
			return rep, w
		}
	}
	t.Fatalf("no verdict over %s", id)
	return nil, verify.WarningVerdict{}
}

// everybody wants all who could be reached to have the warning, by the engine's word and by the carriers'.
func everybody(t *testing.T, rep *pb.ReportResponse, v verify.WarningVerdict) {
	t.Helper()
	if v.Expected == 0 || v.Got != v.Expected || rep.GetDelivered() != v.Expected || rep.GetAddressable() != v.Expected || rep.GetWaiting() != 0 {
		t.Errorf("of %d people %d got it, says the verdict; the report says %v", v.Expected, v.Got, rep.GetLanes())
	}
}

// TestKillsLoseNobody ends the engine twice and its Redis once as a power cut would, during one run.
func TestKillsLoseNobody(t *testing.T) {
	before := shared.allowed
	id := shared.warn(t, "渝东南甲")
	for _, k := range []struct {
		share float64
		kill  func() error
	}{
		{0.2, func() error { shared.KillEngine(); return shared.StartEngine(t.Context()) }},
		{0.4, shared.KillRedis},
		{0.7, func() error { shared.KillEngine(); return shared.StartEngine(t.Context()) }},
	} {
		shared.reach(t, id, k.share)
		shared.crashed()
		if err := k.kill(); err != nil {
			t.Fatal(err)
		}
		shared.balanced(t, id)
	}
	rep, v := shared.judge(t, id)
	everybody(t, rep, v)
	if v.ExtraMessages > shared.allowed-before {
		t.Errorf("%d messages came again, allowed are %d", v.ExtraMessages, shared.allowed-before)
	}
}

// TestARestartInOrderRepeatsNothing stops the engine and starts it again in the middle of a run.
func TestARestartInOrderRepeatsNothing(t *testing.T) {
	id := shared.warn(t, "渝东南乙")
	shared.reach(t, id, 0.4)
	shared.StopEngine()
	if err := shared.StartEngine(t.Context()); err != nil {
		t.Fatal(err)
	}
	rep, v := shared.judge(t, id)
	everybody(t, rep, v)
	if v.ExtraMessages != 0 || rep.GetLanes()[0].GetPossibleRepeats() != 0 {
		t.Errorf("%d messages came again, %d people were counted as possibly repeated", v.ExtraMessages, rep.GetLanes()[0].GetPossibleRepeats())
	}
}

// grace is how long after the answer to a stop a message may still arrive that was in an open window.
const grace = 200 * time.Millisecond

// TestNothingArrivesAfterAHoldOrACancel looks into the carriers' logs for what came after the answer.
func TestNothingArrivesAfterAHoldOrACancel(t *testing.T) {
	conn, err := shared.As(rig.Commander)
	if err != nil {
		t.Fatal(err)
	}
	api := pb.NewWarningServiceClient(conn)
	id := shared.warn(t, "渝东南丙")
	shared.reach(t, id, 0.2)
	if _, err := api.Hold(t.Context(), &pb.HoldRequest{Key: rig.Key(), Id: id, Why: "wrong river"}); err != nil {
		t.Fatal(err)
	}
	held := time.Now()
	wait(t, time.Second)
	released := time.Now()
	if _, err := api.Release(t.Context(), &pb.ReleaseRequest{Key: rig.Key(), Id: id}); err != nil {
		t.Fatal(err)
	}
	shared.reach(t, id, 0.6)
	if _, err := api.Cancel(t.Context(), &pb.CancelRequest{Key: rig.Key(), Id: id, Why: "wrong river"}); err != nil {
		t.Fatal(err)
	}
	cancelled := time.Now()
	wait(t, time.Second)
	rep, v := shared.judge(t, id)
	if v.Stopped == 0 || v.Got == 0 || v.Got+v.Stopped != v.Expected {
		t.Errorf("the verdict is %+v", v.Sums)
	}
	if l := rep.GetLanes()[0]; l.GetCancelled() == 0 || l.GetWaiting()+l.GetSending() != 0 {
		t.Errorf("the report says %v", l)
	}
	if n := shared.arrived(t, held.Add(grace), released); n > 0 {
		t.Errorf("%d messages arrived while the warning was held", n)
	}
	if n := shared.arrived(t, released, cancelled); n == 0 {
		t.Error("nothing arrived after the release")
	}
	if n := shared.arrived(t, cancelled.Add(grace), time.Now()); n > 0 {
		t.Errorf("%d messages arrived after the cancel", n)
	}
}

// arrived is how many messages reached a carrier in a time.
func (h *house) arrived(t *testing.T, from, to time.Time) (n int) {
	t.Helper()
	for _, a := range accounts() {
		f, err := os.Open(h.Log(a.Name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var l carrierlog.Line
		for r := carrierlog.NewReader(f); ; {
			err := r.Next(&l)
			if errors.Is(err, io.EOF) || errors.Is(err, carrierlog.ErrTruncated) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.Event == carrierlog.Submit && l.Time > from.UnixNano() && l.Time < to.UnixNano() {
				n++
			}
		}
	}
	return n
}

// TestTheDirectoryOfAnEngineIsRefused starts other engines over a data directory that one works in.
func TestTheDirectoryOfAnEngineIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ verb, says string }{
		"another engine":                    {"demo engine", "in use by another engine"},
		"serve over a demonstration's data": {"serve", "belongs to a demonstration"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, binary, append(strings.Fields(c.verb), "--config", shared.Config())...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), c.says) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// wait lets time go by while nothing is asked.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// until asks until ok answers nil, for at most half a minute.
func until(t *testing.T, ok func() error) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-late:
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
