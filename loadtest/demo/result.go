package demo

import (
	"fmt"
	"time"

	"tocsin/loadtest/rig"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// Result is one run: what the engine says, what the carriers say, and whether all of it is as promised.
type Result struct {
	OK            bool           `json:"ok"`
	Why           []string       `json:"why"` // what is not as promised
	Recipients    int            `json:"recipients"`
	PeopleReached int64          `json:"people_reached"` // over all channels: delivered, or handed over without receipt yet
	Lanes         []Lane         `json:"lanes"`
	Accounts      []Account      `json:"accounts"`
	Verify        verify.Sums    `json:"verify"`
	Carriers      verify.Verdict `json:"carriers"`
	Durability    string         `json:"durability"`
	Engine        *Process       `json:"engine,omitempty"`
	// RedFirstMS is from the release of a red, as the engine recorded it, to its first message at a carrier.
	RedFirstMS float64 `json:"red_first_ms,omitempty"`
	TookS      float64 `json:"took_s"`
}

// Lane is promise 2 for one lane: planned is the sum of the states.
type Lane struct {
	Warning      string  `json:"warning"`
	Tier         string  `json:"tier"`
	Type         string  `json:"type"`
	Channel      string  `json:"channel"`
	Planned      int64   `json:"planned"`
	Waiting      int64   `json:"waiting"`
	Sending      int64   `json:"sending"`
	HandedOver   int64   `json:"handed_over"`
	Delivered    int64   `json:"delivered"`
	Undelivered  int64   `json:"undelivered"`
	Refused      int64   `json:"refused"`
	Expired      int64   `json:"expired"`
	Cancelled    int64   `json:"cancelled"`
	Superseded   int64   `json:"superseded"`
	Moved        int64   `json:"moved"`
	Withdrawn    int64   `json:"withdrawn"`
	Unknown      int64   `json:"unknown"`
	Balanced     bool    `json:"balanced"`
	PeoplePerS   float64 `json:"people_per_s"`
	MessagesPerS float64 `json:"messages_per_s"`
	Segments     int32   `json:"segments"`
	// From the client's send of the release to the first arrival at a carrier, and to the last.
	TimeToFirstMS   float64 `json:"time_to_first_ms"`
	TimeToLastS     float64 `json:"time_to_last_s"`
	PossibleRepeats int64   `json:"possible_repeats"`
}

// Account is promise 7 for one account.
type Account struct {
	Account        string   `json:"account"`
	Contract       float64  `json:"contract_messages_per_s"`
	MaxInAnySecond BothWays `json:"max_messages_in_any_second"`
	ContractUsed   float64  `json:"contract_used"` // at the carrier, while there was a backlog
}

// BothWays is a figure as the engine counted it and as the carrier did.
type BothWays struct {
	Engine  int64 `json:"engine"`
	Carrier int64 `json:"carrier"`
}

// Process is what the engine used of the machine.
type Process struct {
	PeakResidentMB float64 `json:"peak_resident_mb"`
	CPUSeconds     float64 `json:"cpu_s"`
}

func (r *Result) fault(format string, args ...any) {
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

// contractKept holds the engine's own figure against the contract; the carriers' is in their verdict.
func (r *Result) contractKept() {
	for _, a := range r.Accounts {
		if m := a.MaxInAnySecond.Engine; m > int64(a.Contract) {
			r.fault("account %s: the engine handed over %d messages in a second, the contract is %.0f", a.Account, m, a.Contract)
		}
	}
}

// finish draws the conclusion.
func (r *Result) finish(began time.Time) {
	r.TookS = time.Since(began).Seconds()
	r.OK = len(r.Why) == 0
}

// told is what the engine says of one warning; released is when the call that released it was sent.
type told struct {
	*pb.ReportResponse
	released time.Time
}

// judge compares the reports of warnings with the carriers' verdict.
func judge(o rig.Options, v verify.Verdict, reports ...told) *Result {
	r := &Result{Why: v.Faults, Recipients: o.People, Verify: v.Sums, Carriers: v}
	var inArea, untold int64
	engine := map[string]*pb.ReportResponse_Account{}
	for _, rep := range reports {
		id := rep.GetWarning().GetId()
		r.Durability = rep.GetDurability()
		r.PeopleReached += rep.GetDelivered() + rep.GetHandedOver()
		for _, l := range rep.GetLanes() {
			r.Lanes = append(r.Lanes, laneOf(l, rep, v))
			if !l.GetBalanced() {
				r.fault("lane %s of %s is not balanced", l.GetChannel(), id)
			}
		}
		for _, a := range rep.GetAccounts() {
			if e := engine[a.GetAccount()]; e == nil || e.GetMaxMessagesInAnySecond() < a.GetMaxMessagesInAnySecond() {
				engine[a.GetAccount()] = a
			}
		}
		if rep.GetWarning().GetSpec().GetType() != pb.Type_TYPE_ALERT {
			continue // it goes to those who were reached, wherever they are
		}
		inArea += rep.GetInArea()
		inLanes := rep.GetDelivered() + rep.GetHandedOver() + rep.GetNotReached() + rep.GetWaiting()
		left := rep.GetNoAddress() + rep.GetOptedOut() + rep.GetNoRoute() + rep.GetUntold()
		if inLanes+left != rep.GetInArea()+rep.GetEntered() {
			r.fault("%s: %d people are in the area, %d entered, and %d are accounted for", id, rep.GetInArea(), rep.GetEntered(), inLanes+left)
		}
		untold += rep.GetUntold()
	}
	if untold < v.Untold { // who is told by a later step alone is untold until then
		r.fault("the engine tells %d people by no channel of their own, by the verdict %d", untold, v.Untold)
	}
	if inArea != v.InArea {
		r.fault("the engine finds %d people in the area, the verdict %d", inArea, v.InArea)
	}
	if reached := r.PeopleReached; reached > v.Got+v.Moved {
		r.fault("the engine says that %d people were reached, the carriers have the whole text for %d", reached, v.Got+v.Moved)
	}
	for _, c := range v.Accounts {
		r.Accounts = append(r.Accounts, Account{
			Account: c.Name, Contract: c.ContractPerS, ContractUsed: c.ContractUsedBusy,
			MaxInAnySecond: BothWays{Engine: engine[c.Name].GetMaxMessagesInAnySecond(), Carrier: c.MaxInAnySecond},
		})
	}
	return r
}

func laneOf(l *pb.LaneCounts, rep told, v verify.Verdict) Lane {
	w := rep.GetWarning()
	out := Lane{
		Warning: w.GetId(), Tier: w.GetSpec().GetTier().String(), Type: w.GetSpec().GetType().String(),
		Channel: l.GetChannel().String(), Planned: l.GetPlanned(), Waiting: l.GetWaiting(), Sending: l.GetSending(),
		HandedOver: l.GetHandedOver(), Delivered: l.GetDelivered(), Undelivered: l.GetUndelivered(), Refused: l.GetRefused(),
		Expired: l.GetExpired(), Cancelled: l.GetCancelled(), Superseded: l.GetSuperseded(), Moved: l.GetMoved(),
		Withdrawn: l.GetWithdrawn(), Unknown: l.GetUnknown(), Balanced: l.GetBalanced(), Segments: l.GetSegments(),
		PossibleRepeats: l.GetPossibleRepeats(),
	}
	for _, x := range v.Warnings {
		if len(x.Warnings) != 1 || x.Warnings[0] != w.GetId() || x.FirstAt == nil {
			continue
		}
		out.PeoplePerS, out.MessagesPerS = x.PeoplePerS, x.MessagesPerS
		out.TimeToFirstMS = float64(x.FirstAt.Sub(rep.released).Microseconds()) / 1000
		out.TimeToLastS = x.LastAt.Sub(rep.released).Seconds()
	}
	return out
}
