package wiring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// epochs keeps the highest epoch of each account in one file, written whole and synced before it is used.
type epochs struct {
	path string

	mu   sync.Mutex // guards last and the file
	last map[string]uint64
}

func openEpochs(path string) (*epochs, error) {
	e := &epochs{path: path, last: map[string]uint64{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &e.last); err != nil {
		return nil, fmt.Errorf("%s is not what the engine wrote: %w; move it away, each account then waits for a lease at start", path, err)
	}
	return e, nil
}

// Epoch is the highest epoch that this process has had for the account, or 0.
func (e *epochs) Epoch(account string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last[account]
}

// SetEpoch keeps a higher epoch; when it answers nil it is on disk.
func (e *epochs) SetEpoch(account string, epoch uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(e.last)
	next[account] = epoch
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := replace(e.path, b, 0o600); err != nil {
		return fmt.Errorf("epoch of account %s: %w", account, err)
	}
	e.last = next
	return nil
}

// replace writes a file whole: either the old content is there or the new, synced.
func replace(path string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
