package managed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// both writes one value to two keys, so that Redis stores it as MULTI … EXEC.
var both = redis.NewScript(`redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1]) return 1`)

// grownBy runs the script on a server and tells how many bytes its file grew by.
func grownBy(t *testing.T, s *Server, run func(*redis.Client) error) int64 {
	t.Helper()
	size := func() int64 {
		a, err := s.aof()
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.size(a.incr)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := size()
	if err := run(connect(t, s.Socket())); err != nil {
		t.Fatal(err)
	}
	return size() - before
}

// incr is the part of the append-only file in dir that grows.
func incr(dir string) string { return filepath.Join(dir, aofDir, aofName+".1.incr.aof") }

// written makes a directory whose last write is a script, and tells the script's bytes.
func written(t *testing.T) (dir string, script int64) {
	t.Helper()
	dir = t.TempDir()
	s := start(t, small(dir))
	ctx := within(t)
	for v := range 2 {
		script = grownBy(t, s, func(c *redis.Client) error { return both.Run(ctx, c, []string{"a", "b"}, v).Err() })
	}
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	return dir, script
}

// copied copies the append-only file of dir into a directory of its own, cut bytes short.
func copied(dir, to string, cut int64) error {
	if err := os.CopyFS(filepath.Join(to, aofDir), os.DirFS(filepath.Join(dir, aofDir))); err != nil {
		return err
	}
	i, err := os.Stat(incr(to))
	if err != nil {
		return err
	}
	return os.Truncate(incr(to), i.Size()-cut)
}

// The append-only file is cut at every byte of its last script; the server starts, accepts, is killed and started twice:
// everything accepted is there, and no script is half applied (promise 1).
func TestCutAtEveryByteOfTheLastScript(t *testing.T) {
	dir, script := written(t)
	cuts := make(chan int64)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for cut := range cuts {
				to := filepath.Join(t.TempDir(), fmt.Sprint(cut))
				if err := survivesCut(within(t), dir, to, cut, script); err != nil {
					t.Errorf("%d of %d bytes cut: %v", cut, script, err)
				}
			}
		})
	}
	for cut := range script + 1 {
		cuts <- cut
	}
	close(cuts)
	workers.Wait()
}

// survivesCut is the story of one cut.
func survivesCut(ctx context.Context, dir, to string, cut, script int64) (err error) {
	if err := copied(dir, to, cut); err != nil {
		return err
	}
	torn, err := os.ReadFile(incr(to))
	if err != nil {
		return err
	}
	s, err := Start(ctx, small(to))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop(ctx)) }()
	ab := "0" // what the last script wrote is gone, whole
	if cut == 0 {
		ab = "1"
	}
	if err := expect(ctx, s, ab, "a", "b"); err != nil {
		return err
	}
	if err := told(s, torn, cut, script); err != nil {
		return err
	}
	client := Client(s.Socket())
	err = errors.Join(
		both.Run(ctx, client, []string{"c", "d"}, "1").Err(),
		client.Set(ctx, "e", "1", 0).Err(),
		both.Run(ctx, client, []string{"c", "d"}, "2").Err(),
		client.Close())
	if err != nil {
		return err
	}
	for range 2 {
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			return err
		}
		if _, err := s.await(ctx); !errors.Is(err, errDied) {
			return fmt.Errorf("killed, and %w", err)
		}
		s.Close()
		if s, err = Start(ctx, small(to)); err != nil {
			return err
		}
		err := errors.Join(expect(ctx, s, ab, "a", "b"), expect(ctx, s, "1", "e"), expect(ctx, s, "2", "c", "d"))
		if err != nil {
			return err
		}
		if n := len(s.Repairs()); n != 0 {
			return fmt.Errorf("%d repairs after a kill", n)
		}
	}
	return nil
}

// told checks that exactly the bytes of the torn script were cut, and kept.
func told(s *Server, torn []byte, cut, script int64) error {
	r := s.Repairs()
	if cut == 0 || cut == script {
		if len(r) != 0 {
			return fmt.Errorf("a whole file was repaired: %v", r)
		}
		return nil
	}
	if len(r) != 1 || r[0].Bytes != script-cut {
		return fmt.Errorf("repairs %v, want one of %d bytes", r, script-cut)
	}
	kept, err := os.ReadFile(r[0].Aside)
	if err != nil {
		return err
	}
	if !bytes.Equal(kept, torn[int64(len(torn))-(script-cut):]) {
		return fmt.Errorf("kept %q", kept)
	}
	return nil
}

// expect checks that each key has the value.
func expect(ctx context.Context, s *Server, value string, keys ...string) error {
	client := Client(s.Socket())
	defer client.Close()
	var err error
	for _, k := range keys {
		got, e := client.Get(ctx, k).Result()
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", k, e))
		} else if got != value {
			err = errors.Join(err, fmt.Errorf("%s = %q, want %q", k, got, value))
		}
	}
	return err
}

// Zeros where an interrupted write was to be are cut, and what stands before them is not.
func TestZerosAtTheEndAreCut(t *testing.T) {
	dir, script := written(t)
	for _, cut := range []int64{0, script / 2} {
		to := filepath.Join(t.TempDir(), "data")
		if err := copied(dir, to, cut); err != nil {
			t.Fatal(err)
		}
		add(t, incr(to), make([]byte, 100_000))
		s := start(t, small(to))
		want, gone := "1", int64(100_000)
		if cut > 0 {
			want, gone = "0", gone+script-cut
		}
		if err := expect(within(t), s, want, "a", "b"); err != nil {
			t.Error(err)
		}
		var sum int64
		for _, r := range s.Repairs() {
			sum += r.Bytes
		}
		if sum != gone {
			t.Errorf("%d bytes cut, want %d", sum, gone)
		}
	}
}

// add appends to a file.
func add(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Damage that an interrupted write cannot leave may hide accepted writes: nothing is cut, the start is refused.
func TestDamageIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a byte in the middle": func(t *testing.T, dir string) {
			b, err := os.ReadFile(incr(dir))
			if err != nil {
				t.Fatal(err)
			}
			b[bytes.IndexByte(b, '*')] = 'x'
			if err := os.WriteFile(incr(dir), b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"foreign bytes at the end": func(t *testing.T, dir string) { add(t, incr(dir), []byte("foreign\r\n")) },
		"a lost manifest": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, aofDir, aofName+".manifest")); err != nil {
				t.Fatal(err)
			}
		},
		"a broken base": func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, aofDir, aofName+".1.base.rdb"), 20); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := written(t)
			spoil(t, dir)
			before, err := os.ReadFile(incr(dir))
			if err != nil {
				t.Fatal(err)
			}
			s, err := Start(within(t), small(dir))
			if err == nil {
				t.Fatalf("started (%v)", s.Stop(within(t)))
			}
			t.Log(err)
			if !strings.Contains(err.Error(), "backup") {
				t.Errorf("no remedy in: %v", err)
			}
			after, err := os.ReadFile(incr(dir))
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

// Every command that is cut anywhere is the beginning of one; a whole one is read whole.
func FuzzReadCommand(f *testing.F) {
	f.Add([]byte("*1\r\n$5\r\nMULTI\r\n"))
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n"))
	f.Add([]byte("*0\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		r := bufio.NewReader(in)
		if _, err := readCommand(r); err != nil {
			return
		}
		size := len(data) - in.Len() - r.Buffered()
		for n := range size {
			_, err := readCommand(bufio.NewReader(bytes.NewReader(data[:n])))
			if n == 0 && !errors.Is(err, io.EOF) || n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q, the first %d bytes of %q: %v", data[:n], n, data, err)
			}
		}
	})
}
