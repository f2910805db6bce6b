package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// readWarnings reads warnings in the JSON of the contract: one or several objects, a list, or an answer of Get or List
// that holds them.
func readWarnings(b []byte) (out []*tocsinv1.Warning, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("warnings: %w", err)
		}
		list := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, fmt.Errorf("warnings: %w", err)
			}
		}
		for _, one := range list {
			var answer struct {
				Warning  json.RawMessage   `json:"warning"`
				Warnings []json.RawMessage `json:"warnings"`
			}
			if err := json.Unmarshal(one, &answer); err != nil {
				return nil, fmt.Errorf("warnings: %w", err)
			}
			inner := answer.Warnings
			if inner == nil {
				inner = []json.RawMessage{one}
			}
			if answer.Warning != nil {
				inner = []json.RawMessage{answer.Warning}
			}
			for _, x := range inner {
				w := &tocsinv1.Warning{}
				if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(x, w); err != nil {
					return nil, fmt.Errorf("warnings: %w", err)
				}
				if w.GetId() == "" || w.GetSpec() == nil {
					return nil, fmt.Errorf("warnings: number %d has no id or no spec", len(out)+1)
				}
				out = append(out, w)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("warnings: none")
	}
	return out, nil
}

// want says that a person is to get a text, so many times.
type want struct {
	person, text int32
	times        int32
}

// group is warnings that share words.
type group struct {
	warnings []*tocsinv1.Warning
	texts    map[int32]bool
	v        WarningVerdict
	// Unix nanoseconds: from when, until when and (0: never) by when at the latest it may arrive.
	from, until, stop int64
	closed            bool // every one of it was stopped or expired
	completions       []int64
	firstAt           int64
	lastAt            int64
}

// expect finds who is to get what of each warning. groupOf has the group of each text.
func expect(ws []*tocsinv1.Warning, p *people, units map[string]area, who *Presence, lib *library) (groups []*group, groupOf []int32, wants []want, err error) {
	// Texts first, so that warnings with a text in common fall into one group.
	byLanguage := make([][]int32, len(ws)) // text of each language of the directory
	parent := map[int32]int32{}
	var root func(int32) int32
	root = func(t int32) int32 {
		if parent[t] != t {
			parent[t] = root(parent[t])
		}
		return parent[t]
	}
	for i, w := range ws {
		for _, l := range p.languages {
			words := wordsFor(w.GetSpec(), l)
			if words == "" {
				return nil, nil, nil, fmt.Errorf("warning %s: it has no words of kind ALERT for SMS", w.GetId())
			}
			t := lib.text(words)
			if _, ok := parent[t]; !ok {
				parent[t] = t
			}
			byLanguage[i] = append(byLanguage[i], t)
			parent[root(t)] = root(byLanguage[i][0])
		}
	}
	index := map[int32]*group{}
	groupOf = make([]int32, len(lib.texts))
	for i, w := range ws {
		if len(p.languages) == 0 {
			break // nobody has a number
		}
		r := root(byLanguage[i][0])
		g := index[r]
		if g == nil {
			g = &group{texts: map[int32]bool{}, closed: true}
			index[r] = g
			groups = append(groups, g)
		}
		g.take(w)
		for _, t := range byLanguage[i] {
			g.texts[t] = true
		}
	}
	for i, g := range groups {
		for t := range g.texts {
			groupOf[t] = int32(i)
		}
	}
	for i, w := range ws {
		if len(p.languages) == 0 {
			break
		}
		a, err := areaOf(w.GetSpec(), units)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("warning %s: %w", w.GetId(), err)
		}
		g := groups[groupOf[byLanguage[i][0]]]
		from := len(wants)
		rows := p.rows
		if who == nil {
			rows = p.between(a.latitudes())
		}
		for k := range rows {
			r := &rows[k]
			if !who.counts(w, a, units, r) {
				continue
			}
			g.v.InArea++
			switch {
			case r.person < 0:
				g.v.NoAddress++
			case r.out:
				g.v.OptedOut++
			default:
				wants = append(wants, want{r.person, byLanguage[i][p.language[r.person]], 1})
			}
		}
		own := wants[from:]
		slices.SortFunc(own, compareWants)
		wants = wants[:from+len(slices.CompactFunc(own, func(a, b want) bool { return a == b }))] // a number once
	}
	slices.SortFunc(wants, compareWants)
	kept := wants[:0]
	for _, w := range wants {
		if n := len(kept); n > 0 && kept[n-1].person == w.person && kept[n-1].text == w.text {
			kept[n-1].times++
			continue
		}
		kept = append(kept, w)
	}
	return groups, groupOf, kept, nil
}

func compareWants(a, b want) int {
	if a.person != b.person {
		return int(a.person) - int(b.person)
	}
	return int(a.text) - int(b.text)
}

// take adds a warning to a group. What a group allows is what any of its warnings allows.
func (g *group) take(w *tocsinv1.Warning) {
	g.warnings = append(g.warnings, w)
	g.v.Warnings = append(g.v.Warnings, w.GetId())
	from := int64(1<<63 - 1) // never released: nothing may arrive
	if w.GetReleasedAt() != nil {
		from = w.GetReleasedAt().AsTime().UnixNano()
	}
	until := w.GetSpec().GetExpires().AsTime().UnixNano()
	stop := int64(0)
	if w.GetState() == tocsinv1.State_STATE_CANCELLED && w.GetEndedAt() != nil {
		stop = w.GetEndedAt().AsTime().UnixNano() + int64(stopGrace)
	}
	switch w.GetState() {
	case tocsinv1.State_STATE_RELEASED, tocsinv1.State_STATE_COMPLETED:
		g.closed = false
	}
	if len(g.warnings) == 1 {
		g.from, g.until, g.stop = from, until, stop
		return
	}
	g.from, g.until = min(g.from, from), max(g.until, until)
	if g.stop == 0 || stop == 0 {
		g.stop = 0
	} else {
		g.stop = max(g.stop, stop)
	}
}
