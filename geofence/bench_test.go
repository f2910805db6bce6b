package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"tocsin/warning"
)

// directories keeps one synthetic directory a size, for all benchmarks of a run.
var directories sync.Map

func directory(tb testing.TB, people int) *Snapshot {
	if s, ok := directories.Load(people); ok {
		return s.(*Snapshot)
	}
	c, err := Synth(people, 1, nil)
	if err != nil {
		tb.Fatal(err)
	}
	s, bad := Build(c)
	if len(bad) > 0 {
		tb.Fatal(bad[0])
	}
	directories.Store(people, s)
	return s
}

// twelve is the districts that the notice of 2020-06-13 named.
func twelve() (areas []warning.Area) {
	for _, code := range []int{500114, 500102, 500119, 500110, 500156, 500230, 500233, 500231, 500240, 500241, 500242, 500243} {
		areas = append(areas, warning.Area{Unit: strconv.Itoa(code)})
	}
	return areas
}

// winding is an outline with many corners, like a river's banks.
func winding(corners int) warning.Area {
	var r warning.Ring
	for i := range corners {
		angle := 2 * math.Pi * float64(i) / float64(corners)
		d := 1 + 0.3*math.Sin(7*angle) + 0.02*math.Sin(float64(corners/20)*angle)
		r = append(r, warning.Point{107.5 + d*math.Cos(angle), 30 + d*math.Sin(angle)})
	}
	return warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{append(r, r[0])}}}
}

// spiked is an outline whose corners jump in and out at random: hardly a box is free of it.
func spiked(corners int) warning.Area {
	return warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{star(rand.New(rand.NewPCG(1, 1)), warning.Point{107.5, 30}, 1.5, corners)}}}
}

func BenchmarkResolve(b *testing.B) {
	for _, people := range []int{100_000, 1_000_000} {
		for _, c := range []struct {
			name  string
			areas []warning.Area
		}{
			{"unit", []warning.Area{{Unit: "500103"}}},
			{"twelve", twelve()},
			{"winding-10000", []warning.Area{winding(10_000)}},
			{"spiked-10000", []warning.Area{spiked(10_000)}},
			{"winding-199000", []warning.Area{winding(199_000)}},
			{"spiked-199000", []warning.Area{spiked(199_000)}},
		} {
			b.Run(fmt.Sprintf("people=%d/%s", people, c.name), func(b *testing.B) {
				s := directory(b, people)
				var inside int64
				for b.Loop() {
					sel, err := s.Resolve(c.areas)
					if err != nil && c.name != "spiked-199000" { // refused as too intricate where many people live
						b.Fatal(err)
					}
					inside = sel.People()
				}
				b.ReportMetric(float64(inside), "inside")
			})
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, a := range map[string]warning.Area{"winding-199000": winding(199_000), "spiked-199000": spiked(199_000)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := Check([]warning.Area{a}, DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDirectory(b *testing.B) {
	for _, people := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("people=%d/synth", people), func(b *testing.B) {
			for b.Loop() {
				if _, err := Synth(people, 1, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("people=%d/build", people), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				c, err := Synth(people, 1, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				Build(c)
			}
		})
		b.Run(fmt.Sprintf("people=%d/load", people), func(b *testing.B) {
			s := directory(b, people)
			blocks := map[[32]byte][]byte{}
			manifest, err := s.Encode(func(h [32]byte, data []byte) error {
				blocks[h] = append([]byte(nil), data...)
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := Load(manifest, func(h [32]byte) ([]byte, error) { return blocks[h], nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLocate(b *testing.B) {
	s := directory(b, 100_000)
	e, i := s.Edition(), 0
	for b.Loop() {
		e.Locate(s.columns.Lon[i], s.columns.Lat[i])
		i = (i + 7919) % s.People()
	}
}
