package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is the lanes of area channels: one message for each warning and account, never people. A platform is owned
// by one process like any account. What is to be played is written down before it leaves, with a serial that stays the
// same at every repeat (promise 3); what was cancelled or replaced is stopped where the platform can.

// AreaOptions is one contract with one platform.
type AreaOptions struct {
	channels.AreaAccount
	Protocol string
}

// Play is one warning on one platform, as it is recorded: TablePlays, field PlayField.
type Play struct {
	Serial   uint32            `json:"serial"`
	State    warning.PlayState `json:"state"`
	Why      string            `json:"why,omitempty"` // the platform's own words
	Tries    int               `json:"tries"`
	Messages int               `json:"messages"` // handed over, repeats counted
	Next     time.Time         `json:"next,omitzero"`
	First    time.Time         `json:"first,omitzero"` // handed over first
	Stopped  bool              `json:"stopped,omitempty"`
	// Related is the serial of the play that this one follows or ends, RelatedSent when that one was released.
	Related     uint32        `json:"related,omitempty"`
	RelatedSent time.Time     `json:"related_sent,omitzero"`
	Coverage    *AreaCoverage `json:"coverage,omitempty"`
	// Left repeats that a commander asked for, each Every, in these Units only (empty: all of the warning's).
	Left  int           `json:"left,omitempty"`
	Every time.Duration `json:"every,omitempty"`
	Units []string      `json:"units,omitempty"`
	Sound bool          `json:"sound,omitempty"` // these repeats have a sound of their own: TableSounds, the same field
}

// AreaCoverage is the platform's word, never people.
type AreaCoverage struct {
	State   string    `json:"state"`
	Rate    float64   `json:"rate"` // -1: it does not say
	Reached int64     `json:"reached"`
	Failed  int64     `json:"failed"`
	Detail  string    `json:"detail,omitempty"`
	At      time.Time `json:"at"`
}

// PlayField is the field of a play in TablePlays.
func PlayField(id, account string) string { return id + "/" + account }

// The times of a platform.
const (
	areaEvery     = 200 * time.Millisecond // between two looks at what is to be played
	coverageEvery = 5 * time.Second
	areaCall      = 30 * time.Second
	areaRetry     = 30 * time.Second // at most, between two tries
)

// platform plays on one platform while this process owns it.
type platform struct {
	opt     AreaOptions
	e       *Engine
	adapter channels.AreaAdapter
	log     *zap.Logger
	wake    chan struct{}
	fence   Fence // of the ownership that turns; whoever owns has it

	mu        sync.Mutex // guards what follows
	carrier   channels.AreaCarrier
	lastError string
}

func newPlatform(e *Engine, o AreaOptions, adapter channels.AreaAdapter) *platform {
	return &platform{opt: o, e: e, adapter: adapter, log: e.log.With(zap.String("platform", o.Name)), wake: make(chan struct{}, 1)}
}

func (p *platform) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastError != err.Error() {
		p.lastError = err.Error()
		p.log.Warn("the platform is not reached or another process has it; it is tried again", zap.Error(err))
	}
}

// run owns the platform again and again until ctx ends.
func (p *platform) run(ctx context.Context) {
	for ctx.Err() == nil {
		f, err := p.e.acquire(ctx, p.opt.Name, "", 0, p.note)
		if err != nil {
			continue
		}
		if err := p.own(ctx, f); err != nil && ctx.Err() == nil {
			p.note(err)
			pause(ctx, beatEvery)
		}
	}
}

func (p *platform) own(ctx context.Context, f Fence) error {
	carrier, err := p.adapter.Open(p.opt.AreaAccount)
	if err != nil {
		return fmt.Errorf("open the platform: %w", err)
	}
	p.mu.Lock()
	p.carrier = carrier
	p.mu.Unlock()
	p.fence = f
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() { failed <- p.beat(ctx, f); cancel() })
	for ctx.Err() == nil {
		if err := p.turn(ctx, carrier); err != nil && ctx.Err() == nil {
			p.note(err)
		}
		wait(ctx, p.wake, areaEvery)
	}
	cancel()
	group.Wait()
	p.mu.Lock()
	p.carrier = nil
	p.mu.Unlock()
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer stop()
	return errors.Join(<-failed, carrier.Close(end), p.e.queue.Release(end, f))
}

func (p *platform) beat(ctx context.Context, f Fence) error {
	for ctx.Err() == nil {
		if _, err := p.e.queue.Beat(ctx, f); errors.Is(err, ErrFenced) {
			return err
		}
		pause(ctx, beatEvery)
	}
	return nil
}

// turn does what is due for the warnings that this platform serves, the most urgent first, once for each. A call may take half
// a minute: what is done next is decided anew behind each, so that nothing is played that was stopped meanwhile.
func (p *platform) turn(ctx context.Context, c channels.AreaCarrier) error {
	done := map[string]bool{}
	var all error
	for ctx.Err() == nil {
		id, err := p.first(ctx, c, done)
		all = errors.Join(all, err)
		if id == "" || errors.Is(err, ErrFenced) {
			break
		}
		done[id] = true // also where it failed: it keeps no other from being played
	}
	return all
}

// first does what is due for the first warning for which anything is, and answers which that was.
func (p *platform) first(ctx context.Context, c channels.AreaCarrier, done map[string]bool) (string, error) {
	list, err := p.e.records.Warnings(ctx, []warning.State{
		warning.Released, warning.Completed, warning.Held, warning.Cancelled, warning.Replaced,
	}, 0)
	if err != nil {
		return "", err
	}
	slices.SortStableFunc(list, func(a, b warning.Warning) int { return int(a.Spec.Tier) - int(b.Spec.Tier) })
	plays, err := p.e.plays(ctx)
	if err != nil {
		return "", err
	}
	for i := range list {
		w := &list[i]
		if done[w.ID] || !w.Due(p.opt.Channel, time.Now()) || !slices.Contains(p.opt.Statuses, w.Spec.Status) {
			continue
		}
		play, began := plays[PlayField(w.ID, p.opt.Name)]
		if did, err := p.attend(ctx, c, w, play, began, plays); did || err != nil {
			return w.ID, err
		}
	}
	return "", nil
}

// attend does what is due for one warning, and answers whether that was anything.
func (p *platform) attend(ctx context.Context, c channels.AreaCarrier, w *warning.Warning, play Play, began bool, plays map[string]Play) (bool, error) {
	now := time.Now().UTC()
	live := (w.State == warning.Released || w.State == warning.Completed) && now.Before(w.Spec.Expires)
	switch {
	case !live && w.State != warning.Held && began && play.State.Reached() && !play.Stopped && now.Before(w.Spec.Expires):
		return true, p.stop(ctx, c, w, play)
	case !live || began && play.rests(now):
		return false, nil
	case !began && w.Spec.Type != warning.Alert:
		told, err := p.follow(ctx, w, &play, plays)
		if err != nil || !told && w.Spec.Type != warning.Update { // nobody heard what it ends
			return false, err
		}
		return true, p.play(ctx, c, w, play, began, plays)
	case !began, play.State == warning.PlayWaiting, play.State == warning.PlaySending, play.State == warning.PlayUnknown, play.Left > 0:
		return true, p.play(ctx, c, w, play, began, plays)
	case play.State == warning.PlayHandedOver:
		return p.cover(ctx, c, w, play)
	}
	return false, nil
}

// follow says which play of this platform a follow-up follows; told is false where there is none that may have been heard.
func (p *platform) follow(ctx context.Context, w *warning.Warning, play *Play, plays map[string]Play) (told bool, err error) {
	for _, id := range w.Spec.References {
		of, began := plays[PlayField(id, p.opt.Name)]
		if !began || !of.heard() {
			continue
		}
		o, err := p.e.warning(ctx, id)
		if err != nil {
			return false, err
		}
		play.Related, play.RelatedSent = of.Serial, o.ReleasedAt
		return true, nil
	}
	return false, nil
}

// heard tells whether somebody may have heard it, also where it was stopped since.
func (p *Play) heard() bool {
	return p.State.Reached() || p.State == warning.PlayCancelled || p.Messages > 0
}

// play hands the message over: it is written down before any byte leaves, and its outcome after.
func (p *platform) play(ctx context.Context, c channels.AreaCarrier, w *warning.Warning, play Play, began bool, plays map[string]Play) error {
	if !began {
		for field, other := range plays {
			if strings.HasSuffix(field, "/"+p.opt.Name) {
				play.Serial = max(play.Serial, other.Serial)
			}
		}
		play.Serial++
	}
	repeat := began && play.State.Reached()
	units := play.Units
	if !repeat || len(units) == 0 {
		var err error
		if units, err = p.e.unitsOf(w); err != nil {
			return err
		}
	}
	asked := play
	play.Tries++
	if !repeat {
		play.State = warning.PlaySending
	}
	m := p.message(w, &play, units)
	if repeat && play.Sound {
		var err error
		if m.Audio, err = p.e.sound(ctx, w.ID, p.opt.Name); err != nil {
			return err
		}
	}
	if err := p.keepBehind(ctx, w.ID, w.State, asked, play); errors.Is(err, ErrChanged) {
		return nil // somebody has stopped it since it was looked at: the next look decides
	} else if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, areaCall)
	defer cancel()
	o := c.Play(call, m)
	now := time.Now().UTC()
	play.Why = o.Detail
	var done []Put
	if repeat && (o.Kind == channels.HandedOver || o.Kind == channels.Refused) { // else it is tried again
		play.Left--
		play.Next = now.Add(play.Every)
		if play.Left <= 0 && play.Sound {
			play.Sound = false
			done = []Put{{Table: TableSounds, Field: PlayField(w.ID, p.opt.Name)}}
		}
	}
	switch o.Kind {
	case channels.HandedOver:
		play.State = warning.PlayHandedOver
		play.Messages++
		if play.First.IsZero() {
			play.First = now
		}
		if !repeat {
			play.Next, play.Tries = now.Add(time.Second), 0
		}
	case channels.Refused:
		play.State = warning.PlayRefused
	case channels.Unknown:
		play.State, play.Next = warning.PlayUnknown, now.Add(retryAfter(play.Tries))
	default:
		if !repeat {
			play.State = warning.PlayWaiting
		}
		play.Next = now.Add(retryAfter(play.Tries))
	}
	return p.keepBehind(context.WithoutCancel(ctx), w.ID, 0, asked, play, done...)
}

// retryAfter doubles from a second to half a minute: a warning's worth is measured in minutes.
func retryAfter(tries int) time.Duration {
	return min(time.Second<<min(tries, 5), areaRetry)
}

// rests tells whether nothing is to be done yet. What would rest for longer than it ever may was written before the clock was
// set back.
func (p *Play) rests(now time.Time) bool {
	left := p.Next.Sub(now)
	return left > 0 && left <= max(p.Every, areaRetry)
}

// stop ends what the platform plays, where it can; where it cannot, the correction's own message tells people.
func (p *platform) stop(ctx context.Context, c channels.AreaCarrier, w *warning.Warning, play Play) error {
	asked := play
	stopper, ok := c.(channels.AreaStopper)
	if ok {
		units, err := p.e.unitsOf(w)
		if err != nil {
			return err
		}
		call, cancel := context.WithTimeout(ctx, areaCall)
		defer cancel()
		o := stopper.Stop(call, p.message(w, &play, units))
		if o.Kind != channels.HandedOver {
			p.note(fmt.Errorf("stop of %s: %s", w.ID, o.Detail))
		}
		switch o.Kind {
		case channels.Retry, channels.Unknown:
			return nil
		case channels.Refused: // it plays on
			ok, play.Why = false, o.Detail
		}
	}
	play.Stopped = true
	if ok {
		play.State = warning.PlayCancelled
	}
	return p.keepBehind(ctx, w.ID, 0, asked, play)
}

// cover asks how far the platform has come, unless it cannot say or is through; it answers whether it asked.
func (p *platform) cover(ctx context.Context, c channels.AreaCarrier, w *warning.Warning, play Play) (bool, error) {
	reporter, ok := c.(channels.AreaReporter)
	if !ok || play.Coverage != nil && play.Coverage.State == "played" {
		return false, nil
	}
	units, err := p.e.unitsOf(w)
	if err != nil {
		return false, err
	}
	asked := play
	call, cancel := context.WithTimeout(ctx, areaCall)
	defer cancel()
	now := time.Now().UTC()
	play.Next = now.Add(coverageEvery)
	cov, err := reporter.Coverage(call, p.message(w, &play, units))
	if err != nil {
		p.note(fmt.Errorf("coverage of %s: %w", w.ID, err))
	} else {
		play.Coverage = &AreaCoverage{State: cov.State.String(), Rate: cov.Rate, Reached: cov.Reached, Failed: cov.Failed, Detail: cov.Detail, At: now}
	}
	return true, p.keepBehind(ctx, w.ID, 0, asked, play)
}

// message is what a platform gets.
func (p *platform) message(w *warning.Warning, play *Play, units []string) channels.AreaMessage {
	language := warning.Languages[0]
	m := channels.AreaMessage{
		Warning: w.ID, Version: w.Version, Serial: play.Serial, Status: w.Spec.Status, Type: w.Spec.Type, Tier: w.Spec.Tier,
		Event: w.Spec.Event, EventName: w.Spec.EventName, Issuer: strings.Join(w.Spec.Issuers, "、"), Language: language,
		Text: w.Spec.TextFor(w.Spec.Type, p.opt.Channel, language), Units: units,
		Sent: w.ReleasedAt, Starts: w.Spec.Onset, Expires: w.Spec.Expires,
		Related: play.Related, RelatedSent: play.RelatedSent,
	}
	m.Title = warning.HeadlineOf(&w.Spec)
	return m
}

// plays is what was played or is to be, by PlayField.
func (e *Engine) plays(ctx context.Context) (map[string]Play, error) {
	table, err := e.records.Table(ctx, TablePlays)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Play, len(table))
	for field, b := range table {
		var p Play
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, fmt.Errorf("play %s: %w", field, err)
		}
		out[field] = p
	}
	return out, nil
}

// repeatsAs tells whether two states of a play have the same repeats before them.
func (p *Play) repeatsAs(o *Play) bool {
	return p.Left == o.Left && p.Every == o.Every && p.Next.Equal(o.Next) && p.Sound == o.Sound && slices.Equal(p.Units, o.Units)
}

// keepBehind writes what came of a call to a platform, or that one follows: then the warning must be in the state that was
// looked at, else ErrChanged. Asked is the play as it was before: what a commander has asked for since then, of this process or
// another, stays. Whoever does not own the platform any more writes nothing.
func (p *platform) keepBehind(ctx context.Context, id string, looked warning.State, asked, play Play, puts ...Put) error {
	field := PlayField(id, p.opt.Name)
	for {
		table, err := p.e.records.Table(ctx, TablePlays)
		if err != nil {
			return err
		}
		next, a, was := play, Act{Fence: p.fence, Puts: puts}, table[field]
		if was == nil {
			was = []byte{}
		} else {
			var now Play
			if err := json.Unmarshal(was, &now); err != nil {
				return fmt.Errorf("play %s: %w", field, err)
			}
			if !now.repeatsAs(&asked) {
				next.Left, next.Every, next.Next, next.Sound, next.Units = now.Left, now.Every, now.Next, now.Sound, now.Units
				a.Puts = nil // the sound is that of the new repeats
			}
		}
		put := Put{Table: TablePlays, Field: field, Was: was}
		if put.Value, err = json.Marshal(next); err != nil {
			return err
		}
		a.Puts = append(a.Puts[:len(a.Puts):len(a.Puts)], put)
		if looked != 0 {
			a.StateOf, a.State = id, looked
		}
		if _, err = p.e.records.Do(ctx, a); looked != 0 || !errors.Is(err, ErrChanged) {
			return err
		}
	}
}

// unitsOf is the 12-digit codes of the districts of a warning: those it names, and for drawn areas those where people
// live in them.
func (e *Engine) unitsOf(w *warning.Warning) ([]string, error) {
	var out []string
	drawn := false
	for _, a := range w.Spec.Areas {
		if a.Unit != "" {
			out = append(out, (a.Unit + "000000")[:12])
		} else {
			drawn = true
		}
	}
	if drawn {
		r, err := e.resolve(w.Spec, w.ReleasedAt)
		if err != nil {
			return nil, err
		}
		for _, u := range r.units {
			out = append(out, u.Code+"000000")
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// playsOf is how far each platform has come with a warning.
func (e *Engine) playsOf(ctx context.Context, id string) (out []ReportPlay, err error) {
	if len(e.platforms) == 0 {
		return nil, nil
	}
	plays, err := e.plays(ctx)
	for _, p := range e.platforms {
		if play, ok := plays[PlayField(id, p.opt.Name)]; ok {
			out = append(out, ReportPlay{Platform: p.opt.Name, Channel: p.opt.Channel, Play: play})
		}
	}
	return out, err
}
