package verify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// ReadWarnings reads a file of warnings as Input.Warnings has it.
func ReadWarnings(path string) ([]*tocsinv1.Warning, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return readWarnings(raw)
}

// readWarnings reads warnings in the JSON of the contract: one or several objects, a list, or an answer of Get or List
// that holds them.
func readWarnings(b []byte) (out []*tocsinv1.Warning, err error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, byteOrderMark)))
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

// lane is a channel that reaches people by SMS.
type lane uint8

const (
	normal lane = iota
	flash
	lanes
)

var laneChannels = [lanes]tocsinv1.Channel{tocsinv1.Channel_CHANNEL_SMS, tocsinv1.Channel_CHANNEL_FLASH_SMS}

// telling is when people of a duty are told by a channel.
type telling uint8

const (
	never   telling = iota
	missing         // those of them who have no receipt by then
	atOnce
)

// duties is the names of duties, in the order of notice.tells.
var duties = [2]string{"public", "responsible"}

// tellingOf is when people of a duty are told by a channel. A warning that does not say tells everybody by its channels at once.
func tellingOf(w *tocsinv1.Warning, duty string, ch tocsinv1.Channel) telling {
	if len(w.GetTold()) == 0 {
		chs := w.GetSpec().GetChannels()
		if slices.Contains(chs, ch) || ch == tocsinv1.Channel_CHANNEL_SMS && len(chs) == 0 {
			return atOnce
		}
		return never
	}
	found := never
	for _, t := range w.GetTold() {
		for i, step := range t.GetSteps() {
			switch {
			case t.GetDuty() != duty || !slices.Contains(step.GetChannels(), ch):
			case i == 0:
				found = atOnce
			default:
				found = max(found, missing)
			}
		}
	}
	return found
}

// notice is a warning with the texts that may leave for it.
type notice struct {
	*tocsinv1.Warning
	g       *group
	follows int // index of the notice that it follows; -1: none
	uses    [lanes]bool
	tells   [2][lanes]telling // by duty: public, responsible
	rung    int               // of a call: how many people on duty; whose number is whose the logs do not say
	// texts by kind of words, lane and language of the directory.
	texts map[tocsinv1.Type]*[lanes][]int32
	area  area
}

// kinds is which words a warning speaks.
func kinds(t tocsinv1.Type) []tocsinv1.Type {
	if t == tocsinv1.Type_TYPE_UPDATE {
		return []tocsinv1.Type{tocsinv1.Type_TYPE_UPDATE, tocsinv1.Type_TYPE_ALERT, tocsinv1.Type_TYPE_LEFT}
	}
	return []tocsinv1.Type{max(t, tocsinv1.Type_TYPE_ALERT)}
}

// kind is the words of a warning for who is told of it first.
func (n *notice) kind() tocsinv1.Type { return kinds(n.GetSpec().GetType())[0] }

// call tells whether the engine made it for itself, to ring people on duty.
func (n *notice) call() bool { return n.GetSpec().GetType() == tocsinv1.Type_TYPE_CALL }

// spoken is the languages of a warning's words. People on duty stand in no directory that says theirs.
func spoken(s *tocsinv1.WarningSpec) (all []string) {
	for _, w := range s.GetWords() {
		if !slices.Contains(all, w.GetLanguage()) {
			all = append(all, w.GetLanguage())
		}
	}
	return all
}

// inside says that a person is in the area of a notice.
type inside struct {
	person, notice int32
	edge           bool // nobody can say whether: on the line of a converted outline, or entered as it ended
	entered        bool // after the release
}

// group is warnings that share words.
type group struct {
	notices []*notice
	v       WarningVerdict
	// Unix nanoseconds: from when, until when and (0: never) by when at the latest it may arrive.
	from, until, stop int64
	closed            bool // every one of it was stopped or expired before it was complete
	completions       [lanes][]int64
	firstAt           int64
	lastAt            int64
}

// expected is what is to be got by whom.
type expected struct {
	notices []*notice
	follow  []int // those that follow another
	groups  []*group
	groupOf []*group          // by text
	calls   map[int32]*notice // by text; the words of a call name its warning and the minute, so that no two share them
	inside  []inside          // by person, then notice
}

// read gives every warning its texts, and puts warnings with a text in common into one group.
func (x *expected) read(ws []*tocsinv1.Warning, p *people, lib *library) error {
	index := map[string]int{}
	for i, w := range ws {
		if _, twice := index[w.GetId()]; twice {
			return fmt.Errorf("warning %s: it is given twice", w.GetId())
		}
		if w.GetState() == tocsinv1.State_STATE_UNSPECIFIED {
			return fmt.Errorf("warning %s: it says no state that is known here: give it as get or list answers it", w.GetId())
		}
		index[w.GetId()] = i
	}
	parent := map[int32]int32{}
	var root func(int32) int32
	root = func(t int32) int32 {
		if up, ok := parent[t]; ok && up != t {
			parent[t] = root(up)
		} else {
			parent[t] = t
		}
		return parent[t]
	}
	x.calls = map[int32]*notice{}
	for _, w := range ws {
		n := &notice{Warning: w, follows: -1, texts: map[tocsinv1.Type]*[lanes][]int32{}}
		languages := p.languages
		if n.call() {
			if n.rung, languages = len(w.GetRung()), spoken(w.GetSpec()); len(languages) == 0 {
				return fmt.Errorf("warning %s: it is a call and has no words", w.GetId())
			}
		}
		x.notices = append(x.notices, n)
		for l, ch := range laneChannels {
			for d, duty := range duties {
				n.tells[d][l] = tellingOf(w, duty, ch)
				n.uses[l] = n.uses[l] || n.tells[d][l] != never
			}
		}
		if refs := w.GetSpec().GetReferences(); !n.call() && w.GetSpec().GetType() > tocsinv1.Type_TYPE_ALERT && len(refs) > 0 {
			o, ok := index[refs[0]]
			if !ok {
				return fmt.Errorf("warning %s: it follows %s, which is not among the warnings", w.GetId(), refs[0])
			}
			n.follows = o
			x.follow = append(x.follow, len(x.notices)-1)
		}
		first := int32(-1)
		for _, kind := range kinds(w.GetSpec().GetType()) {
			n.texts[kind] = &[lanes][]int32{}
			for l, ch := range laneChannels {
				for _, language := range languages {
					words := wordsFor(w.GetSpec(), kind, ch, language)
					if words == "" && (n.uses[l] || n.follows >= 0) {
						return fmt.Errorf("warning %s: it has no words of kind %s for SMS", w.GetId(), strings.TrimPrefix(kind.String(), "TYPE_"))
					}
					t := int32(-1)
					if words != "" {
						t = lib.text(text{words, l == int(flash)})
					}
					n.texts[kind][l] = append(n.texts[kind][l], t)
					if t < 0 {
						continue
					}
					if n.call() {
						x.calls[t] = n
					}
					if first < 0 {
						first = t
					}
					parent[root(t)] = root(first)
				}
			}
		}
	}
	x.groupOf = make([]*group, len(lib.texts))
	byRoot := map[int32]*group{}
	for _, n := range x.notices {
		for _, of := range n.texts {
			for _, list := range of {
				for _, t := range list {
					if t < 0 {
						continue
					}
					g := byRoot[root(t)]
					if g == nil {
						g = &group{closed: true}
						byRoot[root(t)] = g
						x.groups = append(x.groups, g)
					}
					x.groupOf[t], n.g = g, g
				}
			}
		}
		if n.g != nil { // else nobody has a number, or it has no words for SMS
			n.g.take(n)
		}
	}
	return nil
}

// look finds who is in the area of each warning.
func (x *expected) look(p *people, units map[string]area, who *Presence, moved *positions) error {
	for i, n := range x.notices {
		t := n.GetSpec().GetType()
		if n.g == nil || n.call() || n.GetReleasedAt() == nil || n.follows >= 0 && t != tocsinv1.Type_TYPE_UPDATE {
			continue
		}
		var err error
		if n.area, err = areaOf(n.GetSpec(), units); err != nil {
			return fmt.Errorf("warning %s: %w", n.GetId(), err)
		}
		from := len(x.inside)
		rows := p.rows
		if who == nil && !slices.ContainsFunc(n.GetSpec().GetAreas(), byHome) {
			rows = p.between(n.area.latitudes())
		}
		for k := range rows {
			r := &rows[k]
			where := who.counts(n.Warning, n.area, units, r)
			switch where {
			case out:
				continue
			case edge:
				n.g.v.OnEdge++
			case in:
				n.g.v.InArea++
			}
			switch {
			case r.person < 0:
				n.g.v.NoAddress++
			case r.out:
				n.g.v.OptedOut++
			default:
				x.inside = append(x.inside, inside{r.person, int32(i), where == edge, false})
			}
		}
		moved.entrants(n, func(person int32, where place) {
			if !p.out[person] {
				x.inside = append(x.inside, inside{person, int32(i), where == edge, true})
			}
		})
		own := x.inside[from:]
		slices.SortFunc(own, func(a, b inside) int {
			return cmp.Or(cmp.Compare(a.person, b.person), order(a.edge, b.edge), order(a.entered, b.entered))
		})
		// A number once; who is surely inside by one row is.
		own = slices.CompactFunc(own, func(a, b inside) bool { return a.person == b.person })
		for _, in := range own {
			if in.entered {
				n.g.v.Entered++
			}
		}
		x.inside = x.inside[:from+len(own)]
	}
	slices.SortFunc(x.inside, func(a, b inside) int {
		return cmp.Or(cmp.Compare(a.person, b.person), cmp.Compare(a.notice, b.notice))
	})
	return nil
}

// order puts what is sure before what is not.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// held tells whether the warning was held at a time, and had been for long enough. Of several with the same words nobody knows
// whose a message is.
func (g *group) held(at int64) bool {
	return len(g.notices) == 1 && slices.ContainsFunc(g.notices[0].GetHolds(), func(h *tocsinv1.Span) bool {
		return at > h.GetFrom().AsTime().UnixNano()+int64(stopGrace) && (h.GetTo() == nil || at < h.GetTo().AsTime().UnixNano())
	})
}

// neverReleased is later than anything.
const neverReleased = int64(1<<63 - 1)

// take adds a warning to a group. What a group allows is what any of its warnings allows.
func (g *group) take(w *notice) {
	g.notices = append(g.notices, w)
	g.v.Warnings = append(g.v.Warnings, w.GetId())
	from := neverReleased // nothing may arrive
	if w.GetReleasedAt() != nil {
		from = w.GetReleasedAt().AsTime().UnixNano()
	}
	until := w.GetSpec().GetExpires().AsTime().UnixNano()
	stop := int64(0)
	if s := w.GetState(); (s == tocsinv1.State_STATE_CANCELLED || s == tocsinv1.State_STATE_REPLACED) && w.GetEndedAt() != nil {
		stop = w.GetEndedAt().AsTime().UnixNano() + int64(stopGrace)
	}
	// What was complete before it was stopped was to have reached everybody.
	if live(w) || w.GetCompletedAt() != nil {
		g.closed = false
	}
	if len(g.notices) == 1 {
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
