//go:build peers

package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"tocsin/loadtest/carrier"
	"tocsin/loadtest/carrierlog"
	"tocsin/loadtest/place"
)

// kannelConf makes Kannel a client of the carrier at Carrier; everything listens on loopback.
var kannelConf = template.Must(template.New("kannel").Parse(`
group = core
admin-port = {{.Admin}}
admin-interface = "127.0.0.1"
admin-password = unused
smsbox-port = {{.Box}}
smsbox-interface = "127.0.0.1"
log-file = "{{.Dir}}/bearerbox.log"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = carrier
host = 127.0.0.1
port = {{.Carrier}}
transceiver-mode = true
smsc-username = foreign
smsc-password = secret
system-type = ""
interface-version = 34
msg-id-type = 0x00

group = smsbox
smsbox-id = box
bearerbox-host = 127.0.0.1
sendsms-port = {{.Send}}
sendsms-interface = "127.0.0.1"

group = sendsms-user
username = user
password = word
concatenation = true
max-messages = 10
`))

// TestPeerKannel lets Kannel, the client that most gateways are built on, send through the simulated carrier: what it
// believes to be a carrier must take a long Chinese text and a flash message, and answer with receipts that it can match.
func TestPeerKannel(t *testing.T) {
	cfg := carrier.Default()
	cfg.Name, cfg.Log = "kannel", filepath.Join(t.TempDir(), "carrier.log")
	cfg.SystemID, cfg.Password = "foreign", "secret"
	cfg.ReceiptDelay, cfg.ReceiptJitter = 20*time.Millisecond, 10*time.Millisecond
	c, err := carrier.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(ctx) }()

	told := make(chan string, 64) // "NUMBER STATE" of each receipt that Kannel makes of the carrier's
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- r.URL.Query().Get("to") + " " + r.URL.Query().Get("state")
	}))
	defer web.Close()

	_, port, err := net.SplitHostPort(c.Address())
	if err != nil {
		t.Fatal(err)
	}
	send := startKannel(t, port)
	long := strings.Repeat("暴雨橙色预警，", 15)
	for _, m := range []url.Values{
		{"to": {"999100000001"}, "coding": {"2"}, "charset": {"utf-8"}, "text": {long}},
		{"to": {"999100000002"}, "mclass": {"0"}, "text": {"Stay off low ground."}},
	} {
		m.Set("username", "user")
		m.Set("password", "word")
		m.Set("from", "1069")
		m.Set("dlr-mask", "31") // every kind of receipt there is
		m.Set("dlr-url", web.URL+"/?to="+m.Get("to")+"&state=%d")
		accepted(t, send+"?"+m.Encode())
	}
	want := map[string]bool{ // Kannel's states: 8 the carrier took it, 1 it was delivered
		"999100000001 8": true, "999100000001 1": true, "999100000002 8": true, "999100000002 1": true,
	}
	for deadline := time.After(30 * time.Second); len(want) > 0; {
		select {
		case got := <-told:
			delete(want, got)
		case <-deadline:
			t.Fatalf("Kannel was never told %v", want)
		}
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	f, err := os.Open(cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words, flash := map[int]string{}, map[int]bool{}
	got := map[uint64]string{}
	var l carrierlog.Line
	for r := carrierlog.NewReader(f); ; {
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch l.Event {
		case carrierlog.Text:
			words[l.Text], flash[l.Text] = l.Words, l.Coding == 0xF0 || l.Coding == 0x10 // 3GPP TS 23.038, 4: class 0
		case carrierlog.Submit:
			got[l.To] += words[l.Text]
			if flash[l.Text] != (l.To == 999100000002) {
				t.Errorf("a message to %d is flash: %v", l.To, flash[l.Text])
			}
		case carrierlog.Violation, carrierlog.NotSynthetic:
			t.Errorf("the carrier objects to Kannel: %+v", l)
		}
	}
	if got[999100000001] != long || got[999100000002] != "Stay off low ground." {
		t.Errorf("the carrier read %q and %q", got[999100000001], got[999100000002])
	}
}

// startKannel starts both processes of Kannel and gives the address to send at.
func startKannel(t *testing.T, port string) string {
	t.Helper()
	dir := t.TempDir()
	at := struct{ Dir, Carrier, Admin, Box, Send string }{dir, port, place.Of(t).Port(), place.Of(t).Port(), place.Of(t).Port()}
	path := filepath.Join(dir, "kannel.conf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kannelConf.Execute(f, at), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"bearerbox", "smsbox"} {
		cmd := exec.Command(foreign(t, program), path)
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGKILL)
			_ = cmd.Wait()
		})
		if program == "bearerbox" {
			reachable(t, at.Box) // smsbox gives up at once where it finds none
		}
	}
	reachable(t, at.Send)
	return "http://127.0.0.1:" + at.Send + "/cgi-bin/sendsms"
}

// accepted asks until Kannel says that it took the message: it refuses while its way to the carrier is not up.
func accepted(t *testing.T, address string) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		resp, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if last = fmt.Sprintf("%d %s %v", resp.StatusCode, b, err); resp.StatusCode == http.StatusAccepted {
			return
		}
	}
	t.Fatalf("Kannel does not take the message: %s", last)
}

// foreign is the path of a program that make test-peers installed, else of the system.
func foreign(t *testing.T, program string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("TOCSIN_PEERS"), "bin", program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run make test-peers", err)
	}
	return path
}

// reachable waits until somebody listens on a port of loopback.
func reachable(t *testing.T, port string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return
		}
	}
	t.Fatalf("nobody listens on port %s", port)
}
