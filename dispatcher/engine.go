package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// Policy is who must agree, and from where on more is asked (promise 6). It sees a warning and numbers, and is pure.
type Policy interface {
	// ApprovalsFor is how many people beside the submitter must agree to a warning that covers a share of the
	// jurisdiction.
	ApprovalsFor(s *warning.Spec, share float64) (people int, headCount bool)
	// HeadCount refuses an approval where the head count must be typed in and was not; grown says that more people are
	// there than were approved.
	HeadCount(w *warning.Warning, share float64, people, typed int64) (grown bool, err error)
	// Admit refuses an area that reaches too far out of the jurisdiction; what it lets pass the note reports.
	Admit(o warning.Outside) (note string, err error)
	// MayDrill refuses a drill with real people to those who have no permission for it.
	MayDrill(user string, s warning.Status) error
	// Presence is who counts as being in the area of a warning of a tier that is released at a time.
	Presence(t warning.Tier, at time.Time) warning.Presence
	// PreAuthorised is the paper by which a user may release the warning alone; inside tells whether all of its areas lie
	// inside units.
	PreAuthorised(user string, s *warning.Spec, now time.Time, inside func(units []string) bool) (warning.PreAuthorisation, bool)
	// ReviewOf is the review that a release under a paper opens, Emergency that of a commander's release in an emergency,
	// which it refuses where it may not be.
	ReviewOf(w *warning.Warning, a warning.PreAuthorisation, user string, now time.Time) warning.Review
	Emergency(w *warning.Warning, user string, role warning.Role, why string, now time.Time) (warning.Review, error)
	// TableFor is who is told by which channels, of those that are served, of a warning that names none.
	TableFor(t warning.Tier, served func(warning.Channel) bool) []warning.ChannelRow
	// Digest names the policy.
	Digest() string
}

// Wording completes the words of a spec: those that are made from the official pattern, and the correction and all-clear
// that stand ready from the submission. It refuses contacts that nobody has verified. before is what an update follows.
type Wording func(s warning.Spec, before *warning.Spec, at time.Time) (warning.Spec, error)

// Segmenter cuts words as a channel would: what a person gets, and in which coding.
type Segmenter func(text string, ch warning.Channel) (segments []string, coding string, err error)

// Options is all that an Engine needs.
type Options struct {
	Node      string
	Records   Records
	Queue     Queue
	Directory Directory
	Land      Land
	Fences    Fences
	Epochs    EpochStore
	Adapters  map[string]channels.Adapter // by protocol
	Accounts  []AccountOptions
	Numbers   *Numbers // nil: prefixes of accounts alone say who carries whom
	FailOver  FailOver
	Areas     map[string]channels.AreaAdapter // by protocol
	Platforms []AreaOptions
	Policy    func() Policy // the one in force now
	Segments  Segmenter
	Words     Wording                      // nil: words are taken as they are given
	Duty      Duty                         // without Roster nobody is rung
	Seal      func(context.Context) string // over the record of acts as it is now; called at each release
	Keep      time.Duration                // after the end of its validity, until a warning is deleted; 0: for ever
	Log       *zap.Logger
}

// Engine takes warnings in and sees them through.
type Engine struct {
	node     string
	records  Records
	queue    Queue
	dir      Directory
	land     Land
	epochs   EpochStore
	routing  atomic.Pointer[routing]
	census   census
	beyond   perBlock[[]abroad]
	policy   func() Policy
	segments Segmenter
	words    Wording
	duty     Duty
	seal     func(context.Context) string
	keepFor  time.Duration
	log      *zap.Logger

	adapters  map[string]channels.Adapter
	platforms []*platform
	patrol    *patrol
	nodes     nodes
	began     time.Time
	plan      chan struct{} // something may be to plan
	departed  departures
	toStore   plansToStore
	ahead     chan struct{} // something waits for approval
	resolves  chan struct{} // those that are under way

	changing sync.Mutex         // held while accounts come and go; taken before all others
	unowned  map[string]unowned // where people wait, by account; changing guards it

	mu         sync.Mutex       // guards what follows
	accounts   []*account       // a list is never changed, only replaced
	start      func(a *account) // runs it; nil: the engine does not run yet
	known      map[string]warning.Warning
	recent     []*resolved
	released   map[string]released
	unfinished map[string]uint64 // warnings whose plan needs another part, and which asking that was
	asked      uint64
	moved      map[string]int64 // people who had moved to another channel when the plan was last looked at
	lastWell   atomic.Int64     // when a durable write came back last, in ns since 1970
}

// New is an engine that does nothing before Run.
func New(o Options) (*Engine, error) {
	e := &Engine{
		node: o.Node, records: o.Records, queue: o.Queue, dir: o.Directory, land: o.Land, epochs: o.Epochs, adapters: o.Adapters,
		policy: o.Policy, segments: o.Segments, words: o.Words, duty: o.Duty, seal: o.Seal, keepFor: o.Keep, log: o.Log, began: time.Now(),
		plan: make(chan struct{}, 1), ahead: make(chan struct{}, 1), resolves: make(chan struct{}, resolvesAtOnce),
		known: map[string]warning.Warning{}, released: map[string]released{}, unfinished: map[string]uint64{}, moved: map[string]int64{},
		unowned: map[string]unowned{},
	}
	if o.FailOver == (FailOver{}) {
		o.FailOver = UsualFailOver()
	}
	e.routing.Store(&routing{accounts: o.Accounts, numbers: o.Numbers, failOver: o.FailOver})
	e.patrol = newPatrol(e, o.Fences)
	for _, opt := range o.Accounts {
		a, err := e.newAccount(opt)
		if err != nil {
			return nil, err
		}
		e.accounts = append(e.accounts, a)
	}
	for _, p := range o.Platforms {
		adapter, ok := o.Areas[p.Protocol]
		if !ok {
			return nil, fmt.Errorf("platform %s: no adapter for protocol %q", p.Name, p.Protocol)
		}
		e.platforms = append(e.platforms, newPlatform(e, p, adapter))
	}
	return e, nil
}

// Run works until ctx ends: owns accounts, plans, completes, expires. It returns when nothing is under way any more.
func (e *Engine) Run(ctx context.Context) {
	var group sync.WaitGroup
	e.mu.Lock()
	e.start = func(a *account) {
		own, stop := context.WithCancel(ctx)
		a.stop = stop
		group.Go(func() { a.run(own) })
	}
	for _, a := range e.accounts {
		e.start(a)
	}
	e.mu.Unlock()
	for _, p := range e.platforms {
		group.Go(func() { p.run(ctx) })
	}
	group.Go(func() { e.plans(ctx) })
	group.Go(func() { e.learnsAhead(ctx) })
	group.Go(func() { e.preparePlans(ctx) })
	group.Go(func() { e.watchEnds(ctx) })
	group.Go(func() { e.watchStranded(ctx) })
	group.Go(func() { e.pulses(ctx) })
	group.Go(func() { e.patrol.run(ctx) })
	group.Go(func() { e.watchArchive(ctx) })
	group.Go(func() { e.rings(ctx) })
	group.Go(func() { e.watchRoutes(ctx) })
	group.Wait()
}

// all is the accounts of this process.
func (e *Engine) all() []*account {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.accounts
}

// newAccount is an account that does not run yet.
func (e *Engine) newAccount(opt AccountOptions) (*account, error) {
	adapter, ok := e.adapters[opt.Protocol]
	if !ok {
		return nil, fmt.Errorf("account %s: no adapter for protocol %q", opt.Name, opt.Protocol)
	}
	return newAccount(e, opt, adapter), nil
}

// warning is the record of a warning for those who only need what never changes in it: of one that is released its words,
// and the time from which its ledgers count.
func (e *Engine) warning(ctx context.Context, id string) (warning.Warning, error) {
	e.mu.Lock()
	w, ok := e.known[id]
	e.mu.Unlock()
	if ok {
		return w, nil
	}
	w, _, err := e.records.Warning(ctx, id)
	if err != nil {
		return w, err
	}
	e.know(&w)
	return w, nil
}

// know remembers a warning that is released: before that it says less than its ledgers need.
func (e *Engine) know(w *warning.Warning) {
	if w.ReleasedAt.IsZero() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[w.ID] = *w
}

// nudge tells every account of this process that the store has something new; other processes learn it from the
// answers to their heartbeats and commits.
func (e *Engine) nudge() {
	for _, a := range e.all() {
		a.nudge()
	}
}

// endsEvery is how often released warnings are looked at: are they complete, have they expired?
const endsEvery = 500 * time.Millisecond

// watchEnds moves released warnings on when nobody waits any more, or their validity has ended; and those that never
// left and are too late.
func (e *Engine) watchEnds(ctx context.Context) {
	for ctx.Err() == nil {
		e.ends(ctx)
		if err := e.corrections(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("the correction of a cancelled warning waits", zap.Error(err))
		}
		pause(ctx, endsEvery)
	}
}

func (e *Engine) ends(ctx context.Context) {
	live := []warning.State{warning.Submitted, warning.Approved, warning.Released, warning.Held}
	list, err := e.records.Standing(ctx, live)
	if err != nil {
		e.log.Warn("live warnings cannot be read", zap.Error(err))
		return
	}
	alive := make(map[string]bool, len(list))
	for i := range list {
		alive[list[i].ID] = true
	}
	e.forget(alive)
	for i := range list {
		w := &list[i]
		next, parts, err := e.ended(ctx, w)
		if err != nil {
			e.log.Warn("end of a warning cannot be judged", zap.String("warning", w.ID), zap.Error(err))
		}
		switch next {
		case 0:
			continue
		case warning.Completed:
			err = e.complete(ctx, w.ID, parts)
		default:
			_, err = e.move(ctx, w.ID, next)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("end of a warning cannot be recorded", zap.String("warning", w.ID), zap.Error(err))
		}
	}
}

// complete ends a warning of whose plan so many parts were looked at. Where that has grown, perhaps by another process, or
// anything else has changed, the next look decides.
func (e *Engine) complete(ctx context.Context, id string, parts int) error {
	w, rev, err := e.records.Warning(ctx, id)
	if err != nil || w.State != warning.Released {
		return err
	}
	now := time.Now().UTC()
	w.State, w.EndedAt, w.CompletedAt = warning.Completed, now, now
	_, _, err = e.do(ctx, itself(), "", "", Act{
		Entry: entryOf(itself(), now, "warning.completed", &w, ""), Warning: &w, Rev: rev, Parts: parts,
	})
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// ended is the state that a live warning should have by now, or 0, and how many parts its plan had.
func (e *Engine) ended(ctx context.Context, w *Standing) (next warning.State, parts int, err error) {
	expired := !time.Now().Before(w.Expires)
	if w.State != warning.Released {
		if expired {
			return warning.Expired, 0, nil
		}
		return 0, 0, nil
	}
	entering, look := e.patrol.entering(w.ID)
	if entering && !look && !expired {
		return 0, 0, nil
	}
	plan, tails, err := e.planOf(ctx, w.ID)
	if errors.Is(err, ErrNotFound) && expired {
		return warning.Expired, 0, nil
	}
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil // not planned yet
		}
		return 0, 0, err
	}
	if _, err := e.stranded(ctx, &plan, tails, false); err != nil {
		return 0, 0, err
	}
	if plan.Pending && !expired {
		e.finish(w.ID)
		kick(e.plan)
		return 0, 0, nil
	}
	if !expired && e.moves(w.ID, tails) {
		return 0, 0, nil
	}
	if !expired {
		if more, err := e.steps(ctx, w.ID, &plan); more || err != nil {
			return 0, 0, err
		}
	}
	var c warning.Counts
	due := 0
	for _, t := range tails {
		c.Add(t.Counts)
		due += t.Stats.Due
	}
	switch {
	case c[warning.Waiting]+c[warning.Sending] > 0 && expired:
		return warning.Expired, 0, nil
	case c[warning.Waiting]+c[warning.Sending] > 0 || due > 0 && !expired:
		return 0, 0, nil
	case c[warning.ExpiredOut] > 0 && expired:
		return warning.Expired, 0, nil
	case entering && !expired:
		return 0, 0, nil
	}
	return warning.Completed, plan.Parts, nil
}

// move is the engine's own act of moving a warning along.
func (e *Engine) move(ctx context.Context, id string, next warning.State) (warning.Warning, error) {
	return e.change(ctx, itself(), "", "", "warning."+next.String(), id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if !w.State.MayBecome(next) {
				return decision{}, warning.Refuse(warning.ReasonConflict, "a warning that is %s cannot become %s", w.State, next)
			}
			w.State, w.EndedAt = next, now
			return decision{}, nil
		})
}
