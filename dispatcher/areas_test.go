package dispatcher_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

func loud(tier warning.Tier, text string) warning.Spec {
	s := prepared(spec(tier, text, ""))
	s.Channels = append(s.Channels, warning.Broadcast)
	return s
}

// TestAreaChannelPlaysOnce: one message for the platform whatever the number of people, stopped at a cancel, and its
// correction is a message of its own.
func TestAreaChannelPlaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 200, 1500)
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		pass(5 * time.Second)
		played, stopped := h.loud.log()
		if len(played) != 1 || played[0].Text != "flood" || played[0].Serial != 1 || len(played[0].Units) != 1 || played[0].Units[0] != "500101000000" {
			t.Fatalf("played %+v", played)
		}
		if d := played[0].Sent.Sub(w.ReleasedAt); d != 0 || len(stopped) != 0 {
			t.Fatalf("sent %v after the release, stopped %v", d, stopped)
		}
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(5 * time.Second)
		played, stopped = h.loud.log()
		if len(stopped) != 1 || stopped[0] != 1 {
			t.Errorf("stopped %v, want the first serial once", stopped)
		}
		if len(played) != 2 || played[1].Text != "no flood" || played[1].Serial != 2 {
			t.Errorf("played %+v, want the correction as a message of its own", played)
		}
		if m := played[1]; m.Related != 1 || !m.RelatedSent.Equal(w.ReleasedAt) {
			t.Errorf("the correction follows serial %d of %v, want 1 of %v", m.Related, m.RelatedSent, w.ReleasedAt)
		}
	})
}

// TestAnUpdateOnAnAreaChannel stops what it replaces and names it; the correction of what nobody heard is not played.
func TestAnUpdateOnAnAreaChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 200, 1500)
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		pass(2 * time.Second)
		next := loud(warning.Red, "flood rises")
		next.Type, next.References = warning.Update, []string{w.ID}
		next.Words = append(next.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "it rises"}, warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "not you"})
		u := h.warn(next)
		pass(2 * time.Second)
		played, stopped := h.loud.log()
		if len(played) != 2 || len(stopped) != 1 || stopped[0] != 1 {
			t.Fatalf("played %d, stopped %v", len(played), stopped)
		}
		if m := played[1]; m.Related != 1 || !m.RelatedSent.Equal(w.ReleasedAt) || m.Type != warning.Update || m.Serial == 1 {
			t.Errorf("the update %+v", m)
		}
		if u.ID == w.ID {
			t.Fatal("an update has an id of its own")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 200, 1500)
		defer h.close()
		h.loud.answer = func(int) channels.AreaOutcome {
			return channels.AreaOutcome{Kind: channels.Refused, Reason: channels.BadContent}
		}
		w := h.warn(loud(warning.Red, "refused"))
		pass(2 * time.Second)
		_, correction, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(5 * time.Second)
		if played, _ := h.loud.log(); len(played) != 1 {
			t.Errorf("played %d messages; nobody heard what the second would correct", len(played))
		}
	})
}

// TestAreaChannelRepeatsWithTheSameSerial after an unknown outcome, a crash, and when a commander asks for it.
func TestAreaChannelRepeatsWithTheSameSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 200, 1500)
		h.loud.answer = func(n int) channels.AreaOutcome {
			switch n {
			case 1:
				return channels.AreaOutcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
			case 5: // a repeat that does not arrive is none of those that the commander asked for
				return channels.AreaOutcome{Kind: channels.Retry, Reason: channels.LinkDown}
			}
			return channels.AreaOutcome{Kind: channels.HandedOver}
		}
		w := h.warn(loud(warning.Orange, "slide"))
		pass(100 * time.Millisecond)
		h.kill()
		h.start()
		defer h.close()
		pass(5 * time.Second)
		played, _ := h.loud.log()
		if len(played) < 2 || len(played) > 3 {
			t.Fatalf("played %d times", len(played))
		}
		n := len(played)
		voice := []byte("\xff\xfb\x90\x00 four seconds of a voice") // ISO/IEC 11172-3: a frame begins with eleven ones
		_, err := h.e.Broadcast(context.Background(), commander, "again", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Every: 10 * time.Second, Times: 3,
			Sound: &dispatcher.Sound{Name: "voice.mp3", MPEG: voice},
		})
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		played, _ = h.loud.log()
		if len(played) != n+3+1 {
			t.Errorf("tried %d times more, the commander asked for 3 and one did not arrive", len(played)-n)
		}
		for i, m := range played {
			if heard := m.Audio != nil && string(m.Audio.Data) == string(voice); heard != (i >= n) {
				t.Errorf("message %d of %d has the voice: %v", i, len(played), heard)
			}
			if m.Serial != played[0].Serial {
				t.Errorf("serial %d after %d", m.Serial, played[0].Serial)
			}
		}
		_, err = h.e.Broadcast(context.Background(), commander, "outside", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Units: []string{"500102000000"}, Every: time.Second, Times: 1,
		})
		if warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("a district outside the area: %v", err)
		}
		for rule, r := range map[string]dispatcher.Repeat{
			"broadcast.audio.form":    {Channels: []warning.Channel{warning.Broadcast}, Sound: &dispatcher.Sound{Name: "voice.wav", MPEG: []byte("RIFF")}},
			"broadcast.audio.channel": {Channels: []warning.Channel{warning.Broadcast, warning.Push}, Sound: &dispatcher.Sound{Name: "voice.mp3", MPEG: voice}},
		} {
			r.Every, r.Times = time.Second, 1
			if _, err := h.e.Broadcast(context.Background(), commander, rule, w.ID, r); err == nil || !strings.Contains(err.Error(), rule) {
				t.Errorf("%s: %v", rule, err)
			}
		}
	})
}

// loudspeakers is a platform of an area channel that outlives the engine.
type loudspeakers struct {
	mu      sync.Mutex
	played  []channels.AreaMessage
	stopped []uint32
	answer  func(n int) channels.AreaOutcome // to the n-th play; nil: taken
}

func (l *loudspeakers) Open(channels.AreaAccount) (channels.AreaCarrier, error) { return l, nil }
func (l *loudspeakers) Link() channels.LinkHealth                               { return channels.LinkHealth{Up: true} }
func (l *loudspeakers) Close(context.Context) error                             { return nil }

func (l *loudspeakers) Play(_ context.Context, m channels.AreaMessage) channels.AreaOutcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.played = append(l.played, m)
	if l.answer != nil {
		return l.answer(len(l.played))
	}
	return channels.AreaOutcome{Kind: channels.HandedOver}
}

func (l *loudspeakers) Stop(_ context.Context, m channels.AreaMessage) channels.AreaOutcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = append(l.stopped, m.Serial)
	return channels.AreaOutcome{Kind: channels.HandedOver}
}

func (l *loudspeakers) log() (played []channels.AreaMessage, stopped []uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]channels.AreaMessage(nil), l.played...), append([]uint32(nil), l.stopped...)
}

// patient is loudspeakers of a platform that takes its time.
type patient struct {
	*loudspeakers
	play   func(m channels.AreaMessage)
	covers func() // nil: at once
}

func (p patient) Open(channels.AreaAccount) (channels.AreaCarrier, error) { return p, nil }

func (p patient) Play(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	o := p.loudspeakers.Play(ctx, m)
	if p.play != nil {
		p.play(m)
	}
	return o
}

func (p patient) Coverage(context.Context, channels.AreaMessage) (channels.Coverage, error) {
	if p.covers != nil {
		p.covers()
	}
	return channels.Coverage{State: channels.InProgress, Rate: 0.5}, nil
}

// TestNothingIsPlayedAfterAStopWasAnswered: while a slow platform takes another message, a warning is cancelled that it would
// have played next.
func TestNothingIsPlayedAfterAStopWasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 200, 1500)
		h.start(func(o *dispatcher.Options) {
			o.Areas = map[string]channels.AreaAdapter{"fake": patient{loudspeakers: h.loud, play: func(channels.AreaMessage) { pass(20 * time.Second) }}}
		})
		defer h.close()
		h.warn(loud(warning.Red, "first"))
		pass(time.Second)
		h.warn(loud(warning.Red, "second"))
		third := h.warn(loud(warning.Orange, "third"))
		w := h.warn(loud(warning.Orange, "mistake"))
		pass(25 * time.Second) // the first is taken, the second is on its way
		if played, _ := h.loud.log(); len(played) != 2 || played[1].Text != "second" {
			t.Fatalf("played %d", len(played))
		}
		if _, _, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		played, _ := h.loud.log()
		serials := map[uint32]string{}
		for _, m := range played {
			if m.Text == "mistake" {
				t.Error("a warning was played whose cancel had been answered before")
			}
			if other := serials[m.Serial]; other != "" {
				t.Errorf("%q and %q have the serial %d: the platform takes one for a repeat of the other", other, m.Text, m.Serial)
			}
			serials[m.Serial] = m.Text
		}
		if len(played) != 3 || played[2].Warning != third.ID {
			t.Errorf("played %d", len(played))
		}
	})
}

// TestARepeatIsKeptWhileThePlatformIsAsked: a commander asks for repeats while the platform is asked how far it is.
func TestARepeatIsKeptWhileThePlatformIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 200, 1500)
		asked := make(chan struct{}, 1)
		h.start(func(o *dispatcher.Options) {
			o.Areas = map[string]channels.AreaAdapter{"fake": patient{loudspeakers: h.loud, covers: func() {
				select {
				case asked <- struct{}{}:
				default:
				}
				pass(2 * time.Second)
			}}}
		})
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		<-asked
		pass(time.Second)
		_, err := h.e.Broadcast(context.Background(), commander, "again", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Every: 10 * time.Second, Times: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if played, _ := h.loud.log(); len(played) != 3 {
			t.Errorf("played %d times; once, and the two repeats that were recorded", len(played))
		}
	})
}

// gate does something before what came of a play is written down.
type gate struct {
	dispatcher.Records
	dispatcher.Queue
	pass func()
	beat func()
}

func (g gate) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if len(a.Puts) > 0 && a.Puts[0].Table == dispatcher.TablePlays {
		g.pass()
	}
	return g.Records.Do(ctx, a)
}

func (g gate) Beat(ctx context.Context, f dispatcher.Fence) (dispatcher.Signal, error) {
	if g.beat != nil {
		g.beat()
	}
	return g.Queue.Beat(ctx, f)
}

// twoHouses is two processes of which the first one, at the gate, owns all accounts.
func twoHouses(t *testing.T, g gate, change ...func(*dispatcher.Options)) (one, two *house) {
	one = houseOf(t, 200, 1500)
	g.Records, g.Queue = one.store, one.store
	one.start(append(change, func(o *dispatcher.Options) { o.Records, o.Queue = g, g })...)
	other := *one
	other.ids, other.node = &epochs{}, "n2"
	other.start(change...)
	return one, &other
}

// TestAProcessThatWasFrozenPlaysNothing: another one has the platform since, and stopped what this one was about to play.
func TestAProcessThatWasFrozenPlaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		var frozen atomic.Bool
		freeze := func() {
			if frozen.Load() {
				<-thaw
			}
		}
		one, two := twoHouses(t, gate{pass: freeze, beat: freeze})
		defer one.close()
		defer two.close()
		frozen.Store(true)
		w := two.warn(loud(warning.Red, "flood"))
		pass(10 * time.Second)
		if played, _ := one.loud.log(); len(played) != 1 {
			t.Fatalf("the other process played %d", len(played))
		}
		if _, _, err := two.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		frozen.Store(false)
		close(thaw)
		pass(5 * time.Second)
		if played, stopped := one.loud.log(); len(played) != 1 || len(stopped) != 1 {
			t.Errorf("played %d times, stopped %d times", len(played), len(stopped))
		}
	})
}

// TestARepeatAskedOfAnotherProcessIsKept: it is recorded just before the owner of the platform writes how far that is.
func TestARepeatAskedOfAnotherProcessIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var two *house
		var id atomic.Value
		ask := func() {
			if w, _ := id.Swap("").(string); w != "" {
				_, err := two.e.Broadcast(context.Background(), commander, "again", w, dispatcher.Repeat{
					Channels: []warning.Channel{warning.Broadcast}, Every: 10 * time.Second, Times: 2,
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
		one, other := twoHouses(t, gate{pass: ask}, func(o *dispatcher.Options) {
			o.Areas = map[string]channels.AreaAdapter{"fake": patient{loudspeakers: o.Areas["fake"].(*loudspeakers)}}
		})
		two = other
		defer one.close()
		defer two.close()
		w := two.warn(loud(warning.Red, "flood"))
		pass(2 * time.Second)
		id.Store(w.ID)
		pass(time.Minute)
		if played, _ := one.loud.log(); len(played) != 3 {
			t.Errorf("played %d times; once, and the two repeats that were recorded", len(played))
		}
	})
}
