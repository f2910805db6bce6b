package managed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// The files of a data directory. The server works in it, so that their names are short whatever the directory's path.
const (
	socketFile  = "redis.sock"
	pidFile     = "redis.pid"
	confFile    = "redis.conf"
	logFile     = "redis.log"
	lockFile    = "redis.lock"
	ballastFile = "ballast"
	tornDir     = "torn"
	aofDir      = "appendonlydir"
	aofName     = "appendonly.aof"
)

// silence is how long a server that lives may answer nothing at all before a start gives up on it. A server that loads
// answers, however long it takes.
const silence = 30 * time.Second

// Options say how the engine's own server runs. Sizes are bytes; zero takes the usual one.
type Options struct {
	Dir       string      // data directory; made with mode 0700
	Log       *zap.Logger // nil: none
	MaxMemory int64       // what the server may use; zero: no limit
	Ballast   int64       // kept on disk, to be given up when the disk is full; 256 MB, negative: none
	Reserve   int64       // wanted free on disk beside twice the base of the append-only file; 1 GB
	Growth    int64       // of the append-only file before it is rewritten; 1 GB
}

// Server is the engine's own redis-server. Its methods may be called from several goroutines.
type Server struct {
	o   Options
	log *zap.Logger

	act              sync.Mutex // one start or stop at a time; guards what follows
	stopped          bool       // Stop or Close was called: nothing starts it again
	server, checkAOF string     // as found at the last start

	mu      sync.Mutex // guards what follows
	pid     int
	runID   string
	repairs []Repair
}

// ErrNotRunning is the answer of Attach when no server works in the directory.
var ErrNotRunning = errors.New("no redis-server of ours is running there")

// errDied says that the server's lock has become free.
var errDied = errors.New("redis-server has ended")

// Start sees to it that a server works in the directory and answers: it adopts one that lives there, else it starts one,
// after mending what ended the last one (a torn append-only file, a full disk). Loading takes seconds a gigabyte; when
// ctx ends before, the server goes on and the next Start adopts it.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := s.up(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Attach adopts the server that works in the directory and starts none: ErrNotRunning.
func Attach(ctx context.Context, o Options) (*Server, error) {
	s, err := open(o)
	if err != nil {
		return nil, err
	}
	alive, err := s.alive()
	if err != nil {
		return nil, err
	}
	if !alive {
		return nil, fmt.Errorf("data directory %s: %w", s.o.Dir, ErrNotRunning)
	}
	f, err := s.await(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.adopt(ctx, f); err != nil {
		return nil, err
	}
	return s, nil
}

// open prepares the directory.
func open(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("data directory: none is named")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	for _, d := range []struct {
		size  *int64
		usual int64
	}{{&o.Ballast, 256 << 20}, {&o.Reserve, 1 << 30}, {&o.Growth, 1 << 30}} {
		if *d.size == 0 {
			*d.size = d.usual
		}
	}
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	o.Dir = dir
	return &Server{o: o, log: o.Log}, nil
}

// Socket is the path of the server's unix socket, for Client.
func (s *Server) Socket() string { return s.path(socketFile) }

// RunID names the run of the server; it changes when the server is started again.
func (s *Server) RunID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runID
}

// PID is the process id of the server.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Repairs lists what was cut off the append-only file by this Server, oldest first.
func (s *Server) Repairs() []Repair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Repair(nil), s.repairs...)
}

// Close lets go of the server, which lives on. End Watch first.
func (s *Server) Close() {
	s.act.Lock()
	defer s.act.Unlock()
	s.stopped = true
}

// Stop shuts the server down in order and waits until it has ended. When ctx ends before, the server may still be
// about to end. End Watch first: a start that is under way is waited for.
func (s *Server) Stop(ctx context.Context) error {
	s.act.Lock()
	defer s.act.Unlock()
	s.stopped = true
	if alive, err := s.alive(); err != nil || !alive {
		return err
	}
	client := Client(s.Socket())
	defer client.Close()
	var refusal redis.Error
	if err := client.Shutdown(ctx).Err(); errors.As(err, &refusal) {
		return fmt.Errorf("redis-server does not shut down: %w", err)
	}
	for {
		if alive, err := s.alive(); err != nil || !alive {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("redis-server (process %d) has not ended yet: %w", s.PID(), err)
		}
	}
}

func (s *Server) path(elem ...string) string {
	return filepath.Join(append([]string{s.o.Dir}, elem...)...)
}

// alive tells whether a server, or a child that still writes for it, has the directory.
func (s *Server) alive() (bool, error) {
	f, free, err := openLock(s.path(lockFile))
	if err != nil {
		return false, err
	}
	f.Close()
	return !free, nil
}

// up adopts the server that has the lock, else starts one. Before each start it mends what the last run named as its end.
func (s *Server) up(ctx context.Context) error {
	const starts = 3 // one finds the tear, one follows the repair, one follows the end of a server that was to be adopted
	s.act.Lock()
	defer s.act.Unlock()
	if s.stopped {
		return errors.New("the redis-server was stopped or let go")
	}
	for range starts {
		began, err := s.start(ctx)
		if err != nil {
			return err
		}
		f, err := s.await(ctx)
		if err == nil {
			s.log.Info("redis-server answers", zap.Bool("adopted", !began), zap.String("pid", f["process_id"]),
				zap.String("version", f["redis_version"]))
			return s.adopt(ctx, f)
		}
		if !errors.Is(err, errDied) {
			return err
		}
		if words := s.lastRun(); began && !torn(words) && !full(words) {
			break
		}
	}
	return fmt.Errorf("redis-server does not stay up: %s (see %s)", lastLine(s.lastRun()), s.path(logFile))
}

// start begins a run with the directory's lock in its hands; false when somebody has the lock already.
func (s *Server) start(ctx context.Context) (began bool, err error) {
	lock, free, err := openLock(s.path(lockFile))
	if err != nil {
		return false, err
	}
	defer lock.Close() // the server keeps the copy that it inherited, and with it the lock
	if !free {
		return false, nil
	}
	if conn, err := dialSocket(ctx, "unix", s.Socket()); err == nil {
		conn.Close()
		return false, fmt.Errorf("%s is served by a process that the engine did not start: stop it, or choose another "+
			"data directory", s.Socket())
	}
	if s.server, s.checkAOF, err = Find(); err != nil {
		return false, err
	}
	switch words := s.lastRun(); {
	case torn(words):
		if err := s.repair(ctx); err != nil {
			return false, err
		}
	case full(words):
		if err := s.freeBallast(); err != nil {
			return false, err
		}
	}
	if err := s.complete(); err != nil {
		return false, err
	}
	if err := s.clear(); err != nil {
		return false, err
	}
	if err := os.WriteFile(s.path(confFile), []byte(s.conf()), 0o600); err != nil {
		return false, fmt.Errorf("settings of the redis-server: %w", err)
	}
	return true, s.launch(lock)
}

// clear removes what a dead server left: its socket, its pid file, and the half of a rewrite, which may be gigabytes.
func (s *Server) clear() error {
	left, err := filepath.Glob(s.path("temp-*.*"))
	if err != nil {
		return fmt.Errorf("what a dead redis-server left: %w", err)
	}
	for _, path := range append(left, s.path(socketFile), s.path(pidFile)) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("what a dead redis-server left: %w", err)
		}
	}
	return nil
}

// launch runs redis-server until it has gone to the background. In a session of its own it does not get the Ctrl-C that
// is meant for the engine, which still has to drain; and it is nobody's child, so it ends with nobody.
func (s *Server) launch(lock *os.File) error {
	log, err := os.OpenFile(s.path(logFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("log of the redis-server: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.server, confFile)
	cmd.Dir = s.o.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s (see %s)", s.server, err, lastLine(s.lastRun()), log.Name())
	}
	return nil
}

// conf is the configuration of the server.
func (s *Server) conf() string {
	settings := [][2]string{
		{"port", "0"},
		{"unixsocket", socketFile},
		{"unixsocketperm", "700"},
		{"protected-mode", "yes"},
		{"enable-protected-configs", "no"},
		{"enable-debug-command", "no"},
		{"enable-module-command", "no"},
		{"daemonize", "yes"},
		{"pidfile", pidFile},
		{"logfile", logFile},
		{"databases", "1"},
		{"appendonly", "yes"},
		{"appendfsync", "always"},
		{"no-appendfsync-on-rewrite", "no"},
		{"aof-load-truncated", "no"}, // cut, the file would lose what is accepted later: see repair
		{"aof-use-rdb-preamble", "yes"},
		{"appendfilename", aofName},
		{"appenddirname", aofDir},
		{"auto-aof-rewrite-percentage", "0"}, // the engine chooses the moment: see RewriteIfDue
		{"save", `""`},
		{"maxmemory", strconv.FormatInt(s.o.MaxMemory, 10)},
		{"maxmemory-policy", "noeviction"},
	}
	var b strings.Builder
	fmt.Fprintln(&b, "# Written by tocsin at each start of this server; changes made here are lost.")
	for _, kv := range settings {
		fmt.Fprintln(&b, kv[0], kv[1])
	}
	return b.String()
}

// await waits until the server has loaded and answers. errDied when nobody has the lock any more.
func (s *Server) await(ctx context.Context) (facts, error) {
	heard := time.Now()
	for {
		f, err := s.ask(ctx)
		if err == nil && f["loading"] == "0" {
			return f, nil
		}
		if alive, err := s.alive(); err != nil {
			return nil, err
		} else if !alive {
			return nil, errDied
		}
		if err == nil {
			heard = time.Now()
		}
		if time.Since(heard) > silence {
			pid, _ := os.ReadFile(s.path(pidFile))
			return nil, fmt.Errorf("a redis-server (process %s) has the data directory %s and has not answered for %s: %w",
				strings.TrimSpace(string(pid)), s.o.Dir, silence, err)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for redis-server to load: %w", err)
		}
	}
}

// ask is the server's INFO. Whether somebody listens is tried first, since a client logs each vain attempt.
func (s *Server) ask(ctx context.Context) (facts, error) {
	conn, err := dialSocket(ctx, "unix", s.Socket())
	if err != nil {
		return nil, err
	}
	conn.Close()
	client := Client(s.Socket())
	defer client.Close()
	return readFacts(ctx, client)
}

// adopt makes sure that the server which answers is the one of this directory and keeps promise 1.
func (s *Server) adopt(ctx context.Context, f facts) error {
	client := Client(s.Socket())
	defer client.Close()
	written, err := os.ReadFile(s.path(pidFile))
	if err != nil {
		return fmt.Errorf("pid file of the redis-server: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(written)))
	if err != nil {
		return fmt.Errorf("pid file %s of the redis-server: %w", s.path(pidFile), err)
	}
	dir, err := client.ConfigGet(ctx, "dir").Result()
	if err != nil {
		return fmt.Errorf("asking redis-server for its directory: %w", err)
	}
	if f["process_id"] != strconv.Itoa(pid) || dir["dir"] != s.o.Dir {
		return fmt.Errorf("%s is served by another redis-server (process %s in %s, not process %d in %s): stop it, or choose "+
			"another data directory", s.Socket(), f["process_id"], dir["dir"], pid, s.o.Dir)
	}
	if err := client.ConfigSet(ctx, "maxmemory", strconv.FormatInt(s.o.MaxMemory, 10)).Err(); err != nil {
		return fmt.Errorf("setting maxmemory: %w", err)
	}
	if _, err := Check(ctx, client, ""); err != nil {
		return err
	}
	s.mu.Lock()
	s.pid, s.runID = pid, f["run_id"]
	s.mu.Unlock()
	s.keepBallast()
	return nil
}

// pause waits for d or until ctx ends, with its error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
