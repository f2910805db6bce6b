package warning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// RecordVersion stands in every stored warning; a reader takes this and the one before.
const RecordVersion = 1

// Warning is one official message as it is stored: what was asked, by whom, and where it stands.
type Warning struct {
	Record  int    `json:"record"`  // RecordVersion
	ID      string `json:"id"`      // ULID, frozen at submission
	Version int    `json:"version"` // 1 at submission; an update makes the next one of the same event

	Spec   Spec   `json:"spec"`
	Digest string `json:"digest"` // of Spec: what an approver approves
	// Content is what two warnings that say the same have in common, whenever they hold (ContentOf Spec).
	Content string `json:"content"`
	State   State  `json:"state"`
	// Before is the state that a Held warning goes back to.
	Before State `json:"before,omitempty"`

	NationalID   string    `json:"national_id,omitempty"`   // GB/T 35965 form
	SourceSystem string    `json:"source_system,omitempty"` // the system that sent it
	SourceID     string    `json:"source_id,omitempty"`     // what that system calls it
	Node         string    `json:"node"`                    // the engine process that recorded it
	SubmittedBy  string    `json:"submitted_by"`
	SubmittedAt  time.Time `json:"submitted_at"`
	ApprovedBy   []string  `json:"approved_by,omitempty"`
	ReleasedAt   time.Time `json:"released_at,omitzero"`
	EndedAt      time.Time `json:"ended_at,omitzero"`     // completed, cancelled, expired or rejected
	CompletedAt  time.Time `json:"completed_at,omitzero"` // also of one that was cancelled or replaced later
	Holds        []Span    `json:"holds,omitempty"`       // in the order of time
	Why          string    `json:"why,omitempty"`         // of the rejection, hold or cancel

	// ApprovedPeople is the head count that was seen last, at submission or by an approver (promise 6).
	ApprovedPeople int64 `json:"approved_people,omitempty"`
	// Snapshot is the directory that the plan names; empty before the release is planned.
	Snapshot string `json:"snapshot,omitempty"`
	// Summons is who is rung and why, of a warning of type Call; nil of all that people submit.
	Summons *Summons `json:"summons,omitempty"`
	// Review is of a release that somebody made on their own; nil: nobody did.
	Review *Review `json:"review,omitempty"`
}

// Span is a time in which a warning was held. The last one has no end until somebody lets the warning go on.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
}

// Spec is what a forecaster says. It is frozen at submission.
type Spec struct {
	Event      string    `json:"event"`                // event code, e.g. 11B03 (GB/T 35561 family); open-ended, data
	EventName  string    `json:"event_name,omitempty"` // for people, e.g. 暴雨
	Tier       Tier      `json:"tier"`
	Status     Status    `json:"status"`
	Type       Type      `json:"type"`
	Onset      time.Time `json:"onset,omitzero"`
	Expires    time.Time `json:"expires"`
	Areas      []Area    `json:"areas"`
	Words      []Words   `json:"words"`
	Issuers    []string  `json:"issuers"`
	EventID    string    `json:"event_id,omitempty"` // the process that several warnings belong to
	Stage      string    `json:"stage,omitempty"`    // rung of a ladder: 3d, 1d, 6h, 2h, 0h
	References []string  `json:"references,omitempty"`
	Channels   []Channel `json:"channels"`
	// Table says who is told by which of the Channels, at which hour of the release: the rows of the policy for the tier, as
	// they were at submission. None: the Channels were said, and are for everybody at once.
	Table []ChannelRow `json:"table,omitempty"`
	Focus *Focus       `json:"focus,omitempty"` // who is told first; nil: in the order of the directory
	// Again says that an identical warning that is still valid is known and that this one is meant all the same.
	Again bool `json:"again,omitempty"`
	// Clip asks for the areas to be cut at the border of the jurisdiction; those that are recorded are what is left.
	Clip bool `json:"clip,omitempty"`
}

// Words is one text in one language for one channel (0 = all channels).
type Words struct {
	Language string  `json:"language"` // BCP 47, e.g. zh-CN
	Channel  Channel `json:"channel,omitempty"`
	Kind     Type    `json:"kind"` // Alert, or the prepared Cancel (correction) and AllClear words
	Text     string  `json:"text"`
}

// Area is one part of where: exactly one of Unit, Polygons and Circle is set.
type Area struct {
	Name string `json:"name,omitempty"`
	// Unit is the code of an administrative unit in the edition of AsOf: six digits (GB/T 2260), of a town nine, or twelve
	// of which the last three are 000.
	Unit string    `json:"unit,omitempty"`
	AsOf time.Time `json:"as_of,omitzero"` // zero: the newest edition
	// Edition is the imported outlines that are meant, e.g. 2025-11@5f2c8ad0e6b1: the engine names it at submission, so that
	// what was approved never changes. Empty: the shipped outline, or of a town its registered homes.
	Edition string `json:"edition,omitempty"`
	// Polygons has the parts; each has its outer ring first and then its holes. Closed boundary: on the line is inside.
	Polygons [][]Ring `json:"polygons,omitempty"`
	Circle   *Circle  `json:"circle,omitempty"`
	CRS      string   `json:"crs,omitempty"` // of Polygons and Circle: one of CoordinateSystems, never assumed
}

// Circle is all places within a distance of a centre.
type Circle struct {
	Centre Point   `json:"centre"`
	Radius float64 `json:"radius_m"` // metres on the ground, MinRadius to MaxRadius
}

// Ring is a closed line of points in longitude, latitude order (RFC 7946), degrees; the last equals the first.
type Ring []Point

// Point is longitude, latitude in degrees.
type Point [2]float64

// DigestOf is the SHA-256 of the canonical form of s: what is approved (promise 6).
func DigestOf(s Spec) string {
	b, err := json.Marshal(s) // struct fields in order, no maps: canonical
	if err != nil {
		panic("warning: a spec always marshals: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ContentOf is DigestOf without the times: the same command a minute later is the same warning again.
func ContentOf(s Spec) string {
	s.Onset, s.Expires, s.Again = time.Time{}, time.Time{}, false
	return DigestOf(s)
}

// TextFor is the words of kind for the channel and language: the channel's own first, then those for all channels; the
// language asked first, then zh-CN, then any. Empty when there is none.
func (s Spec) TextFor(kind Type, ch Channel, language string) string {
	best, score := "", -1
	for _, w := range s.Words {
		if w.Kind != kind || w.Channel != 0 && w.Channel != ch {
			continue
		}
		n := 0
		if w.Channel == ch {
			n += 1
		}
		switch w.Language {
		case language:
			n += 4
		case "zh-CN":
			n += 2
		}
		if n > score {
			best, score = w.Text, n
		}
	}
	return best
}
