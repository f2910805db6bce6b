package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"tocsin/dispatcher/identity"
	"tocsin/loadtest/rig"
)

// frame is a message as it came, not decoded.
type frame []byte

// asItComes is a codec that decodes nothing.
type asItComes struct{}

func (asItComes) Name() string { return "proto" }

func (asItComes) Marshal(v any) ([]byte, error) { return *v.(*frame), nil }

func (asItComes) Unmarshal(b []byte, v any) error { *v.(*frame) = slices.Clone(b); return nil }

// line is the way between a command and the engine. While it is cut, acts arrive and are answered, and the answer is not
// passed on.
type line struct {
	engine *grpc.ClientConn
	cut    atomic.Bool
	done   chan error // of each act whose answer was kept back
}

// looks is calls that change nothing.
var looks = []string{"Get", "Preview", "List", "CapTable"}

func (l *line) pass(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	var asked, answer frame
	if err := s.RecvMsg(&asked); err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(s.Context())
	ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(s.Context()), "authorization", strings.Join(md.Get("authorization"), ""))
	err := l.engine.Invoke(ctx, method, &asked, &answer, grpc.ForceCodec(asItComes{}))
	if l.cut.Load() && !slices.ContainsFunc(looks, func(name string) bool { return strings.HasSuffix(method, "/"+name) }) {
		l.done <- err
		<-s.Context().Done()
		return s.Context().Err()
	}
	if err != nil {
		return err
	}
	return s.SendMsg(&answer)
}

// laid is a line to the house and the arguments that make a command of a user take it.
func laid(t *testing.T, h *rig.Rig) (l *line, by func(user string, args ...string) []string) {
	t.Helper()
	dir := t.TempDir()
	authority, err := identity.NewAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue("line", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := identity.ServerTLS(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	direct := h.Command(rig.Forecaster) // --server ADDRESS --ca FILE --token-file FILE
	pem, err := os.ReadFile(direct[3])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	l = &line{done: make(chan error)}
	if l.engine, err = grpc.NewClient(direct[1], grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}))); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(secure)), grpc.ForceServerCodec(asItComes{}), grpc.UnknownServiceHandler(l.pass))
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-served, l.engine.Close()); err != nil {
			t.Error(err)
		}
	})
	return l, func(user string, args ...string) []string {
		args = h.Command(user, args...)
		at := len(args) - len(direct)
		args[at+1], args[at+3] = socket.Addr().String(), authority.CAFile()
		return append(args, "-o", "json")
	}
}

// killed says a command whose answer never comes, and ends it once the engine has carried it out.
func (l *line) killed(t *testing.T, with os.Signal, args ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l.cut.Store(true)
	defer l.cut.Store(false)
	c := exec.Command(self, args...)
	var complaint strings.Builder
	c.Stderr = &complaint
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err = <-l.done:
		if err != nil {
			t.Errorf("%v: %v", args[:2], err)
		}
	case err = <-ended:
		t.Fatalf("%v ended before the engine had it: %v, %s", args[:2], err, complaint.String())
	}
	if err := c.Process.Signal(with); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatalf("%v had its answer before it was ended", args[:2])
	}
}

// TestTheSameCommandAfterCtrlCHappensOnce: every act is carried out and the command ended before it has the answer, by
// Ctrl-C and then by a kill. The same command again has the answer, and the record has the act once. What another act may
// take back happens anew instead.
func TestTheSameCommandAfterCtrlCHappensOnce(t *testing.T) {
	h, store := raised(t)
	l, by := laid(t, h)
	someone, err := h.Someone()
	if err != nil {
		t.Fatal(err)
	}
	// act says a command three times, and answers what it says at last.
	act := func(user string, args ...string) string {
		t.Helper()
		name, before := strings.Join(args[:2], " "), acts(t, store)
		args = by(user, args...)
		l.killed(t, os.Interrupt, args...)
		once := acts(t, store)
		if len(once) <= len(before) {
			t.Fatalf("%s is not in the record: %q", name, once)
		}
		l.killed(t, syscall.SIGKILL, args...)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, complaint, err := command(ctx, args...)
		if err != nil {
			t.Fatalf("%s again: %v", name, err)
		}
		if !strings.Contains(complaint, "what was done is not done again") {
			t.Errorf("%s does not say that it goes on: %q", name, complaint)
		}
		if after := acts(t, store); !slices.Equal(after, once) {
			t.Errorf("%s happened again: %q, after the first time %q", name, after, once)
		}
		return out
	}
	// say says a command once.
	say := func(user string, args ...string) string {
		t.Helper()
		out, complaint, err := command(t.Context(), by(user, args...)...)
		if err != nil {
			t.Fatalf("%q: %v, %s", args, err, complaint)
		}
		return out
	}
	// set says what another act may take back: it is meant anew each time, and is refused at none.
	set := func(user string, args ...string) {
		t.Helper()
		before := acts(t, store)
		l.killed(t, os.Interrupt, by(user, args...)...)
		l.killed(t, syscall.SIGKILL, by(user, args...)...)
		say(user, args...)
		if after := acts(t, store); len(after) != len(before)+3 {
			t.Errorf("%q is in the record as %q, before it %q", args, after, before)
		}
	}
	alert := func(words ...string) []string {
		return append([]string{"submit", "--tier", "orange", "--event", "11B03", "--area", "万州区", "--for", "6h", "--status", "exercise",
			"--issuer", "重庆市气象台", "--channels", "sms,broadcast", "--again"}, words...)
	}
	submitted := func(args ...string) (id, digest string) {
		out := act(rig.Forecaster, args...)
		return inAnswer(t, out, "warning", "id"), inAnswer(t, out, "warning", "digest")
	}
	released := func(args ...string) string {
		id, digest := submitted(args...)
		act(rig.Approver, "approve", id, "--digest", digest)
		return id
	}

	set(rig.Engineer, "channel", "pause", "mobile", "--why", "so that no warning is complete before it is held")
	first := released(alert()...)
	if err := h.Played(t.Context(), first, 1); err != nil {
		t.Fatal(err)
	}
	again := []string{"broadcast", first, "--channels", "broadcast", "--repeat", "1s"}
	act(rig.Commander, again...)
	before := acts(t, store)
	if _, _, err := command(t.Context(), by(rig.Commander, again...)...); err != nil {
		t.Fatal(err)
	}
	if after := acts(t, store); len(after) != len(before)+1 {
		t.Errorf("said anew after its answer it is a new act: %q, before %q", after, before)
	}
	hold := []string{"hold", first, "--why", "check the area"}
	set(rig.Commander, hold...)
	say(rig.Commander, "release", first)
	l.killed(t, os.Interrupt, by(rig.Commander, hold...)...)
	say(rig.Commander, "release", first)
	say(rig.Commander, hold...) // what was held and released before is no answer to this
	if got := inAnswer(t, say(rig.Commander, "get", first), "warning", "state"); got != "STATE_HELD" {
		t.Errorf("held again it is %s", got)
	}
	l.killed(t, os.Interrupt, by(rig.Commander, "release", first)...)
	update := released(alert("--update", first)...)
	act(rig.Forecaster, "all-clear", update)

	second, _ := submitted(alert()...)
	act(rig.Approver, "reject", second, "--why", "no rain")
	act(rig.Forecaster, "cancel", released(alert()...), "--why", "by mistake")

	set(rig.Engineer, "channel", "resume", "mobile")
	set(rig.Engineer, "channel", "rate", "mobile", "50")
	set(rig.Engineer, "channel", "rate", "mobile", "configured")
	say(rig.Engineer, "directory", "erase", someone, "--why", "asked by letter")

	if left, err := os.ReadDir(os.Getenv("XDG_STATE_HOME") + "/tocsin/unfinished"); err != nil || len(left) > 0 {
		t.Errorf("of acts that are answered %d files stay (%v)", len(left), err)
	}
}

// TestABigFileIsKnownAgain: a command that names the same file is the same command, and is not when the file was written to
// or replaced, whatever times and length are feigned.
func TestABigFileIsKnownAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.csv")
	write := func(path string, first byte) {
		if err := os.WriteFile(path, append([]byte{first}, make([]byte, contentMost)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	write(path, 'a')
	before := digestOf(path)
	if again := digestOf(path); again != before {
		t.Fatalf("an untouched file was %s and is %s", before, again)
	}
	write(path+"2", 'b')
	if err := os.Rename(path+"2", path); err != nil {
		t.Fatal(err)
	}
	replaced := digestOf(path)
	if replaced == before {
		t.Fatal("a file that was replaced is taken for the same")
	}
	for changed := ""; changed == "" || changed == replaced; changed = digestOf(path) { // clocks of file systems have ticks
		write(path, 'c')
	}
}
