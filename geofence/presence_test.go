package geofence_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/warning"
)

// today is the minute at which the synthetic people were seen last, at the latest.
func today(c geofence.Columns) uint32 { return slices.Max(c.Seen) }

func randomPresence(t *rapid.T) warning.Presence {
	c, err := geofence.Synth(10, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return warning.Presence{
		Now: today(c) - rapid.Uint32Range(0, 1500).Draw(t, "minutes before"), Within: rapid.SampledFrom([]uint32{0, 360, 1440}).Draw(t, "within"),
		Both: rapid.IntRange(0, 3).Draw(t, "both") == 0,
	}
}

// outlines is the districts as areas, by code, read from the embedded text alone.
func outlines(t *testing.T) map[uint32]warning.Area {
	t.Helper()
	var file struct {
		Features []struct {
			ID       uint32
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(geofence.RawOutlines("chongqing-2020"), &file); err != nil {
		t.Fatal(err)
	}
	out := map[uint32]warning.Area{}
	for _, f := range file.Features {
		a := warning.Area{CRS: "wgs84", Polygons: make([][]warning.Ring, 1)}
		into := any(&a.Polygons)
		if f.Geometry.Type == "Polygon" {
			into = &a.Polygons[0]
		}
		if err := json.Unmarshal(f.Geometry.Coordinates, into); err != nil {
			t.Fatal(err)
		}
		out[f.ID] = a
	}
	return out
}

// TestWhoCountsAsBeingThere compares with asking every single person, in the words of the rule: last seen inside within
// some hours, or home inside and not seen elsewhere since; a red takes both.
func TestWhoCountsAsBeingThere(t *testing.T) {
	units := outlines(t)
	codes := []uint32{500103, 500106, 500107, 500108, 500105, 500101, 500999}
	people := synth(t, 6000, 11)
	now := today(people)
	for i := range people.Number {
		people.Number[i] = n0 + uint64(i)
		switch i % 3 {
		case 0: // somebody who may be seen elsewhere
			people.Home[i] = codes[i/3%len(codes)]
		case 1:
			people.Seen[i] = 0
		}
	}
	crowded := synth(t, 3000, 12) // whole blocks in the middle of a district, with few people from elsewhere
	for i := range crowded.Number {
		crowded.Number[i], crowded.Home[i] = n0+10_000+uint64(i), 500101
		crowded.Lon[i], crowded.Lat[i] = 1083756706+int32(i%60), 308100816+int32(i/60)
		if i%700 == 0 {
			crowded.Home[i] = 500103
		}
	}
	people.Append(crowded)
	first := geofence.NewRevision(build(t, people))
	moved, bad, err := first.Change(movesOf(first, codes))
	if err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom([]*geofence.Revision{first, moved}).Draw(t, "revision")
		areas := []warning.Area{{Unit: rapid.SampledFrom([]string{"500103", "500106", "500101", "500105"}).Draw(t, "unit")}}
		if areas[0].Unit == "500105" {
			areas[0].AsOf = geofence.EditionAt(areas[0].AsOf).Until.AddDate(0, 0, -2)
		}
		switch rapid.IntRange(0, 2).Draw(t, "drawn") {
		case 0:
			areas = areas[:0]
			fallthrough
		case 1:
			areas = append(areas, polygon(square(rapid.Float64Range(106.3, 106.7).Draw(t, "lon"), rapid.Float64Range(29.4, 29.7).Draw(t, "lat"), 0.1)))
		}
		who := randomPresence(t)
		sel, err := r.Resolve(areas, who)
		if err != nil {
			t.Fatal(err)
		}
		var want []uint64
		for b := range r.Blocks() {
			c := r.Block(b)
			for i, number := range c.Number {
				in := func(a warning.Area) bool {
					for code, outline := range units {
						if a.Unit != "" && a.Unit == digits(code) {
							a = outline
						}
					}
					return holds(a, c.Lon[i], c.Lat[i])
				}
				placeInside := slices.ContainsFunc(areas, in)
				homeNamed := slices.ContainsFunc(areas, func(a warning.Area) bool { return a.Unit == digits(c.Home[i]) })
				unit, known := units[c.Home[i]]
				elsewhere := c.Seen[i] > 0 && known && !holds(unit, c.Lon[i], c.Lat[i])
				homeInside := placeInside
				if elsewhere {
					homeInside = homeNamed
				}
				lately := c.Seen[i] > 0 && int64(who.Now)-int64(c.Seen[i]) <= int64(who.Within)
				switch {
				case who.Both && (placeInside || homeInside), !who.Both && lately && placeInside, !who.Both && !lately && homeInside:
					want = append(want, number)
				}
			}
		}
		slices.Sort(want)
		if got := numbersIn(r, sel); !slices.Equal(got, want) {
			t.Fatalf("%d people, asking everybody finds %d", len(got), len(want))
		}
	})
	if sel, err := first.Resolve([]warning.Area{{Unit: "500103"}}, warning.Presence{Now: now + 1_000_000}); err != nil || sel.People() < 300 {
		t.Errorf("%d people live in a district with homes elsewhere: %v", sel.People(), err)
	}
}

// movesOf gives every tenth person of every block a home in another unit.
func movesOf(r *geofence.Revision, codes []uint32) (changes []warning.Change) {
	for b := range r.Blocks() {
		for i, number := range r.Block(b).Number {
			if i%10 == 0 {
				changes = append(changes, warning.Change{Number: number, Deed: warning.DeedPut, Home: &codes[i/10%len(codes)]})
			}
		}
	}
	return changes
}

func digits(code uint32) string {
	b := make([]byte, 6)
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + code%10)
		code /= 10
	}
	return string(b)
}
