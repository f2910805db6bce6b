// Package channelstest is the conformance suites of channels: what package channels promises, checked against a carrier
// that misbehaves. Run is for addressed channels, RunArea for those that reach places. An adapter passes its suite over
// real connections; its tests bring the carrier.
//
// Whatever the carrier does, each segment of each message that Send took gets exactly one outcome, the sink is silent
// after Close, and what the outcome says of bytes agrees with what the carrier got.
package channelstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// Trick is how a carrier behaves. Those that a transport cannot play are left out of Harness.Tricks.
type Trick string

// The tricks.
const (
	Plain            Trick = "answers and delivers"
	Split            Trick = "sends every octet in a packet of its own"
	Joined           Trick = "sends all answers of a window in one packet"
	EmptyIDs         Trick = "gives no ids"
	SameIDs          Trick = "gives all messages one id"
	ReceiptFirst     Trick = "sends the receipt before the answer"
	ReceiptTwice     Trick = "sends each receipt twice"
	ReceiptStrange   Trick = "sends receipts for ids never given"
	ReceiptReordered Trick = "sends receipts with fields in another order"
	ReceiptFailed    Trick = "reports undeliverable"
	Throttles        Trick = "throttles the first eight, then recovers"
	QueueFull        Trick = "says that its queue is full"
	VendorCode       Trick = "refuses with a code of its own"
	UnknownNumber    Trick = "does not know the number"
	AnswersTwice     Trick = "answers each message twice"
	Mute             Trick = "never answers"
	Late             Trick = "answers after the time-out"
	Sluggish         Trick = "answers one third at once, one in time, one too late"
	Drops            Trick = "drops the link in the middle of a window"
	Terminates       Trick = "ends the session in the middle of a window"
	Garbage          Trick = "sends garbage in the middle of a window"
	ZeroLength       Trick = "sends a length of zero"
	HugeLength       Trick = "sends a length of four gigabytes"
	UnknownCommand   Trick = "sends a command that does not exist, then answers"
	WordFromPerson   Trick = "passes on what a person wrote, then answers"
	KeepAliveIgnored Trick = "does not answer keep-alive"
	BindRefused      Trick = "refuses the bind, then lets in"
	GivesBack        Trick = "holds what it takes, and gives back every second segment that it is asked for"
	BindIgnored      Trick = "ignores the bind, then lets in"
)

// Got is one segment as the carrier got it.
type Got struct {
	Number  uint64
	Segment uint8 // from 0
	Ref     uint8
}

// Peer is a carrier that was started for one test, and stops with it.
type Peer interface {
	Address() string
	// Got is every segment that came, in order.
	Got() []Got
	// ReceiptsAnswered is how many receipts the adapter has answered.
	ReceiptsAnswered() int
	// KeepAlives is how many times the adapter has asked whether the link lives.
	KeepAlives() int
	// Binds is how many sessions were opened, or tried.
	Binds() int
}

// Harness is one adapter and its carrier.
type Harness struct {
	Adapter channels.Adapter
	// Account is a simulated account; the suite sets address, links, window, timers and statuses.
	Account channels.Account
	Tricks  []Trick
	Start   func(t *testing.T, trick Trick) Peer
}

// Number is the synthetic number of person i.
func Number(i int) uint64 { return 999_000_000_000 + uint64(i) }

const (
	people   = 24
	segments = 2
	text     = "暴雨红色预警：未来三小时降雨量将达一百毫米以上，请立即停止户外活动，低洼地区人员马上转移到安全地带，远离河道与山坡，注意收听后续通知，听从当地安排，不要返回取物，相互照应老人和儿童。"
	patience = 10 * time.Second
)

// AnswerTimeout is the time-out of the suite's accounts. Late answers come after twice that, timely ones within half.
const AnswerTimeout = 400 * time.Millisecond

// word is kind and reason of an outcome.
type word struct {
	kind   channels.Kind
	reason channels.Reason
}

var (
	handedOver = word{channels.HandedOver, channels.NoReason}
	throttled  = word{channels.Retry, channels.Throttled}
	queueFull  = word{channels.Retry, channels.QueueFull}
	systemErr  = word{channels.Retry, channels.SystemError}
	badNumber  = word{channels.Refused, channels.BadNumber}
	notAllowed = word{channels.Refused, channels.NotAllowed}
	noAnswer   = word{channels.Unknown, channels.NoAnswer}
	linkDown   = word{channels.Retry, channels.LinkDown}
)

// expectation is what a window of people × segments comes to under a trick.
type expectation struct {
	words    []word // all that may occur; each but linkDown must
	receipts int    // for each segment handed over
	state    channels.ReceiptState
	strange  bool // the receipts name ids that no answer gave
	noIDs    bool
	binds    int  // sessions that the carrier sees at least
	second   word // what a second window comes to, where the trick ends; zero: not tried
}

// expectations is the outcome of every trick.
var expectations = map[Trick]expectation{
	Plain:            {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	Split:            {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	Joined:           {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	EmptyIDs:         {words: []word{handedOver}, noIDs: true, second: handedOver},
	SameIDs:          {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	ReceiptFirst:     {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	ReceiptTwice:     {words: []word{handedOver}, receipts: 2, state: channels.Arrived, second: handedOver},
	ReceiptStrange:   {words: []word{handedOver}, receipts: 1, state: channels.Arrived, strange: true, second: handedOver},
	ReceiptReordered: {words: []word{handedOver}, receipts: 1, state: channels.Arrived, second: handedOver},
	ReceiptFailed:    {words: []word{handedOver}, receipts: 1, state: channels.Failed, second: handedOver},
	Throttles:        {words: []word{throttled, handedOver}, second: handedOver},
	QueueFull:        {words: []word{queueFull}},
	VendorCode:       {words: []word{systemErr}},
	UnknownNumber:    {words: []word{badNumber}},
	AnswersTwice:     {words: []word{handedOver}, second: handedOver},
	Mute:             {words: []word{noAnswer}, binds: 2},
	Late:             {words: []word{noAnswer}, binds: 2},
	Sluggish:         {words: []word{handedOver, noAnswer}, second: handedOver},
	Drops:            {words: []word{handedOver, noAnswer, linkDown}, binds: 2, second: handedOver},
	Terminates:       {words: []word{handedOver, noAnswer, linkDown}, binds: 2, second: handedOver},
	Garbage:          {words: []word{handedOver, noAnswer, linkDown}, binds: 2, second: handedOver},
	ZeroLength:       {words: []word{handedOver, noAnswer, linkDown}, binds: 2, second: handedOver},
	HugeLength:       {words: []word{handedOver, noAnswer, linkDown}, binds: 2, second: handedOver},
	UnknownCommand:   {words: []word{handedOver}, second: handedOver},
	WordFromPerson:   {words: []word{handedOver}, second: handedOver},
	BindRefused:      {words: []word{handedOver}, binds: 2, second: handedOver},
	BindIgnored:      {words: []word{handedOver}, binds: 2, second: handedOver},
}

// Run checks an adapter. start makes a fresh harness for each test.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	for _, trick := range start(t).Tricks {
		if want, ok := expectations[trick]; ok {
			t.Run("a carrier that "+string(trick), func(t *testing.T) { testTrick(t, start(t), trick, want) })
		}
	}
	for name, test := range map[string]func(*testing.T, Harness){
		"a batch larger than the windows":      testBatchLargerThanWindows,
		"segments to skip":                     testSkip,
		"real numbers on a simulated account":  testRealNumbers,
		"synthetic numbers on a real account":  testSyntheticNumbers,
		"words that the account may not carry": testPrepareRefuses,
		"receipts wait for Ack":                testReceiptsWaitForAck,
		"messages are recalled":                testRecall,
		"close waits for answers":              testCloseWaits,
		"close reports what is open":           testCloseReports,
		"close before the first bind":          testCloseEarly,
		"keep-alive":                           testKeepAlive,
		"accounts that can never work":         testOpenRefuses,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

// session is an account opened at a peer.
type session struct {
	t       *testing.T
	carrier channels.Carrier
	peer    Peer
	sink    *recorder
}

func open(t *testing.T, h Harness, trick Trick, change func(*channels.Account)) *session {
	t.Helper()
	a := h.Account
	s := &session{t: t, peer: h.Start(t, trick), sink: newRecorder()}
	a.Address, a.Links, a.Window = s.peer.Address(), 2, people*segments/2
	a.BindTimeout, a.AnswerTimeout, a.KeepAlive = AnswerTimeout, AnswerTimeout, time.Hour
	a.Simulated, a.Statuses = true, []warning.Status{warning.Exercise, warning.PublicDrill}
	if change != nil {
		change(&a)
	}
	var err error
	if s.carrier, err = h.Adapter.Open(a, s.sink); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close(0) }) // a test that cares has closed it before
	return s
}

// close closes within d and checks that the sink hears nothing after it.
func (s *session) close(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	err := s.carrier.Close(ctx)
	s.sink.end(s.t)
	return err
}

func (s *session) prepare(change func(*channels.Content)) channels.Prepared {
	s.t.Helper()
	c := channels.Content{Text: text, Status: warning.Exercise, Expires: time.Now().Add(time.Hour), WithReceipt: true}
	if change != nil {
		change(&c)
	}
	p, err := s.carrier.Prepare(c)
	if err != nil {
		s.t.Fatal(err)
	}
	if p.Segments() != segments {
		s.t.Fatalf("%d segments, want %d", p.Segments(), segments)
	}
	return p
}

// wait polls until done; the sink's calls wake it early.
func (s *session) wait(what string, done func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-s.sink.called:
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("waited %v for %s; %s; links %+v", patience, what, s.sink, s.carrier.Links())
		}
	}
}

// hand sends all of batch, whenever there is room.
func (s *session) hand(p channels.Prepared, batch []channels.Message) {
	s.t.Helper()
	s.wait("room for all messages", func() bool {
		if s.carrier.Room() > 0 {
			n := s.carrier.Send(p, batch)
			for _, m := range batch[:n] {
				s.sink.expect(m, p.Segments())
			}
			batch = batch[n:]
		}
		return len(batch) == 0
	})
}

func batch(from, n int) []channels.Message {
	b := make([]channels.Message, n)
	for i := range b {
		b[i] = channels.Message{Token: uint64(from + i), Number: Number(from + i), Ref: uint8(from + i)}
	}
	return b
}

func testTrick(t *testing.T, h Harness, trick Trick, want expectation) {
	s := open(t, h, trick, nil)
	p := s.prepare(nil)
	s.wait("room on both links", func() bool { return s.carrier.Room() >= people*segments })
	s.hand(p, batch(0, people))
	s.wait("an outcome of each segment", s.sink.complete)
	seen := s.sink.words()
	for w := range seen {
		if !slices.Contains(want.words, w) {
			t.Errorf("outcomes of %v %v were not expected", w.kind, w.reason)
		}
	}
	for _, w := range want.words {
		if seen[w] == 0 && w != linkDown {
			t.Errorf("no outcome of %v %v", w.kind, w.reason)
		}
	}
	if n := want.receipts * seen[handedOver]; n > 0 {
		s.wait("the receipts", func() bool { return s.sink.receiptCount() >= n && s.peer.ReceiptsAnswered() >= n })
		s.sink.checkReceipts(t, want, n)
	}
	s.checkAgainstPeer(want)
	if want.second.kind != 0 {
		s.wait("room again", func() bool { return s.carrier.Room() >= people*segments })
		before := s.sink.words()[want.second]
		s.hand(p, batch(people, people))
		s.wait("the outcomes of the second window", s.sink.complete)
		if n := s.sink.words()[want.second] - before; n != people*segments {
			t.Errorf("%d of %d segments of the second window were handed over", n, people*segments)
		}
	}
	if want.binds > 0 {
		s.wait("the link to be bound again", func() bool { return s.peer.Binds() >= want.binds+1 })
	}
}

// checkAgainstPeer compares what the outcomes say with what the carrier got.
func (s *session) checkAgainstPeer(want expectation) {
	s.t.Helper()
	got := map[Got]int{}
	for _, g := range s.peer.Got() {
		got[g]++
	}
	for _, o := range s.sink.all() {
		n := got[Got{Number: Number(int(o.Token)), Segment: o.Segment, Ref: uint8(o.Token)}]
		switch {
		case o.Kind == channels.HandedOver && n != 1:
			s.t.Errorf("message %d segment %d was handed over, the carrier got it %d times", o.Token, o.Segment, n)
		case o.Reason == channels.LinkDown && n != 0:
			s.t.Errorf("message %d segment %d is said not to have left, the carrier got it", o.Token, o.Segment)
		case o.Kind == channels.HandedOver && (o.Print == 0) != want.noIDs:
			s.t.Errorf("message %d segment %d has fingerprint %d", o.Token, o.Segment, o.Print)
		case o.Took > 0 && (o.Sent.IsZero() || time.Since(o.Sent) < o.Took):
			s.t.Errorf("message %d segment %d was sent at %v and took %v", o.Token, o.Segment, o.Sent, o.Took)
		case o.Took < 0 || o.Took > 0 && (o.Kind == channels.Unknown || o.Reason == channels.LinkDown):
			s.t.Errorf("message %d segment %d took %v", o.Token, o.Segment, o.Took)
		}
	}
}

func (w word) String() string { return fmt.Sprintf("kind %d (%s)", w.kind, w.reason) }

// recorder is a sink that remembers, and fails what must not be.
type recorder struct {
	called chan struct{}

	mu       sync.Mutex
	expected map[[2]uint64]bool // token and segment → has its outcome
	open     int
	outcomes []channels.Outcome
	receipts []channels.Receipt
	keep     bool // do not acknowledge receipts
	groups   []channels.Receipts
	early    map[[2]uint64]int // outcomes that came before expect
	faults   []string
	ended    bool
}

func newRecorder() *recorder {
	return &recorder{called: make(chan struct{}, 1), expected: map[[2]uint64]bool{}, early: map[[2]uint64]int{}}
}

// expect counts the segments of a message that Send took; an outcome may have come already.
func (r *recorder) expect(m channels.Message, segments int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range segments {
		if m.Skip>>i&1 == 0 {
			key := [2]uint64{m.Token, uint64(i)}
			r.expected[key] = false
			r.open++
			if r.early[key] > 0 {
				r.early[key]--
				r.settle(key)
			}
		}
	}
}

func (r *recorder) settle(key [2]uint64) {
	done, ok := r.expected[key]
	switch {
	case !ok:
		r.early[key]++
	case done:
		r.faults = append(r.faults, fmt.Sprintf("message %d segment %d has a second outcome", key[0], key[1]))
	default:
		r.expected[key] = true
		r.open--
	}
}

func (r *recorder) wake() {
	if r.ended {
		r.faults = append(r.faults, "the sink was called after Close had returned")
	}
	select {
	case r.called <- struct{}{}:
	default:
	}
}

func (r *recorder) Outcomes(os []channels.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range os {
		r.settle([2]uint64{o.Token, uint64(o.Segment)})
	}
	r.outcomes = append(r.outcomes, os...)
	r.wake()
}

func (r *recorder) Receipts(g channels.Receipts) {
	r.mu.Lock()
	r.receipts = append(r.receipts, g.All()...)
	keep := r.keep
	if keep {
		r.groups = append(r.groups, g)
	}
	r.wake()
	r.mu.Unlock()
	if !keep {
		g.Ack()
	}
}

func (r *recorder) Changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
}

// end checks what must hold once the account is closed.
func (r *recorder) end(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, f := range r.faults {
		t.Error(f)
	}
	for key, n := range r.early {
		if n > 0 {
			t.Errorf("message %d segment %d has an outcome and was not taken", key[0], key[1])
		}
	}
	if r.open != 0 {
		t.Errorf("%d segments have no outcome", r.open)
	}
	r.faults = nil
}

func (r *recorder) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open == 0
}

func (r *recorder) all() []channels.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.outcomes)
}

func (r *recorder) words() map[word]int {
	m := map[word]int{}
	for _, o := range r.all() {
		m[word{o.Kind, o.Reason}]++
	}
	return m
}

func (r *recorder) receiptCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.receipts)
}

// checkReceipts compares receipts with the fingerprints of the answers.
func (r *recorder) checkReceipts(t *testing.T, want expectation, n int) {
	t.Helper()
	type key struct {
		number uint64
		print  uint16
	}
	given := map[key]int{}
	for _, o := range r.all() {
		given[key{Number(int(o.Token)), o.Print}] += want.receipts
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.receipts) != n {
		t.Errorf("%d receipts, want %d", len(r.receipts), n)
	}
	unmatched := 0
	for _, rec := range r.receipts {
		if rec.State != want.state || (rec.State == channels.Failed) != (rec.Reason != channels.NoReason) {
			t.Errorf("a receipt of state %d (%s), want %d", rec.State, rec.Reason, want.state)
		}
		if given[key{rec.Number, rec.Print}]--; given[key{rec.Number, rec.Print}] < 0 {
			unmatched++
		}
	}
	// Of 48 strange ids one may have the fingerprint of a given one, the person being the same.
	if want.strange != (unmatched > n/2) || !want.strange && unmatched > 0 {
		t.Errorf("%d of %d receipts match no answer", unmatched, n)
	}
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d outcomes, %d open, %d receipts", len(r.outcomes), r.open, len(r.receipts))
}
