package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// Version is that of the log's format.
const Version = 1

// Event is what a line tells.
type Event string

// The events.
const (
	Start     Event = "start"
	Heartbeat Event = "heartbeat" // a ConnectionCheck
	EBM       Event = "ebm"       // a message in order: to play, or the end of one
	State     Event = "state"     // a question how far a message has come
	Violation Event = "violation" // a packet that breaks the format
	Stop      Event = "stop"
)

// Line is one line of the platform log. docs/platform-log.md says what stands where.
type Line struct {
	Event    Event   `json:"e"`
	Time     int64   `json:"t"` // Unix nanoseconds
	Platform string  `json:"platform,omitempty"`
	Version  int     `json:"version,omitempty"`
	Config   *Config `json:"config,omitempty"`

	EBD      string   `json:"ebd,omitempty"`
	From     string   `json:"from,omitempty"`
	EBM      string   `json:"ebm,omitempty"`
	N        int      `json:"n,omitempty"`
	Type     int      `json:"type,omitempty"`
	Related  string   `json:"related,omitempty"`
	Code     string   `json:"code,omitempty"`
	Severity int      `json:"severity,omitempty"`
	Sender   string   `json:"sender,omitempty"`
	Units    []string `json:"units,omitempty"`
	Language string   `json:"language,omitempty"`
	Title    string   `json:"title,omitempty"`
	Text     string   `json:"text,omitempty"`
	Digest   string   `json:"digest,omitempty"`
	Sent     int64    `json:"sent,omitempty"` // Unix seconds, as the next two
	Starts   int64    `json:"starts,omitempty"`
	Ends     int64    `json:"ends,omitempty"`
	Media    []Media  `json:"media,omitempty"`

	Result *int    `json:"result,omitempty"`
	Fault  Fault   `json:"fault,omitempty"`
	State  int     `json:"state,omitempty"`
	Rate   float64 `json:"rate,omitempty"`
	Rule   string  `json:"rule,omitempty"`
	Detail string  `json:"detail,omitempty"`
}

// Media is a file that came with a message.
type Media struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	Digest string `json:"digest"` // SM3, hexadecimal
}

// ParseLine reads one line, strictly.
func ParseLine(b []byte) (Line, error) {
	var l Line
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Line{}, fmt.Errorf("platform log: %w", err)
	}
	if d.InputOffset() != int64(len(bytes.TrimRight(b, "\n"))) {
		return Line{}, fmt.Errorf("platform log: something follows the object")
	}
	switch l.Event {
	case Start, Heartbeat, EBM, State, Violation, Stop:
		return l, nil
	}
	return Line{}, fmt.Errorf("platform log: unknown event %q", l.Event)
}

// writer appends lines to the file: each is there before its answer leaves.
type writer struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first one
}

func (w *writer) write(l Line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, w.err = w.file.Write(append(b, '\n'))
	}
	return w.err
}
