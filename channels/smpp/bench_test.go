package smpp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/channels/channelstest"
	"tocsin/channels/smpp/pdu"
	"tocsin/warning"
)

// responder is a carrier that answers each submit_sm with an id of 20 characters and a receipt, as fast as it can.
func responder(tb testing.TB) (address string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var loops sync.WaitGroup
	loops.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			loops.Go(func() { respond(tb, conn) })
		}
	})
	tb.Cleanup(func() { _ = ln.Close(); loops.Wait() })
	return ln.Addr().String()
}

func respond(tb testing.TB, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	answer, err := pdu.AppendSubmitResp(nil, 0, []byte("00000000000000000000"))
	if err != nil {
		tb.Error(err)
	}
	receipt, err := pdu.AppendSM(nil, pdu.DeliverSM, 0, &pdu.SM{
		SourceTON: 1, SourceNPI: 1, Source: strconv.AppendUint(nil, channelstest.Number(0), 10), Dest: []byte("10690000"), Class: pdu.ClassReceipt,
		Text: []byte("id:00000000000000000000 sub:001 dlvrd:001 submit date:2611242134 done date:2611242135 stat:DELIVRD err:000 text:"),
	})
	if err != nil {
		tb.Error(err)
	}
	const sourceAt, textAt = 16 + 1 + 2, 16 + 1 + 2 + 13 + 2 + 9 + 3 + 2 + 5
	cut, out, n := pdu.NewCutter(), []byte(nil), 0
	for {
		got, err := conn.Read(cut.Space())
		if err != nil {
			return
		}
		cut.Filled(got)
		out = out[:0]
		for p, ok := cut.Next(); ok; p, ok = cut.Next() {
			switch p.Command {
			case pdu.BindTransceiver:
				out, _ = pdu.AppendBindResp(out, p.Command, p.Sequence, nil)
			case pdu.SubmitSM:
				n++
				id := answer[pdu.HeaderSize : pdu.HeaderSize+20]
				for i, v := 19, n; i > 0; i, v = i-1, v/10 {
					id[i] = '0' + byte(v%10)
				}
				binary.BigEndian.PutUint32(answer[12:], p.Sequence)
				out = append(out, answer...)
				binary.BigEndian.PutUint32(receipt[12:], uint32(n))
				copy(receipt[sourceAt:], p.Body[1+2+9+2:][:12])
				copy(receipt[textAt+3:], id)
				out = append(out, receipt...)
			case pdu.Unbind:
				out = pdu.AppendHeader(out, pdu.UnbindResp, pdu.OK, p.Sequence)
			}
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// counter is a sink that counts and acknowledges at once.
type counter struct {
	changed  chan struct{}
	handed   atomic.Int64
	other    atomic.Int64
	receipts atomic.Int64
}

func (c *counter) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *counter) Outcomes(os []channels.Outcome) {
	n := 0
	for i := range os {
		if os[i].Kind == channels.HandedOver {
			n++
		}
	}
	c.handed.Add(int64(n))
	c.other.Add(int64(len(os) - n))
	c.wake()
}

func (c *counter) Receipts(g channels.Receipts) {
	n := 0
	for _, r := range g.All() {
		if r.State == channels.Arrived {
			n++
		}
	}
	g.Ack()
	c.receipts.Add(int64(n))
	c.wake()
}

func (c *counter) Changed() { c.wake() }

// BenchmarkLoopback is segments/s over TCP with the carrier on the same machine and a receipt for each.
func BenchmarkLoopback(b *testing.B) {
	for _, shape := range []struct{ links, window int }{{4, 1024}, {256, 16}} {
		b.Run(fmt.Sprintf("%dx%d", shape.links, shape.window), func(b *testing.B) { benchLoopback(b, shape.links, shape.window) })
	}
}

func benchLoopback(b *testing.B, links, window int) {
	a := account()
	a.Address, a.Links, a.Window, a.Simulated = responder(b), links, window, true
	a.Statuses = []warning.Status{warning.Exercise}
	sink := &counter{changed: make(chan struct{}, 1)}
	c, err := Adapter{}.Open(a, sink)
	if err != nil {
		b.Fatal(err)
	}
	p, err := c.Prepare(channels.Content{
		Text:   "暴雨红色预警：未来三小时降雨量将达一百毫米以上，请立即停止户外活动，低洼地区人员马上转移到安全地带，远离河道与山坡，注意收听通知。",
		Status: warning.Exercise, WithReceipt: true, Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		b.Fatal(err)
	}
	for c.Room() < links*window {
		<-sink.changed
	}
	batch := make([]channels.Message, 1000)
	b.ReportAllocs()
	b.ResetTimer()
	sends := 0
	for sent := 0; sent < b.N; {
		n := min(len(batch), b.N-sent)
		for i := range batch[:n] {
			batch[i] = channels.Message{Token: uint64(sent + i), Number: channelstest.Number(sent + i)}
		}
		for rest := batch[:n]; len(rest) > 0; {
			k := c.Send(p, rest)
			if rest = rest[k:]; k == 0 {
				<-sink.changed
			}
			sends++
		}
		sent += n
	}
	for sink.handed.Load() < int64(b.N) || sink.receipts.Load() < int64(b.N) {
		<-sink.changed
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "segments/s")
	b.ReportMetric(float64(b.N)/float64(sends), "segments/send")
	if sink.other.Load() != 0 {
		b.Fatalf("%d segments were not handed over", sink.other.Load())
	}
	if err := c.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
