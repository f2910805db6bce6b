package dispatcher_test

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tocsin/dispatcher"
	"tocsin/geofence"
	"tocsin/warning"
)

// people is the size of the directory of BenchmarkPreview; 32054159 needs 4 GB.
var people = flag.Int("people", 1_000_000, "people of the directory of BenchmarkPreview")

// province is a directory of one revision.
type province struct {
	dispatcher.Directory
	revision *geofence.Revision
}

func (p province) Current() (dispatcher.Snapshot, bool) { return p.revision, true }

// BenchmarkPreview is a preview as an engine makes it, from the request to the answer, for three accounts: of everybody by
// the names of the units, and of one outline of 10,000 corners. Each time the area has another name, so that
// nothing is remembered but the blocks, which are learnt at the start.
func BenchmarkPreview(b *testing.B) {
	c, err := geofence.Synth(*people, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, bad := geofence.Build(c)
	if len(bad) > 0 {
		b.Fatal(bad[0])
	}
	city, err := geofence.NewJurisdiction("500000", geofence.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	revision := geofence.NewRevision(s)
	h := houseOf(b, 1, 1500)
	h.start(func(o *dispatcher.Options) {
		o.Directory, o.Land = province{h.town, revision}, city
		account := o.Accounts[0]
		o.Accounts = nil
		for i := range 3 {
			account.Name, account.Prefixes = fmt.Sprint("carrier", i), []string{fmt.Sprint(9991 + i)}
			o.Accounts = append(o.Accounts, account)
		}
	})
	defer h.close()
	h.e.Learn()
	var all []warning.Area
	for _, u := range geofence.EditionAt(time.Time{}).Units {
		if u.Surveyed() && u.To.IsZero() {
			all = append(all, warning.Area{Unit: strconv.Itoa(int(u.Code))})
		}
	}
	var outline warning.Ring
	for i := range 10_000 {
		angle := 2 * math.Pi * float64(i) / 10_000
		d := 1 + 0.3*math.Sin(7*angle) + 0.02*math.Sin(500*angle)
		outline = append(outline, warning.Point{107.5 + d*math.Cos(angle), 30 + d*math.Sin(angle)})
	}
	outline = append(outline, outline[0])
	for _, look := range []struct {
		name  string
		areas []warning.Area
	}{{"everybody", all}, {"outline", []warning.Area{{CRS: "wgs84", Polygons: [][]warning.Ring{{outline}}}}}} {
		areas := look.areas
		b.Run(look.name, func(b *testing.B) {
			n, people := 0, int64(0)
			look := func() {
				n++
				w := spec(warning.Red, fmt.Sprint("preview ", n), "")
				w.Areas = slices.Clone(areas)
				w.Areas[0].Name = fmt.Sprint("area ", n) // what differs in words alone is remembered
				p, err := h.e.Preview(b.Context(), dispatcher.Caller{User: "huang", Role: warning.Commander}, w)
				if err != nil {
					b.Fatal(err)
				}
				people = p.People
			}
			var ms []float64
			before := processorTime(b)
			for b.Loop() {
				began := time.Now()
				look()
				ms = append(ms, float64(time.Since(began))/1e6)
			}
			b.ReportMetric(float64(processorTime(b)-before)/1e6/float64(b.N), "cpu-ms")
			slices.Sort(ms)
			b.ReportMetric(ms[len(ms)/2], "median-ms")
			b.ReportMetric(ms[len(ms)-1], "max-ms")
			b.ReportMetric(float64(people), "people")
		})
	}
}

// processorTime is what the process has used, for machines that are shared.
func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
