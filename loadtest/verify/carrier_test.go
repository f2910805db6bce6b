package verify

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/loadtest/carrier"
)

// pdu is one PDU of SMPP 3.4.
func pdu(id, seq uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, 0)
	return append(binary.BigEndian.AppendUint32(b, seq), body...)
}

// TestVerdictOverARealCarrier sends the words of a city over TCP to a carrier, restarts the carrier in between, and judges
// the log that it wrote.
func TestVerdictOverARealCarrier(t *testing.T) {
	w := newWorld(t)
	x := w.warn("W1", "500103")
	now := time.Now()
	x.ReleasedAt, x.Spec.Expires = timestamppb.New(now.Add(-time.Second)), timestamppb.New(now.Add(time.Hour))
	cfg := carrier.Default()
	cfg.Name, cfg.SystemID, cfg.Password, cfg.Log = "mobile", "tocsin", "secret", filepath.Join(w.dir, "mobile.jsonl")
	cfg.ReceiptDelay, cfg.ReceiptJitter = 0, 0
	cfg.RoundTrip = 2 * time.Millisecond
	number := 1
	for _, people := range []int{30, 20} {
		c, err := carrier.Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Serve(ctx) }()
		conn, err := net.Dial("tcp", c.Address())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		out := pdu(9, 1, []byte("tocsin\x00secret\x00\x00\x34\x00\x00\x00"))
		messages := 0
		for range people {
			words := []string{chinese, english}[number%2]
			w.person(number, 106.5, 29.5, []string{"zh-CN", "en"}[number%2], "public", "")
			coding, segs := segments(words)
			for i, s := range segs {
				messages++
				b := fmt.Appendf([]byte{0, 5, 0}, "12345\x00\x01\x01%d\x00\x40\x00\x00\x00%s\x00\x01\x00", 99900000000+number, "000000005900000R")
				b = append(b, byte(coding), 0, byte(6+len(s)), 5, 0, 3, byte(number), byte(len(segs)), byte(i+1))
				out = append(out, pdu(4, uint32(messages+1), append(b, s...))...)
			}
			number++
		}
		if _, err := conn.Write(out); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		for answers, receipts := 0, 0; answers < messages || receipts < messages; {
			var h [16]byte
			if _, err := io.ReadFull(in, h[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Discard(int(binary.BigEndian.Uint32(h[:])) - 16); err != nil {
				t.Fatal(err)
			}
			if s := binary.BigEndian.Uint32(h[8:]); s != 0 {
				t.Fatalf("status %x", s)
			}
			switch binary.BigEndian.Uint32(h[4:]) {
			case 0x80000004:
				answers++
			case 5:
				receipts++
				if _, err := conn.Write(pdu(0x80000005, binary.BigEndian.Uint32(h[12:]), []byte{0})); err != nil {
					t.Fatal(err)
				}
			}
		}
		// The carrier reads the last answers before it sees the end of the connection.
		for c.Counts().Receipts < int64(messages) {
			<-time.After(time.Millisecond)
		}
		conn.Close()
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	in := w.input()
	in.Accounts = []Account{{Name: "mobile", MessagesPerS: 1e6, Logs: []string{cfg.Log}}}
	v, err := Run(in)
	if err != nil {
		t.Fatal(err)
	}
	if !v.OK || v.Got != 50 || v.Expected != 50 || v.Doubled != 0 || v.Accounts[0].ReceiptsBy["DELIVRD"] != v.Messages || v.Messages != 100 {
		t.Fatalf("%v\n%+v\n%+v", v.Faults, v.Sums, v.Accounts)
	}
}
