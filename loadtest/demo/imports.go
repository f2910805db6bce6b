package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tocsin/loadtest/rig"
)

// Imports shows how fast people are brought in: over gRPC with TLS until the snapshot is durable, from a file of columns,
// as a system that keeps people would send them, and from CSV. Each time the house is new, so that every block is written.
type Imports struct {
	OK          bool      `json:"ok"`
	Why         []string  `json:"why"`
	People      int       `json:"people"`
	Machine     Machine   `json:"machine"`
	LoadAverage [2]string `json:"load_average"` // before and after: 1, 5 and 15 minutes

	Columns Import `json:"columns"`
	CSV     Import `json:"csv"`
}

// Import is one of them, from the start of the client to its end.
type Import struct {
	S        float64  `json:"s"`
	RowsPerS float64  `json:"rows_per_s"`
	Used     rig.Used `json:"processor_s"`
	EngineMB float64  `json:"engine_peak_resident_mb"`
	MemoryS  float64  `json:"first_touch_s_a_gb"` // of memory, just before
}

// ShowImports runs them.
func ShowImports(ctx context.Context, o Options) (*Imports, error) {
	i := &Imports{People: o.Rig.People, Machine: machine(filepath.Dir(o.Rig.Dir))}
	i.LoadAverage[0] = loadAverage()
	for _, of := range []struct {
		name    string
		columns bool
		into    *Import
	}{{"columns", true, &i.Columns}, {"CSV", false, &i.CSV}} {
		var err error
		if *of.into, err = imported(ctx, o, of.name, of.columns); err != nil {
			return nil, fmt.Errorf("from %s: %w", of.name, err)
		}
		if is := of.into.RowsPerS; is < leastImport {
			i.Why = append(i.Why, fmt.Sprintf("import of %.0f rows/s from %s, asked are %d", is, of.name, leastImport))
		}
	}
	i.LoadAverage[1] = loadAverage()
	i.OK = len(i.Why) == 0
	return i, nil
}

// imported brings the people into a house of its own, and leaves nothing of it: the next one would find less memory.
func imported(ctx context.Context, o Options, name string, columns bool) (out Import, err error) {
	options := o.Rig
	options.Dir, options.Columns = filepath.Join(options.Dir, name), columns
	r, err := rig.New(options)
	if err != nil {
		return out, err
	}
	defer func() {
		r.Down()
		err = errors.Join(err, os.RemoveAll(options.Dir))
	}()
	if err := r.Start(ctx); err != nil {
		return out, err
	}
	out.MemoryS = firstTouch()
	began := time.Now()
	if out.Used, err = r.MeasuredImport(ctx); err != nil {
		return out, err
	}
	out.S = time.Since(began).Seconds()
	out.RowsPerS = float64(o.Rig.People) / out.S
	out.EngineMB, _, err = r.PeakResident()
	o.Say("brought in from %s at %.0f rows/s; processor time: client %.1f s, engine %.1f s, Redis %.1f s; engine %.0f MB at most; load %s; a GB of new memory took %.1f s",
		name, out.RowsPerS, out.Used.Client, out.Used.Engine, out.Used.Redis, out.EngineMB, loadAverage(), out.MemoryS)
	return out, err
}
