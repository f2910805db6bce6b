package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"tocsin/loadtest/carrierlog"
	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Directory shows what a large directory costs: to bring it in, to keep it, to start with it, to look at an area of it
// and to plan a warning to all of it.
type Directory struct {
	OK          bool      `json:"ok"`
	Why         []string  `json:"why"`
	People      int       `json:"people"`
	Machine     Machine   `json:"machine"`
	LoadAverage [2]string `json:"load_average"` // before and after: 1, 5 and 15 minutes

	MemoryS      float64 `json:"first_touch_s_a_gb"` // of memory, before the import
	ImportS      float64 `json:"import_s"`           // from CSV to the durable snapshot, over gRPC with TLS
	ImportRows   float64 `json:"import_rows_per_s"`
	RedisBytes   float64 `json:"redis_resident_bytes_a_person"`
	EngineBytes  float64 `json:"engine_resident_bytes_a_person"` // after a start
	RestartS     float64 `json:"restart_s"`                      // start of the engine until it serves and its links are up
	RestartBothS float64 `json:"restart_with_redis_s"`
	PreviewAll   Times   `json:"preview_of_everybody"`
	PreviewDrawn Times   `json:"preview_of_an_outline"` // of 10,000 corners
	DrawnPeople  int64   `json:"people_in_the_outline"`
	Half         Planned `json:"plan_of_half"` // of the districts, those first who are nearest to a dam
	Everybody    Planned `json:"plan_of_everybody"`
}

// Planned is what a plan costs, from its release, in a fresh engine.
type Planned struct {
	People   int64   `json:"people"`
	S        float64 `json:"s"` // until it is durable: the engine says that the warning is planned
	FirstMS  float64 `json:"first_message_ms"`
	MemoryMB float64 `json:"memory_mb"` // the most of the engine above what it had before the submission
}

// What is asked of a directory of 32 million.
const (
	leastImport     = 2_500_000 // rows/s
	mostRestart     = 10.0      // s
	mostRestartBoth = 30.0      // s
	mostPreview     = 200.0     // ms
	mostPlan        = 1.0       // s, for sixteen million people
	planPeople      = 16_000_000
	mostFirst       = 20.0 // ms
	mostPlanMemory  = 200.0
)

// previews is how many times each area is looked at, each time told in another order so that nothing is remembered.
const previews = 7

// ShowDirectory runs it, in one house.
func ShowDirectory(ctx context.Context, o Options) (*Directory, error) {
	d := &Directory{People: o.Rig.People, Machine: machine(o.Rig.Dir)}
	d.LoadAverage[0] = loadAverage()
	r, err := rig.New(o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	d.MemoryS = firstTouch()
	began := time.Now()
	if err := r.Import(ctx); err != nil {
		return nil, err
	}
	d.ImportS = time.Since(began).Seconds()
	d.ImportRows = float64(d.People) / d.ImportS
	o.Say("brought in at %.0f rows/s", d.ImportRows)
	for _, step := range []func(context.Context, Options, *rig.Rig) error{d.restart, d.preview, d.plans} {
		if err := step(ctx, o, r); err != nil {
			return nil, err
		}
	}
	d.LoadAverage[1] = loadAverage()
	d.judge()
	return d, nil
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil || len(b) < 14 {
		return ""
	}
	return string(b[:14])
}

// restart starts the engine again, alone and with its Redis, and looks what both hold.
func (d *Directory) restart(ctx context.Context, o Options, r *rig.Rig) (err error) {
	again := func(stop func() error) (float64, error) {
		r.StopEngine()
		if err := stop(); err != nil {
			return 0, err
		}
		began := time.Now()
		err := r.StartEngine(ctx)
		return time.Since(began).Seconds(), err
	}
	if d.RestartBothS, err = again(func() error { return r.StopRedis(ctx) }); err != nil {
		return err
	}
	if d.RestartS, err = again(func() error { return nil }); err != nil {
		return err
	}
	o.Say("started again in %.1f s, with its Redis in %.1f s", d.RestartS, d.RestartBothS)
	pid, err := r.RedisPID()
	if err != nil {
		return err
	}
	redis, _, err := rig.Resident(pid)
	if err != nil {
		return err
	}
	engine, _, err := rig.Resident(r.EnginePID())
	d.RedisBytes, d.EngineBytes = redis*(1<<20)/float64(d.People), engine*(1<<20)/float64(d.People)
	return err
}

func (d *Directory) preview(ctx context.Context, o Options, r *rig.Rig) error {
	conn, err := r.As(rig.Commander)
	if err != nil {
		return err
	}
	api := pb.NewWarningServiceClient(conn)
	look := func(areas func(n int) []*pb.Area) (Times, int64, error) {
		var ms []float64
		var people int64
		for n := range previews {
			spec := rig.WithText(rig.Rainstorm(pb.Tier_TIER_ORANGE, "", "", areas(n)...), fmt.Sprintf("【演练】预览%02d", n))
			began := time.Now()
			p, err := api.Preview(ctx, &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: spec}})
			if err != nil {
				return Times{}, 0, err
			}
			ms = append(ms, float64(time.Since(began).Microseconds())/1000)
			people = p.GetPeople()
		}
		return timesOf(ms, 0), people, nil
	}
	if d.PreviewAll, _, err = look(func(n int) []*pb.Area {
		all := rig.AllUnits()
		return append(all[n:], all[:n]...)
	}); err != nil {
		return err
	}
	if d.PreviewDrawn, d.DrawnPeople, err = look(outline); err != nil {
		return err
	}
	o.Say("previewed everybody in %.0f ms, an outline in %.0f ms", d.PreviewAll.P50, d.PreviewDrawn.P50)
	return nil
}

// outline is a winding line of 10,000 corners around the middle of the city, which begins at the nth.
func outline(n int) []*pb.Area {
	const corners = 10_000
	var ring pb.Ring
	for i := range corners + 1 {
		angle := 2 * math.Pi * float64((i+n)%corners) / corners
		away := 0.3 * (1 + 0.2*math.Sin(7*angle) + 0.02*math.Sin(corners/20*angle))
		ring.Points = append(ring.Points, &pb.Point{Lon: 106.6 + away*math.Cos(angle), Lat: 29.6 + away*math.Sin(angle)})
	}
	return []*pb.Area{{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Parts: []*pb.Polygon{{Rings: []*pb.Ring{&ring}}}, Crs: "wgs84"}}}}
}

// reads is how long somebody reads what they approve: nobody is faster.
const reads = 5 * time.Second

// plans plans for half of the people, in order, and for everybody.
func (d *Directory) plans(ctx context.Context, o Options, r *rig.Rig) error {
	half, err := halfOf(ctx, r)
	if err != nil {
		return err
	}
	spec := rig.Rainstorm(pb.Tier_TIER_RED, "半市", "half of the districts", half...)
	spec.Focus = &pb.Focus{Points: []*pb.Point{{Lon: 106.6, Lat: 29.6}}, Crs: "wgs84"}
	if err := d.Half.plan(ctx, o, r, spec); err != nil {
		return err
	}
	return d.Everybody.plan(ctx, o, r, rig.Rainstorm(pb.Tier_TIER_RED, "全市", "all districts", rig.AllUnits()...))
}

// halfOf is the first districts in which half of the people live.
func halfOf(ctx context.Context, r *rig.Rig) ([]*pb.Area, error) {
	conn, err := r.As(rig.Commander)
	if err != nil {
		return nil, err
	}
	stats, err := pb.NewDirectoryServiceClient(conn).Stats(ctx, &pb.StatsRequest{})
	if err != nil {
		return nil, err
	}
	living := map[string]int64{}
	for _, u := range stats.GetUnits() {
		living[u.GetCode()] = u.GetPeople()
	}
	all, people := rig.AllUnits(), int64(0)
	for i, a := range all {
		if people += living[a.GetUnit()]; 2*people >= stats.GetPeople() {
			return all[:i+1], nil
		}
	}
	return all, nil
}

// plan releases a warning in a fresh engine, and cancels it when its first messages have arrived.
func (d *Planned) plan(ctx context.Context, o Options, r *rig.Rig, spec *pb.WarningSpec) error {
	r.StopEngine()
	if err := r.StartEngine(ctx); err != nil {
		return err
	}
	pid := r.EnginePID()
	if err := rig.ForgetPeak(pid); err != nil {
		return err
	}
	before, _, err := rig.Resident(pid)
	if err != nil {
		return err
	}
	w, preview, err := r.Submit(ctx, spec)
	if err != nil {
		return err
	}
	pauseFor(ctx, reads)
	w, sent, err := r.ApproveLarge(ctx, w, preview.GetPeople())
	if err != nil {
		return err
	}
	err = r.Follow(ctx, w.GetId(), 50*time.Millisecond, func(p *pb.WatchResponse) bool {
		if d.S == 0 && p.GetPlanned() {
			d.S = time.Since(sent).Seconds()
		}
		var planned, waiting int64
		for _, l := range p.GetLanes() {
			planned, waiting = planned+l.GetPlanned(), waiting+l.GetWaiting()
		}
		d.People = planned
		return !p.GetPlanned() || planned == waiting
	})
	if err != nil {
		return err
	}
	_, most, err := rig.Resident(pid)
	if err != nil {
		return err
	}
	d.MemoryMB = most - before
	if err := r.Cancel(ctx, w.GetId()); err != nil {
		return err
	}
	r.StopEngine()
	pauseFor(ctx, flushed)
	first := time.Time{}
	for _, a := range o.Rig.Accounts {
		at, err := firstArrival(r.Log(a.Name), sent)
		if err != nil {
			return err
		}
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		d.FirstMS = float64(first.Sub(sent).Microseconds()) / 1000
	}
	o.Say("planned %d people in %.2f s with %.0f MB, the first message came after %.1f ms", d.People, d.S, d.MemoryMB, d.FirstMS)
	return nil
}

// flushed is when a carrier's log holds what came to it: it is flushed each 50 ms.
const flushed = 200 * time.Millisecond

// firstArrival is when the first message came to a carrier after a time; zero where none did.
func firstArrival(path string, after time.Time) (first time.Time, err error) {
	f, err := os.Open(path)
	if err != nil {
		return first, err
	}
	defer f.Close()
	lines := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		if err := lines.Next(&l); errors.Is(err, io.EOF) {
			return first, nil
		} else if err != nil {
			return first, err
		}
		if at := time.Unix(0, l.Time); l.Event == carrierlog.Submit && at.After(after) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
}

// judge says what is not as asked. Time grows with people, so each is asked in proportion where there are more.
func (d *Directory) judge() {
	above := func(what string, is, most float64) {
		if is > most {
			d.Why = append(d.Why, fmt.Sprintf("%s: %.4g, asked are at most %.4g", what, is, most))
		}
	}
	if d.ImportRows < leastImport {
		d.Why = append(d.Why, fmt.Sprintf("import of %.0f rows/s, asked are %d", d.ImportRows, leastImport))
	}
	if d.People >= planPeople { // where fewer live, most memory is not theirs
		above("bytes a person in Redis", d.RedisBytes, 60)
		above("bytes a person in the engine", d.EngineBytes, 40)
	}
	above("seconds of a start", d.RestartS, mostRestart)
	above("seconds of a start with Redis", d.RestartBothS, mostRestartBoth)
	above("ms of a preview of everybody", d.PreviewAll.Max, mostPreview)
	above("ms of a preview of an outline", d.PreviewDrawn.Max, mostPreview)
	for _, p := range []*Planned{&d.Half, &d.Everybody} {
		above(fmt.Sprintf("seconds of a plan for %d", p.People), p.S, mostPlan*max(1, float64(p.People)/planPeople))
		above(fmt.Sprintf("ms to the first message to %d", p.People), p.FirstMS, mostFirst)
		above(fmt.Sprintf("MB of a plan for %d", p.People), p.MemoryMB, mostPlanMemory)
		if p.FirstMS == 0 {
			d.Why = append(d.Why, fmt.Sprintf("no message to %d people arrived", p.People))
		}
	}
	d.OK = len(d.Why) == 0
}
