package verify

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
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
	// Presence is who counts as being there; nil: whoever's place is in the area.
	Presence *Presence
	Accounts []Account
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

// Verdict is what became of everybody, by the carriers' word. OK is true when Faults is empty.
type Verdict struct {
	OK     bool     `json:"ok"`
	Faults []string `json:"faults"`
	Sums
	// People with a text of which no piece is known are counted in wrong_text above and in no warning.
	Warnings []WarningVerdict `json:"warnings"`
	Accounts []AccountVerdict `json:"accounts"`
	Rows     int64            `json:"directory_rows"`
	TookS    float64          `json:"took_s"`
}

// Sums is the counts of a warning, or of all. They count people unless they say messages.
type Sums struct {
	InArea    int64 `json:"in_area"`
	NoAddress int64 `json:"no_address"`
	OptedOut  int64 `json:"opted_out"`
	// Expected = Got + Refused + Stopped + Lost.
	Expected int64 `json:"expected"`
	Got      int64 `json:"got"`     // have the whole text, in their language
	Refused  int64 `json:"refused"` // not got, and the carrier refused a message for good
	Stopped  int64 `json:"stopped"` // not got, and the warning was held, cancelled or expired
	Lost     int64 `json:"lost"`    // not got, for no reason that a carrier knows
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
}

// WarningVerdict is the verdict over one warning, or over several with the same words.
type WarningVerdict struct {
	// Warnings are the ids; more than one when they share words and cannot be told apart. Got then means as often as
	// warnings want it, and times are judged by the most that any of them allows.
	Warnings   []string `json:"warnings"`
	SharedText bool     `json:"shared_text"`
	Sums
	FirstAt       *time.Time `json:"first_at,omitempty"`
	LastAt        *time.Time `json:"last_at,omitempty"`
	TimeToFirstMS float64    `json:"time_to_first_ms"` // from the release to the first arrival
	TimeToLastS   float64    `json:"time_to_last_s"`   // from the first arrival to the last
	PeoplePerS    float64    `json:"people_per_s"`     // got, over the time from the first arrival to the last
	MessagesPerS  float64    `json:"messages_per_s"`
	// PeopleBySecond is who got the whole text in each second from the first arrival.
	PeopleBySecond []int64 `json:"people_by_second"`
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
}

// Run makes the verdict. An error says that there is none: an input that cannot be read, or a log that is damaged.
func Run(in Input) (Verdict, error) {
	began := time.Now()
	raw, err := os.ReadFile(in.Warnings)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	ws, err := readWarnings(raw)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	units, err := outlines(in.Outlines)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	p, err := readDirectory(in.Directory)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	lib := newLibrary()
	journals, err := readAccounts(in.Accounts, p, lib)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	groups, groupOf, wants, err := expect(ws, p, units, in.Presence, lib)
	if err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	v := Verdict{Rows: int64(len(p.rows))}
	for i, a := range in.Accounts {
		v.Accounts = append(v.Accounts, account(a, journals[i]))
	}
	all, starts := byPerson(journals, p)
	j := judge{lib: lib, groups: groups, groupOf: groupOf, v: &v, copies: map[int32]*copies{}}
	at := 0
	for person := range len(starts) - 1 {
		to := at
		for to < len(wants) && int(wants[to].person) == person {
			to++
		}
		as := all[starts[person]:starts[person+1]]
		if len(as) > 0 || to > at {
			j.person(as, wants[at:to])
		}
		at = to
	}
	for _, g := range groups {
		v.Warnings = append(v.Warnings, g.verdict())
		v.Sums.add(&g.v.Sums)
	}
	v.Faults = v.faults(in.AllowedRepeats)
	v.OK = len(v.Faults) == 0
	v.TookS = time.Since(began).Seconds()
	return v, nil
}

// readAccounts reads the logs of all accounts side by side.
func readAccounts(as []Account, p *people, lib *library) ([]*journal, error) {
	b := &bodies{of: map[string]int32{}}
	out, errs := make([]*journal, len(as)), make([]error, len(as))
	var reading sync.WaitGroup
	for i, a := range as {
		reading.Go(func() { out[i], errs[i] = readLogs(a.Logs, p, b) })
	}
	reading.Wait()
	lib.bodies = b.words
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
	s.NoAddress += o.NoAddress
	s.OptedOut += o.OptedOut
	s.Expected += o.Expected
	s.Got += o.Got
	s.Refused += o.Refused
	s.Stopped += o.Stopped
	s.Lost += o.Lost
	s.Doubled += o.Doubled
	s.ExtraMessages += o.ExtraMessages
	s.WrongPerson += o.WrongPerson
	s.WrongText += o.WrongText
	s.Incomplete += o.Incomplete
	s.Messages += o.Messages
	s.BeforeApproval += o.BeforeApproval
	s.AfterExpiry += o.AfterExpiry
	s.AfterStop += o.AfterStop
}

func (g *group) verdict() WarningVerdict {
	v := g.v
	v.SharedText = len(g.warnings) > 1
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
	if len(g.completions) > 0 {
		v.PeopleBySecond = make([]int64, (slices.Max(g.completions)-g.firstAt)/int64(time.Second)+1)
		for _, c := range g.completions {
			v.PeopleBySecond[(c-g.firstAt)/int64(time.Second)]++
		}
	}
	return v
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
	say(v.WrongText, "people got what are not the words of a warning")
	say(v.BeforeApproval, "messages before the release")
	say(v.AfterExpiry, "messages after the expiry")
	say(v.AfterStop, "messages after the stop")
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
