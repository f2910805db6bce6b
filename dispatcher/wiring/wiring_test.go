package wiring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/geofence"
	"tocsin/loadtest/carrier"
	pb "tocsin/proto/tocsin/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house makes a house with one simulated carrier, and answers its directory and the first user's token. Its own Redis
// is stopped at the end.
func house(t testing.TB, address string) (dir, token string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, ConfigFile), fmt.Sprintf(`realm: test
node: n1
data: ./data
listen: 127.0.0.1:0
tls: {certificate: ./server.pem, key: ./server.key}
keys: {data: ./data.key, seal: ./seal.key}
accounts:
  - {name: mobile, protocol: smpp, address: %q, links: 2, window: 10, system_id: tocsin, password_env: TOCSIN_TEST, source: "106900000000", rate: 1500, channels: [sms], prefixes: ["999"], kind: simulated}
`, address))
	t.Setenv("TOCSIN_TEST", "secret")
	made, err := Init(t.Context(), NewHouse{Dir: dir, Hosts: []string{"127.0.0.1"}, User: "eng", Role: "engineer"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := StopRedis(ctx, cfg, zap.NewNop()); err != nil {
			t.Error(err)
		}
	})
	return dir, made.Token
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// until polls until ok, or fails.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s did not happen in time", what)
		}
	}
}

// serving runs an engine over the house and answers its address; stop ends it and wants no error.
func serving(t testing.TB, dir string) (address string, stop func()) {
	t.Helper()
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, cfg, zap.New(core)) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	until(t, "serving", func() bool {
		for _, e := range logs.FilterMessage("serving").All() {
			address, _ = e.ContextMap()["address"].(string)
		}
		return address != ""
	})
	return address, stop
}

// as is a connection of a user with this token.
func as(t testing.TB, dir, address, token string) *grpc.ClientConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, token)
	conn, err := Server{Address: address, CAFile: filepath.Join(dir, "ca.pem"), TokenFile: path}.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// importPeople brings synthetic people in.
func importPeople(t *testing.T, conn *grpc.ClientConn, key string, n int) *pb.ImportResponse {
	t.Helper()
	people, err := geofence.Synth(n, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := pb.NewDirectoryServiceClient(conn).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range people.Chunks(1000) {
		if err := stream.Send(&pb.ImportRequest{Key: key, Number: p.Number, LonE7: p.Lon, LatE7: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// carries runs a simulated carrier with these changes, and answers it and its log.
func carries(t *testing.T, changes ...func(*carrier.Config)) (c *carrier.Carrier, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "mobile.jsonl")
	cfg := carrier.Default()
	cfg.Name, cfg.Listen, cfg.Log, cfg.SystemID, cfg.Password = "mobile", "127.0.0.1:0", log, "tocsin", "secret"
	for _, change := range changes {
		change(&cfg)
	}
	c, err := carrier.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	carried := make(chan error, 1)
	go func() { carried <- c.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-carried; err != nil {
			t.Error(err)
		}
	})
	return c, log
}

// TestOneWarningThroughTheHouse goes the whole way: init, serve, users, import, submit, approve, watch, report, a
// restart, and the record of acts.
func TestOneWarningThroughTheHouse(t *testing.T) {
	c, _ := carries(t)
	dir, token := house(t, c.Address())
	address, stop := serving(t, dir)

	tokens := map[string]string{"eng": token}
	inHouse(t, dir, func(h *House) {
		var err error
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	eng := as(t, dir, address, tokens["eng"])
	imported := importPeople(t, eng, "i1", 5000)
	if again := importPeople(t, eng, "i1", 5000); again.GetSnapshot() != imported.GetSnapshot() || again.GetPeople() != 5000 {
		t.Errorf("a repeat answered %v", again)
	}
	id := warn(t, as(t, dir, address, tokens["fang"]), as(t, dir, address, tokens["ma"]))

	report := func(address string) *pb.ReportResponse {
		r, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"])).Report(t.Context(), &pb.ReportRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := report(address)
	if before.GetAddressable() == 0 || before.GetWaiting() != 0 || before.GetDelivered()+before.GetHandedOver() != before.GetAddressable() {
		t.Errorf("got %v", before)
	}
	stop()
	address, stop = serving(t, dir)
	if after := report(address); after.GetInArea() != before.GetInArea() || after.GetAddressable() != before.GetAddressable() {
		t.Errorf("after a restart: %v", after)
	}
	st, err := pb.NewDirectoryServiceClient(as(t, dir, address, tokens["ma"])).Stats(t.Context(), &pb.StatsRequest{})
	if err != nil || st.GetPeople() != 5000 || st.GetImportedAt() == nil {
		t.Errorf("got %v, %v", st, err)
	}
	stop()
	inHouse(t, dir, func(h *House) {
		r, err := h.VerifyAudit(t.Context())
		if err != nil || !r.OK() || r.Entries < 6 || r.Sealed != r.Entries {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func inHouse(t *testing.T, dir string, do func(*House)) {
	t.Helper()
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	do(h)
}

// warn submits, approves and watches one warning to its end.
func warn(t *testing.T, forecaster, approver *grpc.ClientConn) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sent, err := pb.NewWarningServiceClient(forecaster).Submit(ctx, &pb.SubmitRequest{Key: "k", Warning: &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
		Areas: []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}, {Where: &pb.Area_Geojson{Geojson: `{"type":"Polygon","coordinates":[[[106.5,29.5],[106.6,29.5],[106.6,29.6],[106.5,29.6],[106.5,29.5]]]}`}}},
		Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨橙色预警"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := sent.GetWarning()
	api := pb.NewWarningServiceClient(approver)
	if _, err := api.Approve(ctx, &pb.ApproveRequest{Key: "a", Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	stream, err := api.Watch(ctx, &pb.WatchRequest{Id: w.GetId(), EveryMs: 50})
	if err != nil {
		t.Fatal(err)
	}
	last := &pb.WatchResponse{}
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = p
	}
	if last.GetWarning().GetState() != pb.State_STATE_COMPLETED {
		t.Errorf("ended as %v", last)
	}
	return w.GetId()
}

func TestAHouseIsMadeOnceAndServedOnce(t *testing.T) {
	dir, _ := house(t, "127.0.0.1:1")
	for _, wrong := range []NewHouse{{Realm: "No", User: "y", Role: "viewer"}, {Realm: "x", User: "y", Role: "boss"}} {
		wrong.Dir = t.TempDir()
		if _, err := Init(t.Context(), wrong, zap.NewNop()); err == nil {
			t.Errorf("%+v was made", wrong)
		}
		if left, err := os.ReadDir(wrong.Dir); err != nil || len(left) > 0 {
			t.Errorf("%v was left behind (%v)", left, err)
		}
	}
	if _, err := Init(t.Context(), NewHouse{Dir: dir, Realm: "x", User: "y", Role: "viewer"}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "made once") {
		t.Errorf("got %v", err)
	}
	address, _ := serving(t, dir)
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "in use by another engine") {
		t.Errorf("a second engine: %v", err)
	}
	if err := StopRedis(t.Context(), cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "engine still works") {
		t.Errorf("stop under an engine: %v", err)
	}
	_, foreign := house(t, "127.0.0.1:1")
	conn := as(t, dir, address, foreign)
	if _, err := pb.NewWarningServiceClient(conn).List(t.Context(), &pb.ListRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "live"}); err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(cfg.Data, demoMark), "")
	if err := Serve(t.Context(), cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "demonstration") {
		t.Errorf("a demonstration's directory: %v", err)
	}
}

func TestInitWritesAConfigurationToFillIn(t *testing.T) {
	got := NewHouse{Realm: "north"}.fill(ExampleConfig())
	for _, want := range []string{"realm: north ", "./server.pem"} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("no %q in it", want)
		}
	}
}

func TestEpochsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), epochsFile)
	e, err := openEpochs(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a", "b", "a"} {
		if err := e.SetEpoch(name, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if e, err = openEpochs(path); err != nil || e.Epoch("a") != 3 || e.Epoch("b") != 2 || e.Epoch("c") != 0 {
		t.Errorf("got %v, %v", e, err)
	}
	write(t, path, "{")
	if _, err := openEpochs(path); err == nil {
		t.Error("a broken file passed")
	}
	if err := (&epochs{path: filepath.Join(path, "no"), last: map[string]uint64{}}).SetEpoch("a", 9); err == nil {
		t.Error("a write that failed was taken as kept")
	}
}

func TestTheGateKeepsOutWhatCannotBeKept(t *testing.T) {
	var g gate
	submit, approve, hold := pb.WarningService_Submit_FullMethodName, pb.WarningService_Approve_FullMethodName, pb.WarningService_Hold_FullMethodName
	want := func(when string, codesOf map[string]codes.Code) {
		t.Helper()
		for method, code := range codesOf {
			if err := g.admit(method); status.Code(err) != code {
				t.Errorf("%s: %s: %v", when, method, err)
			}
		}
	}
	want("well", map[string]codes.Code{submit: codes.OK, approve: codes.OK, hold: codes.OK})
	shut(&g.full, "1 MB left")
	want("full", map[string]codes.Code{submit: codes.ResourceExhausted, approve: codes.OK, hold: codes.OK})
	shut(&g.volatile, "appendfsync everysec")
	want("volatile", map[string]codes.Code{submit: codes.Unavailable, approve: codes.Unavailable, hold: codes.OK})
	done := false
	stop := func() error {
		_, err := g.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: hold}, func(context.Context, any) (any, error) { done = true; return "ok", nil })
		return err
	}
	if err := stop(); !done || status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "it is stopped now") {
		t.Errorf("a stop that may be forgotten: done %v, %v", done, err)
	}
	shut(&g.full, "")
	shut(&g.volatile, "")
	if err := stop(); err != nil {
		t.Error(err)
	}
	want("well again", map[string]codes.Code{submit: codes.OK})
}

func TestEveryCallSaysWhatItDoesWithTheStore(t *testing.T) {
	known := map[string]bool{}
	for _, s := range []*grpc.ServiceDesc{
		&pb.WarningService_ServiceDesc, &pb.AuthorityService_ServiceDesc, &pb.HouseService_ServiceDesc, &pb.DirectoryService_ServiceDesc, &pb.ChannelService_ServiceDesc,
	} {
		for _, m := range s.Methods {
			known["/"+s.ServiceName+"/"+m.MethodName] = true
		}
		for _, m := range s.Streams {
			known["/"+s.ServiceName+"/"+m.StreamName] = true
		}
	}
	for m := range known {
		if uses[m] == 0 {
			t.Errorf("%s has no row in uses", m)
		}
	}
	for m := range uses {
		if !known[m] {
			t.Errorf("uses has a row for %s, which no service has", m)
		}
	}
}

func TestGeoJSONFaultsNameTheRequestsField(t *testing.T) {
	_, err := geoJSON("warning.areas[2].geojson", []byte(`{"type":"Feature"}`))
	if err == nil || !strings.HasPrefix(err.Error(), "warning.areas[2].geojson.geometry: ") {
		t.Errorf("got %v", err)
	}
}

// TestIntakeStopsWhenTheStoreForgets changes a setting of the running Redis, as somebody might by mistake (promise 1).
func TestIntakeStopsWhenTheStoreForgets(t *testing.T) {
	dir, _ := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	inHouse(t, dir, func(h *House) {
		token, err := h.AddUser(t.Context(), "fang", "forecaster", 0)
		if err != nil {
			t.Fatal(err)
		}
		conn := as(t, dir, address, token)
		serves := func() bool {
			r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "intake"})
			return err == nil && r.GetStatus() == healthpb.HealthCheckResponse_SERVING
		}
		submit := func() error {
			_, err := pb.NewWarningServiceClient(conn).Submit(t.Context(), &pb.SubmitRequest{})
			return err
		}
		until(t, "intake", serves)
		if err := submit(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("while all is well: %v", err)
		}
		if err := h.client.ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
			t.Fatal(err)
		}
		until(t, "the stop of intake", func() bool { return !serves() })
		if err := submit(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "appendfsync always") {
			t.Errorf("the line to mend is missing: %v", err)
		}
		if err := h.client.ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
			t.Fatal(err)
		}
		until(t, "intake again", serves)
	})
}
