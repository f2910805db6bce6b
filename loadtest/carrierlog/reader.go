package carrierlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrTruncated is the error of a last line without its line feed: the carrier was killed while it wrote.
var ErrTruncated = errors.New("the last line is cut")

// maxLine is the longest line that a reader takes.
const maxLine = 1 << 20

// Reader reads lines one by one.
type Reader struct {
	src    io.Reader
	buf    []byte
	from   int // next octet to look at
	end    int // end of what was read
	number int
	eof    bool
}

// NewReader reads from src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src, buf: make([]byte, 256<<10)} }

// Number is the number of the line that Next gave last, from 1.
func (r *Reader) Number() int { return r.number }

// Next reads the next line into l. At the end it answers io.EOF, for a cut last line ErrTruncated, and for a line that
// is none of this format an error with its number.
func (r *Reader) Next(l *Line) error {
	b, err := r.line()
	if err != nil {
		return err
	}
	*l = Line{}
	if l.parseFast(b) {
		return nil
	}
	*l = Line{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(l); err != nil {
		return fmt.Errorf("line %d: %w", r.number, err)
	}
	if d.InputOffset() != int64(len(b)) {
		return fmt.Errorf("line %d: something follows the object", r.number)
	}
	switch l.Event {
	case Start:
		if l.Version != Version {
			return fmt.Errorf("line %d: the format is version %d and this reader knows %d", r.number, l.Version, Version)
		}
	case Bind, Unbind, Text, Submit, Receipt, Recall, Violation, NotSynthetic, Stop:
	default:
		return fmt.Errorf("line %d: unknown event %q", r.number, l.Event)
	}
	return nil
}

func (r *Reader) line() ([]byte, error) {
	look := r.from
	for {
		if i := bytes.IndexByte(r.buf[look:r.end], '\n'); i >= 0 {
			b := r.buf[r.from : look+i]
			r.from = look + i + 1
			r.number++
			return b, nil
		}
		if r.eof {
			if r.from == r.end {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("line %d: %w (%d octets)", r.number+1, ErrTruncated, r.end-r.from)
		}
		if r.end-r.from > maxLine {
			return nil, fmt.Errorf("line %d: longer than %d octets", r.number+1, maxLine)
		}
		r.end = copy(r.buf, r.buf[r.from:r.end])
		r.from = 0
		if r.end == len(r.buf) {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		look = r.end
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		switch {
		case err == io.EOF:
			r.eof = true
		case err != nil:
			return nil, err
		}
	}
}
