package dispatcher

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// oneBlock is a snapshot of one block.
type oneBlock struct {
	Snapshot
	numbers []uint64
}

func (c oneBlock) ID() string              { return "one" }
func (c oneBlock) Blocks() int             { return 1 }
func (c oneBlock) Block(int) warning.Block { return warning.Block{Number: c.numbers} }

type oneSegment struct{}

func (oneSegment) Segments() int { return 1 }

// TestWhoDidNotFitIsSentToOnce: while messages are on their way into windows that do not take all of them, a commit grants
// more people, of whom one has left the directory.
func TestWhoDidNotFitIsSentToOnce(t *testing.T) {
	now := time.Now()
	c := oneBlock{numbers: make([]uint64, 64)}
	for i := range c.numbers {
		c.numbers[i] = uint64(9990000000000 + i)
	}
	s, err := openStrand(Strand{ID: 1, People: 64, Batches: []Batch{{Mask: warning.First(64), Duty: warning.Public}}}, warning.Warning{ID: "w", ReleasedAt: now}, c, 0,
		func(channels.Content) (channels.Prepared, error) { return oneSegment{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	a := &account{journal: newJournal()}
	sent := map[uint32]int{}
	send := func(msgs []channels.Message) {
		for _, m := range msgs {
			sent[uint32(m.Token)]++
		}
	}
	s.led.grant(20)
	s.limit = 20
	first, _ := s.takeFirst(nil, 10)
	send(first)
	second, _ := s.takeFirst(nil, 10)
	next := s.next
	gone := warning.Mask{}
	gone.Set(30)
	s.left = &leavers{blocks: map[uint32]*warning.Mask{0: &gone}}
	s.led.grant(40)
	s.limit = 40
	a.withdraw(s, now)
	send(second[:5])
	a.putBack(s, second[5:], s.next != next, now)
	for len(s.again) > 0 {
		msgs, _ := s.takeAgain(nil, 8)
		send(msgs)
	}
	for s.next < s.limit {
		msgs, _ := s.takeFirst(nil, 8)
		send(msgs)
	}
	for pos := range uint32(40) {
		want := 1
		if pos == 30 {
			want = 0
		}
		if sent[pos] != want {
			t.Errorf("person %d is sent to %d times", pos, sent[pos])
		}
	}
	if st := s.led.at(30).state; st != warning.Withdrawn {
		t.Errorf("who has left is %v", st)
	}
}

// fits takes some of the messages that it is given.
type fits struct {
	channels.Carrier
	take int
	sent map[uint32]int
	then func() // while they are on their way
}

func (f *fits) Room() int { return 64 }
func (f *fits) Send(_ channels.Prepared, msgs []channels.Message) int {
	n := min(len(msgs), f.take)
	for _, m := range msgs[:n] {
		f.sent[uint32(m.Token)]++
	}
	f.then()
	return n
}

// TestWhoDidNotFitIsSettled: while messages are on their way into windows that do not take all of them, the validity ends, or
// the account is left. Who did not fit is counted like all who were not sent to, and can be given a place.
func TestWhoDidNotFitIsSettled(t *testing.T) {
	for name, want := range map[string]warning.PersonState{"expires": warning.ExpiredOut, "is left": warning.Moved} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			c := oneBlock{numbers: make([]uint64, 64)}
			for i := range c.numbers {
				c.numbers[i] = uint64(9990000000000 + i)
			}
			w := warning.Warning{ID: "w", ReleasedAt: now, Spec: warning.Spec{Tier: warning.Red, Status: warning.Exercise, Expires: now.Add(time.Hour)}}
			options := func(name string) AccountOptions {
				return AccountOptions{
					Account: channels.Account{Name: name, Links: 1, Window: 64, Statuses: []warning.Status{warning.Exercise}}, Rate: 10_000,
					Burst: time.Second, Channels: []warning.Channel{warning.SMS}, Prefixes: []string{"999"},
				}
			}
			e := &Engine{log: zap.NewNop(), plan: make(chan struct{}, 1), unfinished: map[string]uint64{}}
			e.routing.Store(&routing{accounts: []AccountOptions{options("left"), options("other")}, shares: []float64{0, 1}})
			a := newAccount(e, options("left"), nil)
			a.owned, a.deadline, a.folded = true, now.Add(time.Hour), now
			f := &fits{take: 5, sent: map[uint32]int{}}
			a.carrier = f
			head := Strand{ID: 1, Account: "left", Channel: warning.SMS, People: 64, Batches: []Batch{{Mask: warning.First(64), Duty: warning.Public}}}
			s, err := openStrand(head, w, c, 0, func(channels.Content) (channels.Prepared, error) { return oneSegment{}, nil })
			if err != nil {
				t.Fatal(err)
			}
			s.by, s.left = f, &leavers{}
			a.add(s)
			commit := func() {
				r := a.request()
				a.conclude(r, Committed{Refused: make([]warning.State, len(r.Grants))})
			}
			ends := func() {
				a.mu.Lock()
				if want == warning.Moved {
					a.out, a.outAt = true, a.newest
				} else {
					s.w.Spec.Expires = time.Now()
				}
				a.mu.Unlock()
				commit()
			}
			commit() // grants
			var buf []channels.Message
			busy := false
			f.then = func() {}
			a.turn(&buf, &busy) // who joins sends to one person at once
			f.then = ends
			a.turn(&buf, &busy)
			f.then = func() {}
			for range 3 {
				commit()
				a.turn(&buf, &busy)
			}
			if len(f.sent) != 6 {
				t.Errorf("%d people were sent to, and 6 fitted", len(f.sent))
			}
			counts := s.led.counts
			if counts[warning.Sending] != int64(len(f.sent)) || counts[want] != 64-int64(len(f.sent)) || !s.led.balanced() {
				t.Errorf("counted as %v", counts)
			}
		})
	}
}

// TestChannelsHaveReferencesOfTheirOwn: a phone that gets a warning as flash message and as SMS joins the segments of neither
// with those of the other.
func TestChannelsHaveReferencesOfTheirOwn(t *testing.T) {
	c := oneBlock{numbers: make([]uint64, 1000)}
	for i := range c.numbers {
		c.numbers[i] = uint64(9990000000000 + i)
	}
	var refs [2][]channels.Message
	for k, ch := range []warning.Channel{warning.SMS, warning.FlashSMS} {
		head := Strand{ID: 1, Channel: ch, People: 1000, Batches: []Batch{{Mask: warning.First(1000), Duty: warning.Public}}}
		s, err := openStrand(head, warning.Warning{ID: "w"}, c, 0, func(channels.Content) (channels.Prepared, error) { return oneSegment{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		s.led.grant(1000)
		s.limit = 1000
		refs[k], _ = s.takeFirst(nil, 1000)
	}
	for i := range refs[0] {
		if refs[0][i].Ref == refs[1][i].Ref {
			t.Fatalf("person %d has reference %d for both", i, refs[0][i].Ref)
		}
	}
}

// TestNobodyIsGivenBackTwice: when a red begins, the lower tiers give back what they hold unsent; another one of theirs begins
// with it, for which they would have given back some of that.
func TestNobodyIsGivenBackTwice(t *testing.T) {
	now := time.Now()
	c := oneBlock{numbers: make([]uint64, 1000)}
	for i := range c.numbers {
		c.numbers[i] = uint64(9990000000000 + i)
	}
	e := &Engine{log: zap.NewNop(), plan: make(chan struct{}, 1), unfinished: map[string]uint64{}}
	e.routing.Store(&routing{})
	a := newAccount(e, AccountOptions{Account: channels.Account{Name: "a", Links: 1, Window: 64}, Rate: 10_000, Burst: time.Second}, nil)
	a.owned, a.deadline, a.folded = true, now.Add(time.Hour), now
	f := &fits{take: 64, sent: map[uint32]int{}, then: func() {}}
	a.carrier = f
	add := func(id StrandID, tier warning.Tier) *strand {
		w := warning.Warning{ID: "w", ReleasedAt: now, Spec: warning.Spec{Tier: tier, Expires: now.Add(time.Hour)}}
		head := Strand{ID: id, Account: "a", Channel: warning.SMS, People: 1000, Batches: []Batch{{Mask: warning.First(1000), Duty: warning.Public}}}
		s, err := openStrand(head, w, c, 0, func(channels.Content) (channels.Prepared, error) { return oneSegment{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		s.by, s.left = f, &leavers{}
		a.add(s)
		return s
	}
	commit := func() {
		r := a.request()
		a.conclude(r, Committed{Refused: make([]warning.State, len(r.Grants))})
	}
	blue := add(1, warning.Blue)
	commit()
	var buf []channels.Message
	busy := false
	for a.turn(&buf, &busy) && len(f.sent) < 10 {
	}
	sent := blue.next
	add(2, warning.Red)
	add(3, warning.Blue)
	commit()
	if blue.limit < blue.next || blue.next != sent || blue.led.counts[warning.Sending] < int64(sent) || !blue.led.balanced() {
		t.Errorf("%d people were sent to; %d may be, of %d that are granted; counted as %v", sent, blue.limit, blue.led.granted, blue.led.counts)
	}
}
