package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/warning"
)

var noon = time.Date(2026, 6, 13, 12, 0, 0, 0, warning.China)

func sample() *Policy {
	return &Policy{
		Approvals: map[warning.Tier]int{warning.Red: 1, warning.Orange: 1, warning.Yellow: 1, warning.Blue: 1, warning.Notice: 0},
		AtLeast:   map[warning.Status]int{warning.PublicDrill: 2},
		Share:     map[warning.Tier]float64{warning.Red: 1, warning.Orange: 0.5, warning.Yellow: 0.35, warning.Blue: 0.35, warning.Notice: 1},
		Large:     1, Margin: 0.1, Drills: []string{"wang.fang"}, Review: 24 * time.Hour, Border: Border{Share: 0.02, Metres: 500},
		Channels: []warning.ChannelRow{
			{Tiers: []warning.Tier{warning.Red}, To: []warning.Duty{warning.Responsible}, By: []warning.Channel{warning.FlashSMS}, Then: []warning.Step{{After: 3 * time.Minute, Channels: []warning.Channel{warning.SMS}}}},
			{Tiers: []warning.Tier{warning.Red, warning.Yellow}, To: []warning.Duty{warning.Public}, Hours: warning.Hours{22 * 60, 7 * 60}, By: []warning.Channel{warning.Feed}},
			{Tiers: []warning.Tier{warning.Blue}, To: warning.Duties, By: []warning.Channel{}},
			{Tiers: warning.Tiers, To: warning.Duties, By: []warning.Channel{warning.Push, warning.Feed}},
		},
		Ahead: []warning.PreAuthorisation{{
			Paper: "3", Who: []string{"li.wei"}, Events: []string{"11A51"}, Tiers: []warning.Tier{warning.Red}, Units: []string{"500101"},
			Until: warning.Moment(noon.Add(time.Hour).Unix()),
		}},
	}
}

func TestApprovals(t *testing.T) {
	p := sample()
	for _, c := range []struct {
		tier   warning.Tier
		status warning.Status
		typ    warning.Type
		share  float64
		people int
		typed  bool
	}{
		{warning.Orange, warning.Actual, warning.Alert, 0.5, 1, false},
		{warning.Orange, warning.Actual, warning.Alert, 0.51, 2, true},
		{warning.Orange, warning.Actual, warning.Cancel, 0.1, 1, false}, // a correction has the tier of what it corrects
		{warning.Red, warning.Actual, warning.Alert, 1, 1, false},
		{warning.Notice, warning.Actual, warning.Alert, 1, 0, false},
		{warning.Orange, warning.Actual, warning.AllClear, 0.9, 0, false}, // an all-clear goes as notice
		{warning.Notice, warning.PublicDrill, warning.Alert, 0.1, 2, false},
		{warning.Blue, warning.PublicDrill, warning.Alert, 0.36, 3, true},
		{warning.Yellow, warning.Exercise, warning.Alert, math.NaN(), 2, true},
		{0, warning.Actual, warning.Alert, 0, most + 1, true}, // the policy says nothing of it
	} {
		s := warning.Spec{Tier: c.tier, Status: c.status, Type: c.typ}
		if people, typed := p.ApprovalsFor(&s, c.share); people != c.people || typed != c.typed {
			t.Errorf("%+v: %d people, typed %v", c, people, typed)
		}
	}
}

// TestHawaiiNeedsASecondPerson replays 13 January 2018: one person could warn a state, and drill and danger stood side by
// side. Neither an actual colour nor a drill with real people leaves by one person, and who may drill is named.
func TestHawaiiNeedsASecondPerson(t *testing.T) {
	p := sample()
	for _, tier := range warning.Tiers {
		for _, status := range []warning.Status{warning.Actual, warning.PublicDrill} {
			s := warning.Spec{Tier: tier, Status: status, Type: warning.Alert}
			people, _ := p.ApprovalsFor(&s, 0.01)
			if people == 0 && !(tier == warning.Notice && status == warning.Actual) {
				t.Errorf("%s, %s leaves by one person", tier, status)
			}
		}
	}
	if p.MayDrill("wang.fang", warning.PublicDrill) != nil || p.MayDrill("li.wei", warning.Exercise) != nil {
		t.Error("who may, may not")
	}
	if err := p.MayDrill("li.wei", warning.PublicDrill); warning.ReasonOf(err) != warning.ReasonDenied {
		t.Errorf("li.wei may drill with real people: %v", err)
	}
}

// TestLosAngelesTypesTheHeadCount replays 9 January 2025: ten million people were told to be ready to leave, and the
// number was shown to nobody. A large area, and one that grew since it was approved, leaves when somebody typed how many.
func TestLosAngelesTypesTheHeadCount(t *testing.T) {
	p := sample()
	for _, c := range []struct {
		tier                    warning.Tier
		share                   float64
		approved, people, typed int64
		grown                   bool
		rule                    string
	}{
		{warning.Orange, 0.9, 0, 10_000_000, 0, false, "approve.people.large"},
		{warning.Orange, 0.9, 0, 10_000_000, 9_000_000, false, "approve.people.large"},
		{warning.Orange, 0.9, 0, 10_000_000, 9_999_999, false, ""}, // somebody came since the count was seen
		{warning.Orange, 0.9, 0, 10_000_000, 10_000_000, false, ""},
		{warning.Orange, 0.9, 0, 10_000_000, 11_000_000, false, ""},
		{warning.Orange, 0.9, 0, 10_000_000, 11_000_001, false, "approve.people.large"},
		{warning.Orange, 0.9, 0, 0, 0, false, ""},
		{warning.Orange, 0.9, 0, 0, 1, false, "approve.people.large"},
		{warning.Orange, 0.1, 0, 1000, 0, false, ""},
		{warning.Orange, 0.1, 1000, 1100, 0, false, ""},
		{warning.Orange, 0.1, 1000, 1101, 0, true, "approve.people.grown"},
		{warning.Orange, 0.1, 1000, 1101, 1101, true, ""},
		{warning.Red, 0.1, 1000, 1101, 0, true, ""}, // a red goes to its approved area, with an alarm
	} {
		w := warning.Warning{Spec: warning.Spec{Tier: c.tier, Status: warning.Actual, Type: warning.Alert}, ApprovedPeople: c.approved}
		grown, err := p.HeadCount(&w, c.share, c.people, c.typed)
		if grown != c.grown || (err == nil) != (c.rule == "") || err != nil && !strings.Contains(err.Error(), c.rule) {
			t.Errorf("%+v: grown %v, %v", c, grown, err)
		}
	}
}

func TestSteps(t *testing.T) {
	p := sample()
	for _, c := range []struct {
		tier warning.Tier
		duty warning.Duty
		at   string
		want string
	}{
		{warning.Red, warning.Responsible, "03:00", "[{0s [flash_sms]} {3m0s [sms]}]"},
		{warning.Red, warning.Public, "21:59", "[{0s [push feed]}]"},
		{warning.Red, warning.Public, "22:00", "[{0s [feed]}]"},
		{warning.Red, warning.Public, "06:59", "[{0s [feed]}]"},
		{warning.Red, warning.Public, "07:00", "[{0s [push feed]}]"},
		{warning.Blue, warning.Public, "12:00", "[]"},
	} {
		at, err := time.ParseInLocation("15:04", c.at, warning.China)
		if err != nil {
			t.Fatal(err)
		}
		if got := stepsOf(p, c.tier, c.duty, at.UTC()); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func served(warning.Channel) bool { return true }

func stepsOf(p *Policy, tier warning.Tier, d warning.Duty, at time.Time) string {
	s := warning.Spec{Tier: tier, Table: p.TableFor(tier, served)}
	return fmt.Sprint(s.Steps(d, at))
}

// TestWhatIsNotServedGivesItsPlaceToTheNext: a step without a channel is none, and its time is not waited for.
func TestWhatIsNotServedGivesItsPlaceToTheNext(t *testing.T) {
	p := Policy{Channels: []warning.ChannelRow{{
		Tiers: []warning.Tier{warning.Red, warning.Blue}, To: warning.Duties, By: []warning.Channel{warning.FlashSMS},
		Then: []warning.Step{
			{After: time.Minute, Channels: []warning.Channel{warning.Push, warning.SMS}},
			{After: 2 * time.Minute, Channels: []warning.Channel{warning.CableTV}},
			{After: 4 * time.Minute, Channels: []warning.Channel{warning.Broadcast}},
		},
	}}}
	for _, c := range []struct {
		served []warning.Channel
		want   string
	}{
		{[]warning.Channel{warning.FlashSMS, warning.SMS, warning.Broadcast}, "[{0s [flash_sms]} {1m0s [sms]} {6m0s [broadcast]}]"},
		{[]warning.Channel{warning.SMS, warning.Broadcast}, "[{0s [sms]} {6m0s [broadcast]}]"},
		{[]warning.Channel{warning.CableTV}, "[{0s [cable_tv]}]"},
		{nil, "[]"},
	} {
		s := warning.Spec{Tier: warning.Red, Table: p.TableFor(warning.Red, func(ch warning.Channel) bool { return slices.Contains(c.served, ch) })}
		if got := fmt.Sprint(s.Steps(warning.Public, noon)); got != c.want {
			t.Errorf("served %v: %s, want %s", c.served, got, c.want)
		}
	}
}

func TestDigestTellsPoliciesApart(t *testing.T) {
	a, b := sample(), sample()
	if a.Digest() != b.Digest() {
		t.Error("the same policy has two digests")
	}
	b.Ahead[0].Paper = "4"
	if a.Digest() == b.Digest() {
		t.Error("two policies have one digest")
	}
}

// TestAPolicyIsReadWhole finds every value that is kept in what people read, and names in the place of numbers.
func TestAPolicyIsReadWhole(t *testing.T) {
	p := sample()
	var kept, read map[string]any
	for text, into := range map[string]*map[string]any{string(marshalled(p)): &kept, p.Text(): &read} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := slices.Sorted(maps.Keys(kept)), slices.Sorted(maps.Keys(read)); !slices.Equal(a, b) {
		t.Errorf("kept are %v, read %v", a, b)
	}
	for _, part := range []string{`"orange":1`, `"hours":"22:00-07:00"`, `"by":["flash_sms"]`, `"after":"3m0s"`, `"paper":"3"`} {
		if !strings.Contains(p.Text(), part) {
			t.Errorf("%s is not in %s", part, p.Text())
		}
	}
	next := sample()
	next.Approvals[warning.Orange], next.Border.Metres = 2, 100
	if got := p.Changes(next); !slices.Equal(got, []string{"approvals.orange 2, was 1", "border.metres 100, was 500"}) {
		t.Errorf("%q", got)
	}
}

// TestEveryLooseningIsSeen changes one thing at a time. What is tightened needs one person, what is loosened two.
func TestEveryLooseningIsSeen(t *testing.T) {
	for name, loosen := range map[string]func(*Policy){
		"approvals":           func(p *Policy) { p.Approvals[warning.Red] = 0 },
		"at least":            func(p *Policy) { p.AtLeast[warning.PublicDrill] = 1 },
		"share":               func(p *Policy) { p.Share[warning.Orange] = 0.6 },
		"large":               func(p *Policy) { p.Large = 0 },
		"margin":              func(p *Policy) { p.Margin = 0.2 },
		"drills":              func(p *Policy) { p.Drills = append(p.Drills, "li.wei") },
		"review":              func(p *Policy) { p.Review *= 2 },
		"border":              func(p *Policy) { p.Border.Metres = 501 },
		"share of the border": func(p *Policy) { p.Border.Share = 0.03 },
		"who":                 func(p *Policy) { p.Ahead[0].Who = append(p.Ahead[0].Who, "zhao.min") },
		"event":               func(p *Policy) { p.Ahead[0].Events = append(p.Ahead[0].Events, "11B03") },
		"tier":                func(p *Policy) { p.Ahead[0].Tiers = append(p.Ahead[0].Tiers, warning.Orange) },
		"unit":                func(p *Policy) { p.Ahead[0].Units = []string{"500102"} },
		"until":               func(p *Policy) { p.Ahead[0].Until++ },
	} {
		was, next := sample(), sample()
		loosen(next)
		ways := was.Loosened(next)
		if len(ways) == 0 {
			t.Errorf("%s: the loosening was not seen", name)
		}
		if back := next.Loosened(was); len(back) != 0 && name != "unit" { // another unit is more in both directions
			t.Errorf("%s: the tightening is taken for a loosening: %v", name, back)
		}
		for _, agreed := range [][]string{nil, {"a"}, {"a", "a"}} {
			if err := was.MayTakeEffect(next, agreed); warning.ReasonOf(err) != warning.ReasonDenied || !strings.Contains(err.Error(), ways[0]) {
				t.Errorf("%s with %v: %v", name, agreed, err)
			}
		}
		if err := was.MayTakeEffect(next, []string{"a", "b"}); err != nil {
			t.Errorf("%s with two persons: %v", name, err)
		}
	}
}

// TestNothingLooserIsUnseen compares Loosened with what it stands for: for any two policies, where a warning needs fewer
// people under the second, it says so.
func TestNothingLooserIsUnseen(t *testing.T) {
	policies := rapid.Custom(func(t *rapid.T) *Policy {
		p := sample()
		for _, tier := range warning.Tiers {
			p.Approvals[tier] = rapid.IntRange(0, 3).Draw(t, "approvals")
			p.Share[tier] = rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(t, "share")
		}
		p.AtLeast[warning.Actual] = rapid.IntRange(0, 2).Draw(t, "at least")
		p.Large = rapid.IntRange(0, 2).Draw(t, "large")
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		was, next := policies.Draw(t, "was"), policies.Draw(t, "next")
		s := warning.Spec{Tier: rapid.SampledFrom(warning.Tiers).Draw(t, "tier"), Status: warning.Actual, Type: warning.Alert}
		share := rapid.Float64Range(0, 1).Draw(t, "area")
		a, typedA := was.ApprovalsFor(&s, share)
		b, typedB := next.ApprovalsFor(&s, share)
		if (b < a || typedA && !typedB) && len(was.Loosened(next)) == 0 {
			t.Fatalf("%d approvals became %d, typed %v became %v, and nothing was said", a, b, typedA, typedB)
		}
	})
}

func TestPreAuthorised(t *testing.T) {
	p := sample()
	in := func(units []string) bool { return slices.Equal(units, []string{"500101"}) }
	good := warning.Spec{Event: "11A51", Tier: warning.Red, Status: warning.Actual, Type: warning.Alert}
	a, ok := p.PreAuthorised("li.wei", &good, noon, in)
	if !ok {
		t.Fatal("the paper does not hold")
	}
	w := warning.Warning{ID: "01", Version: 1, Spec: good}
	if r := p.ReviewOf(&w, a, "li.wei", noon); r.Paper != "3" || !r.Open() || r.Overdue(noon.Add(24*time.Hour)) || !r.Overdue(noon.Add(24*time.Hour+1)) {
		t.Errorf("%+v", r)
	}
	for name, c := range map[string]struct {
		user  string
		spoil func(*warning.Spec)
		now   time.Time
		in    func([]string) bool
	}{
		"another person": {"wang.fang", func(*warning.Spec) {}, noon, in},
		"another event":  {"li.wei", func(s *warning.Spec) { s.Event = "11B03" }, noon, in},
		"another tier":   {"li.wei", func(s *warning.Spec) { s.Tier = warning.Orange }, noon, in},
		"a drill":        {"li.wei", func(s *warning.Spec) { s.Status = warning.PublicDrill }, noon, in},
		"an update":      {"li.wei", func(s *warning.Spec) { s.Type = warning.Update }, noon, in},
		"too late":       {"li.wei", func(*warning.Spec) {}, noon.Add(time.Hour), in},
		"elsewhere":      {"li.wei", func(*warning.Spec) {}, noon, func([]string) bool { return false }},
	} {
		s := good
		c.spoil(&s)
		if _, ok := p.PreAuthorised(c.user, &s, c.now, c.in); ok {
			t.Errorf("%s: released alone", name)
		}
	}
}

func TestEmergencyAndItsReview(t *testing.T) {
	p := sample()
	w := warning.Warning{ID: "01", Version: 1, State: warning.Submitted, Spec: warning.Spec{Status: warning.Actual}, SubmittedBy: "li.wei"}
	for role := warning.Forecaster; role <= warning.Viewer; role++ {
		_, err := p.Emergency(&w, "chen.jie", role, "nobody answers", noon)
		if (err == nil) != (role == warning.Commander) {
			t.Errorf("%s: %v", role, err)
		}
	}
	released, drill := w, w
	released.State, drill.Spec.Status = warning.Released, warning.PublicDrill
	for _, refused := range []struct {
		w    warning.Warning
		why  string
		want warning.Reason
	}{{released, "x", warning.ReasonConflict}, {drill, "x", warning.ReasonDenied}, {w, " ", warning.ReasonInvalid}} {
		if _, err := p.Emergency(&refused.w, "chen.jie", warning.Commander, refused.why, noon); warning.ReasonOf(err) != refused.want {
			t.Errorf("%+v: %v", refused, err)
		}
	}
	r, err := p.Emergency(&w, "chen.jie", warning.Commander, "nobody answers", noon)
	if err != nil || !r.Due.Equal(noon.Add(24*time.Hour)) {
		t.Fatal(r, err)
	}
	for _, c := range []struct {
		user, finding string
		role          warning.Role
		want          warning.Reason
	}{
		{"chen.jie", "right", warning.Commander, warning.ReasonDenied}, // who released
		{"li.wei", "right", warning.Approver, warning.ReasonDenied},    // who submitted
		{"zhao.min", "right", warning.Forecaster, warning.ReasonDenied},
		{"zhao.min", "", warning.Approver, warning.ReasonInvalid},
		{"zhao.min", "right", warning.Approver, 0},
		{"zhao.min", "right", warning.Commander, 0},
	} {
		closed, err := r.Close(w.SubmittedBy, c.user, c.role, c.finding, noon.Add(time.Hour))
		if warning.ReasonOf(err) != c.want || closed.Open() != (err != nil) {
			t.Errorf("%+v: %+v, %v", c, closed, err)
		}
		if err == nil {
			if _, err := closed.Close(w.SubmittedBy, "sun.li", warning.Approver, "wrong", noon); warning.ReasonOf(err) != warning.ReasonConflict {
				t.Errorf("closed twice: %v", err)
			}
		}
	}
}

// TestBorder holds the sliver against both limits. Seoul warned on 31 May 2023 without the authority to; an area that is
// somebody else's is refused with whom to ask.
func TestBorder(t *testing.T) {
	p := sample()
	sichuan := []warning.Neighbour{{Code: "511600", Name: "广安市", Share: 0.07, People: 12345}}
	for _, c := range []struct {
		share, reach float64
		admitted     bool
		note         bool
	}{
		{0, 0, true, false},
		{0.02, 90_000, true, true},
		{0.021, 501, false, false},
		{0.07, 500, true, true},
		{1, 100, false, false}, // all of it is the neighbour's
		{math.NaN(), 501, false, false},
	} {
		note, err := p.Admit(warning.Outside{Share: c.share, Reach: c.reach, Neighbours: sichuan})
		if (err == nil) != c.admitted || (note != "") != c.note {
			t.Errorf("%+v: %q, %v", c, note, err)
		}
		if err != nil {
			for _, part := range []string{"广安市", "511600", "7.0 %", "12345 people", "--clip", "authority of 广安市"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %s", err, part)
				}
			}
		}
	}
}
