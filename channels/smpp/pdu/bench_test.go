package pdu

import (
	"bytes"
	"testing"
)

func benchTemplate(tb testing.TB) Template {
	tb.Helper()
	text := append([]byte{5, 0, 3, 0, 2, 1}, bytes.Repeat([]byte{0x96, 0xe8}, 67)...)
	t, err := NewTemplate(&SM{
		SourceNPI: NPIISDN, Source: []byte("10691234"), DestTON: TONInternational, DestNPI: NPIISDN,
		Class: ClassUDH, Validity: []byte("261124213400000+"), Registered: ReceiptWanted, Coding: CodingUCS2, Text: text,
	}, 3)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

const benchNumber = 9991234567890

func BenchmarkTemplate(b *testing.B) {
	t, buf := benchTemplate(b), make([]byte, 0, 512)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = t.Append(buf[:0], uint32(i), benchNumber, uint8(i))
	}
}

// BenchmarkSubmitPair is what one segment costs the codec: its submit_sm, and its answer cut and read.
func BenchmarkSubmitPair(b *testing.B) {
	t, buf, c := benchTemplate(b), make([]byte, 0, 512), NewCutter()
	answer, err := AppendSubmitResp(nil, 1, []byte("0123456789abcdefghij"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = t.Append(buf[:0], uint32(i), benchNumber, uint8(i))
		c.Filled(copy(c.Space(), answer))
		p, _ := c.Next()
		if id, err := ParseSubmitResp(p.Body); err != nil || len(id) != 20 {
			b.Fatal(err)
		}
	}
}

func benchReceipt(tb testing.TB) []byte {
	raw, err := AppendSM(nil, DeliverSM, 1, &SM{
		SourceTON: 1, SourceNPI: 1, Source: []byte("9991234567890"), Dest: []byte("10691234"), Class: ClassReceipt,
		Text: []byte("id:0123456789abcdefghij sub:001 dlvrd:001 submit date:2611242134 done date:2611242135 stat:DELIVRD err:000 text:"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func BenchmarkReceipt(b *testing.B) {
	raw, c := benchReceipt(b), NewCutter()
	var sm SM
	var r Receipt
	b.ReportAllocs()
	for b.Loop() {
		c.Filled(copy(c.Space(), raw))
		p, _ := c.Next()
		if ParseSM(p.Body, &sm) != nil || !ParseReceipt(&sm, &r) || r.State != Delivered {
			b.Fatal("not read")
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	tpl, buf, c := benchTemplate(t), make([]byte, 0, 512), NewCutter()
	answer, err := AppendSubmitResp(nil, 1, []byte("0123456789abcdefghij"))
	if err != nil {
		t.Fatal(err)
	}
	answer = append(answer, benchReceipt(t)...)
	var sm SM
	var r Receipt
	n := testing.AllocsPerRun(1000, func() {
		buf = tpl.Append(buf[:0], 1, benchNumber, 1)
		c.Filled(copy(c.Space(), answer))
		for p, ok := c.Next(); ok; p, ok = c.Next() {
			if p.Command == SubmitSMResp {
				_, _ = ParseSubmitResp(p.Body)
			} else if ParseSM(p.Body, &sm) == nil {
				ParseReceipt(&sm, &r)
			}
		}
	})
	if n != 0 || r.State != Delivered {
		t.Errorf("%v allocations a message, state %d", n, r.State)
	}
}
