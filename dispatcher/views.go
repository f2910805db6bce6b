package dispatcher

import (
	"time"

	"tocsin/warning"
)

// Caller is who asks, from the credential and never from the request (promise 9).
type Caller struct {
	User string
	Role warning.Role
	// Scope is the warnings for which the role may do what is asked.
	Scope warning.Scope
}

// itself is the engine in its own acts.
func itself() Caller {
	return Caller{User: "engine", Role: warning.Engineer, Scope: warning.Everything}
}

// Submission is what a submit brings: the words and area to approve, and where they come from.
type Submission struct {
	Spec         warning.Spec
	NationalID   string // GB/T 35965 form, when the source has given one
	SourceSystem string // the system that the warning comes from
	SourceID     string `json:",omitempty"` // what that system calls it
}

// Preview is who would get what. Where Few is set the count beside it is 0 and means "fewer than Few".
type Preview struct {
	People      int64 // in the area
	Few         bool
	Addressable int64
	LeftOut
	Residents int64            // who lives there by the census, about; 0: not known
	Units     []PreviewUnit    // by district of the home, most people first
	Towns     []PreviewUnit    // by town of the home, as far as homes name one, most people first
	Channels  []PreviewChannel // by channel and duty
	Carriers  []PreviewCarrier // by account
	Texts     []PreviewText
	Share     float64         // of the jurisdiction's surface, 0 to 1
	Finish    time.Duration   // of the slowest account at its contract, with what is ahead of it
	Faster    []PreviewFaster // what would make that less, the best first
	Digest    string          // of the spec: what an approver approves
	Remarks   []warning.Violation
	Told      []warning.Told // by duty, responsible persons first
	// Border says what lies of the area beyond the jurisdiction, Beyond that it is more than may be.
	Border  string
	Beyond  error
	Clipped []warning.Area // the areas, where they were cut at the border
}

// PreviewUnit is the people of one district or town.
type PreviewUnit struct {
	Code, Name string
	People     int64
	// Residents is how many live in this part of a district, about: its census, by the part of its people in the directory
	// who are meant. 0: not known, as of towns.
	Residents int64
	Few       bool
}

// PreviewChannel is the people of one duty who are told by one channel at once.
type PreviewChannel struct {
	Channel  warning.Channel
	Duty     warning.Duty
	People   int64
	Messages int64
	Few      bool
}

// PreviewCarrier is the part of one account.
type PreviewCarrier struct {
	Account  string
	People   int64         // of the channel with most
	Messages int64         // of all channels
	Contract float64       // messages/s
	Takes    time.Duration // at the contract
	Ahead    int64         // messages of the same or a more urgent tier that wait there
	Waits    time.Duration // for these, at the contract
	Few      bool
}

// PreviewFaster is a change, and when the last message would then be handed over.
type PreviewFaster struct {
	How      warning.Text // see the texts Faster…
	Account  string
	Channel  warning.Channel
	Language string
	From, To int64 // messages a person, or messages/s
	Finish   time.Duration
}

// Waits is how long a warning has waited for approval; 0 where it does not.
func Waits(w *warning.Warning, now time.Time) time.Duration {
	if w.State != warning.Submitted {
		return 0
	}
	return max(0, now.Sub(w.SubmittedAt))
}

// PreviewText is words as the phone gets them.
type PreviewText struct {
	Language string
	Channel  warning.Channel
	Kind     warning.Type // what the words are for
	Segments []string
	Coding   string // "gsm7" or "ucs2"
}

// LaneCounts is promise 2 for one lane, with what the lane has done so far.
type LaneCounts struct {
	Channel         warning.Channel
	Planned         int64
	Counts          warning.Counts
	Balanced        bool      // Planned equals the sum of Counts, and the journal's counters equal the states
	Segments        int       // messages (条) that one person costs
	Messages        int64     // given to sockets so far, repeats counted again
	First, Last     time.Time // first and last message given to a socket; zero: none yet
	Finish          time.Time // when the last one is expected to be handed over at the contract; zero when nobody waits
	Rerouted        int64     // people moved from an account that was left to another one
	RecallAsked     int64     // messages that carriers were asked to take back after a cancel
	Recalled        int64     // and those that they did
	PossibleRepeats int64     // hand-offs that repeated an unknown one (promise 3)
}

// Progress is one warning at this moment, for Watch.
type Progress struct {
	Warning  warning.Warning
	Lanes    []LaneCounts
	Planned  bool // before the plan is made there are no lanes
	InArea   int64
	People   int64   // people/s over the last second
	Messages int64   // messages/s over the last second
	Contract float64 // messages/s of the accounts that carry it
	Few      bool    // fewer than Few people: counts are veiled
}

// Report is what became of everybody.
type Report struct {
	Warning     warning.Warning
	Lanes       []LaneCounts
	InArea      int64
	Entered     int64 // people who came into the area later, beside InArea
	Addressable int64
	LeftOut
	Planned     bool // the plan is made
	Delivered   int64
	HandedOver  int64 // no receipt yet
	NotReached  int64
	WhyNot      []ReportWhy // most people first
	Waiting     int64
	Finished    time.Time   // zero while somebody waits
	ByDistrict  []ReportRow // key: district code
	ByCarrier   []ReportRow // key: account
	ByMinute    []ReportRow // key: minute of the hand-off, RFC 3339
	Accounts    []ReportAccount
	PeopleRate  float64       // people/s between first and last message
	MessageRate float64       // messages/s between first and last message
	ToFirst     time.Duration // from release to the first message
	ToLast      time.Duration // from release to the last message
	Durability  string        // what the store keeps
	Unmatched   int64         // receipts that matched no message within ten minutes
	Late        int64         // receipts for people none of whose messages may have one any more
	Seal        string        // over the record of acts when the report was made
	Plays       []ReportPlay  // on area channels: messages, never people
	Few         bool          // fewer than Few people: counts are veiled
}

// LeftOut is people who are in no lane, by the reason: with those in lanes they are everybody in the area (promise 2).
type LeftOut struct {
	NoAddress, OptedOut int64
	// Of the addressable: NoRoute is people whom no account may carry, Untold people for whom the warning names no channel
	// that addresses them: area channels alone, or none.
	NoRoute, Untold int64
}

// ReportPlay is one platform of an area channel.
type ReportPlay struct {
	Platform string
	Channel  warning.Channel
	Play
}

// ReportRow is the people of one district, account or minute.
type ReportRow struct {
	Key, Name                                           string
	Planned, Delivered, HandedOver, NotReached, Waiting int64
	Moved                                               int64 // to another channel or account
	Few                                                 bool  // veiled
}

// ReportWhy is how many people were not reached for one reason.
type ReportWhy struct {
	Reason string
	People int64
}

// ReportAccount is what the engine handed to the sockets of one account.
type ReportAccount struct {
	Account        string
	Contract       float64 // messages/s
	MaxInAnySecond int64
	Used           float64 // part of the contract, 0 to 1
	Messages       int64
}

// Who is one person's messages. Number is masked but for the last four digits (promise 10).
type Who struct {
	Number   string
	Known    bool
	District string
	Messages []WhoMessage
	Since    time.Time // warnings that ended before are deleted, and nobody can tell; zero: none are
}

// WhoMessage is what became of one warning for one person.
type WhoMessage struct {
	Warning    string
	EventName  string
	Tier       warning.Tier
	Channel    warning.Channel
	Account    string
	State      warning.PersonState
	Reason     string
	HandedOver time.Time
	Receipt    time.Time
	// Excluded is why this person is in no lane of the warning: no_address, opted_out; then State says nothing. not_kept:
	// nobody can tell any more.
	Excluded string
}

// AccountHealth is how one account is doing (promise 12).
type AccountHealth struct {
	Name           string
	Protocol       string  // e.g. "smpp"
	Contract       float64 // messages/s, as it holds now
	Paused         bool
	RateSetByHand  bool
	Owner          string // the engine process that owns it
	Twin           bool   // another process of the same name owns it
	Epoch          uint64 // of its ownership
	Health         Health
	WaitingPeople  int64
	Messages10s    int64   // in the last 10 s
	Used10s        float64 // part of the contract in the last 10 s
	MaxInAnySecond int64
	Links          []AccountLink
	Window         int // messages without an answer that one link may have
	LastError      string
	Simulated      bool
	Configured     float64       // messages/s of the configuration; Contract differs where RateSetByHand
	Why, By        string        // of a pause or a rate set by hand
	Slowed         float64       // part of the contract that the carrier's flow control leaves, 0 to 1; 1: not slowed
	Backlog        []TierBacklog `json:",omitempty"` // who waits here, by tier; no Finish
	Route          Route
}

// AccountLink is one connection of an account.
type AccountLink struct {
	Index     int
	Up        bool
	Open      int // messages without an answer
	LastError string
	Since     time.Time // up or down since
}

// Health is one word for an account.
type Health string

// The words.
const (
	HealthOK        Health = "ok"
	HealthIdle      Health = "idle"      // no work due
	HealthSlow      Health = "slow"      // with work due, less than half of what contract and windows allow
	HealthDown      Health = "down"      // no link is up
	HealthPaused    Health = "paused"    // by an engineer
	HealthWaiting   Health = "waiting"   // a new owner waits before it sends
	HealthUnowned   Health = "unowned"   // no process owns it
	HealthElsewhere Health = "elsewhere" // another process owns it, and says nothing
)
