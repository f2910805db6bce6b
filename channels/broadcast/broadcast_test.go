package broadcast_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tocsin/channels"
	"tocsin/channels/broadcast"
	"tocsin/channels/channelstest"
	"tocsin/loadtest/place"
	"tocsin/loadtest/platform"
	"tocsin/warning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const source = "35000000000000101010101"

// behaviours is how the simulated platform plays each trick.
var behaviours = map[channelstest.AreaTrick]platform.Behaviour{
	channelstest.AreaPlain:      {},
	channelstest.AreaAway:       {},
	channelstest.AreaUnreadable: {Fault: platform.FaultParse},
	channelstest.AreaIncomplete: {Fault: platform.FaultMissing},
	channelstest.AreaForbids:    {Fault: platform.FaultSignature},
	channelstest.AreaFails:      {Fault: platform.FaultOther},
	channelstest.AreaThrottles:  {Fault: platform.FaultBusy},
	channelstest.AreaVendorCode: {Fault: platform.FaultResult, Result: 77},
	channelstest.AreaMute:       {Fault: platform.FaultMute},
	channelstest.AreaLate:       {Delay: 2 * channelstest.AnswerTimeout},
	channelstest.AreaDrops:      {Fault: platform.FaultDrop},
	channelstest.AreaTruncated:  {Fault: platform.FaultTruncated},
	channelstest.AreaGarbage:    {Fault: platform.FaultGarbage},
	channelstest.AreaEndless:    {Fault: platform.FaultEndless},
	channelstest.AreaUnsigned:   {Fault: platform.FaultUnsigned},
	channelstest.AreaForged:     {Fault: platform.FaultForged},
	channelstest.AreaMisplaced:  {Fault: platform.FaultMisplaced},
}

func TestConformance(t *testing.T) {
	h := channelstest.AreaHarness{Adapter: broadcast.Adapter{}}
	for trick := range behaviours {
		h.Tricks = append(h.Tricks, trick)
	}
	slices.Sort(h.Tricks)
	h.Start = func(t *testing.T, trick channelstest.AreaTrick) (channels.AreaAccount, channelstest.AreaPeer) {
		p := newPeer(t)
		p.cfg.Behaviour = behaviours[trick]
		if trick != channelstest.AreaAway {
			p.start()
		}
		return p.account, p
	}
	channelstest.RunArea(t, h)
}

// peer is a simulated platform and an account at it.
type peer struct {
	t       *testing.T
	cfg     platform.Config
	account channels.AreaAccount

	mu      sync.Mutex // guards running
	running *platform.Platform
}

// newPeer makes keys for both and keeps a port.
func newPeer(t *testing.T) *peer {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, who := range []string{"ours", "theirs"} {
		if err := platform.WriteKey(file(who+".pem"), file(who+".pub.pem")); err != nil {
			t.Fatal(err)
		}
	}
	p := &peer{t: t, cfg: platform.Default()}
	p.cfg.Listen, p.cfg.Log, p.cfg.CoverageOver = place.Of(t).Address, file("platform.jsonl"), 200*time.Millisecond
	p.cfg.Key, p.cfg.ClientKey = file("theirs.pem"), file("ours.pub.pem")
	p.account = channels.AreaAccount{
		Name: "loudspeakers", Channel: warning.Broadcast, Address: "http://" + p.cfg.Listen + "/ebd",
		Source: source, Target: p.cfg.EBRID,
		Keys: map[string]string{"private": file("ours.pem"), "platform": file("theirs.pub.pem")},
	}
	return p
}

func (p *peer) start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.running, err = platform.Listen(p.cfg); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.running.Serve(ctx) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			p.t.Error(err)
		}
	})
}

// Recover ends the trick, or starts the platform where it was not there.
func (p *peer) Recover() {
	p.mu.Lock()
	running := p.running
	p.mu.Unlock()
	if running == nil {
		p.start()
		return
	}
	running.Behave(platform.Behaviour{})
}

// lines is the platform's log. A packet that breaks the format fails the test.
func (p *peer) lines() (all []platform.Line) {
	p.t.Helper()
	f, err := os.Open(p.cfg.Log)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Buffer(nil, 1<<20); s.Scan(); {
		l, err := platform.ParseLine(s.Bytes())
		if err != nil {
			p.t.Fatal(err)
		}
		if l.Event == platform.Violation && l.Rule != "ebm.unknown" { // asked for by the suite
			p.t.Errorf("the platform objects: %s: %s", l.Rule, l.Detail)
		}
		all = append(all, l)
	}
	return all
}

// Got is the messages that the log has.
func (p *peer) Got() (got []channelstest.AreaGot) {
	p.t.Helper()
	for _, l := range p.lines() {
		if l.Event != platform.EBM {
			continue
		}
		g := channelstest.AreaGot{ID: l.EBM, Title: l.Title, Text: l.Text, Units: l.Units, Drill: l.Type >= 3}
		if l.Type == 2 {
			g.Ends = l.Related
		}
		got = append(got, g)
	}
	return got
}
