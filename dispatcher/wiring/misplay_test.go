package wiring

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/loadtest/broker"
	"tocsin/loadtest/place"
	"tocsin/loadtest/platform"
	pb "tocsin/proto/tocsin/v1"
)

// misplays is what each platform of an area channel does, where its message stands in the ledger meanwhile, and where
// when the platform does well again.
var misplays = []struct {
	name       string
	loud       *platform.Behaviour
	push       *broker.Config
	away       bool
	silent     bool // its time-out is waited for
	then, last string
}{
	{name: "eb-well", loud: &platform.Behaviour{}, then: "handed_over", last: "handed_over"},
	{name: "eb-cannot-read", loud: &platform.Behaviour{Fault: platform.FaultParse}, then: "refused", last: "refused"},
	{name: "eb-lacks", loud: &platform.Behaviour{Fault: platform.FaultMissing}, then: "refused", last: "refused"},
	{name: "eb-signature", loud: &platform.Behaviour{Fault: platform.FaultSignature}, then: "refused", last: "refused"}, // ResultCode 4
	{name: "eb-fails", loud: &platform.Behaviour{Fault: platform.FaultOther}, then: "waiting", last: "handed_over"},
	{name: "eb-own-code", loud: &platform.Behaviour{Fault: platform.FaultResult, Result: 77}, then: "waiting", last: "handed_over"},
	{name: "eb-throttles", loud: &platform.Behaviour{Fault: platform.FaultBusy}, then: "waiting", last: "handed_over"},
	{name: "eb-mute", loud: &platform.Behaviour{Fault: platform.FaultMute}, silent: true, then: "unknown", last: "handed_over"},
	{name: "eb-late", loud: &platform.Behaviour{Delay: 2 * shortTimeout}, silent: true, then: "unknown", last: "handed_over"},
	{name: "eb-drops", loud: &platform.Behaviour{Fault: platform.FaultDrop}, then: "unknown", last: "handed_over"},
	{name: "eb-truncated", loud: &platform.Behaviour{Fault: platform.FaultTruncated}, then: "unknown", last: "handed_over"},
	{name: "eb-garbage", loud: &platform.Behaviour{Fault: platform.FaultGarbage}, then: "unknown", last: "handed_over"},
	{name: "eb-endless", loud: &platform.Behaviour{Fault: platform.FaultEndless}, then: "unknown", last: "handed_over"},
	{name: "eb-unsigned", loud: &platform.Behaviour{Fault: platform.FaultUnsigned}, then: "unknown", last: "handed_over"},
	{name: "eb-forged", loud: &platform.Behaviour{Fault: platform.FaultForged}, then: "unknown", last: "handed_over"},
	{name: "eb-misplaced", loud: &platform.Behaviour{Fault: platform.FaultMisplaced}, then: "unknown", last: "handed_over"},
	{name: "eb-away", loud: &platform.Behaviour{}, away: true, then: "waiting", last: "handed_over"},
	{name: "app-well", push: &broker.Config{}, then: "handed_over", last: "handed_over"},
	{name: "app-throttles", push: &broker.Config{Throttled: 1}, then: "waiting", last: "handed_over"},
	{name: "app-fails", push: &broker.Config{Unspecified: 1}, then: "waiting", last: "handed_over"},
	{name: "app-mute", push: &broker.Config{Swallowed: 1}, silent: true, then: "unknown", last: "handed_over"},
	{name: "app-drops", push: &broker.Config{DropLink: 1}, then: "unknown", last: "handed_over"},
	{name: "app-away", push: &broker.Config{}, away: true, then: "waiting", last: "handed_over"},
}

// Who is silent is waited for so long, all others for longer than a busy machine takes: an answer that comes too late makes
// a message unknown, and so it stays until it is taken or refused.
const shortTimeout, longTimeout = 500 * time.Millisecond, 20 * time.Second

// stage is one platform of the test: its log, and what makes it do well.
type stage struct {
	log  string
	mend func()
}

// TestWhereAMessageStandsAfterAMisbehaviour plays one warning on platforms that each do one thing. The people of the same
// warning get it meanwhile, and each platform has it under one identity however often it was sent.
func TestWhereAMessageStandsAfterAMisbehaviour(t *testing.T) {
	c, _ := carries(t)
	dir, token := house(t, c.Address())
	for _, who := range []string{"ours", "theirs"} {
		if err := platform.WriteKey(filepath.Join(dir, who+".key"), filepath.Join(dir, who+".pub")); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	all := string(text) + "platforms:\n"
	stages := make([]stage, len(misplays))
	for i, m := range misplays {
		log := filepath.Join(t.TempDir(), m.name+".jsonl")
		channel, protocol, rest := "broadcast", "ebd", `source: "35000000000000101010101", keys: {private: ./ours.key, platform: ./theirs.pub}`
		var address string
		switch {
		case m.loud != nil:
			address, stages[i] = plays(t, dir, m.name, log, *m.loud, m.away)
		default:
			channel, protocol, rest = "push", "mqtt", "source: tocsin"
			address, stages[i] = pushes(t, m.name, log, *m.push, m.away)
		}
		timeout := longTimeout
		if m.silent {
			timeout = shortTimeout
		}
		all += fmt.Sprintf("  - {name: %s, channel: %s, protocol: %s, address: %q, kind: simulated, timeout: %s, %s}\n",
			m.name, channel, protocol, address, timeout, rest)
	}
	write(t, filepath.Join(dir, ConfigFile), all)
	address, _ := serving(t, dir)
	tokens := map[string]string{}
	inHouse(t, dir, func(h *House) {
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	importPeople(t, as(t, dir, address, token), "people", 2000)
	approver := pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"]))
	sent, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["fang"])).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_RED, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"},
		Channels: []pb.Channel{pb.Channel_CHANNEL_SMS, pb.Channel_CHANNEL_BROADCAST, pb.Channel_CHANNEL_PUSH},
		Areas:    []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}},
		Words:    []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨红色预警"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := sent.GetWarning()
	if _, err := approver.Approve(t.Context(), &pb.ApproveRequest{Key: "a", Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	// stand waits until every message was seen where the table has it; the people of the lane stand as ever.
	stand := func(want func(i int) string) (last *pb.ReportResponse) {
		t.Helper()
		seen := make([]string, len(misplays))
		deadline := time.Now().Add(60 * time.Second)
		for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
			if last, err = approver.Report(t.Context(), &pb.ReportRequest{Id: w.GetId()}); err != nil {
				t.Fatal(err)
			}
			left := []string{}
			for i, m := range misplays {
				if seen[i] != want(i) {
					for _, p := range last.GetPlays() {
						if p.GetPlatform() == m.name {
							if seen[i] = p.GetState(); seen[i] != "handed_over" && seen[i] != "sending" && p.GetWhy() == "" {
								seen[i] += " without a word"
							}
						}
					}
				}
				if seen[i] != want(i) {
					left = append(left, fmt.Sprintf("%s is %q, want %q", m.name, seen[i], want(i)))
				}
			}
			for _, lane := range last.GetLanes() {
				if len(left) == 0 && lane.GetBalanced() && lane.GetPlanned() > 0 && lane.GetDelivered() == lane.GetPlanned() {
					tick.Stop()
					return last
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("not as the table says, lanes %v:\n%s", last.GetLanes(), strings.Join(left, "\n"))
			}
		}
	}
	stand(func(i int) string { return misplays[i].then })
	for _, s := range stages {
		s.mend()
	}
	for _, p := range stand(func(i int) string { return misplays[i].last }).GetPlays() {
		if p.GetSerial() != 1 || p.GetMessages() > 1 || (p.GetMessages() == 1) != (p.GetState() == "handed_over") {
			t.Errorf("%s: %v", p.GetPlatform(), p)
		}
	}
	for i, s := range stages {
		until(t, misplays[i].name+" writes its log", func() bool { return len(identities(t, s.log)) > 0 })
		if n := identities(t, s.log); len(n) != 1 {
			t.Errorf("%s has the message as %q", misplays[i].name, n)
		}
	}
}

// server is a platform or a broker.
type server interface{ Serve(context.Context) error }

// runs serves until the test ends or end is called.
func runs(t *testing.T, s server) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	done := false
	end = func() {
		if !done {
			done = true
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(end)
	return end
}

// plays is an emergency broadcast platform that behaves so until it is mended.
func plays(t *testing.T, dir, name, log string, b platform.Behaviour, away bool) (address string, s stage) {
	t.Helper()
	cfg := platform.Default()
	cfg.Name, cfg.Log, cfg.Behaviour = name, log, b
	cfg.Key, cfg.ClientKey = filepath.Join(dir, "theirs.key"), filepath.Join(dir, "ours.pub")
	start := func() *platform.Platform {
		p, err := platform.Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		runs(t, p)
		return p
	}
	if away {
		cfg.Listen = place.Of(t).Address
		return "http://" + cfg.Listen + "/", stage{log, func() { start() }}
	}
	p := start()
	return p.Address(), stage{log, func() { p.Behave(platform.Behaviour{}) }}
}

// pushes is a broker that behaves so until it is mended, which starts it again.
func pushes(t *testing.T, name, log string, b broker.Config, away bool) (address string, s stage) {
	t.Helper()
	cfg := broker.Default()
	cfg.Throttled, cfg.Unspecified, cfg.Swallowed, cfg.DropLink = b.Throttled, b.Unspecified, b.Swallowed, b.DropLink
	cfg.Name, cfg.Log, cfg.Listen = name, log, place.Of(t).Address
	start := func() (end func()) {
		x, err := broker.Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return runs(t, x)
	}
	end := func() {}
	if !away {
		end = start()
	}
	return "mqtt://" + cfg.Listen, stage{log, func() {
		if !away && b == (broker.Config{}) {
			return
		}
		end()
		cfg.Throttled, cfg.Unspecified, cfg.Swallowed, cfg.DropLink = 0, 0, 0, 0
		start()
	}}
}

// identities is what a platform or broker knows messages by, each once, in the order of its log.
func identities(t *testing.T, log string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var l struct {
			EBM  string
			Body struct{ ID string }
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue // the rest is written yet
		}
		id := cmp.Or(l.EBM, l.Body.ID)
		if id != "" && !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all
}
