package geofence_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tocsin/warning"
)

// metres is a place in metres from 107, 30, with degrees of longitude shortened as at middle.
func metres(p warning.Point, middle float64) (x, y float64) {
	return (p[0] - 107) * 1e7 / 90 * math.Cos(middle*math.Pi/180), (p[1] - 30) * 1e7 / 90
}

// reach is how soon and how near a focus is to one person: arrival in seconds, distance in metres.
func reach(f warning.Focus, p warning.Point) (arrival, distance float64) {
	low, high := f.Points[0][1], f.Points[0][1]
	for _, q := range f.Points {
		low, high = min(low, q[1]), max(high, q[1])
	}
	middle := (low + high) / 2
	px, py := metres(p, middle)
	distance = math.Inf(1)
	if f.Speed > 0 {
		arrival = math.Inf(1)
	}
	points := f.Points
	if len(points) == 1 {
		points = []warning.Point{points[0], points[0]}
	}
	ux, uy := math.Sin(f.Bearing*math.Pi/180), math.Cos(f.Bearing*math.Pi/180)
	for i := range points[1:] {
		ax, ay := metres(points[i], middle)
		bx, by := metres(points[i+1], middle)
		// The nearest of many places on the segment, then of many around that one.
		from, to := 0.0, 1.0
		for range 30 {
			third := (to - from) / 3
			d := func(k float64) float64 { return math.Hypot(ax+k*(bx-ax)-px, ay+k*(by-ay)-py) }
			if d(from+third) < d(to-third) {
				to -= third
			} else {
				from += third
			}
			distance = min(distance, d(from), d(to))
		}
		// a + k(b−a) + s·u = p
		if det := (bx-ax)*uy - (by-ay)*ux; f.Speed > 0 && math.Abs(det) > 1e-6 {
			k := ((px-ax)*uy - (py-ay)*ux) / det
			s := ((bx-ax)*(py-ay) - (by-ay)*(px-ax)) / det
			if k >= 0 && k <= 1 {
				arrival = min(arrival, max(0, s/f.Speed))
			}
		}
	}
	return arrival, distance
}

func randomFocus(t *rapid.T) warning.Focus {
	f := warning.Focus{CRS: "wgs84"}
	for range rapid.IntRange(1, 5).Draw(t, "points") {
		f.Points = append(f.Points, warning.Point{rapid.Float64Range(105, 110).Draw(t, "lon"), rapid.Float64Range(28, 32.5).Draw(t, "lat")})
	}
	if len(f.Points) > 1 && rapid.Bool().Draw(t, "front") {
		f.Speed, f.Bearing = rapid.Float64Range(0.1, 30).Draw(t, "speed"), rapid.Float64Range(0, 360).Draw(t, "bearing")
	}
	return f
}

// TestPeopleInDangerComeFirst compares with looking at everybody. A block may come early for the box around its people,
// never late.
func TestPeopleInDangerComeFirst(t *testing.T) {
	s := build(t, synth(t, 60_000, 6))
	all, err := s.Resolve([]warning.Area{polygon(square(107.5, 30, 5))})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := randomFocus(t)
		sel := all
		sel.Masks = make([]warning.Mask, len(all.Blocks))
		single := rapid.Bool().Draw(t, "one a block")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for i, b := range all.Blocks {
			for range 12 {
				sel.Masks[i].Set(r.IntN(len(s.Block(int(b)).Number)))
				if single {
					break
				}
			}
		}
		order := s.Order(&sel, f)
		sorted := slices.Sorted(slices.Values(order))
		for i, at := range sorted {
			if i != at || len(sorted) != len(sel.Blocks) {
				t.Fatalf("%v is no permutation of %d", sorted, len(sel.Blocks))
			}
		}
		// The least that anybody from here on may have.
		arrival, distance := 0.0, 0.0
		for _, i := range order {
			people := s.Block(int(sel.Blocks[i]))
			soonest, nearest, across := math.Inf(1), math.Inf(1), 0.0
			var first warning.Point
			for slot := range sel.Masks[i].Slots {
				p := warning.Point{float64(people.Lon[slot]) / 1e7, float64(people.Lat[slot]) / 1e7}
				a, d := reach(f, p)
				soonest, nearest = min(soonest, a), min(nearest, d)
				if first == (warning.Point{}) {
					first = p
				}
				across = max(across, 2*apart(p, first)+1)
			}
			if single {
				across = 0.5
			}
			slack := across * 1.1
			if f.Speed > 0 && !single {
				// Who stands at the edge of the way of a front may be in it by the box only.
				if soonest < arrival-slack/f.Speed-1 {
					t.Fatalf("somebody reached in %.0f s comes after those reached in %.0f s", soonest, arrival)
				}
				continue
			}
			if soonest < arrival-0.001*max(1, arrival) || soonest == arrival && nearest < distance-slack {
				t.Fatalf("%.0f s and %.0f m come after %.0f s and %.0f m", soonest, nearest, arrival, distance)
			}
			if soonest > arrival+0.001 {
				distance = 0
			}
			arrival = max(arrival, soonest)
			distance = max(distance, nearest-slack)
		}
	})
}

func TestOrderOfAFocusInAnotherSystem(t *testing.T) {
	s := build(t, synth(t, 60_000, 6))
	sel, err := s.Resolve([]warning.Area{{Unit: "500103"}, {Unit: "500101"}})
	if err != nil {
		t.Fatal(err)
	}
	p := warning.Point{108.3756706, 30.8100816}
	want := s.Order(&sel, warning.Focus{Points: []warning.Point{p}, CRS: "wgs84"})
	got := s.Order(&sel, warning.Focus{Points: []warning.Point{convert(t, p, "wgs84", "bd09")}, CRS: "bd09"})
	if !slices.Equal(got, want) || slices.IsSorted(want) {
		t.Errorf("%v, want %v", got, want)
	}
	first := s.Block(int(sel.Blocks[want[0]]))
	for slot := range sel.Masks[want[0]].Slots {
		if first.Home[slot] != 500101 {
			t.Errorf("the first block has somebody of %d", first.Home[slot])
		}
	}
	if empty := s.Order(&warning.Selection{}, warning.Focus{Points: []warning.Point{p}, CRS: "wgs84"}); len(empty) != 0 {
		t.Error(empty)
	}
}
