package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// This file is the electronic fence: whoever walks into the area of a live warning gets it, once per version and channel.
// Positions are volatile; who entered is another part of the warning's plan (Plan.Entered), from which everything takes
// the usual way. Fence.go knows positions and who was told; entries.go makes it durable.

// Fences finds the areas around positions.
type Fences interface {
	// Add puts areas in under an id, in place of those that it had; faulty ones are refused.
	Add(id string, areas []warning.Area) error
	// Remove takes the areas of an id out.
	Remove(id string)
	// Inside calls yield with the index of each position and each id that it is inside of, closed boundary; perhaps twice.
	Inside(lon, lat []int32, yield func(i int, id string))
}

// Positions is where people are now: columns of equal length.
type Positions struct {
	Number   []uint64 // E.164 digits
	Lon, Lat []int32  // degrees times 10^7, WGS-84
}

// Moved is what came of a stream of positions.
type Moved struct {
	Positions int64
	Known     int64 // of people whose number is in the directory
	Entered   int64 // people, by warning, who came into an area and are durably in its plan
}

// The times of the fence. A position is at the carrier within a second: it waits for others for entryWait, and for those
// that are being stored before it.
const (
	entryWait  = 150 * time.Millisecond
	entryLag   = 400 * time.Millisecond // a stream that is ahead of the store by more waits
	postsEvery = 500 * time.Millisecond
	allEvery   = 10 * time.Second // completed warnings of other processes are looked for
	entryQuiet = 10 * time.Second // without an entry: the warning may be completed
	lanesEvery = 5 * time.Second  // an area into which people walk all the time has many strands
	entryAhead = 16               // warnings that are read or reopened at a time
	entryRound = 128              // warnings whose entrants are stored in one go: nobody waits for those of all others to be
)

// patrol keeps a post at the fence of every live warning.
type patrol struct {
	e      *Engine
	fences Fences
	look   chan struct{} // a plan was made
	store  chan struct{} // somebody entered
	closed bool          // a fence cannot be read and is tried again, whether its warning is completed meanwhile or not; of run

	mu    sync.RWMutex // guards what follows
	posts map[string]*post
	parts map[string]bool // warnings whose plans have got another part since the posts were looked at
	ctx   context.Context // of Run; nil: nothing is taken

	queueMu sync.Mutex // guards what follows
	queue   []*post    // those with entries to be stored
	behind  []*post    // those whose plan has another part
}

// post is the fence of one live warning.
type post struct {
	p     *patrol
	w     warning.Warning // what never changes of it
	base  Snapshot        // that its plan names
	rests atomic.Bool     // it was completed when it was last looked at

	mu           sync.Mutex // guards what follows
	told         []crowd    // who is in the plan, or will be by the open entries
	awaited      []crowd    // who may get a place in a part of the plan that waits for answers
	rested       *released  // it, as this process has completed it; nil: another has, or it lives
	open         *entries   // nil: nobody
	queued       bool
	last, looked time.Time // an entry; its lanes, while people enter
	ended        bool

	// What follows belongs to whoever stores.
	storing *entries // oldest entries
	rev     uint64
	plan    Plan                // with strands only between reread and recall
	seen    map[StrandID]uint32 // people of its strands that are in told
	lines   map[line]grown
}

// line is entrants who can share a strand, which grows: it has one snapshot, one language and one duty.
type line struct {
	channel  warning.Channel
	account  string // "": those who cannot be told
	snapshot string
	language uint8
	duty     warning.Duty
}

// grown is the strand of a line. It grows up to one chunk of the ledger.
type grown struct {
	id     StrandID
	people uint32
}

// crowd is people of one snapshot.
type crowd struct {
	snap  Snapshot
	masks map[uint32]*warning.Mask
}

func (t *crowd) has(block, slot int) bool {
	m := t.masks[uint32(block)]
	return m != nil && m.Has(slot)
}

// entries is people who entered and are stored together.
type entries struct {
	since time.Time
	who   []crowd
	done  chan struct{} // closed when they are durable, or will not be
	err   error         // read after done
}

// errEnded says that a warning ended before those who entered were stored: nobody of them gets it.
var errEnded = errors.New("the warning has ended")

// in is the people of a snapshot in a list, which is made to have it.
func in(list *[]crowd, snap Snapshot) *crowd {
	for i := range *list {
		if (*list)[i].snap.ID() == snap.ID() {
			return &(*list)[i]
		}
	}
	*list = append(*list, crowd{snap, map[uint32]*warning.Mask{}})
	return &(*list)[len(*list)-1]
}

// knows tells whether a person is in a list, under whatever snapshot.
func knows(list []crowd, snap Snapshot, number uint64, block, slot int) bool {
	for i := range list {
		t := &list[i]
		b, at, ok := block, slot, true
		if t.snap.ID() != snap.ID() {
			b, at, ok = t.snap.Find(number)
		}
		if ok && t.has(b, at) {
			return true
		}
	}
	return false
}

// place is where a person stands in the snapshot that the plan names, where that knows them as they are now: plans that name
// one snapshot for each change of the directory would keep all of these, here and in the store.
func (s *post) place(snap Snapshot, number uint64, block, slot int) (Snapshot, int, int) {
	if snap.ID() == s.base.ID() {
		return snap, block, slot
	}
	now := snap.Block(block)
	if block < s.base.Blocks() && now.Identity != nil && s.base.Block(block).Identity == now.Identity {
		return s.base, block, slot
	}
	b, at, ok := s.base.Find(number)
	if !ok {
		return snap, block, slot
	}
	was := s.base.Block(b)
	if was.Language[at] != now.Language[slot] || was.Duty[at] != now.Duty[slot] || was.Flags[at] != now.Flags[slot] {
		return snap, block, slot
	}
	return s.base, b, at
}

func newPatrol(e *Engine, f Fences) *patrol {
	return &patrol{e: e, fences: f, look: make(chan struct{}, 1), store: make(chan struct{}, 1), posts: map[string]*post{}, parts: map[string]bool{}}
}

// mover is one stream of positions.
type mover struct {
	Moved
	places []int32 // block and slot of each position of the chunk; -1: not in the directory
	mine   []share // oldest first
}

// share is what a stream has in entries.
type share struct {
	all    *entries
	people int64
}

// Move takes a stream of positions. It answers when everybody who entered an area by it is durable; io.EOF of next ends
// the stream, any other error breaks it off, and what came before has happened.
func (e *Engine) Move(ctx context.Context, next func() (Positions, error)) (Moved, error) {
	var m mover
	for {
		p, err := next()
		if errors.Is(err, io.EOF) {
			err = m.settle(ctx, 0)
			return m.Moved, err
		}
		if err == nil {
			err = e.patrol.chunk(&m, p)
		}
		if err == nil {
			err = m.settle(ctx, entryLag)
		}
		if err != nil {
			return m.Moved, err
		}
	}
}

// settle counts what has become durable, and waits for what is older than lag.
func (m *mover) settle(ctx context.Context, lag time.Duration) error {
	for ; len(m.mine) > 0; m.mine = m.mine[1:] {
		s := m.mine[0]
		if time.Since(s.all.since) < lag {
			select {
			case <-s.all.done:
			default:
				return nil
			}
		}
		select {
		case <-s.all.done:
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
		switch {
		case s.all.err == nil:
			m.Entered += s.people
		case !errors.Is(s.all.err, errEnded):
			return unavailable(s.all.err)
		}
	}
	return nil
}

// chunk looks at positions.
func (p *patrol) chunk(m *mover, c Positions) error {
	snap, ok := p.e.dir.Current()
	if !ok {
		return warning.Refuse(warning.ReasonConflict, "nobody is in the directory yet; import it with tocsin directory import FILE")
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.ctx == nil || p.ctx.Err() != nil {
		return warning.Refuse(warning.ReasonUnavailable, "the engine is starting or stopping; send the positions again")
	}
	m.places = slices.Grow(m.places[:0], len(c.Number))
	for _, n := range c.Number {
		at := int32(-1)
		if block, slot, ok := snap.Find(n); ok {
			at = int32(block*warning.BlockSize + slot)
			m.Known++
		}
		m.places = append(m.places, at)
	}
	m.Positions += int64(len(c.Number))
	now := time.Now()
	p.fences.Inside(c.Lon, c.Lat, func(i int, id string) {
		if at := m.places[i]; at >= 0 && p.posts[id] != nil {
			p.posts[id].enter(m, now, snap, c.Number[i], int(at)/warning.BlockSize, int(at)%warning.BlockSize)
		}
	})
	return nil
}

// enter notes somebody who is in the area, unless that was done. Who has opted out, or whom no account carries, is noted
// too, to be counted.
func (s *post) enter(m *mover, now time.Time, snap Snapshot, number uint64, block, slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !now.Before(s.w.Spec.Expires) {
		return
	}
	snap, block, slot = s.place(snap, number, block, slot)
	if knows(s.told, snap, number, block, slot) || knows(s.awaited, snap, number, block, slot) {
		return
	}
	maskAt(in(&s.told, snap).masks, uint32(block)).Set(slot)
	if s.open == nil {
		s.open = &entries{since: now, done: make(chan struct{})}
	}
	if !s.queued {
		s.queued = true
		s.p.enqueue(s)
	}
	maskAt(in(&s.open.who, snap).masks, uint32(block)).Set(slot)
	if !s.mayGet(s.ways(now), snap.Block(block), slot) {
		return
	}
	s.last = now
	for i := range slices.Backward(m.mine) {
		if m.mine[i].all == s.open {
			m.mine[i].people++
			return
		}
	}
	m.mine = append(m.mine, share{s.open, 1})
}

func (s *post) awaits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.awaited != nil
}

func (p *patrol) enqueue(s *post) {
	p.queueMu.Lock()
	p.queue = append(p.queue, s)
	p.queueMu.Unlock()
	kick(p.store)
}

// ways is by which routers people are told who enter at a time: by all steps of the table at that hour together.
func (s *post) ways(now time.Time) [2][]*router {
	return waysOf(s.w.Spec.TellsAll(now), s.w.Spec.Status, s.p.e.routing.Load())
}

func (s *post) mayGet(ways [2][]*router, b warning.Block, slot int) bool {
	duty := warning.Duty(b.Duty[slot])
	if b.Flags[slot]&warning.OptedOut != 0 && duty != warning.Responsible {
		return false
	}
	return carried(ways[duty], b.Number[slot])
}

// entering tells whether somebody entered the area of a warning just now: then it is not completed, which would only be
// taken back. look says that it is time to look at its lanes all the same.
func (p *patrol) entering(id string) (is, look bool) {
	p.mu.RLock()
	s := p.posts[id]
	p.mu.RUnlock()
	if s == nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if look = time.Since(s.looked) >= lanesEvery; look {
		s.looked = time.Now()
	}
	return time.Since(s.last) < entryQuiet, look
}

// rest keeps a warning as an act of this process has completed it, so that the first who enters need not wait until it is read.
func (p *patrol) rest(w warning.Warning, rev uint64) {
	p.mu.RLock()
	s := p.posts[w.ID]
	p.mu.RUnlock()
	if s != nil {
		s.mu.Lock()
		s.rested = &released{w, rev}
		s.mu.Unlock()
		s.rests.Store(true)
	}
}

// parted says that this process has added a part to the plan of a warning: it is read before somebody enters.
func (p *patrol) parted(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[id] = true
	p.reread(p.posts[id])
}

// reread has the plan of a post read again when there is nothing better to do; nil is no fault.
func (p *patrol) reread(s *post) {
	if s == nil {
		return
	}
	p.queueMu.Lock()
	if !slices.Contains(p.behind, s) { // each is read by one goroutine
		p.behind = append(p.behind, s)
	}
	p.queueMu.Unlock()
	kick(p.store)
}

// watches tells whether people may still enter the area of a warning.
func (p *patrol) watches(id string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.posts[id] != nil
}

// run keeps the posts in step with the warnings, and stores who enters, until ctx ends.
func (p *patrol) run(ctx context.Context) {
	stored := make(chan struct{})
	go func() {
		defer close(stored)
		p.stores(ctx)
	}()
	var all time.Time // when completed warnings were looked for
	for ctx.Err() == nil {
		states := []warning.State{warning.Released}
		full := p.closed || time.Since(all) >= allEvery
		if full {
			states = append(states, warning.Completed)
		}
		standing, err := p.e.records.Standing(ctx, states)
		if err == nil {
			err = p.keep(ctx, standing, full)
		}
		switch {
		case err == nil && full:
			all = time.Now()
			p.mu.Lock()
			p.ctx = ctx
			p.mu.Unlock()
		case err != nil && ctx.Err() == nil:
			p.e.log.Warn("live warnings cannot be read; who enters the area of a new one waits", zap.Error(err))
		}
		wait(ctx, p.look, postsEvery)
	}
	p.mu.Lock()
	p.ctx = nil // nobody enters any more
	p.mu.Unlock()
	<-stored
	p.giveUp(ctx.Err())
}

// keep opens posts for what lives and closes those of what does not; full says that everything that lives is in the list.
func (p *patrol) keep(ctx context.Context, standing []Standing, full bool) error {
	p.mu.Lock()
	clear(p.parts)
	p.mu.Unlock()
	now := time.Now()
	var failed error
	live, released := map[string]bool{}, map[string]bool{}
	var fresh []*post
	for _, st := range standing {
		if !now.Before(st.Expires) {
			continue
		}
		live[st.ID], released[st.ID] = true, st.State == warning.Released
		p.mu.RLock()
		old := p.posts[st.ID]
		p.mu.RUnlock()
		if old != nil {
			if old.awaits() { // perhaps another process has made the part
				p.reread(old)
			}
			continue
		}
		s, err := p.open(ctx, st.ID)
		if failed = cmp.Or(failed, err); s != nil && err == nil {
			fresh = append(fresh, s)
		}
	}
	if err := p.recall(ctx, fresh); err != nil { // of one of them, perhaps
		fresh = slices.DeleteFunc(fresh, func(s *post) bool {
			err := p.recall(ctx, []*post{s})
			failed = cmp.Or(failed, err)
			return err != nil
		})
	}
	if failed != nil && len(fresh) > 0 {
		p.e.log.Error("a live warning cannot be read; who enters its area waits", zap.Error(failed))
	}
	if p.closed = failed != nil; len(fresh) > 0 {
		failed = nil // one that cannot be read keeps nobody from entering the others
	}
	fresh = slices.DeleteFunc(fresh, func(s *post) bool {
		err := p.fences.Add(s.w.ID, s.w.Spec.Areas)
		if err == nil {
			return false
		}
		p.e.log.Error("the area of a live warning cannot be watched", zap.String("warning", s.w.ID), zap.Error(err))
		again := warning.ReasonOf(err) != warning.ReasonInvalid // else it was planned: the plan holds, and nobody is added
		p.closed = p.closed || again
		return again
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range fresh {
		p.posts[s.w.ID] = s
		if p.parts[s.w.ID] { // perhaps since it was read
			p.reread(s)
		}
	}
	for id, s := range p.posts {
		s.rests.Store(!released[id])
		if !now.Before(s.w.Spec.Expires) || full && !live[id] {
			p.drop(id)
		}
	}
	return failed
}

// drop closes a post. The patrol's mu is held.
func (p *patrol) drop(id string) {
	s := p.posts[id]
	if s == nil {
		return
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	delete(p.posts, id)
	p.fences.Remove(id)
}
