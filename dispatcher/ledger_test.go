package dispatcher

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

var base = time.UnixMilli(1_800_000_000_000)

// TestNobodyIsLost: whatever records come in whatever order, the counters equal the states and everybody is in one.
// The same records replayed over chunks that were packed anywhere in between give the same ledger.
func TestNobodyIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := uint32(rapid.IntRange(1, 9000).Draw(t, "people"))
		segments := rapid.IntRange(1, 3).Draw(t, "segments")
		whole := []uint8{uint8(1<<segments - 1), 0}
		l := newLedger(people, base, whole, 0)
		chunks := map[int][]byte{}
		j := newJournal()
		hot := min(people, 5) // few people get many records: that is where states meet
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			if to := l.granted + uint32(rapid.IntRange(0, 2000).Draw(t, "grant")); rapid.Bool().Draw(t, "grants") {
				l.grant(min(to, people))
			}
			if l.granted == 0 {
				continue
			}
			r := record{
				pos:     uint32(rapid.IntRange(0, int(min(l.granted, hot))-1).Draw(t, "pos")),
				kind:    recordKind(rapid.IntRange(int(recHandedOver), int(recSettled)).Draw(t, "kind")),
				segment: uint8(rapid.IntRange(0, segments-1).Draw(t, "segment")),
				print:   uint16(rapid.IntRange(1, 3).Draw(t, "print")),
				reason:  channels.Reason(rapid.IntRange(1, channels.Reasons-1).Draw(t, "reason")),
			}
			if r.kind == recSettled {
				r.print = uint16(warning.CancelledIn)
			}
			l.apply(base.Add(time.Second), r)
			j.add(1, base.Add(time.Second), r)
			if rapid.IntRange(0, 9).Draw(t, "fold") == 0 {
				j.take(nil) // what is folded is dropped
				for i := range l.pages {
					chunks[i] = l.encode(i)
				}
			}
		}
		blob := j.take(nil)
		if c := l.recount(); l.counts != c || c.Sum() != int64(people) {
			t.Fatalf("counters %v, states %v, people %d", l.counts, c, people)
		}

		back := newLedger(people, base, whole, 0)
		back.granted = l.granted
		for i, b := range chunks {
			if err := back.decode(i, b); err != nil {
				t.Fatal(err)
			}
		}
		back.restore(l.granted, l.closed)
		if err := replay(blob, func(_ StrandID, at time.Time, r record) { back.apply(at, r) }); err != nil {
			t.Fatal(err)
		}
		for pos := range l.granted {
			if l.at(pos).state != back.at(pos).state || l.at(pos).handed != back.at(pos).handed || l.at(pos).got != back.at(pos).got {
				t.Fatalf("position %d is %v handed %b got %b, after the replay %v handed %b got %b", pos,
					l.at(pos).state, l.at(pos).handed, l.at(pos).got,
					back.at(pos).state, back.at(pos).handed, back.at(pos).got)
			}
		}
		if back.counts != l.counts {
			t.Fatalf("counters %v, after the replay %v", l.counts, back.counts)
		}
	})
}

func one(t *testing.T, segments int) *ledger {
	t.Helper()
	l := newLedger(1, base, []uint8{uint8(1<<segments - 1)}, 0)
	l.grant(1)
	return l
}

func apply(l *ledger, kind recordKind, segment int, reason channels.Reason) {
	l.apply(base.Add(time.Second), record{kind: kind, segment: uint8(segment), reason: reason, print: uint16(segment + 1)})
}

// TestWorstSegmentDecides is the table of what several segments come to.
func TestWorstSegmentDecides(t *testing.T) {
	type step struct {
		kind    recordKind
		segment int
	}
	for name, c := range map[string]struct {
		steps []step
		want  warning.PersonState
	}{
		"both handed over":             {[]step{{recHandedOver, 0}, {recHandedOver, 1}}, warning.HandedOver},
		"one is not enough":            {[]step{{recHandedOver, 0}}, warning.Sending},
		"one refused":                  {[]step{{recHandedOver, 0}, {recRefused, 1}}, warning.Refused},
		"refused beats unknown":        {[]step{{recUnknown, 0}, {recRefused, 1}}, warning.Refused},
		"unknown beats retry":          {[]step{{recRetry, 0}, {recUnknown, 1}}, warning.Unknown},
		"retry waits":                  {[]step{{recHandedOver, 0}, {recRetry, 1}}, warning.Waiting},
		"one receipt is not delivered": {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 0}}, warning.HandedOver},
		"both receipts":                {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 1}, {recArrived, 0}}, warning.Delivered},
		"one failed":                   {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 0}, {recFailed, 1}}, warning.Undelivered},
		"failed, then arrived":         {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 0}, {recFailed, 1}, {recArrived, 1}}, warning.Delivered},
		"arrived, then failed":         {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 0}, {recArrived, 1}, {recFailed, 1}}, warning.Delivered},
		"twice the same receipt":       {[]step{{recHandedOver, 0}, {recHandedOver, 1}, {recArrived, 0}, {recArrived, 0}}, warning.HandedOver},
		"receipt before the answer":    {[]step{{recHandedOver, 0}, {recArrived, 0}, {recArrived, 1}}, warning.Delivered},
		"an unknown that arrived":      {[]step{{recUnknown, 0}, {recUnknown, 1}, {recArrived, 0}, {recArrived, 1}}, warning.Delivered},
	} {
		t.Run(name, func(t *testing.T) {
			l := one(t, 2)
			for _, s := range c.steps {
				apply(l, s.kind, s.segment, channels.SystemError)
			}
			if got := l.at(0).state; got != c.want {
				t.Errorf("the person is %v, want %v", got, c.want)
			}
			if !l.balanced() {
				t.Errorf("not balanced: %v, %d forbidden steps", l.counts, l.illegal)
			}
		})
	}
}

// TestOnlyMissingSegmentsGoAgain: what the carrier has is not sent twice.
func TestOnlyMissingSegmentsGoAgain(t *testing.T) {
	l := one(t, 3)
	apply(l, recHandedOver, 1, 0)
	apply(l, recRetry, 0, channels.Throttled)
	apply(l, recRetry, 2, channels.Throttled)
	apply(l, recAgain, 0, 0)
	if l.at(0).open != 0b101 || l.at(0).handed != 0b010 {
		t.Fatalf("open %03b, handed %03b; want 101 and 010", l.at(0).open, l.at(0).handed)
	}
	apply(l, recHandedOver, 0, 0)
	apply(l, recHandedOver, 2, 0)
	if s := l.at(0).state; s != warning.HandedOver {
		t.Fatalf("the person is %v", s)
	}
}

// TestSegmentsThatShareAFingerprint: two receipts of a person whose segments' ids hash alike settle both segments.
func TestSegmentsThatShareAFingerprint(t *testing.T) {
	l := one(t, 2)
	for seg := range uint8(2) {
		l.apply(base, record{kind: recHandedOver, segment: seg, print: 9})
	}
	for want := range 2 {
		seg, exact, ok := l.match(0, 9)
		if seg != want || !exact || !ok {
			t.Fatalf("receipt %d is of segment %d (%v, %v)", want, seg, exact, ok)
		}
		l.apply(base, record{kind: recArrived, segment: uint8(seg), print: 9})
	}
	if s := l.at(0).state; s != warning.Delivered {
		t.Fatalf("the person is %v", s)
	}
}

// TestCrashLeavesUnknown: granted and without outcome is unknown after a crash, never waiting (promise 3).
func TestCrashLeavesUnknown(t *testing.T) {
	l := newLedger(10, base, []uint8{1}, 0)
	l.grant(6)
	l.apply(base, record{pos: 2, kind: recHandedOver, print: 7})
	chunk := l.encode(0)
	l.grant(8)

	back := newLedger(10, base, []uint8{1}, 0)
	if err := back.decode(0, chunk); err != nil {
		t.Fatal(err)
	}
	back.restore(8, warning.Waiting)
	back.crash(func(r record) { back.apply(base, r) })
	want := warning.Counts{}
	want[warning.Unknown], want[warning.HandedOver], want[warning.Waiting] = 7, 1, 2
	if back.counts != want || !back.balanced() {
		t.Fatalf("counts %v, want %v", back.counts, want)
	}
}

func TestCloseSettlesWhoWasNeverGranted(t *testing.T) {
	l := newLedger(10, base, []uint8{1}, 0)
	l.grant(4)
	l.giveBack(3)
	l.close(warning.CancelledIn, channels.CancelledHere)
	if l.counts[warning.CancelledIn] != 7 || l.counts[warning.Sending] != 3 || !l.balanced() {
		t.Fatalf("counts %v", l.counts)
	}
	if l.reasons[channels.CancelledHere] != 7 {
		t.Fatalf("reasons %v", l.reasons)
	}
}

func FuzzReplay(f *testing.F) {
	j := newJournal()
	j.add(3, base, record{pos: 1, kind: recHandedOver, segment: 2, print: 9})
	j.add(3, base, record{pos: 2, kind: recRetry, reason: channels.Throttled})
	f.Add(j.take(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		again := newJournal()
		if replay(b, func(s StrandID, at time.Time, r record) { again.add(s, at, r) }) != nil {
			return
		}
		var n, m int
		_ = replay(b, func(StrandID, time.Time, record) { n++ })
		if err := replay(again.buf, func(StrandID, time.Time, record) { m++ }); err != nil || n != m {
			t.Fatalf("%d records, read again %d, %v", n, m, err)
		}
	})
}

func FuzzChunk(f *testing.F) {
	l := newLedger(5, base, []uint8{3}, 0)
	l.grant(3)
	f.Add(l.encode(0))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLedger(5, base, []uint8{3}, 0)
		if l.decode(0, b) == nil {
			l.restore(5, warning.Waiting)
			if l.counts.Sum() != 5 {
				t.Fatal("somebody is lost")
			}
		}
	})
}

// TestLanguagesOfAPage: a page knows the language of each of its people, also of those who were added to it later.
func TestLanguagesOfAPage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []uint8
		s := &strand{starts: make([]uint32, 1)}
		draw := func() {
			for range rapid.IntRange(1, 12).Draw(t, "batches") {
				b := Batch{Language: uint8(rapid.IntRange(0, 1).Draw(t, "language"))}
				for slot := range rapid.IntRange(1, warning.BlockSize).Draw(t, "people") {
					b.Mask.Set(slot)
					want = append(want, b.Language)
				}
				s.Batches = append(s.Batches, b)
			}
			s.People = uint32(len(want))
		}
		draw()
		for i := range s.Batches {
			s.starts = append(s.starts, s.starts[i]+uint32(s.Batches[i].Mask.Count()))
		}
		s.led = newLedger(s.People, time.Time{}, []uint8{1, 3}, 0)
		s.led.lang = s.languages
		s.led.page(uint32(rapid.IntRange(0, len(want)-1).Draw(t, "first asked"))) // the others are made later
		if rapid.Bool().Draw(t, "grows") {
			was := len(s.Batches)
			draw()
			to := s.Strand
			s.Batches = s.Batches[:was]
			s.grow(to)
		}
		for pos, l := range want {
			if got := s.led.wholeOf(uint32(pos)); got != []uint8{1, 3}[l] {
				t.Fatalf("position %d of %d: segments %b, language %d", pos, len(want), got, l)
			}
		}
	})
}

// TestAReceiptOfTheHandOffBefore: somebody whose hand-off had no answer is handed over again, which the carrier puts off or
// refuses; then the receipt of the first one comes. They have the message, and no step is taken that the table does not have.
func TestAReceiptOfTheHandOffBefore(t *testing.T) {
	for name, then := range map[string][]record{
		"put off":    {{kind: recRetry, reason: channels.Throttled}},
		"refused":    {{kind: recRefused, reason: channels.BadNumber}},
		"cancelled":  {{kind: recRetry, reason: channels.Throttled}, {kind: recSettled, print: uint16(warning.CancelledIn), reason: channels.CancelledHere}},
		"superseded": {{kind: recRetry, reason: channels.Throttled}, {kind: recSettled, print: uint16(warning.Superseded), reason: channels.SupersededHere}},
		"expired":    {{kind: recRetry, reason: channels.Throttled}, {kind: recSettled, print: uint16(warning.ExpiredOut), reason: channels.ExpiredHere}},
	} {
		l := newLedger(1, base, []uint8{1}, 0)
		l.grant(1)
		for _, r := range append([]record{{kind: recUnknown, reason: channels.NoAnswer}, {kind: recAgain}}, then...) {
			l.apply(base, r)
		}
		segment, _, ok := l.match(0, 7)
		if !ok {
			t.Fatalf("%s: the receipt is nobody's", name)
		}
		l.apply(base, record{kind: recArrived, segment: uint8(segment), print: 7})
		if s := l.stateOf(0); s != warning.Delivered || !l.balanced() {
			t.Errorf("%s: the person is %v, %d steps were not allowed", name, s, l.illegal)
		}
	}
}
