package warning

import (
	"errors"
	"fmt"
	"strings"
)

// Violation is one thing wrong with what somebody asked: which field, which rule it breaks, and what to do.
type Violation struct {
	Field  string // path as in the request, e.g. "areas[0].polygon.rings[1]"
	Rule   string // stable, lower case with dots, e.g. "area.ring.open"
	Detail string // what was found, for a person
	Remedy string // what to do, for a person
}

func (v Violation) String() string {
	s := v.Field + ": " + v.Detail
	if v.Remedy != "" {
		s += " (" + v.Remedy + ")"
	}
	return s + " [" + v.Rule + "]"
}

// Reason says what kind of no an Error is, so that a caller can decide without reading text.
type Reason uint8

// The reasons. Each maps to one gRPC status code at the edge.
const (
	ReasonInvalid     Reason = iota + 1 // the request is wrong; repeating it will not help
	ReasonNotFound                      // no such warning, user, account
	ReasonConflict                      // the state does not allow it (now)
	ReasonExists                        // the same key with other content, or the same warning again
	ReasonDenied                        // the caller may not
	ReasonExhausted                     // too much: size, disk, memory
	ReasonUnavailable                   // the store cannot keep the promise just now; repeat with the same key
	ReasonUnknownUser                   // no valid credential
)

// Error is a refusal with its reason and, for invalid input, every violation that was found.
type Error struct {
	Reason     Reason
	Message    string
	Violations []Violation
}

func (e *Error) Error() string {
	if len(e.Violations) == 0 {
		return e.Message
	}
	parts := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		parts[i] = v.String()
	}
	if e.Message == "" {
		return strings.Join(parts, "; ")
	}
	return e.Message + ": " + strings.Join(parts, "; ")
}

// Invalid is an Error of ReasonInvalid over the violations.
func Invalid(vs ...Violation) *Error { return &Error{Reason: ReasonInvalid, Violations: vs} }

// Refuse is an Error of the reason with a message for a person.
func Refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// ReasonOf is the reason that err carries, or 0 where it carries none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return 0
}
