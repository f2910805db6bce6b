package managed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// aof is the append-only file: a base and what was appended since, each in one or several files.
type aof struct {
	base, incr []string // names in the order of loading
}

// aof reads which files belong to the append-only file; none of them before the first start.
func (s *Server) aof() (aof, error) {
	text, err := os.ReadFile(s.path(aofDir, aofName+".manifest"))
	if errors.Is(err, fs.ErrNotExist) {
		return aof{}, nil
	}
	if err != nil {
		return aof{}, fmt.Errorf("append-only file: %w", err)
	}
	var a aof
	for line := range strings.Lines(string(text)) {
		// file appendonly.aof.1.incr.aof seq 1 type i
		w := strings.Fields(line)
		if len(w) < 6 || w[0] != "file" || w[4] != "type" {
			continue
		}
		switch w[5] {
		case "b":
			a.base = append(a.base, w[1])
		case "i":
			a.incr = append(a.incr, w[1])
		}
	}
	return a, nil
}

// size is how many bytes the named files of the append-only file have. One that a rewrite has just removed counts 0.
func (s *Server) size(names []string) (int64, error) {
	var sum int64
	for _, n := range names {
		i, err := os.Stat(s.path(aofDir, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("append-only file: %w", err)
		}
		sum += i.Size()
	}
	return sum, nil
}

// complete refuses a directory whose list of files is lost while there is data: Redis would start empty and say nothing.
func (s *Server) complete() error {
	a, err := s.aof()
	if err != nil || len(a.incr) > 0 {
		return err
	}
	left, err := filepath.Glob(s.path(aofDir, aofName+".*.incr.aof"))
	if err != nil {
		return fmt.Errorf("append-only file: %w", err)
	}
	for _, path := range left {
		if i, err := os.Stat(path); err == nil && i.Size() > 0 {
			return fmt.Errorf("%s has data, but %s.manifest, which lists the files to load, is missing: restore it from a backup",
				path, aofName)
		}
	}
	return nil
}
