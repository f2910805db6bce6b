package carrier

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/loadtest/carrierlog"
)

func udh(ref, total, seq byte, body ...byte) []byte {
	return append([]byte{5, 0, 3, ref, total, seq}, body...)
}

func tlv(tag uint16, v ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, tag)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
}

func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// TestBreachesOfTheStandard sends a message that breaks one rule each, and wants the standard's error and the rule in
// the log.
func TestBreachesOfTheStandard(t *testing.T) {
	m := hello(1)
	with := func(f func(*message)) []byte {
		x := m
		f(&x)
		return x.encode()
	}
	patched := func(at int, v byte) []byte { // counted from the service type
		b := m.encode()
		b[at] = v
		return b
	}
	const esm, priority, registered = 23, 25, 28
	cases := []struct {
		name   string
		body   []byte
		status uint32
		rule   fault
	}{
		{"service type without end", repeat('x', 40), badServiceType, faultServiceType},
		{"type of number of the sender", patched(1, 7), badSourceTON, faultSourceTON},
		{"numbering plan of the sender", patched(2, 2), badSourceNPI, faultSourceNPI},
		{"type of number", patched(9, 7), badDestTON, faultDestTON},
		{"numbering plan", patched(10, 19), badDestNPI, faultDestNPI},
		{"number with a plus", with(func(m *message) { m.to = "+99900000001" }), badDestAddr, faultDest},
		{"number too long", with(func(m *message) { m.to = "9990000000000001" }), badDestAddr, faultDest},
		{"number without end", with(func(m *message) { m.to = strings.Repeat("9", 30) }), badDestAddr, faultDest},
		{"message type of a receipt", patched(esm, 0x04), badESMClass, faultESMClass},
		{"priority", patched(priority, 4), badPriority, faultPriority},
		{"validity too short", with(func(m *message) { m.validity = "26061308000000+" }), badExpiry, faultValidity},
		{"validity on no day", with(func(m *message) { m.validity = "270229080000000+" }), badExpiry, faultValidity},
		{"validity without a sign", with(func(m *message) { m.validity = "2706130800000000" }), badExpiry, faultValidity},
		{"validity with letters", with(func(m *message) { m.validity = "27061308000x000R" }), badExpiry, faultValidity},
		{"registered_delivery 3", patched(registered, 3), badRegistered, faultRegistered},
		{"registered_delivery reserved", patched(registered, 0x21), badRegistered, faultRegistered},
		{"replace_if_present", patched(registered+1, 2), badReplace, faultReplace},
		{"coding", with(func(m *message) { m.coding = 0x0B }), submitFailed, faultCoding},
		{"predefined message", patched(registered+3, 255), badDefaultMsg, faultDefaultMessage},
		{"sm_length beyond the PDU", patched(registered+4, 6), badMsgLen, faultSMLength},
		{"sm_length before the end", patched(registered+4, 4), badTLVStream, faultTLV},
		{"sm_length 255", patched(registered+4, 255), badMsgLen, faultSMLength},
		{"cut", m.encode()[:registered+3], badCmdLen, faultCut},
		{"parameter cut", with(func(m *message) { m.tlvs = []byte{2, 0x0C, 0, 2, 1} }), badTLVStream, faultTLV},
		{"parameter twice", with(func(m *message) { m.tlvs = append(tlv(tagDestSubunit, 1), tlv(tagDestSubunit, 1)...) }), tlvNotAllowed, faultTLVTwice},
		{"parameter length", with(func(m *message) { m.tlvs = tlv(tagDestSubunit, 1, 2) }), badTLVLength, faultTLVLength},
		{"parameter value", with(func(m *message) { m.tlvs = tlv(tagDestSubunit, 5) }), badTLVValue, faultTLVValue},
		{"text twice", with(func(m *message) { m.tlvs = tlv(tagMessagePayload, 'x') }), tlvNotAllowed, faultPayloadTwice},
		{"some sar", with(func(m *message) { m.tlvs = tlv(tagSarRef, 0, 1) }), missingTLV, faultSarCut},
		{"sar 3 of 2", with(func(m *message) {
			m.tlvs = append(append(tlv(tagSarRef, 0, 1), tlv(tagSarTotal, 2)...), tlv(tagSarSeq, 3)...)
		}), badTLVValue, faultTLVValue},
		{"sar and header", with(func(m *message) { m.esm, m.body, m.tlvs = 0x40, udh(1, 2, 1, 'x'), tlv(tagSarRef, 0, 1) }), tlvNotAllowed, faultSarAndUDH},
		{"header longer than the text", with(func(m *message) { m.esm, m.body = 0x40, []byte{9, 0, 3, 1, 2, 1} }), badMsgLen, faultUDH},
		{"header of length 0", with(func(m *message) { m.esm, m.body = 0x40, []byte{0, 'x'} }), badMsgLen, faultUDH},
		{"header 3 of 2", with(func(m *message) { m.esm, m.body = 0x40, udh(1, 2, 3, 'x') }), submitFailed, faultUDHParts},
		{"header part 0", with(func(m *message) { m.esm, m.body = 0x40, udh(1, 2, 0, 'x') }), submitFailed, faultUDHParts},
		{"header not announced", with(func(m *message) { m.body = udh(1, 2, 1, 'x') }), badESMClass, faultUDHUnsaid},
		{"no text", with(func(m *message) { m.body = nil }), badMsgLen, faultTextEmpty},
		{"161 septets", with(func(m *message) { m.body = repeat('x', 161) }), badMsgLen, faultTextLong},
		{"154 septets with a header", with(func(m *message) { m.esm, m.body = 0x40, udh(1, 2, 1, repeat('x', 154)...) }), badMsgLen, faultTextLong},
		{"71 UCS-2", with(func(m *message) { m.coding, m.body = 8, make([]byte, 142) }), badMsgLen, faultTextLong},
		{"68 UCS-2 with a header", with(func(m *message) { m.esm, m.coding, m.body = 0x40, 8, udh(1, 2, 1, make([]byte, 136)...) }), badMsgLen, faultTextLong},
		{"odd UCS-2", with(func(m *message) { m.coding, m.body = 8, make([]byte, 5) }), badMsgLen, faultTextOdd},
		{"high half at the end", with(func(m *message) { m.coding, m.body = 8, []byte{0, 'a', 0xD8, 0x3D} }), submitFailed, faultTextSurrogate},
		{"high half alone", with(func(m *message) { m.coding, m.body = 8, []byte{0xD8, 0x3D, 0, 'a'} }), submitFailed, faultTextSurrogate},
		{"low half alone", with(func(m *message) { m.coding, m.body = 8, []byte{0xDE, 0, 0, 'a'} }), submitFailed, faultTextSurrogate},
		{"eighth bit", with(func(m *message) { m.body = []byte{'a', 0x80} }), submitFailed, faultTextSeptet},
		{"escape at the end", with(func(m *message) { m.body = []byte{'a', 0x1B} }), submitFailed, faultTextEscape},
	}
	c, stop := start(t, config(t))
	cl := dial(t, c).mustBind()
	for i, x := range cases {
		seq := uint32(i + 2)
		cl.send(encode(submitSM, 0, seq, x.body))
		if p := cl.recv(); p.id != submitSM|response || p.seq != seq || p.status != x.status || len(p.body) != 0 {
			t.Errorf("%s: answer %x seq %d status %x body %x, wanted status %x", x.name, p.id, p.seq, p.status, p.body, x.status)
		}
	}
	// Something well-formed still gets through.
	cl.send(encode(submitSM, 0, 9999, m.encode()))
	if p := cl.recv(); p.status != 0 {
		t.Fatalf("status %x", p.status)
	}
	lines := stop()
	got := pick(lines, carrierlog.Violation)
	if len(got) != len(cases) {
		t.Fatalf("%d violations in the log, %d cases", len(got), len(cases))
	}
	for i, x := range cases {
		if f := faults[x.rule]; got[i].Rule != f.rule || got[i].Clause != f.clause || got[i].Sequence != uint32(i+2) || got[i].Status != int(x.status) {
			t.Errorf("%s: logged %+v, wanted rule %q", x.name, got[i], f.rule)
		}
	}
	if n := len(pick(lines, carrierlog.Submit)); n != 1 {
		t.Errorf("%d submit lines", n)
	}
}

func TestWellFormedMessages(t *testing.T) {
	payload := func(b []byte) []byte { return tlv(tagMessagePayload, b...) }
	c, stop := start(t, config(t))
	cl := dial(t, c).mustBind()
	soon := time.Now().Add(time.Hour).UTC()
	for i, m := range []message{
		{body: repeat('x', 160)}, {body: udh(1, 2, 1, repeat('x', 153)...), esm: 0x40}, {body: []byte{'a', 0x1B, 0x65}},
		{body: make([]byte, 140), coding: 8}, {body: []byte{0xD8, 0x3D, 0xDE, 0}, coding: 8}, {body: repeat(200, 140), coding: 4},
		{body: []byte("x"), coding: 0x10}, {body: []byte{0, 'x'}, coding: 0x18}, {body: []byte("x"), coding: 0xF0},
		{tlvs: payload([]byte("by payload"))}, {body: []byte("x"), tlvs: append(tlv(tagDestSubunit, 1), tlv(0x1400, 1, 2, 3)...)},
		{body: []byte("x"), tlvs: append(append(tlv(tagSarRef, 1, 2), tlv(tagSarTotal, 2)...), tlv(tagSarSeq, 2)...)},
		{body: []byte{6, 8, 4, 1, 2, 3, 3, 'x'}, esm: 0x40},
		{body: []byte("x"), validity: "000000020000000R"}, {body: []byte("x"), validity: soon.Format("060102150405") + "000+"},
		{body: []byte("x"), validity: soon.Add(8*time.Hour).Format("060102150405") + "032+"},
	} {
		m.to = "99900000001"
		cl.send(encode(submitSM, 0, uint32(i+2), m.encode()))
		p := cl.recv()
		for p.id == deliverSM {
			p = cl.recv()
		}
		if p.status != 0 {
			t.Errorf("message %d refused with %x", i, p.status)
		}
	}
	lines := stop()
	for _, l := range pick(lines, carrierlog.Violation) {
		t.Errorf("%+v", l)
	}
	s := pick(lines, carrierlog.Submit)
	if l := s[11]; l.Ref != 0x0102 || l.Total != 2 || l.Seq != 2 {
		t.Errorf("sar: %+v", l)
	}
	if l := s[12]; l.Ref != 0x0102 || l.Total != 3 || l.Seq != 3 {
		t.Errorf("16-bit reference: %+v", l)
	}
	for _, i := range []int{14, 15} {
		if s[i].Until != soon.Unix() {
			t.Errorf("validity %d, wanted %d", s[i].Until, soon.Unix())
		}
	}
}

func TestSessionRules(t *testing.T) {
	type step struct {
		send   []byte
		id     uint32
		status uint32
	}
	body := bindBody("tocsin", "secret", 0x34)
	for _, x := range []struct {
		name  string
		steps []step
		rule  fault // 0: no violation
	}{
		{"submit before bind", []step{{encode(submitSM, 0, 1, hello(1).encode()), submitSM | response, badBindStatus}}, faultNotBound},
		{"submit on a receiver", []step{{encode(bindReceiver, 0, 1, body), bindReceiver | response, 0}, {encode(submitSM, 0, 2, hello(1).encode()), submitSM | response, badBindStatus}}, faultNotBound},
		{"bind twice", []step{{encode(bindTransceiver, 0, 1, body), bindTransceiver | response, 0}, {encode(bindTransceiver, 0, 2, body), bindTransceiver | response, alreadyBound}}, faultBound},
		{"version", []step{{encode(bindTransceiver, 0, 1, bindBody("tocsin", "secret", 0x33)), bindTransceiver | response, bindFailed}}, faultVersion},
		{"system_id too long", []step{{encode(bindTransceiver, 0, 1, bindBody("sixteenletters!!", "secret", 0x34)), bindTransceiver | response, badSystemID}}, faultSystemID},
		{"octets behind", []step{{encode(bindTransceiver, 0, 1, append(body, 0)), bindTransceiver | response, badCmdLen}}, faultTrailing},
		{"other system_id", []step{{encode(bindTransceiver, 0, 1, bindBody("other", "secret", 0x34)), bindTransceiver | response, badSystemID}}, 0},
		{"other password", []step{{encode(bindTransceiver, 0, 1, bindBody("tocsin", "other", 0x34)), bindTransceiver | response, badPassword}}, 0},
		{"sequence 0", []step{{encode(enquireLink, 0, 0, nil), enquireLink | response, unknownError}}, faultSequence},
		{"sequence above", []step{{encode(enquireLink, 0, 1<<31, nil), enquireLink | response, unknownError}}, faultSequence},
		{"status in a request", []step{{encode(enquireLink, 8, 1, nil), enquireLink | response, unknownError}}, faultRequestStatus},
		{"body in enquire_link", []step{{encode(enquireLink, 0, 1, []byte{0}), enquireLink | response, badCmdLen}}, faultTrailing},
		{"enquire_link", []step{{encode(enquireLink, 0, 1, nil), enquireLink | response, 0}}, 0},
		{"unknown command", []step{{encode(0x77, 0, 5, nil), genericNack, badCmdID}}, faultCommand},
		{"length 0", []step{{make([]byte, 16), genericNack, badCmdLen}}, faultLength},
		{"length huge", []step{{append([]byte{0x7F, 0, 0, 0}, make([]byte, 12)...), genericNack, badCmdLen}}, faultLength},
		{"answer to nothing", []step{{append(encode(deliverSM|response, 0, 1025, []byte{0}), encode(enquireLink, 0, 1, nil)...), enquireLink | response, 0}}, faultResponseUnknown},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, stop := start(t, config(t))
			cl := dial(t, c)
			for _, s := range x.steps {
				cl.send(s.send)
				if p := cl.recv(); p.id != s.id || p.status != s.status {
					t.Errorf("answer %x status %x, wanted %x status %x", p.id, p.status, s.id, s.status)
				}
			}
			if x.rule == faultLength {
				cl.ended()
			}
			got := pick(stop(), carrierlog.Violation)
			switch {
			case x.rule == 0 && len(got) > 0:
				t.Errorf("violation %+v", got)
			case x.rule != 0 && (len(got) != 1 || got[0].Rule != faults[x.rule].rule):
				t.Errorf("violations %+v, wanted %q", got, faults[x.rule].rule)
			}
		})
	}
}

func TestOpenSequenceAndMixedCoding(t *testing.T) {
	cfg := config(t)
	cfg.RoundTrip = 50 * time.Millisecond
	c, stop := start(t, cfg)
	cl := dial(t, c).mustBind()
	latin := message{to: "99900000001", esm: 0x40, body: udh(7, 2, 1, 'x')}
	wide := message{to: "99900000001", esm: 0x40, coding: 8, body: udh(7, 2, 2, 0, 'x')}
	// The second waits for its answer under the number of the first: 2^32 apart is the same, 2048 apart is not.
	cl.send(encode(submitSM, 0, 5, latin.encode()), encode(submitSM, 0, 5+2048, hello(2).encode()), encode(submitSM, 0, 5, hello(3).encode()), encode(submitSM, 0, 6, wide.encode()))
	status := map[uint32][]uint32{}
	for range 4 {
		p := cl.recv()
		for p.id == deliverSM {
			p = cl.recv()
		}
		status[p.seq] = append(status[p.seq], p.status)
	}
	if s := status[5]; len(s) != 2 || s[0]+s[1] != unknownError || status[5+2048][0] != 0 || status[6][0] != submitFailed {
		t.Fatalf("%v", status)
	}
	// Answered, the number is free again, and a whole message is forgotten.
	cl.send(encode(submitSM, 0, 5, hello(4).encode()))
	p := cl.recv()
	for p.id == deliverSM {
		p = cl.recv()
	}
	if p.status != 0 {
		t.Fatalf("status %x", p.status)
	}
	if n := len(pick(stop(), carrierlog.Violation)); n != 2 {
		t.Fatalf("%d violations", n)
	}
}

// TestNumbersInOpenSet compares the set of open numbers with a map.
func TestNumbersInOpenSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seqSet
		twin := map[uint32]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			seq := rapid.Uint32Range(0, 3).Draw(t, "low")*2048 + rapid.Uint32Range(1, 3).Draw(t, "high")
			if rapid.Bool().Draw(t, "add") {
				if got := s.add(seq); got == twin[seq] {
					t.Fatalf("add %d: %v", seq, got)
				}
				twin[seq] = true
			} else {
				s.remove(seq)
				delete(twin, seq)
			}
		}
	})
}

// FuzzDecodeSubmit: no body makes the decoder panic, and what it takes is within the limits that the log relies on.
func FuzzDecodeSubmit(f *testing.F) {
	f.Add(hello(1).encode())
	f.Add(message{to: "99900000001", esm: 0x40, coding: 8, body: udh(7, 2, 2, 0, 'x')}.encode())
	f.Add(message{to: "99900000001", validity: "000000020000000R", tlvs: tlv(tagMessagePayload, 'x')}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var s submit
		if decodeSubmit(b, &s) != 0 {
			return
		}
		checkText(&s)
		deadline(s.validity, time.Unix(1_800_000_000, 0))
		if s.total < 1 || s.total > 255 || s.seq < 1 || s.seq > s.total || s.to < 10_000_000 || s.to > 999_999_999_999_999 {
			t.Fatalf("%+v", s)
		}
	})
}

// FuzzLink: nothing that a client sends, in whatever pieces, stops the carrier.
func FuzzLink(f *testing.F) {
	f.Add(append(encode(bindTransceiver, 0, 1, bindBody("tocsin", "secret", 0x34)), encode(submitSM, 0, 2, hello(1).encode())...), uint8(7))
	f.Add(append(encode(bindTransceiver, 0, 1, bindBody("tocsin", "secret", 0x34)), encode(deliverSM|response, 0, 1024, []byte{0})...), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		c := &Carrier{cfg: Default(), wheel: &wheel{wake: make(chan struct{}, 1)}, clock: clock{start: time.Now(), wall: time.Now().UnixNano()}}
		c.cfg.SystemID, c.cfg.Password = "tocsin", "secret"
		w, _, err := carrierlog.Open(t.TempDir() + "/log")
		if err != nil {
			t.Fatal(err)
		}
		c.log, c.texts = w, texts{cfg: &Config{}, log: w, all: map[string]*text{}}
		l := newLink(c, discard{}, 1)
		var buf []byte
		for step := int(size) + 1; len(b) > 0; {
			n := min(step, len(b))
			buf, b = append(buf, b[:n]...), b[n:]
			used, ok := l.take(buf, c.clock.now())
			l.settle()
			if !ok {
				break
			}
			buf = buf[used:]
		}
		l.leave()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
