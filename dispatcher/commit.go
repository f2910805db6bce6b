package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// The times of the journal: outcomes wait at most commitEvery for their fsync; what was journaled is folded into the
// ledger each foldEvery, or earlier when there is much of it.
const (
	commitEvery = 5 * time.Millisecond
	foldEvery   = time.Second
	foldBytes   = 4 << 20
	grantTime   = 50 * time.Millisecond // of the rate: granted and not sent at most
)

// commits writes what happened and asks for what may happen next: one script a turn, and never two at a time.
func (a *account) commits(ctx context.Context) error {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		if err := a.commitOnce(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.commit:
		case <-tick.C:
		}
	}
}

// request is a Commit with what must be done when it is answered.
type request struct {
	Commit
	granted []*strand  // by grant
	again   [][]uint32 // by grant: positions that are sent another time
	moves   []move
	recalls []*strand
	acks    []channels.Receipts
	fold    bool    // the journal with this request is to be folded
	chunks  []Chunk // then, as they are when it is concluded
	early   bool    // there are receipts that match nothing: the next entry has them
	joined  bool    // flows have begun to wait
}

func (r *request) empty() bool {
	return len(r.Journal) == 0 && len(r.Grants) == 0 && len(r.Close) == 0 && len(r.Tails) == 0 && len(r.Commit.Stats) == 0 &&
		!r.fold
}

// commitOnce brings the strands up to date, writes once, and draws the conclusions.
func (a *account) commitOnce(ctx context.Context) error {
	changed, err := a.refresh(ctx)
	if err != nil {
		if errors.Is(err, ErrFenced) || ctx.Err() != nil {
			return err
		}
		a.log.Warn("strands cannot be read; sending goes on with what is granted", zap.Error(err))
		a.note(err)
		pause(ctx, 50*time.Millisecond)
	}
	r := a.request()
	var done Committed
	if !r.empty() || changed {
		if done, err = a.write(ctx, r); err != nil {
			return err
		}
		a.conclude(r, done)
		if f := a.behind; f != nil {
			a.behind = nil
			a.folds.Go(func() { a.fold(ctx, f.chunks, f.entry) })
		}
	}
	for _, s := range r.recalls {
		a.tests.Go(func() { a.recall(ctx, s) })
	}
	for _, ack := range r.acks { // durable now, or nothing to be kept: the carrier may forget them
		ack.Ack()
	}
	switch {
	case r.fold && r.early: // these stand in the next entry, and nowhere else once this one is dropped
		a.behind = &folded{r.chunks, done.Entry}
	case r.fold:
		a.folds.Go(func() { a.fold(ctx, r.chunks, done.Entry) })
	}
	return nil
}

// folded is chunks that wait for the next commit, and the last entry of the journal that they hold.
type folded struct {
	chunks []Chunk
	entry  uint64
}

// write carries the commit to the store until an answer comes: with the same sequence it cannot happen twice.
func (a *account) write(ctx context.Context, r *request) (Committed, error) {
	a.seq++
	for {
		asked := time.Now()
		// Not cut short by a stop in order: what it carries would be lost, and its grants nobody's.
		done, err := a.e.queue.Commit(context.WithoutCancel(ctx), a.fence, a.seq, r.Commit)
		if err == nil {
			a.learn(asked, done.Signal)
			return done, nil
		}
		if errors.Is(err, ErrFenced) {
			a.stopSending()
			return done, err
		}
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		a.note(err)
		pause(ctx, 20*time.Millisecond)
	}
}

// fold stores chunks beside the commits, so that no grant waits for it; one at a time.
func (a *account) fold(ctx context.Context, chunks []Chunk, entry uint64) {
	err := a.e.queue.Fold(ctx, a.fence, chunks, entry)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.folding = false
	if err == nil {
		return
	}
	a.lastError = err.Error()
	for _, c := range chunks { // what was journaled is kept; the chunks are folded another time
		a.byID[c.Strand].led.pages[c.Index].dirty = true
	}
}

// request collects under the lock what is to be written now.
func (a *account) request() *request {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	r := &request{}
	r.Now = now
	if a.early.expire(now, &a.stats) {
		r.Commit.Stats, _ = json.Marshal(a.stats)
	}
	live := a.live[:0]
	for _, s := range a.live {
		a.moveOn(s, r, now)
		a.wind(s, r, now)
		if !s.finished() {
			live = append(live, s)
		}
	}
	clear(a.live[len(live):])
	a.live = live
	a.dismiss(now)
	a.supply(r, now)
	for _, s := range a.touched {
		s.touched = false
		r.Tails = append(r.Tails, s.tail())
	}
	a.touched = a.touched[:0]
	r.Obeyed = a.obeyed
	r.acks, a.acks = a.acks, nil
	r.Journal = a.journal.take(nil)
	a.unfolded += len(r.Journal)
	if !a.folding && (a.unfolded > foldBytes || a.unfolded > 0 && now.Sub(a.folded) >= foldEvery) {
		r.fold, a.folding, a.folded, a.unfolded = true, true, now, 0
		r.early = len(a.early.byNumber) > 0
		a.early.journal(a.journal) // their entries are dropped with the rest
	}
	return r
}

// chunks packs what changed of the ledger, as it is after the journal whose place it takes, or later.
func (a *account) chunks() (out []Chunk) {
	for _, s := range a.byID {
		for i, p := range s.led.pages {
			if p != nil && p.dirty {
				out = append(out, Chunk{Strand: s.ID, Index: uint32(i), Data: s.led.encode(i)})
			}
		}
		if s.checked != s.led.counts {
			s.checked = s.led.counts
			if !s.led.balanced() {
				a.log.Error("people are counted wrong in a warning: keep the data directory and report the fault (SECURITY.md)", zap.String("warning", s.Warning), zap.Uint32("strand", uint32(s.ID)))
			}
		}
	}
	return out
}

// touch says that the tail of a strand is to be written.
func (a *account) touch(s *strand) {
	if !s.touched {
		s.touched = true
		a.touched = append(a.touched, s)
	}
}

// wind takes back and settles what must not leave any more.
func (a *account) wind(s *strand, r *request, now time.Time) {
	if s.state == warning.Released && now.Before(s.w.Spec.Expires) {
		return
	}
	if s == a.sending { // who does not fit comes back to it: the next turn settles them with the others
		return
	}
	if s.state == warning.Released {
		s.state = warning.Expired
	}
	switch s.state {
	case warning.Cancelled:
		s.closing = warning.CancelledIn
	case warning.Expired:
		s.closing = warning.ExpiredOut
	case warning.Replaced:
		s.closing = warning.Superseded
	}
	if s.limit > s.next {
		a.giveBack(r, s, s.next)
	}
	a.takeAgainBack(s, now)
	s.ready(&a.sched)
	if s.closing == warning.Waiting {
		return
	}
	why := closedReason(s.closing)
	for _, d := range s.due {
		a.settle(s, uint32(d), s.closing, why, now)
	}
	s.due = nil
	if s.closing == warning.CancelledIn && !s.recalled && s.led.counts[warning.Sending] == 0 {
		s.recalled = true
		r.recalls = append(r.recalls, s)
	}
	if s.led.closed == warning.Waiting && s.led.granted == s.next {
		r.Close = append(r.Close, Close{Strand: s.ID, As: s.closing})
		s.led.close(s.closing, why)
		a.touch(s)
	}
}

// takeAgainBack ends the grants of people who were to be sent to another time.
func (a *account) takeAgainBack(s *strand, now time.Time) {
	for _, pos := range s.again {
		rec := record{pos: pos, kind: recBack, reason: channels.LinkDown}
		a.journal.add(s.ID, now, rec)
		s.led.apply(now, rec)
		s.wait(pos, now)
		a.touch(s)
	}
	s.again = nil
}

// conclude makes true in memory what the store has allowed.
func (a *account) conclude(r *request, done Committed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for i, g := range r.Grants {
		if g.To < g.From {
			continue
		}
		s := r.granted[i]
		s.asking -= len(r.again[i])
		if i < len(done.Refused) && done.Refused[i] != 0 {
			for _, pos := range r.again[i] {
				s.wait(pos, now)
			}
			if s.state == warning.Released && done.Refused[i] != warning.Released {
				s.state = done.Refused[i] // the next turn winds it up
				kick(a.commit)
			}
			continue
		}
		if g.To > g.From {
			s.led.grant(g.To)
			s.limit = g.To
			a.withdraw(s, now)
		}
		for _, pos := range r.again[i] {
			if !s.led.apply(now, record{pos: pos, kind: recAgain}) && s.led.at(pos).state == warning.Sending {
				s.again = append(s.again, pos)
			}
		}
		a.touch(s)
		s.ready(&a.sched)
	}
	if r.joined {
		arrive(a.flows())
	}
	a.moved(r.moves, now)
	if r.fold { // not before: what this very entry of the journal allows and moves must be in what takes its place
		r.chunks = a.chunks()
	}
	kick(a.wake)
}

// refresh opens strands that were planned and obeys what people decided since. It answers whether there was anything.
func (a *account) refresh(ctx context.Context) (bool, error) {
	a.mu.Lock()
	stale := a.stale || a.seen > a.obeyed
	a.stale = false
	mark := a.mark
	a.mu.Unlock()
	if !stale {
		return false, nil
	}
	img, err := a.e.queue.Load(ctx, a.name, mark, false, a.peopleOf)
	if err != nil {
		a.nudge()
		return false, err
	}
	missing := false
	for i, st := range img.Strands {
		switch err := a.take(ctx, st, img.Tails[i].Granted); {
		case errors.Is(err, ErrFenced) || ctx.Err() != nil:
			return false, err
		case err != nil: // the others, and what people decided, all the same
			a.log.Error("a part of a warning cannot be sent yet; it is tried again", zap.String("warning", st.Warning), zap.Error(err))
			a.note(err)
			missing = true
		}
	}
	a.mu.Lock()
	if a.missing = missing; missing {
		time.AfterFunc(beatEvery, a.nudge)
	} else {
		a.mark = img.Generation
	}
	ids := map[string]bool{}
	for _, s := range a.live {
		ids[s.Warning] = true
	}
	now := time.Now()
	for _, s := range a.byID {
		if s.mayRecall(now) {
			ids[s.Warning] = true
		}
	}
	a.mu.Unlock()
	states, err := a.e.queue.States(ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		a.nudge()
		return false, err
	}
	a.obey(states, img.Generation)
	return true, nil
}

// peopleOf is how many people of a strand are here; 0: it is not.
func (a *account) peopleOf(id StrandID) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.byID[id]; s != nil {
		return s.People
	}
	return 0
}

// obey makes the decisions of people count: when it returns, no byte of a stopped strand is on its way to a socket.
func (a *account) obey(states []Standing, generation uint64) {
	of := make(map[string]warning.State, len(states))
	for _, st := range states {
		of[st.ID] = st.State
	}
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.live {
		if state, ok := of[s.Warning]; ok && s.closing == warning.Waiting && s.state != state {
			s.state = state
			s.ready(&a.sched)
		}
	}
	now := time.Now()
	for _, s := range a.byID {
		if of[s.Warning] == warning.Cancelled && s.mayRecall(now) && !slices.Contains(a.live, s) {
			s.state = warning.Cancelled
			a.live = append(a.live, s)
		}
	}
	a.obeyed = max(a.obeyed, generation)
	a.seen = max(a.seen, generation)
}

// nudge says that there is something new in the store.
func (a *account) nudge() {
	a.mu.Lock()
	a.stale = true
	a.mu.Unlock()
	kick(a.commit)
}
