package push_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/channels/channelstest"
	"tocsin/channels/push"
)

// TestArea runs the conformance suite. The tricks are played on the answers of a good broker, by somebody in between who
// also writes down what came.
func TestArea(t *testing.T) {
	tricks := []channelstest.AreaTrick{channelstest.AreaPlain, channelstest.AreaAway}
	for trick := range answers {
		tricks = append(tricks, trick)
	}
	slices.Sort(tricks)
	channelstest.RunArea(t, channelstest.AreaHarness{
		Adapter: push.Adapter{}, Tricks: tricks,
		Start: func(t *testing.T, trick channelstest.AreaTrick) (channels.AreaAccount, channelstest.AreaPeer) {
			m := startMiddle(t, startBroker(t).address, trick)
			return account(m.listener.Addr().String()), m
		},
	})
}

// answers is what becomes of a PUBACK under a trick: what goes to the client, and whether the connection ends there.
var answers = map[channelstest.AreaTrick]func(puback []byte) (out []byte, end bool){
	channelstest.AreaUnreadable: code(0x99),
	channelstest.AreaForbids:    code(0x87),
	channelstest.AreaFails:      code(0x80),
	channelstest.AreaThrottles:  code(0x97),
	channelstest.AreaVendorCode: code(0xa7),
	channelstest.AreaMute:       func([]byte) ([]byte, bool) { return nil, false },
	channelstest.AreaLate:       func(b []byte) ([]byte, bool) { return b, false },
	channelstest.AreaDrops:      func([]byte) ([]byte, bool) { return nil, true },
	channelstest.AreaTruncated:  func(b []byte) ([]byte, bool) { return b[:3], true },
	channelstest.AreaGarbage:    func([]byte) ([]byte, bool) { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false },
	channelstest.AreaMisplaced:  func(b []byte) ([]byte, bool) { b[2] ^= 0x40; return b, false },
}

// code answers with a reason code (MQTT 5, clause 3.4.2).
func code(reason byte) func([]byte) ([]byte, bool) {
	return func(b []byte) ([]byte, bool) { return []byte{0x40, 4, b[2], b[3], reason, 0}, false }
}

// middle stands between an account and a broker.
type middle struct {
	listener net.Listener
	broker   string
	works    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	trick channelstest.AreaTrick
	got   []channelstest.AreaGot
	conns []net.Conn
	ended bool
}

func startMiddle(t *testing.T, broker string, trick channelstest.AreaTrick) *middle {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &middle{listener: l, broker: broker, trick: trick}
	m.works.Go(m.accept)
	t.Cleanup(func() {
		l.Close()
		m.mu.Lock()
		m.ended = true
		for _, c := range m.conns {
			c.Close()
		}
		m.mu.Unlock()
		m.works.Wait()
	})
	return m
}

func (m *middle) Got() []channelstest.AreaGot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

func (m *middle) Recover() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trick = channelstest.AreaPlain
}

func (m *middle) accept() {
	for {
		client, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		away := m.ended || m.trick == channelstest.AreaAway
		m.mu.Unlock()
		broker, err := net.Dial("tcp", m.broker)
		if away || err != nil {
			client.Close()
			if err == nil {
				broker.Close()
			}
			continue
		}
		m.mu.Lock()
		m.conns = append(m.conns, client, broker)
		m.mu.Unlock()
		s := &stretch{m: m, client: client, broker: broker, mine: map[uint16]bool{}}
		m.works.Go(s.there)
		m.works.Go(s.back)
	}
}

// stretch is one connection through the middle.
type stretch struct {
	m              *middle
	client, broker net.Conn

	mu   sync.Mutex      // guards mine, and what is written to client
	mine map[uint16]bool // packet identifiers of what the account says of itself: no trick is played on those
}

// there passes on what the account sends and writes down the messages.
func (s *stretch) there() {
	defer s.broker.Close()
	in := bufio.NewReader(s.client)
	for {
		p, body, err := packet(in)
		if err != nil {
			return
		}
		if p[0]>>4 == 3 {
			s.note(body)
		}
		if _, err := s.broker.Write(p); err != nil {
			return
		}
	}
}

// note takes a PUBLISH of QoS 1 apart: topic, packet identifier, properties, payload (clause 3.3).
func (s *stretch) note(body []byte) {
	n := 2 + int(binary.BigEndian.Uint16(body))
	topic, id, rest := string(body[2:n]), binary.BigEndian.Uint16(body[n:]), body[n+2:]
	if strings.HasPrefix(topic, "sender/") {
		s.mu.Lock()
		s.mine[id] = true
		s.mu.Unlock()
		return
	}
	length, n := binary.Uvarint(rest) // of 7 bits an octet, low ones first, as in MQTT
	payload := rest[n+int(length):]
	if len(payload) == 0 {
		return
	}
	var read note
	if err := json.Unmarshal(payload, &read); err != nil {
		read.ID = err.Error()
	}
	levels := strings.Split(topic, "/")
	got := channelstest.AreaGot{
		ID: read.ID, Title: read.Title, Text: read.Text, Units: levels[1:2], Drill: read.Drill && levels[0] != "warning",
	}
	if read.Type == "stop" {
		got.Ends = fmt.Sprintf("%s-%d-%d", read.Warning, read.Version, read.Related)
	}
	s.m.mu.Lock()
	s.m.got = append(s.m.got, got)
	s.m.mu.Unlock()
}

// back passes on what the broker answers, or what the trick makes of it.
func (s *stretch) back() {
	defer s.client.Close()
	in := bufio.NewReader(s.broker)
	for {
		p, body, err := packet(in)
		if err != nil {
			return
		}
		s.m.mu.Lock()
		trick := s.m.trick
		s.m.mu.Unlock()
		s.mu.Lock()
		play := answers[trick]
		if p[0]>>4 != 4 || s.mine[binary.BigEndian.Uint16(body)] {
			play = nil
		}
		s.mu.Unlock()
		end := false
		switch {
		case trick == channelstest.AreaLate && play != nil:
			time.AfterFunc(2*channelstest.AnswerTimeout, func() { _ = s.write(p) }) // the client may be gone
			continue
		case play != nil:
			p, end = play(p)
		}
		if s.write(p) != nil || end {
			return
		}
	}
}

func (s *stretch) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.client.Write(p)
	return err
}

// packet reads one control packet (clause 2.1): all of it, and what stands behind the fixed header.
func packet(in *bufio.Reader) (all, body []byte, err error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, nil, err
	}
	length, err := binary.ReadUvarint(in)
	if err != nil || length > 1<<20 {
		return nil, nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	all = binary.AppendUvarint([]byte{first}, length)
	n := len(all)
	all = append(all, make([]byte, length)...)
	_, err = io.ReadFull(in, all[n:])
	return all, all[n:], err
}
