package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// stopGrace is how long after a cancel was answered messages of open windows may still arrive (promise 5 says 100 ms
// until the answer; the rest is the way to the carrier).
const stopGrace = 200 * time.Millisecond

// Input is what a verdict is made from.
type Input struct {
	// Directory is the path of a table with the header number,lon,lat,home,seen,language,duty,flags; degrees have up to
	// seven decimals, an empty number is a person without an address, duty is public or responsible, flags are opted_out
	// or empty.
	Directory string
	// Warnings is the path of the warnings in the JSON of the contract: one object or several, a list, or an answer of
	// Get or List.
	Warnings string
	// Outlines is the surfaces of units: a GeoJSON FeatureCollection with properties.adcode.
	Outlines []byte
	// Editions is the outlines that were imported and that warnings name, by their ids.
	Editions map[string]Edition
	Accounts []Account
	Areas    []AreaLog
	// Again is how many times a commander asked to play a warning again before it ended, by its id and the channel, such as
	// 01J…/broadcast.
	Again map[string]int
	// Presence is who counts as being there; nil: whoever's place is in the area.
	Presence *Presence
	// Positions is the path of a table with the header at,number,lon,lat: where people were seen when (RFC 3339). Who is
	// seen in the area of a live warning is to get it once.
	Positions string
	// Each, where it is set, is called once for everybody who got the whole text of a warning, by each channel.
	Each func(Reach)
	// TestNumbers is the numbers that link tests go to: what comes there and is no part of a warning is not judged.
	TestNumbers []uint64
	// AllowedRepeats is how many messages beyond what was wanted are no fault; below 0: any number (promise 3 lets what
	// is unknown after a crash be sent again).
	AllowedRepeats int64
}

// Account is one contract and the logs of its carrier.
type Account struct {
	Name string `json:"name"`
	// MessagesPerS is the contracted rate; 0: none, and nothing is judged.
	MessagesPerS float64  `json:"contract_messages_per_s"`
	Logs         []string `json:"logs"`
}

// Reach is somebody who got a text, at home in e7 degrees.
type Reach struct {
	Warning, Channel string
	Lon, Lat         int64
	At               int64 // Unix nanoseconds of the last segment
}

// Verdict is what became of everybody, by the carriers' word. OK is true when Faults is empty.
type Verdict struct {
	OK     bool     `json:"ok"`
	Faults []string `json:"faults"`
	Sums
	// People with a text of which no piece is known are counted in wrong_text above and in no warning.
	Warnings []WarningVerdict `json:"warnings"`
	Accounts []AccountVerdict `json:"accounts"`
	Areas    []AreaVerdict    `json:"areas,omitempty"`
	// NotJudged is what was released by channels of which no log is given: the verdict says nothing of it.
	NotJudged []string `json:"not_judged,omitempty"`
	// LinkTests is the messages to test numbers that are no part of a warning.
	LinkTests int64   `json:"link_tests,omitempty"`
	Rows      int64   `json:"directory_rows"`
	TookS     float64 `json:"took_s"`
}

// LaneSums is the counts of people in one channel. Expected = Got + Moved + Refused + Stopped + Lost.
type LaneSums struct {
	Expected int64 `json:"expected"`
	Got      int64 `json:"got"`     // have the whole text, in their language
	Moved    int64 `json:"moved"`   // a carrier serves no flash message to them, and they got it by SMS
	Refused  int64 `json:"refused"` // not got, and the carrier refused a message for good
	Stopped  int64 `json:"stopped"` // not got, and the warning was held, cancelled, replaced or expired before it was complete
	Lost     int64 `json:"lost"`    // not got, for no reason that a carrier knows
}

func (s *LaneSums) add(o *LaneSums) {
	s.Expected += o.Expected
	s.Got += o.Got
	s.Moved += o.Moved
	s.Refused += o.Refused
	s.Stopped += o.Stopped
	s.Lost += o.Lost
}

// Sums is the counts of a warning, or of all. They count people unless they say messages; who is to get a warning by SMS
// and by flash SMS counts in both.
type Sums struct {
	InArea    int64 `json:"in_area"`
	OnEdge    int64 `json:"on_edge"` // so near a converted line that nobody can say
	Entered   int64 `json:"entered"` // seen inside after the release, beside in_area
	NoAddress int64 `json:"no_address"`
	OptedOut  int64 `json:"opted_out"`
	// Untold could be told, and the warning says at no step that they are by a channel of their own.
	Untold int64 `json:"untold"`
	LaneSums
	// Doubled got any segment of the text more often than wanted; ExtraMessages is how many segments that were.
	Doubled       int64 `json:"doubled"`
	ExtraMessages int64 `json:"extra_messages"`
	WrongPerson   int64 `json:"wrong_person"` // got something of the text and should not
	WrongText     int64 `json:"wrong_text"`   // got something that is no text of the warning, or is of another language
	Incomplete    int64 `json:"incomplete"`   // got some segments and not all; they are lost, refused or stopped too
	// Messages that arrived, also those that the carrier did not take, and those of them at a wrong time.
	Messages       int64 `json:"messages"`
	BeforeApproval int64 `json:"before_approval"`
	AfterExpiry    int64 `json:"after_expiry"`
	AfterStop      int64 `json:"after_stop"`
	// OpenEnded messages were taken by a carrier that was not told when the warning expires: it may deliver them later.
	OpenEnded int64 `json:"open_ended"`
}

// WarningVerdict is the verdict over one warning, or over several with the same words.
type WarningVerdict struct {
	// Warnings are the ids; more than one when they share words and cannot be told apart. Got then means as often as
	// warnings want it, and times are judged by the most that any of them allows.
	Warnings   []string `json:"warnings"`
	SharedText bool     `json:"shared_text"`
	// NotReleased: nobody was to get it.
	NotReleased bool `json:"not_released,omitempty"`
	Sums
	Lanes         [lanes]LaneVerdict `json:"lanes"` // SMS, flash SMS
	FirstAt       *time.Time         `json:"first_at,omitempty"`
	LastAt        *time.Time         `json:"last_at,omitempty"`
	TimeToFirstMS float64            `json:"time_to_first_ms"` // from the release to the first arrival
	TimeToLastS   float64            `json:"time_to_last_s"`   // from the first arrival to the last
	PeoplePerS    float64            `json:"people_per_s"`     // got, over the time from the first arrival to the last
	MessagesPerS  float64            `json:"messages_per_s"`
	// PeopleBySecond is who got the whole text in each second from the first arrival.
	PeopleBySecond []int64 `json:"people_by_second"`
}

// Beginning says when the first message came.
func (w *WarningVerdict) Beginning() string {
	switch {
	case w.FirstAt == nil && w.NotReleased:
		return "it was not released"
	case w.FirstAt == nil:
		return "nothing came to a carrier"
	case w.BeforeApproval > 0:
		return "first at a carrier before the release"
	}
	return fmt.Sprintf("first at a carrier %.0f ms after the release", w.TimeToFirstMS)
}

// LaneVerdict is the part of one channel.
type LaneVerdict struct {
	Channel string `json:"channel,omitempty"` // empty: nobody was to get the warning by it
	LaneSums
	PeopleBySecond []int64 `json:"people_by_second,omitempty"`
}

// laneName is the channel as reports write it.
func laneName(l lane) string {
	return strings.ToLower(strings.TrimPrefix(laneChannels[l].String(), "CHANNEL_"))
}

// AccountVerdict is the verdict over one contract.
type AccountVerdict struct {
	Name         string  `json:"name"`
	ContractPerS float64 `json:"contract_messages_per_s"`
	// Messages arrived, whatever was answered.
	Messages int64 `json:"messages"`
	Accepted int64 `json:"accepted"`
	// MaxInAnySecond is over the exact times of arrival at all logs, in [t, t + 1 s).
	MaxInAnySecond int64   `json:"max_messages_in_any_second"`
	MessagesPerS   float64 `json:"messages_per_s"`
	// ContractUsed is messages ÷ (contract · time from the first to the last); IdleS is gaps of more than a second in
	// that time, and ContractUsedBusy leaves them out.
	ContractUsed     float64          `json:"contract_used"`
	ContractUsedBusy float64          `json:"contract_used_busy"`
	IdleS            float64          `json:"idle_s"`
	Throttled        int64            `json:"throttled"`
	Violations       int64            `json:"violations"`
	ViolationsBy     map[string]int64 `json:"violations_by_rule,omitempty"`
	NotSynthetic     int64            `json:"not_synthetic"`
	ReceiptsBy       map[string]int64 `json:"receipts_by_state"`
	Unanswered       int64            `json:"receipts_unanswered"`
	FirstAt          *time.Time       `json:"first_at,omitempty"`
	LastAt           *time.Time       `json:"last_at,omitempty"`
	// MessagesBySecond is arrivals in each second from FirstAt.
	MessagesBySecond []int64 `json:"messages_by_second,omitempty"`
}

// Run makes the verdict. An error says that there is none: an input that cannot be read, or a log that is damaged.
func Run(in Input) (Verdict, error) {
	began := time.Now()
	ws, err := ReadWarnings(in.Warnings)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	units, err := outlines(in.Outlines)
	if err == nil {
		err = addEditions(units, in.Editions)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	p, err := readDirectory(in.Directory)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	lib := newLibrary()
	journals, err := readAccounts(in.Accounts, p, lib, in.TestNumbers)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	moved, err := readPositions(in.Positions, p)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	x := &expected{}
	if err := x.read(ws, p, lib); err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	for of := range in.Again {
		id, channel, _ := strings.Cut(of, "/")
		if !slices.ContainsFunc(ws, func(w *tocsinv1.Warning) bool { return w.GetId() == id }) {
			return Verdict{}, fmt.Errorf("verify: again: %q is none of the warnings", id)
		}
		if tocsinv1.Channel_value["CHANNEL_"+strings.ToUpper(channel)] == 0 {
			return Verdict{}, fmt.Errorf("verify: again: %q is no channel: say ID/broadcast or ID/push", channel)
		}
	}
	if err := x.look(p, units, in.Presence, moved); err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	v := Verdict{Rows: int64(len(p.rows))}
	for i, a := range in.Accounts {
		v.Accounts = append(v.Accounts, account(a, journals[i]))
	}
	all, starts := byPerson(journals, p)
	j := judge{lib: lib, x: x, p: p, v: &v, each: in.Each, copies: map[int32]*copies{}}
	at := 0
	for person := range len(starts) - 1 {
		to := at
		for to < len(x.inside) && int(x.inside[to].person) == person {
			to++
		}
		as := all[starts[person]:starts[person+1]]
		if len(as) > 0 || to > at {
			j.person(int32(person), as, x.inside[at:to])
		}
		at = to
	}
	for _, n := range x.notices {
		n.countRung()
	}
	for _, g := range x.groups {
		v.Warnings = append(v.Warnings, g.verdict())
		v.Sums.add(&v.Warnings[len(v.Warnings)-1].Sums)
	}
	var wrong []string
	if v.Areas, wrong, err = judgeAreas(&in, x, p, units); err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	v.NotJudged = notJudged(&in, x)
	v.Faults = append(v.faults(in.AllowedRepeats), wrong...)
	v.OK = len(v.Faults) == 0
	v.TookS = time.Since(began).Seconds()
	return v, nil
}

// readAccounts reads the logs of all accounts side by side.
func readAccounts(as []Account, p *people, lib *library, tests []uint64) ([]*journal, error) {
	b := &bodies{of: map[string]int32{}, starts: map[string]string{}}
	out, errs := make([]*journal, len(as)), make([]error, len(as))
	var reading sync.WaitGroup
	for i, a := range as {
		reading.Go(func() { out[i], errs[i] = readLogs(uint16(i), a.Logs, p, b, tests) })
	}
	reading.Wait()
	lib.bodies = b.segments
	return out, errors.Join(errs...)
}

func account(a Account, j *journal) AccountVerdict {
	v := AccountVerdict{
		Name: a.Name, ContractPerS: a.MessagesPerS, Messages: int64(len(j.times)), Accepted: j.accepted,
		MaxInAnySecond: busiest(j.times), Throttled: j.throttled, ViolationsBy: j.violations,
		NotSynthetic: j.notSynthetic, ReceiptsBy: j.receipts, Unanswered: j.unanswered,
	}
	for _, n := range j.violations {
		v.Violations += n
	}
	if n := len(j.times); n > 0 {
		first, last := j.times[0], j.times[n-1]
		v.FirstAt, v.LastAt = moment(first), moment(last)
		v.MessagesBySecond = bySecond(j.times, first)
		gaps := idle(j.times)
		v.IdleS = float64(gaps) / 1e9
		if last > first {
			v.MessagesPerS = float64(n) / (float64(last-first) / 1e9)
		}
		if a.MessagesPerS > 0 {
			// The last message takes its share of a second too.
			v.ContractUsed = float64(n) / (a.MessagesPerS*float64(last-first)/1e9 + 1)
			v.ContractUsedBusy = float64(n) / (a.MessagesPerS*float64(last-first-gaps)/1e9 + 1)
		}
	}
	return v
}

func moment(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}

func (s *Sums) add(o *Sums) {
	s.InArea += o.InArea
	s.OnEdge += o.OnEdge
	s.Entered += o.Entered
	s.NoAddress += o.NoAddress
	s.OptedOut += o.OptedOut
	s.Untold += o.Untold
	s.LaneSums.add(&o.LaneSums)
	s.Doubled += o.Doubled
	s.ExtraMessages += o.ExtraMessages
	s.WrongPerson += o.WrongPerson
	s.WrongText += o.WrongText
	s.Incomplete += o.Incomplete
	s.Messages += o.Messages
	s.BeforeApproval += o.BeforeApproval
	s.AfterExpiry += o.AfterExpiry
	s.AfterStop += o.AfterStop
	s.OpenEnded += o.OpenEnded
}

// countRung holds how many people a call reached against how many it was to: the others were lost or the call was over, and
// whoever is too many was not to be rung.
func (n *notice) countRung() {
	for l := range n.uses {
		if !n.call() || !n.uses[l] || n.GetReleasedAt() == nil {
			continue
		}
		s := &n.g.v.Lanes[l]
		s.Channel = laneName(lane(l))
		missing := int64(n.rung) - s.Expected
		switch {
		case missing < 0:
			n.g.v.WrongPerson -= missing
			continue
		case n.g.closed:
			s.Stopped += missing
		default:
			s.Lost += missing
		}
		s.Expected += missing
	}
}

func (g *group) verdict() WarningVerdict {
	v := g.v
	v.SharedText = len(g.notices) > 1
	v.NotReleased = g.from == neverReleased
	for l := range v.Lanes {
		v.LaneSums.add(&v.Lanes[l].LaneSums)
	}
	if g.firstAt == 0 {
		return v
	}
	v.FirstAt, v.LastAt = moment(g.firstAt), moment(g.lastAt)
	if g.firstAt >= g.from {
		v.TimeToFirstMS = float64(g.firstAt-g.from) / 1e6
	}
	took := float64(g.lastAt-g.firstAt) / 1e9
	v.TimeToLastS = took
	if took > 0 {
		v.PeoplePerS, v.MessagesPerS = float64(v.Got)/took, float64(v.Messages)/took
	}
	for l, at := range g.completions {
		v.Lanes[l].PeopleBySecond = bySecond(at, g.firstAt)
	}
	v.PeopleBySecond = bySecond(slices.Concat(g.completions[:]...), g.firstAt)
	return v
}

// bySecond counts times in seconds from a first one on.
func bySecond(times []int64, from int64) []int64 {
	if len(times) == 0 {
		return nil
	}
	out := make([]int64, (slices.Max(times)-from)/int64(time.Second)+1)
	for _, t := range times {
		out[(t-from)/int64(time.Second)]++
	}
	return out
}

// faults says in sentences what must not be.
func (v *Verdict) faults(allowed int64) []string {
	out := []string{}
	say := func(n int64, what string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, what))
		}
	}
	say(v.Lost, "people lost")
	say(v.WrongPerson, "people got what was not for them")
	say(v.WrongText, "people got what are not the words of a warning that is given")
	say(v.BeforeApproval, "messages before the release")
	say(v.AfterExpiry, "messages after the expiry")
	say(v.AfterStop, "messages after the stop")
	say(v.OpenEnded, "messages that their carrier may deliver after the expiry: it was told a later end of validity, or none")
	if allowed >= 0 && v.ExtraMessages > allowed {
		say(v.ExtraMessages, fmt.Sprintf("messages too many to %d people, %d are allowed", v.Doubled, allowed))
	}
	for _, a := range v.Accounts {
		if a.ContractPerS > 0 && float64(a.MaxInAnySecond) > a.ContractPerS {
			out = append(out, fmt.Sprintf("account %s: %d messages in a second, %g are contracted", a.Name, a.MaxInAnySecond, a.ContractPerS))
		}
		say(a.Violations, "violations of the standard at account "+a.Name)
		say(a.NotSynthetic, "messages for numbers that could be real at account "+a.Name)
	}
	return out
}
