package verify

import (
	"testing"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// TestEachDutyByItsChannels: who is told by what stands in the warning; what comes after a missing receipt may come.
func TestEachDutyByItsChannels(t *testing.T) {
	sms, flashSMS := tocsinv1.Channel_CHANNEL_SMS, tocsinv1.Channel_CHANNEL_FLASH_SMS
	at := release.Add(time.Second)
	step := func(after int64, chs ...tocsinv1.Channel) *tocsinv1.Told_Step {
		return &tocsinv1.Told_Step{AfterS: after, Channels: chs}
	}
	for name, c := range map[string]struct {
		happens func(w *world)
		fault   string
	}{
		"as it says": {func(w *world) {
			w.flashed("mobile", 1, chinese, at)
			w.hand("unicom", 2, chinese, at)
		}, ""},
		"and the later step": {func(w *world) {
			w.flashed("mobile", 1, chinese, at)
			w.hand("unicom", 1, chinese, at.Add(3*time.Minute))
			w.hand("unicom", 2, chinese, at)
		}, ""},
		"the later step twice": {func(w *world) {
			w.flashed("mobile", 1, chinese, at)
			w.hand("unicom", 1, chinese, at.Add(3*time.Minute))
			w.hand("unicom", 1, chinese, at.Add(4*time.Minute))
			w.hand("unicom", 2, chinese, at)
		}, "2 messages too many to 1 people"},
		"only the later step": {func(w *world) {
			w.hand("unicom", 1, chinese, at.Add(3*time.Minute))
			w.hand("unicom", 2, chinese, at)
		}, "1 people lost"},
		"the public by the other's channel": {func(w *world) {
			w.flashed("mobile", 1, chinese, at)
			w.hand("unicom", 2, chinese, at)
			w.flashed("mobile", 2, chinese, at)
		}, "1 people got what was not for them"},
	} {
		w := newWorld(t)
		x := w.warn("W1", "500103")
		x.Spec.Channels = []tocsinv1.Channel{sms, flashSMS}
		x.Told = []*tocsinv1.Told{
			{Duty: "responsible", Steps: []*tocsinv1.Told_Step{step(0, flashSMS), step(180, sms)}},
			{Duty: "public", Steps: []*tocsinv1.Told_Step{step(0, sms)}},
		}
		w.person(1, 106.5, 29.5, "zh-CN", "responsible", "")
		w.person(2, 106.5, 29.5, "zh-CN", "public", "")
		c.happens(w)
		wanted(t, name, w.run(), c.fault)
	}
}

// TestWhoIsToldByNoChannelOfTheirOwnIsCounted: by the duty's channels; a later step is one.
func TestWhoIsToldByNoChannelOfTheirOwnIsCounted(t *testing.T) {
	sms, broadcast := tocsinv1.Channel_CHANNEL_SMS, tocsinv1.Channel_CHANNEL_BROADCAST
	for name, c := range map[string]struct {
		steps  []*tocsinv1.Told_Step
		untold int64
	}{
		"loudspeakers alone":   {[]*tocsinv1.Told_Step{{Channels: []tocsinv1.Channel{broadcast}}}, 2},
		"nothing":              {nil, 2},
		"a message later":      {[]*tocsinv1.Told_Step{{Channels: []tocsinv1.Channel{broadcast}}, {AfterS: 60, Channels: []tocsinv1.Channel{sms}}}, 0},
		"a message with these": {[]*tocsinv1.Told_Step{{Channels: []tocsinv1.Channel{broadcast, sms}}}, 0},
	} {
		w := newWorld(t)
		x := w.warn("W1", "500103")
		x.Spec.Channels = []tocsinv1.Channel{sms, broadcast}
		x.Told = []*tocsinv1.Told{
			{Duty: "responsible", Steps: []*tocsinv1.Told_Step{{Channels: []tocsinv1.Channel{sms}}}},
			{Duty: "public", Steps: c.steps},
		}
		w.person(1, 106.5, 29.5, "zh-CN", "responsible", "")
		w.person(2, 106.5, 29.5, "zh-CN", "public", "")
		w.person(3, 106.5, 29.5, "zh-CN", "public", "")
		w.person(4, 106.5, 29.5, "zh-CN", "public", "opted_out")
		w.person(0, 106.5, 29.5, "zh-CN", "public", "")
		for n := range 3 {
			if n == 0 || c.untold == 0 {
				w.hand("mobile", n+1, chinese, release.Add(2*time.Minute))
			}
		}
		v := w.run()
		wanted(t, name, v, "")
		if s := v.Sums; s.Untold != c.untold || s.InArea != 5 || s.NoAddress != 1 || s.OptedOut != 1 {
			t.Errorf("%s: %d of %d people are told by no channel of their own, want %d", name, s.Untold, s.InArea, c.untold)
		}
	}
}
