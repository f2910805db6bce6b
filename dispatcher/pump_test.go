package dispatcher

import (
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// oneBlock is a snapshot of one block.
type oneBlock struct {
	Snapshot
	numbers []uint64
}

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
