package push_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/channels/push"
	"tocsin/loadtest/broker"
	"tocsin/loadtest/place"
	"tocsin/warning"
)

// TestBrokerComesBack: without it nothing waits and nothing is queued, and with it all goes on.
func TestBrokerComesBack(t *testing.T) {
	at := place.Of(t).Address
	start := func() *site { return startBroker(t, func(cfg *broker.Config) { cfg.Listen = at }) }
	b := start()
	c := openAccount(t, b.address)
	play(t, c, message(1, wanzhou))
	b.end()
	link(t, c, "end of the connection", func(h channels.LinkHealth) bool { return !h.Up && h.LastError != "" })
	if o := c.Play(t.Context(), message(2, wanzhou)); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("without a broker: %+v", o)
	}
	if o := c.(channels.AreaStopper).Stop(t.Context(), message(1, wanzhou)); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("stopping without a broker: %+v", o)
	}
	again := start()
	link(t, c, "a new connection", func(h channels.LinkHealth) bool { return h.Up })
	newPhone(t, again.address, "phone", street, 0, "warning").see(t, "who comes to the new broker", 0, 0)
	play(t, c, message(2, wanzhou))
	newPhone(t, again.address, "late", street, 0, "warning").see(t, "who comes after the message", 1, 0, 2)
}

// TestFaultsOfBrokers: what a broker answers decides, and no call outlives its context.
func TestFaultsOfBrokers(t *testing.T) {
	const short, never = 300 * time.Millisecond, time.Hour
	for _, c := range []struct {
		what    string
		faults  func(*broker.Config)
		timeout time.Duration
		kind    channels.Kind
		reason  channels.Reason
		error   string // of the link
	}{
		{"a quota", func(c *broker.Config) { c.Throttled = 1 }, never, channels.Retry, channels.Throttled, ""},
		{"an error", func(c *broker.Config) { c.Unspecified = 1 }, never, channels.Retry, channels.SystemError, ""},
		{"silence", func(c *broker.Config) { c.Swallowed = 1 }, short, channels.Unknown, channels.NoAnswer, "did not answer in time"},
		{"a broken line", func(c *broker.Config) { c.DropLink = 1 }, never, channels.Unknown, channels.NoAnswer, ""},
		{"a user who may not", func(c *broker.Config) { c.User = "another" }, never, channels.Refused, channels.NotAllowed, "not authorized"},
		{"a quota for some", func(c *broker.Config) { c.Throttled = 0.5 }, never, channels.Unknown, channels.Throttled, ""},
	} {
		b := startBroker(t, c.faults)
		a := openAccount(t, b.address, func(a *channels.AreaAccount) { a.Timeout = c.timeout })
		var units []string
		for i := range 200 { // more than are sent at a time
			units = append(units, fmt.Sprintf("500101%03d000", i+1))
		}
		var o channels.AreaOutcome
		within(t, func() { o = a.Play(t.Context(), message(1, units...)) })
		if o.Kind != c.kind || o.Reason != c.reason || o.Detail == "" {
			t.Errorf("%s: %+v", c.what, o)
		}
		link(t, a, c.what, func(h channels.LinkHealth) bool { return strings.Contains(h.LastError, c.error) })
		b.end()
		if n := len(b.lines(t)); c.what == "silence" && n > 64 {
			t.Errorf("%d messages left to a broker that answered none; 64 may be open", n)
		}
	}
}

// within wants f to end long before a time-out of an hour.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("no end after 20 s")
	}
}

// TestWhoMayConnect: the broker's no stands in the health of the link.
func TestWhoMayConnect(t *testing.T) {
	b := startBroker(t, func(c *broker.Config) { c.User, c.Password = "tocsin", "secret" })
	c, err := push.Adapter{}.Open(account(b.address, func(a *channels.AreaAccount) { a.User, a.Password = "tocsin", "guess" }))
	if err != nil {
		t.Fatal(err)
	}
	link(t, c, "word of the refusal", func(h channels.LinkHealth) bool { return strings.Contains(h.LastError, "denied") })
	if h := c.Link(); h.Up || strings.Contains(h.LastError, "guess") {
		t.Errorf("the link is %+v", h)
	}
	closeAccount(t, c)
	c = openAccount(t, b.address, func(a *channels.AreaAccount) { a.User, a.Password = "tocsin", "secret" })
	play(t, c, message(1, wanzhou))
	// Who has the same client id takes the place.
	openAccount(t, b.address, func(a *channels.AreaAccount) { a.User, a.Password = "tocsin", "secret" })
	link(t, c, "word of the successor", func(h channels.LinkHealth) bool { return strings.Contains(h.LastError, "takeover") })
}

// TestSenderSaysThatItIsThere: a will that is told at every end, and taken back at every start.
func TestSenderSaysThatItIsThere(t *testing.T) {
	b := startBroker(t)
	keep := openAccount(t, b.address) // its word is what phones wait for
	play(t, keep, message(1, wanzhou))
	says := func() (last string) {
		text, err := os.ReadFile(b.log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"sender/another"`) {
				last = line
			}
		}
		return last
	}
	for range 2 {
		c := openAccount(t, b.address, func(a *channels.AreaAccount) { a.Source = "another" })
		poll(t, "up", func() bool { return strings.Contains(says(), `{"up":true}`) }, says)
		closeAccount(t, c)
		poll(t, "down", func() bool { return strings.Contains(says(), `{"up":false}`) }, says)
	}
}

// TestCloseEndsWhatIsUnderWay: a call that waits for an answer gets one, and close says so.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	b := startBroker(t, func(c *broker.Config) { c.Swallowed = 1 })
	c := openAccount(t, b.address, func(a *channels.AreaAccount) { a.Timeout = time.Hour })
	got := make(chan channels.AreaOutcome, 1)
	go func() { got <- c.Play(t.Context(), message(1, wanzhou)) }()
	link(t, c, "message under way", func(h channels.LinkHealth) bool { return h.Open == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, func() {
		if err := c.Close(ctx); err == nil {
			t.Error("close says nothing of the message under way")
		}
	})
	if o := <-got; o.Kind != channels.Unknown || o.Reason != channels.NoAnswer {
		t.Errorf("the message under way: %+v", o)
	}
	closeAccount(t, c)
	if o := c.Play(t.Context(), message(2, wanzhou)); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("after close: %+v", o)
	}
}

// TestManyCallsShareALine: plays, repeats and stops from many goroutines, each with its own answer.
func TestManyCallsShareALine(t *testing.T) {
	b := startBroker(t)
	c := openAccount(t, b.address)
	p := newPhone(t, b.address, "phone", street, 0, "warning")
	var calls sync.WaitGroup
	for i := range 30 {
		calls.Go(func() {
			m := message(uint32(i+1), wanzhou, beibei)
			m.Warning = fmt.Sprintf("01K0ZB6T8Q4M2N7V5XW9R3%04d", i)
			for _, o := range []channels.AreaOutcome{c.Play(t.Context(), m), c.Play(t.Context(), m), c.(channels.AreaStopper).Stop(t.Context(), m)} {
				if o.Kind != channels.HandedOver {
					t.Errorf("%d: %+v", i, o)
				}
			}
		})
	}
	calls.Wait()
	settle(t, c, p)
	p.see(t, "who heard all", 30, 30)
	newPhone(t, b.address, "late", street, 0, "warning").see(t, "who comes late", 0, 0)
}

// TestSecured: TLS with an authority of our own and a certificate for the client; who does not know the authority stays
// away.
func TestSecured(t *testing.T) {
	b := startBroker(t)
	pki := newAuthority(t)
	front := terminate(t, b.address, pki)
	mine := pki.issue(t, "client")
	keys := map[string]string{"authority": pki.file, "certificate": mine, "key": mine + ".key"}
	c := openAccount(t, "mqtts://"+front, func(a *channels.AreaAccount) { a.Keys = keys })
	play(t, c, message(1, wanzhou))
	for what, keys := range map[string]map[string]string{"authority": {"certificate": mine, "key": mine + ".key"}, "certificate": {"authority": pki.file}} {
		c, err := push.Adapter{}.Open(account("mqtts://"+front, func(a *channels.AreaAccount) { a.Source, a.Keys = "other", keys }))
		if err != nil {
			t.Fatal(err)
		}
		link(t, c, "word of the missing "+what, func(h channels.LinkHealth) bool { return strings.Contains(h.LastError, "certificate") })
		if c.Link().Up {
			t.Errorf("connected without %s", what)
		}
		closeAccount(t, c)
	}
}

// authority issues certificates for 127.0.0.1.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file = a.issue(t, "authority")
	return a
}

// issue writes a certificate, and its key beside it with .key behind the name.
func (a *authority) issue(t *testing.T, name string) (file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		a.cert, a.key = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(a.dir, name+".pem")
	for path, block := range map[string]*pem.Block{
		file: {Type: "CERTIFICATE", Bytes: der}, file + ".key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// terminate stands before a broker, wants a certificate of the authority from who comes, and passes on.
func terminate(t *testing.T, to string, a *authority) (address string) {
	t.Helper()
	file := a.issue(t, "broker")
	pair, err := tls.LoadX509KeyPair(file, file+".key")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(a.file)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	var works sync.WaitGroup
	pass := func(from, to net.Conn) {
		_, _ = io.Copy(to, from)
		from.Close()
		to.Close()
	}
	works.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			works.Go(func() { pass(in, out) })
			works.Go(func() { pass(out, in) })
		}
	})
	t.Cleanup(func() { l.Close(); works.Wait() })
	return l.Addr().String()
}

// TestAccountsThatNeverWork: each fault is named by its field.
func TestAccountsThatNeverWork(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*channels.AreaAccount)
	}{
		{"address", func(a *channels.AreaAccount) { a.Address = "http://127.0.0.1" }},
		{"address", func(a *channels.AreaAccount) { a.Address = "mqtt://u:p@127.0.0.1" }},
		{"address", func(a *channels.AreaAccount) { a.Address = "mqtt://127.0.0.1/a/+" }},
		{"address", func(a *channels.AreaAccount) { a.Address = "mqtt://127.0.0.1/$SYS" }},
		{"address", func(a *channels.AreaAccount) { a.Address = "mqtt://127.0.0.1?x=1" }},
		{"address", func(a *channels.AreaAccount) { a.Address = "mqtt://:1883" }},
		{"source", func(a *channels.AreaAccount) { a.Source = "a/b" }},
		{"statuses", func(a *channels.AreaAccount) { a.Statuses = nil }},
		{"statuses", func(a *channels.AreaAccount) { a.Statuses = []warning.Status{9} }},
		{"timeout", func(a *channels.AreaAccount) { a.Timeout = -1 }},
		{"heartbeat", func(a *channels.AreaAccount) { a.Heartbeat = 24 * time.Hour }},
		{"password", func(a *channels.AreaAccount) { a.Password = strings.Repeat("x", 1<<16) }},
		{"keys", func(a *channels.AreaAccount) { a.Keys = map[string]string{"authority": "area_test.go"} }},
		{"keys", func(a *channels.AreaAccount) {
			a.Address, a.Keys = "mqtts://127.0.0.1", map[string]string{"certificate": "gone.pem"}
		}},
	} {
		a := account("127.0.0.1:1")
		c.change(&a)
		carrier, err := push.Adapter{}.Open(a)
		if err == nil {
			closeAccount(t, carrier)
		}
		if warning.ReasonOf(err) != warning.ReasonInvalid || !strings.Contains(err.Error(), "account."+c.field+": ") {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}
