package smpp

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"tocsin/channels/channelstest"
	"tocsin/channels/smpp/pdu"
)

// peer is a carrier that plays one trick. Tricks that break something are played once; sessions after it are plain.
type peer struct {
	t     *testing.T
	ln    net.Listener
	trick channelstest.Trick
	ids   idForm
	loops sync.WaitGroup
	// release ends notReading; resume says whether the link is read then, or dropped.
	release chan struct{}
	let     sync.Once
	resume  bool

	mu         sync.Mutex
	conns      []net.Conn
	played     bool // the trick that breaks something was played
	got        []channelstest.Got
	submits    []pdu.SM // with copies of their fields
	acks       int
	keepAlives int
	cancels    int
	binds      int
	count      int // submits, for ids and for tricks that begin or end with a number of them
}

// notReading is a trick of this transport: one link of the carrier reads nothing until release is closed.
const notReading channelstest.Trick = "does not read on one link"

// idForm is the id of a message as the answer gives it and as the receipt's text gives it.
type idForm func(n int) (answered, reported string)

func sameID(n int) (string, string) {
	id := fmt.Sprintf("%020d", n)
	return id, id
}

// full is how many segments of a suite's test come on one link.
const full = 24

func startPeer(t *testing.T, trick channelstest.Trick, ids idForm) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, ln: ln, trick: trick, ids: ids, release: make(chan struct{})}
	p.loops.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

// letGo closes release.
func (p *peer) letGo() { p.let.Do(func() { close(p.release) }) }

func (p *peer) stop() {
	p.letGo()
	_ = p.ln.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.loops.Wait()
}

func (p *peer) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, conn)
		p.mu.Unlock()
		s := &peerSession{peer: p, conn: conn, ended: make(chan struct{})}
		p.loops.Go(s.run)
	}
}

func (p *peer) Address() string { return p.ln.Addr().String() }

func (p *peer) Got() []channelstest.Got {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]channelstest.Got(nil), p.got...)
}

func (p *peer) counted(n *int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *n
}

func (p *peer) ReceiptsAnswered() int { return p.counted(&p.acks) }
func (p *peer) KeepAlives() int       { return p.counted(&p.keepAlives) }
func (p *peer) Binds() int            { return p.counted(&p.binds) }

// once is true for the first caller.
func (p *peer) once() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.played
	p.played = true
	return first
}

// peerSession is one connection of a peer.
type peerSession struct {
	*peer
	conn    net.Conn
	ended   chan struct{}
	out     []byte // answers of this read
	held    []byte // answers that wait for the end of the window
	receipt []byte // receipts of this read, sent after the answers
	number  int    // submits of this session
	seq     uint32
	wmu     sync.Mutex
	breaks  bool // this session plays the trick that breaks
	over    bool
}

func (s *peerSession) run() {
	defer func() { close(s.ended); _ = s.conn.Close() }()
	cut := pdu.NewCutter()
	for !s.over {
		n, err := s.conn.Read(cut.Space())
		if err != nil {
			return
		}
		cut.Filled(n)
		s.out, s.receipt = s.out[:0], s.receipt[:0]
		for q, ok := cut.Next(); ok && !s.over; q, ok = cut.Next() {
			s.take(q)
		}
		if cut.Fault() != nil {
			s.t.Errorf("the adapter sent %v", cut.Fault())
			return
		}
		s.write(append(s.out, s.receipt...))
		if s.breaks && s.trick == notReading {
			<-s.release
			if s.breaks = false; !s.resume {
				return
			}
		}
	}
}

func (s *peerSession) write(b []byte) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	step := len(b)
	if s.trick == channelstest.Split {
		step = 1
	}
	for ; len(b) > 0; b = b[min(step, len(b)):] {
		if _, err := s.conn.Write(b[:min(step, len(b))]); err != nil {
			return
		}
	}
}

// later writes a copy of b after d, unless the session has ended.
func (s *peerSession) later(d time.Duration, b []byte) {
	b = bytes.Clone(b)
	s.loops.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			s.write(b)
		case <-s.ended:
		}
	})
}

func (s *peerSession) take(q pdu.PDU) {
	switch q.Command {
	case pdu.BindTransceiver:
		s.bind(q)
	case pdu.SubmitSM:
		s.submit(q)
	case pdu.DeliverSMResp:
		s.mu.Lock()
		s.acks++
		s.mu.Unlock()
	case pdu.EnquireLink:
		s.mu.Lock()
		s.keepAlives++
		s.mu.Unlock()
		if s.trick != channelstest.KeepAliveIgnored {
			s.out = pdu.AppendHeader(s.out, pdu.EnquireLinkResp, pdu.OK, q.Sequence)
		}
	case pdu.CancelSM:
		s.cancel(q)
	case pdu.Unbind:
		s.out = pdu.AppendHeader(s.out, pdu.UnbindResp, pdu.OK, q.Sequence)
	case pdu.UnbindResp:
		if s.trick != channelstest.Terminates {
			s.t.Error("the adapter answered an unbind that nobody sent")
		}
	case pdu.GenericNack:
		if s.trick != channelstest.UnknownCommand || q.Status != pdu.InvalidCommandID {
			s.t.Errorf("the adapter sent generic_nack %v", q.Status)
		}
	default:
		s.t.Errorf("the adapter sent %v", q.Command)
	}
}

// cancel gives every second message back that it is asked for.
func (s *peerSession) cancel(q pdu.PDU) {
	id, source, err := pdu.ParseCancel(q.Body)
	if err != nil || len(id) != 20 || string(source) != account().Source {
		s.t.Errorf("cancel_sm for %q from %q, %v", id, source, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels++
	status := pdu.OK
	if s.cancels%2 == 0 {
		status = 0x11 // ESME_RCANCELFAIL
	}
	s.out = pdu.AppendHeader(s.out, pdu.CancelSMResp, status, q.Sequence)
}

func (s *peerSession) bind(q pdu.PDU) {
	b, err := pdu.ParseBind(q.Body)
	if err != nil || b.Version != pdu.Version || string(b.SystemID) != "tocsin" || string(b.Password) != "secret" {
		s.t.Errorf("bind %+v: %v", b, err)
	}
	s.mu.Lock()
	s.binds++
	s.mu.Unlock()
	switch {
	case s.trick == channelstest.BindIgnored && s.once():
		return
	case s.trick == channelstest.BindRefused && s.once():
		s.out = pdu.AppendHeader(s.out, pdu.BindTransceiverResp, pdu.InvalidPassword, q.Sequence)
		return
	}
	switch s.trick {
	case channelstest.Drops, channelstest.Terminates, channelstest.Garbage, channelstest.ZeroLength, channelstest.HugeLength, notReading:
		s.breaks = s.once()
	}
	if s.out, err = pdu.AppendBindResp(s.out, q.Command, q.Sequence, []byte("peer")); err != nil {
		s.t.Error(err)
	}
}

// refusals is the tricks that answer with a status.
var refusals = map[channelstest.Trick]pdu.Status{
	channelstest.QueueFull: pdu.QueueFull, channelstest.VendorCode: 0x4A1, channelstest.UnknownNumber: pdu.InvalidDestination,
}

func (s *peerSession) submit(q pdu.PDU) {
	var sm pdu.SM
	if err := pdu.ParseSM(q.Body, &sm); err != nil {
		s.t.Errorf("submit_sm: %v", err)
		return
	}
	count := s.record(&sm)
	s.number++
	answered, reported := s.ids(count)
	switch s.trick {
	case channelstest.EmptyIDs:
		answered = ""
	case channelstest.SameIDs:
		answered, reported = "1", "1"
	case channelstest.ReceiptStrange:
		reported = "never-given-" + reported
	}
	answer, err := pdu.AppendSubmitResp(nil, q.Sequence, []byte(answered))
	if err != nil {
		s.t.Error(err)
	}
	if status, ok := refusals[s.trick]; ok {
		answer = pdu.AppendHeader(nil, pdu.SubmitSMResp, status, q.Sequence)
	}
	if s.breaks && s.number > full/3 {
		s.breakOff()
		return
	}
	switch s.trick {
	case channelstest.Throttles:
		if count <= 8 {
			answer = pdu.AppendHeader(nil, pdu.SubmitSMResp, pdu.Throttled, q.Sequence)
		}
	case channelstest.AnswersTwice:
		answer = append(answer, answer...)
	case channelstest.Mute:
		return
	case channelstest.Late:
		s.later(2*channelstest.AnswerTimeout, answer)
		return
	case channelstest.Sluggish:
		// What comes too late comes while the slots are open for the second window, and must not be taken for it.
		const tenth = channelstest.AnswerTimeout / 10
		switch third := (s.number - 1) / (full / 3); third {
		case 0:
		case 1:
			s.later(5*tenth, answer)
			return
		case 2:
			s.later(14*tenth, pdu.AppendHeader(nil, pdu.SubmitSMResp, pdu.SubmitFailed, q.Sequence))
			return
		default:
			s.later(7*tenth, answer)
			return
		}
	case channelstest.UnknownCommand:
		s.out = pdu.AppendHeader(s.out, 0x7F, pdu.OK, q.Sequence)
	case channelstest.WordFromPerson:
		s.out = s.appendDeliver(s.out, &pdu.SM{Source: sm.Dest, Dest: sm.Source, Text: []byte("id:1 stat:DELIVRD")})
	case channelstest.Joined:
		s.held = append(s.held, answer...)
		s.held = s.appendReceipt(s.held, &sm, reported)
		if s.number%full == 0 {
			s.out, s.held = append(s.out, s.held...), s.held[:0]
		}
		return
	case channelstest.ReceiptFirst:
		s.out = s.appendReceipt(s.out, &sm, reported)
		s.later(channelstest.AnswerTimeout/8, answer)
		return
	}
	s.out = append(s.out, answer...)
	switch s.trick {
	case channelstest.ReceiptTwice:
		s.receipt = s.appendReceipt(s.receipt, &sm, reported)
		s.receipt = s.appendReceipt(s.receipt, &sm, reported)
	case channelstest.Plain, channelstest.Split, channelstest.SameIDs, channelstest.ReceiptStrange, channelstest.ReceiptReordered, channelstest.ReceiptFailed:
		s.receipt = s.appendReceipt(s.receipt, &sm, reported)
	}
}

// breakOff plays the tricks that end a session, after the answers so far.
func (s *peerSession) breakOff() {
	s.over = true
	switch s.trick {
	case channelstest.Terminates:
		s.out = pdu.AppendHeader(s.out, pdu.Unbind, pdu.OK, 1)
		s.over = false // the adapter ends the connection
		s.breaks = true
	case channelstest.Garbage:
		s.out = append(s.out, "HTTP/1.1 400 Bad Request\r\n\r\n"...)
	case channelstest.ZeroLength:
		s.out = append(s.out, 0, 0, 0, 0)
	case channelstest.HugeLength:
		s.out = append(s.out, 0xFF, 0xFF, 0xFF, 0xFF)
	}
}

// record keeps what was submitted and counts it.
func (s *peerSession) record(sm *pdu.SM) int {
	number, err := strconv.ParseUint(string(sm.Dest), 10, 64)
	if err != nil {
		s.t.Errorf("destination %q: %v", sm.Dest, err)
	}
	g := channelstest.Got{Number: number}
	if sm.Class&pdu.ClassUDH != 0 {
		g.Ref, g.Segment = sm.Text[3], sm.Text[5]-1
	}
	kept := *sm
	for _, field := range []*[]byte{&kept.ServiceType, &kept.Source, &kept.Dest, &kept.Schedule, &kept.Validity, &kept.Text, &kept.Optional} {
		*field = bytes.Clone(*field)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, g)
	s.submits = append(s.submits, kept)
	s.count++
	return s.count
}

func (s *peerSession) appendReceipt(dst []byte, sm *pdu.SM, id string) []byte {
	text := "id:" + id + " sub:001 dlvrd:001 submit date:2611242134 done date:2611242135 stat:DELIVRD err:000 text:"
	switch s.trick {
	case channelstest.ReceiptReordered:
		text = "stat:DELIVRD text:stat:REJECTD err:000 done date:2611242135 id:" + id
	case channelstest.ReceiptFailed:
		text = "id:" + id + " sub:001 dlvrd:000 submit date:2611242134 done date:2611242135 stat:UNDELIV err:021 text:"
	}
	return s.appendDeliver(dst, &pdu.SM{
		SourceTON: pdu.TONInternational, SourceNPI: pdu.NPIISDN, Source: sm.Dest, Dest: sm.Source,
		Class: pdu.ClassReceipt, Text: []byte(text),
	})
}

func (s *peerSession) appendDeliver(dst []byte, sm *pdu.SM) []byte {
	s.seq++
	dst, err := pdu.AppendSM(dst, pdu.DeliverSM, s.seq, sm)
	if err != nil {
		s.t.Error(err)
	}
	return dst
}
