package channelstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is the conformance suite of area channels: what channels/area.go promises, checked against a platform that
// misbehaves. Whatever the platform does, a call answers once and within its context, what the outcome says of bytes
// agrees with what the platform got, and the same message has the same identity there, however often it is handed over.

// AreaTrick is how a platform behaves. Those that a transport cannot play are left out of AreaHarness.Tricks.
type AreaTrick string

// The tricks.
const (
	AreaPlain      AreaTrick = "takes every message"
	AreaUnreadable AreaTrick = "says that it cannot read the message"
	AreaIncomplete AreaTrick = "says that the message lacks something"
	AreaForbids    AreaTrick = "says that we may not, or are not who we say"
	AreaFails      AreaTrick = "says that it failed"
	AreaThrottles  AreaTrick = "says that we are too fast"
	AreaVendorCode AreaTrick = "answers with a code of its own"
	AreaMute       AreaTrick = "takes the message and never answers"
	AreaLate       AreaTrick = "takes the message and answers after the time-out"
	AreaDrops      AreaTrick = "takes the message and breaks the connection"
	AreaAway       AreaTrick = "is not there"
	AreaTruncated  AreaTrick = "breaks off in the middle of its answer"
	AreaGarbage    AreaTrick = "answers with garbage"
	AreaEndless    AreaTrick = "answers without end"
	AreaUnsigned   AreaTrick = "does not sign its answer"
	AreaForged     AreaTrick = "signs its answer with another key"
	AreaMisplaced  AreaTrick = "answers for another message"
)

// areaOutcomes is what Play answers under each trick. An answer that cannot be trusted is none: the message may be
// playing, so it is Unknown and goes out again with the same identity.
var areaOutcomes = map[AreaTrick]word{
	AreaPlain:      handedOver,
	AreaUnreadable: {channels.Refused, channels.BadContent},
	AreaIncomplete: {channels.Refused, channels.BadContent},
	AreaForbids:    notAllowed,
	AreaFails:      systemErr,
	AreaThrottles:  throttled,
	AreaVendorCode: systemErr,
	AreaMute:       noAnswer,
	AreaLate:       noAnswer,
	AreaDrops:      noAnswer,
	AreaAway:       linkDown,
	AreaTruncated:  noAnswer,
	AreaGarbage:    noAnswer,
	AreaEndless:    noAnswer,
	AreaUnsigned:   noAnswer,
	AreaForged:     noAnswer,
	AreaMisplaced:  noAnswer,
}

// AreaGot is one message, or a part of it, as the platform got it. A platform that takes each unit by itself has one
// entry a unit, all with one ID.
type AreaGot struct {
	ID          string // what the platform knows the message by; the same at a repeat
	Ends        string // the ID of the message that this one ends; empty for a message to play
	Title, Text string // empty where it ends one
	Units       []string
	Drill       bool // marked as a drill in the platform's own form
}

// AreaPeer is a platform that was started for one test, and stops with it.
type AreaPeer interface {
	// Got is everything that came, in order.
	Got() []AreaGot
	// Recover ends the trick: from now on the platform takes every message.
	Recover()
}

// AreaHarness is one adapter and its platform.
type AreaHarness struct {
	Adapter channels.AreaAdapter
	Tricks  []AreaTrick
	// Start gives the platform and an account at it; the suite sets statuses and timers.
	Start func(t *testing.T, trick AreaTrick) (channels.AreaAccount, AreaPeer)
}

// RunArea is the suite. It runs every trick of the harness and all rules.
func RunArea(t *testing.T, h AreaHarness) {
	if !slices.Contains(h.Tricks, AreaPlain) {
		t.Fatal("a platform that takes every message is needed")
	}
	for _, trick := range h.Tricks {
		want, ok := areaOutcomes[trick]
		if !ok {
			t.Fatalf("the suite knows no trick %q", trick)
		}
		t.Run(string(trick), func(t *testing.T) { testAreaTrick(t, h, trick, want) })
	}
	for _, rule := range []struct {
		name string
		test func(*testing.T, AreaHarness)
	}{
		{"words arrive whole", testAreaWords},
		{"a repeat is the same message", testAreaIdentity},
		{"statuses are locked", testAreaStatuses},
		{"bad messages do not leave", testAreaBadMessages},
		{"a context that ended sends nothing", testAreaContext},
		{"calls at the same time", testAreaTogether},
		{"the link tells of itself", testAreaLink},
		{"nothing leaves after close", testAreaClose},
		{"stop ends the message", testAreaStop},
		{"coverage grows and ends", testAreaCoverage},
		{"bad accounts", testAreaBadAccounts},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, h) })
	}
}

// areaSession is an account opened at a platform.
type areaSession struct {
	t       *testing.T
	account channels.AreaAccount
	carrier channels.AreaCarrier
	peer    AreaPeer
}

func openArea(t *testing.T, h AreaHarness, trick AreaTrick, change func(*channels.AreaAccount)) *areaSession {
	t.Helper()
	s := &areaSession{t: t}
	s.account, s.peer = h.Start(t, trick)
	s.account.Simulated = true
	s.account.Statuses = []warning.Status{warning.Actual, warning.Exercise, warning.PublicDrill}
	s.account.Timeout, s.account.Heartbeat = patience, 20*time.Millisecond
	if areaOutcomes[trick] == noAnswer {
		s.account.Timeout = AnswerTimeout
	}
	if change != nil {
		change(&s.account)
	}
	s.carrier = s.reopen(h)
	return s
}

// reopen opens the account once more, as an engine does that starts again.
func (s *areaSession) reopen(h AreaHarness) channels.AreaCarrier {
	s.t.Helper()
	c, err := h.Adapter.Open(s.account)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { // a test that cares has closed it before
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

func closeArea(t *testing.T, c channels.AreaCarrier) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// call gives an adapter a context that ends before the patience of the suite.
func call[T any](t *testing.T, f func(context.Context) T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan T, 1)
	go func() { done <- f(ctx) }()
	select {
	case v := <-done:
		return v
	case <-time.After(2 * patience):
		t.Fatal("the call did not answer within its context")
		panic("unreachable")
	}
}

func (s *areaSession) play(m channels.AreaMessage) channels.AreaOutcome {
	s.t.Helper()
	return call(s.t, func(ctx context.Context) channels.AreaOutcome { return s.carrier.Play(ctx, m) })
}

// mustPlay plays until the platform has it: after a fault the link may need a moment.
func (s *areaSession) mustPlay(m channels.AreaMessage) channels.AreaOutcome {
	s.t.Helper()
	var o channels.AreaOutcome
	pollArea(s.t, "the message to be handed over", func() bool {
		o = s.play(m)
		if o.Kind == channels.Refused {
			s.t.Fatalf("refused: %s %s", o.Reason, o.Detail)
		}
		return o.Kind == channels.HandedOver
	})
	return o
}

// pollArea asks until done says so.
func pollArea(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func areaMessage(serial uint32) channels.AreaMessage {
	now := time.Now().Truncate(time.Second)
	return channels.AreaMessage{
		Warning: "01JZ0000000000000000000000", Version: 1, Serial: serial,
		Status: warning.Exercise, Type: warning.Alert, Tier: warning.Red, Event: "11B03", EventName: "暴雨",
		Issuer: "重庆市气象台", Title: "暴雨红色预警", Text: text, Language: "zh-CN",
		Units: []string{"500101001000", "500101002000"}, Sent: now, Expires: now.Add(time.Hour),
	}
}

// ids is the identities that the platform got, each once, in order; ends chooses between messages and their ends.
func ids(got []AreaGot, ends bool) (all []string) {
	for _, g := range got {
		if (g.Ends != "") == ends && !slices.Contains(all, g.ID) {
			all = append(all, g.ID)
		}
	}
	return all
}

// units is where the message with this identity is to be told, ascending, each once.
func units(got []AreaGot, id string) (all []string) {
	for _, g := range got {
		if g.ID == id && g.Ends == "" {
			all = append(all, g.Units...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sayWhy fails an outcome of a person's interest without words for that person.
func (s *areaSession) sayWhy(o channels.AreaOutcome) {
	s.t.Helper()
	if (o.Kind == channels.HandedOver) != (o.Reason == channels.NoReason) {
		s.t.Errorf("kind %d has the reason %q", o.Kind, o.Reason)
	}
	if o.Kind != channels.HandedOver && o.Detail == "" {
		s.t.Errorf("%v says nothing that a person can read", word{o.Kind, o.Reason})
	}
}

func testAreaTrick(t *testing.T, h AreaHarness, trick AreaTrick, want word) {
	s := openArea(t, h, trick, nil)
	m := areaMessage(7)
	o := s.play(m)
	if got := (word{o.Kind, o.Reason}); got != want {
		t.Errorf("the outcome is %v (%s), not %v", got, o.Detail, want)
	}
	s.sayWhy(o)
	before := ids(s.peer.Got(), false)
	switch {
	case want == handedOver && len(before) != 1:
		t.Errorf("handed over, and the platform has %q", before)
	case want == linkDown && len(before) != 0:
		t.Errorf("said not to have left, and the platform has %q", before)
	}
	s.peer.Recover()
	s.mustPlay(m)
	if after := ids(s.peer.Got(), false); len(after) != 1 {
		t.Errorf("one message has the identities %q at the platform", after)
	}
}

func testAreaWords(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	for i, words := range []string{
		text,
		"<b>\"&amp;\"</b> ]]> 100 % \\n 'x'",
		"第一行\n第二行 🌧 𠮷",
		strings.Repeat("请立即转移。", 400),
	} {
		m := areaMessage(uint32(i + 1))
		m.Title, m.Text = "标题 <"+words[:3]+">", words
		s.mustPlay(m)
		got := s.peer.Got()
		last := got[len(got)-1]
		if last.Title != m.Title || last.Text != m.Text {
			t.Errorf("the platform read %q, %q\nof %q, %q", last.Title, last.Text, m.Title, m.Text)
		}
		if u := units(got, last.ID); !slices.Equal(u, m.Units) {
			t.Errorf("the platform read the units %q of %q", u, m.Units)
		}
	}
}

// testAreaIdentity: the serial makes the identity, not the call, the words or the process.
func testAreaIdentity(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	m := areaMessage(1)
	first := s.mustPlay(m)
	second := s.mustPlay(m)
	part := m
	part.Units = m.Units[:1] // rung again for a part of its area
	s.mustPlay(part)
	s.carrier = s.reopen(h)
	third := s.mustPlay(m)
	if first.ID != second.ID || first.ID != third.ID {
		t.Errorf("the outcomes name the message %q, %q, %q", first.ID, second.ID, third.ID)
	}
	if got := ids(s.peer.Got(), false); len(got) != 1 {
		t.Fatalf("one message has the identities %q at the platform", got)
	}
	other := m
	other.Serial = 2
	s.mustPlay(other)
	if got := ids(s.peer.Got(), false); len(got) != 2 {
		t.Errorf("two messages have the identities %q at the platform", got)
	}
}

// testAreaStatuses: what the account is not marked for does not leave, and drills are marked in the platform's own form.
func testAreaStatuses(t *testing.T, h AreaHarness) {
	all := []warning.Status{warning.Actual, warning.Exercise, warning.PublicDrill}
	for _, marked := range all {
		s := openArea(t, h, AreaPlain, func(a *channels.AreaAccount) { a.Statuses = []warning.Status{marked} })
		m := areaMessage(1)
		for _, status := range append(all, warning.Test, 0) {
			if m.Status = status; status == marked {
				continue
			}
			s.refused(m, channels.NotAllowed, "status "+status.String())
			if stopper, ok := s.carrier.(channels.AreaStopper); ok {
				o := call(t, func(ctx context.Context) channels.AreaOutcome { return stopper.Stop(ctx, m) })
				if o.Kind != channels.Refused || o.Reason != channels.NotAllowed {
					t.Errorf("%s: stop answers %v", status, word{o.Kind, o.Reason})
				}
			}
		}
		if got := s.peer.Got(); len(got) != 0 {
			t.Fatalf("marked for %s, and the platform got %+v", marked, got)
		}
		m.Status = marked
		s.mustPlay(m)
		for _, g := range s.peer.Got() {
			if g.Drill != (marked != warning.Actual) {
				t.Errorf("status %s came as drill: %v", marked, g.Drill)
			}
		}
	}
}

func (s *areaSession) refused(m channels.AreaMessage, reason channels.Reason, what string) {
	s.t.Helper()
	o := s.play(m)
	if o.Kind != channels.Refused || o.Reason != reason {
		s.t.Errorf("%s: %v (%s), not refused as %s", what, word{o.Kind, o.Reason}, o.Detail, reason)
	}
	s.sayWhy(o)
}

// testAreaBadMessages: an area that is empty or wrong reaches nobody, never everybody (promise 6).
func testAreaBadMessages(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	for what, change := range map[string]func(*channels.AreaMessage){
		"no units":           func(m *channels.AreaMessage) { m.Units = nil },
		"a short unit":       func(m *channels.AreaMessage) { m.Units = []string{"500101001000", "500101"} },
		"a unit of letters":  func(m *channels.AreaMessage) { m.Units = []string{"50010100100a"} },
		"a unit with a mask": func(m *channels.AreaMessage) { m.Units = []string{"50010100100#"} },
		"a unit twice":       func(m *channels.AreaMessage) { m.Units = []string{"500101001000", "500101001000"} },
		"no text":            func(m *channels.AreaMessage) { m.Text = "" },
		"broken text":        func(m *channels.AreaMessage) { m.Text = "暴雨\xff" },
		"a control mark":     func(m *channels.AreaMessage) { m.Text = "暴雨\x00" },
		"no end":             func(m *channels.AreaMessage) { m.Expires = time.Time{} },
	} {
		m := areaMessage(1)
		change(&m)
		s.refused(m, channels.BadContent, what)
	}
	m := areaMessage(1)
	m.Sent, m.Expires = m.Sent.Add(-2*time.Hour), m.Sent.Add(-time.Hour)
	s.refused(m, channels.ExpiredHere, "expired")
	if got := s.peer.Got(); len(got) != 0 {
		t.Errorf("the platform got %+v", got)
	}
}

func testAreaContext(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	s.mustPlay(areaMessage(1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if o := s.carrier.Play(ctx, areaMessage(2)); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("the outcome is %v (%s)", word{o.Kind, o.Reason}, o.Detail)
	}
	if got := ids(s.peer.Got(), false); len(got) != 1 {
		t.Errorf("the platform got %q", got)
	}
}

func testAreaTogether(t *testing.T, h AreaHarness) {
	const n = 16
	s := openArea(t, h, AreaPlain, nil)
	s.mustPlay(areaMessage(1)) // the link is up
	outcomes := make([]channels.AreaOutcome, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { outcomes[i] = s.carrier.Play(t.Context(), areaMessage(uint32(i+1))) })
	}
	calls.Wait()
	seen := map[string]bool{}
	for i, o := range outcomes {
		if o.Kind != channels.HandedOver {
			t.Errorf("call %d: %v (%s)", i, word{o.Kind, o.Reason}, o.Detail)
		}
		seen[o.ID] = true
	}
	if got := ids(s.peer.Got(), false); len(got) != n || !seen[""] && len(seen) != n {
		t.Errorf("%d messages have %d identities at the platform and %d in the outcomes", n, len(got), len(seen))
	}
}

// testAreaLink: the heartbeat alone finds out that the platform is away, and that it has come back.
func testAreaLink(t *testing.T, h AreaHarness) {
	trick := AreaAway
	if !slices.Contains(h.Tricks, trick) {
		trick = AreaPlain
	}
	s := openArea(t, h, trick, nil)
	if trick == AreaAway {
		pollArea(t, "the link to be down and to say why", func() bool {
			l := s.carrier.Link()
			return !l.Up && l.LastError != ""
		})
		s.peer.Recover()
	}
	pollArea(t, "the link to be up", func() bool { return s.carrier.Link().Up })
	if l := s.carrier.Link(); l.Open != 0 || l.Since.IsZero() {
		t.Errorf("an idle link is %+v", l)
	}
	if got := s.peer.Got(); len(got) != 0 {
		t.Errorf("the heartbeat plays %+v", got)
	}
}

// testAreaClose: what is under way ends, and a closed account sends nothing.
func testAreaClose(t *testing.T, h AreaHarness) {
	if slices.Contains(h.Tricks, AreaMute) {
		s := openArea(t, h, AreaMute, func(a *channels.AreaAccount) { a.Timeout = 3 * patience })
		done := make(chan channels.AreaOutcome, 1)
		go func() { done <- s.carrier.Play(context.Background(), areaMessage(1)) }()
		pollArea(t, "the message to arrive", func() bool { return len(s.peer.Got()) > 0 })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.carrier.Close(ctx); err == nil {
			t.Error("close says nothing of a message without an answer")
		}
		select {
		case o := <-done:
			if o.Kind != channels.Unknown || o.Reason != channels.NoAnswer {
				t.Errorf("the call under way came to %v", word{o.Kind, o.Reason})
			}
		case <-time.After(patience):
			t.Fatal("the call under way did not end")
		}
	}
	s := openArea(t, h, AreaPlain, nil)
	s.mustPlay(areaMessage(1))
	closeArea(t, s.carrier)
	if o := s.play(areaMessage(2)); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("a closed account answers %v", word{o.Kind, o.Reason})
	}
	if got := ids(s.peer.Got(), false); len(got) != 1 {
		t.Errorf("the platform got %q", got)
	}
}

// testAreaStop runs where the adapter can end what plays.
func testAreaStop(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	stopper, ok := s.carrier.(channels.AreaStopper)
	if !ok {
		return
	}
	m := areaMessage(3)
	s.mustPlay(m)
	played := ids(s.peer.Got(), false)
	for range 2 {
		o := call(t, func(ctx context.Context) channels.AreaOutcome { return stopper.Stop(ctx, m) })
		if o.Kind != channels.HandedOver {
			t.Fatalf("stop: %v (%s)", word{o.Kind, o.Reason}, o.Detail)
		}
	}
	got := s.peer.Got()
	if ends := ids(got, true); len(ends) != 1 {
		t.Errorf("one end has the identities %q", ends)
	}
	for _, g := range got {
		if g.Ends != "" && g.Ends != played[0] {
			t.Errorf("the message %q was played and %q was ended", played, g.Ends)
		}
	}
	if again := ids(got, false); !slices.Equal(again, played) {
		t.Errorf("stop made the platform play %q", again)
	}
}

// testAreaCoverage runs where the adapter can say how far a message has come.
func testAreaCoverage(t *testing.T, h AreaHarness) {
	s := openArea(t, h, AreaPlain, nil)
	reporter, ok := s.carrier.(channels.AreaReporter)
	if !ok {
		return
	}
	m := areaMessage(4)
	ask := func() (channels.Coverage, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return reporter.Coverage(ctx, m)
	}
	if c, err := ask(); err == nil {
		t.Errorf("a message that was never played has the coverage %+v", c)
	}
	s.mustPlay(m)
	last := channels.Coverage{Rate: -1}
	pollArea(t, "the message to be played", func() bool {
		c, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		if c.Rate < last.Rate || c.Rate > 1 || c.Reached < last.Reached || c.Failed < 0 || c.State == 0 || c.At.IsZero() {
			t.Fatalf("after %+v came %+v", last, c)
		}
		last = c
		return c.State == channels.Played
	})
	if stopper, ok := s.carrier.(channels.AreaStopper); ok {
		call(t, func(ctx context.Context) channels.AreaOutcome { return stopper.Stop(ctx, m) })
		if c, err := ask(); err != nil || c.State != channels.PlayCancelled {
			t.Errorf("after its end the message is %+v, %v", c, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c, err := reporter.Coverage(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended gives %+v, %v", c, err)
	}
}

func testAreaBadAccounts(t *testing.T, h AreaHarness) {
	good, _ := h.Start(t, AreaPlain)
	good.Statuses = []warning.Status{warning.Exercise}
	for name, change := range map[string]func(*channels.AreaAccount){
		"no address":         func(a *channels.AreaAccount) { a.Address = "" },
		"no source":          func(a *channels.AreaAccount) { a.Source = "" },
		"no statuses":        func(a *channels.AreaAccount) { a.Statuses = nil },
		"a negative timer":   func(a *channels.AreaAccount) { a.Timeout = -1 },
		"a negative beat":    func(a *channels.AreaAccount) { a.Heartbeat = -1 },
		"a key of no use":    func(a *channels.AreaAccount) { a.Keys = map[string]string{"spare": "spare.pem"} },
		"a key that is gone": func(a *channels.AreaAccount) { a.Keys = map[string]string{"authority": t.TempDir() + "/gone.pem"} },
	} {
		a := good
		change(&a)
		if c, err := h.Adapter.Open(a); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%s: error %v", name, err)
			if c != nil {
				closeArea(t, c)
			}
		}
	}
}
