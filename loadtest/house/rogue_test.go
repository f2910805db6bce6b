package house

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"tocsin/channels/smpp/pdu"
)

// rogue is a carrier that lets everybody bind, takes nothing, and sends what a test tells it to.
type rogue struct {
	listener net.Listener
	loops    sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]bool
	newest net.Conn
	binds  int
	ended  bool
	said   []pdu.Header // answers to deliver_sm
}

func newRogue() (*rogue, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &rogue{listener: l, conns: map[net.Conn]bool{}}
	r.loops.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil || !r.keep(conn) {
				return
			}
			r.loops.Go(func() { r.serve(conn) })
		}
	})
	return r, nil
}

func (r *rogue) address() string { return r.listener.Addr().String() }

func (r *rogue) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[conn] = true
	return !r.ended
}

func (r *rogue) stop() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.ended = true
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.loops.Wait()
}

// serve answers binds and keep-alives until the connection ends.
func (r *rogue) serve(conn net.Conn) {
	defer conn.Close()
	for {
		head := make([]byte, pdu.HeaderSize)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		h := pdu.Header{
			Length: binary.BigEndian.Uint32(head), Command: pdu.Command(binary.BigEndian.Uint32(head[4:])),
			Status: pdu.Status(binary.BigEndian.Uint32(head[8:])), Sequence: binary.BigEndian.Uint32(head[12:]),
		}
		if _, err := io.CopyN(io.Discard, conn, int64(h.Length)-pdu.HeaderSize); err != nil {
			return
		}
		if !r.answer(conn, h) {
			return
		}
	}
}

func (r *rogue) answer(conn net.Conn, h pdu.Header) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b []byte
	switch h.Command {
	case pdu.BindTransceiver:
		b, _ = pdu.AppendBindResp(nil, h.Command, h.Sequence, []byte("rogue"))
		r.newest = conn
		r.binds++
	case pdu.EnquireLink, pdu.Unbind:
		b = pdu.AppendHeader(nil, h.Command|pdu.Response, pdu.OK, h.Sequence)
	case pdu.DeliverSMResp:
		r.said = append(r.said, h)
	}
	_, err := conn.Write(b)
	return err == nil
}

// bound is how often links were bound so far.
func (r *rogue) bound() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.binds
}

// answers is what was said to deliver_sm so far.
func (r *rogue) answers() []pdu.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pdu.Header(nil), r.said...)
}

// send writes octets to the link that was bound last, and hangs up where it shall.
func (r *rogue) send(octets []byte, hangUp bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest == nil {
		return errors.New("no link is bound")
	}
	_, err := r.newest.Write(octets)
	if hangUp {
		err = errors.Join(err, r.newest.Close())
	}
	return err
}
