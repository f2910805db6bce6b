package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// blind is a directory of which one snapshot cannot be read.
type blind struct {
	*town
	no string
}

func (b blind) Snapshot(ctx context.Context, id string) (dispatcher.Snapshot, error) {
	if id == b.no {
		return nil, errors.New("the snapshot cannot be read")
	}
	return b.town.Snapshot(ctx, id)
}

// TestAPartThatCannotBeReadBlocksNoOther: what comes behind it is sent, and what is held is held.
func TestAPartThatCannotBeReadBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := houseOf(t, 200, 20)
		one.start(func(o *dispatcher.Options) { o.Directory = blind{one.town, "town of 200, 3"} })
		defer one.close()
		two := *one
		two.ids, two.node = &epochs{}, "n2"
		two.start()
		defer two.close()
		large := two.warn(spec(warning.Blue, "large", ""))
		pass(2 * time.Second)
		one.town.now.Store(3)
		unread := two.warn(spec(warning.Red, "unread", "last 10"))
		pass(time.Second)
		one.town.now.Store(0)
		two.warn(spec(warning.Red, "small", "last 5"))
		pass(3 * time.Second)
		if n := len(complete(one.c.log(), "small")); n != 5 {
			t.Errorf("%d of 5 people got what came behind a part that cannot be read", n)
		}
		for _, w := range []warning.Warning{large, unread} {
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			asked := time.Now()
			if _, err := two.e.Hold(ctx, approver, "hold "+w.ID, w.ID, "wait"); err != nil || time.Since(asked) > time.Second {
				t.Errorf("hold of %q: %v after %v", w.Spec.Words[0].Text, err, time.Since(asked))
			}
			stop()
		}
	})
}

// TestWordsThatLinksCannotCarryBlockNoOther: neither what comes behind them, nor a hold of theirs, nor all else behind a restart;
// and they are sent when links can carry them.
func TestWordsThatLinksCannotCarryBlockNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		h.c.carries("long")
		long := h.warn(spec(warning.Red, "long", ""))
		pass(time.Second)
		h.warn(spec(warning.Orange, "short", ""))
		pass(2 * time.Second)
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		asked := time.Now()
		if _, err := h.e.Hold(ctx, approver, "hold", long.ID, "wait"); err != nil || time.Since(asked) > time.Second {
			t.Errorf("hold: %v after %v", err, time.Since(asked))
		}
		if all, err := h.e.Accounts(ctx); err != nil || !strings.Contains(all[0].LastError, long.ID) {
			t.Errorf("whoever looks at the account reads %q, %v", all[0].LastError, err)
		}
		h.close()
		h.start()
		defer h.close()
		h.warn(spec(warning.Orange, "after", ""))
		pass(3 * time.Second)
		for _, text := range []string{"short", "after"} {
			if n := len(complete(h.c.log(), text)); n != 100 {
				t.Errorf("%d of 100 people got %q", n, text)
			}
		}
		if n := len(complete(h.c.log(), "long")); n != 0 {
			t.Errorf("%d people got words that no link carries", n)
		}
		h.c.carries("")
		if _, err := h.e.Release(ctx, commander, "release", long.ID); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		if n := len(complete(h.c.log(), "long")); n != 100 {
			t.Errorf("%d of 100 people got %q", n, "long")
		}
		h.lane(long.ID)
	})
}

// TestWordsThatNoWindowHoldsAreRefused: all segments of a message leave together, so that a link with fewer places would never
// take them.
func TestWordsThatNoWindowHoldsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 10, 1500)
		narrow := h.account("mobile", "fake")
		narrow.Window = 2
		h.accounts = []dispatcher.AccountOptions{narrow}
		h.start()
		defer h.close()
		_, _, err := h.e.Submit(t.Context(), forecaster, "three", dispatcher.Submission{Spec: spec(warning.Red, "words of three parts", "")})
		if err != nil {
			t.Errorf("two messages: %v", err)
		}
		_, _, err = h.e.Submit(t.Context(), forecaster, "more", dispatcher.Submission{Spec: spec(warning.Red, "words of three parts, and more", "")})
		var refused *warning.Error
		if !errors.As(err, &refused) || len(refused.Violations) != 1 || refused.Violations[0].Rule != "words.window" {
			t.Errorf("three messages: %v", err)
		}
	})
}

// TestAWarningThatCannotBePlayedBlocksNoOther: the platform plays what is less urgent.
func TestAWarningThatCannotBePlayedBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		pass(2 * time.Second)
		_, err := h.e.Broadcast(t.Context(), commander, "again", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Every: time.Second, Times: 3,
			Sound: &dispatcher.Sound{Name: "voice.mp3", MPEG: []byte("\xff\xfb\x90\x00 a voice")},
		})
		if err != nil {
			t.Fatal(err)
		}
		lost := dispatcher.Put{Table: dispatcher.TableSounds, Field: dispatcher.PlayField(w.ID, "loud")}
		if _, err := h.store.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{lost}}); err != nil {
			t.Fatal(err)
		}
		h.warn(loud(warning.Blue, "wind"))
		pass(5 * time.Second)
		played, _ := h.loud.log()
		if last := played[len(played)-1]; last.Text != "wind" {
			t.Errorf("of %d messages the last is %q", len(played), last.Text)
		}
	})
}

// stubborn is loudspeakers that do not stop.
type stubborn struct{ *loudspeakers }

func (s stubborn) Open(channels.AreaAccount) (channels.AreaCarrier, error) { return s, nil }

func (s stubborn) Stop(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	s.loudspeakers.Stop(ctx, m)
	return channels.AreaOutcome{Kind: channels.Refused, Reason: channels.NotAllowed, Detail: "it plays on"}
}

// TestAPlatformThatRefusesToStopIsSaidToPlay: the report does not say that it was stopped, and it is asked once.
func TestAPlatformThatRefusesToStopIsSaidToPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 100, 1500)
		h.start(func(o *dispatcher.Options) { o.Areas = map[string]channels.AreaAdapter{"fake": stubborn{h.loud}} })
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		pass(2 * time.Second)
		if _, _, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		r, err := h.e.Report(t.Context(), w.ID)
		if err != nil || len(r.Plays) != 1 {
			t.Fatalf("%+v, %v", r.Plays, err)
		}
		if p := r.Plays[0]; p.State != warning.PlayHandedOver || p.Why != "it plays on" {
			t.Errorf("the play is %v: %q", p.State, p.Why)
		}
		if _, stopped := h.loud.log(); len(stopped) != 1 {
			t.Errorf("it was asked %d times to stop", len(stopped))
		}
	})
}

// TestAStopBetweenLookAndCallPlaysNothing: a warning is held or cancelled when a platform has decided to play it.
func TestAStopBetweenLookAndCallPlaysNothing(t *testing.T) {
	for name, stop := range map[string]func(e *dispatcher.Engine, id string) error{
		"held": func(e *dispatcher.Engine, id string) error {
			_, err := e.Hold(context.Background(), approver, "hold", id, "wait")
			return err
		},
		"cancelled": func(e *dispatcher.Engine, id string) error {
			_, _, err := e.Cancel(context.Background(), approver, "cancel", id, "mistake")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := houseOf(t, 100, 1500)
				var id atomic.Value
				var stopped atomic.Bool
				h.start(func(o *dispatcher.Options) {
					o.Records = gate{Records: h.store, pass: func() {
						if stopped.Swap(true) {
							return
						}
						for id.Load() == nil {
							pass(time.Millisecond)
						}
						if err := stop(h.e, id.Load().(string)); err != nil {
							t.Error(err)
						}
					}}
				})
				defer h.close()
				id.Store(h.warn(loud(warning.Red, "flood")).ID)
				pass(5 * time.Second)
				if !stopped.Load() {
					t.Fatal("nothing was decided")
				}
				if played, _ := h.loud.log(); len(played) != 0 {
					t.Errorf("played %d times after the stop was answered", len(played))
				}
				if name == "cancelled" {
					return
				}
				if _, err := h.e.Release(context.Background(), commander, "release", id.Load().(string)); err != nil {
					t.Fatal(err)
				}
				pass(5 * time.Second)
				if played, _ := h.loud.log(); len(played) != 1 {
					t.Errorf("played %d times when it went on", len(played))
				}
			})
		})
	}
}

// TestAnOwnerWhoseHeartbeatHangsGoesOn: its commits are durable, so that it lives; nobody takes the account from it, and no
// second has more than the contract.
func TestAnOwnerWhoseHeartbeatHangsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := houseOf(t, 300, 20)
		var hangs atomic.Bool
		g := gate{Records: one.store, Queue: one.store, pass: func() {}, beat: func() {
			if hangs.Load() {
				pass(5 * time.Second)
			}
		}}
		one.start(func(o *dispatcher.Options) { o.Records, o.Queue = g, g })
		defer one.close()
		two := *one
		two.ids, two.node = &epochs{}, "n2"
		two.start()
		defer two.close()
		two.warn(spec(warning.Red, "flood", ""))
		pass(time.Second)
		hangs.Store(true)
		pass(12 * time.Second)
		hangs.Store(false)
		pass(5 * time.Second)
		log := one.c.log()
		longest := time.Duration(0)
		for i := 1; i < len(log); i++ {
			longest = max(longest, log[i].at.Sub(log[i-1].at))
		}
		if longest > 500*time.Millisecond {
			t.Errorf("nothing was sent for %v", longest)
		}
		if n := highest(log); n > 20 {
			t.Errorf("%d messages in a second of 20", n)
		}
		for who, n := range complete(log, "flood") {
			if n != 1 {
				t.Errorf("%d got it %d times", who, n)
			}
		}
	})
}

// TestAnAccountGoesOnWhenTheStoreHasLostCommits: a fail-over of Redis lost what it had answered a moment ago. The owner begins
// anew with what is there, in seconds, and nobody is lost.
func TestAnAccountGoesOnWhenTheStoreHasLostCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1000, 200)
		defer h.close()
		w := h.warn(spec(warning.Orange, "flood", ""))
		pass(2 * time.Second)
		h.cut.mu.Lock()
		h.cut.lose = 3
		h.cut.mu.Unlock()
		pass(10 * time.Second)
		if n := len(complete(h.c.log(), "flood")); n != 1000 {
			t.Errorf("%d of 1000 people got it", n)
		}
		if n := highest(h.c.log()); n > 200 {
			t.Errorf("%d messages in a second of 200", n)
		}
		if l := h.lane(w.ID); l.Counts[warning.Waiting]+l.Counts[warning.Sending] != 0 {
			t.Errorf("%v", l.Counts)
		}
	})
}

// TestALinkTestDoesNotKeepAnAccountFromGoingOn: an ownership ends while the receipt of a link test is waited for.
func TestALinkTestDoesNotKeepAnAccountFromGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 2000, 200)
		h.test, h.every = 9999_000000001, 2*time.Second
		h.c.tells = func(arrival, uint16) []told { return nil }
		h.start()
		defer h.close()
		h.warn(spec(warning.Orange, "flood", ""))
		pass(2 * time.Second)
		h.cut.mu.Lock()
		h.cut.lose = 1
		h.cut.mu.Unlock()
		pass(6 * time.Second)
		longest, log := time.Duration(0), h.c.log()
		for i := 1; i < len(log); i++ {
			longest = max(longest, log[i].at.Sub(log[i-1].at))
		}
		if longest = max(longest, time.Since(log[len(log)-1].at)); longest > 3*time.Second {
			t.Errorf("nothing was sent for %v", longest)
		}
	})
}
