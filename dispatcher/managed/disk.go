package managed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"go.uber.org/zap"
)

// DiskLow tells whether the disk has less room than a rewrite of the append-only file and a reserve may need: intake
// refuses then, so that what was accepted can be cancelled and sent. detail says it in words, also when it is not low. A
// disk that cannot be read counts as low.
func (s *Server) DiskLow() (low bool, detail string) {
	need, err := s.lowWater()
	if err != nil {
		return true, err.Error()
	}
	free, err := s.free()
	if err != nil {
		return true, err.Error()
	}
	return free < need, fmt.Sprintf("%d MB free on the disk of %s, %d MB needed (twice the base of the append-only file and "+
		"%d MB)", free>>20, s.o.Dir, need>>20, s.o.Reserve>>20)
}

// Room is how many bytes the disk has free, and how many must be (DiskLow).
func (s *Server) Room() (free, needed int64, err error) {
	if needed, err = s.lowWater(); err != nil {
		return 0, 0, err
	}
	free, err = s.free()
	return free, needed, err
}

// lowWater is how many bytes must be free on the disk.
func (s *Server) lowWater() (int64, error) {
	a, err := s.aof()
	if err != nil {
		return 0, err
	}
	base, err := s.size(a.base)
	if err != nil {
		return 0, err
	}
	return 2*base + s.o.Reserve, nil
}

// free is how many bytes the disk of the directory has left for this user.
func (s *Server) free() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.o.Dir, &st); err != nil {
		return 0, fmt.Errorf("disk of %s: %w", s.o.Dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// keepBallast makes the ballast file if it is missing and the disk has room for it above the low-water mark. Without one
// the server works all the same, so that a failure is told in the log only.
func (s *Server) keepBallast() {
	path := s.path(ballastFile)
	if _, err := os.Stat(path); s.o.Ballast < 0 || err == nil {
		return
	}
	need, err := s.lowWater()
	if err == nil {
		var free int64
		if free, err = s.free(); err == nil && free < need+s.o.Ballast {
			err = fmt.Errorf("%d MB are free and %d MB needed", free>>20, (need+s.o.Ballast)>>20)
		}
	}
	if err == nil {
		err = allocate(path, s.o.Ballast)
	}
	if err != nil {
		s.log.Warn("no ballast file: when the disk is full, the engine will stop", zap.Error(err))
	}
}

// allocate makes a file whose room on disk is taken: 256 MB are there at once, and are no hole that holds nothing back.
func allocate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// freeBallast gives the ballast up, so that a server which ended because the disk was full can work again for a while.
func (s *Server) freeBallast() error {
	err := os.Remove(s.path(ballastFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ballast file: %w", err)
	}
	s.log.Error("the disk is full; the ballast was freed: make room now", zap.Int64("bytes", s.o.Ballast))
	return nil
}
