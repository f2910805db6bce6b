package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// TestAnUpdateAndWhoWalksIn: whoever walked in hears the update, or the warning where they were not reached; whoever was told
// that it no longer holds, and then comes, is warned.
func TestAnUpdateAndWhoWalksIn(t *testing.T) {
	update, alert, left := tocsinv1.Type_TYPE_UPDATE, tocsinv1.Type_TYPE_ALERT, tocsinv1.Type_TYPE_LEFT
	type heard map[tocsinv1.Type][]int
	before, after := "106.5,29.5", "107.2,29.2" // in 500103, in 500112
	for _, c := range []struct {
		name  string
		unit  string
		who   int
		at    time.Duration
		place string
		told  bool // of W1
		heard heard
		fault string
	}{
		{"walked in and was reached", "500103", 5, 3 * time.Second, before, true, heard{update: {1, 2, 5}, alert: {3}}, ""},
		{"is told that it no longer holds", "500103", 5, 3 * time.Second, before, true, heard{update: {1, 2}, alert: {3}, left: {5}}, "1 people lost"},
		{"walked in and was not reached", "500103", 5, 3 * time.Second, before, false, heard{update: {1, 2}, alert: {3, 5}}, ""},
		{"and is forgotten", "500103", 5, 3 * time.Second, before, false, heard{update: {1, 2}, alert: {3}}, "1 people lost"},
		{"had left, and comes", "500112", 1, 30 * time.Second, after, false, heard{left: {1, 2}, alert: {4, 5, 1}}, ""},
		{"had left, comes, and is forgotten", "500112", 1, 30 * time.Second, after, false, heard{left: {1, 2}, alert: {4, 5}}, "1 people lost"},
		{"walks into both", "500103", 5, 3 * time.Second, before, true, heard{update: {1, 2, 5}, alert: {3, 5}}, "1 people got what are not the words"},
	} {
		w := reachedTwo(t)
		w.person(5, 107.5, 29.2, "zh-CN", "public", "")
		if c.told {
			w.hand("mobile", 5, chinese, release.Add(4*time.Second))
		}
		w.follow(update, c.unit)
		for kind, numbers := range c.heard {
			w.hear(kind, numbers...)
		}
		in := w.input()
		in.Positions = w.write("positions.csv", []byte(fmt.Sprintf("%s\n%s,%d,%s\n", positionsHeader, release.Add(c.at).Format(time.RFC3339Nano), 99900000000+c.who, c.place)))
		v, err := Run(in)
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, c.name, v, c.fault)
	}
}

// TestThatItNoLongerHoldsIsSaidOnce: the next update says nothing to who has heard that.
func TestThatItNoLongerHoldsIsSaidOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		again []int
		fault string
	}{{"once", nil, ""}, {"again", []int{1}, "1 people got what was not for them"}} {
		w := reachedTwo(t)
		second := w.follow(tocsinv1.Type_TYPE_UPDATE, "500112")
		w.hear(tocsinv1.Type_TYPE_LEFT, 1, 2)
		w.hear(tocsinv1.Type_TYPE_ALERT, 4)
		third := w.warn("W3", "500112")
		third.ReleasedAt = timestamppb.New(release.Add(time.Minute))
		third.Spec.Type, third.Spec.References = tocsinv1.Type_TYPE_UPDATE, []string{"W2"}
		third.Spec.Words = nil
		for _, x := range second.GetSpec().GetWords() {
			third.Spec.Words = append(third.Spec.Words, &tocsinv1.Words{Language: "zh-CN", Kind: x.GetKind(), Text: strings.Replace(x.GetText(), "二", "三", 1)})
		}
		second.State, second.EndedAt = tocsinv1.State_STATE_REPLACED, timestamppb.New(release.Add(time.Minute))
		hear := func(kind tocsinv1.Type, number int) {
			w.hand("unicom", number, strings.Replace(words(kind), "二", "三", 1), release.Add(time.Minute+time.Second))
		}
		hear(tocsinv1.Type_TYPE_UPDATE, 4)
		for _, n := range c.again {
			hear(tocsinv1.Type_TYPE_LEFT, n)
		}
		wanted(t, c.name, w.run(), c.fault)
	}
}
