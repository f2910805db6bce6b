package dispatcher_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// until is the time from now to an hour of Beijing.
func until(hour, minute int) time.Duration {
	now := time.Now().In(warning.China)
	at := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, warning.China)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(now)
}

// table is a house whose policy has this channel table, at an hour of Beijing.
func table(t *testing.T, people, hour, minute int, rows ...warning.ChannelRow) *house {
	h := houseOf(t, people, 1500)
	h.policy.Channels = rows
	pass(until(hour, minute))
	h.start()
	return h
}

// silent is a spec that names no channels.
func silent(tier warning.Tier, text string) warning.Spec {
	s := spec(tier, text, "")
	s.Channels = nil
	return s
}

var (
	responsible, public = []warning.Duty{warning.Responsible}, []warning.Duty{warning.Public}
	night               = warning.Hours{22 * 60, 7 * 60}
)

// flashThenSMS tells responsible persons by flash message, and after three minutes by SMS; the public by SMS.
func flashThenSMS() []warning.ChannelRow {
	return []warning.ChannelRow{
		{Tiers: warning.Tiers, To: responsible, By: []warning.Channel{warning.FlashSMS}, Then: []warning.Step{
			{After: 3 * time.Minute, Channels: []warning.Channel{warning.SMS}},
		}},
		{Tiers: warning.Tiers, To: public, By: []warning.Channel{warning.SMS, warning.Broadcast, warning.CableTV}},
	}
}

// got counts arrivals by number, flash messages and others apart.
func got(log []arrival) (flash, text map[uint64]int) {
	flash, text = map[uint64]int{}, map[uint64]int{}
	for _, a := range log {
		if a.flash {
			flash[a.number]++
		} else {
			text[a.number]++
		}
	}
	return flash, text
}

// deaf makes the carrier give no receipt for flash messages to every second responsible person: nobody knows whether they
// have it.
func (h *house) deaf() {
	h.c.answers(func(a arrival) channels.Outcome {
		if a.flash && a.number%200 == 99 {
			return channels.Outcome{Kind: channels.Refused, Reason: channels.BadNumber}
		}
		return channels.Outcome{Kind: channels.HandedOver}
	})
}

// everybody checks promise 2: everybody in the area is in a lane or counted, and persons are counted once.
func (h *house) everybody(id string, people int64) dispatcher.Report {
	h.t.Helper()
	r, err := h.e.Report(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	plan, _, err := h.store.PlanOf(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	persons := r.Delivered + r.HandedOver + r.NotReached + r.Waiting
	if sum := persons + r.NoAddress + r.OptedOut + r.NoRoute + r.Untold; sum != people || r.InArea != people || r.LeftOut != plan.LeftOut {
		h.t.Errorf("%d people in lanes, %+v of the plan, %+v reported: %d, want %d", persons, plan.LeftOut, r.LeftOut, sum, people)
	}
	for _, l := range r.Lanes {
		if !l.Balanced {
			h.t.Errorf("lane %+v", l)
		}
	}
	return r
}

// TestTheTableTellsEachDutyByItsChannels: at once by the first step, later those without receipt, and each once by a
// channel.
func TestTheTableTellsEachDutyByItsChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := table(t, 2000, 12, 0, flashThenSMS()...)
		defer h.close()
		h.deaf()
		w := h.warn(silent(warning.Orange, "storm"))
		if want := []warning.Channel{warning.SMS, warning.FlashSMS, warning.Broadcast}; !slices.Equal(w.Spec.Channels, want) {
			t.Errorf("it goes by %v, want %v: nothing serves cable TV", w.Spec.Channels, want)
		}
		pass(170 * time.Second)
		check := func(when string, later bool) {
			t.Helper()
			flash, text := got(h.c.log())
			for i := range 2000 {
				n := number(i)
				duty, lacks := i%100 == 99, n%200 == 99
				want := [2]int{0, 1}
				if duty {
					want = [2]int{1, 0}
					if lacks && later {
						want[1] = 1
					}
				}
				if have := [2]int{flash[n], text[n]}; have != want {
					t.Fatalf("%s: person %d has flash and SMS %v, want %v", when, i, have, want)
				}
			}
		}
		check("before the step", false)
		if s := h.state(w.ID); s != warning.Released {
			t.Errorf("with a step to come it is %v", s)
		}
		pass(20 * time.Second)
		check("after the step", true)
		r := h.everybody(w.ID, 2000)
		if r.Delivered != 2000 {
			t.Errorf("%d of 2000 have it", r.Delivered)
		}
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("when all is done it is %v", s)
		}
	})
}

// TestALaterStepSurvivesARestart: it is taken once, also where the engine was down when its time came.
func TestALaterStepSurvivesARestart(t *testing.T) {
	for name, at := range map[string]time.Duration{"before the step": 60 * time.Second, "after it": 190 * time.Second, "across it": 175 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := table(t, 1000, 12, 0, flashThenSMS()...)
				h.deaf()
				w := h.warn(silent(warning.Red, "flood"))
				pass(at)
				h.kill()
				pass(20 * time.Second)
				h.start()
				defer h.close()
				pass(3 * time.Minute)
				_, text := got(h.c.log())
				for i := range 1000 {
					if n, want := text[number(i)], 1; n != want && (i%100 != 99 || number(i)%200 == 99) {
						t.Fatalf("person %d got it %d times by SMS", i, n)
					}
				}
				h.everybody(w.ID, 1000)
			})
		})
	}
}

// TestAStopStopsLaterSteps: no step while a warning is held, none after a cancel or the end of validity.
func TestAStopStopsLaterSteps(t *testing.T) {
	for name, stop := range map[string]func(*house, warning.Warning) error{
		"hold": func(h *house, w warning.Warning) error {
			_, err := h.e.Hold(h.t.Context(), forecaster, "hold", w.ID, "")
			return err
		},
		"cancel": func(h *house, w warning.Warning) error {
			_, _, err := h.e.Cancel(h.t.Context(), approver, "cancel", w.ID, "mistake")
			return err
		},
		"expiry": func(*house, warning.Warning) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := table(t, 1000, 12, 0, flashThenSMS()...)
				defer h.close()
				h.deaf()
				s := prepared(silent(warning.Orange, "slide"))
				if name == "expiry" {
					s.Expires = time.Now().Add(150 * time.Second).UTC()
				}
				w := h.warn(s)
				pass(2 * time.Minute)
				if err := stop(h, w); err != nil {
					t.Fatal(err)
				}
				n := len(h.c.log())
				pass(5 * time.Minute)
				if more := len(h.c.log()) - n; more != 0 {
					t.Fatalf("%d messages after the stop", more)
				}
				if name != "hold" {
					return
				}
				if _, err := h.e.Release(t.Context(), approver, "release", w.ID); err != nil {
					t.Fatal(err)
				}
				pass(10 * time.Second)
				if more := len(h.c.log()) - n; more != 5 {
					t.Errorf("%d messages when it goes on, 5 people lack a receipt", more)
				}
			})
		})
	}
}

// TestNobodyOfThePublicIsRungAtNight by what is yellow: not when it is approved after ten, not by a step that would come
// after ten, and not when somebody walks in.
func TestNobodyOfThePublicIsRungAtNight(t *testing.T) {
	rows := []warning.ChannelRow{
		{Tiers: warning.Tiers, To: responsible, By: []warning.Channel{warning.SMS}},
		{Tiers: warning.Tiers, To: public, Hours: night, By: []warning.Channel{warning.Feed}},
		{Tiers: warning.Tiers, To: public, By: []warning.Channel{warning.FlashSMS}, Then: []warning.Step{
			{After: 10 * time.Minute, Channels: []warning.Channel{warning.SMS}},
		}},
	}
	for name, c := range map[string]struct {
		hour, minute int
		wait         time.Duration // for the approval
		flash, text  int           // people
	}{
		"by day":                   {21, 30, 0, 99, 1},
		"released before ten":      {21, 55, 0, 99, 1},
		"approved after ten":       {21, 59, 2 * time.Minute, 0, 1},
		"submitted and read early": {6, 59, 2 * time.Minute, 99, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := table(t, 100, c.hour, c.minute, rows...)
				defer h.close()
				h.c.answers(func(a arrival) channels.Outcome {
					if a.flash && name == "released before ten" {
						return channels.Outcome{Kind: channels.Refused, Reason: channels.BadNumber}
					}
					return channels.Outcome{Kind: channels.HandedOver}
				})
				w, p, err := h.e.Submit(t.Context(), forecaster, "submit", dispatcher.Submission{Spec: silent(warning.Yellow, "fog")})
				if err != nil {
					t.Fatal(err)
				}
				pass(c.wait)
				if _, err := h.e.Approve(t.Context(), approver, "ok", w.ID, 1, p.Digest, 0); err != nil {
					t.Fatal(err)
				}
				pass(30 * time.Minute)
				flash, text := got(h.c.log())
				if len(flash) != c.flash || len(text) != c.text {
					t.Errorf("%d flash messages and %d SMS, want %d and %d", len(flash), len(text), c.flash, c.text)
				}
				h.everybody(w.ID, 100)
			})
		})
	}
}

// TestATableThatTellsNobodyIsRefused at submission, and at the approval where the hour has turned.
func TestATableThatTellsNobodyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := table(t, 100, 21, 59, []warning.ChannelRow{
			{Tiers: warning.Tiers, To: warning.Duties, Hours: night, By: []warning.Channel{warning.Feed}},
			{Tiers: warning.Tiers, To: warning.Duties, By: []warning.Channel{warning.SMS}},
		}...)
		defer h.close()
		refused := func(err error) {
			t.Helper()
			var bad *warning.Error
			if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Rule != "channels.nobody" || bad.Violations[0].Remedy != "say --channels" {
				t.Errorf("got %v", err)
			}
		}
		w, p, err := h.e.Submit(t.Context(), forecaster, "early", dispatcher.Submission{Spec: silent(warning.Blue, "wind")})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Remarks) != 1 || p.Remarks[0].Rule != "channels.unserved" {
			t.Errorf("the preview remarks %v", p.Remarks)
		}
		pass(2 * time.Minute)
		_, err = h.e.Approve(t.Context(), approver, "late", w.ID, 1, p.Digest, 0)
		refused(err)
		_, _, err = h.e.Submit(t.Context(), forecaster, "late", dispatcher.Submission{Spec: silent(warning.Blue, "more wind")})
		refused(err)
		if s := h.state(w.ID); s != warning.Submitted {
			t.Errorf("the warning is %v", s)
		}
		if n := len(h.c.log()); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestWhoIsToldByLoudspeakersAloneIsCountedAndToldLater: they are in no lane until a later step gives them one.
func TestWhoIsToldByLoudspeakersAloneIsCountedAndToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := table(t, 1000, 12, 0, []warning.ChannelRow{
			{Tiers: warning.Tiers, To: responsible, By: []warning.Channel{warning.SMS}},
			{Tiers: warning.Tiers, To: public, By: []warning.Channel{warning.Broadcast}, Then: []warning.Step{
				{After: 5 * time.Minute, Channels: []warning.Channel{warning.SMS}},
			}},
		}...)
		defer h.close()
		w := h.warn(silent(warning.Orange, "quake"))
		for _, c := range []struct {
			after        time.Duration
			text, untold int
		}{{4 * time.Minute, 10, 990}, {2 * time.Minute, 1000, 0}} {
			pass(c.after)
			_, text := got(h.c.log())
			if len(text) != c.text || len(h.c.log()) != c.text {
				t.Errorf("%d people got %d SMS, want %d", len(text), len(h.c.log()), c.text)
			}
			h.everybody(w.ID, 1000)
			plan, _, err := h.store.PlanOf(t.Context(), w.ID)
			if err != nil || plan.Untold != int64(c.untold) {
				t.Errorf("%d people are told by no lane, want %d (%v)", plan.Untold, c.untold, err)
			}
		}
	})
}

// TestALaterStepOfAnUpdate reaches kept and new in their own words, and those who left not at all.
func TestALaterStepOfAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := table(t, 3000, 12, 0, warning.ChannelRow{
			Tiers: warning.Tiers, To: warning.Duties, By: []warning.Channel{warning.FlashSMS},
			Then: []warning.Step{{After: time.Minute, Channels: []warning.Channel{warning.SMS}}},
		})
		defer h.close()
		first := silent(warning.Orange, "first")
		first.Areas[0].Name = "first 2000"
		o := h.warn(prepared(first))
		pass(10 * time.Second)
		h.c.mu.Lock()
		h.c.keep = true // no receipts any more
		h.c.mu.Unlock()
		s := silent(warning.Orange, "warned")
		s.Areas[0].Name = "last 2000"
		s.Type, s.References = warning.Update, []string{o.ID}
		s.Words = append(s.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "updated"},
			warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "left"})
		h.warn(s)
		pass(2 * time.Minute)
		text := map[uint64][]string{}
		for _, a := range h.c.log() {
			if !a.flash {
				text[a.number] = append(text[a.number], a.text)
			}
		}
		for i := range 3000 {
			want := []string{"updated"}
			switch {
			case i < 1000:
				want = nil
			case i >= 2000:
				want = []string{"warned"}
			}
			if got := text[number(i)]; !slices.Equal(got, want) {
				t.Fatalf("person %d got %v by SMS, want %v", i, got, want)
			}
		}
	})
}

// TestALaterStepCountsByTheFirstDirectory: somebody walks in after an import, and the step that comes then counts over whom the
// plan was made for.
func TestALaterStepCountsByTheFirstDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := table(t, 1000, 12, 0, []warning.ChannelRow{
			{Tiers: warning.Tiers, To: responsible, By: []warning.Channel{warning.SMS}},
			{Tiers: warning.Tiers, To: public, By: []warning.Channel{warning.Broadcast}, Then: []warning.Step{
				{After: 5 * time.Minute, Channels: []warning.Channel{warning.SMS}},
			}},
		}...)
		defer h.close()
		s := silent(warning.Orange, "quake")
		s.Areas[0].Name = "last 900" // others when more live here
		w := h.warn(s)
		pass(time.Minute)
		h.town.grown.Store(newTown(1200))
		h.move(1100, 1150, inTown)
		pass(6 * time.Minute)
		got := complete(h.c.log(), "quake")
		for who, n := range got {
			if n != 1 {
				t.Fatalf("%d got it %d times", who, n)
			}
		}
		if len(got) != 950 {
			t.Errorf("%d people got it, want 900 and 50", len(got))
		}
		plan, _, err := h.store.PlanOf(t.Context(), w.ID)
		if err != nil || plan.Untold != 0 || plan.NoRoute != 0 || plan.InArea != 900 || plan.Entered != 50 {
			t.Errorf("%d people are told by no lane, %d by no account; %d were there, %d entered (%v)", plan.Untold, plan.NoRoute, plan.InArea, plan.Entered, err)
		}
	})
}
