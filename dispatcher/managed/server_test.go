package managed

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is a context for one step of a test.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// small is the options of a server that a test can afford.
func small(dir string) Options {
	return Options{Dir: dir, Ballast: 64 << 10, Reserve: 1 << 10, Growth: 1 << 10}
}

// start starts a server that ends with the test.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect is a client that ends with the test.
func connect(t *testing.T, address string) *redis.Client {
	t.Helper()
	c := Client(address)
	t.Cleanup(func() { c.Close() })
	return c
}

// kill ends the server's process as a crash would, and waits until nobody has its lock.
func kill(t *testing.T, s *Server) {
	t.Helper()
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the killed server to end", func() bool {
		alive, err := s.alive()
		return err == nil && !alive
	})
}

// until polls for what happens in another process.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t)
	for !ok() {
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// foreign starts a redis-server that is not managed, in dir, with a socket there, and returns its process and socket.
func foreign(t *testing.T, dir string, settings ...string) (process *os.Process, socket string) {
	t.Helper()
	server, _, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "foreign.sock")
	cmd := exec.Command(server, append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir, "--save", ""}, settings...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // unless it is dead already
		<-ended
	})
	until(t, "a redis-server to listen", func() bool {
		conn, err := dialSocket(t.Context(), "unix", socket)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return cmd.Process, socket
}

func set(t *testing.T, s *Server, key, value string) {
	t.Helper()
	if err := connect(t, s.Socket()).Set(within(t), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Server, key string) string {
	t.Helper()
	v, err := connect(t, s.Socket()).Get(within(t), key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return v
}

func TestServerKeepsWhatItAccepted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, small(dir))
	set(t, s, "k", "1")
	i, err := os.Stat(dir)
	if err != nil || i.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", i.Mode(), err)
	}
	first, pid := s.RunID(), s.PID()
	s.Close()

	s = start(t, small(dir))
	if s.RunID() != first || s.PID() != pid {
		t.Fatalf("a living server was not adopted: %d after %d", s.PID(), pid)
	}
	kill(t, s)
	s = start(t, small(dir))
	if s.RunID() == first || get(t, s, "k") != "1" {
		t.Fatalf("after a kill: run %s, k = %q", s.RunID(), get(t, s, "k"))
	}
	set(t, s, "k", "2")
	if err := s.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(within(t), small(dir)); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("attached to a stopped server: %v", err)
	}
	s = start(t, small(dir))
	if get(t, s, "k") != "2" {
		t.Fatalf("after a stop: k = %q", get(t, s, "k"))
	}
	if _, err := Attach(within(t), small(dir)); err != nil {
		t.Fatal(err)
	}
}

func TestSocketMayHaveALongPath(t *testing.T) {
	s := start(t, small(filepath.Join(t.TempDir(), strings.Repeat("long", 30), "data")))
	set(t, s, "k", "1")
	if get(t, s, "k") != "1" {
		t.Fatal("nothing came back")
	}
}

// What a dead server left does not hinder a start, and a living process whose number stands in the pid file is not ours.
func TestStaleFiles(t *testing.T) {
	dir := t.TempDir()
	rewrite := "temp-rewriteaof-bg-17.aof"
	for name, text := range map[string]string{
		pidFile: strconv.Itoa(os.Getpid()), socketFile: "", lockFile: "", logFile: "?", rewrite: "half",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, small(dir))
	if s.PID() == os.Getpid() {
		t.Fatal("adopted this process")
	}
	if _, err := os.Stat(filepath.Join(dir, rewrite)); !os.IsNotExist(err) {
		t.Errorf("the half of a rewrite takes room: %v", err)
	}
}

// A socket that another process serves is left alone, with the process, whether or not the lock is taken.
func TestAnotherServerIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	other, socket := foreign(t, t.TempDir())
	if err := os.Symlink(socket, filepath.Join(dir, socketFile)); err != nil {
		t.Fatal(err)
	}
	refused := func() {
		t.Helper()
		_, err := Start(within(t), small(dir))
		if err == nil || !strings.Contains(err.Error(), "choose another data directory") {
			t.Fatalf("started beside another server: %v", err)
		}
	}
	refused()
	lock, free, err := openLock(filepath.Join(dir, lockFile))
	if err != nil || !free {
		t.Fatalf("lock: %v, %v", free, err)
	}
	defer lock.Close()
	if err := os.WriteFile(filepath.Join(dir, pidFile), []byte(strconv.Itoa(other.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused()
	if err := connect(t, socket).Ping(within(t)).Err(); err != nil {
		t.Fatalf("the other server: %v", err)
	}
}

func TestStartsAtOnceGiveOneServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, small(dir))
	kill(t, first)
	pids := make(chan int, 4)
	for range cap(pids) {
		go func() {
			s, err := Start(within(t), small(dir))
			if err != nil {
				t.Error(err)
				pids <- 0
				return
			}
			pids <- s.PID()
		}()
	}
	seen := map[int]bool{}
	for range cap(pids) {
		seen[<-pids] = true
	}
	if len(seen) != 1 {
		t.Fatalf("servers %v", seen)
	}
}

func TestOneEngineADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("a second engine: %v", err)
	}
	// The server outlives the engine and must not have got its lock.
	start(t, small(dir))
	release()
	release, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
}
