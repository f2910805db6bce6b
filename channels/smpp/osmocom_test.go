//go:build peers

package smpp_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"tocsin/channels"
	"tocsin/loadtest/place"
)

// mscConf is a short message centre without a mobile network behind it.
var mscConf = template.Must(template.New("msc").Parse(`
line vty
 bind {{.Host}}
ctrl
 bind {{.Host}}
sgs
 local-port {{.SGS}}
 local-ip {{.Host}}
network
 network country code 1
 mobile network code 1
smsc
 database {{.Dir}}/sms.db
smpp
 local-tcp-ip 127.0.0.1 {{.SMPP}}
 system-id carrier
 policy closed
 no smpp-first
 esme tocsin
  password {{.Password}}
  default-route
`))

// TestPeerMobileNetwork hands over to osmo-msc, whose SMPP is a strict library of its own. It gives every message the
// same id: that is no reason to take one for another.
func TestPeerMobileNetwork(t *testing.T) {
	const people = 6
	address := startMSC(t, "secret")
	sink, closeAccount := openPeer(t, address, people)
	sink.until(t, "answers", func() bool { return len(sink.outcomes) == 2*people })
	if err := closeAccount(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, o := range sink.outcomes {
		key := fmt.Sprint(o.Token, "/", o.Segment)
		if o.Kind != channels.HandedOver || seen[key] || o.Print != sink.outcomes[0].Print {
			t.Errorf("an outcome is %+v", o)
		}
		seen[key] = true
	}
}

// TestPeerMobileNetworkRefuses: a wrong password is told as such, and nothing is sent.
func TestPeerMobileNetworkRefuses(t *testing.T) {
	c, _, closeAccount := openAccount(t, startMSC(t, "another"))
	var l channels.LinkHealth
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.LastError, "ESME_RINVPASWD") && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		l = c.Links()[0]
	}
	if l.Up || !strings.Contains(l.LastError, "ESME_RINVPASWD") || c.Room() > 0 {
		t.Errorf("the link is %+v, with room for %d", l, c.Room())
	}
	if err := closeAccount(); err != nil {
		t.Error(err)
	}
}

// startMSC starts osmo-msc for a client with the password and gives its address.
func startMSC(t *testing.T, password string) string {
	t.Helper()
	dir := t.TempDir()
	host := fmt.Sprintf("127.%d.%d.1", os.Getpid()>>8&255, os.Getpid()&255) // for ports that cannot be chosen
	at := struct{ Dir, Host, SGS, SMPP, Password string }{dir, host, place.Of(t).Port(), place.Of(t).Port(), password}
	path := filepath.Join(dir, "msc.cfg")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(mscConf.Execute(f, at), f.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(foreign(t, "osmo-msc"), "-s", "-c", path)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+filepath.Join(os.Getenv("TOCSIN_PEERS"), "nosctp.so"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	reachable(t, at.SMPP)
	return "127.0.0.1:" + at.SMPP
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
