package smpp

import (
	"net"
	"sync"
	"syscall"
)

// maxKept is how much may wait for a socket that takes nothing. Only answers to the carrier come to a link that waits,
// so a carrier that asks this much without reading is not a carrier.
const maxKept = 1 << 20

// wire is one connection as it is written to.
type wire struct {
	conn *net.TCPConn
	raw  syscall.RawConn

	mu       sync.Mutex
	given    uint64 // octets given to write
	written  uint64 // of them, taken by the socket
	kept     []byte // the rest, while flushing
	flushing bool
	ended    error // why it was ended from here

	attempt func(fd uintptr) bool // tries to write trying once
	trying  []byte
	tried   int
	tryErr  error

	flusher sync.WaitGroup // runs flush
}

func newWire(conn *net.TCPConn) (*wire, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, raw: raw}
	w.attempt = func(fd uintptr) bool {
		for w.tried < len(w.trying) {
			n, err := syscall.Write(int(fd), w.trying[w.tried:])
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				if err != syscall.EAGAIN {
					w.tryErr = err
				}
				return true
			}
			w.tried += n
		}
		return true
	}
	return w, nil
}

// write gives b to the socket with w.mu held, and never waits: what the socket does not take is kept. It says whether
// octets were kept now that none were before; the caller then has flusher run flush, still with w.mu held.
func (w *wire) write(b []byte) (stalled bool) {
	if w.ended != nil {
		return false
	}
	w.given += uint64(len(b))
	if w.flushing {
		if len(w.kept)+len(b) > maxKept {
			w.endLocked(errNotReading)
			return false
		}
		w.kept = append(w.kept, b...)
		return false
	}
	w.trying, w.tried, w.tryErr = b, 0, nil
	err := w.raw.Write(w.attempt)
	w.trying = nil
	w.written += uint64(w.tried)
	if err == nil {
		err = w.tryErr
	}
	if err != nil {
		w.endLocked(err)
		return false
	}
	if w.tried == len(b) {
		return false
	}
	w.kept = append(w.kept[:0], b[w.tried:]...)
	w.flushing = true
	return true
}

// flush waits for the socket until nothing is kept; done is called with w.mu held.
func (w *wire) flush(done func()) {
	var now []byte
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.ended == nil && len(w.kept) > 0 {
		now, w.kept = w.kept, now[:0]
		w.mu.Unlock()
		n, err := w.conn.Write(now)
		w.mu.Lock()
		w.written += uint64(n)
		if err != nil {
			w.endLocked(err)
		}
	}
	if w.ended == nil {
		w.flushing = false
		done()
	}
}

// end closes the connection for a reason; the reader of the link cleans up.
func (w *wire) end(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endLocked(why)
}

func (w *wire) endLocked(why error) {
	if w.ended == nil {
		w.ended = why
		_ = w.conn.Close() // nothing is lost by it that is not reported by the end of the link
	}
}
