package verify

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	"tocsin/loadtest/carrierlog"
	tocsinv1 "tocsin/proto/tocsin/v1"
)

// TestInsideIsClosed: on the line is inside, also on the line of a hole.
func TestInsideIsClosed(t *testing.T) {
	units, err := outlines([]byte(squares))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unit     string
		lon, lat float64
		in       bool
	}{
		{"500103", 106, 29, true}, {"500103", 107, 29.5, true}, {"500112", 107, 29.5, true}, {"500103", 106.5, 30, true},
		{"500103", 105.9999999, 29.5, false}, {"500103", 106.5, 30.0000001, false},
		{"500112", 107.5, 29.5, false}, {"500112", 107.4, 29.5, true}, {"500112", 107.4000001, 29.5, false}, {"500112", 107.6, 29.6, true},
	} {
		if got := units[c.unit].where(degrees(c.lon, c.lat)); (got == in) != c.in {
			t.Errorf("%s holds %v,%v: %v", c.unit, c.lon, c.lat, got)
		}
	}
}

// TestInsideAgreesWithAnAngleFreeTwin compares the banded test with plain rational arithmetic over all edges, with
// coordinates anywhere on the globe.
func TestInsideAgreesWithAnAngleFreeTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]int64{5, 1000, 1_800_000_000}).Draw(t, "scale")
		at := func(name string) point {
			return point{rapid.Int64Range(-scale, scale).Draw(t, name), rapid.Int64Range(-scale/2, scale/2).Draw(t, name)}
		}
		ring := make([]point, rapid.IntRange(3, 9).Draw(t, "points"))
		for i := range ring {
			ring[i] = at("corner")
		}
		ring = append(ring, ring[0])
		s, err := newShape([][]point{ring})
		if err != nil {
			t.Fatal(err)
		}
		p := at("person")
		if rapid.Bool().Draw(t, "on a corner") {
			p = ring[0]
		}
		if got, want := s.holds(p), twin(ring, p); got != want {
			t.Fatalf("ring %v point %v: %v, the twin says %v", ring, p, got, want)
		}
	})
}

func twin(ring []point, p point) bool {
	if p.y == 90*e7 || p.y == -90*e7 { // a pole is one point, whatever its longitude says
		return slices.ContainsFunc(ring, func(c point) bool { return c.y == p.y })
	}
	in := false
	for i := range ring[1:] {
		a, b := ring[i], ring[i+1]
		if min(a.y, b.y) > p.y || max(a.y, b.y) < p.y {
			continue
		}
		if a.y == b.y {
			if between(a.x, p.x, b.x) {
				return true
			}
			continue
		}
		// Where the edge meets the latitude of p.
		x := big.NewRat(p.y-a.y, b.y-a.y)
		x.Mul(x, big.NewRat(b.x-a.x, 1)).Add(x, big.NewRat(a.x, 1))
		switch x.Cmp(big.NewRat(p.x, 1)) {
		case 0:
			return true
		case 1:
			if (a.y > p.y) != (b.y > p.y) {
				in = !in
			}
		}
	}
	return in
}

func TestBusiestSecondAgreesWithCountingAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 30), 0, 60).Draw(t, "times")
		for i := range times {
			times[i] *= int64(time.Second) / 10
		}
		slices.Sort(times)
		most := int64(0)
		for _, from := range times {
			n := int64(0)
			for _, x := range times {
				if x >= from && x < from+int64(time.Second) {
					n++
				}
			}
			most = max(most, n)
		}
		if got := busiest(times); got != most {
			t.Fatalf("%v: %d, counted %d", times, got, most)
		}
	})
}

func TestWordsComeBackFromSegments(t *testing.T) {
	for _, words := range []string{chinese, english, "a[b]c", "短"} {
		coding, segs := segments(words)
		var got strings.Builder
		for _, s := range segs {
			got.WriteString(read(coding, s))
		}
		if got.String() != words {
			t.Errorf("%q came back as %q", words, got.String())
		}
	}
	if n := len([]rune(basic)); n != 128 {
		t.Fatalf("the default alphabet has %d characters", n)
	}
	if !strings.Contains(read(0, []byte{0x1B}), "\uFFFD") || !strings.Contains(read(8, []byte{0xD8, 0x3D}), "\uFFFD") || read(4, []byte("x")) != "\uFFFD" {
		t.Error("what cannot be read looks like words")
	}
}

func TestWarningsComeInManyWrappings(t *testing.T) {
	w := newWorld(t)
	one, err := protojson.Marshal(w.warn("W1", "500103"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrapped := range []string{"%s", "[%s]", `{"warning":%s}`, `{"warnings":[%s]}`} {
		ws, err := readWarnings(fmt.Appendf(nil, wrapped, one))
		if err != nil || len(ws) != 1 || ws[0].GetId() != "W1" {
			t.Errorf("%s: %v %v", wrapped, ws, err)
		}
	}
	if ws, err := readWarnings(append(append(one, '\n'), one...)); err != nil || len(ws) != 2 {
		t.Errorf("two in a row: %d %v", len(ws), err)
	}
}

// TestAnyHistoryIsCounted hands every person's segments over in any number and order, and counts along.
func TestAnyHistoryIsCounted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		w.allowed = -1
		w.warn("W1", "500103")
		_, segs := segments(chinese)
		var want Sums
		at := release
		for i := 1; i <= rapid.IntRange(1, 6).Draw(r, "people"); i++ {
			inside := rapid.Bool().Draw(r, "inside")
			w.person(i, map[bool]float64{true: 106.5, false: 107.5}[inside], 29.5, "zh-CN", "public", "")
			times := make([]int, len(segs))
			for n := rapid.IntRange(0, 5).Draw(r, "messages"); n > 0; n-- {
				s := rapid.IntRange(0, len(segs)-1).Draw(r, "segment")
				at = at.Add(time.Second)
				from := w.hand("mobile", i, chinese, at)
				w.lines["mobile"] = append(w.lines["mobile"][:from], w.lines["mobile"][from+s])
				times[s]++
				want.Messages++
			}
			least, sum := slices.Min(times), 0
			for _, n := range times {
				sum += n
			}
			switch {
			case !inside && sum > 0:
				want.WrongPerson++
			case inside && least > 0:
				want.Got++
				if sum > len(segs) {
					want.Doubled++
					want.ExtraMessages += int64(sum - len(segs))
				}
			case inside:
				want.Lost++
				if sum > 0 {
					want.Incomplete++
				}
			}
			if inside {
				want.InArea++
				want.Expected++
			}
		}
		w.textNo("mobile", 0, []byte("a log has to begin"))
		if d := cmp.Diff(want, w.run().Sums); d != "" {
			r.Fatal(d)
		}
	})
}

func FuzzDirectoryRow(f *testing.F) {
	f.Add("99900000001,106.5516000,29.5630000,500103,29000000,zh-CN,public,")
	f.Add(",-0.1,1,,,,responsible,opted_out")
	f.Fuzz(func(t *testing.T, line string) {
		p := &people{table: make([]int32, 1<<4)}
		if err := p.row([]byte(line)); err == nil && len(p.rows) != 1 {
			t.Fatal("a good row is not there")
		} else if err != nil && len(p.rows) != 0 {
			t.Fatal("a bad row is there")
		}
	})
}

// BenchmarkVerify judges 1,000,000 people, two messages each.
func BenchmarkVerify(b *testing.B) {
	const n = 1_000_000
	w := newWorld(&testing.T{})
	w.dir = b.TempDir()
	w.warn("W1", "500103")
	var csv bytes.Buffer
	fmt.Fprintln(&csv, header)
	coding, segs := segments(chinese)
	logs := [2][]byte{}
	for a := range logs {
		logs[a] = carrierlog.Append(nil, &carrierlog.Line{Event: carrierlog.Start, Carrier: fmt.Sprint(a), Version: carrierlog.Version})
		for i, s := range segs {
			logs[a] = carrierlog.Append(logs[a], carrierlog.TextLine(0, i+1, coding, s, ""))
		}
	}
	line := carrierlog.Line{Total: len(segs), Until: expiry.Unix(), ID: carrierlog.IDText("ABCDEFGHJKMNPQRSTVWX")}
	for i := range n {
		fmt.Fprintf(&csv, "%d,106.%07d,29.5000000,500103,29000000,zh-CN,public,\n", 99900000000+i, i%1_000_000)
		head := carrierlog.AppendSubmitHead(nil, release.UnixNano()+int64(i/100*100_000), 1)
		line.To, line.Ref = uint64(99900000000+i), i&255
		for s := range segs {
			line.Seq, line.Text = s+1, s+1
			logs[i%2] = carrierlog.AppendSubmit(logs[i%2], head, &line)
		}
	}
	in := w.input()
	in.Directory = w.write("directory.csv", csv.Bytes())
	for a := range logs {
		in.Accounts = append(in.Accounts, Account{Name: fmt.Sprint(a), Logs: []string{w.write(fmt.Sprint(a), logs[a])}})
		logs[a] = nil
	}
	csv = bytes.Buffer{}
	b.ResetTimer()
	for b.Loop() {
		v, err := Run(in)
		if err != nil || v.Got != n {
			b.Fatal(err, v.Sums)
		}
	}
}

// TestPresence has one person for each line of the rule.
func TestPresence(t *testing.T) {
	units, err := outlines([]byte(squares))
	if err != nil {
		t.Fatal(err)
	}
	home, elsewhere := degrees(106.5, 29.5), degrees(107.1, 29.1)
	now := uint32(release.Unix() / 60)
	rule := &Presence{Within: time.Hour, Both: []tocsinv1.Tier{tocsinv1.Tier_TIER_RED}}
	warn := func(tier tocsinv1.Tier) *tocsinv1.Warning {
		w := newWorld(t).warn("w", "500103")
		w.Spec.Tier = tier
		return w
	}
	for _, c := range []struct {
		name        string
		who         row
		orange, red bool
	}{
		{"never seen, at home", row{at: home, home: "500112"}, true, true},
		{"never seen, elsewhere", row{at: elsewhere, home: "500103"}, false, false},
		{"seen inside lately", row{at: home, home: "500112", seen: now - 60}, true, true},
		{"seen inside long ago", row{at: home, home: "500112", seen: now - 61}, false, true},
		{"seen elsewhere lately", row{at: elsewhere, home: "500103", seen: now - 1}, false, true},
		{"seen elsewhere long ago", row{at: elsewhere, home: "500103", seen: now - 100}, true, true},
		{"at home, seen there long ago", row{at: home, home: "500103", seen: now - 100}, true, true},
		{"a home that nobody knows", row{at: home, home: "1", seen: now - 100}, true, true},
	} {
		for tier, want := range map[tocsinv1.Tier]bool{tocsinv1.Tier_TIER_ORANGE: c.orange, tocsinv1.Tier_TIER_RED: c.red} {
			w := warn(tier)
			a, err := areaOf(w.GetSpec(), units)
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.counts(w, a, units, &c.who) == in; got != want {
				t.Errorf("%s, %s: counts %t", c.name, tier, got)
			}
		}
	}
}
