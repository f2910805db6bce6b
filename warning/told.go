package warning

import (
	"cmp"
	"slices"
	"time"
)

// Telling is by which channels people are told together: by Duty.
type Telling [2][]Channel

// Channels is all of them, those of responsible persons first.
func (t *Telling) Channels() []Channel {
	out := slices.Clone(t[Responsible])
	for _, ch := range t[Public] {
		if !slices.Contains(out, ch) {
			out = append(out, ch)
		}
	}
	return out
}

// Equal tells whether both say the same.
func (t *Telling) Equal(o Telling) bool {
	return slices.Equal(t[Public], o[Public]) && slices.Equal(t[Responsible], o[Responsible])
}

// Later is a step behind the first: channels for those people of a duty who have no receipt when the time is over.
type Later struct {
	After    time.Duration // the release
	Duty     Duty
	Channels []Channel
}

// Steps is by which channels people of a duty are told of a warning that is released at a time: the first at once, each
// other after a missing receipt. None: nobody is told. A step that would come when another row of the table counts is left
// out, with all behind it: what was to be said in the evening wakes nobody at night. Without a table everybody is told by
// all channels at once.
func (s *Spec) Steps(d Duty, released time.Time) []Step {
	if len(s.Table) == 0 {
		return []Step{{Channels: s.Channels}}
	}
	row := s.row(d, released)
	if row < 0 || len(s.Table[row].By) == 0 {
		return nil
	}
	steps, at := []Step{{Channels: s.Table[row].By}}, released
	for _, next := range s.Table[row].Then {
		if at = at.Add(next.After); s.row(d, at) != row {
			break
		}
		steps = append(steps, next)
	}
	return steps
}

// row is the first row of the table that fits, or -1.
func (s *Spec) row(d Duty, at time.Time) int {
	return slices.IndexFunc(s.Table, func(r ChannelRow) bool { return r.Fits(s.Tier, d, at) })
}

// Tells is by which channels people are told at once.
func (s *Spec) Tells(released time.Time) (t Telling) {
	for _, d := range Duties {
		if steps := s.Steps(d, released); len(steps) > 0 {
			t[d] = steps[0].Channels
		}
	}
	return t
}

// TellsAll is by which channels people are told in all steps.
func (s *Spec) TellsAll(released time.Time) (t Telling) {
	for _, d := range Duties {
		for _, step := range s.Steps(d, released) {
			for _, ch := range step.Channels {
				if !slices.Contains(t[d], ch) {
					t[d] = append(t[d], ch)
				}
			}
		}
	}
	return t
}

// Told is by which channels people of a duty are told; the times of the steps count from the release.
type Told struct {
	Duty  Duty
	Steps []Step
}

// ToldBy is who is told how, responsible persons first.
func (s *Spec) ToldBy(released time.Time) (out []Told) {
	for _, d := range []Duty{Responsible, Public} {
		t, after := Told{Duty: d}, time.Duration(0)
		for _, step := range s.Steps(d, released) {
			after += step.After
			t.Steps = append(t.Steps, Step{after, step.Channels})
		}
		out = append(out, t)
	}
	return out
}

// LaterSteps is the steps behind the first, in the order of their times; of one time those of responsible persons first.
func (s *Spec) LaterSteps(released time.Time) (out []Later) {
	if s.Type != Alert && s.Type != Update { // what follows goes by the channels that reached people
		return nil
	}
	for _, t := range s.ToldBy(released) {
		for i, step := range t.Steps {
			if i > 0 {
				out = append(out, Later{step.After, t.Duty, step.Channels})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Later) int { return cmp.Compare(a.After, b.After) })
	return out
}

// ReleaseAt is when the warning was released, and before that now.
func (w *Warning) ReleaseAt(now time.Time) time.Time {
	if w.ReleasedAt.IsZero() {
		return now
	}
	return w.ReleasedAt
}

// Due tells whether a channel is used by now, for people of whatever duty.
func (w *Warning) Due(ch Channel, now time.Time) bool {
	tells := w.Spec.Tells(w.ReleasedAt)
	return slices.Contains(tells.Channels(), ch) || slices.ContainsFunc(w.Spec.LaterSteps(w.ReleasedAt), func(l Later) bool {
		return slices.Contains(l.Channels, ch) && !now.Before(w.ReleasedAt.Add(l.After))
	})
}
