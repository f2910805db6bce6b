package dispatcher_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func TestAPreviewOfFewIsVeiledForAllButCommanders(t *testing.T) {
	p := dispatcher.Preview{
		People: 19, Addressable: 18, LeftOut: dispatcher.LeftOut{NoAddress: 1},
		Units:    []dispatcher.PreviewUnit{{Code: "500101", People: 19}},
		Carriers: []dispatcher.PreviewCarrier{{Account: "mobile", People: 18, Messages: 18, Takes: 1}},
	}
	if got := p.For(dispatcher.Caller{Role: warning.Commander}); got.Few || got.People != 19 || got.Units[0].Few {
		t.Errorf("a commander sees %+v", got)
	}
	got := p.For(dispatcher.Caller{Role: warning.Forecaster})
	if !got.Few || got.People+got.Addressable+got.NoAddress != 0 || !got.Units[0].Few || got.Units[0].People != 0 ||
		!got.Carriers[0].Few || got.Carriers[0].People+got.Carriers[0].Messages != 0 || got.Carriers[0].Takes != 0 {
		t.Errorf("a forecaster sees %+v", got)
	}
	if p.Units[0].People != 19 || p.Carriers[0].People != 18 {
		t.Error("the veil changed what lies under it")
	}
	p.People, p.Units[0].People = 20, 20
	if got := p.For(dispatcher.Caller{Role: warning.Viewer}); got.Few || got.People != 20 || got.Units[0].Few || !got.Carriers[0].Few {
		t.Errorf("of twenty people a viewer sees %+v", got)
	}
}

// TestNobodySubtractsWhatIsVeiled draws any parts of a total: what is hidden is everything below Few, and never a single part
// or fewer than Few people together, but where nothing else is left to hide.
func TestNobodySubtractsWhatIsVeiled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p dispatcher.Preview
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 100), 1, 8).Draw(t, "people") {
			p.Units = append(p.Units, dispatcher.PreviewUnit{People: n})
			p.People += n
		}
		got := p.For(dispatcher.Caller{Role: warning.Approver})
		hidden, people := 0, int64(0)
		for i, u := range got.Units {
			switch {
			case u.Few && u.People != 0, !u.Few && u.People != p.Units[i].People, !u.Few && u.People < dispatcher.Few:
				t.Fatalf("%+v is shown of %d", u, p.Units[i].People)
			case u.Few:
				hidden, people = hidden+1, people+p.Units[i].People
			}
		}
		if hidden > 0 && hidden < len(p.Units) && (hidden == 1 || people < dispatcher.Few) {
			t.Fatalf("%d hidden parts with %d people of %v", hidden, people, p.Units)
		}
		if (p.People < dispatcher.Few) != got.Few {
			t.Fatalf("few: %v of %d", got.Few, p.People)
		}
	})
}

func TestProgressAndReportOfFewAreVeiled(t *testing.T) {
	forecaster, commander := dispatcher.Caller{Role: warning.Forecaster}, dispatcher.Caller{Role: warning.Commander}
	lane := dispatcher.LaneCounts{Channel: warning.SMS, Planned: 7, Messages: 14, Balanced: true}
	lane.Counts[warning.Delivered] = 7
	p := dispatcher.Progress{Planned: true, InArea: 7, People: 7, Messages: 14, Lanes: []dispatcher.LaneCounts{lane}}
	if got := p.For(commander); got.Few || got.InArea != 7 || got.Lanes[0].Planned != 7 {
		t.Errorf("a commander sees %+v", got)
	}
	got := p.For(forecaster)
	if !got.Few || got.InArea+got.People+got.Messages+got.Lanes[0].Planned+got.Lanes[0].Counts.Sum()+got.Lanes[0].Messages != 0 {
		t.Errorf("a forecaster sees %+v", got)
	}
	r := dispatcher.Report{Planned: true, InArea: 7, Addressable: 7, Delivered: 7, Lanes: []dispatcher.LaneCounts{lane}, ByDistrict: []dispatcher.ReportRow{{Key: "500101", Planned: 7}},
		ByMinute: []dispatcher.ReportRow{{Planned: 7}}, WhyNot: []dispatcher.ReportWhy{{People: 1}}, PeopleRate: 7}
	if got := r.For(commander); got.Few || got.Delivered != 7 || got.ByDistrict[0].Few {
		t.Errorf("a commander sees %+v", got)
	}
	if got := r.For(forecaster); !got.Few || got.InArea+got.Addressable+got.Delivered+got.Lanes[0].Planned != 0 || len(got.ByDistrict)+len(got.ByMinute)+len(got.WhyNot) != 0 || got.PeopleRate != 0 {
		t.Errorf("a forecaster sees %+v", got)
	}
	// Nobody of them has a lane of their own: they are as few.
	alone := dispatcher.Report{Planned: true, InArea: 7, Addressable: 7, LeftOut: dispatcher.LeftOut{Untold: 7}}
	if got := alone.For(forecaster); !got.Few || got.InArea+got.Addressable+got.Untold != 0 {
		t.Errorf("of seven who are told by area channels alone a forecaster sees %+v", got)
	}
	if got := (dispatcher.Report{}).For(forecaster); got.Few {
		t.Error("nothing is veiled before the plan is made: there is nothing")
	}
	lane.Planned, r.InArea = 107, 107
	r.Lanes, r.ByDistrict = []dispatcher.LaneCounts{lane}, []dispatcher.ReportRow{{Key: "1", Planned: 7, Delivered: 7}, {Key: "2", Planned: 40}, {Key: "3", Planned: 60}}
	if got := r.For(forecaster); got.Few || !got.ByDistrict[0].Few || got.ByDistrict[0].Delivered != 0 || !got.ByDistrict[1].Few || got.ByDistrict[2].Few {
		t.Errorf("of seven in a district a forecaster sees %+v", got)
	}
	if people, few := forecaster.HeadCount(&warning.Warning{ApprovedPeople: 7}); people != 0 || !few {
		t.Errorf("the approved head count shows %d", people)
	}
}

// TestNobodySubtractsTownsFromADistrict draws towns within districts: a hidden district hides its towns, and what is hidden
// of one that is shown, with those who live in no town, is never a single part or fewer than Few people.
func TestNobodySubtractsTownsFromADistrict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p dispatcher.Preview
		rest := map[string]int64{}
		for d := range rapid.IntRange(1, 4).Draw(t, "districts") {
			u := dispatcher.PreviewUnit{Code: fmt.Sprint(500101 + d), Residents: 1000, People: rapid.Int64Range(0, 60).Draw(t, "in no town")}
			rest[u.Code] = u.People
			for town, n := range rapid.SliceOfN(rapid.Int64Range(1, 60), 0, 4).Draw(t, "towns") {
				p.Towns = append(p.Towns, dispatcher.PreviewUnit{Code: fmt.Sprintf("%s%03d", u.Code, town), People: n})
				u.People += n
			}
			p.Units = append(p.Units, u)
			p.People += u.People
		}
		got := p.For(dispatcher.Caller{Role: warning.Forecaster})
		for i, u := range got.Units {
			hidden, people, shown := 0, int64(0), 0
			for k, town := range got.Towns {
				switch {
				case town.Code[:6] != u.Code:
				case town.Few && town.People != 0, !town.Few && (u.Few || town.People < dispatcher.Few || town.People != p.Towns[k].People):
					t.Fatalf("%+v of %+v is shown of %+v", town, u, p.Towns[k])
				case town.Few:
					hidden, people = hidden+1, people+p.Towns[k].People
				default:
					shown++
				}
			}
			if n := rest[u.Code]; n > 0 {
				hidden, people = hidden+1, people+n // it is in no row
			}
			if !u.Few && hidden > 0 && shown > 0 && people < dispatcher.Few {
				t.Fatalf("%d people of %+v can be computed: %+v", people, p.Units[i], got.Towns)
			}
			if u.Few && u.Residents != 0 {
				t.Fatalf("%+v says who lives there", u)
			}
		}
	})
}

// TestProgressIsTheWarningsOwn: what is sent to others at the same accounts is not its speed, and a contract that two of
// its channels share counts once.
func TestProgressIsTheWarningsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 12000, 1500)
		defer h.close()
		blue := h.warn(spec(warning.Blue, "blue", ""))
		red := spec(warning.Red, "red", "")
		red.Channels = []warning.Channel{warning.SMS, warning.FlashSMS}
		w := h.warn(red)
		pass(3500 * time.Millisecond)
		at := func(id string) dispatcher.Progress {
			p, err := h.e.Progress(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := at(w.ID); p.Contract != 1500 || p.Messages < 1400 || p.Messages > 1500 {
			t.Errorf("red has %d messages of a second of %v", p.Messages, p.Contract)
		}
		if p := at(blue.ID); p.Contract != 1500 || p.Messages < 20 || p.Messages > 40 {
			t.Errorf("blue has %d messages of a second of %v, the floor is 30", p.Messages, p.Contract)
		}
	})
}

// TestUseOfAContract: what a warning used of an account's contract is that of all its channels together, and never more
// than the contract, however few messages it was.
func TestUseOfAContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 9000, 1500)
		defer h.close()
		for people, least := range map[string]float64{"": 0.9, "first 9": 0} {
			red := spec(warning.Red, "red in "+people, people)
			red.Channels = []warning.Channel{warning.SMS, warning.FlashSMS}
			before := len(h.c.log())
			w := h.warn(red)
			pass(15 * time.Second)
			r, err := h.e.Report(t.Context(), w.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Lanes) != 2 || len(r.Accounts) != 1 {
				t.Fatalf("%d lanes at %d accounts", len(r.Lanes), len(r.Accounts))
			}
			if a := r.Accounts[0]; int(a.Messages) != len(h.c.log())-before || a.Used < least || a.Used > 1 {
				t.Errorf("%+v of %+v", a, r.Lanes)
			}
		}
	})
}
