package managed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Repair is one cut at the end of a torn append-only file.
type Repair struct {
	File  string // that was cut
	Bytes int64  // that went: a command or script that was never answered
	Aside string // where they are kept
}

// analyzed is what redis-check-aof says of each file.
var analyzed = regexp.MustCompile(`AOF analyzed: filename=(\S+), size=(\d+), ok_up_to=(\d+)`)

// repair cuts a torn append-only file before the command or script in which it ends. With fsync on every write such a
// tail was never answered, so nothing accepted is lost. Redis would cut it by itself, but inside the script: what is
// accepted next would then be thrown away, or the half script come to life, at the following start. Damage that no
// interrupted write leaves is refused. The caller has the lock.
func (s *Server) repair(ctx context.Context) error {
	a, err := s.aof()
	if err != nil {
		return err
	}
	if len(a.incr) == 0 {
		return fmt.Errorf("the append-only file in %s cannot be read and has no part that grows: restore it from a backup",
			s.path(aofDir))
	}
	name := a.incr[len(a.incr)-1]
	path := s.path(aofDir, name)
	// An interrupted write may leave zeros where its bytes were to be; a command ends with a line feed.
	before, end, err := withoutZeros(path)
	if err != nil {
		return fmt.Errorf("append-only file: %w", err)
	}
	if end < before {
		if err := s.cut(path, end, before); err != nil {
			return err
		}
	}
	manifest := s.path(aofDir, aofName+".manifest")
	// It exits with 1 when it finds something to fix.
	out, err := exec.CommandContext(ctx, s.checkAOF, manifest).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", s.checkAOF, err)
	}
	if err == nil {
		return nil // nothing is left to repair
	}
	all := analyzed.FindAllStringSubmatch(string(out), -1)
	if len(all) == 0 || all[len(all)-1][1] != name {
		return fmt.Errorf("the append-only file in %s is damaged in a part that no interrupted write touches: restore it from "+
			"a backup (%s says: %s)", s.path(aofDir), filepath.Base(s.checkAOF), lastLine(string(out)))
	}
	valid, err := strconv.ParseInt(all[len(all)-1][3], 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", s.checkAOF, err)
	}
	if err := unanswered(path, valid, end); err != nil {
		return fmt.Errorf("%s is damaged after byte %d in a way that no interrupted write leaves (%w): what follows may have "+
			"been accepted. Restore it from a backup, or give it up with: redis-check-aof --fix %s", path, valid, err, manifest)
	}
	aside, err := s.keep(path, valid, end)
	if err != nil {
		return err
	}
	fix := exec.CommandContext(ctx, s.checkAOF, "--fix", manifest)
	fix.Stdin = strings.NewReader("y\n")
	if out, err := fix.CombinedOutput(); err != nil {
		return fmt.Errorf("%s --fix: %w: %s", s.checkAOF, err, lastLine(string(out)))
	}
	if i, err := os.Stat(path); err != nil || i.Size() != valid {
		return fmt.Errorf("%s --fix did not cut %s to %d bytes", s.checkAOF, path, valid)
	}
	s.repaired(Repair{File: path, Bytes: end - valid, Aside: aside})
	return nil
}

// repaired notes a cut.
func (s *Server) repaired(r Repair) {
	s.log.Warn("the append-only file ended inside a write that was never answered; it was cut",
		zap.String("file", r.File), zap.Int64("bytes", r.Bytes), zap.String("kept", r.Aside))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repairs = append(s.repairs, r)
}

// cut takes the bytes [from, to) off the end of the file, and keeps them.
func (s *Server) cut(path string, from, to int64) error {
	aside, err := s.keep(path, from, to)
	if err != nil {
		return err
	}
	if err := os.Truncate(path, from); err != nil {
		return fmt.Errorf("append-only file: %w", err)
	}
	s.repaired(Repair{File: path, Bytes: to - from, Aside: aside})
	return nil
}

// keep copies the bytes [from, to) of the file aside, durably, and tells where to.
func (s *Server) keep(path string, from, to int64) (aside string, err error) {
	if err := os.MkdirAll(s.path(tornDir), 0o700); err != nil {
		return "", fmt.Errorf("keeping the torn tail: %w", err)
	}
	aside = s.path(tornDir, fmt.Sprintf("%s.%s.%d-%d", filepath.Base(path),
		time.Now().UTC().Format("20060102T150405.000000000Z"), from, to))
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("keeping the torn tail: %w", err)
	}
	defer f.Close()
	k, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("keeping the torn tail: %w", err)
	}
	_, err = io.Copy(k, io.NewSectionReader(f, from, to-from))
	if err = errors.Join(err, k.Sync(), k.Close()); err != nil {
		return "", fmt.Errorf("keeping the torn tail: %w", err)
	}
	return aside, nil
}

// withoutZeros is the size of the file, and its size without the zeros at its end.
func withoutZeros(path string) (size, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	size = i.Size()
	chunk := make([]byte, 64<<10)
	for end = size; end > 0; {
		n := min(end, int64(len(chunk)))
		if _, err := f.ReadAt(chunk[:n], end-n); err != nil {
			return 0, 0, err
		}
		kept := len(bytes.TrimRight(chunk[:n], "\x00"))
		end -= n - int64(kept)
		if kept > 0 {
			break
		}
	}
	return size, end, nil
}

// unanswered checks that the bytes [from, to) of the file are the beginning of one command, or of one script (MULTI …
// without its EXEC), and nothing else.
func unanswered(path string, from, to int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(io.NewSectionReader(f, from, to-from))
	for n := 0; ; n++ {
		name, err := readCommand(r)
		if errors.Is(err, io.ErrUnexpectedEOF) || n > 0 && errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case err != nil:
			return err
		case n == 0 && name != "MULTI":
			return fmt.Errorf("%s stands alone and is whole", name)
		case name == "EXEC":
			return errors.New("the script is whole")
		}
	}
}

// longest is the longest part of a command that Redis takes by default (proto-max-bulk-len), in bytes.
const longest = 512 << 20

// readCommand reads one command of an append-only file ("*2\r\n$3\r\nGET\r\n$1\r\na\r\n") and gives its name in upper
// case. io.EOF: there is none. io.ErrUnexpectedEOF: it is the beginning of one.
func readCommand(r *bufio.Reader) (name string, err error) {
	parts, err := readCount(r, '*')
	if err != nil {
		return "", err
	}
	for i := range parts {
		size, err := readCount(r, '$')
		if err != nil {
			return "", inside(err)
		}
		if size > longest {
			return "", fmt.Errorf("a part of %d bytes", size)
		}
		var part io.Writer = io.Discard
		var first bytes.Buffer
		if i == 0 {
			part = &first
		}
		if _, err := io.CopyN(part, r, size); err != nil {
			return "", inside(err)
		}
		name += strings.ToUpper(first.String())
		for _, want := range "\r\n" {
			got, err := r.ReadByte()
			if err != nil {
				return "", inside(err)
			}
			if got != byte(want) {
				return "", fmt.Errorf("%q where a part ends", got)
			}
		}
	}
	return name, nil
}

// readCount reads a line such as "$12\r\n".
func readCount(r *bufio.Reader, mark byte) (int64, error) {
	line, err := r.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, errors.New("a line that does not end")
	}
	if len(line) == 0 {
		return 0, io.EOF
	}
	digits, whole := bytes.CutSuffix(line[1:], []byte("\r\n"))
	if !whole {
		digits = bytes.TrimSuffix(digits, []byte("\r"))
	}
	n, bad := strconv.ParseUint(string(digits), 10, 40)
	if line[0] != mark || bad != nil && (whole || len(digits) > 0) {
		return 0, fmt.Errorf("%q where %q and a number belong", line, mark)
	}
	if !whole {
		return 0, io.ErrUnexpectedEOF
	}
	return int64(n), nil
}

// inside turns the end of the file into an end inside a command.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
