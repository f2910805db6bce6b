package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tocsin/channels"
	"tocsin/channels/push"
	"tocsin/loadtest/broker"
	"tocsin/warning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Some units: a district, a street in it, another district, and the city that they lie in.
const (
	city     = "500000000000"
	wanzhou  = "500101000000"
	street   = "500101001000"
	beibei   = "500109000000"
	rain     = "01K0ZB6T8Q4M2N7V5XW9R3CDEF"
	slide    = "01K0ZB6T8Q4M2N7V5XW9R3CDEG"
	marker   = "01K0ZB6T8Q4M2N7V5XW9R3CDEZ"
	markerNo = 999
)

// site is a simulated broker and what it wrote.
type site struct {
	address string
	log     string
	end     func()
}

func startBroker(t *testing.T, change ...func(*broker.Config)) *site {
	t.Helper()
	cfg := broker.Default()
	cfg.Name, cfg.Log = "app", filepath.Join(t.TempDir(), "broker.jsonl")
	for _, f := range change {
		f(&cfg)
	}
	b, err := broker.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx) }()
	s := &site{address: b.Address(), log: cfg.Log}
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the broker: %v", err)
		}
	})
	t.Cleanup(s.end)
	return s
}

// lines is what the broker has written down so far of messages in places.
func (s *site) lines(t *testing.T) (all []broker.Line) {
	t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	err = broker.Read(bytes.NewReader(b), func(l *broker.Line) {
		if (l.Event == broker.Publish || l.Event == broker.Expired) && !strings.HasPrefix(l.Topic, "sender/") {
			all = append(all, *l)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func account(address string, change ...func(*channels.AreaAccount)) channels.AreaAccount {
	a := channels.AreaAccount{
		Name: "app", Channel: warning.Push, Address: address, Source: "tocsin", Simulated: true,
		Statuses: []warning.Status{warning.Actual, warning.PublicDrill, warning.Exercise}, Timeout: 10 * time.Second,
	}
	for _, f := range change {
		f(&a)
	}
	return a
}

// openAccount opens an account and waits until it is connected.
func openAccount(t *testing.T, address string, change ...func(*channels.AreaAccount)) channels.AreaCarrier {
	t.Helper()
	c, err := push.Adapter{}.Open(account(address, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAccount(t, c) })
	link(t, c, "a connection", func(h channels.LinkHealth) bool { return h.Up })
	return c
}

func closeAccount(t *testing.T, c channels.AreaCarrier) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// link waits until the health of the account is as it should be.
func link(t *testing.T, c channels.AreaCarrier, what string, ok func(channels.LinkHealth) bool) {
	t.Helper()
	poll(t, what, func() bool { return ok(c.Link()) }, func() string { return fmt.Sprintf("%+v", c.Link()) })
}

func poll(t *testing.T, what string, ok func() bool, now func() string) {
	t.Helper()
	tick, deadline := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s after 20 s: %s", what, now())
		}
	}
}

// message is an alert for the units.
func message(serial uint32, units ...string) channels.AreaMessage {
	return channels.AreaMessage{
		Warning: rain, Version: 1, Serial: serial, Status: warning.Actual, Type: warning.Alert, Tier: warning.Orange,
		Event: "11B03", EventName: "暴雨", Issuer: "重庆市气象台", Title: "暴雨橙色预警", Text: "今夜有暴雨，<请>远离河道。",
		Language: "zh-CN", Units: units, Sent: time.Now(), Expires: time.Now().Add(time.Hour),
	}
}

// play plays m and wants it handed over.
func play(t *testing.T, c channels.AreaCarrier, m channels.AreaMessage) {
	t.Helper()
	if o := c.Play(t.Context(), m); o.Kind != channels.HandedOver {
		t.Fatalf("playing %d: %+v", m.Serial, o)
	}
}

func stop(t *testing.T, c channels.AreaCarrier, m channels.AreaMessage) {
	t.Helper()
	if o := c.(channels.AreaStopper).Stop(t.Context(), m); o.Kind != channels.HandedOver {
		t.Fatalf("stopping %d: %+v", m.Serial, o)
	}
}

// settle waits until the phone has had all that was played before: it comes in order, so that the last is a sign.
func settle(t *testing.T, c channels.AreaCarrier, phones ...*phone) {
	t.Helper()
	m := message(markerNo, city)
	m.Warning, m.Type, m.Related = marker, warning.AllClear, markerNo
	play(t, c, m)
	id := fmt.Sprintf("%s-1-%d", marker, markerNo)
	for _, p := range phones {
		p.until(t, "marker", func() bool { return p.had[id] > 0 })
		p.mu.Lock()
		delete(p.had, id)
		p.rung--
		p.mu.Unlock()
	}
}

// TestPhonesGetWhatIsForTheirPlace: those who are there, those who come later, and nobody else.
func TestPhonesGetWhatIsForTheirPlace(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	here := newPhone(t, b.address, "here", street, 0, "warning")
	both := newPhone(t, b.address, "both", street, 0, "warning", "drill")
	there := newPhone(t, b.address, "there", beibei, 0, "warning")

	play(t, c, message(1, wanzhou))
	settle(t, c, here, both, there)
	here.see(t, "who is in the district", 1, 0, 1)
	there.see(t, "who is elsewhere", 0, 0)
	newPhone(t, b.address, "late", street, 0, "warning").see(t, "who comes late", 1, 0, 1)

	// Another warning in the same place pushes nothing out.
	other := message(2, street, wanzhou)
	other.Warning, other.Tier = slide, warning.Red
	play(t, c, other)
	settle(t, c, here, both, there)
	here.see(t, "who is in two units of a message", 2, 1, 1, 2)
	newPhone(t, b.address, "later", street, 0, "warning").see(t, "who comes later", 2, 1, 1, 2)
	newPhone(t, b.address, "later there", beibei, 0, "warning").see(t, "who comes late elsewhere", 0, 0)

	// An update takes the place of what it updates.
	update := message(3, wanzhou)
	update.Version, update.Type, update.Related = 2, warning.Update, 1
	play(t, c, update)
	settle(t, c, here, both, there)
	here.see(t, "who saw the update", 3, 1, 2, 3)
	newPhone(t, b.address, "last", street, 0, "warning").see(t, "who comes after the update", 2, 1, 2, 3)

	for _, l := range b.lines(t) {
		if l.Rule != "" {
			t.Errorf("%s breaks %s", l.Topic, l.Rule)
		}
		if l.Event == broker.Publish && (l.QoS != 1 || len(l.Body) > 0 && (l.Expiry == 0 || l.Expiry > 3600)) {
			t.Errorf("sent with %+v", l)
		}
	}
	// What a phone reads is what was played.
	here.mu.Lock()
	got, want := here.shown[3], update
	here.mu.Unlock()
	if got.Text != want.Text || got.Title != want.Title || got.EventName != want.EventName || got.Issuer != want.Issuer ||
		got.Status != "actual" || got.Drill || got.Tier != "orange" || got.Language != "zh-CN" || got.Warning != rain || got.Version != 2 ||
		!got.Expires.Equal(want.Expires.UTC().Truncate(time.Second)) || !got.Issued.Equal(want.Sent.UTC().Truncate(time.Second)) {
		t.Errorf("a phone reads %+v", got)
	}
}

// TestRepeatsAreTheSame: the same serial again is the same message, octet by octet (promise 3).
func TestRepeatsAreTheSame(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	p := newPhone(t, b.address, "phone", street, 0, "warning")
	m := message(1, wanzhou)
	play(t, c, m)
	settle(t, c, p)
	first := bytes.Clone(p.had1(t, b, 0))
	for range 4 {
		play(t, c, m)
	}
	settle(t, c, p)
	p.see(t, "who heard it five times", 1, 4, 1)
	for i := range 5 {
		if again := p.had1(t, b, i); !bytes.Equal(again, first) {
			t.Errorf("a repeat differs:\n%s\n%s", first, again)
		}
	}
	newPhone(t, b.address, "late", street, 0, "warning").see(t, "who comes late", 1, 0, 1)
}

// had1 is the i-th message of the rain in the log.
func (p *phone) had1(t *testing.T, b *site, i int) json.RawMessage {
	t.Helper()
	var bodies []json.RawMessage
	poll(t, "line", func() bool {
		bodies = nil
		for _, l := range b.lines(t) {
			if len(l.Body) > 0 && strings.HasSuffix(l.Topic, rain) {
				bodies = append(bodies, l.Body)
			}
		}
		return len(bodies) > i
	}, func() string { return fmt.Sprint(len(bodies)) })
	return bodies[i]
}

// TestStopEmptiesThePlace: nobody shows it any more, a phone that was away hears of it, one that comes gets nothing.
func TestStopEmptiesThePlace(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	p := newPhone(t, b.address, "phone", street, 0, "warning")
	away := newPhone(t, b.address, "away", street, 3600, "warning")
	m := message(1, wanzhou, beibei)
	play(t, c, m)
	other := message(2, wanzhou)
	other.Warning = slide
	play(t, c, other)
	settle(t, c, p, away)
	away.see(t, "who will be away", 2, 0, 1, 2)
	away.leave()

	stop(t, c, m)
	settle(t, c, p)
	p.see(t, "who is there at the stop", 2, 0, 2)
	newPhone(t, b.address, "late", street, 0, "warning").see(t, "who comes after the stop", 1, 0, 2)
	newPhone(t, b.address, "late there", beibei, 0, "warning").see(t, "who comes after the stop elsewhere", 0, 0)

	// First the topic is emptied: a phone that comes in between gets nothing, and the stop after it.
	var order []string
	poll(t, "stop in the log", func() bool {
		order = nil
		for _, l := range b.lines(t) {
			if l.Topic == "warning/"+wanzhou+"/"+rain {
				order = append(order, fmt.Sprint(l.Retain, len(l.Body) > 0))
			}
		}
		return len(order) == 3
	}, func() string { return fmt.Sprint(order) })
	if got := strings.Join(order, ", "); got != "true true, true false, false true" {
		t.Errorf("retained and with words: %s", got)
	}

	back := newPhone(t, b.address, "away", street, 3600, "warning")
	back.until(t, "stop", func() bool { return back.had[rain+"-1-1-stop"] == 1 })
	stop(t, c, m) // again does no harm
	settle(t, c, p)
	p.see(t, "who is there at the second stop", 2, 1, 2)

	// Only in a part of the area.
	play(t, c, m)
	part := m
	part.Units = []string{beibei}
	stop(t, c, part)
	newPhone(t, b.address, "still", street, 0, "warning").see(t, "who is in the other part", 2, 0, 1, 2)
	newPhone(t, b.address, "no more", beibei, 0, "warning").see(t, "who is in the stopped part", 0, 0)
}

// TestEndsWithWords: a correction and an all-clear are told once, and the place is empty.
func TestEndsWithWords(t *testing.T) {
	for _, kind := range []warning.Type{warning.Cancel, warning.AllClear} {
		b := startBroker(t)
		c := openAccount(t, b.address)
		p := newPhone(t, b.address, "phone", street, 0, "warning")
		play(t, c, message(1, wanzhou))
		end := message(2, wanzhou)
		end.Type, end.Related, end.Version, end.Text = kind, 1, 2, "解除"
		play(t, c, end)
		settle(t, c, p)
		p.see(t, "who is there", 2, 0)
		newPhone(t, b.address, "late", street, 0, "warning").see(t, "who comes late", 0, 0)
		b.end()
	}
}

// TestNothingOutlivesItsWarning: the broker drops it, and what is over is not sent.
func TestNothingOutlivesItsWarning(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	p := newPhone(t, b.address, "phone", street, 0, "warning")
	m := message(1, wanzhou)
	m.Expires = time.Now().Add(2500 * time.Millisecond)
	play(t, c, m)
	settle(t, c, p)
	p.see(t, "who is there", 1, 0, 1)
	if s := p.expiry[rain+"-1-1"]; s < 1 || s > 2 {
		t.Errorf("the broker was told %d s for 2.5 s", s)
	}
	poll(t, "expiry", func() bool {
		for _, l := range b.lines(t) {
			if l.Event == broker.Expired {
				return true
			}
		}
		return false
	}, func() string { return "" })
	late := newPhone(t, b.address, "late", street, 0, "warning")
	late.see(t, "who comes after the expiry", 0, 0)
	if late.late > 0 {
		t.Error("the broker sent a message after it dropped it")
	}
	lines := len(b.lines(t))
	if o := c.Play(t.Context(), m); o.Kind != channels.Refused || o.Reason != channels.ExpiredHere {
		t.Errorf("playing what is over: %+v", o)
	}
	stop(t, c, m)
	poll(t, "line of the stop", func() bool { return len(b.lines(t)) > lines }, func() string { return "" })
	for _, l := range b.lines(t)[lines:] {
		if len(l.Body) > 0 {
			t.Errorf("what is over was sent: %s", l.Body)
		}
	}
}

// TestDrillsCannotBeMistaken: status locks, and a tree of topics for each (promise 8).
func TestDrillsCannotBeMistaken(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	public := newPhone(t, b.address, "public", street, 0, "warning")
	aware := newPhone(t, b.address, "aware", street, 0, "warning", "drill")

	m := message(1, wanzhou)
	m.Status = warning.PublicDrill
	play(t, c, m)
	settle(t, c, public, aware)
	public.see(t, "who knows nothing of drills", 0, 0)
	aware.see(t, "who shows drills", 1, 0, 1)
	if n := aware.shown[1]; !n.Drill || n.Status != "public_drill" ||
		n.Text != warning.DrillMark+m.Text || n.Title != warning.DrillMark+m.Title {
		t.Errorf("the drill is read as %+v", n)
	}
	m.Serial, m.Status = 2, warning.Exercise
	play(t, c, m)
	settle(t, c, public, aware)
	aware.see(t, "who is in no exercise", 1, 0, 1)

	lines := len(b.lines(t))
	m.Status = warning.Test
	for what, o := range map[string]channels.AreaOutcome{
		"play": c.Play(t.Context(), m), "stop": c.(channels.AreaStopper).Stop(t.Context(), m),
	} {
		if o.Kind != channels.Refused || o.Reason != channels.NotAllowed {
			t.Errorf("%s of a status that the account is not marked for: %+v", what, o)
		}
	}
	settle(t, c, public)
	poll(t, "marker in the log", func() bool { return len(b.lines(t)) >= lines+2 }, func() string { return "" })
	for _, l := range b.lines(t) {
		if strings.HasPrefix(l.Topic, "test/") {
			t.Errorf("it left: %+v", l)
		}
	}
}
