package warning

// State is where a warning stands. Who moves it on stands beside each.
type State uint8

// The states of a warning.
const (
	Submitted State = iota + 1 // waits for an approver; a person moves it on
	Approved                   // everybody who must has approved; the release act moves it on
	Released                   // being planned and sent; the engine moves it on when nobody waits any more
	Held                       // stopped by a person; a person releases or cancels it
	Completed                  // nobody waits any more
	Cancelled                  // issued by mistake; final
	Expired                    // validity ended with people still waiting, or before release; final
	Rejected                   // an approver said no; final
	Replaced                   // a newer version or the all-clear took its place; final
)

var stateNames = enumNames[State]{
	"submitted": Submitted, "approved": Approved, "released": Released, "held": Held,
	"completed": Completed, "cancelled": Cancelled, "expired": Expired, "rejected": Rejected, "replaced": Replaced,
}

func (s State) String() string { return stateNames.name(s) }

// ParseState reads the stable lower-case name.
func ParseState(s string) (State, error) { return stateNames.parse("state", s) }

// Transitions is every step that a warning may take. What is not here does not happen.
var Transitions = map[State][]State{
	Submitted: {Approved, Rejected, Held, Cancelled, Expired, Replaced},
	Approved:  {Released, Held, Cancelled, Expired, Replaced},
	Released:  {Completed, Held, Cancelled, Expired, Replaced},
	Held:      {Submitted, Released, Cancelled, Expired, Replaced}, // back to where it was held: waiting for approval, or sending
	Completed: {Cancelled, Replaced, Released},                     // cancelled: those reached are told; released: a replay of dead letters
	Cancelled: {},
	Expired:   {},
	Rejected:  {},
	Replaced:  {},
}

// MayBecome tells whether the step from s to next is in Transitions.
func (s State) MayBecome(next State) bool {
	for _, n := range Transitions[s] {
		if n == next {
			return true
		}
	}
	return false
}

// PersonState is where one person in one lane stands; each person is in exactly one (promise 2). It is one byte in
// the ledger, so the numbers are part of the stored format and never reused.
type PersonState uint8

// The states of a person in a lane.
const (
	Waiting     PersonState = iota // no byte has left for this person, or a retry is due
	Sending                        // under a grant: bytes may have left
	HandedOver                     // the carrier has it; no receipt yet
	Delivered                      // a receipt says that it arrived
	Undelivered                    // a receipt says that it did not
	Refused                        // the carrier refused it for good
	ExpiredOut                     // validity ended before hand-off, or at the carrier
	CancelledIn                    // cancelled before hand-off
	Superseded                     // a newer version took its place before hand-off
	Moved                          // goes by another channel instead
	Withdrawn                      // unsubscribed or erased after planning
	Unknown                        // bytes may have left and no answer came: it may have arrived

	PersonStates = int(Unknown) + 1 // how many there are
)

var personNames = [PersonStates]string{
	"waiting", "sending", "handed_over", "delivered", "undelivered", "refused", "expired", "cancelled",
	"superseded", "moved", "withdrawn", "unknown",
}

func (s PersonState) String() string {
	if int(s) < len(personNames) {
		return personNames[s]
	}
	return "?"
}

// PersonTransitions is every step that a person in a lane may take. Receipts are monotonic: nothing leads away from
// Delivered. Waiting becomes Refused when the last try was used up. The steps back to Waiting are a retry (from Sending), a grant given back unused (from Sending), a second
// hand-off of an unknown (promise 3), and a replay of dead letters by an engineer (from Refused and Undelivered). Whoever was
// unknown once may have it whatever came of the next hand-off: its receipt leads to Delivered from there.
var PersonTransitions = [PersonStates][]PersonState{
	Waiting:     {Sending, Delivered, Refused, ExpiredOut, CancelledIn, Superseded, Moved, Withdrawn},
	Sending:     {Waiting, HandedOver, Delivered, Undelivered, Refused, Unknown, Moved},
	HandedOver:  {Delivered, Undelivered, ExpiredOut},
	Delivered:   {},
	Undelivered: {Delivered, Waiting},
	Refused:     {Waiting, Delivered},
	ExpiredOut:  {Delivered},
	CancelledIn: {Delivered},
	Superseded:  {Delivered},
	Moved:       {},
	Withdrawn:   {},
	Unknown:     {Waiting, HandedOver, Delivered, Undelivered, Refused},
}

var personMay = func() (t [PersonStates][PersonStates]bool) {
	for from, next := range PersonTransitions {
		for _, to := range next {
			t[from][to] = true
		}
	}
	return t
}()

// MayBecome tells whether the step from s to next is in PersonTransitions.
func (s PersonState) MayBecome(next PersonState) bool { return personMay[s][next] }

// Reached tells whether a person in this state has or may have the message: the people a cancel must go to.
func (s PersonState) Reached() bool {
	switch s {
	case Sending, HandedOver, Delivered, Undelivered, Unknown:
		return true
	}
	return false
}

// Counts is how many people of a lane stand in each state, by PersonState.
type Counts [PersonStates]int64

// Sum is everybody that is counted.
func (c Counts) Sum() (n int64) {
	for _, x := range c {
		n += x
	}
	return n
}

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	for i, x := range d {
		c[i] += x
	}
}
