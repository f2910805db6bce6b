package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/loadtest/carrierlog"
	tocsinv1 "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// follow adds a warning that follows W1: cancelled or updated ten seconds after the release, and released then.
func (w *world) follow(t tocsinv1.Type, unit string) *tocsinv1.Warning {
	x := w.warn("W2", unit)
	x.ReleasedAt = timestamppb.New(release.Add(10 * time.Second))
	x.Spec.Type, x.Spec.References = t, []string{"W1"}
	x.Spec.Words = nil
	for _, kind := range []tocsinv1.Type{
		tocsinv1.Type_TYPE_ALERT, tocsinv1.Type_TYPE_CANCEL, tocsinv1.Type_TYPE_UPDATE, tocsinv1.Type_TYPE_LEFT,
	} {
		x.Spec.Words = append(x.Spec.Words, &tocsinv1.Words{Language: "zh-CN", Kind: kind, Text: words(kind)})
	}
	o := w.warnings[0]
	o.State, o.EndedAt = tocsinv1.State_STATE_REPLACED, timestamppb.New(release.Add(9*time.Second))
	return x
}

func words(kind tocsinv1.Type) string { return "第二版" + kind.String() }

// hear writes that people got words of W2.
func (w *world) hear(kind tocsinv1.Type, numbers ...int) {
	for i, n := range numbers {
		w.hand("unicom", n, words(kind), release.Add(10*time.Second+time.Duration(i+1)*time.Millisecond))
	}
}

// reachedTwo is a world in which 1 and 2 got W1, 3 did not before it ended, and 4 lives in the other unit.
func reachedTwo(t *testing.T) *world {
	w := newWorld(t)
	w.warn("W1", "500103")
	for i := 1; i <= 4; i++ {
		w.person(i, map[bool]float64{true: 107.2, false: 106.5}[i == 4], 29.2, "zh-CN", "public", "")
	}
	w.hand("mobile", 1, chinese, release.Add(time.Second))
	w.hand("mobile", 2, chinese, release.Add(2*time.Second))
	return w
}

// TestWhoHearsOfACorrection: all who were reached, and nobody else.
func TestWhoHearsOfACorrection(t *testing.T) {
	for _, c := range []struct {
		name  string
		hear  []int
		fault string
	}{
		{"both", []int{1, 2}, ""},
		{"one is forgotten", []int{1}, "1 people lost"},
		{"one who never had it", []int{1, 2, 3}, "1 people got what was not for them"},
		{"one twice", []int{1, 2, 2}, "1 messages too many to 1 people"},
	} {
		w := reachedTwo(t)
		w.follow(tocsinv1.Type_TYPE_CANCEL, "500103")
		w.hear(tocsinv1.Type_TYPE_CANCEL, c.hear...)
		wanted(t, c.name, w.run(), c.fault)
	}
}

// TestWhoWasForgottenIsLostWhateverCameLater: a stop explains who was not reached only where somebody still waited.
func TestWhoWasForgottenIsLostWhateverCameLater(t *testing.T) {
	for _, kind := range []tocsinv1.Type{tocsinv1.Type_TYPE_CANCEL, tocsinv1.Type_TYPE_ALL_CLEAR} {
		for completed, fault := range map[bool]string{false: "", true: "1 people lost"} {
			w := reachedTwo(t)
			x := w.follow(kind, "500103")
			x.Spec.Words[0].Kind, x.Spec.Words[0].Text = kind, words(kind)
			x.Spec.Words = x.Spec.Words[:1]
			if completed {
				w.warnings[0].CompletedAt = timestamppb.New(release.Add(5 * time.Second))
			}
			w.hear(kind, 1, 2)
			wanted(t, fmt.Sprint(kind, completed), w.run(), fault)
		}
	}
}

// TestOnlyPiecesOfTheOriginal: whoever may have been reached may hear of the correction, and need not.
func TestOnlyPiecesOfTheOriginal(t *testing.T) {
	for _, hear := range [][]int{{1, 2}, {1, 2, 3}} {
		w := reachedTwo(t)
		w.follow(tocsinv1.Type_TYPE_CANCEL, "500103")
		at := w.hand("mobile", 3, chinese, release.Add(3*time.Second))
		w.lines["mobile"] = w.lines["mobile"][:at+1]
		w.hear(tocsinv1.Type_TYPE_CANCEL, hear...)
		wanted(t, fmt.Sprint(hear), w.run(), "")
	}
}

// TestAnUpdateSpeaksToThreeGroups: W2 moves to the other unit and back over a part of the first.
func TestAnUpdateSpeaksToThreeGroups(t *testing.T) {
	update, alert, left := tocsinv1.Type_TYPE_UPDATE, tocsinv1.Type_TYPE_ALERT, tocsinv1.Type_TYPE_LEFT
	type heard map[tocsinv1.Type][]int
	for _, c := range []struct {
		name  string
		units []string
		heard heard
		fault string
	}{
		{"the same place", []string{"500103"}, heard{update: {1, 2}, alert: {3}}, ""},
		{"elsewhere", []string{"500112"}, heard{left: {1, 2}, alert: {4}}, ""},
		{"both", []string{"500103", "500112"}, heard{update: {1, 2}, alert: {3, 4}}, ""},
		{"kept is told as new", []string{"500103"}, heard{update: {1}, alert: {2, 3}}, "1 people lost"},
		{"new is forgotten", []string{"500103"}, heard{update: {1, 2}}, "1 people lost"},
		{"left is forgotten", []string{"500112"}, heard{left: {1}, alert: {4}}, "1 people lost"},
		{"left hears the update", []string{"500112"}, heard{left: {1}, update: {2}, alert: {4}}, "1 people lost"},
	} {
		w := reachedTwo(t)
		x := w.follow(update, c.units[0])
		for _, u := range c.units[1:] {
			x.Spec.Areas = append(x.Spec.Areas, &tocsinv1.Area{Where: &tocsinv1.Area_Unit{Unit: u}})
		}
		for kind, numbers := range c.heard {
			w.hear(kind, numbers...)
		}
		wanted(t, c.name, w.run(), c.fault)
	}
}

// wanted holds a verdict against the one fault that there is to be.
func wanted(t *testing.T, name string, v Verdict, fault string) {
	t.Helper()
	found := fault == ""
	for _, f := range v.Faults {
		found = found || strings.Contains(f, fault)
	}
	if !found || v.OK != (fault == "") {
		t.Errorf("%s: faults %q, wanted %q", name, v.Faults, fault)
	}
}

// flashed makes what was handed over last a message of class 0.
func (w *world) flashed(account string, number int, text string, at time.Time) []carrierlog.Line {
	coding, segs := segments(text)
	from := w.hand(account, number, text, at)
	kept := slices.Clone(w.lines[account][from:])
	w.lines[account] = w.lines[account][:from] // the text lines have to stand before
	for i, s := range segs {
		kept[i].Text = w.textNo(account, coding|0x10, s)
	}
	first := len(w.lines[account])
	w.lines[account] = append(w.lines[account], kept...)
	return w.lines[account][first:]
}

// TestFlashMessages: each channel once; what a carrier does not flash comes by SMS and is counted as moved.
func TestFlashMessages(t *testing.T) {
	sms, flashSMS := tocsinv1.Channel_CHANNEL_SMS, tocsinv1.Channel_CHANNEL_FLASH_SMS
	at := release.Add(time.Second)
	refuse := func(lines []carrierlog.Line) {
		for i := range lines {
			lines[i].ID, lines[i].Status = nil, 0x45
		}
	}
	for _, c := range []struct {
		name     string
		channels []tocsinv1.Channel
		happens  func(w *world)
		moved    int64
		fault    string
	}{
		{"flash alone", []tocsinv1.Channel{flashSMS}, func(w *world) { w.flashed("mobile", 1, chinese, at) }, 0, ""},
		{"both", []tocsinv1.Channel{sms, flashSMS}, func(w *world) {
			w.flashed("mobile", 1, chinese, at)
			w.hand("unicom", 1, chinese, at)
		}, 0, ""},
		{"no flash", []tocsinv1.Channel{sms, flashSMS}, func(w *world) { w.hand("unicom", 1, chinese, at) }, 0, "1 people lost"},
		{"SMS in its place for no reason", []tocsinv1.Channel{flashSMS}, func(w *world) { w.hand("unicom", 1, chinese, at) }, 0, "1 people lost"},
		{"flash that nobody asked for", []tocsinv1.Channel{sms}, func(w *world) {
			w.hand("unicom", 1, chinese, at)
			w.flashed("mobile", 1, chinese, at)
		}, 0, "1 people got what was not for them"},
		{"refused, then by SMS", []tocsinv1.Channel{flashSMS}, func(w *world) {
			refuse(w.flashed("mobile", 1, chinese, at))
			w.hand("unicom", 1, chinese, at.Add(time.Second))
		}, 1, ""},
		{"refused, and by SMS anyway", []tocsinv1.Channel{sms, flashSMS}, func(w *world) {
			refuse(w.flashed("mobile", 1, chinese, at))
			w.hand("unicom", 1, chinese, at.Add(time.Second))
		}, 1, ""},
		{"refused, and twice by SMS", []tocsinv1.Channel{sms, flashSMS}, func(w *world) {
			refuse(w.flashed("mobile", 1, chinese, at))
			w.hand("unicom", 1, chinese, at.Add(time.Second))
			w.hand("unicom", 1, chinese, at.Add(2*time.Second))
		}, 1, "2 messages too many to 1 people"},
	} {
		w := newWorld(t)
		w.warn("W1", "500103").Spec.Channels = c.channels
		w.person(1, 106.5, 29.5, "zh-CN", "public", "")
		c.happens(w)
		v := w.run()
		wanted(t, c.name, v, c.fault)
		if v.Moved != c.moved {
			t.Errorf("%s: moved %d, wanted %d", c.name, v.Moved, c.moved)
		}
	}
}

// TestEntrants: whoever is seen in the area of a live warning gets it once.
func TestEntrants(t *testing.T) {
	for _, c := range []struct {
		name  string
		seen  []time.Duration // after the release
		told  int
		fault string
	}{
		{"came in and was told", []time.Duration{time.Second}, 1, ""},
		{"came in twice", []time.Duration{time.Second, time.Minute}, 1, ""},
		{"came in and was forgotten", []time.Duration{time.Second}, 0, "1 people lost"},
		{"came in twice and was told twice", []time.Duration{time.Second, time.Minute}, 2, "2 messages too many to 1 people"},
		{"was there before", []time.Duration{-time.Second}, 1, "1 people got what was not for them"},
		{"came when it was over", []time.Duration{7 * time.Hour}, 0, ""},
		{"came as it ended, and was told", []time.Duration{6*time.Hour - time.Second}, 1, ""},
		{"came as it ended, and was not", []time.Duration{6*time.Hour - time.Second}, 0, ""},
	} {
		w := newWorld(t)
		w.warn("W1", "500103")
		w.person(1, 107.5, 29.2, "zh-CN", "public", "")
		w.textNo("mobile", 0, []byte("a log has to begin"))
		for i := range c.told {
			w.hand("mobile", 1, chinese, release.Add(time.Minute+time.Duration(i)*time.Second))
		}
		in := w.input()
		var b strings.Builder
		b.WriteString(positionsHeader + "\n")
		for _, d := range c.seen {
			fmt.Fprintf(&b, "%s,99900000001,106.5,29.5\n", release.Add(d).Format(time.RFC3339Nano))
		}
		in.Positions = w.write("positions.csv", []byte(b.String()))
		v, err := Run(in)
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, c.name, v, c.fault)
	}
}

// TestSystemsAgree converts as the house does, to less than a centimetre.
func TestSystemsAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := warning.Point{rapid.Float64Range(97, 110).Draw(r, "lon"), rapid.Float64Range(26, 34).Draw(r, "lat")}
		crs := rapid.SampledFrom([]string{"gcj02", "bd09"}).Draw(r, "crs")
		shifted, err := geofence.Convert(p, "wgs84", crs)
		if err != nil {
			r.Fatal(err)
		}
		got, exact := in84(shifted[0], shifted[1], crs), degrees(p[0], p[1])
		if d := max(got.x-exact.x, exact.x-got.x, got.y-exact.y, exact.y-got.y); d > 1 {
			r.Fatalf("%v in %s is %v and comes back as %v", p, crs, shifted, got)
		}
	})
}

// TestTheEdgeOfWhatIsConverted is judged neither way.
func TestTheEdgeOfWhatIsConverted(t *testing.T) {
	square := [][][]float64{{{106, 29}, {107, 29}, {107, 30}, {106, 30}, {106, 29}}}
	a, err := polygon(square, "gcj02")
	if err != nil {
		t.Fatal(err)
	}
	corner := in84(106, 29, "gcj02")
	for _, c := range []struct {
		p    point
		want place
	}{
		{corner, edge}, {point{corner.x + 5, corner.y + 5_000_000}, edge}, {point{corner.x + 1_000_000, corner.y + 1_000_000}, in},
		{point{corner.x - 1_000_000, corner.y + 1_000_000}, out},
	} {
		if got := a.where(c.p); got != c.want && c.want != edge {
			t.Errorf("%v is %d, wanted %d", c.p, got, c.want)
		}
	}
	if a.where(corner) != edge {
		t.Error("a corner is judged")
	}
}

// TestMetres holds the distance against degrees of a meridian and of the equator, whose lengths are known.
func TestMetres(t *testing.T) {
	for _, c := range []struct {
		a, b point
		want float64
	}{
		{degrees(106, 0), degrees(106, 1), 110574.389}, {degrees(106, 0), degrees(107, 0), 111319.491},
		{degrees(106, 29), degrees(106, 30), 110844.07}, {degrees(106.5, 29.5), degrees(106.5, 29.5), 0},
	} {
		if got := metres(c.a, c.b); math.Abs(got-c.want) > 0.5 {
			t.Errorf("from %v to %v: %.3f m, wanted %.3f", c.a, c.b, got, c.want)
		}
	}
}

// TestACircleIsJudged: within the radius is inside, beyond what the contract leaves open is outside.
func TestACircleIsJudged(t *testing.T) {
	a, err := areaOf(&tocsinv1.WarningSpec{Areas: []*tocsinv1.Area{{Where: &tocsinv1.Area_Circle{Circle: &tocsinv1.Circle{
		Centre: &tocsinv1.Point{Lon: 106.5, Lat: 29.5}, RadiusM: 5000, Crs: "wgs84",
	}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		centre := degrees(106.5, 29.5)
		p := point{centre.x + rapid.Int64Range(-900_000, 900_000).Draw(r, "east"), centre.y + rapid.Int64Range(-900_000, 900_000).Draw(r, "north")}
		got, m := a.where(p), metres(centre, p)
		if m <= 5000 && got != in || m > 5001 && got != out {
			r.Fatalf("%.2f m from the centre is %d", m, got)
		}
		if from, to := a.latitudes(); got != out && (p.y < from || p.y > to) {
			r.Fatalf("%v is inside and not between its latitudes", p)
		}
	})
}
