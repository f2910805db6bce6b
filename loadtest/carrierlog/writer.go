package carrierlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// flushEvery is how long a line waits for the file at most. Lines wait in blocks of blockSize, which are used again and
// never grow; when blocksMost are full, the writer of lines has to wait too.
const (
	flushEvery = 25 * time.Millisecond
	blockSize  = 256 << 10
	blocksMost = 128
)

// Writer appends lines to a file. A line is in the file at most 50 ms after Append, and after Close. It is safe for
// concurrent use.
type Writer struct {
	file *os.File
	wake chan struct{}
	done chan struct{}
	// Failed is closed when the file takes no more; Close says why.
	Failed chan struct{}

	mu     sync.Mutex // guards what follows
	room   sync.Cond  // the flusher took blocks
	full   [][]byte
	last   []byte // the block that is being filled
	free   [][]byte
	closed bool
	err    error
}

// Open opens the file for appending and creates it when it is not there. What a killed writer left of a line at the end
// is cut off; cut says how many octets.
func Open(path string) (w *Writer, cut int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, 0, fmt.Errorf("carrier log: %w", err)
	}
	cut, err = cutTorn(f)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("carrier log %s: %w", path, err), f.Close())
	}
	w = &Writer{file: f, wake: make(chan struct{}, 1), done: make(chan struct{}), Failed: make(chan struct{})}
	w.room.L = &w.mu
	go w.flusher()
	return w, cut, nil
}

// cutTorn truncates f behind its last line feed and leaves the offset there.
func cutTorn(f *os.File) (cut int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	end := size
	for end > 0 {
		n := min(end, int64(len(block)))
		if _, err := f.ReadAt(block[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			end = end - n + int64(i) + 1
			break
		}
		end -= n
	}
	if end < size {
		if err := f.Truncate(end); err != nil {
			return 0, err
		}
	}
	_, err = f.Seek(end, io.SeekStart)
	return size - end, err
}

// Append takes whole lines. It copies them, and waits only when the file is far behind.
func (w *Writer) Append(lines []byte) {
	w.mu.Lock()
	for len(w.full) >= blocksMost && w.err == nil {
		w.room.Wait()
	}
	filled := false
	for len(lines) > 0 && w.err == nil && !w.closed {
		if len(w.last) == cap(w.last) {
			w.next()
			filled = true
		}
		n := min(len(lines), cap(w.last)-len(w.last))
		w.last = append(w.last, lines[:n]...)
		lines = lines[n:]
	}
	w.mu.Unlock()
	if filled {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// next begins a new block. It is called with mu held.
func (w *Writer) next() {
	if len(w.last) > 0 {
		w.full = append(w.full, w.last)
	}
	if n := len(w.free); n > 0 {
		w.last, w.free = w.free[n-1][:0], w.free[:n-1]
		return
	}
	w.last = make([]byte, 0, blockSize)
}

func (w *Writer) flusher() {
	defer close(w.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var out [][]byte
	for {
		select {
		case <-tick.C:
		case <-w.wake:
		}
		w.mu.Lock()
		if len(w.last) > 0 {
			w.next()
		}
		w.free = append(w.free, out...)
		out, w.full = w.full, out[:0]
		closed := w.closed
		w.room.Broadcast()
		w.mu.Unlock()
		for _, b := range out {
			if _, err := w.file.Write(b); err != nil {
				w.mu.Lock()
				w.err = fmt.Errorf("carrier log: %w", err)
				w.room.Broadcast()
				w.mu.Unlock()
				close(w.Failed)
				return
			}
		}
		if closed {
			return
		}
	}
}

// Close writes what waits and closes the file. It answers the first error that the file gave.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errors.New("carrier log: closed twice")
	}
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.done
	return errors.Join(w.err, w.file.Close())
}
