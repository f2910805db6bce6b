package verify

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// TestLinesSayWhatWasJudged: a figure that nobody measured is not printed as zero.
func TestLinesSayWhatWasJudged(t *testing.T) {
	sms, broadcast := tocsinv1.Channel_CHANNEL_SMS, tocsinv1.Channel_CHANNEL_BROADCAST
	for name, c := range map[string]struct {
		happens     func(w *world)
		says, never string
	}{
		"on time":      {func(w *world) { w.hand("mobile", 1, chinese, release.Add(time.Second)) }, "first at a carrier 1000 ms after the release", "not judged"},
		"nothing came": {func(w *world) { w.textNo("mobile", 0, []byte("a log has to begin")) }, "W1: got 0 of 1, nothing came to a carrier", " ms "},
		"too early":    {func(w *world) { w.hand("mobile", 1, chinese, release.Add(-time.Second)) }, "first at a carrier before the release", " ms "},
		"no contract":  {func(w *world) { w.hand("mobile", 1, chinese, release.Add(time.Second)) }, "at most 2 in any second, no contract is given", "contracted"},
		"a contract": {func(w *world) {
			w.rate = 20
			w.hand("mobile", 1, chinese, release.Add(time.Second))
		}, "at most 2 in any second, 20 are contracted", "no contract"},
		"the same words": {func(w *world) {
			w.hand("mobile", 1, chinese, release.Add(time.Second))
			w.warn("W2", "500112")
		}, "W1 and W2 have the same words", "not judged"},
		"loudspeakers without their log": {func(w *world) {
			w.warnings[0].Spec.Channels = []tocsinv1.Channel{sms, broadcast}
			w.hand("mobile", 1, chinese, release.Add(time.Second))
		}, "not judged: W1 by broadcast: no log of it is given", ""},
		"loudspeakers that were not released": {func(w *world) {
			x := w.warn("W2", "500112")
			x.Spec.Channels, x.State, x.ReleasedAt = []tocsinv1.Channel{broadcast}, tocsinv1.State_STATE_SUBMITTED, nil
			x.Spec.Words[0].Text, x.Spec.Words[1].Text = "另一个", "Another one"
			w.hand("mobile", 1, chinese, release.Add(time.Second))
		}, "W2: got 0 of 0, it was not released", "not judged"},
		"a correction that was not released": {func(w *world) {
			w.warnings[0].State, w.warnings[0].EndedAt = tocsinv1.State_STATE_CANCELLED, timestamppb.New(release.Add(9*time.Second))
			x := w.warn("W2", "500103")
			x.Spec.Type, x.Spec.References = tocsinv1.Type_TYPE_CANCEL, []string{"W1"}
			x.State, x.ReleasedAt = tocsinv1.State_STATE_SUBMITTED, nil
			w.hand("mobile", 1, chinese, release.Add(time.Second))
		}, "expected 1, got 1, moved to SMS 0, refused 0, stopped 0, lost 0", "not judged"},
		"words of what was not released": {func(w *world) {
			x := w.warn("W2", "500103")
			x.State, x.ReleasedAt = tocsinv1.State_STATE_SUBMITTED, nil
			x.Spec.Words[0].Text, x.Spec.Words[1].Text = "另一个", "Another one"
			w.hand("mobile", 1, chinese, release.Add(time.Second))
			w.hand("mobile", 1, "另一个", release.Add(time.Second))
		}, "1 messages before the release", "not judged"},
	} {
		w := newWorld(t)
		w.warn("W1", "500103")
		w.person(1, 106.5, 29.5, "zh-CN", "public", "")
		c.happens(w)
		v := w.run()
		if lines := strings.Join(v.Lines(), "\n"); !strings.Contains(lines, c.says) || c.never != "" && strings.Contains(lines, c.never) {
			t.Errorf("%s: wanted %q and not %q in\n%s", name, c.says, c.never, lines)
		}
	}
}

// TestARepeatOfNoWarning: a slip in an id would be a repeat that nobody judges.
func TestARepeatOfNoWarning(t *testing.T) {
	for of, want := range map[string]string{"W7/broadcast": `"W7" is none of the warnings`, "W1": "is no channel", "W1/radio": `"radio" is no channel`} {
		in := city(t).input()
		in.Again = map[string]int{of: 2}
		if _, err := Run(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", of, err)
		}
	}
}

// TestLinkTestsAreNoWarnings: to the numbers that are said, and nothing else; a warning there is judged like any.
func TestLinkTestsAreNoWarnings(t *testing.T) {
	const test, own = 900, 1
	words := "【测试】线路 mobile 测试,12:00:00,请勿理会。"
	for name, c := range map[string]struct {
		happens func(w *world)
		tests   []uint64
		fault   string
		counted int64
	}{
		"not said":                    {func(w *world) { w.hand("mobile", test, words, release) }, nil, "1 people got what are not the words", 0},
		"said":                        {func(w *world) { w.hand("mobile", test, words, release) }, []uint64{99900000000 + test}, "", 1},
		"to somebody who is told too": {func(w *world) { w.hand("mobile", own, words, release) }, []uint64{99900000000 + own}, "", 1},
		"a warning there": {func(w *world) { w.hand("mobile", test, chinese, release.Add(time.Second)) }, []uint64{99900000000 + test},
			"1 people got what was not for them", 0},
	} {
		w := city(t)
		c.happens(w)
		in := w.input()
		in.TestNumbers = c.tests
		v, err := Run(in)
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, name, v, c.fault)
		if v.LinkTests != c.counted || v.Got != 42 {
			t.Errorf("%s: %d link tests, %d people got it", name, v.LinkTests, v.Got)
		}
	}
}

// TestAPlatformThatNeverPlayed has no time of a first message.
func TestAPlatformThatNeverPlayed(t *testing.T) {
	r := &ring{world: newWorld(t)}
	r.x = r.warn("W1", "500103")
	r.x.Spec.Channels = []tocsinv1.Channel{broadcast}
	r.x.State, r.x.EndedAt = tocsinv1.State_STATE_CANCELLED, timestamppb.New(release)
	r.person(1, 106.5, 29.5, "zh-CN", "public", "")
	in := r.input()
	in.Areas = []AreaLog{r.file(broadcast)}
	v, err := Run(in)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Join(v.Lines(), "\n"); !strings.Contains(lines, "W1 at place: never played") || strings.Contains(lines, "first after") {
		t.Error(lines)
	}
}
