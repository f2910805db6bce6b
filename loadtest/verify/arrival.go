package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"tocsin/loadtest/carrierlog"
)

// fate is what a carrier did with a message.
type fate uint8

const (
	accepted fate = iota
	refused       // for good
	later         // throttled, queue full, failed, or swallowed
)

// arrival is one message at a carrier.
type arrival struct {
	at         int64 // Unix nanoseconds
	person     int32 // of the directory; behind them the numbers that are in none
	body       int32
	ref        uint16
	account    uint16 // a phone joins segments of one sender only
	total, seq uint8
	fate       fate
	ours       bool // to a number that link tests go to
}

// Command statuses of SMPP 3.4 5.1.3 that are not for good.
const (
	statusSystemError = 0x08
	statusQueueFull   = 0x14
	statusThrottled   = 0x58
)

// journal is what the logs of one account tell.
type journal struct {
	account      uint16
	tests        []uint64 // numbers that link tests go to
	arrivals     []arrival
	foreign      []uint64 // numbers of arrivals whose person is below 0: -1-i is foreign[i]
	times        []int64
	accepted     int64
	throttled    int64
	violations   map[string]int64
	notSynthetic int64
	receipts     map[string]int64
	unanswered   int64
}

// segment is what arrived as one message: its words, and until when the carrier may deliver them, in Unix seconds; 0: for ever.
type segment struct {
	text
	until int64
}

// bodies numbers distinct segments over all logs.
type bodies struct {
	mu       sync.Mutex // guards the rest
	of       map[string]int32
	segments []segment
	starts   map[string]string // of carriers: the log in which each stands
}

func (b *bodies) number(coding int, body []byte, until int64) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := string(append(binary.BigEndian.AppendUint64([]byte{byte(coding)}, uint64(until)), body...))
	n, ok := b.of[key]
	if !ok {
		n = int32(len(b.segments))
		b.of[key] = n
		b.segments = append(b.segments, segment{text{read(coding, body), isFlash(coding)}, until})
	}
	return n
}

// begins notes the start of a carrier. None stands in two places: what is given twice would be counted twice.
func (b *bodies) begins(l *carrierlog.Line, path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := fmt.Sprintf("%s %d %d", l.Carrier, l.Time, l.Mono)
	if where, known := b.starts[key]; known {
		return fmt.Errorf("the start of carrier %q at %s stands in %s already: a log is given twice, or a copy of it",
			l.Carrier, time.Unix(0, l.Time).UTC().Format(time.RFC3339Nano), where)
	}
	b.starts[key] = path
	return nil
}

// bodyText is a text line of a log. Nearly all messages of it have the same end of validity.
type bodyText struct {
	coding int
	body   []byte
	until  int64
	number int32 // with that end; -1: none yet
}

// tally is what one carrier has written since its start, to be held against what it counted itself.
type tally struct {
	messages, violations int64
	stopped              bool
}

// readLogs reads the logs of one account.
func readLogs(account uint16, paths []string, p *people, b *bodies, tests []uint64) (*journal, error) {
	j := &journal{account: account, tests: tests, violations: map[string]int64{}, receipts: map[string]int64{}}
	for _, path := range paths {
		if err := j.read(path, p, b); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	slices.Sort(j.times)
	return j, nil
}

func (j *journal) read(path string, p *people, b *bodies) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := carrierlog.NewReader(&tail{file: f})
	var l carrierlog.Line
	var texts []bodyText // of the start at hand, by number in the line - 1
	var since tally
	begun := false
	for {
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			if !begun {
				return errors.New("the log is empty")
			}
			return nil
		} else if err != nil {
			return err
		}
		if !begun && l.Event != carrierlog.Start {
			return fmt.Errorf("line %d: the log does not begin with a start", r.Number())
		}
		if since.stopped && l.Event != carrierlog.Start {
			return fmt.Errorf("line %d: a carrier that has stopped goes on without a start: lines are missing", r.Number())
		}
		switch l.Event {
		case carrierlog.Start:
			begun, texts, since = true, texts[:0], tally{}
			if err := b.begins(&l, path); err != nil {
				return fmt.Errorf("line %d: %w", r.Number(), err)
			}
		case carrierlog.Stop: // a message that broke the standard has no line of its own, and a violation can be of something else
			since.stopped = true
			if n := l.Submits; n < since.messages || n > since.messages+since.violations {
				return fmt.Errorf("line %d: the carrier counted %d messages from its start to its stop, and the log has %d of them", r.Number(), n, since.messages)
			}
		case carrierlog.Text:
			body, err := l.Body()
			if err != nil {
				return fmt.Errorf("line %d: %w", r.Number(), err)
			}
			if l.Text != len(texts)+1 {
				return fmt.Errorf("line %d: text %d follows text %d", r.Number(), l.Text, len(texts))
			}
			texts = append(texts, bodyText{coding: l.Coding, body: body, number: -1})
		case carrierlog.Submit:
			if l.Text < 1 || l.Text > len(texts) {
				return fmt.Errorf("line %d: text %d is not known", r.Number(), l.Text)
			}
			if l.Total < 1 || l.Total > 255 || l.Seq < 1 || l.Seq > l.Total || l.Ref < 0 || l.Ref > 65535 {
				return fmt.Errorf("line %d: segment %d of %d with reference %d cannot be", r.Number(), l.Seq, l.Total, l.Ref)
			}
			since.messages++
			t := &texts[l.Text-1]
			if t.number < 0 || t.until != l.Until {
				t.number, t.until = b.number(t.coding, t.body, l.Until), l.Until
			}
			j.submit(&l, t.number, p)
		case carrierlog.Receipt:
			if l.Status == carrierlog.NoAnswer {
				j.unanswered += int64(l.IDs.Count())
			} else {
				j.receipts[l.State] += int64(l.IDs.Count())
			}
		case carrierlog.Violation:
			j.violations[l.Rule+" ("+l.Clause+")"]++
			since.violations++
		case carrierlog.NotSynthetic:
			since.messages++
			j.notSynthetic++
			j.times = append(j.times, l.Time)
		}
	}
}

func (j *journal) submit(l *carrierlog.Line, body int32, p *people) {
	j.times = append(j.times, l.Time)
	a := arrival{at: l.Time, body: body, ref: uint16(l.Ref), total: uint8(l.Total), seq: uint8(l.Seq), person: p.find(l.To), account: j.account}
	a.ours = slices.Contains(j.tests, l.To)
	if a.person < 0 {
		j.foreign = append(j.foreign, l.To)
		a.person = int32(-len(j.foreign))
	}
	switch {
	case l.Accepted():
		j.accepted++
	case l.Status == statusThrottled:
		j.throttled++
		a.fate = later
	case l.Status == statusSystemError, l.Status == statusQueueFull, l.Status == carrierlog.NoAnswer:
		a.fate = later
	default:
		a.fate = refused
	}
	j.arrivals = append(j.arrivals, a)
}

// busiest is the most arrivals in any second [t, t + 1 s).
func busiest(times []int64) (most int64) {
	from := 0
	for i, t := range times {
		for times[from] <= t-int64(time.Second) {
			from++
		}
		most = max(most, int64(i-from+1))
	}
	return most
}

// idle is the time in gaps of more than a second.
func idle(times []int64) (sum int64) {
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > int64(time.Second) {
			sum += gap
		}
	}
	return sum
}

// byPerson puts all arrivals in the order of persons, and of time for each. Numbers of no directory get persons behind
// the others. starts has where each person begins, and the end.
func byPerson(js []*journal, p *people) (all []arrival, starts []int32) {
	persons := int32(len(p.numbers))
	foreign := map[uint64]int32{}
	n := 0
	for _, j := range js {
		n += len(j.arrivals)
		for i := range j.arrivals {
			if a := &j.arrivals[i]; a.person < 0 {
				number := j.foreign[-1-a.person]
				x, ok := foreign[number]
				if !ok {
					x = persons + int32(len(foreign))
					foreign[number] = x
				}
				a.person = x
			}
		}
	}
	starts = make([]int32, int(persons)+len(foreign)+2)
	for _, j := range js {
		for i := range j.arrivals {
			starts[j.arrivals[i].person+2]++
		}
	}
	for i := 2; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	all = make([]arrival, n)
	for _, j := range js {
		for _, a := range j.arrivals {
			at := &starts[a.person+1]
			all[*at] = a
			*at++
		}
		j.arrivals = nil
	}
	starts = starts[:len(starts)-1]
	for i := range starts[1:] {
		of := all[starts[i]:starts[i+1]]
		slices.SortStableFunc(of, func(a, b arrival) int {
			switch {
			case a.at < b.at:
				return -1
			case a.at > b.at:
				return 1
			}
			return 0
		})
	}
	return all, starts
}
