package wiring

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/dispatcher/identity"
	"tocsin/loadtest/carrier"
	"tocsin/loadtest/carrierlog"
	pb "tocsin/proto/tocsin/v1"
)

// handed is one message as a carrier's log has it.
type handed struct {
	at int64 // ns since 1970
	to uint64
}

// linesOf is what a carrier's log has of an event.
func linesOf(t *testing.T, path string, event carrierlog.Event, line func(*carrierlog.Line)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if l.Event == event {
			line(&l)
		}
	}
}

// messagesIn is what the carriers accepted, in the order of time.
func messagesIn(t *testing.T, logs ...string) (all []handed) {
	t.Helper()
	for _, path := range logs {
		linesOf(t, path, carrierlog.Submit, func(l *carrierlog.Line) {
			if l.Accepted() {
				all = append(all, handed{l.Time, l.To})
			}
		})
	}
	slices.SortFunc(all, func(a, b handed) int { return int(a.at - b.at) })
	return all
}

// boundIn is how many links of a carrier are bound.
func boundIn(t *testing.T, log string) int {
	t.Helper()
	bound := map[int]bool{}
	linesOf(t, log, carrierlog.Bind, func(l *carrierlog.Line) {
		if l.Status == 0 {
			bound[l.Link] = true
		}
	})
	linesOf(t, log, carrierlog.Unbind, func(l *carrierlog.Line) { delete(bound, l.Link) })
	return len(bound)
}

// mostInASecond is the most of them in any second that ends after a time.
func mostInASecond(all []handed, after int64) (most int) {
	from := 0
	for i := range all {
		for all[i].at-all[from].at >= int64(time.Second) {
			from++
		}
		if all[i].at > after {
			most = max(most, i-from+1)
		}
	}
	return most
}

// inTown brings people in who all are at home in one place.
func inTown(t *testing.T, conn *grpc.ClientConn, people int) {
	t.Helper()
	stream, err := pb.NewDirectoryServiceClient(conn).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := &pb.ImportRequest{
		Key: "people", Role: make([]byte, people), Language: make([]byte, people), Flags: make([]byte, people), Seen: make([]uint32, people),
	}
	for i := range uint64(people) {
		rows.Number, rows.LonE7, rows.LatE7 = append(rows.Number, 9991_000000000+i), append(rows.LonE7, 108_4000000), append(rows.LatE7, 30_8000000)
		rows.Home = append(rows.Home, 500101)
	}
	if err := stream.Send(rows); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
}

// townWarning is a warning for who is there.
func townWarning() *pb.WarningSpec {
	return &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
		Areas: []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}},
		Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "【演练】暴雨橙色预警"}},
	}
}

// TestAReloadUnderLoad changes rate, links and accounts while a warning leaves; the carriers' logs judge. The guard is wide,
// because the log's times are those of a machine that is shared with other tests.
func TestAReloadUnderLoad(t *testing.T) {
	const people, rate, lower, guard = 3000, 400, 200, 300 * time.Millisecond
	const trip = 800 * time.Millisecond // windows are open at any moment
	slow := func(c *carrier.Config) { c.RoundTrip = trip }
	first, firstLog := carries(t, slow)
	second, secondLog := carries(t, slow, func(c *carrier.Config) { c.SystemID, c.Password = "second", "other" })
	third, thirdLog := carries(t, func(c *carrier.Config) { c.Name = "unicom" })

	dir, token := house(t, first.Address())
	path := filepath.Join(dir, ConfigFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.NewReplacer("rate: 1500", fmt.Sprintf("rate: %d, guard: %s, timers: {bind: 2s}", rate, guard), "links: 2, window: 10", "links: 3, window: 100").Replace(string(b))
	write(t, path, base)
	write(t, filepath.Join(dir, "second.password"), "other\n")
	address, _ := serving(t, dir)
	tokens := map[string]string{}
	inHouse(t, dir, func(h *House) {
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	eng := as(t, dir, address, token)
	inTown(t, eng, people)
	houseAPI, channelAPI := pb.NewHouseServiceClient(eng), pb.NewChannelServiceClient(eng)
	key := 0
	reload := func(text string) (*pb.ReloadResponse, error) {
		t.Helper()
		write(t, path, text)
		key++
		return houseAPI.Reload(t.Context(), &pb.ReloadRequest{Key: fmt.Sprint("r", key)})
	}
	reloaded := func(text string) *pb.ReloadResponse {
		t.Helper()
		r, err := reload(text)
		if err != nil || !r.GetApplied() || r.GetNode() != "n1" || r.GetBefore() == r.GetAfter() {
			t.Fatalf("got %v, %v", r, err)
		}
		return r
	}

	sent, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["fang"])).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: townWarning()})
	if err != nil {
		t.Fatal(err)
	}
	w, api := sent.GetWarning(), pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"]))
	if _, err := api.Approve(t.Context(), &pb.ApproveRequest{Key: "a", Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	until(t, "sending", func() bool { return len(messagesIn(t, firstLog)) >= rate })

	// What cannot be changes nothing.
	for _, c := range []struct{ from, to, says string }{
		{"channels: [sms]", "channels: [flash_sms]", "people wait at account mobile"},
		{"name: mobile", `name: unicom, prefixes: ["9990"]`, ""}, // twice the same key: the file is faulty
		{`name: mobile, protocol: smpp, address: "` + first.Address(), `name: other, protocol: smpp, address: "` + third.Address(), ""},
		{"system_id: tocsin", "system_id: nobody", "no link of account mobile can be bound"},
	} {
		text := strings.Replace(base, c.from, c.to, 1)
		if c.to[:len("name: o")] == "name: o" {
			text, c.says = strings.Replace(text, `prefixes: ["999"]`, `prefixes: ["9990"]`, 1), "people wait at account mobile and no other account may carry them"
		}
		if r, err := reload(strings.Replace(text, "rate: 400", "rate: 999", 1)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, %v", c.to, r, err)
		}
	}

	// A lower rate holds from the answer on.
	slower := strings.Replace(base, "rate: 400", fmt.Sprintf("rate: %d", lower), 1)
	reloaded(slower)
	lowered := time.Now().UnixNano()
	sentFirst := len(messagesIn(t, firstLog))
	until(t, "sending at the lower rate", func() bool { return len(messagesIn(t, firstLog)) >= sentFirst+lower*3/2 })

	// The links move to another address with another login, while windows are open.
	moved := strings.NewReplacer(first.Address(), second.Address(), "system_id: tocsin", "system_id: second", "password_env: TOCSIN_TEST", "password_file: ./second.password", "links: 3", "links: 2").Replace(slower)
	for _, c := range reloaded(moved).GetChanges() {
		if c.GetTakes() != "new_links" {
			t.Errorf("%s takes %s", c.GetKey(), c.GetTakes())
		}
	}
	swapped := time.Now()
	until(t, "sending to the new address", func() bool { return len(messagesIn(t, secondLog)) >= lower })
	until(t, "the end of the old links", func() bool { return boundIn(t, firstLog) == 0 })

	// The account goes, and another takes its numbers and who waits.
	began := time.Now()
	other := strings.NewReplacer("name: mobile", "name: unicom", second.Address(), third.Address(), "system_id: second", "system_id: tocsin", "password_file: ./second.password", "password_env: TOCSIN_TEST", fmt.Sprintf("rate: %d", lower), "rate: 1000").Replace(moved)
	if r := reloaded(other); len(r.GetLeaving()) != 1 || r.GetLeaving()[0].GetAccount() != "mobile" || r.GetLeaving()[0].GetPeople() == 0 {
		t.Errorf("who leaves: %v", r.GetLeaving())
	}
	until(t, "completion", func() bool {
		g, err := api.Get(t.Context(), &pb.GetRequest{Id: w.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return g.GetWarning().GetState() == pb.State_STATE_COMPLETED
	})
	until(t, "the end of the old account", func() bool {
		list, err := channelAPI.List(t.Context(), &pb.ListChannelsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.GetAccounts()) == 1 && list.GetAccounts()[0].GetName() == "unicom" && boundIn(t, secondLog) == 0
	})

	if m := messagesIn(t, firstLog); m[len(m)-1].at < swapped.Add(-trip).UnixNano() {
		t.Error("no window was open when the links were replaced")
	}
	got := map[uint64]int{}
	for _, m := range messagesIn(t, firstLog, secondLog, thirdLog) {
		got[m.to]++
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%d got it %d times", to, n)
		}
	}
	if len(got) != people {
		t.Errorf("%d people got it, want %d", len(got), people)
	}
	old := messagesIn(t, firstLog, secondLog)
	if n := mostInASecond(old, 0); n > rate {
		t.Errorf("%d in a second, want at most %d", n, rate)
	}
	// A second that ends later than one after the answer lies under the lower rate alone.
	if n := mostInASecond(old, lowered+int64(time.Second+guard)); n > lower || n < lower/2 {
		t.Errorf("%d in a second at the lower rate, want at most %d and nearly that", n, lower)
	}
	replaced := messagesIn(t, thirdLog)
	if n := mostInASecond(replaced, 0); n > 1000 {
		t.Errorf("%d in a second at the new account", n)
	}
	if len(replaced) == 0 || replaced[0].at-began.UnixNano() < int64(time.Second+guard) {
		t.Errorf("the new owner sent at once, or nothing: %d messages", len(replaced))
	}
	r, err := api.Report(t.Context(), &pb.ReportRequest{Id: w.GetId()})
	if err != nil || r.GetAddressable() != people || r.GetDelivered()+r.GetHandedOver() != people || len(r.GetLanes()) != 1 || r.GetLanes()[0].GetPossibleRepeats() != 0 {
		t.Errorf("the report says %v, %v", r, err)
	}
}

// TestAReloadShowsAnotherCertificate while a client streams: its connection goes on, a new one sees the new certificate.
func TestAReloadShowsAnotherCertificate(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	var forecaster string
	var err error
	inHouse(t, dir, func(h *House) {
		if forecaster, err = h.AddUser(t.Context(), "fang", "forecaster", 0); err != nil {
			t.Fatal(err)
		}
	})
	eng, fang := as(t, dir, address, token), pb.NewWarningServiceClient(as(t, dir, address, forecaster))
	inTown(t, eng, 10)
	sent, err := fang.Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: townWarning()})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := fang.Watch(t.Context(), &pb.WatchRequest{Id: sent.GetWarning().GetId(), EveryMs: 50})
	if err != nil {
		t.Fatal(err)
	}
	goesOn := func() {
		t.Helper()
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	goesOn()
	api := pb.NewHouseServiceClient(eng)
	certFile, keyFile := filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	before := shownBy(t, dir, address)
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := identity.NewAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := authority.Issue("server", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, string(key)) // of the old certificate
	if r, err := api.Reload(t.Context(), &pb.ReloadRequest{Key: "wrong"}); err == nil || shownBy(t, dir, address) != before {
		t.Errorf("a key of another certificate: %v, %v", r, err)
	}
	write(t, keyFile, string(fresh))
	s, err := api.Status(t.Context(), &pb.StatusRequest{})
	if err != nil || !s.GetConfig().GetChanged() {
		t.Errorf("status does not see that %s is not the one that is shown: %v", filepath.Base(certFile), err)
	}
	r, err := api.Reload(t.Context(), &pb.ReloadRequest{Key: "right"})
	if err != nil || !r.GetApplied() || len(r.GetChanges()) != 1 || r.GetChanges()[0].GetKey() != "tls.certificate" {
		t.Errorf("got %v, %v", r, err)
	}
	if shownBy(t, dir, address) == before {
		t.Error("a new connection sees the old certificate")
	}
	goesOn()
	goesOn()
}

// shownBy is the serial number of the certificate that a new connection sees.
func shownBy(t *testing.T, dir, address string) string {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := identity.ClientTLS(ca)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", address, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
