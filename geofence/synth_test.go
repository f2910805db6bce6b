package geofence_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/warning"
)

// unit is the area of a unit on a day when it existed.
func unit(u *geofence.Unit) warning.Area {
	a := warning.Area{Unit: fmt.Sprint(u.Code)}
	if !u.To.IsZero() {
		a.AsOf = u.To.Add(-time.Hour)
	}
	return a
}

func TestSynthIsThePopulation(t *testing.T) {
	const people = 100_000
	c := synth(t, people, 7)
	e := geofence.EditionAt(time.Time{})
	byHome, numbers, carriers := map[uint32]int{}, map[uint64]bool{}, map[uint64]int{}
	noAddress, optedOut, responsible, english := 0, 0, 0, 0
	for i := range people {
		byHome[c.Home[i]]++
		if code, ok := e.Locate(c.Lon[i], c.Lat[i]); !ok || code != c.Home[i] {
			t.Fatalf("somebody of %d lives in %d", c.Home[i], code)
		}
		if c.Duty[i] == uint8(warning.Responsible) {
			responsible++
		}
		if c.Flags[i]&warning.OptedOut != 0 {
			optedOut++
		}
		english += int(c.Language[i])
		if c.Number[i] == 0 {
			noAddress++
			continue
		}
		carrier := c.Number[i] / 1_000_000_000
		if carrier < 9991 || carrier > 9993 || numbers[c.Number[i]] {
			t.Fatalf("a number begins with %d or is there twice", carrier)
		}
		numbers[c.Number[i]] = true
		carriers[carrier]++
	}
	for _, u := range e.Units {
		if share := float64(u.Population) / 32_054_159 * people; math.Abs(float64(byHome[u.Code])-share) > 1 {
			t.Errorf("%s has %d people, its share is %.1f", u.Name, byHome[u.Code], share)
		}
	}
	near := func(what string, got int, want float64) {
		if math.Abs(float64(got)-want) > 5*math.Sqrt(want) {
			t.Errorf("%s: %d people, about %.0f belong there", what, got, want)
		}
	}
	near("no address", noAddress, 0.03*people)
	near("opted out", optedOut, 0.005*people)
	near("responsible", responsible, 0.005*people)
	near("english", english, 0.05*people)
	for k, n := range carriers {
		near(fmt.Sprint("carrier ", k), n, 0.97*people/3)
	}
}

func TestSynthIsAlwaysTheSame(t *testing.T) {
	a, b := synth(t, 3000, 7), synth(t, 3000, 7)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives other people")
	}
	if reflect.DeepEqual(a, synth(t, 3000, 8)) {
		t.Error("another seed gives the same people")
	}
	// A change of this ID means that every stored or published figure about synthetic people changes too.
	if got := build(t, a).ID(); !strings.HasPrefix(got, "66ea08fbde204b98") {
		t.Errorf("the synthetic people of seed 7 have become others: %s", got)
	}
}

func TestSynthCarriers(t *testing.T) {
	c, err := geofence.Synth(1000, 1, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Number {
		if n != 0 && n/1_000_000_000 != 9992 {
			t.Fatal("a carrier without weight has people")
		}
	}
	for _, weights := range [][]int{{}, {0}, {-1, 2}, make([]int, 10)} {
		if _, err := geofence.Synth(1, 1, weights); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%v: %v", weights, err)
		}
	}
	for _, count := range []int{-1, geofence.MaxSynth + 1} {
		if _, err := geofence.Synth(count, 1, nil); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%d people: %v", count, err)
		}
	}
}

// readAll reads a directory and what is wrong with it.
func readAll(text string) (c geofence.Columns, bad []geofence.BadRow, err error) {
	bad, err = geofence.ReadCSV(strings.NewReader(text), func(chunk geofence.Columns) error {
		c.Append(chunk)
		return nil
	})
	return c, bad, err
}

func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := geofence.Synth(rapid.IntRange(0, 20_000).Draw(t, "count"), rapid.Uint64().Draw(t, "seed"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := geofence.WriteCSV(&out, c.Chunks(1000)); err != nil {
			t.Fatal(err)
		}
		back, bad, err := readAll(out.String())
		if err != nil || len(bad) > 0 || back.Len() != c.Len() || c.Len() > 0 && !reflect.DeepEqual(back, c) {
			t.Fatalf("%d rows came back as %d, %d bad: %v", c.Len(), back.Len(), len(bad), err)
		}
	})
}

func TestCSVRows(t *testing.T) {
	const good = "9991000000001,106.55,29.56,500103,29000000,zh-CN,public,"
	for _, c := range []struct{ line, rule string }{
		{good, ""},
		{",-0.5,-29.0000001,,,en,responsible,opted_out", ""},
		{"", "directory.row"},
		{strings.Repeat("x", 600), "directory.row"},
		{strings.Repeat("x", 200_000), "directory.row"},
		{good + ",", "directory.row"},
		{"9991000000001,106.55,29.56", "directory.row"},
		{"+9991000000001,106.55,29.56,,,en,public,", "directory.number"},
		{"99999999999999999999999,106.55,29.56,,,en,public,", "directory.number"},
		{"999,106.55,29.56,,,en,public,", "directory.number"},
		{"9991000000001,x,29.56,,,en,public,", "directory.position"},
		{"9991000000001,,29.56,,,en,public,", "directory.position"},
		{"9991000000001,106.55,NaN,,,en,public,", "directory.position"},
		{"9991000000001,29.56,106.55,,,en,public,", "directory.position"},
		{"9991000000001,106.55,29.56,a,,en,public,", "directory.home"},
		{"9991000000001,106.55,29.56,,-1,en,public,", "directory.seen"},
		{"9991000000001,106.55,29.56,,,fr,public,", "directory.language"},
		{"9991000000001,106.55,29.56,,,en,mayor,", "directory.duty"},
		{"9991000000001,106.55,29.56,,,en,public,dead", "directory.flags"},
	} {
		got, bad, err := readAll(geofence.CSVHeader + "\n" + good + "\r\n" + c.line + "\n" + strings.Replace(good, "1,", "2,", 1))
		if err != nil {
			t.Fatal(err)
		}
		if c.rule == "" {
			if len(bad) > 0 || got.Len() != 3 {
				t.Errorf("%.60q: %d rows, %v", c.line, got.Len(), bad)
			}
			continue
		}
		if len(bad) != 1 || bad[0].Row != 1 || bad[0].Rule != c.rule || got.Len() != 2 {
			t.Errorf("%.60q: %d rows, %v; want %s", c.line, got.Len(), bad, c.rule)
		}
	}
	for _, head := range []string{"", "number,lat,lon\n", "\n"} {
		if _, _, err := readAll(head); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("header %q: %v", head, err)
		}
	}
}
