package warning

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hours is a part of the day in Beijing: minutes since midnight, from the first and up to, without, the second. It may go
// over midnight. Two equal numbers are the whole day.
type Hours [2]int

// ParseHours reads 22:00-07:00.
func ParseHours(s string) (h Hours, err error) {
	var hour, minute [2]int
	if _, err := fmt.Sscanf(s, "%d:%d-%d:%d", &hour[0], &minute[0], &hour[1], &minute[1]); err == nil {
		for i := range h {
			if hour[i] < 0 || hour[i] > 23 || minute[i] < 0 || minute[i] > 59 {
				h = Hours{}
				break
			}
			h[i] = 60*hour[i] + minute[i]
		}
	}
	if h.String() != s || h[0] == h[1] {
		return Hours{}, fmt.Errorf("%.20q is not a part of the day such as 22:00-07:00", s)
	}
	return h, nil
}

func (h Hours) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", h[0]/60, h[0]%60, h[1]/60, h[1]%60)
}

// Has tells whether a time lies in h.
func (h Hours) Has(at time.Time) bool {
	at = at.In(China)
	m := at.Hour()*60 + at.Minute()
	if h[0] < h[1] {
		return h[0] <= m && m < h[1]
	}
	return h[0] == h[1] || m >= h[0] || m < h[1]
}

// Step is channels that are used together, for whoever has no receipt when the time After the step before is over.
type Step struct {
	After    time.Duration `json:"after" yaml:"after"`
	Channels []Channel     `json:"by" yaml:"by"`
}

// ChannelRow is one row of the table that says who is told by which channels: the first that fits counts.
type ChannelRow struct {
	Tiers []Tier    `json:"tiers" yaml:"tiers"`
	To    []Duty    `json:"to" yaml:"to"`
	Hours Hours     `json:"hours" yaml:"hours"` // zero: always
	By    []Channel `json:"by" yaml:"by"`       // at once; none: nobody is told
	Then  []Step    `json:"then" yaml:"then"`   // after a missing receipt
}

// Fits tells whether the row is for people of a duty at a time.
func (r *ChannelRow) Fits(t Tier, d Duty, at time.Time) bool {
	return slices.Contains(r.Tiers, t) && slices.Contains(r.To, d) && r.Hours.Has(at)
}

// PreAuthorisation lets people release on their own what a paper describes beforehand.
type PreAuthorisation struct {
	Paper  string   `json:"paper" yaml:"paper"`   // number of the paper that an authority signed
	Who    []string `json:"who" yaml:"who"`       // users
	Events []string `json:"events" yaml:"events"` // codes
	Tiers  []Tier   `json:"tiers" yaml:"tiers"`
	Units  []string `json:"units" yaml:"units"` // six digits; the areas must lie inside
	Until  Moment   `json:"until" yaml:"until"`
}

// Moment is a time to the second, as seconds since 1970: what a file says in RFC 3339.
type Moment int64

// ParseMoment reads RFC 3339 with its offset.
func ParseMoment(s string) (Moment, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a time such as 2026-12-31T00:00:00+08:00", s)
	}
	return Moment(t.Unix()), nil
}

// Time is m as a time in Beijing.
func (m Moment) Time() time.Time { return time.Unix(int64(m), 0).In(China) }

func (m Moment) String() string { return m.Time().Format(time.RFC3339) }

// Review is open after somebody released on their own: another person must look at it and say what they found.
type Review struct {
	Warning  string    `json:"warning"`
	Version  int       `json:"version"`
	Paper    string    `json:"paper,omitempty"` // of the pre-authorisation; empty: an emergency release
	Why      string    `json:"why,omitempty"`   // of the emergency release
	OpenedBy string    `json:"opened_by"`
	OpenedAt time.Time `json:"opened_at"`
	Due      time.Time `json:"due"`
	ClosedBy string    `json:"closed_by,omitempty"`
	ClosedAt time.Time `json:"closed_at,omitzero"`
	Finding  string    `json:"finding,omitempty"`
}

// Open tells whether nobody has closed it.
func (r Review) Open() bool { return r.ClosedBy == "" }

// Overdue tells whether it should have been closed by now.
func (r Review) Overdue(now time.Time) bool { return r.Open() && now.After(r.Due) }

// Close is the review as another person closes it. submittedBy is who submitted the warning: they cannot look at their
// own act either. A review that is overdue can still be closed; its times show it.
func (r Review) Close(submittedBy, user string, role Role, finding string, now time.Time) (Review, error) {
	switch {
	case !r.Open():
		return r, Refuse(ReasonConflict, "%s closed this review already", r.ClosedBy)
	case role != Approver && role != Commander:
		return r, Refuse(ReasonDenied, "%s is a %s; an approver or commander closes a review", user, role)
	case user == r.OpenedBy || user == submittedBy:
		return r, Refuse(ReasonDenied, "%s submitted or released this warning; another person must close its review", user)
	case strings.TrimSpace(finding) == "":
		return r, Invalid(Violation{
			Field: "finding", Rule: "review.finding", Detail: "the review has no finding", Remedy: "say in a few words whether the release was right",
		})
	}
	r.ClosedBy, r.ClosedAt, r.Finding = user, now, finding
	return r, nil
}

// Outside is what lies of an area beyond the jurisdiction, as geofences measure it.
type Outside struct {
	Share      float64 // of the area's surface, 0 to 1
	Reach      float64 // metres from the border to the farthest point outside
	Neighbours []Neighbour
}

// Neighbour is a jurisdiction that an area reaches into.
type Neighbour struct {
	Code, Name string
	Share      float64 // of the area's surface, 0 to 1
	People     int64   // of the directory, who are there and in the area
}

// Scope is which warnings a right covers. The zero Scope covers none.
type Scope uint8

// What a scope covers. Without ScopeOutside it covers areas inside the jurisdiction alone, without ScopeReal exercises and
// tests alone.
const (
	ScopeOwn     Scope = 1 << iota // that the caller submitted
	ScopeOthers                    // that somebody else submitted
	ScopeOutside                   // also those whose areas reach outside of the jurisdiction
	ScopeReal                      // also those that reach real people
	Everything   = ScopeOwn | ScopeOthers | ScopeOutside | ScopeReal
)

// Check refuses a warning that the scope does not cover. inside tells whether its areas lie in the jurisdiction.
func (s Scope) Check(user string, w *Warning, inside bool) error {
	own := w.SubmittedBy == user
	switch {
	case own && s&ScopeOwn == 0:
		return Refuse(ReasonDenied, "you submitted this warning; another person must do this")
	case !own && s&ScopeOthers == 0:
		return Refuse(ReasonDenied, "you may do this with warnings of your own; ask %s, an approver or a commander", w.SubmittedBy)
	case !inside && s&ScopeOutside == 0:
		return Refuse(ReasonDenied, "the area of the warning reaches outside of the jurisdiction; ask the authority that is competent there")
	case w.Spec.Status != Exercise && w.Spec.Status != Test && s&ScopeReal == 0:
		return Refuse(ReasonDenied, "you may do this with exercises and tests only; say --status exercise")
	}
	return nil
}
