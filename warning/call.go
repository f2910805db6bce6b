package warning

import "time"

// Summons is whom the engine rings about a warning, and why.
type Summons struct {
	Why   CallReason `json:"why"`
	Users []string   `json:"users"`
}

// Rung is the users of a call; none of what is no call.
func (s *Summons) Rung() []string {
	if s == nil {
		return nil
	}
	return s.Users
}

// CallReason is why somebody on duty is rung.
type CallReason string

// The reasons.
const (
	CallApprove CallReason = "approve" // the warning waits for their approval
	CallEnding  CallReason = "ending"  // it ends soon
	CallEnded   CallReason = "ended"   // it has ended
)

// CallAbout is the spec of a call about w that holds until a time: tier and status of w, so that a drill rings nobody over
// a link to real people and real people are never rung over a simulated one (promise 8), and short words of its own.
func CallAbout(w *Warning, why CallReason, now, until time.Time) Spec {
	s := Spec{
		Event: w.Spec.Event, EventName: w.Spec.EventName, Tier: w.Spec.Tier, Status: w.Spec.Status, Type: Call,
		Issuers: w.Spec.Issuers, References: []string{w.ID}, Expires: until,
	}
	f := FieldsOf(w.Spec, nil, Desk{}, now)
	for _, language := range Languages {
		about := []any{f.join(f.Issuers, language), f.warning(w.Spec.Tier, language), moment(w.Spec.Expires, language), w.ID}
		if why == CallApprove {
			about[2] = int(max(0, now.Sub(w.SubmittedAt)).Minutes())
		}
		text := Say(language, TextOf("call", string(why)), about...)
		if w.Spec.Status != Actual {
			text = DrillMark + text
		}
		s.Words = append(s.Words, Words{Language: language, Kind: Call, Text: text})
	}
	return s
}
