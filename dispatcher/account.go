package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"tocsin/channels"
	"tocsin/warning"
)

// The times of ownership (DESIGN section 4): a lease is judged by the observer's monotonic clock on an unchanged
// heartbeat, and a successor waits for it, a second and the guard.
const (
	lease     = 2 * time.Second
	beatEvery = 500 * time.Millisecond
	leaveTime = 3 * time.Second // for open answers at the end of an ownership
)

// AccountOptions is one contract with a carrier.
type AccountOptions struct {
	channels.Account
	Protocol string
	Rate     int           // messages a second in any sliding second
	Burst    time.Duration // how much of the rate may leave at once
	Guard    time.Duration // jitter up to the carrier for which the rate holds there
	Channels []warning.Channel
	Prefixes []string // of numbers; the longest wins
	Carrier  string   // whose numbers it carries too, by the table of numbers; empty: prefixes alone
	Weight   int      // among accounts with the same prefix or carrier
	Home     string   // node that has the first word where several processes are; empty: whoever comes first
	// TestNumber is the operator's own, for link tests each TestEvery; 0: none, by hand only.
	TestNumber uint64
	TestEvery  time.Duration
}

// EpochStore keeps the highest epoch that this process has had, by account, fsynced beside the engine's other data, so
// that a restart takes its own work over at once, and a Redis that lost a second cannot hand an epoch out twice.
type EpochStore interface {
	Epoch(account string) uint64
	SetEpoch(account string, epoch uint64) error
}

// account sends for one contract while this process owns it.
type account struct {
	name string
	e    *Engine
	log  *zap.Logger

	// sendMu is held while messages are on their way into sockets: who holds it knows that nothing leaves. It is taken
	// before mu.
	sendMu sync.Mutex

	// Written with sendMu and mu held: either is enough to read them.
	opt     AccountOptions
	adapter channels.Adapter
	carrier channels.Carrier // nil: not owned

	mu        sync.Mutex // guards what follows
	owned     bool
	fence     Fence
	owning    context.Context         // ends with the ownership
	disown    context.CancelCauseFunc // ends it
	seq       uint64                  // of commits; the committer's own, like behind
	behind    *folded                 // nil: nothing waits to be folded
	strands   []*strand               // by index; nil: it has left
	free      []uint32                // indices that nobody has
	live      []*strand               // those that are not finished
	touched   []*strand               // those whose tail is to be written
	waiting   bool                    // somebody waits for a grant
	stale     bool                    // the store has something new
	missing   bool                    // and something that could not be opened yet
	byID      map[StrandID]*strand
	newest    StrandID
	mark      uint64 // generation up to which the strands are here
	sched     Scheduler
	ring      *Ring
	burst     *rate.Limiter
	rate      int
	control   Control
	journal   *journal
	acks      []channels.Receipts
	before    []channels.Receipts // came while the ledger was still read
	early     early
	people    index
	inflight  int
	sending   *strand // whose messages are on their way into sockets: where it stands is not known
	good      int64   // answers of this ownership that say nothing against the carrier
	badRow    int     // bad ones of all lanes since the newest of them, but for those that are a lane's own
	trip      trip
	slow      slowdown
	quiet     time.Time // nothing leaves before
	deadline  time.Time // nothing leaves after: the lease as this process knows it
	seen      uint64    // generation that was seen in answers
	obeyed    uint64    // generation that was obeyed
	folded    time.Time
	dismissed time.Time // when strands were let go last
	folding   bool      // chunks are on their way to the store
	unfolded  int       // bytes of journal since the last fold
	stats     accountStats
	sentTotal progress
	lastError string
	twin      bool      // another process that lives has this one's name, and the account
	busySince time.Time // somebody has waited since then
	condition condition
	test      *linkTest // under way; nil: none
	tested    *LinkTest // the newest
	judging   bool      // the condition has begun where the owner before was
	out       bool      // it is left: who waits goes another way
	leaving   bool      // the configuration has it no more
	leaves    time.Time // and it ends then, if nobody waits
	outAt     StrandID  // the newest when it was left

	folds  sync.WaitGroup
	tests  sync.WaitGroup // and recalls
	drains sync.WaitGroup // of links that others have replaced
	wake   chan struct{}  // something may be sent
	commit chan struct{}  // something is to be written

	stop context.CancelFunc // ends run; of the engine's mu
}

// accountStats is what an account keeps over its owners.
type accountStats struct {
	UnknownReceipts int64 `json:"unknown_receipts"` // that matched nothing
	LateReceipts    int64 `json:"late_receipts"`    // for people whose strands have left
}

func newAccount(e *Engine, opt AccountOptions, adapter channels.Adapter) *account {
	a := &account{
		name: opt.Name, opt: opt, e: e, adapter: adapter, log: e.log.With(zap.String("account", opt.Name)), rate: opt.Rate,
		wake: make(chan struct{}, 1), commit: make(chan struct{}, 1),
	}
	a.reset()
	return a
}

// reset forgets everything that belongs to one ownership.
func (a *account) reset() {
	a.seq, a.behind, a.waiting, a.stale, a.missing = 0, nil, false, false, false
	a.strands, a.free, a.live, a.touched = nil, nil, nil, nil
	a.byID, a.newest, a.mark = map[StrandID]*strand{}, 0, 0
	a.sched, a.ring, a.journal = Scheduler{}, NewRing(a.opt.Guard), newJournal()
	a.acks, a.before, a.early, a.people = nil, nil, early{}, index{}
	a.inflight, a.badRow, a.trip, a.slow = 0, 0, trip{}, slowdown{}
	a.seen, a.obeyed, a.unfolded, a.folding = 0, 0, 0, false
	a.condition, a.judging, a.out, a.outAt = newCondition(), false, false, 0
	a.test, a.tested = nil, nil
	a.setRate()
}

// setRate takes the rate by hand, or else the contract's.
func (a *account) setRate() {
	a.rate = a.opt.Rate
	if a.control.Rate > 0 {
		a.rate = a.control.Rate
	}
	// The ring decides; the limiter spreads what the ring would let out at once. It is hardly faster: what is sent too
	// early in a second leaves a gap at its end, in which no red can go either.
	burst := max(int(float64(a.rate)*a.opt.Burst.Seconds()), 8)
	spread := rate.Limit(1.005 * float64(a.rate) / (time.Second + a.opt.Guard).Seconds())
	if a.burst == nil {
		a.burst = rate.NewLimiter(spread, burst)
		return
	}
	a.burst.SetLimit(spread)
	a.burst.SetBurst(burst)
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run owns the account again and again until ctx ends.
func (a *account) run(ctx context.Context) {
	for ctx.Err() == nil {
		opt := a.options()
		f, err := a.e.acquire(ctx, a.name, opt.Home, opt.Guard, a.note)
		if err != nil {
			continue
		}
		if err := a.own(ctx, f); err != nil && ctx.Err() == nil {
			a.log.Error("this process does not send for the account any more; it tries to own it again", zap.Error(err))
			a.note(err)
			pause(ctx, beatEvery)
		}
	}
}

func (a *account) options() AccountOptions {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opt
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (a *account) note(err error) {
	a.mu.Lock()
	a.lastError, a.twin = err.Error(), errors.Is(err, errTwin)
	a.mu.Unlock()
}

// own does an owner's work until the ownership ends: takes over what is there, opens the links, and runs the pump and
// the committer side by side.
func (a *account) own(ctx context.Context, f Fence) error {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	a.mu.Lock()
	a.reset()
	a.fence, a.twin = f, false
	a.deadline = began.Add(lease)
	a.quiet = began.Add(time.Second + a.opt.Guard)
	a.owning, a.disown = ctx, cancel
	a.mu.Unlock()

	if err := a.openLinks(); err != nil {
		return err
	}
	// The heartbeat runs while the ledger is read, which takes seconds for a large city.
	failed := make(chan error, 4)
	var group sync.WaitGroup
	group.Go(func() { failed <- a.beat(ctx) })
	err := a.takeOver(ctx)
	if err != nil {
		failed <- fmt.Errorf("take over: %w", err)
	} else {
		a.log.Info("account owned", zap.Uint64("epoch", f.Epoch), zap.Int("strands", len(a.strands)))
		group.Go(func() { a.pump(ctx) })
		group.Go(func() { a.followDirectory(ctx) })
		group.Go(func() { failed <- a.commits(ctx) })
	}
	err = <-failed
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	group.Wait()
	a.folds.Wait()
	a.tests.Wait()
	return errors.Join(err, a.leave(err))
}

// openLinks opens the links as the account is configured now.
func (a *account) openLinks() error {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	carrier, err := a.adapter.Open(a.opt.Account, a)
	if err != nil {
		return fmt.Errorf("open the links: %w", err)
	}
	a.mu.Lock()
	a.carrier = carrier
	a.mu.Unlock()
	return nil
}

// leave ends an ownership: the links close after their open answers, what they said is written, unused grants go back,
// and another process may own the account at once. A fenced owner has nothing to write any more.
func (a *account) leave(cause error) error {
	ctx, stop := context.WithTimeout(context.Background(), leaveTime)
	defer stop()
	a.stopSending()
	a.sendMu.Lock()
	a.mu.Lock()
	carrier := a.carrier
	a.carrier = nil
	a.mu.Unlock()
	a.sendMu.Unlock()
	err := carrier.Close(ctx)
	a.drains.Wait()
	a.mu.Lock()
	owned := a.owned
	a.owned = false
	for _, s := range a.live {
		if s.state == warning.Released {
			s.state = warning.Held // for this process: the next owner reads the store
		}
	}
	a.mu.Unlock()
	if !owned || errors.Is(cause, ErrFenced) {
		return err
	}
	r := a.request()
	done, werr := a.write(ctx, r)
	if werr == nil {
		a.conclude(r, done)
		if r.fold && !r.early {
			a.fold(ctx, r.chunks, done.Entry)
		}
		werr = a.e.queue.Release(ctx, a.fence)
	}
	return errors.Join(err, werr)
}

// beat moves the heartbeat twice in a second and learns what changed. It fails when the account has another owner.
func (a *account) beat(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		sig, err := a.e.queue.Beat(ctx, a.fence)
		switch {
		case errors.Is(err, ErrFenced):
			a.stopSending()
			return err
		case err == nil:
			a.learn(began, sig)
		}
		a.mu.Lock()
		a.slow.recover(time.Now())
		a.mu.Unlock()
		pause(ctx, beatEvery)
	}
	return ctx.Err()
}

// stopSending makes the lease end now.
func (a *account) stopSending() {
	a.sendMu.Lock()
	a.mu.Lock()
	a.deadline = time.Time{}
	a.mu.Unlock()
	a.sendMu.Unlock()
}

// learn takes in what an answer of the store said: the lease holds from when it was asked.
func (a *account) learn(asked time.Time, s Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := asked.Add(lease); d.After(a.deadline) {
		a.deadline = d
	}
	if s.Control != a.control {
		a.control = s.Control
		a.setRate()
		kick(a.wake)
	}
	if s.Generation > a.seen {
		a.seen = s.Generation
		kick(a.commit)
	}
}

// takeOver reads what the owner before left: what was granted and has no outcome is unknown now, never waiting.
func (a *account) takeOver(ctx context.Context) error {
	img, err := a.e.queue.Load(ctx, a.name, 0, true, nil)
	if err != nil {
		return err
	}
	if len(img.Stats) > 0 {
		if err := json.Unmarshal(img.Stats, &a.stats); err != nil {
			return fmt.Errorf("figures of the account: %w", err)
		}
	}
	opened := make([]*strand, len(img.Strands))
	for i := range img.Strands {
		if opened[i], err = a.openOne(ctx, img.Strands[i]); err != nil {
			return err
		}
	}
	if err := a.rebuild(img, opened); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.crashed(opened)
	a.early.retryAll(a, time.Now())
	a.seen, a.mark = img.Generation, img.Generation
	a.control = img.Control
	a.setRate()
	a.owned = true
	for _, rs := range a.before {
		a.takeIn(rs, time.Now())
	}
	a.before = nil
	kick(a.commit)
	return nil
}

// rebuild puts chunks and journal into opened strands, which are the image's, in its order.
func (a *account) rebuild(img Image, opened []*strand) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, s := range opened {
		a.add(s)
		s.led.granted, s.led.closed = img.Tails[i].Granted, img.Tails[i].Closed
	}
	for _, c := range img.Chunks {
		if s := a.byID[c.Strand]; s != nil {
			if err := s.led.decode(int(c.Index), c.Data); err != nil {
				return fmt.Errorf("strand %d chunk %d: %w", c.Strand, c.Index, err)
			}
		}
	}
	for i, s := range opened {
		t := img.Tails[i]
		s.led.restore(t.Granted, t.Closed)
		s.next, s.limit = t.Granted, t.Granted
		s.first, s.last, s.sent, s.highest = t.Stats.First, t.Stats.Last, t.Stats.Messages, t.Stats.MaxInAnySecond
		s.asked, s.back = t.Stats.RecallAsked, t.Stats.Recalled
	}
	for n, blob := range img.Journal {
		err := replay(blob, func(id StrandID, at time.Time, r record) {
			switch s := a.byID[id]; {
			case s == nil: // it has left, or is not asked for
			case r.kind >= recEarly:
				a.early.replayed(s, at, r)
			default:
				s.led.apply(at, r)
			}
		})
		if err != nil {
			return fmt.Errorf("entry %d of the journal: %w", n, err)
		}
		a.unfolded += len(blob)
	}
	for i, s := range opened {
		s.led.repeats = img.Tails[i].Stats.PossibleRepeats // has those of the journal counted in
	}
	return nil
}

// crashed makes unknown what was granted and has no outcome, and puts everybody who waits back into line.
func (a *account) crashed(opened []*strand) {
	now := time.Now()
	for _, s := range opened {
		s.led.crash(func(r record) {
			s.led.apply(now, r)
			a.journal.add(s.ID, now, r)
			a.touch(s)
		})
		for pos := range s.led.granted {
			switch s.led.at(pos).state {
			case warning.Waiting, warning.Unknown:
				a.schedule(s, pos, now)
			}
		}
	}
}

// openOne makes one strand ready with its warning and its snapshot.
func (a *account) openOne(ctx context.Context, s Strand) (*strand, error) {
	w, err := a.e.warning(ctx, s.Warning)
	if err != nil {
		return nil, fmt.Errorf("warning of strand %d: %w", s.ID, err)
	}
	snap, err := a.e.dir.Snapshot(ctx, s.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("snapshot of strand %d: %w", s.ID, err)
	}
	a.mu.Lock()
	c := a.carrier
	a.mu.Unlock()
	if c == nil {
		return nil, ErrFenced
	}
	opened, err := openStrand(s, w, snap, 0, c.Prepare)
	if err == nil {
		opened.by = c
	} else if opened, err = openStrand(s, w, snap, 0, a.e.cut); err != nil { // whose words these links do not carry waits alone
		return nil, err
	}
	opened.left, err = a.e.leaversOf(ctx, snap)
	return opened, err
}

// take opens a strand that was planned, or adds who was added to one; of whose people so many were granted.
func (a *account) take(ctx context.Context, st Strand, granted uint32) error {
	a.mu.Lock()
	s := a.byID[st.ID]
	a.mu.Unlock()
	if s == nil {
		var err error
		if granted == 0 {
			s, err = a.openOne(ctx, st)
		} else { // it had left
			s, err = a.e.stored(ctx, a.opt.Name, st.ID, a.openOne)
		}
		if err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if offered := a.byID[st.ID]; offered != nil { // meanwhile, and may have grown since
			a.grow(offered, st)
		} else {
			a.add(s)
		}
		return nil
	}
	left, err := a.e.leaversOf(ctx, s.snap) // it may have been finished, and not followed the directory
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.left = left
	a.grow(s, st)
	return nil
}

// add puts an opened strand to the others. mu is held.
func (a *account) add(s *strand) {
	if n := len(a.free); n > 0 {
		s.index, a.free = a.free[n-1], a.free[:n-1]
		a.strands[s.index] = s
	} else {
		s.index = uint32(len(a.strands))
		a.strands = append(a.strands, s)
	}
	for _, f := range s.flows() {
		f.Order = uint32(s.ID)
	}
	a.live = append(a.live, s)
	a.byID[s.ID] = s
	a.newest = max(a.newest, s.ID)
	a.people.add(s, 0)
}

// grow adds people to a strand that is here already. mu is held.
func (a *account) grow(s *strand, to Strand) {
	if to.People <= s.People {
		return // read another time
	}
	from := len(s.Batches)
	s.grow(to)
	a.people.add(s, from)
	if s.led.closed == warning.Moved { // while they were added
		a.e.finish(s.Warning)
		kick(a.e.plan)
	}
	if !slices.Contains(a.live, s) {
		a.live = append(a.live, s)
	}
	a.touch(s)
}
