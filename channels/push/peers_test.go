//go:build peers

package push_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/loadtest/place"
	"tocsin/warning"
)

// mosquitto is a running broker that others wrote.
type mosquitto struct {
	plain, secure string // addresses
	pki           *authority
	config        string
	kill          func()
}

// startMosquitto installs nothing: make test-peers does.
func startMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	m := &mosquitto{plain: place.Of(t).Address, secure: place.Of(t).Address, pki: newAuthority(t)}
	dir := t.TempDir()
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(peerProgram(t, "mosquitto_passwd"), "-b", passwords, "tocsin", "secret").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	acl := filepath.Join(dir, "acl")
	rights := "topic read #\nuser tocsin\ntopic readwrite warning/#\ntopic readwrite drill/#\ntopic readwrite sender/#\n"
	if err := os.WriteFile(acl, []byte(rights), 0o600); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	cert := m.pki.issue(t, "broker")
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	m.config = filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("user %s\npersistence false\nallow_anonymous true\npassword_file %s\nacl_file %s\nmax_packet_size 3000\n"+
		"listener %s 127.0.0.1\nlistener %s 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s.key\nrequire_certificate true\n",
		me.Username, passwords, acl, port(m.plain), port(m.secure), m.pki.file, cert, cert)
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.run(t)
	return m
}

func (m *mosquitto) run(t *testing.T) {
	t.Helper()
	cmd := exec.Command(peerProgram(t, "mosquitto"), "-c", m.config)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // it is killed
	m.kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); <-ended })
	t.Cleanup(m.kill)
	poll(t, "mosquitto", func() bool {
		select {
		case <-ended:
			t.Fatalf("mosquitto ended: %s", said.String())
		default:
		}
		c, err := net.Dial("tcp", m.plain)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, func() string { return "" })
}

// peerProgram is a program from PATH, or from where make test-peers put it.
func peerProgram(t *testing.T, name string) string {
	t.Helper()
	peers := os.Getenv("TOCSIN_PEERS")
	if peers == "" {
		t.Fatal("TOCSIN_PEERS is not set: run make test-peers")
	}
	if path := filepath.Join(peers, "bin", name); exists(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run make test-peers", err)
	}
	return path
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// TestPeerMosquitto: phones of a broker that others wrote see what docs/push.md promises.
func TestPeerMosquitto(t *testing.T) {
	m := startMosquitto(t)
	c := openAccount(t, m.plain, func(a *channels.AreaAccount) { a.User, a.Password = "tocsin", "secret" })
	if o := c.Play(t.Context(), message(1, wanzhou)); o.Kind != channels.HandedOver || !strings.Contains(o.Detail, "nobody listens in 1") {
		t.Fatalf("to nobody: %+v", o)
	}
	p := newPhone(t, m.plain, "phone", street, 0, "warning")
	p.see(t, "who comes after the first", 1, 0, 1)
	away := newPhone(t, m.plain, "away", street, 3600, "warning")

	// Repeats, an update, another warning, a drill.
	first := message(1, wanzhou)
	play(t, c, first)
	update := message(2, wanzhou, beibei)
	update.Version, update.Type, update.Related = 2, warning.Update, 1
	play(t, c, update)
	other := message(3, city, street)
	other.Warning = slide
	play(t, c, other)
	drill := message(4, wanzhou)
	drill.Warning, drill.Status = marker, warning.PublicDrill
	play(t, c, drill)
	settle(t, c, p, away)
	p.see(t, "who heard all", 3, 2, 2, 3)
	newPhone(t, m.plain, "late", street, 0, "warning").see(t, "who comes late", 2, 1, 2, 3)
	newPhone(t, m.plain, "aware", street, 0, "drill").see(t, "who shows drills", 1, 0, 4)

	// The end of it, also for who was away, and for who comes later.
	away.leave()
	stop(t, c, update)
	settle(t, c, p)
	p.see(t, "who heard the stop", 3, 2, 3)
	newPhone(t, m.plain, "later", street, 0, "warning").see(t, "who comes after the stop", 1, 1, 3)
	back := newPhone(t, m.plain, "away", street, 3600, "warning")
	back.until(t, "stop", func() bool { return back.had[rain+"-2-2-stop"] == 1 })

	// What is over is gone.
	brief := message(5, wanzhou)
	brief.Warning, brief.Expires = "brief", time.Now().Add(2500*time.Millisecond)
	play(t, c, brief)
	newPhone(t, m.plain, "in time", street, 0, "warning").see(t, "who comes in time", 2, 1, 3, 5)
	poll(t, "expiry", func() bool { return !time.Now().Before(brief.Expires) }, func() string { return "" })
	late := newPhone(t, m.plain, "too late", street, 0, "warning")
	late.see(t, "who comes too late", 1, 1, 3)

	// What it refuses.
	drill.Status = warning.Exercise // no right to write there
	if o := c.Play(t.Context(), drill); o.Kind != channels.Refused || o.Reason != channels.NotAllowed {
		t.Errorf("without the right: %+v", o)
	}
	long := message(6, wanzhou)
	long.Text = strings.Repeat("长", 1000)
	if o := c.Play(t.Context(), long); o.Kind != channels.Refused || o.Reason != channels.BadContent {
		t.Errorf("longer than the broker takes: %+v", o)
	}
	// Two hundred places: many times what it takes at once.
	wide := message(7)
	for i := range 200 {
		wide.Units = append(wide.Units, fmt.Sprintf("500101%03d000", i+1))
	}
	play(t, c, wide)
	stop(t, c, wide)

	// Killed, and there again.
	m.kill()
	link(t, c, "end of the connection", func(h channels.LinkHealth) bool { return !h.Up })
	if o := c.Play(t.Context(), first); o.Kind != channels.Retry || o.Reason != channels.LinkDown {
		t.Errorf("without a broker: %+v", o)
	}
	m.run(t)
	link(t, c, "a new connection", func(h channels.LinkHealth) bool { return h.Up })
	play(t, c, first)
	newPhone(t, m.plain, "last", street, 0, "warning").see(t, "who comes to the new broker", 1, 0, 1)
}

// TestPeerMosquittoSecured: TLS with certificates on both sides.
func TestPeerMosquittoSecured(t *testing.T) {
	m := startMosquitto(t)
	mine := m.pki.issue(t, "client")
	c := openAccount(t, "mqtts://"+m.secure, func(a *channels.AreaAccount) {
		a.User, a.Password = "tocsin", "secret"
		a.Keys = map[string]string{"authority": m.pki.file, "certificate": mine, "key": mine + ".key"}
	})
	play(t, c, message(1, wanzhou))
	newPhone(t, m.plain, "phone", street, 0, "warning").see(t, "who comes", 1, 0, 1)
}
