package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	unit = "500101000000"
	id   = "01K0ZB6T8Q4M2N7V5XW9R3CDEF"
)

// good is a message that keeps all rules.
func good(now time.Time) packets.Packet {
	payload := `{"format":1,"id":"` + id + `-1-17","status":"exercise","drill":true,"type":"alert","warning":"` + id +
		`","version":1,"serial":17,"tier":"red","event":"11B03","text":"演练","issued":"2026-06-12T08:00:00Z","expires":"` +
		now.Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, TopicName: "app/exercise/" + unit + "/" + id,
		Payload: []byte(payload),
		Properties: packets.Properties{
			ContentType: "application/json", PayloadFormat: 1, PayloadFormatFlag: true, MessageExpiryInterval: 3598,
			User: []packets.UserProperty{
				{Key: "id", Val: id + "-1-17"}, {Key: "status", Val: "exercise"}, {Key: "type", Val: "alert"},
				{Key: "tier", Val: "red"}, {Key: "event", Val: "11B03"},
			},
		},
	}
}

// TestEveryRuleIsHeld breaks each rule in turn, and nothing else.
func TestEveryRuleIsHeld(t *testing.T) {
	now := time.Now()
	in := func(old, words string) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			if !bytes.Contains(pk.Payload, []byte(old)) {
				t.Fatalf("no %s in it", old)
			}
			pk.Payload = bytes.Replace(pk.Payload, []byte(old), []byte(words), 1)
		}
	}
	for _, c := range []struct {
		rule   string
		change func(*packets.Packet)
	}{
		{"", func(*packets.Packet) {}},
		{"topic", func(pk *packets.Packet) { pk.TopicName = "alarm/" + unit + "/" + id }},
		{"topic", func(pk *packets.Packet) { pk.TopicName = "warning/500101/" + id }},
		{"topic", func(pk *packets.Packet) { pk.TopicName = "warning" }},
		{"qos", func(pk *packets.Packet) { pk.FixedHeader.Qos = 0 }},
		{"", func(pk *packets.Packet) { pk.Payload = nil }},
		{"clearing.retain", func(pk *packets.Packet) { pk.Payload, pk.FixedHeader.Retain = nil, false }},
		{"payload", func(pk *packets.Packet) { pk.Payload = []byte("暴雨") }},
		{"payload", in(`"format":1`, `"format":2`)},
		{"payload", in(`"event"`, `"Volume":3,"event"`)},
		{"payload", func(pk *packets.Packet) { pk.Payload = append(pk.Payload, "{}"...) }},
		{"content_type", func(pk *packets.Packet) { pk.Properties.ContentType = "text/plain" }},
		{"content_type", func(pk *packets.Packet) { pk.Properties.PayloadFormat = 0 }},
		{"status", func(pk *packets.Packet) { pk.TopicName = "warning/" + unit + "/" + id }},
		{"status", in(`"drill":true`, `"drill":false`)},
		{"warning", in(`"warning":"01K`, `"warning":"02K`)},
		{"identity", in(`"serial":17`, `"serial":0`)},
		{"identity", in(`"id":"`+id+`-1-17"`, `"id":""`)},
		{"type", in(`"type":"alert"`, `"type":"alarm"`)},
		{"type", in(`"type":"alert"`, `"type":"cancel"`)},
		{"text", in(`"text":"演练"`, `"text":""`)},
		{"text", in(`"type":"alert"`, `"type":"stop","related":17`)},
		{"tier", in(`"tier":"red"`, `"tier":"pink"`)},
		{"retain", func(pk *packets.Packet) { pk.FixedHeader.Retain = false }},
		{"retain", in(`"type":"alert"`, `"type":"cancel","related":16`)},
		{"expiry", func(pk *packets.Packet) { pk.Properties.MessageExpiryInterval = 0 }},
		{"expiry", func(pk *packets.Packet) { pk.Properties.MessageExpiryInterval = 3605 }},
		{"labels", func(pk *packets.Packet) { pk.Properties.User = pk.Properties.User[1:] }},
		{"labels", func(pk *packets.Packet) { pk.Properties.User[1].Val = "actual" }},
		{"", func(pk *packets.Packet) { pk.TopicName, pk.Payload = "app/sender/tocsin", []byte(`{"up":true}`) }},
	} {
		pk := good(now)
		c.change(&pk)
		got := ""
		if r := newMessage(pk, now).check(); r != nil {
			got = r.name
		}
		if got != c.rule {
			t.Errorf("%s %s\nbreaks %q, not %q", pk.TopicName, pk.Payload, got, c.rule)
		}
	}
}

func start(t *testing.T, change func(*Config)) (address, log string, end func()) {
	t.Helper()
	cfg := Default()
	cfg.Name, cfg.Log = "app", filepath.Join(t.TempDir(), "broker.jsonl")
	change(&cfg)
	b, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx) }()
	return b.Address(), cfg.Log, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func connect(t *testing.T, address, client, user, password string) (*paho.Client, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn, ClientID: client, PacketTimeout: 5 * time.Second})
	_, err = c.Connect(t.Context(), &paho.Connect{
		ClientID: client, KeepAlive: 30, CleanStart: true, UsernameFlag: user != "", Username: user,
		PasswordFlag: password != "", Password: []byte(password),
	})
	return c, err
}

func publish(t *testing.T, c *paho.Client, pk packets.Packet) byte {
	t.Helper()
	one := byte(1)
	p := &paho.Publish{QoS: 1, Retain: pk.FixedHeader.Retain, Topic: pk.TopicName, Payload: pk.Payload, Properties: &paho.PublishProperties{
		ContentType: pk.Properties.ContentType, PayloadFormat: &one, MessageExpiry: &pk.Properties.MessageExpiryInterval,
	}}
	for _, u := range pk.Properties.User {
		p.Properties.User.Add(u.Key, u.Val)
	}
	got, err := c.Publish(t.Context(), p)
	if got == nil {
		t.Fatal(err)
	}
	return got.ReasonCode
}

// TestTheLogTellsWhatHappened: who came, what arrived and what was answered, in order, and the next broker appends.
func TestTheLogTellsWhatHappened(t *testing.T) {
	address, log, end := start(t, func(c *Config) { c.User, c.Password = "tocsin", "secret" })
	if _, err := connect(t, address, "thief", "tocsin", "guess"); err == nil {
		t.Error("a wrong password was let in")
	}
	idle, err := net.Dial("tcp", address) // never says who it is, and must not hold up the end
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	sender, err := connect(t, address, "tocsin", "tocsin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	phone, err := connect(t, address, "phone", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := phone.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "app/#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	bad := good(time.Now())
	bad.Payload = []byte("暴雨")
	for _, c := range []struct {
		by   *paho.Client
		pk   packets.Packet
		code byte
	}{{sender, good(time.Now()), 0}, {sender, bad, 0x99}, {phone, good(time.Now()), 0x87}} {
		if code := publish(t, c.by, c.pk); code != c.code {
			t.Errorf("answered with 0x%02x, not 0x%02x", code, c.code)
		}
	}
	end()

	var got []string
	read := func() {
		t.Helper()
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		var last int64
		if err := Read(bytes.NewReader(b), func(l *Line) {
			if l.Time < last {
				t.Error("time goes back")
			}
			last = l.Time
			word := string(l.Event) + " " + l.Client + l.Filter + l.Rule
			if l.Taken {
				word += "taken"
			}
			got = append(got, strings.TrimSpace(word))
		}); err != nil {
			t.Fatal(err)
		}
	}
	read()
	want := "start, connect thief, connect tocsin, connect phone, subscribe phoneapp/#, publish taken, publish payload, disconnect"
	if all := strings.Join(got, ", "); !strings.HasPrefix(all, want) || !strings.HasSuffix(all, "stop") {
		t.Errorf("the log tells %s", all)
	}
	lines := len(got)
	cfg := Default()
	cfg.Name, cfg.Log = "app", log
	b, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Serve(over); err != nil {
		t.Fatal(err)
	}
	if read(); len(got) != lines+2 {
		t.Errorf("after another start the log has %d lines, not %d", len(got), lines+2)
	}
}

func TestFaultsFollowTheirShares(t *testing.T) {
	b := &Broker{cfg: Config{Throttled: 0.2, Unspecified: 0.1, Swallowed: 0.3, DropLink: 0.1}, dice: Default().dice()}
	n := map[error]int{}
	for range 10_000 {
		n[b.fault()]++
	}
	for answer, share := range map[error]float64{
		packets.ErrQuotaExceeded: 0.2, packets.ErrUnspecifiedError: 0.1, packets.ErrRejectPacket: 0.3, errDropped: 0.1, nil: 0.3,
	} {
		if got := float64(n[answer]) / 10_000; got < share-0.03 || got > share+0.03 {
			t.Errorf("%v meets %v of the messages, not %v", answer, got, share)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"listen": func(c *Config) { c.Listen = "0.0.0.0:1883" }, "name": func(c *Config) { c.Name = "" },
		"log": func(c *Config) { c.Log = "" }, "password": func(c *Config) { c.Password = "x" },
		"throttled": func(c *Config) { c.Throttled = 1.5 }, "shares": func(c *Config) { c.Throttled, c.Swallowed = 0.6, 0.6 },
	} {
		cfg := Default()
		cfg.Name, cfg.Log = "app", "app.jsonl"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestTheDocumentedLinesAreRead reads every example of docs/broker-log.md, and the payloads of docs/push.md.
func TestTheDocumentedLinesAreRead(t *testing.T) {
	seen := map[Event]bool{}
	for _, line := range examples(t, "../../docs/broker-log.md") {
		if err := Read(strings.NewReader(line+"\n"), func(l *Line) { seen[l.Event] = true }); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, e := range []Event{Start, Connect, Disconnect, Subscribe, Publish, Expired, Stop} {
		if !seen[e] {
			t.Errorf("%s is not documented", e)
		}
	}
	payloads := examples(t, "../../docs/push.md")
	for _, p := range payloads {
		d := json.NewDecoder(strings.NewReader(p))
		d.DisallowUnknownFields()
		if err := d.Decode(new(body)); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if len(payloads) < 3 {
		t.Errorf("docs/push.md has %d payloads", len(payloads))
	}
}

func examples(t *testing.T, file string) (all []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "{") {
			all = append(all, s.Text())
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBadLinesAreNamed(t *testing.T) {
	stop := `{"e":"stop","t":1}` + "\n"
	for _, c := range []struct{ in, want string }{
		{stop + `{"e":"sto`, "line 2: the last line is cut"}, {stop + `{"e":"ring","t":1}` + "\n", `line 2: unknown event "ring"`},
		{`{"e":"stop","t":1,"u":2}` + "\n", "line 1: "}, {`{"e":"stop","t":1} {}` + "\n", "line 1: something follows"},
		{`{"e":"start","t":1,"version":9}` + "\n", "line 1: the format is version 9"}, {"\n", "line 1: "},
	} {
		err := Read(strings.NewReader(c.in), func(*Line) {})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q gives %v, not %s", c.in, err, c.want)
		}
	}
	if err := Read(strings.NewReader("x"), nil); !errors.Is(err, ErrTruncated) {
		t.Errorf("a cut line gives %v", err)
	}
}

// FuzzRead: whatever stands in a log, the reader ends, and what it takes it takes again.
func FuzzRead(f *testing.F) {
	for _, e := range []string{`{"e":"publish","t":1,"topic":"a","body":{"x":[1]},"labels":[["a","b"]]}`, `{"e":"start","version":1,"config":{}}`} {
		f.Add([]byte(e + "\n"))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var lines []byte
		_ = Read(bytes.NewReader(in), func(l *Line) {
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(append(lines, b...), '\n')
		})
		if err := Read(bytes.NewReader(lines), func(*Line) {}); err != nil {
			t.Fatalf("%s: %v", lines, err)
		}
	})
}
