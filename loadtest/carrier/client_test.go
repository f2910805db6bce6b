package carrier

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tocsin/loadtest/carrierlog"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// pdu is one PDU as the test's client reads it.
type pdu struct {
	id, status, seq uint32
	body            []byte
}

// client is a client of the tests: one connection, no cleverness.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, c *Carrier) *client {
	t.Helper()
	conn, err := net.Dial("tcp", c.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t, conn, bufio.NewReader(conn)}
}

func encode(id, status, seq uint32, body []byte) []byte {
	return append(appendHeader(nil, headerLen+len(body), id, status, seq), body...)
}

func (c *client) send(b ...[]byte) {
	c.t.Helper()
	for _, x := range b {
		if _, err := c.conn.Write(x); err != nil {
			c.t.Fatal(err)
		}
	}
}

func readPDU(r io.Reader) (pdu, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return pdu{}, err
	}
	p := pdu{id: binary.BigEndian.Uint32(h[4:]), status: binary.BigEndian.Uint32(h[8:]), seq: binary.BigEndian.Uint32(h[12:])}
	p.body = make([]byte, binary.BigEndian.Uint32(h[:])-headerLen)
	_, err := io.ReadFull(r, p.body)
	return p, err
}

func (c *client) recv() pdu {
	c.t.Helper()
	p, err := readPDU(c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// ended waits until the carrier has closed the connection.
func (c *client) ended() {
	c.t.Helper()
	for {
		switch _, err := readPDU(c.in); {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.t.Fatal("the carrier did not close the link")
		default:
			return
		}
	}
}

func bindBody(system, password string, version byte) []byte {
	return append([]byte(system+"\x00"+password+"\x00\x00"), version, 0, 0, 0)
}

func (c *client) bind(kind uint32) pdu {
	c.t.Helper()
	c.send(encode(kind, 0, 1, bindBody("tocsin", "secret", 0x34)))
	return c.recv()
}

func (c *client) mustBind() *client {
	c.t.Helper()
	if p := c.bind(bindTransceiver); p.id != bindTransceiver|response || p.status != 0 {
		c.t.Fatalf("bind answered %x with %x", p.id, p.status)
	}
	return c
}

// message is a submit_sm to be; zero fields are usual ones.
type message struct {
	to       string
	validity string
	esm      byte
	coding   byte
	body     []byte
	tlvs     []byte
}

func (m message) encode() []byte {
	b := append([]byte{0, 5, 0}, "12345\x00\x01\x01"...)
	b = append(b, m.to+"\x00"...)
	b = append(b, m.esm, 0, 0, 0)
	b = append(b, m.validity+"\x00"...)
	b = append(b, 1, 0, m.coding, 0, byte(len(m.body)))
	return append(append(b, m.body...), m.tlvs...)
}

func hello(to int) message { return message{to: strconv.Itoa(99900000000 + to), body: []byte("hello")} }

func config(t *testing.T) Config {
	c := Default()
	c.Name, c.SystemID, c.Password = "mobile", "tocsin", "secret"
	c.Log = filepath.Join(t.TempDir(), "mobile.jsonl")
	c.ReceiptDelay, c.ReceiptJitter = 0, 0
	return c
}

// start runs a carrier until the test ends or stop is called; stop gives the lines of its log.
func start(t *testing.T, cfg Config) (c *Carrier, stop func() []carrierlog.Line) {
	t.Helper()
	c, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx) }()
	var lines []carrierlog.Line
	stopped := false
	stop = func() []carrierlog.Line {
		if stopped {
			return lines
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		lines = readLog(t, cfg.Log)
		return lines
	}
	t.Cleanup(func() { stop() })
	return c, stop
}

func readLog(t *testing.T, path string) (lines []carrierlog.Line) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		switch err := r.Next(&l); {
		case err == nil:
			l.ID, l.IDs = append(carrierlog.IDText(nil), l.ID...), append(carrierlog.IDText(nil), l.IDs...)
			lines = append(lines, l)
		case errors.Is(err, io.EOF):
			return lines
		default:
			t.Fatal(err)
		}
	}
}

func pick(lines []carrierlog.Line, e carrierlog.Event) (out []carrierlog.Line) {
	for _, l := range lines {
		if l.Event == e {
			out = append(out, l)
		}
	}
	return out
}

// until polls for something that becomes true soon.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// field is the value of a named field of a receipt.
func field(receipt, name string) string {
	_, rest, _ := strings.Cut(receipt, name+":")
	v, _, _ := strings.Cut(rest, " ")
	return v
}

// receiptText is the short_message of a deliver_sm.
func receiptText(t *testing.T, p pdu) string {
	t.Helper()
	f := fields{b: p.body, ok: true}
	f.text(maxServiceType)
	f.at += 2
	f.text(maxAddress)
	f.at += 2
	f.text(maxAddress)
	esm := f.octet()
	f.at += 8
	n := int(f.octet())
	if !f.ok || esm != 4 || f.at+n > len(p.body) {
		t.Fatalf("no receipt: %x", p.body)
	}
	return string(p.body[f.at : f.at+n])
}
