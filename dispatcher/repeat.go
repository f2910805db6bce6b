package dispatcher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is the commander's hand on area channels: a released warning is played again.

// Repeat is what a commander asks of area channels.
type Repeat struct {
	Channels []warning.Channel `json:"channels"`
	Units    []string          `json:"units"` // codes of 12 digits, within the warning's area; none: all of it
	Every    time.Duration     `json:"every"`
	Times    int               `json:"times"`
	Sound    *Sound            `json:"sound,omitempty"`
}

// Sound is a recorded voice.
type Sound struct {
	Name string `json:"name"` // file name without folder
	MPEG []byte `json:"mpeg"` // MPEG audio, at most 1 MiB
}

// Broadcast plays a released warning again on area channels: in all of its area or in some of its districts, never
// outside, with the same serial, and with a recorded voice where one is given.
func (e *Engine) Broadcast(ctx context.Context, c Caller, key, id string, r Repeat) (warning.Warning, error) {
	digest := requestDigest("warning.broadcast", []any{id, r})
	if w, ok, err := e.answered(ctx, c, key, digest); ok || err != nil {
		return w, err
	}
	w, err := e.Get(ctx, id)
	if err != nil {
		return w, err
	}
	if err := e.covers(c, &w); err != nil {
		return w, err
	}
	if w.State != warning.Released && w.State != warning.Completed {
		return w, warning.Refuse(warning.ReasonConflict, "the warning is %s; only a released one can be played again", w.State)
	}
	if !time.Now().Before(w.Spec.Expires) { // nothing of it would sound
		return w, warning.Refuse(warning.ReasonConflict, "the warning ended at %s", w.Spec.Expires.Format(time.RFC3339))
	}
	if err := errors.Join(r.audible(), e.within(&w, r.Units)); err != nil {
		return w, err
	}
	table, err := e.records.Table(ctx, TablePlays)
	if err != nil {
		return w, unavailable(err)
	}
	answer, err := json.Marshal(w)
	if err != nil {
		return w, err
	}
	a := Act{
		User: c.User, Key: key, Digest: digest, Answer: answer,
		Entry: Entry{
			At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "warning.broadcast", Subject: id,
			Detail: r.String(),
		},
		StateOf: id, State: w.State,
	}
	found := false
	for _, p := range e.platforms {
		field := PlayField(id, p.opt.Name)
		was, began := table[field]
		if !began || !slices.Contains(r.Channels, p.opt.Channel) {
			continue
		}
		found = true
		var play Play
		if err := json.Unmarshal(was, &play); err != nil {
			return w, fmt.Errorf("play %s: %w", field, err)
		}
		play.Left, play.Every, play.Units, play.Next, play.Sound = r.Times, r.Every, r.Units, time.Now().UTC(), r.Sound != nil
		b, err := json.Marshal(play)
		if err != nil {
			return w, err
		}
		sound := Put{Table: TableSounds, Field: field}
		if r.Sound != nil {
			if sound.Value, err = json.Marshal(r.Sound); err != nil {
				return w, err
			}
		}
		a.Puts = append(a.Puts, Put{Table: TablePlays, Field: field, Value: b, Was: was}, sound)
	}
	if !found {
		return w, warning.Refuse(warning.ReasonConflict, "the warning was not played on such a channel; name one of its area channels")
	}
	if _, err := e.records.Do(ctx, a); errors.Is(err, ErrChanged) {
		return e.Broadcast(ctx, c, key, id, r)
	} else if err != nil {
		return w, Refusal(err)
	}
	for _, p := range e.platforms {
		kick(p.wake)
	}
	return w, nil
}

// String is what the record of acts says of it.
func (r Repeat) String() string {
	s := fmt.Sprintf("%d times each %s, units %s", r.Times, r.Every, strings.Join(r.Units, " "))
	if r.Sound != nil {
		s += fmt.Sprintf(", with %s of SHA-256 %x", r.Sound.Name, sha256.Sum256(r.Sound.MPEG))
	}
	return s
}

// audible refuses a sound that nobody would hear.
func (r Repeat) audible() error {
	refuse := func(rule, detail, remedy string) error {
		return warning.Invalid(warning.Violation{Field: "audio", Rule: rule, Detail: detail, Remedy: remedy})
	}
	switch {
	case r.Sound == nil:
		return nil
	case slices.ContainsFunc(r.Channels, func(c warning.Channel) bool { return c != warning.Broadcast }):
		return refuse("broadcast.audio.channel", "only loudspeakers play a sound", "name the channel broadcast alone, or leave the sound out")
	case !bytes.HasPrefix(r.Sound.MPEG, []byte("ID3")) && (len(r.Sound.MPEG) < 2 || r.Sound.MPEG[0] != 0xFF || r.Sound.MPEG[1]&0xE0 != 0xE0):
		return refuse("broadcast.audio.form", r.Sound.Name+" is not MPEG audio (ISO/IEC 11172-3)", "record it as mp3")
	}
	return nil
}

// within refuses districts that the warning is not for.
func (e *Engine) within(w *warning.Warning, units []string) error {
	all, err := e.unitsOf(w)
	if err != nil {
		return err
	}
	for i, u := range units {
		if !slices.Contains(all, u) {
			return warning.Invalid(warning.Violation{
				Field: fmt.Sprintf("units[%d]", i), Rule: "broadcast.outside", Detail: u + " is outside the area of the warning",
				Remedy: "name districts of the warning, or submit a warning for this one",
			})
		}
	}
	return nil
}

// sound is what goes with the repeats of a play.
func (e *Engine) sound(ctx context.Context, id, account string) (*channels.Audio, error) {
	table, err := e.records.Table(ctx, TableSounds)
	if err != nil {
		return nil, err
	}
	var s Sound
	if err := json.Unmarshal(table[PlayField(id, account)], &s); err != nil {
		return nil, fmt.Errorf("sound of %s: %w", PlayField(id, account), err)
	}
	return &channels.Audio{Name: s.Name, Type: "audio/mpeg", Data: s.MPEG}, nil
}
