package smpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/channels/channelstest"
	"tocsin/channels/smpp/pdu"
	"tocsin/channels/sms"
	"tocsin/warning"
)

// tally is a sink that counts outcomes by message and acknowledges receipts.
type tally struct {
	called chan struct{}

	mu       sync.Mutex
	outcomes map[uint64][]channels.Outcome
	receipts []channels.Receipt
}

func newTally() *tally {
	return &tally{called: make(chan struct{}, 1), outcomes: map[uint64][]channels.Outcome{}}
}

func (s *tally) Changed() {
	select {
	case s.called <- struct{}{}:
	default:
	}
}

func (s *tally) Outcomes(os []channels.Outcome) {
	s.mu.Lock()
	for _, o := range os {
		s.outcomes[o.Token] = append(s.outcomes[o.Token], o)
	}
	s.mu.Unlock()
	s.Changed()
}

func (s *tally) Receipts(g channels.Receipts) {
	s.mu.Lock()
	s.receipts = append(s.receipts, g.All()...)
	s.mu.Unlock()
	g.Ack()
	s.Changed()
}

// counts is how many messages have an outcome, by kind; a message with two fails.
func (s *tally) counts(t *testing.T) map[channels.Kind]int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[channels.Kind]int{}
	for token, os := range s.outcomes {
		if len(os) != 1 {
			t.Fatalf("message %d has %d outcomes", token, len(os))
		}
		m[os[0].Kind]++
	}
	return m
}

func (s *tally) wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-s.called:
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// opened is an account at a peer, with links that wait long for everything but the bind.
func opened(t *testing.T, p *peer, change func(*channels.Account)) (*carrier, *tally) {
	t.Helper()
	a, sink := account(), newTally()
	a.Address, a.Links, a.Window, a.Simulated = p.Address(), 1, full, true
	a.Statuses = []warning.Status{warning.Exercise}
	if change != nil {
		change(&a)
	}
	c, err := Adapter{}.Open(a, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx)
	})
	sink.wait(t, "the links", func() bool { return c.Room() == a.Links*a.Window })
	return c.(*carrier), sink
}

func messages(from, n int) []channels.Message {
	b := make([]channels.Message, n)
	for i := range b {
		b[i] = channels.Message{Token: uint64(from + i), Number: channelstest.Number(from + i), Ref: 9}
	}
	return b
}

func prepared(t *testing.T, c *carrier, content channels.Content) channels.Prepared {
	t.Helper()
	content.Status = warning.Exercise
	p, err := c.Prepare(content)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What leaves is what the content says, in the fields of the standard.
func TestSubmitFields(t *testing.T) {
	p := startPeer(t, channelstest.Plain, sameID)
	c, sink := opened(t, p, nil)
	expires := time.Date(2026, 11, 24, 21, 34, 0, 0, time.FixedZone("", 8*3600))
	long := strings.Repeat("雨", 70) + "停"
	tests := []struct {
		content channels.Content
		coding  byte
		alpha   sms.Coding
	}{
		{channels.Content{Text: "Storm {now}"}, 0x00, sms.GSM7},
		{channels.Content{Text: "Storm", Flash: true, WithReceipt: true}, 0x10, sms.GSM7},
		{channels.Content{Text: "暴雨", Expires: expires}, 0x08, sms.UCS2},
		{channels.Content{Text: "暴雨", Flash: true}, 0x18, sms.UCS2},
		{channels.Content{Text: long, Expires: expires, WithReceipt: true}, 0x08, sms.UCS2},
	}
	for i, tt := range tests {
		before := len(p.Got())
		words := prepared(t, c, tt.content)
		if n := c.Send(words, messages(i, 1)); n != 1 {
			t.Fatalf("%d messages were taken", n)
		}
		sink.wait(t, "the segments", func() bool { return len(p.Got()) == before+words.Segments() })
		sink.wait(t, "the outcomes", func() bool {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return len(sink.outcomes[uint64(i)]) == words.Segments()
		})
		p.mu.Lock()
		got := p.submits[before:]
		p.mu.Unlock()
		text := ""
		for j, sm := range got {
			piece := sm.Text
			if len(got) > 1 {
				if want := sms.Header(9, uint8(len(got)), uint8(j+1)); sm.Class != 0x40 || !bytes.HasPrefix(piece, want[:]) {
					t.Errorf("%q segment %d: esm_class %#x, text % x", tt.content.Text, j, sm.Class, piece)
				}
				piece = piece[sms.HeaderSize:]
			} else if sm.Class != 0 {
				t.Errorf("%q: esm_class %#x", tt.content.Text, sm.Class)
			}
			s, err := tt.alpha.Decode(piece)
			if err != nil {
				t.Fatal(err)
			}
			text += s
			registered, validity := byte(0), ""
			if tt.content.WithReceipt {
				registered = 1
			}
			if !tt.content.Expires.IsZero() {
				validity = "261124133400000+"
			}
			if sm.Coding != tt.coding || sm.Registered != registered || string(sm.Validity) != validity || sm.DestTON != 1 ||
				sm.DestNPI != 1 || string(sm.Dest) != fmt.Sprint(channelstest.Number(i)) || string(sm.Source) != "10690000" || sm.SourceTON != 0 || sm.SourceNPI != 1 {
				t.Errorf("%q: %+v", tt.content.Text, sm)
			}
		}
		if text != tt.content.Text {
			t.Errorf("the phone shows %q, want %q", text, tt.content.Text)
		}
	}
}

// A receipt matches its answer whatever forms a carrier gives its ids.
func TestIDForms(t *testing.T) {
	for name, tt := range map[string]struct {
		ids idForm
		hex bool
	}{
		"opaque":                    {sameID, false},
		"letters":                   {func(n int) (string, string) { id := fmt.Sprintf("a-%d", n); return id, id }, false},
		"leading zeros":             {func(n int) (string, string) { return fmt.Sprintf("%d", n), fmt.Sprintf("%010d", n) }, false},
		"hexadecimal, then decimal": {func(n int) (string, string) { n += 0xABCDEF; return fmt.Sprintf("%x", n), fmt.Sprint(n) }, true},
		"capitals and zeros":        {func(n int) (string, string) { n += 0xABCDEF; return fmt.Sprintf("%012X", n), fmt.Sprintf("%09d", n) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, channelstest.Plain, tt.ids)
			c, sink := opened(t, p, func(a *channels.Account) { a.HexIDs = tt.hex })
			c.Send(prepared(t, c, channels.Content{Text: "暴雨", WithReceipt: true}), messages(0, full))
			sink.wait(t, "outcomes and receipts", func() bool { return sink.counts(t)[channels.HandedOver] == full && p.ReceiptsAnswered() == full })
			sink.mu.Lock()
			defer sink.mu.Unlock()
			for _, r := range sink.receipts {
				if o := sink.outcomes[r.Number-channelstest.Number(0)]; len(o) != 1 || o[0].Print != r.Print || r.Print == 0 {
					t.Errorf("a receipt with fingerprint %d for %+v", r.Print, o)
				}
			}
		})
	}
}

func TestReceiptPrint(t *testing.T) {
	plain, hex := &carrier{}, &carrier{account: channels.Account{HexIDs: true}}
	print := func(s string) uint16 { return channels.Fingerprint([]byte(s)) }
	for name, tt := range map[string]struct{ got, want uint16 }{
		"none":                            {plain.print(nil, true), 0},
		"only zeros":                      {plain.print([]byte("000"), true), print("0")},
		"letters stand":                   {plain.print([]byte("00ab"), true), print("00ab")},
		"hexadecimal of 64 bits":          {hex.print([]byte("FFFFFFFFFFFFFFFF"), true), print("18446744073709551615")},
		"hexadecimal of more bits stands": {hex.print([]byte("1FFFFFFFFFFFFFFFF"), true), print("1FFFFFFFFFFFFFFFF")},
		"no hexadecimal":                  {hex.print([]byte("xyz"), true), print("xyz")},
		"the parameter first":             {plain.receiptPrint(&pdu.Receipt{ID: []byte("1"), Receipted: []byte("2")}), print("2")},
		"the text first with HexIDs":      {hex.receiptPrint(&pdu.Receipt{ID: []byte("17"), Receipted: []byte("x")}), print("17")},
		"the parameter alone with HexIDs": {hex.receiptPrint(&pdu.Receipt{Receipted: []byte("11")}), print("17")},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", name, tt.got, tt.want)
		}
	}
	for address, want := range map[string]uint64{"999123": 999123, "+999123": 999123, "": 0, "tocsin": 0, "9999999999999999": 0} {
		if got := number([]byte(address)); got != want {
			t.Errorf("address %q is %d, want %d", address, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for status, want := range map[pdu.Status]verdict{
		pdu.OK:                 {channels.HandedOver, channels.NoReason},
		pdu.Throttled:          {channels.Retry, channels.Throttled},
		pdu.QueueFull:          {channels.Retry, channels.QueueFull},
		pdu.SystemError:        {channels.Retry, channels.SystemError},
		pdu.InvalidDestination: {channels.Refused, channels.BadNumber},
		pdu.SubmitFailed:       {channels.Refused, channels.SubmitFailed},
		pdu.InvalidSource:      {channels.Refused, channels.BadContent},
		pdu.InvalidServiceType: {channels.Refused, channels.NotAllowed},
		pdu.InvalidBindStatus:  {channels.Retry, channels.SystemError},
		0x09:                   {channels.Retry, channels.SystemError},
		0x400:                  {channels.Retry, channels.SystemError},
		0xFFFFFFFF:             {channels.Retry, channels.SystemError},
	} {
		if got := verdictOf(status); got != want {
			t.Errorf("%v: %+v, want %+v", status, got, want)
		}
	}
}

// A carrier that does not read stalls its own link only, and Send does not wait for it.
func TestCarrierThatDoesNotRead(t *testing.T) {
	const many = 30_000 // more than the socket buffers of both sides hold
	for _, resume := range []bool{true, false} {
		t.Run(fmt.Sprintf("and reads later: %v", resume), func(t *testing.T) {
			p := startPeer(t, notReading, sameID)
			p.resume = resume
			c, sink := opened(t, p, func(a *channels.Account) { a.Links, a.Window = 2, many })
			words := prepared(t, c, channels.Content{Text: strings.Repeat("雨", 70)})
			b := messages(0, 2*many)
			for rest := b; len(rest) > 0; {
				rest = rest[c.Send(words, rest):]
			}
			sink.wait(t, "the answers of the other link", func() bool { return sink.counts(t)[channels.HandedOver] == many })
			if room := c.Room(); room != many {
				t.Errorf("room is %d, want %d of the link that is read", room, many)
			}
			p.letGo()
			sink.wait(t, "all outcomes", func() bool { return total(sink.counts(t)) == 2*many })
			got := sink.counts(t)
			switch {
			case resume && got[channels.HandedOver] != 2*many:
				t.Errorf("outcomes by kind: %v", got)
			case !resume && (got[channels.Unknown] == 0 || got[channels.Retry] == 0 || got[channels.HandedOver] != many):
				t.Errorf("outcomes by kind: %v; some reached the socket and some did not", got)
			}
		})
	}
}

func total(m map[channels.Kind]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

func TestHealthSaysWhy(t *testing.T) {
	p := startPeer(t, channelstest.BindRefused, sameID)
	a, sink := account(), newTally()
	a.Address, a.Links, a.Window, a.Statuses = p.Address(), 1, 1, []warning.Status{warning.Exercise}
	c, err := Adapter{}.Open(a, sink)
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	sink.wait(t, "the link", func() bool {
		h := c.Links()[0]
		if h.LastError != "not connected yet" && h.LastError != "" {
			seen = h.LastError
		}
		return h.Up
	})
	if seen != "the bind was refused: ESME_RINVPASWD (0x0E)" {
		t.Errorf("the reason was %q", seen)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if h := c.Links()[0]; h.Up {
		t.Errorf("a closed link is up: %+v", h)
	}
}

// A sequence number finds its slot while it is open and never afterwards, and none is used twice soon.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 40).Draw(t, "size")
		w := newWindow(size)
		open, used := map[uint32]uint64{}, map[uint32]bool{}
		fresh := func(seq uint32) {
			if seq == 0 || seq > pdu.MaxSequence || used[seq] {
				t.Fatalf("sequence number %d", seq)
			}
			used[seq] = true
		}
		for step := range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if len(w.free) > 0 {
					s := w.take()
					s.token = uint64(step)
					fresh(s.seq)
					open[s.seq] = s.token
				}
			case 1:
				for seq := range open {
					w.put(w.find(seq))
					delete(open, seq)
					break
				}
			case 2:
				fresh(w.next())
			}
			for seq := range used {
				s := w.find(seq)
				if token, ok := open[seq]; ok != (s != nil) || ok && s.token != token {
					t.Fatalf("sequence number %d finds %+v", seq, s)
				}
			}
			if w.used() != len(open) {
				t.Fatalf("%d slots are used, want %d", w.used(), len(open))
			}
		}
	})
	w := newWindow(maxWindow)
	w.control = 1<<15 - 2
	for range 4 { // over the end of the generations
		if seq := w.next(); seq == 0 || seq > pdu.MaxSequence {
			t.Errorf("sequence number %d", seq)
		}
	}
}

// pair is the two ends of a connection.
func pair(t testing.TB) (ours *wire, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	if ours, err = newWire(conn.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func TestWireKeepsOnlySoMuch(t *testing.T) {
	w, theirs := pair(t)
	defer func() { _ = theirs.Close() }()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = true
	w.write(make([]byte, maxKept))
	if w.ended != nil {
		t.Fatalf("ended: %v", w.ended)
	}
	if w.write([]byte{1}); !errors.Is(w.ended, errNotReading) {
		t.Errorf("ended: %v", w.ended)
	}
}

// openLink is a link with four open messages, tokens 0 to 3, on a connection that the test reads.
func openLink(t testing.TB, sink channels.Sink) (*link, *wire, net.Conn) {
	t.Helper()
	c := &carrier{account: channels.Account{Window: 4}, sink: sink, began: time.Now()}
	c.groups.New = func() any { return new(group) }
	l := newLink(c, 0)
	l.cutter = pdu.NewCutter()
	w, theirs := pair(t)
	l.up(w)
	for i := range 4 {
		s := l.window.take()
		s.token = uint64(i)
	}
	c.open.Add(4)
	return l, w, theirs
}

// What a carrier may send, what it is answered, and what becomes of the link and of its open messages.
func TestWhatCarriersSend(t *testing.T) {
	const first = 1<<3 | 1 // the sequence number of message 0
	head := func(c pdu.Command, s pdu.Status, seq uint32) []byte { return pdu.AppendHeader(nil, c, s, seq) }
	deliver := func(sm pdu.SM) []byte {
		b, err := pdu.AppendSM(nil, pdu.DeliverSM, 5, &sm)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	receipt := deliver(pdu.SM{Class: pdu.ClassReceipt, Source: []byte("999123"), Text: []byte("id:7 stat:DELIVRD")})
	strange := deliver(pdu.SM{Class: pdu.ClassReceipt, Source: []byte("nobody"), Text: []byte("id:7 stat:PONDERING")})
	cut := bytes.Clone(receipt[:len(receipt)-3])
	cut[3] = byte(len(cut))
	longID := append(head(pdu.SubmitSMResp, pdu.OK, first), bytes.Repeat([]byte{'7'}, 80)...)
	longID[3] = byte(len(longID))
	tests := []struct {
		name     string
		raw      []byte
		reply    []byte
		end      error
		outcome  verdict // of message 0; zero: none
		receipts []channels.Receipt
	}{
		{name: "enquire_link", raw: head(pdu.EnquireLink, 0, 5), reply: head(pdu.EnquireLinkResp, 0, 5)},
		{name: "unbind", raw: head(pdu.Unbind, 0, 5), reply: head(pdu.UnbindResp, 0, 5), end: errUnbound},
		{name: "an unknown command", raw: head(0x103, 0, 5), reply: head(pdu.GenericNack, pdu.InvalidCommandID, 5)},
		{name: "a command that is for the carrier", raw: head(pdu.SubmitSM, 0, 5), reply: head(pdu.GenericNack, pdu.InvalidCommandID, 5)},
		{name: "an unknown answer", raw: head(0x80000103, 0, 5)},
		{name: "an answer to nothing", raw: head(pdu.SubmitSMResp, 0, 99)},
		{name: "an answer to slot 0", raw: head(pdu.SubmitSMResp, 0, 1<<3)},
		{name: "an answer without an id", raw: head(pdu.SubmitSMResp, 0, first), outcome: verdictOf(pdu.OK)},
		{name: "an answer with an id that is too long", raw: longID, outcome: verdictOf(pdu.OK)},
		{name: "generic_nack", raw: head(pdu.GenericNack, pdu.InvalidCommandID, first), outcome: verdictOf(pdu.InvalidCommandID)},
		{name: "generic_nack that says all is well", raw: head(pdu.GenericNack, pdu.OK, first), outcome: verdictOf(pdu.UnknownError)},
		{name: "not bound", raw: head(pdu.SubmitSMResp, pdu.InvalidBindStatus, first), outcome: verdictOf(pdu.SystemError), end: errNotBound},
		{name: "a receipt", raw: receipt, reply: pdu.AppendDeliverResp(nil, pdu.OK, 5), receipts: []channels.Receipt{
			{Number: 999123, Print: channels.Fingerprint([]byte("7")), State: channels.Arrived}}},
		{name: "a receipt of nobody in words unknown", raw: strange, reply: pdu.AppendDeliverResp(nil, pdu.OK, 5), receipts: []channels.Receipt{
			{Print: channels.Fingerprint([]byte("7")), State: channels.Passing}}},
		{name: "a receipt cut short", raw: cut, reply: pdu.AppendDeliverResp(nil, pdu.InvalidMessageLength, 5)},
		{name: "what a person wrote", raw: deliver(pdu.SM{Text: []byte("ok")}), reply: pdu.AppendDeliverResp(nil, pdu.OK, 5)},
		{name: "a length of 15", raw: []byte{0, 0, 0, 15}, end: &pdu.Fault{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sink := newTally()
			l, w, theirs := openLink(t, sink)
			l.cutter.Filled(copy(l.cutter.Space(), tt.raw))
			end := l.take(w)
			if fault := (*pdu.Fault)(nil); errors.As(tt.end, &fault) {
				if !errors.As(end, &fault) {
					t.Errorf("the link ends with %v", end)
				}
			} else if !errors.Is(end, tt.end) {
				t.Errorf("the link ends with %v, want %v", end, tt.end)
			}
			var got verdict
			if o := sink.outcomes[0]; len(o) > 0 {
				got = verdict{o[0].Kind, o[0].Reason}
			}
			if got != tt.outcome {
				t.Errorf("message 0 is %+v, want %+v", got, tt.outcome)
			}
			if d := cmp.Diff(tt.receipts, sink.receipts); d != "" {
				t.Error(d)
			}
			l.down(w, errClosed)
			reply, err := io.ReadAll(theirs)
			if err != nil || !bytes.Equal(reply, tt.reply) {
				t.Errorf("the carrier got % x, want % x (%v)", reply, tt.reply, err)
			}
			_ = theirs.Close()
			if n := total(sink.counts(t)); n != 4 {
				t.Errorf("%d of 4 messages have an outcome", n)
			}
		})
	}
}

// FuzzCarrier plays any octets that a carrier may send while four messages are open: each gets exactly one outcome, and
// every receipt is reported.
func FuzzCarrier(f *testing.F) {
	answer, _ := pdu.AppendSubmitResp(nil, 1<<3|1, []byte("7"))
	deliver, _ := pdu.AppendSM(answer, pdu.DeliverSM, 1, &pdu.SM{Class: pdu.ClassReceipt, Source: []byte("999"), Text: []byte("id:7 stat:DELIVRD")})
	f.Add(deliver)
	f.Add(pdu.AppendHeader(deliver, pdu.Unbind, 0, 9))
	f.Add(pdu.AppendHeader(nil, pdu.GenericNack, 0, 1<<3|2))
	f.Add(pdu.AppendHeader(nil, pdu.DeliverSM, 0, 2))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		sink := newTally()
		l, w, theirs := openLink(t, sink)
		var end error
		for len(raw) > 0 && end == nil {
			n := copy(l.cutter.Space(), raw)
			raw = raw[n:]
			l.cutter.Filled(n)
			end = l.take(w)
		}
		l.down(w, errClosed)
		_ = theirs.Close()
		if got := sink.counts(t); total(got) != 4 {
			t.Fatalf("outcomes by kind: %v", got)
		}
		if c := l.c; c.open.Load() != 0 || l.room.Load() != 0 {
			t.Fatalf("%d open, room %d", c.open.Load(), l.room.Load())
		}
	})
}

// TestStalledIsWhatASilentLinkHolds: not what was sent just now on a link that rested.
func TestStalledIsWhatASilentLinkHolds(t *testing.T) {
	for trick, want := range map[channelstest.Trick]int{channelstest.Mute: 3, channelstest.Plain: 0} {
		p := startPeer(t, trick, sameID)
		c, sink := opened(t, p, nil)
		words := prepared(t, c, channels.Content{Text: "hello"})
		if n := c.Send(words, messages(1, 3)); n != 3 {
			t.Fatal(n)
		}
		if n := c.Stalled(time.Minute); n != 0 {
			t.Errorf("%s: %d messages that were sent just now are stalled", trick, n)
		}
		sink.wait(t, "the link to stall, or its answers", func() bool {
			return c.Stalled(time.Millisecond) == want && c.open.Load() == int64(want)
		})
	}
}
