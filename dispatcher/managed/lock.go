package managed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Lock takes the data directory dir for this engine process, making it if need be. The lock ends with release or with
// the process, however it dies. A second engine gets an error that names the process that has the directory.
func Lock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	f, held, err := openLock(filepath.Join(dir, "engine.lock"))
	if err != nil {
		return nil, err
	}
	if !held {
		defer f.Close()
		owner, _ := io.ReadAll(io.LimitReader(f, 20))
		return nil, fmt.Errorf("data directory %s: in use by another engine (process %s): stop that one, or give this one "+
			"a directory of its own", dir, strings.TrimSpace(string(owner)))
	}
	err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid())))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return func() { f.Close() }, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// openLock opens the file at path and tries to lock it. The lock belongs to the open file: it is held until f and all
// copies of it that other processes inherited are closed.
func openLock(path string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("lock: %w", err)
	}
	held, err = tryLock(f)
	if err != nil {
		f.Close()
		return nil, false, err
	}
	return f, held, nil
}

// tryLock locks f unless another open file has the lock.
func tryLock(f *os.File) (held bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return true, nil
}
