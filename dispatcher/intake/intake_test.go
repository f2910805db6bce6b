package intake

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine stands in for the engine: it remembers what it was asked and answers what it is told to.
type engine struct {
	Acts
	Looks

	mu        sync.Mutex
	submitted dispatcher.Submission
	by        dispatcher.Caller
	approved  string
	fail      error
	progress  []dispatcher.Progress // one a look; the last one stays
	rows      int
	changes   []warning.Change
	ended     error // of an import's stream
}

func (e *engine) Submit(_ context.Context, c dispatcher.Caller, key string, s dispatcher.Submission) (warning.Warning, dispatcher.Preview, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.by, e.submitted = c, s
	if e.fail != nil {
		return warning.Warning{}, dispatcher.Preview{}, e.fail
	}
	w := warning.Warning{Record: 1, ID: "01J", Version: 1, Spec: s.Spec, Digest: warning.DigestOf(s.Spec), State: warning.Submitted, NationalID: s.NationalID, SourceSystem: s.SourceSystem, SourceID: s.SourceID, SubmittedBy: c.User}
	return w, dispatcher.Preview{People: 5, Digest: w.Digest, Finish: 1500 * time.Millisecond}, nil
}

func (e *engine) Approve(_ context.Context, _ dispatcher.Caller, key, id string, version int, digest string, people int64) (warning.Warning, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.approved = fmt.Sprint(key, id, version, digest, people)
	return warning.Warning{ID: id, State: warning.Released}, nil
}

func (e *engine) MissingApprovals(warning.Warning) int { return 2 }

func (e *engine) Get(context.Context, string) (warning.Warning, error) {
	panic("the engine has a fault about 99912345678")
}

func (e *engine) Progress(context.Context, string) (dispatcher.Progress, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.progress[0]
	if len(e.progress) > 1 {
		e.progress = e.progress[1:]
	}
	return p, nil
}

func (e *engine) List(context.Context, []warning.State, bool, int) ([]warning.Warning, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if over(e.progress[0].Warning.State) {
		return nil, nil
	}
	return []warning.Warning{e.progress[0].Warning}, nil
}

func (e *engine) Stats(context.Context) (Stats, error) { return Stats{}, nil }

func (e *engine) ImportState(context.Context, dispatcher.Caller, string) (int64, error) {
	return 7, nil
}

func (e *engine) Change(_ context.Context, _ dispatcher.Caller, _ string, changes []warning.Change, _ string) (Changed, error) {
	e.changes = changes
	return Changed{Snapshot: "s", Changed: int64(len(changes)), Bad: []BadRow{{Row: 1, Rule: "r"}}}, nil
}

func (e *engine) Import(_ context.Context, _ dispatcher.Caller, _ ImportHead, next func() (Rows, error)) (Imported, error) {
	for {
		rows, err := next()
		if errors.Is(err, io.EOF) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return Imported{Snapshot: "s", People: int64(e.rows), BadRows: 1, Bad: []BadRow{{Row: 1, Field: "number", Rule: "r"}}}, nil
		}
		if err != nil {
			e.mu.Lock()
			e.ended = err
			e.mu.Unlock()
			return Imported{}, err
		}
		e.mu.Lock()
		e.rows += len(rows.Number)
		e.mu.Unlock()
	}
}

const maxRequest = 1 << 20

var now = time.Date(2026, 6, 13, 12, 0, 0, 0, time.UTC)

// serve starts a server over real TLS on a free port and gives a connection to it.
func serve(t *testing.T, e *engine, h Health, change ...func(*tls.Config)) (*grpc.ClientConn, *observer.ObservedLogs) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	s, err := New(Options{
		Acts: e, Looks: e, Directory: e, Health: h,
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Caller: func(context.Context) (dispatcher.Caller, bool) {
			return dispatcher.Caller{User: "li", Role: warning.Forecaster}, true
		},
		GeoJSON: func(field string, text []byte) (warning.Area, error) {
			if !strings.HasPrefix(string(text), "{") {
				return warning.Area{}, warning.Invalid(warning.Violation{Field: field, Rule: "area.geojson", Detail: "no JSON"})
			}
			return warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{{{1, 2}, {3, 4}, {5, 6}, {1, 2}}}}}, nil
		},
		MaxRequest: maxRequest, Now: func() time.Time { return now }, Log: zap.New(core),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	client := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	for _, c := range change {
		c(client)
	}
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Stop(ctx)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn, logs
}

func goodSpec() *pb.WarningSpec {
	return &pb.WarningSpec{
		Event: "11B03", EventName: "暴雨", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Onset: timestamppb.New(now), Expires: timestamppb.New(now.Add(time.Hour)),
		Areas: []*pb.Area{
			{Where: &pb.Area_Unit{Unit: "500101"}, AsOf: timestamppb.New(now)},
			{Name: "river", Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Crs: "wgs84", Parts: []*pb.Polygon{{Rings: []*pb.Ring{{Points: []*pb.Point{{Lon: 1, Lat: 2}, {Lon: 3, Lat: 4}, {Lon: 5, Lat: 6}, {Lon: 1, Lat: 2}}}}}}}}},
			{Where: &pb.Area_Circle{Circle: &pb.Circle{Centre: &pb.Point{Lon: 107, Lat: 30}, RadiusM: 500, Crs: "gcj02"}}},
		},
		Focus:   &pb.Focus{Points: []*pb.Point{{Lon: 107, Lat: 30}, {Lon: 108, Lat: 31}}, Crs: "bd09", SpeedMPerS: 3.5, BearingDeg: 90},
		Words:   []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨"}, {Language: "en", Channel: pb.Channel_CHANNEL_SMS, Kind: pb.Type_TYPE_CANCEL, Text: "No rain"}},
		Issuers: []string{"台"}, EventId: "E", Stage: "6h", Channels: []pb.Channel{pb.Channel_CHANNEL_SMS}, Again: true,
		NationalId: "50010141600000_20260613120000_0", SourceSystem: "sys", SourceId: "message 1",
	}
}

func TestSubmitMapsEveryFieldThereAndBack(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	resp, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: goodSpec()})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(goodSpec(), resp.GetWarning().GetSpec(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if resp.GetWarning().GetApprovalsMissing() != 2 || resp.GetPreview().GetSecondsToFinish() != 1.5 || e.by.User != "li" {
		t.Errorf("got %v by %v", resp, e.by)
	}
}

// violationsIn is the fields that a status names, with their rules.
func violationsIn(t *testing.T, err error) map[string]string {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("want INVALID_ARGUMENT, got %v", err)
	}
	out := map[string]string{}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				if v.GetDescription() == "" || out[v.GetField()] != "" {
					t.Errorf("%v", v)
				}
				out[v.GetField()] = v.GetReason()
			}
		}
	}
	return out
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	spec := goodSpec()
	spec.Tier = 257 // would be red in one byte
	spec.Status, spec.Expires, spec.NationalId = 0, nil, "x"
	spec.Areas = append(spec.Areas, &pb.Area{}, &pb.Area{Where: &pb.Area_Geojson{Geojson: "no"}}, &pb.Area{Where: &pb.Area_Unit{Unit: "5"}}, &pb.Area{Where: &pb.Area_Unit{Unit: "500101"}, GeojsonCrs: "gcj02"})
	spec.Focus = &pb.Focus{Points: []*pb.Point{{}}, Crs: "mars", BearingDeg: 5}
	_, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Warning: spec})
	want := map[string]string{
		"key": "string.min_len", "warning.tier": "enum.defined_only", "warning.status": "status.missing", "warning.expires": "expires.missing",
		"warning.national_id": "national_id.form", "warning.areas[3]": "area.empty", "warning.areas[4].geojson": "area.geojson", "warning.areas[5].unit": "string.pattern",
		"warning.areas[6].geojson_crs": "area.crs", "warning.focus.crs": "area.crs", "warning.focus.bearing_deg": "focus.bearing",
	}
	got := violationsIn(t, err)
	delete(got, "warning.areas[3].where") // the contract's word for area.empty
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if e.by.User != "" {
		t.Error("the engine was asked")
	}
}

func TestARepeatIsNotRefusedForItsAge(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	spec := goodSpec()
	spec.Onset, spec.Expires = nil, timestamppb.New(now.Add(-time.Hour))
	if _, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: spec}); err != nil {
		t.Fatal(err)
	}
	spec.Issuers = nil
	_, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: spec})
	if got := violationsIn(t, err); got["warning.expires"] != "expires.past" || len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestTheContractIsCheckedForCallsWithoutSpec(t *testing.T) {
	conn, _ := serve(t, &engine{}, Health{})
	_, err := pb.NewWarningServiceClient(conn).Approve(t.Context(), &pb.ApproveRequest{Key: "k", Id: "x", Digest: "short", People: -1})
	if d := cmp.Diff(map[string]string{"version": "int32.gte", "digest": "string.pattern", "people": "int64.gte"}, violationsIn(t, err)); d != "" {
		t.Error(d)
	}
	_, err = pb.NewWarningServiceClient(conn).Preview(t.Context(), &pb.PreviewRequest{})
	if d := cmp.Diff(map[string]string{"what": "required"}, violationsIn(t, err)); d != "" {
		t.Error(d)
	}
}

func TestEveryReasonHasItsCode(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	for reason := warning.ReasonInvalid; reason <= warning.ReasonUnknownUser; reason++ {
		want, ok := answers[reason]
		if !ok {
			t.Fatalf("reason %d has no code", reason)
		}
		e.fail = fmt.Errorf("wrapped: %w", warning.Refuse(reason, "no"))
		_, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: goodSpec()})
		s := status.Convert(err)
		if s.Code() != want.code || len(s.Details()) != 1 {
			t.Fatalf("reason %d: %v", reason, err)
		}
		if info, ok := s.Details()[0].(*errdetails.ErrorInfo); !ok || info.GetReason() != want.word {
			t.Errorf("reason %d: %v", reason, s.Details())
		}
	}
}

func TestAFaultIsToldByNumberOnly(t *testing.T) {
	e := &engine{fail: errors.New("about 99912345678")}
	conn, logs := serve(t, e, Health{})
	c := pb.NewWarningServiceClient(conn)
	_, submit := c.Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: goodSpec()})
	_, get := c.Get(t.Context(), &pb.GetRequest{Id: "x"}) // panics
	for _, err := range []error{submit, get} {
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "999") {
			t.Errorf("got %v", err)
		}
		failures := logs.FilterMessage("call failed").All()
		if len(failures) != 2 || !strings.Contains(submit.Error(), failures[0].ContextMap()["failure"].(string)) {
			t.Errorf("the log has %v", failures)
		}
	}
}

func TestAnOversizedRequestNamesTheLimit(t *testing.T) {
	conn, _ := serve(t, &engine{}, Health{})
	spec := goodSpec()
	spec.EventName = strings.Repeat("x", maxRequest)
	_, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: spec})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), fmt.Sprint(maxRequest)) {
		t.Errorf("got %v", err)
	}
}

func TestNothingBelowTLS13(t *testing.T) {
	conn, _ := serve(t, &engine{}, Health{}, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	_, err := pb.NewWarningServiceClient(conn).Approve(t.Context(), &pb.ApproveRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func progressIn(state warning.State, waiting int64) dispatcher.Progress {
	var c warning.Counts
	c[warning.Waiting], c[warning.Delivered] = waiting, 30-waiting
	return dispatcher.Progress{Warning: warning.Warning{ID: "w", State: state}, Planned: true, InArea: 30, Lanes: []dispatcher.LaneCounts{{Channel: warning.SMS, Planned: 30, Counts: c, Balanced: true}}}
}

func TestWatchSendsNewsUntilTheEnd(t *testing.T) {
	released := progressIn(warning.Released, 10)
	for _, id := range []string{"w", ""} {
		e := &engine{progress: []dispatcher.Progress{released, released, released, progressIn(warning.Released, 4), progressIn(warning.Completed, 0)}}
		conn, _ := serve(t, e, Health{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stream, err := pb.NewWarningServiceClient(conn).Watch(ctx, &pb.WatchRequest{Id: id, EveryMs: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int64{10, 4, 0} {
			m, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if l := m.GetLanes()[0]; l.GetWaiting() != want || l.GetDelivered() != 30-want || !l.GetBalanced() {
				t.Errorf("want %d waiting, got %v", want, m)
			}
		}
		if id == "" {
			cancel() // who watches all goes away by himself
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) && status.Code(err) != codes.Canceled {
			t.Errorf("%q: want the end, got %v", id, err)
		}
	}
}

func TestImportTakesChunksAndRefusesUnequalColumns(t *testing.T) {
	chunk := func(n int) *pb.ImportRequest {
		return &pb.ImportRequest{Key: "k", Number: make([]uint64, n), LonE7: make([]int32, n), LatE7: make([]int32, n), Role: make([]byte, n)}
	}
	cases := []struct {
		name   string
		chunks []*pb.ImportRequest
		people int64
		field  string
	}{
		{"two chunks", []*pb.ImportRequest{chunk(3), chunk(4)}, 7, ""},
		{"nothing", nil, 0, "chunk[0]"},
		{"no key", []*pb.ImportRequest{{Number: []uint64{1}}}, 0, "key"},
		{"unequal", []*pb.ImportRequest{chunk(3), {Number: make([]uint64, 2), LonE7: make([]int32, 2), LatE7: make([]int32, 1)}}, 0, "chunk[1].lat_e7"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := serve(t, &engine{}, Health{})
			stream, err := pb.NewDirectoryServiceClient(conn).Import(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.chunks {
				if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			resp, err := stream.CloseAndRecv()
			if c.field == "" {
				if err != nil || resp.GetPeople() != c.people || resp.GetBad()[0].GetRow() != 1 {
					t.Fatalf("got %v, %v", resp, err)
				}
				return
			}
			if got := violationsIn(t, err); got[c.field] == "" {
				t.Errorf("want %s, got %v", c.field, got)
			}
		})
	}
}

func TestChangesOfPeople(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	api := pb.NewDirectoryServiceClient(conn)
	lon, lat, duty := int32(1), int32(-2), uint32(1)
	erase := &pb.PersonChange{Number: 5, What: &pb.PersonChange_Erase_{Erase: &pb.PersonChange_Erase{}}}
	r, err := api.Change(t.Context(), &pb.ChangeRequest{Key: "k", Why: "asked by letter", Changes: []*pb.PersonChange{
		{Number: 1, What: &pb.PersonChange_Put{Put: &pb.Person{LonE7: &lon, LatE7: &lat, Role: &duty}}},
		{Number: 2, What: &pb.PersonChange_Subscribed{Subscribed: false}},
		{Number: 3, What: &pb.PersonChange_Subscribed{Subscribed: true}},
		{Number: 4}, erase,
	}})
	if err != nil || r.GetChanged() != 5 || r.GetBad()[0].GetRow() != 1 {
		t.Fatal(r, err)
	}
	one := uint8(1)
	want := []warning.Change{
		{Number: 1, Deed: warning.DeedPut, Lon: &lon, Lat: &lat, Duty: &one}, {Number: 2, Deed: warning.DeedUnsubscribe},
		{Number: 3, Deed: warning.DeedResubscribe}, {Number: 4}, {Number: 5, Deed: warning.DeedErase},
	}
	if d := cmp.Diff(want, e.changes); d != "" {
		t.Error(d)
	}
	for field, r := range map[string]*pb.ChangeRequest{
		"why":                     {Key: "k", Changes: []*pb.PersonChange{erase}},
		"key":                     {Changes: []*pb.PersonChange{{Number: 1}}},
		"changes":                 {Key: "k"},
		"changes[0].put.language": {Key: "k", Changes: []*pb.PersonChange{{Number: 1, What: &pb.PersonChange_Put{Put: &pb.Person{Language: proto.Uint32(256)}}}}},
	} {
		_, err := api.Change(t.Context(), r)
		if got := violationsIn(t, err); got[field] == "" {
			t.Errorf("want %s, got %v", field, got)
		}
	}
	if r, err := api.ImportState(t.Context(), &pb.ImportStateRequest{Key: "k"}); err != nil || r.GetRows() != 7 {
		t.Error(r, err)
	}
}

func TestAnImportThatBreaksOffIsNoEnd(t *testing.T) {
	e := &engine{}
	conn, _ := serve(t, e, Health{})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := pb.NewDirectoryServiceClient(conn).Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.ImportRequest{Key: "k", Number: []uint64{1}, LonE7: []int32{1}, LatE7: []int32{1}}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := stream.RecvMsg(&pb.ImportResponse{}); status.Code(err) != codes.Canceled { // CloseAndRecv would end the stream in order
		t.Fatalf("got %v", err)
	}
	until(t, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.ended != nil && !errors.Is(e.ended, io.EOF) || e.rows == 0
	})
}

// until polls without sleeping longer than it must.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it did not happen within 10 s")
		}
	}
}

func TestThreeHealths(t *testing.T) {
	well := func(context.Context) error { return nil }
	ill := func(context.Context) error { return errors.New("behind") }
	conn, _ := serve(t, &engine{}, Health{Intake: well, Dispatch: ill, Live: well})
	c := healthpb.NewHealthClient(conn)
	for name, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"": healthpb.HealthCheckResponse_SERVING, "intake": healthpb.HealthCheckResponse_SERVING,
		"dispatch": healthpb.HealthCheckResponse_NOT_SERVING, "live": healthpb.HealthCheckResponse_SERVING,
	} {
		r, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || r.GetStatus() != want {
			t.Errorf("%q: %v, %v", name, r, err)
		}
	}
	if _, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
}

// TestEnumsAgree keeps the numbers of the contract and of package warning the same, by name.
func TestEnumsAgree(t *testing.T) {
	for prefix, names := range map[string]map[int32]string{
		"TIER_": pb.Tier_name, "STATUS_": pb.Status_name, "TYPE_": pb.Type_name, "CHANNEL_": pb.Channel_name, "STATE_": pb.State_name,
	} {
		for number, name := range names {
			if number == 0 {
				continue
			}
			var got fmt.Stringer
			switch n := uint8(number); prefix {
			case "TIER_":
				got = warning.Tier(n)
			case "STATUS_":
				got = warning.Status(n)
			case "TYPE_":
				got = warning.Type(n)
			case "CHANNEL_":
				got = warning.Channel(n)
			case "STATE_":
				got = warning.State(n)
			}
			if want := strings.ToLower(strings.TrimPrefix(name, prefix)); got.String() != want {
				t.Errorf("%s is %s", name, got)
			}
		}
	}
}

func TestEveryStateOfAPersonIsInTheContract(t *testing.T) {
	var c warning.Counts
	for i := range c {
		c[i] = int64(1) << i
	}
	m := lanesTo([]dispatcher.LaneCounts{{Counts: c}})[0]
	for i := range c {
		name := warning.PersonState(i).String()
		f := m.ProtoReflect().Descriptor().Fields().ByTextName(name)
		if f == nil || m.ProtoReflect().Get(f).Int() != c[i] {
			t.Errorf("%s is not %d", name, c[i])
		}
	}
	if proto.Size(m) == 0 {
		t.Error("nothing was mapped")
	}
}
