package verify

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// The words of a call: in one segment and in two.
const (
	callZh = "【待批准】重庆市气象台暴雨橙色预警已等待0分钟，编号01J，请批准或驳回。"
	callEn = "To approve: Chongqing weather office, orange rainstorm, waits 0 min. 01J: approve or reject it. Whoever is on duty does, and the backups after three minutes: approve or reject it."
)

// ring adds a call about W1 to two users, valid for a minute.
func (w *world) ring() *tocsinv1.Warning {
	x := w.warn("C1", "")
	x.Spec.Type, x.Spec.References, x.Spec.Areas = tocsinv1.Type_TYPE_CALL, []string{"W1"}, nil
	x.Spec.Channels = []tocsinv1.Channel{tocsinv1.Channel_CHANNEL_SMS}
	x.Spec.Expires = timestamppb.New(release.Add(time.Minute))
	x.Spec.Words = []*tocsinv1.Words{
		{Language: "zh-CN", Kind: tocsinv1.Type_TYPE_CALL, Text: callZh}, {Language: "en", Kind: tocsinv1.Type_TYPE_CALL, Text: callEn},
	}
	x.Rung = []string{"an", "bo"}
	return x
}

// TestCallsToPeopleOnDuty: their numbers stand in no directory, or beside others; each is rung once, in the minute of the
// call, and nobody else.
func TestCallsToPeopleOnDuty(t *testing.T) {
	const an, bo, somebody = 901, 902, 903
	second := release.Add(time.Second)
	for name, c := range map[string]struct {
		spoil func(*world, *tocsinv1.Warning)
		fault string
		sums  LaneSums // of the call
	}{
		"both": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			w.hand("unicom", bo, callEn, second)
		}, "", LaneSums{Expected: 2, Got: 2}},
		"one lives in the area": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", 1, callZh, second)
			w.hand("mobile", bo, callZh, second)
		}, "", LaneSums{Expected: 2, Got: 2}},
		"one is forgotten": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
		}, "1 people lost", LaneSums{Expected: 2, Got: 1, Lost: 1}},
		"one is forgotten, and the decision came": {func(w *world, x *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			x.State, x.EndedAt = tocsinv1.State_STATE_REPLACED, timestamppb.New(second)
		}, "", LaneSums{Expected: 2, Got: 1, Stopped: 1}},
		"a piece of one": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			first := w.hand("mobile", bo, callEn, second)
			w.lines["mobile"] = w.lines["mobile"][:first+1]
		}, "1 people lost", LaneSums{Expected: 2, Got: 1, Lost: 1}},
		"one is refused": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			at := w.hand("mobile", bo, callZh, second)
			l := &w.lines["mobile"][at]
			l.ID, l.Status = nil, 0x0B
		}, "", LaneSums{Expected: 2, Got: 1, Refused: 1}},
		"one twice": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			w.hand("mobile", an, callZh, second.Add(time.Second))
			w.hand("mobile", bo, callZh, second)
		}, "1 messages too many to 1 people", LaneSums{Expected: 2, Got: 2}},
		"a third": {func(w *world, _ *tocsinv1.Warning) {
			for _, n := range []int{an, bo, somebody} {
				w.hand("mobile", n, callZh, second)
			}
		}, "1 people got what was not for them", LaneSums{Expected: 3, Got: 3}},
		"too late": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			w.hand("mobile", bo, callZh, second.Add(time.Minute))
		}, "1 messages after the expiry", LaneSums{Expected: 2, Got: 2}},
		"after the decision": {func(w *world, x *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			w.hand("mobile", bo, callZh, second.Add(5*time.Second))
			x.State, x.EndedAt = tocsinv1.State_STATE_REPLACED, timestamppb.New(second)
		}, "1 messages after the stop", LaneSums{Expected: 2, Got: 2}},
		"the warning to who is on duty": {func(w *world, _ *tocsinv1.Warning) {
			w.hand("mobile", an, callZh, second)
			w.hand("mobile", bo, callZh, second)
			w.hand("mobile", bo, chinese, second)
		}, "1 people got what was not for them", LaneSums{Expected: 2, Got: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			w := city(t)
			c.spoil(w, w.ring())
			v := w.run()
			wanted(t, name, v, c.fault)
			if wrong := strings.Contains(c.fault, "not for them"); wrong != (v.WrongPerson > 0) {
				t.Errorf("%d people got what was not for them", v.WrongPerson)
			}
			if got := v.Warnings[1].LaneSums; got != c.sums {
				t.Errorf("the call is %+v, want %+v", got, c.sums)
			}
			if got := v.Warnings[0].LaneSums; got.Expected != 42 || got.Got != 42 {
				t.Errorf("the warning beside it is %+v", got)
			}
		})
	}
}

// TestACallThatIsNotGiven is told: the words are those of no warning that the verdict knows.
func TestACallThatIsNotGiven(t *testing.T) {
	w := city(t)
	w.hand("mobile", 901, callZh, release.Add(time.Second))
	wanted(t, "a call that is not given", w.run(), "1 people got what are not the words of a warning")
	w.ring().Spec.Words = nil
	if _, err := Run(w.input()); err == nil {
		t.Error("a call without words is judged")
	}
}
