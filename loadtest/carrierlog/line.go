// Package carrierlog is the log of a simulated carrier: what arrived when, what was answered, and which receipts were
// taken. It is the truth that a run is judged by, so it is written by the carrier alone and read by the verifier alone.
// The format is docs/carrier-log.md: JSON lines, one object a line.
//
// Invariants that the package keeps:
//   - A line is written whole or, after a kill, cut at the very end of the file: nothing is ever written behind a cut line.
//   - A writer opens a file only to append; each start begins a new numbering of texts and links.
//   - A reader never guesses: a line that it does not understand is an error that names its number.
package carrierlog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// Version of the format; it stands in every start line.
const Version = 1

// Event says what a line tells.
type Event string

// The events.
const (
	Start        Event = "start"         // a carrier begins; numbers of texts and links begin anew
	Bind         Event = "bind"          // a client asked to be let in
	Unbind       Event = "unbind"        // a link ended
	Text         Event = "text"          // a body that submit lines refer to
	Submit       Event = "submit"        // a message arrived
	Receipt      Event = "receipt"       // receipts were answered, or were not
	Recall       Event = "recall"        // a client asked for a message back
	Violation    Event = "violation"     // a client broke the standard
	NotSynthetic Event = "not_synthetic" // a message for a number that could be real; its number is not kept
	Stop         Event = "stop"          // the carrier ended in order
)

// NoAnswer is the Status of a submit that was never answered and of a receipt that the client did not answer.
const NoAnswer = -1

// Line is one line. Fields that an event does not have are zero.
type Line struct {
	Event Event `json:"e"`
	// Time is Unix nanoseconds: of a submit, when the read that brought it returned.
	Time int64 `json:"t"`
	// Link counts the connections of one start from 1.
	Link int `json:"l,omitempty"`

	// Submit.
	To    uint64 `json:"to,omitempty"`    // E.164 digits
	Ref   int    `json:"ref,omitempty"`   // reference that joins the segments
	Total int    `json:"n,omitempty"`     // segments of the message; 1 when it is whole
	Seq   int    `json:"i,omitempty"`     // this segment, from 1
	Text  int    `json:"x,omitempty"`     // number of its text line
	Until int64  `json:"until,omitempty"` // end of validity in Unix seconds; 0: none was told
	// Status is the command_status of the answer, or NoAnswer.
	Status int `json:"st,omitempty"`
	// ID is the carrier's id of an accepted message; empty: it was not accepted. Of a line from a Reader it is valid
	// until the next one.
	ID IDText `json:"id,omitempty"`

	// Receipt: the Status that they were answered with together, the state as they name it, and their ids with a blank
	// between each. Of a line from a Reader the ids are valid until the next one.
	State string `json:"state,omitempty"`
	IDs   IDText `json:"ids,omitempty"`

	// Text: its number in Text, the data_coding, and the octets behind the user data header.
	Coding int    `json:"coding,omitempty"`
	Hex    string `json:"hex,omitempty"`
	Words  string `json:"words,omitempty"` // the same for a person

	// Bind and Unbind.
	System string `json:"system,omitempty"`
	Kind   string `json:"kind,omitempty"` // transmitter, receiver, transceiver
	Why    string `json:"why,omitempty"`

	// Violation.
	Rule     string `json:"rule,omitempty"`
	Clause   string `json:"clause,omitempty"`
	Sequence uint32 `json:"seq,omitempty"`

	// Start.
	Carrier string          `json:"carrier,omitempty"`
	Version int             `json:"version,omitempty"`
	Mono    int64           `json:"mono,omitempty"` // monotonic nanoseconds since boot at Time
	Cut     int64           `json:"cut,omitempty"`  // octets of a torn line that were cut off before
	Config  json.RawMessage `json:"config,omitempty"`

	// Stop.
	Submits  int64 `json:"submits,omitempty"`
	Receipts int64 `json:"receipts,omitempty"`
	Pending  int64 `json:"pending,omitempty"` // receipts that nobody took
}

// IDText is an id as octets; in JSON it is a string.
type IDText []byte

// MarshalJSON writes a string.
func (t IDText) MarshalJSON() ([]byte, error) { return json.Marshal(string(t)) }

// UnmarshalJSON reads a string.
func (t *IDText) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = IDText(s)
	return nil
}

// Accepted tells whether a submit line is of a message that the carrier took.
func (l *Line) Accepted() bool { return len(l.ID) > 0 }

// AppendSubmitHead appends what all submit lines of one read on one link begin with; AppendSubmit wants it.
func AppendSubmitHead(b []byte, t int64, link int) []byte { return appendHead(b, Submit, t, link) }

func appendHead(b []byte, e Event, t int64, link int) []byte {
	b = append(b, `{"e":"`...)
	b = append(b, e...)
	b = append(b, `","t":`...)
	b = strconv.AppendInt(b, t, 10)
	b = append(b, `,"l":`...)
	return strconv.AppendInt(b, int64(link), 10)
}

// AppendSubmit appends a submit line; head is what AppendSubmitHead made. Of l the fields of a submit count.
func AppendSubmit(b, head []byte, l *Line) []byte {
	b = append(b, head...)
	b = append(b, `,"to":`...)
	b = strconv.AppendUint(b, l.To, 10)
	b = append(b, `,"ref":`...)
	b = strconv.AppendInt(b, int64(l.Ref), 10)
	b = append(b, `,"n":`...)
	b = strconv.AppendInt(b, int64(l.Total), 10)
	b = append(b, `,"i":`...)
	b = strconv.AppendInt(b, int64(l.Seq), 10)
	b = append(b, `,"x":`...)
	b = strconv.AppendInt(b, int64(l.Text), 10)
	b = append(b, `,"until":`...)
	b = strconv.AppendInt(b, l.Until, 10)
	b = append(b, `,"st":`...)
	b = strconv.AppendInt(b, int64(l.Status), 10)
	b = append(b, `,"id":"`...)
	b = append(b, l.ID...)
	return append(b, "\"}\n"...)
}

// AppendReceipts appends a receipt line up to its ids, each of which is to be followed by a blank; CloseReceipts ends it.
func AppendReceipts(b []byte, t int64, link int, state string, status int) []byte {
	b = appendHead(b, Receipt, t, link)
	b = append(b, `,"state":"`...)
	b = append(b, state...)
	b = append(b, `","st":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	return append(b, `,"ids":"`...)
}

// CloseReceipts ends a receipt line behind the blank of its last id.
func CloseReceipts(b []byte) []byte { return append(b[:len(b)-1], "\"}\n"...) }

// Count is how many ids a receipt line has.
func (t IDText) Count() int {
	if len(t) == 0 {
		return 0
	}
	return bytes.Count(t, []byte(" ")) + 1
}

// Append appends any line by way of encoding/json; it is for the seldom ones.
func Append(b []byte, l *Line) []byte {
	out, err := json.Marshal(l)
	if err != nil {
		panic("carrierlog: a line always marshals: " + err.Error()) // Config is ours and valid
	}
	return append(append(b, out...), '\n')
}

// TextLine is the line of a text: its number, data_coding, octets, and the words for a person where they are known.
func TextLine(t int64, number, coding int, body []byte, words string) *Line {
	return &Line{Event: Text, Time: t, Text: number, Coding: coding, Hex: hex.EncodeToString(body), Words: words}
}

// Body is the octets of a text line.
func (l *Line) Body() ([]byte, error) {
	b, err := hex.DecodeString(l.Hex)
	if err != nil {
		return nil, fmt.Errorf("text %d: hex is damaged: %w", l.Text, err)
	}
	return b, nil
}

// parseFast reads a submit or receipt line in the order that this package writes; false leaves it to encoding/json.
func (l *Line) parseFast(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, []byte(`{"e":"submit","t":`)):
		p := scan{b: b, at: len(`{"e":"submit","t":`)}
		l.Event = Submit
		l.Time = p.number()
		l.Link = int(p.key(`,"l":`).number())
		l.To = uint64(p.key(`,"to":`).number())
		l.Ref = int(p.key(`,"ref":`).number())
		l.Total = int(p.key(`,"n":`).number())
		l.Seq = int(p.key(`,"i":`).number())
		l.Text = int(p.key(`,"x":`).number())
		l.Until = p.key(`,"until":`).number()
		l.Status = int(p.key(`,"st":`).number())
		l.ID = p.key(`,"id":"`).word()
		return p.end()
	case bytes.HasPrefix(b, []byte(`{"e":"receipt","t":`)):
		p := scan{b: b, at: len(`{"e":"receipt","t":`)}
		l.Event = Receipt
		l.Time = p.number()
		l.Link = int(p.key(`,"l":`).number())
		l.State = stateName(p.key(`,"state":"`).word())
		l.Status = int(p.key(`,"st":`).number())
		l.IDs = p.key(`,"ids":"`).word()
		return p.end()
	}
	return false
}

// stateName gives the usual states without allocating.
func stateName(b []byte) string {
	switch string(b) {
	case "DELIVRD":
		return "DELIVRD"
	case "UNDELIV":
		return "UNDELIV"
	case "EXPIRED":
		return "EXPIRED"
	case "REJECTD":
		return "REJECTD"
	}
	return string(b)
}

// scan walks over one line of known order; after the first surprise it stays bad.
type scan struct {
	b   []byte
	at  int
	bad bool
}

func (p *scan) key(k string) *scan {
	if p.bad || len(p.b)-p.at < len(k) || string(p.b[p.at:p.at+len(k)]) != k {
		p.bad = true
		return p
	}
	p.at += len(k)
	return p
}

func (p *scan) number() int64 {
	if p.bad {
		return 0
	}
	i, neg := p.at, false
	if i < len(p.b) && p.b[i] == '-' {
		neg = true
		i++
	}
	from, v := i, int64(0)
	for i < len(p.b) && p.b[i]-'0' <= 9 {
		v = v*10 + int64(p.b[i]-'0')
		i++
	}
	digits := i - from
	if digits == 0 || digits > 19 || v < 0 || digits > 1 && p.b[from] == '0' {
		p.bad = true
		return 0
	}
	p.at = i
	if neg {
		return -v
	}
	return v
}

// word is printable ASCII up to a quote; anything else is for encoding/json.
func (p *scan) word() []byte {
	if p.bad {
		return nil
	}
	for i := p.at; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			w := p.b[p.at:i:i]
			p.at = i + 1
			return w
		case c < ' ' || c > '~' || c == '\\':
			p.bad = true
			return nil
		}
	}
	p.bad = true
	return nil
}

func (p *scan) end() bool { return !p.bad && len(p.b)-p.at == 1 && p.b[p.at] == '}' }
