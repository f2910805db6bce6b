package verify

import (
	"slices"
)

// message is segments of one reference on their way to a whole text.
type message struct {
	ref   uint16
	total uint8
	have  uint8
	parts []int32 // bodies; -1: not there
	took  []int32 // their arrivals
	could int32   // set of texts that it can become
	any   int32   // set of texts of its first known piece
}

// judge goes over the people one by one.
type judge struct {
	lib     *library
	groups  []*group
	groupOf []int32
	v       *Verdict

	open   []message
	copies map[int32]*copies // texts that the person at hand has whole
	said   []wrong           // of the person at hand, so that people are counted and not texts
}

// wrong is what is counted once a person and group; a nil group is unattributed.
type wrong struct {
	g    *group
	kind wrongKind
}

type wrongKind uint8

const (
	wrongPerson wrongKind = iota
	wrongText
	incomplete
)

// count counts a wrong of the person at hand.
func (j *judge) count(g *group, kind wrongKind) {
	if w := (wrong{g, kind}); !slices.Contains(j.said, w) {
		j.said = append(j.said, w)
		sums := &j.v.Sums
		if g != nil {
			sums = &g.v.Sums
		}
		*[...]*int64{&sums.WrongPerson, &sums.WrongText, &sums.Incomplete}[kind]++
	}
}

// copies is how often a person has a text.
type copies struct {
	n        int64
	segments int64 // of one copy
	first    int64 // when the first was whole
	extra    int64 // segments beyond whole copies
}

// person judges one person: what arrived against what was wanted.
func (j *judge) person(as []arrival, wants []want) {
	clear(j.copies)
	j.said = j.said[:0]
	j.open = j.open[:0]
	for i := range as {
		if as[i].fate == accepted {
			j.place(as, int32(i))
		} else if could := j.lib.piece(&as[i]); could != 0 {
			j.clock(&as[i], could)
		}
	}
	wanted := func(t int32) *want {
		for i := range wants {
			if wants[i].text == t {
				return &wants[i]
			}
		}
		return nil
	}
	// What never became whole: pieces of a text that is there already are extra hand-offs, others are incomplete or wrong.
	for k := range j.open {
		m := &j.open[k]
		had := false
		for _, t := range j.lib.sets[m.could] {
			if c := j.copies[t]; c != nil {
				c.extra += int64(m.have)
				had = true
				break
			}
		}
		for i := range m.took {
			if m.parts[i] >= 0 {
				j.clock(&as[m.took[i]], m.could)
			}
		}
		if had {
			continue
		}
		g := j.blame(m, wants)
		switch {
		case g == nil || m.could == 0:
			j.count(g, wrongText)
		case !j.wantedOf(m.could, wants):
			j.count(g, wrongPerson)
		default:
			j.count(g, incomplete)
		}
	}
	for t, c := range j.copies {
		g := j.groups[j.groupOf[t]]
		w := wanted(t)
		if w == nil {
			if other := j.sameGroup(t, wants); other {
				j.count(g, wrongText) // the words of another language
			} else {
				j.count(g, wrongPerson)
			}
			continue
		}
		if extra := max(0, c.n-int64(w.times))*c.segments + c.extra; extra > 0 {
			g.v.Doubled++
			g.v.ExtraMessages += extra
		}
	}
	for i := range wants {
		w := &wants[i]
		g := j.groups[j.groupOf[w.text]]
		g.v.Expected++
		c := j.copies[w.text]
		switch {
		case c != nil && c.n >= int64(w.times):
			g.v.Got++
			g.completions = append(g.completions, c.first)
		case j.refusedForGood(as, w.text):
			g.v.Refused++
		case g.closed:
			g.v.Stopped++
		default:
			g.v.Lost++
		}
	}
}

// place puts a segment into the message that it fits, or begins one.
func (j *judge) place(as []arrival, i int32) {
	a := &as[i]
	could := j.lib.piece(a)
	at, spoilt := -1, -1
	for k := range j.open {
		m := &j.open[k]
		if m.ref != a.ref || m.total != a.total || m.parts[a.seq-1] >= 0 {
			continue
		}
		if j.lib.meet(m.could, could) != 0 {
			at = k
			break
		}
		if spoilt < 0 {
			spoilt = k
		}
	}
	if at < 0 && spoilt >= 0 && (could == 0 || j.open[spoilt].could == 0) {
		at = spoilt // a piece of nothing spoils the message that lacks it
	}
	if at < 0 {
		at = len(j.open)
		if at < cap(j.open) {
			j.open = j.open[:at+1]
		} else {
			j.open = append(j.open, message{})
		}
		m := &j.open[at]
		*m = message{ref: a.ref, total: a.total, parts: m.parts[:0], took: m.took[:0], could: could, any: could}
		for range a.total {
			m.parts = append(m.parts, -1)
			m.took = append(m.took, -1)
		}
	}
	m := &j.open[at]
	m.parts[a.seq-1], m.took[a.seq-1] = a.body, i
	m.could = j.lib.meet(m.could, could)
	if m.any == 0 {
		m.any = could
	}
	if m.have++; m.have == m.total {
		j.whole(as, m)
		// The last takes its place, with its slices, so that they are used again.
		last := len(j.open) - 1
		j.open[at], j.open[last] = j.open[last], j.open[at]
		j.open = j.open[:last]
	}
}

// whole takes a message whose segments are all there.
func (j *judge) whole(as []arrival, m *message) {
	t := j.lib.whole(m.parts)
	if t < 0 {
		j.spoilt(as, m)
		return
	}
	set := j.lib.set1(t)
	done := int64(0)
	for _, i := range m.took {
		j.clock(&as[i], set)
		done = max(done, as[i].at)
	}
	c := j.copies[t]
	if c == nil {
		c = &copies{segments: int64(m.total), first: done}
		j.copies[t] = c
	}
	c.n++
}

// spoilt counts a whole message that is no expected text, at the warning that a piece of it is of.
func (j *judge) spoilt(as []arrival, m *message) {
	if m.any == 0 {
		j.count(nil, wrongText)
		return
	}
	for _, i := range m.took {
		j.clock(&as[i], m.any)
	}
	j.count(j.groups[j.groupOf[j.lib.sets[m.any][0]]], wrongText)
}

// clock checks the time of an arrival against what all warnings allow whose text it can be.
func (j *judge) clock(a *arrival, could int32) {
	texts := j.lib.sets[could]
	if len(texts) == 0 {
		return
	}
	early, late, stopped := true, true, true
	for _, t := range texts {
		g := j.groups[j.groupOf[t]]
		early = early && a.at < g.from
		late = late && a.at > g.until
		stopped = stopped && g.stop != 0 && a.at > g.stop
	}
	g := j.groups[j.groupOf[texts[0]]]
	if g.firstAt == 0 || a.at < g.firstAt {
		g.firstAt = a.at
	}
	g.lastAt = max(g.lastAt, a.at)
	g.v.Messages++
	if early {
		g.v.BeforeApproval++
	}
	if late {
		g.v.AfterExpiry++
	}
	if stopped {
		g.v.AfterStop++
	}
}

// blame is the group that an unfinished message counts at: one whose text was wanted, else any; nil when no piece of it
// is known.
func (j *judge) blame(m *message, wants []want) *group {
	set := m.could
	if set == 0 {
		set = m.any
	}
	texts := j.lib.sets[set]
	if len(texts) == 0 {
		return nil
	}
	for _, w := range wants {
		if slices.Contains(texts, w.text) {
			return j.groups[j.groupOf[w.text]]
		}
	}
	return j.groups[j.groupOf[texts[0]]]
}

func (j *judge) wantedOf(set int32, wants []want) bool {
	for _, w := range wants {
		if slices.Contains(j.lib.sets[set], w.text) {
			return true
		}
	}
	return false
}

func (j *judge) sameGroup(text int32, wants []want) bool {
	for _, w := range wants {
		if j.groupOf[w.text] == j.groupOf[text] {
			return true
		}
	}
	return false
}

// refusedForGood tells whether the carrier refused a segment of the text and never took it later.
func (j *judge) refusedForGood(as []arrival, text int32) bool {
	for i := len(as) - 1; i >= 0; i-- {
		if as[i].fate == refused && slices.Contains(j.lib.sets[j.lib.piece(&as[i])], text) {
			return true
		}
	}
	return false
}
