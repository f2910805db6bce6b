// Package channels holds the contract that every channel meets. One folder a transport implements it; the engine
// knows nothing else of a channel, and a transport knows nothing of the engine, of Redis or of another transport.
//
// The contract is made for groups: the engine hands over as many messages as the contract with the carrier and the
// windows allow at that moment, and outcomes and receipts come back in groups, because a call for each message would
// cost more than the message. Nothing in here allocates for a message.
//
// What every adapter promises, and the conformance suite checks:
//   - Each message taken by Send gets exactly one Outcome for each of its segments, also when the link breaks, the
//     carrier never answers or the account is closed: then it is Unknown if a byte may have left, Retry if none did.
//   - All segments of a message leave in one write on one link.
//   - Send, Room and Prepare never wait for the carrier.
//   - A receipt is answered to the carrier only when the engine calls Ack: until then it is the carrier's to repeat.
//   - After Close has returned, the Sink is not called any more and no goroutine is left.
package channels

import (
	"context"
	"time"

	"tocsin/warning"
)

// Adapter opens accounts of one transport.
type Adapter interface {
	// Open starts the links of an account and returns at once; links come and go behind it. It fails only for a
	// configuration that can never work.
	Open(a Account, s Sink) (Carrier, error)
}

// Carrier is an open account: its links and their windows. Prepare, Room and Send are called by one goroutine.
type Carrier interface {
	// Prepare turns words into what the wire needs, once for all people who get them.
	Prepare(c Content) (Prepared, error)
	// Room is how many segments the windows of all usable links can take now.
	Room() int
	// Send hands over the first n of batch, as many as fit, packed onto few links. Messages beyond n were not
	// touched. It returns after the bytes were given to the sockets.
	Send(p Prepared, batch []Message) (n int)
	// Links tells how each link is doing.
	Links() []LinkHealth
	// Close ends the links: it stops taking, waits for open answers until ctx ends, then reports what is still open
	// as Unknown.
	Close(ctx context.Context) error
}

// Staller is a carrier that tells a slow answer from a link that has stopped to answer.
type Staller interface {
	// Stalled is how many segments are open on links that have answered none for so long.
	Stalled(after time.Duration) int
}

// Prepared is words made ready by an adapter for its own use.
type Prepared interface {
	// Segments is how many messages (条) one person costs, as the carrier bills and throttles them; 1 to 8.
	Segments() int
}

// Account is one contract with one carrier, as an adapter needs it.
type Account struct {
	Name     string
	Address  string // host:port
	Links    int    // connections
	Window   int    // open messages a link
	System   string // system_id, or what the transport calls it
	Password string
	Source   string // the number shown
	// Simulated links accept people whose numbers cannot be assigned, and only those (promise 8).
	Simulated bool
	// Statuses is what the links are marked for; words of another status are refused (promise 8).
	Statuses []warning.Status
	// BindTimeout, AnswerTimeout and KeepAlive are the timers of the session; zero takes the transport's usual ones.
	BindTimeout, AnswerTimeout, KeepAlive time.Duration
	// HexIDs says that receipts give in decimal what the response gave in hexadecimal.
	HexIDs bool
}

// Content is the words of one lane, the same for all who get them.
type Content struct {
	Text    string
	Flash   bool           // class 0
	Expires time.Time      // told to the carrier as validity period
	Status  warning.Status // the link refuses what it is not marked for
	// WithReceipt asks for the carrier's later word.
	WithReceipt bool
}

// Message is one person to hand over to. Token is the engine's and comes back in the outcome.
type Message struct {
	Token  uint64
	Number uint64 // E.164 digits, no plus
	Ref    uint8  // reference that joins the segments; derived from version and person, the same at a repeat
	// Skip has a bit for each segment that the carrier has already: only the others leave.
	Skip uint8
}

// Kind says what became of a hand-off.
type Kind uint8

// The kinds of outcome. The zero value is none of them.
const (
	HandedOver Kind = iota + 1 // the carrier has it
	Retry                      // it does not have it and may take it later
	Refused                    // it will never take it
	Unknown                    // bytes left and no answer came: it may have arrived
)

// Reason is why, in one closed list over all transports: the words of the report, the label of a metric, the class of
// a retry. It is stored as a byte, so numbers are never reused.
type Reason uint8

// The reasons.
const (
	NoReason       Reason = iota
	Throttled             // the account is too fast for the carrier: slow the account
	QueueFull             // the carrier's queue for this number or in all is full
	SystemError           // the carrier failed; may pass
	LinkDown              // the link broke before any byte left
	NoAnswer              // bytes left, nothing came back in time, or the link broke
	BadNumber             // the carrier does not know such a number
	BadContent            // the carrier refuses the words, the coding or the sender
	NotAllowed            // the contract does not allow it, or the link is not marked for this status
	SubmitFailed          // refused without a better word
	DailyQuota            // the account's quota of the day is used up
	Undeliverable         // receipt: not delivered
	ExpiredThere          // receipt: validity ended at the carrier
	RejectedThere         // receipt: rejected at the carrier
	DeletedThere          // receipt: deleted at the carrier
	UnknownThere          // receipt: the carrier does not know what became of it
	ExpiredHere           // validity ended before hand-off
	CancelledHere         // cancelled before hand-off
	TooManyRetries        // given up after the last try
	AlreadyThere          // had by another way
	SupersededHere        // a newer version took its place before hand-off
	WithdrawnHere         // unsubscribed, erased or under another number before hand-off
	OtherRoute            // goes by another account, because this one was left

	Reasons = int(OtherRoute) + 1
)

var reasonNames = [Reasons]string{
	"", "throttled", "queue_full", "system_error", "link_down", "no_answer", "bad_number", "bad_content", "not_allowed",
	"submit_failed", "daily_quota", "undeliverable", "expired_at_carrier", "rejected_at_carrier", "deleted_at_carrier",
	"unknown_at_carrier", "expired", "cancelled", "too_many_retries", "already_there",
	"superseded", "withdrawn", "other_route",
}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "?"
}

// Outcome is what became of one segment of a message.
type Outcome struct {
	Token   uint64
	Segment uint8
	Kind    Kind
	Reason  Reason
	Print   uint16        // fingerprint of the carrier's id in the account's normal form; 0 with HandedOver: no id given
	Sent    time.Time     // just before the write; zero where no answer came
	Took    time.Duration // from then to the answer
}

// ReceiptState is the carrier's later word.
type ReceiptState uint8

// The states of a receipt. Passing is an intermediate word (accepted, en route) that changes nothing.
const (
	Passing ReceiptState = iota + 1
	Arrived
	Failed
)

// Receipt is the carrier's later word about one segment.
type Receipt struct {
	Number uint64
	Print  uint16
	State  ReceiptState
	Reason Reason
}

// Receipts is a group of receipts read together from one link.
type Receipts interface {
	// All is valid until Ack.
	All() []Receipt
	// Ack tells the carrier that they are kept. It is called once, when they are durable, from any goroutine.
	Ack()
}

// Sink takes what an account has to say. Calls come from the adapter's goroutines; slices are valid during the call.
type Sink interface {
	Outcomes([]Outcome)
	Receipts(Receipts)
	// Changed says that a link came, went, or has room again.
	Changed()
}

// LinkHealth is how one link is doing.
type LinkHealth struct {
	Index     int
	Up        bool
	Open      int // messages without an answer
	LastError string
	Since     time.Time // up or down since
}

// Fingerprint is 16 bits of a carrier's id in its normal form (FNV-1a, folded); never 0, which says that there is none.
func Fingerprint(id []byte) uint16 {
	h := uint32(2166136261)
	for _, c := range id {
		h = (h ^ uint32(c)) * 16777619
	}
	f := uint16(h>>16) ^ uint16(h)
	if f == 0 {
		return 1
	}
	return f
}

// Synthetic tells whether a number is one that cannot be assigned: ITU-T E.164 keeps country code 999 in reserve.
// Synthetic people have such numbers and only simulated links take them (promise 8).
func Synthetic(number uint64) bool {
	for number >= 1000 {
		number /= 10
	}
	return number == 999
}
