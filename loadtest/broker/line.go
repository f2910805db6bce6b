package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Version is that of the log's format, docs/broker-log.md.
const Version = 1

// Event is what a line of the log tells.
type Event string

// The events.
const (
	Start      Event = "start"      // a broker began
	Connect    Event = "connect"    // a client came, let in or not
	Disconnect Event = "disconnect" // a client that was let in left
	Subscribe  Event = "subscribe"  // a client asks for topics
	Publish    Event = "publish"    // a message arrived
	Expired    Event = "expired"    // a retained message was dropped at its expiry
	Stop       Event = "stop"       // the broker ended in order
)

// NoAnswer is the Status of a message that was not answered.
const NoAnswer = -1

// Line is one line. Fields that an event does not have are zero.
type Line struct {
	Event Event `json:"e"`
	// Time is Unix nanoseconds, from the wall when the broker started and its monotonic clock from there.
	Time int64 `json:"t"`
	// Link counts the connections of one start from 1.
	Link int `json:"l,omitempty"`

	// Connect and Disconnect. Status is the reason code of the CONNACK.
	Client string `json:"client,omitempty"`
	User   string `json:"user,omitempty"`
	Why    string `json:"why,omitempty"`

	// Filter of a Subscribe.
	Filter string `json:"filter,omitempty"`

	// Publish, and Topic also of Expired. Status is the reason code of the PUBACK, or NoAnswer; Taken says whether the
	// broker has it. Body is the payload: absent where it is empty, and a JSON string where it is no JSON.
	Topic  string          `json:"topic,omitempty"`
	QoS    int             `json:"qos,omitempty"`
	Retain bool            `json:"retain,omitempty"`
	Expiry uint32          `json:"expiry,omitempty"` // seconds
	Type   string          `json:"type,omitempty"`   // content type
	Labels [][2]string     `json:"labels,omitempty"` // user properties
	Taken  bool            `json:"taken,omitempty"`
	Rule   string          `json:"rule,omitempty"` // that it breaks
	Body   json.RawMessage `json:"body,omitempty"`

	Status int `json:"st,omitempty"`

	// Start.
	Broker  string          `json:"broker,omitempty"`
	Version int             `json:"version,omitempty"`
	Cut     int64           `json:"cut,omitempty"` // octets of a torn line that were cut off before
	Config  json.RawMessage `json:"config,omitempty"`

	// Stop: how many messages this start took.
	Messages int64 `json:"messages,omitempty"`
}

// ErrTruncated is the error of a last line without its line feed: the broker was killed while it wrote.
var ErrTruncated = errors.New("the last line is cut")

// Read calls each with every line of a log, in order. It ends at the first that is none of this format, with its number.
func Read(r io.Reader, each func(*Line)) error {
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		b, err := in.ReadBytes('\n')
		switch {
		case err == io.EOF && len(b) == 0:
			return nil
		case err == io.EOF:
			return fmt.Errorf("line %d: %w (%d octets)", number, ErrTruncated, len(b))
		case err != nil:
			return err
		}
		l := new(Line)
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(l); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if d.InputOffset() != int64(len(b)-1) {
			return fmt.Errorf("line %d: something follows the object", number)
		}
		switch l.Event {
		case Start:
			if l.Version != Version {
				return fmt.Errorf("line %d: the format is version %d and this reader knows %d", number, l.Version, Version)
			}
		case Connect, Disconnect, Subscribe, Publish, Expired, Stop:
		default:
			return fmt.Errorf("line %d: unknown event %q", number, l.Event)
		}
		each(l)
	}
}
