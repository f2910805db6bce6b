package managed

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// watched runs Watch in the background until the test ends. Each call of onDown arrives in events and is held until
// resume gets a value.
func watched(t *testing.T, s *Server) (events <-chan error, resume chan<- struct{}) {
	ctx, cancel := context.WithCancel(t.Context())
	told, goOn, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(err error) {
			select {
			case told <- err:
			case <-ctx.Done():
				return
			}
			select {
			case <-goOn:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return told, goOn
}

// A server that died is started again, through the same repair as at a start.
func TestWatchStartsTheServerAgain(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	events, resume := watched(t, s)
	set(t, s, "k", "1")
	run := s.RunID()
	kill(t, s)
	if err := <-events; err == nil {
		t.Fatal("the death was not told")
	}
	half := []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n2")
	add(t, incr(dir), half)
	resume <- struct{}{}
	if err := <-events; err != nil {
		t.Fatal(err)
	}
	if s.RunID() == run || get(t, s, "k") != "1" {
		t.Fatalf("run %s after %s, k = %q", s.RunID(), run, get(t, s, "k"))
	}
	if r := s.Repairs(); len(r) != 1 || r[0].Bytes != int64(len(half)) {
		t.Fatalf("repairs %v", r)
	}
	resume <- struct{}{}
	// Stopped on purpose it stays down, and Watch ends.
	if err := s.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	s.Watch(t.Context(), func(err error) { t.Errorf("told after a stop: %v", err) })
}

// Scripts run one after the other while the server is killed and started again, five times: what was answered OK is
// there, and no script is half applied.
func TestKillsLoseNothing(t *testing.T) {
	s := start(t, small(t.TempDir()))
	client := connect(t, s.Socket())
	var tried, accepted atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			tried.Store(n)
			if both.Run(within(t), client, []string{"a", "b"}, n).Err() == nil {
				accepted.Store(n)
			}
		}
	}()
	events, resume := watched(t, s)
	for range 5 {
		before := accepted.Load()
		until(t, "scripts to be accepted", func() bool { return accepted.Load() > before+20 })
		kill(t, s)
		for err := range events {
			resume <- struct{}{}
			if err == nil {
				break
			}
		}
	}
	close(stop)
	<-stopped
	a, err := strconv.ParseInt(get(t, s, "a"), 10, 64)
	if err != nil || a < accepted.Load() || a > tried.Load() || get(t, s, "b") != get(t, s, "a") {
		t.Fatalf("a = %d (%v), b = %s; accepted %d of %d", a, err, get(t, s, "b"), accepted.Load(), tried.Load())
	}
}

// A server that ended because its disk was full is started again with the ballast freed; a start that fails is told
// and tried again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	o := small(dir)
	s := start(t, o)
	ballast := filepath.Join(dir, ballastFile)
	if i, err := os.Stat(ballast); err != nil || i.Size() != o.Ballast {
		t.Fatalf("no ballast: %v", err)
	}
	if err := s.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	// Writing to /dev/full fails as on a full disk; it reports size 0 and is loaded as empty.
	replace := func(path, by string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(by, path); err != nil {
			t.Fatal(err)
		}
	}
	replace(incr(dir), "/dev/full")
	o.Reserve = 1 << 60 // the disk is low: the ballast is not made anew
	s = start(t, o)
	if low, detail := s.DiskLow(); !low {
		t.Fatal(detail)
	}
	events, resume := watched(t, s)
	write := func() error { return connect(t, s.Socket()).Set(within(t), "k", "1", 0).Err() }
	if err := write(); err == nil {
		t.Fatal("a write to a full disk was answered OK")
	}
	t.Log(<-events)
	if _, err := os.Stat(ballast); err != nil {
		t.Fatalf("freed too early: %v", err)
	}
	resume <- struct{}{}
	if err := <-events; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ballast); !os.IsNotExist(err) {
		t.Fatalf("the ballast is still there: %v", err)
	}
	resume <- struct{}{}

	if err := write(); err == nil {
		t.Fatal("a write to a full disk was answered OK")
	}
	t.Log(<-events)
	replace(incr(dir), "/nowhere/at/all") // a start that fails
	resume <- struct{}{}
	err := <-events
	if err == nil {
		t.Fatal("a failed start was not told")
	}
	t.Log(err)
	if err := os.Remove(incr(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(incr(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	resume <- struct{}{}
	if err := <-events; err != nil {
		t.Fatal(err)
	}
	resume <- struct{}{}
	if err := write(); err != nil {
		t.Fatal(err)
	}
}
