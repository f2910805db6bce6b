package geofence

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

// fifty is the named set of docs/benchmarks.md: 50 winding outlines of 4 to 10,000 corners (each has 1.17 times as many
// as the one before), 67,736 together, around the seats of the units; size scales them all.
func fifty(size float64) (areas []warning.Area) {
	var units []*Unit
	for _, u := range EditionAt(time.Time{}).Units {
		if u.Surveyed() {
			units = append(units, u)
		}
	}
	for i := range 50 {
		corners := int(math.Round(4 * math.Pow(2500, float64(i)/49)))
		seat := units[i%len(units)].seat
		middle := warning.Point{float64(seat.x)/scale + 0.15*float64(i/len(units)), float64(seat.y) / scale}
		r := make(warning.Ring, corners+1)
		for k := range corners {
			angle := 2 * math.Pi * float64(k) / float64(corners)
			d := size * (0.12 + 0.04*float64(i%5)) * (1 + 0.2*math.Sin(5*angle) + 0.01*math.Sin(float64(corners/9)*angle))
			r[k] = warning.Point{middle[0] + d*math.Cos(angle), middle[1] + 0.85*d*math.Sin(angle)}
		}
		r[corners] = r[0]
		areas = append(areas, warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{r}}})
	}
	return areas
}

// people adds a size to the benchmarks of large directories, for measuring by hand: -people 32054159 needs 4 GB.
var people = flag.Int("people", 0, "people of one more directory")

func sizes() []int {
	if *people > 0 {
		return []int{*people}
	}
	return []int{100_000, 1_000_000}
}

func BenchmarkResolve(b *testing.B) {
	for _, people := range sizes() {
		for _, c := range []struct {
			name  string
			areas []warning.Area
			each  bool // everybody's number is read as well
		}{
			{"unit", []warning.Area{{Unit: "500103"}}, false},
			{"twelve", twelve(), false},
			{"fifty", fifty(0.15), false},
			{"fifty-half", fifty(0.34), false},
			{"fifty-half-each", fifty(0.34), true},
			{"winding-10000", []warning.Area{winding(10_000)}, false},
			{"spiked-10000", []warning.Area{spiked(10_000)}, false},
			{"winding-199000", []warning.Area{winding(199_000)}, false},
			{"spiked-199000", []warning.Area{spiked(199_000)}, false},
		} {
			b.Run(fmt.Sprintf("people=%d/%s", people, c.name), func(b *testing.B) {
				s := directory(b, people)
				var inside int64
				var took []float64
				before := processorTime(b)
				for b.Loop() {
					at := time.Now()
					sel, err := s.Resolve(c.areas)
					if err != nil && c.name != "spiked-199000" { // refused as too intricate where many people live
						b.Fatal(err)
					}
					if c.each {
						inside = visit(s, &sel)
					}
					took = append(took, float64(time.Since(at))/1e6)
					if people := sel.People(); c.each && people != inside {
						b.Fatalf("%d people are visited of %d", inside, people)
					}
					inside = sel.People()
				}
				b.ReportMetric(float64(processorTime(b)-before)/1e6/float64(b.N), "cpu-ms")
				reportTimes(b, took)
				b.ReportMetric(float64(inside), "inside")
			})
		}
	}
}

// visit reads the number of everybody who is chosen, on all cores, and answers how many that were.
func visit(s *Snapshot, sel *warning.Selection) int64 {
	var all, sum atomic.Int64
	together(len(sel.Blocks), func(i int) {
		n, x := int64(0), uint64(0)
		numbers := s.Block(int(sel.Blocks[i])).Number
		for slot := range sel.Masks[i].Slots {
			n, x = n+1, x^numbers[slot]
		}
		all.Add(n)
		sum.Add(int64(x >> 1)) // so that the reading is not left out
	})
	return all.Load()
}

// processorTime is what the process has used, for machines that are shared.
func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// reportTimes reports the median and the maximum of milliseconds.
func reportTimes(b *testing.B, took []float64) {
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "median-ms")
	b.ReportMetric(took[len(took)-1], "max-ms")
}

func BenchmarkOrder(b *testing.B) {
	river := warning.Focus{CRS: "wgs84", Points: []warning.Point{{106.2, 29}, {106.6, 29.6}, {107.4, 29.8}, {108.4, 30.8}, {109.9, 31.1}}}
	front := river
	front.Speed, front.Bearing = 8, 135
	for _, people := range sizes() {
		for name, f := range map[string]warning.Focus{"point": {CRS: "wgs84", Points: river.Points[1:2]}, "river": river, "front": front} {
			b.Run(fmt.Sprintf("people=%d/%s", people, name), func(b *testing.B) {
				s := directory(b, people)
				sel, err := s.Resolve(fifty(0.34))
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					s.Order(&sel, f)
				}
				b.ReportMetric(float64(sel.People())*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpeople/s")
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
	for _, people := range sizes() {
		b.Run(fmt.Sprintf("people=%d/synth", people), func(b *testing.B) {
			for b.Loop() {
				if _, err := Synth(people, 1, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("people=%d/build", people), func(b *testing.B) {
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				c, err := Synth(people, 1, nil)
				if err != nil {
					b.Fatal(err)
				}
				before := processorTime(b)
				b.StartTimer()
				Build(c)
				used += processorTime(b) - before
			}
			b.ReportMetric(float64(used)/1e6/float64(b.N), "cpu-ms")
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
			fetch := sideBySide(b, blocks)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var loaded *Snapshot
			start := processorTime(b)
			for b.Loop() {
				if loaded, err = Load(manifest, fetch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-start)/1e6/float64(b.N), "cpu-ms")
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(loaded.People()), "B/person")
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

func BenchmarkReadCSV(b *testing.B) {
	c, err := Synth(200_000, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteCSV(&text, c.Chunks(8192)); err != nil {
		b.Fatal(err)
	}
	before := processorTime(b)
	for b.Loop() {
		if bad, err := ReadCSV(bytes.NewReader(text.Bytes()), func(Columns) error { return nil }); err != nil || len(bad) > 0 {
			b.Fatal(bad, err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N*c.Len()), "cpu-ns/row")
}
