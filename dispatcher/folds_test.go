package dispatcher_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// diesBehindFold is a store that the process does not reach any more once a fold has dropped an entry of the journal by which
// something was decided.
type diesBehindFold struct {
	*cut
	decides func(dispatcher.Commit) bool
	died    chan struct{}
	earlier bool // or the entry before

	mu    sync.Mutex
	entry uint64 // the newest that decided something
}

func (d *diesBehindFold) Commit(ctx context.Context, f dispatcher.Fence, seq uint64, c dispatcher.Commit) (dispatcher.Committed, error) {
	done, err := d.cut.Commit(ctx, f, seq, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.decides(c) {
		d.entry = done.Entry
	}
	return done, err
}

func (d *diesBehindFold) Fold(ctx context.Context, f dispatcher.Fence, chunks []dispatcher.Chunk, entry uint64) error {
	err := d.cut.Fold(ctx, f, chunks, entry)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.entry > 0 && (entry == d.entry || d.earlier && entry+1 == d.entry) {
		d.cut.mu.Lock()
		defer d.cut.mu.Unlock()
		if !d.cut.dead {
			d.cut.dead = true
			close(d.died)
		}
	}
	return err
}

// TestAFoldKeepsWhoIsSentToAgain: the commit that lets people be sent to another time is folded at once, and the process dies
// while these are on their way: they are unknown, and of a low tier nobody is rung again in the next minutes.
func TestAFoldKeepsWhoIsSentToAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 6000, 3000)
		d := &diesBehindFold{died: make(chan struct{}), decides: func(c dispatcher.Commit) bool {
			for _, g := range c.Grants {
				if len(g.Again) > 0 {
					return true
				}
			}
			return false
		}}
		h.start(func(o *dispatcher.Options) { d.cut = h.cut; o.Queue = d })
		var mu sync.Mutex
		tried := map[uint64]int{}
		h.c.answers(func(a arrival) channels.Outcome {
			mu.Lock()
			defer mu.Unlock()
			if tried[a.number]++; tried[a.number] == 1 && a.number%4 == 0 {
				return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		h.warn(spec(warning.Blue, "again", ""))
		select {
		case <-d.died:
		case <-time.After(time.Minute):
			t.Fatal("no fold came with people who were to be sent to again")
		}
		pass(10 * time.Millisecond) // they are with the carrier, who has not answered
		h.kill()
		h.start()
		defer h.close()
		pass(time.Minute)
		rung := map[uint64]int{}
		for _, a := range h.c.log() {
			rung[a.number]++
		}
		twice := 0
		for who, n := range rung {
			if who%4 == 0 && n > 2 || who%4 != 0 && n > 1 {
				twice++
			}
		}
		if twice > 0 {
			t.Errorf("%d people were rung once more after the crash", twice)
		}
	})
}
