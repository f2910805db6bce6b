package channels

import (
	"context"
	"time"

	"tocsin/warning"
)

// This file is the contract of area channels: emergency broadcast, cable television, push by topic. They reach places,
// not people: a message counts one, and nobody can say who heard it.
//
// What every area adapter promises, and the conformance suite checks:
//   - Play and Stop answer exactly once, within the context: Unknown when bytes left and no answer came.
//   - The same Serial again is the same message to the platform, however often it is handed over (promise 3).
//   - A status that the account is not marked for is NotAllowed, and no byte leaves (promise 8). Nor does one of a message
//     whose area is empty or not codes of 12 digits (promise 6), that has no words or no end, or that has expired.
//   - An answer that is cut, too long, not for this message or not signed as the account asks is none.
//   - What the platform cannot do is not implemented: never an empty method that reports success.

// AreaAdapter opens accounts of one transport that reaches places.
type AreaAdapter interface {
	// Open fails only for a configuration that can never work; links come and go behind it.
	Open(a AreaAccount) (AreaCarrier, error)
}

// AreaCarrier is an open account of an area channel. Its methods may be called from several goroutines.
type AreaCarrier interface {
	// Play asks the platform to tell the words in the area.
	Play(ctx context.Context, m AreaMessage) AreaOutcome
	// Link tells how the connection to the platform is doing.
	Link() LinkHealth
	// Close takes no more calls, waits for those under way until ctx ends, then cuts them off: they are Unknown, and the
	// error says how many. A call after Close is Retry, link down.
	Close(ctx context.Context) error
}

// AreaStopper is a platform that can end what it plays.
type AreaStopper interface {
	// Stop ends the message with this serial; m is the message as it was played.
	Stop(ctx context.Context, m AreaMessage) AreaOutcome
}

// AreaReporter is a platform that says how far a message has come.
type AreaReporter interface {
	// Coverage asks for the state of a message that was played.
	Coverage(ctx context.Context, m AreaMessage) (Coverage, error)
}

// AreaAccount is one contract with one platform.
type AreaAccount struct {
	Name     string
	Channel  warning.Channel
	Address  string // URL, or host:port
	User     string
	Password string
	// Source is who we are to the platform, in its own form: the 23-digit resource code of emergency broadcast, the
	// client id of a broker.
	Source string
	// Target is who the platform is, in the same form; empty where there is only one.
	Target string
	// Keys has files by their use in the transport (private key, certificate of the platform, authority); PEM.
	Keys map[string]string
	// Statuses is what the account is marked for (promise 8).
	Statuses []warning.Status
	// Simulated platforms take exercises; they never reach anybody.
	Simulated bool
	// Timeout is how long one call may take; zero takes the transport's usual one. Heartbeat likewise.
	Timeout, Heartbeat time.Duration
}

// AreaMessage is one message for places.
type AreaMessage struct {
	Warning string // ULID of the warning
	Version int
	// Serial numbers the messages of the account, over all warnings: no two of one day share it. It is durable before it is
	// used, and the same at a repeat.
	Serial    uint32
	Status    warning.Status
	Type      warning.Type // Alert or Update; Cancel and AllClear are messages of their own with Related set
	Tier      warning.Tier
	Event     string // code, e.g. 11B03
	EventName string
	Issuer    string
	Title     string
	Text      string
	Language  string   // BCP 47
	Units     []string // administrative codes of 12 digits
	Sent      time.Time
	Starts    time.Time // zero: at once
	Expires   time.Time
	// Related is the serial of the message that this one follows or ends; 0: none.
	Related uint32
	// RelatedSent is the Sent of that message; platforms whose ids have a day need it.
	RelatedSent time.Time
	Audio       *Audio
}

// Audio is sound that goes with the words.
type Audio struct {
	Name string // file name without folder
	Type string // media type, e.g. audio/mpeg
	Data []byte
}

// AreaOutcome is what became of one call.
type AreaOutcome struct {
	Kind   Kind
	Reason Reason
	Detail string // for a person: the platform's own words
	ID     string // the platform's id of the message, where it gives one
}

// Playing is how far a platform has come with a message.
type Playing uint8

// The states of playing.
const (
	NotStarted Playing = iota + 1
	InProgress
	Played
	PlayFailed
	PlayCancelled
)

var playingNames = [...]string{NotStarted: "not_started", InProgress: "in_progress", Played: "played", PlayFailed: "failed", PlayCancelled: "cancelled"}

func (p Playing) String() string {
	if p >= NotStarted && int(p) < len(playingNames) {
		return playingNames[p]
	}
	return "?"
}

// Coverage is what the platform reports: never people (promise 2).
type Coverage struct {
	State Playing
	// Rate is the covered part of the area, 0 to 1; -1: the platform does not say.
	Rate float64
	// Reached and Failed count the platform's own ends: transmitters, loudspeakers, set-top boxes; 0: it does not say.
	Reached, Failed int64
	Detail          string
	At              time.Time
}
