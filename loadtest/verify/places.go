package verify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// This file judges area channels: not people, but whether what was asked was played where it was asked, after the
// approval, as the same message at every repeat, and ended when it was stopped.

// AreaLog is the log of one platform of an area channel.
type AreaLog struct {
	Name    string
	Channel tocsinv1.Channel // BROADCAST: docs/platform-log.md; PUSH: docs/broker-log.md
	Path    string
}

// AreaVerdict is one warning at one platform.
type AreaVerdict struct {
	Platform string   `json:"platform"`
	Channel  string   `json:"channel"`
	Warning  string   `json:"warning"`
	Identity string   `json:"identity"` // the same at every repeat
	Units    []string `json:"units"`    // where it was played first
	Asked    int      `json:"asked"`    // times, the first one counted
	Played   int      `json:"played"`   // the most in any unit
	Ended    bool     `json:"ended"`    // the platform was told to stop it
	// TimeToFirstMS is from the release to the first arrival.
	TimeToFirstMS float64 `json:"time_to_first_ms"`
}

// played is one message at a platform, as its log tells.
type played struct {
	at       int64
	warning  string   // empty: only the text tells
	identity string   // EBMID, or id of the message
	text     string   // empty in an end
	units    []string // 12 digits
	ends     bool     // it ends what has this identity, or this topic
	refused  bool     // it breaks the format, or was not taken
	why      string
}

// readArea reads a log of either kind.
func readArea(l AreaLog) (out []played, err error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read := map[tocsinv1.Channel]func([]byte) (*played, error){
		tocsinv1.Channel_CHANNEL_BROADCAST: broadcastLine, tocsinv1.Channel_CHANNEL_PUSH: pushLine,
	}[l.Channel]
	lines := bufio.NewReader(&tail{file: f})
	for n := 1; ; n++ {
		b, err := lines.ReadBytes('\n')
		if len(b) == 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s line %d: is cut", l.Path, n)
		}
		p, err := read(b)
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", l.Path, n, err)
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

// The message types of emergency broadcast: the end of a message.
const ebmEnd = 2

func broadcastLine(b []byte) (*played, error) {
	var l struct {
		E       string   `json:"e"`
		T       int64    `json:"t"`
		EBM     string   `json:"ebm"`
		N       int      `json:"n"`
		Type    int      `json:"type"`
		Related string   `json:"related"`
		Text    string   `json:"text"`
		Units   []string `json:"units"`
		Rule    string   `json:"rule"`
		Detail  string   `json:"detail"`
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	switch {
	case l.E == "violation":
		return &played{at: l.T, refused: true, why: l.Rule + " " + l.Detail}, nil
	case l.E != "ebm":
		return nil, nil
	case l.Type == ebmEnd:
		return &played{at: l.T, identity: l.Related, ends: true}, nil
	case l.N == 0: // the platform was made not to take it
		return nil, nil
	}
	return &played{at: l.T, identity: l.EBM, text: l.Text, units: l.Units}, nil
}

func pushLine(b []byte) (*played, error) {
	var l struct {
		E      string          `json:"e"`
		T      int64           `json:"t"`
		Topic  string          `json:"topic"`
		Retain bool            `json:"retain"`
		Taken  bool            `json:"taken"`
		Rule   string          `json:"rule"`
		Body   json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	levels := strings.Split(l.Topic, "/")
	switch {
	case l.E != "publish" || len(levels) < 3 || levels[len(levels)-3] == "sender" || levels[len(levels)-2] == "sender":
		return nil, nil
	case l.Rule != "":
		return &played{at: l.T, refused: true, why: l.Rule}, nil
	case !l.Taken:
		return nil, nil
	}
	p := &played{at: l.T, warning: levels[len(levels)-1], units: []string{levels[len(levels)-2]}}
	if len(l.Body) == 0 {
		p.ends = true
		return p, nil
	}
	var m struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Warning string `json:"warning"`
		Text    string `json:"text"`
	}
	if err := json.Unmarshal(l.Body, &m); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if m.Type == "stop" {
		return nil, nil // the emptied topic before it is the end; this tells who listens
	}
	if m.Warning != p.warning {
		return &played{at: l.T, refused: true, why: "the topic is of " + p.warning + ", the message of " + m.Warning}, nil
	}
	p.identity, p.text = m.ID, m.Text
	return p, nil
}

// judgeAreas holds the platforms' logs against the warnings.
func judgeAreas(in *Input, x *expected, p *people, units map[string]area) (out []AreaVerdict, faults []string, err error) {
	for _, l := range in.Areas {
		log, err := readArea(l)
		if err != nil {
			return nil, nil, err
		}
		say := func(format string, args ...any) {
			faults = append(faults, "platform "+l.Name+": "+fmt.Sprintf(format, args...))
		}
		known := make([]bool, len(log))
		for _, n := range x.notices {
			when := max(tellingOf(n.Warning, duties[0], l.Channel), tellingOf(n.Warning, duties[1], l.Channel))
			if n.GetReleasedAt() == nil || when == never {
				continue
			}
			where, err := unitsOf(n, p, units, in.Presence)
			if err != nil {
				return nil, nil, fmt.Errorf("warning %s: %w", n.GetId(), err)
			}
			v := areaCase{
				AreaVerdict: AreaVerdict{Platform: l.Name, Channel: laneless(l.Channel), Warning: n.GetId(), Asked: 1 + in.Again[n.GetId()+"/"+laneless(l.Channel)]},
				n:           n, where: where, text: wordsFor(n.GetSpec(), n.kind(), l.Channel, fallback), say: say, by: map[string]int{},
			}
			for i := range log {
				if v.take(&log[i]) {
					known[i] = true
				}
			}
			if when == missing && v.Identity == "" {
				continue // it was over before
			}
			v.close()
			out = append(out, v.AreaVerdict)
		}
		for i, m := range log {
			switch {
			case m.refused:
				say("a message broke its format: %s", m.why)
			case !known[i] && !m.ends:
				say("%s is the message of no warning that was released", m.identity)
			}
		}
	}
	return out, faults, nil
}

// notJudged is the channels by which warnings were released and of which there is no log.
func notJudged(in *Input, x *expected) (out []string) {
	given := map[tocsinv1.Channel]bool{tocsinv1.Channel_CHANNEL_UNSPECIFIED: true}
	for _, ch := range laneChannels {
		given[ch] = true
	}
	for _, l := range in.Areas {
		given[l.Channel] = true
	}
	for _, n := range x.notices {
		for _, number := range slices.Sorted(maps.Keys(tocsinv1.Channel_name)) {
			ch := tocsinv1.Channel(number)
			told := max(tellingOf(n.Warning, duties[0], ch), tellingOf(n.Warning, duties[1], ch))
			if n.GetReleasedAt() != nil && told != never && !given[ch] {
				out = append(out, fmt.Sprintf("%s by %s: no log of it is given", n.GetId(), laneless(ch)))
			}
		}
	}
	return out
}

func laneless(c tocsinv1.Channel) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CHANNEL_"))
}

// areaCase is one warning at one platform, under judgement.
type areaCase struct {
	AreaVerdict
	n     *notice
	where []string
	text  string
	say   func(string, ...any)
	by    map[string]int // how often in each unit
}

// take judges one message, and tells whether it is of this warning.
func (v *areaCase) take(m *played) bool {
	id := v.n.GetId()
	switch {
	case m.refused || m.warning != "" && m.warning != id || m.warning == "" && !m.ends && m.text != v.text:
		return false
	case m.ends: // of nothing, where nothing was played yet: a correction empties its topic before it speaks
		of := m.warning == id || m.identity != "" && m.identity == v.Identity
		v.Ended = v.Ended || of && v.Identity != ""
		return of
	}
	if v.Identity == "" {
		v.Identity, v.TimeToFirstMS = m.identity, float64(m.at-v.n.GetReleasedAt().AsTime().UnixNano())/1e6
	}
	if m.text != v.text {
		v.say("%s: the words are not those of the warning", id)
	}
	if m.identity != v.Identity {
		v.say("%s: a repeat is %s, the first was %s", id, m.identity, v.Identity)
	}
	if m.at < v.n.GetReleasedAt().AsTime().UnixNano() {
		v.say("%s: played before the release", id)
	}
	if m.at > v.n.GetSpec().GetExpires().AsTime().UnixNano() {
		v.say("%s: played after the expiry", id)
	}
	if v.Ended || stopped(v.n) > 0 && m.at > stopped(v.n) {
		v.say("%s: played after the stop", id)
	}
	for _, u := range m.units {
		if !slices.Contains(v.where, u) {
			v.say("%s: played in %s, which is outside", id, u)
		}
		v.by[u]++
		v.Played = max(v.Played, v.by[u])
	}
	return true
}

// live tells whether a warning was neither stopped nor ended with people waiting.
func live(n *notice) bool {
	return n.GetState() == tocsinv1.State_STATE_RELEASED || n.GetState() == tocsinv1.State_STATE_COMPLETED
}

// areaGrace is how long after a stop a platform may still be told: a call to it that is under way ends first.
const areaGrace = 31 * time.Second

// stopped is until when a warning that was stopped may be played; 0: it was not.
func stopped(n *notice) int64 {
	switch n.GetState() {
	case tocsinv1.State_STATE_CANCELLED, tocsinv1.State_STATE_REPLACED:
		if n.GetEndedAt() != nil {
			return n.GetEndedAt().AsTime().Add(areaGrace).UnixNano()
		}
	}
	return 0
}

// close judges what was not played, or too often, or not ended.
func (v *areaCase) close() {
	id := v.n.GetId()
	for u := range v.by {
		v.Units = append(v.Units, u)
	}
	slices.Sort(v.Units)
	for _, u := range v.where {
		if live(v.n) && v.by[u] == 0 {
			v.say("%s: not played in %s", id, u)
		}
	}
	if v.Played > v.Asked || live(v.n) && v.Played > 0 && v.Played < v.Asked {
		v.say("%s: played %d times, %d were asked", id, v.Played, v.Asked)
	}
	if stopped(v.n) > 0 && v.Played > 0 && !v.Ended {
		v.say("%s: never ended, and the warning was stopped", id)
	}
}

// unitsOf is the districts that a warning is played in: those it names, and for drawn areas the home districts of the
// people in them.
func unitsOf(n *notice, p *people, units map[string]area, who *Presence) (out []string, err error) {
	var drawn area
	for i, a := range n.GetSpec().GetAreas() {
		if a.GetUnit() != "" {
			out = append(out, twelve(short(a.GetUnit())))
			continue
		}
		part, err := partOf(a, units)
		if err != nil {
			return nil, fmt.Errorf("areas[%d]%w", i, err)
		}
		drawn = append(drawn, part...)
	}
	if len(drawn) > 0 {
		for i := range p.rows {
			r := &p.rows[i]
			if home := twelve(district(r.home)); home != "" && !slices.Contains(out, home) && who.counts(n.Warning, drawn, units, r) == in {
				out = append(out, home)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Lines is the verdict as people read it.
func (v *Verdict) Lines() []string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "expected %d, got %d, moved to SMS %d, refused %d, stopped %d, lost %d\n", v.Expected, v.Got, v.Moved, v.Refused, v.Stopped, v.Lost)
	fmt.Fprintf(&b, "doubled %d, wrong person %d, wrong text %d, before approval %d, after expiry %d, after stop %d\n",
		v.Doubled, v.WrongPerson, v.WrongText, v.BeforeApproval, v.AfterExpiry, v.AfterStop)
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "%s: got %d of %d, %s\n", strings.Join(w.Warnings, " and "), w.Got, w.Expected, w.Beginning())
		if w.SharedText {
			fmt.Fprintf(&b, "%s have the same words, which nobody can tell apart: they are judged together\n", strings.Join(w.Warnings, " and "))
		}
	}
	for _, a := range v.Areas {
		if a.Played == 0 {
			fmt.Fprintf(&b, "%s at %s: never played\n", a.Warning, a.Platform)
			continue
		}
		fmt.Fprintf(&b, "%s at %s: played %d of %d times in %d districts, first after %.0f ms\n", a.Warning, a.Platform, a.Played, a.Asked, len(a.Units), a.TimeToFirstMS)
	}
	for _, a := range v.Accounts {
		contract := "no contract is given"
		if a.ContractPerS > 0 {
			contract = fmt.Sprintf("%g are contracted", a.ContractPerS)
		}
		fmt.Fprintf(&b, "account %s: %d messages, at most %d in any second, %s\n", a.Name, a.Messages, a.MaxInAnySecond, contract)
	}
	if v.LinkTests > 0 {
		fmt.Fprintf(&b, "link tests %d\n", v.LinkTests)
	}
	for _, n := range v.NotJudged {
		fmt.Fprintf(&b, "not judged: %s\n", n)
	}
	for _, f := range v.Faults {
		fmt.Fprintln(&b, f)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
