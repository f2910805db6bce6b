package verify

import (
	"slices"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// message is segments of one reference on their way to a whole text.
type message struct {
	account uint16
	ref     uint16
	total   uint8
	have    uint8
	parts   []int32 // bodies; -1: not there
	took    []int32 // their arrivals
	could   int32   // set of texts that it can become
	any     int32   // set of texts of its first known piece
}

// judge goes over the people one by one.
type judge struct {
	lib  *library
	x    *expected
	p    *people
	v    *Verdict
	each func(Reach)

	wants  []want
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

// want says that a person is to get a text, or the other one in its place.
type want struct {
	n     *notice
	lane  lane
	text  int32
	other int32 // -1: none
	free  bool  // nobody can say whether the person is to get it
	times int32 // more than once where warnings share words
}

func (w *want) is(text int32) bool { return text >= 0 && (w.text == text || w.other == text) }

// person judges one person: what arrived against what was wanted.
func (j *judge) person(person int32, as []arrival, ins []inside) {
	clear(j.copies)
	j.said = j.said[:0]
	j.open = j.open[:0]
	for i := range as {
		if as[i].ours && j.lib.piece(&as[i]) == 0 {
			j.v.LinkTests++
			continue
		}
		if as[i].fate == accepted {
			j.place(as, int32(i))
		} else if could := j.of(as, i); could != 0 {
			j.clock(&as[i], could)
		}
	}
	j.want(person, as, ins)
	j.unfinished(as)
	for t, c := range j.copies {
		g := j.x.groupOf[t]
		at := slices.IndexFunc(j.wants, func(w want) bool { return w.is(t) })
		switch {
		case at < 0 && j.sameGroup(t):
			j.count(g, wrongText) // the words of another language
		case at < 0:
			j.count(g, wrongPerson)
		default:
			w := &j.wants[at]
			spare := int64(w.times)
			if t == w.other {
				spare = max(0, spare-j.had(w.text))
			}
			if extra := max(0, c.n-spare)*c.segments + c.extra; extra > 0 {
				g.v.Doubled++
				g.v.ExtraMessages += extra
			}
		}
	}
	for i := range j.wants {
		j.settle(person, as, &j.wants[i])
	}
}

// want finds what the person at hand is to get: alerts by place, and what follows by what arrived before.
func (j *judge) want(person int32, as []arrival, ins []inside) {
	j.wants = j.wants[:0]
	for i := range ins {
		n := j.x.notices[ins[i].notice]
		if n.follows >= 0 {
			continue
		}
		j.alert(n, n.kind(), person, ins[i].edge)
	}
	for _, k := range j.x.follow {
		n := j.x.notices[k]
		if n.GetReleasedAt() == nil {
			continue
		}
		at := slices.IndexFunc(ins, func(in inside) bool { return int(in.notice) == k })
		var in *inside
		if at >= 0 {
			in = &ins[at]
		}
		walked, unsure := j.walked(n, ins)
		j.follow(n, person, as, in, walked, unsure)
	}
	j.wantCalls(as)
	// A flash message that a carrier refuses falls back to SMS; who has that anyway is not rung twice.
	for i := range j.wants {
		if w := &j.wants[i]; w.lane == flash && j.had(w.text) == 0 && j.refusedForGood(as, w.text) {
			if fallen := j.sms(w.text); !slices.ContainsFunc(j.wants, func(o want) bool { return o.lane == normal && o.is(fallen) }) {
				w.other = fallen
			}
		}
	}
}

// alert wants the words of a kind for somebody by the channels of their duty; what comes after a missing receipt they may get.
func (j *judge) alert(n *notice, kind tocsinv1.Type, person int32, edge bool) {
	duty := 0
	if j.p.duty[person] {
		duty = 1
	}
	if n.tells[duty] == [lanes]telling{} {
		n.g.v.Untold++
	}
	for l := range lanes {
		if t := n.tells[duty][l]; t != never {
			j.add(want{n: n, lane: l, text: j.text(n, kind, l, person), other: -1, free: edge || t == missing})
		}
	}
}

// wantCalls takes whoever got a call, or was refused it, for one of those who were to be rung: how many these are is judged
// when everybody has been.
func (j *judge) wantCalls(as []arrival) {
	if len(j.x.calls) == 0 {
		return
	}
	rung := func(t int32) {
		l := normal
		if j.lib.texts[t].flash {
			l = flash
		}
		if n := j.x.calls[t]; n != nil && n.uses[l] && !slices.ContainsFunc(j.wants, func(w want) bool { return w.is(t) }) {
			j.add(want{n: n, lane: l, text: t, other: -1})
		}
	}
	for t := range j.copies {
		rung(t)
	}
	for i := range as {
		if texts := j.lib.sets[j.of(as, i)]; as[i].fate == refused && len(texts) == 1 {
			rung(texts[0])
		}
	}
}

// sms is the text with the same words by SMS, or -1.
func (j *judge) sms(t int32) int32 {
	n, ok := j.lib.number[text{j.lib.texts[t].words, false}]
	if !ok {
		return -1
	}
	return n
}

// walked tells whether somebody came into the area of a warning that n follows, after its release. The directory has them
// elsewhere, so that nobody can say to them that it no longer holds.
func (j *judge) walked(n *notice, ins []inside) (is, unsure bool) {
	for k := n.follows; k >= 0; k = j.x.notices[k].follows {
		for i := range ins {
			if int(ins[i].notice) == k && ins[i].entered {
				return true, ins[i].edge
			}
		}
	}
	return false, false
}

// follow finds what somebody is to get of a warning that follows another, by the channels that reached them. Whoever comes into
// the area of an update gets the warning, also when they were told before that it no longer holds for them.
func (j *judge) follow(n *notice, person int32, as []arrival, in *inside, walked, unsure bool) {
	o := j.x.notices[n.follows]
	update := n.GetSpec().GetType() == tocsinv1.Type_TYPE_UPDATE
	lives := in != nil && !in.entered
	reached := false
	for l := range lanes {
		sure, perhaps := j.reached(o, l, person, as)
		if !sure && !perhaps {
			continue
		}
		reached = true
		kind, other := n.kind(), int32(-1)
		free := !sure
		if update {
			left := j.onlyLeft(o, l, person)
			switch {
			case walked && !left:
				if !sure {
					other, free = j.text(n, tocsinv1.Type_TYPE_ALERT, l, person), false
				}
			case !lives && left:
				continue // they have heard that
			case !lives:
				kind = tocsinv1.Type_TYPE_LEFT
			case in.edge:
				other, free = j.text(n, tocsinv1.Type_TYPE_LEFT, l, person), true
			case !sure: // one of both, and nobody can say which
				other, free = j.text(n, tocsinv1.Type_TYPE_ALERT, l, person), false
			}
		}
		j.add(want{n: n, lane: l, text: j.text(n, kind, l, person), other: other, free: free})
	}
	switch {
	case !update:
	case in != nil && (!reached || in.entered && !walked):
		j.alert(n, tocsinv1.Type_TYPE_ALERT, person, in.edge)
	case walked && !reached:
		j.alert(n, tocsinv1.Type_TYPE_ALERT, person, unsure)
	}
}

// onlyLeft tells whether all that somebody has of an update by a lane is that it no longer holds for them.
func (j *judge) onlyLeft(o *notice, l lane, person int32) (only bool) {
	for kind := range o.texts {
		if t := j.text(o, kind, l, person); t >= 0 && j.had(t) > 0 {
			if only = kind == tocsinv1.Type_TYPE_LEFT; !only {
				return false
			}
		}
	}
	return only
}

// reached tells whether somebody has a warning by a lane, or may have it.
func (j *judge) reached(o *notice, l lane, person int32, as []arrival) (sure, perhaps bool) {
	for kind := range o.texts {
		t := j.text(o, kind, l, person)
		if t < 0 {
			continue
		}
		sure = sure || j.had(t) > 0
		for i := range as {
			perhaps = perhaps || as[i].fate != refused && j.isOf(as, i, t)
		}
	}
	return sure, perhaps
}

func (j *judge) text(n *notice, kind tocsinv1.Type, l lane, person int32) int32 {
	if int(person) >= len(j.p.language) {
		return -1 // of no directory
	}
	return n.texts[kind][l][j.p.language[person]]
}

// had is how often the person at hand has a text.
func (j *judge) had(t int32) int64 {
	if c := j.copies[t]; c != nil {
		return c.n
	}
	return 0
}

func (j *judge) add(w want) {
	if w.text < 0 {
		return
	}
	for i := range j.wants {
		if o := &j.wants[i]; o.text == w.text && o.other == w.other {
			o.times++
			o.free = o.free || w.free
			return
		}
	}
	w.times = 1
	j.wants = append(j.wants, w)
}

// isOf tells whether an arrival can be a segment of a text. Where warnings end in the same words, the other segments of its
// reference tell whose it is.
func (j *judge) isOf(as []arrival, i int, text int32) bool {
	a := &as[i]
	if !slices.Contains(j.lib.sets[j.lib.piece(a)], text) {
		return false
	}
	alone := true
	for k := range as {
		if o := &as[k]; o.account == a.account && o.ref == a.ref && o.total == a.total && o.seq != a.seq {
			if alone = false; slices.Contains(j.lib.sets[j.lib.piece(o)], text) {
				return true
			}
		}
	}
	return alone
}

// of is the set of texts that an arrival can be a segment of.
func (j *judge) of(as []arrival, i int) int32 {
	could := j.lib.piece(&as[i])
	if all := j.lib.sets[could]; len(all) > 1 && as[i].total > 1 {
		one := slices.DeleteFunc(slices.Clone(all), func(t int32) bool { return !j.isOf(as, i, t) })
		if len(one) > 0 {
			return j.lib.set(one)
		}
	}
	return could
}

// settle counts what became of a want.
func (j *judge) settle(person int32, as []arrival, w *want) {
	g, got := w.n.g, j.had(w.text)
	if w.other >= 0 {
		got += j.had(w.other)
	}
	if w.free && got == 0 {
		return
	}
	s := &g.v.Lanes[w.lane]
	if s.Channel == "" {
		s.Channel = laneName(w.lane)
	}
	s.Expected++
	switch {
	case w.lane == flash && j.had(w.text) == 0 && j.refusedForGood(as, w.text) && j.had(j.sms(w.text)) > 0:
		s.Moved++
	case got >= int64(w.times):
		s.Got++
		at := int64(0)
		for _, t := range []int32{w.text, w.other} {
			if c := j.copies[t]; c != nil && (at == 0 || c.first < at) {
				at = c.first
			}
		}
		g.completions[w.lane] = append(g.completions[w.lane], at)
		if j.each != nil && !w.n.call() { // who is on duty has no place
			j.each(Reach{Warning: w.n.GetId(), Channel: s.Channel, Lon: j.p.home[person].x, Lat: j.p.home[person].y, At: at})
		}
	case j.refusedForGood(as, w.text):
		s.Refused++
	case g.closed:
		s.Stopped++
	default:
		s.Lost++
	}
}

// unfinished counts what never became whole: pieces of a text that is there already are extra hand-offs, others are
// incomplete or wrong.
func (j *judge) unfinished(as []arrival) {
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
		g := j.blame(m)
		switch {
		case g == nil || m.could == 0:
			j.count(g, wrongText)
		case !j.wantedOf(m.could) && j.x.calls[j.lib.sets[m.could][0]] == nil:
			j.count(g, wrongPerson)
		default:
			j.count(g, incomplete)
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
		if m.account != a.account || m.ref != a.ref || m.total != a.total || m.parts[a.seq-1] >= 0 {
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
		*m = message{account: a.account, ref: a.ref, total: a.total, parts: m.parts[:0], took: m.took[:0], could: could, any: could}
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
	j.count(j.x.groupOf[j.lib.sets[m.any][0]], wrongText)
}

// clock checks the time of an arrival against what all warnings allow whose text it can be.
func (j *judge) clock(a *arrival, could int32) {
	texts := j.lib.sets[could]
	if len(texts) == 0 {
		return
	}
	early, late, stopped, open := true, true, true, a.fate == accepted
	until := j.lib.bodies[a.body].until
	for _, t := range texts {
		g := j.x.groupOf[t]
		early = early && a.at < g.from
		late = late && a.at > g.until
		stopped = stopped && (g.stop != 0 && a.at > g.stop || g.held(a.at))
		open = open && (until == 0 || until > (g.until+int64(time.Second)-1)/int64(time.Second))
	}
	g := j.x.groupOf[texts[0]]
	if i := slices.IndexFunc(texts, func(t int32) bool { return a.at >= j.x.groupOf[t].from }); i >= 0 {
		g = j.x.groupOf[texts[i]] // the words of one that was not released yet are another's
	}
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
	if open {
		g.v.OpenEnded++
	}
}

// blame is the group that an unfinished message counts at: one whose text was wanted, else any; nil when no piece of it
// is known.
func (j *judge) blame(m *message) *group {
	set := m.could
	if set == 0 {
		set = m.any
	}
	texts := j.lib.sets[set]
	if len(texts) == 0 {
		return nil
	}
	for _, w := range j.wants {
		if slices.ContainsFunc(texts, w.is) {
			return w.n.g
		}
	}
	return j.x.groupOf[texts[0]]
}

func (j *judge) wantedOf(set int32) bool {
	return slices.ContainsFunc(j.wants, func(w want) bool { return slices.ContainsFunc(j.lib.sets[set], w.is) })
}

// sameGroup tells whether the person at hand is to get other words of the group by the same lane.
func (j *judge) sameGroup(t int32) bool {
	return slices.ContainsFunc(j.wants, func(w want) bool {
		return w.n.g == j.x.groupOf[t] && (w.lane == flash) == j.lib.texts[t].flash
	})
}

// refusedForGood tells whether the carrier refused a segment of the text and never took it later.
func (j *judge) refusedForGood(as []arrival, text int32) bool {
	for i := len(as) - 1; i >= 0; i-- {
		if as[i].fate == refused && j.isOf(as, i, text) {
			return true
		}
	}
	return false
}
