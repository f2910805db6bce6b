package memstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Acquire makes owner the owner of the account. Beats count from 1 and never start anew.
func (s *Store) Acquire(_ context.Context, name, owner string, floor, idle uint64, own bool) (dispatcher.Fence, error) {
	if owner == "" || floor >= 1<<53-1 {
		return dispatcher.Fence{}, fmt.Errorf("memstore: acquire: owner %q with floor %d", owner, floor)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[name]
	if a == nil {
		a = &account{}
		s.accounts[name] = a
	}
	if a.owner != "" && a.beat != idle && !(own && a.owner == owner && a.epoch <= floor) {
		return dispatcher.Fence{}, fmt.Errorf("%w: account %s belongs to %s", dispatcher.ErrFenced, name, a.owner)
	}
	a.owner, a.epoch, a.beat = owner, max(a.epoch, floor)+1, a.beat+1
	a.seq, a.obeyed, a.answer = 0, 0, dispatcher.Committed{}
	return dispatcher.Fence{Account: name, Owner: owner, Epoch: a.epoch}, nil
}

// fenced is the account of the fence, if the fence still holds.
func (s *Store) fenced(f dispatcher.Fence) (*account, error) {
	a := s.accounts[f.Account]
	if a == nil || a.owner == "" || a.owner != f.Owner || a.epoch != f.Epoch {
		return nil, fmt.Errorf("%w: account %s", dispatcher.ErrFenced, f.Account)
	}
	return a, nil
}

func (s *Store) signal(name string) (g dispatcher.Signal, err error) {
	g.Generation = s.generation
	if b, ok := s.tables[dispatcher.TableControls][name]; ok {
		err = json.Unmarshal(b, &g.Control)
	}
	return g, err
}

// Heartbeat is the beat of the present owner, its name, and whether there is one.
func (s *Store) Heartbeat(ctx context.Context, name string) (uint64, string, bool, error) {
	owned, err := s.Obeyed(ctx, []string{name})
	o, ok := owned[name]
	return o.Beat, o.Owner, ok, err
}

// Beat moves the heartbeat.
func (s *Store) Beat(_ context.Context, f dispatcher.Fence) (dispatcher.Signal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.fenced(f)
	if err != nil {
		return dispatcher.Signal{}, err
	}
	a.beat++
	return s.signal(f.Account)
}

// Release ends the ownership. Asked again by the same owner it changes nothing.
func (s *Store) Release(_ context.Context, f dispatcher.Fence) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[f.Account]
	if a == nil || a.epoch != f.Epoch || a.owner != "" && a.owner != f.Owner {
		return fmt.Errorf("%w: account %s", dispatcher.ErrFenced, f.Account)
	}
	a.owner = ""
	return nil
}

// Commit appends to the journal, asks for grants and closes strands.
func (s *Store) Commit(_ context.Context, f dispatcher.Fence, seq uint64, c dispatcher.Commit) (dispatcher.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none dispatcher.Committed
	for _, x := range c.Close {
		if x.As == warning.Waiting {
			return none, fmt.Errorf("memstore: commit: strand %d is closed as waiting, which is open", x.Strand)
		}
	}
	a, err := s.fenced(f)
	if err != nil {
		return none, err
	}
	if seq == a.seq && seq > 0 {
		a.beat++
		return cloneCommitted(a.answer), nil
	}
	if seq != a.seq+1 {
		return none, fmt.Errorf("%w: the last commit to account %s was %d, this is %d", dispatcher.ErrFenced, f.Account, a.seq, seq)
	}
	signal, err := s.signal(f.Account)
	if err != nil {
		return none, err
	}
	d := draft{store: s, account: f.Account, tails: map[dispatcher.StrandID]dispatcher.StrandTail{}}
	refused, blob, err := d.judge(c, signal.Control.Paused)
	if err != nil {
		return none, err
	}
	for id, t := range d.tails {
		s.strands[id-1].tail = t
	}
	if len(blob) > 0 {
		a.entry++
		a.journal = append(a.journal, blob)
	}
	if len(c.Stats) > 0 {
		a.stats = slices.Clone(c.Stats)
	}
	a.seq, a.obeyed, a.beat = seq, c.Obeyed, a.beat+1
	a.answer = dispatcher.Committed{Signal: signal, Entry: a.entry, Refused: refused}
	return cloneCommitted(a.answer), nil
}

// draft is the tails that a commit will leave behind when all of it fits.
type draft struct {
	store   *Store
	account string
	tails   map[dispatcher.StrandID]dispatcher.StrandTail
}

func (d *draft) tail(id dispatcher.StrandID) (dispatcher.StrandTail, *strand, error) {
	if id == 0 || int(id) > len(d.store.strands) || d.store.strands[id-1] == nil || d.store.strands[id-1].head.Account != d.account {
		return dispatcher.StrandTail{}, nil, fmt.Errorf("%w: strand %d of account %s", dispatcher.ErrNotFound, id, d.account)
	}
	st := d.store.strands[id-1]
	if t, ok := d.tails[id]; ok {
		return t, st, nil
	}
	return st.tail, st, nil
}

func (d *draft) judge(c dispatcher.Commit, paused bool) (refused []warning.State, blob []byte, err error) {
	blob = slices.Clone(c.Journal)
	for _, g := range c.Grants {
		t, st, err := d.tail(g.Strand)
		switch {
		case err != nil:
			return nil, nil, err
		case t.Granted != g.From:
			return nil, nil, fmt.Errorf("memstore: commit: strand %d is granted up to %d, asked from %d", g.Strand, t.Granted, g.From)
		case g.To > st.head.People:
			return nil, nil, fmt.Errorf("memstore: commit: strand %d has no positions %d to %d", g.Strand, g.From, g.To)
		case g.To > g.From && t.Closed != warning.Waiting:
			return nil, nil, fmt.Errorf("memstore: commit: strand %d is closed", g.Strand)
		}
		w := d.store.warnings[st.head.Warning]
		no := w.state
		switch {
		case g.To < g.From: // what is given back is never refused
			no = 0
		case no != warning.Released:
		case !milliseconds(c.Now).Before(w.expires):
			no = warning.Expired
		case !paused:
			no = 0
		}
		refused = append(refused, no)
		if no == 0 {
			t.Granted = g.To
			blob = append(blob, g.Again...)
		}
		d.tails[g.Strand] = t
	}
	for _, x := range c.Close {
		t, _, err := d.tail(x.Strand)
		if err != nil {
			return nil, nil, err
		}
		if t.Closed != warning.Waiting && t.Closed != x.As {
			return nil, nil, fmt.Errorf("memstore: commit: strand %d is %v, to be closed as %v", x.Strand, t.Closed, x.As)
		}
		t.Closed = x.As
		d.tails[x.Strand] = t
	}
	for _, next := range c.Tails {
		t, _, err := d.tail(next.Strand)
		if err != nil {
			return nil, nil, err
		}
		next = cloneTail(next)
		next.Granted, next.Closed = t.Granted, t.Closed
		d.tails[next.Strand] = next
	}
	return refused, blob, nil
}

// Fold stores ledger chunks and drops the journal entries that they hold.
func (s *Store) Fold(_ context.Context, f dispatcher.Fence, chunks []dispatcher.Chunk, entry uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.fenced(f)
	if err != nil {
		return err
	}
	if entry > a.entry {
		return fmt.Errorf("memstore: fold: entry %d is not in the journal, the last is %d", entry, a.entry)
	}
	d := draft{store: s, account: f.Account}
	for _, c := range chunks {
		if _, _, err := d.tail(c.Strand); err != nil {
			return err
		}
	}
	for _, c := range chunks {
		s.strands[c.Strand-1].chunks[c.Index] = append([]byte{}, c.Data...)
	}
	if keep := a.entry - entry; keep < uint64(len(a.journal)) {
		a.journal = slices.Clone(a.journal[uint64(len(a.journal))-keep:])
	}
	return nil
}

// Load reads the account's strands that were stored or have grown after the generation, and have more people than have says.
func (s *Store) Load(_ context.Context, name string, after uint64, ledger bool, have func(dispatcher.StrandID) uint32) (dispatcher.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []dispatcher.StrandID
	for _, st := range s.strands {
		if st != nil && st.head.Account == name && st.since > after && !st.archived && (have == nil || st.head.People > have(st.head.ID)) {
			ids = append(ids, st.head.ID)
		}
	}
	return s.image(name, ids, ledger)
}

// Read is Load for the named strands of the account.
func (s *Store) Read(_ context.Context, name string, ids []dispatcher.StrandID, ledger bool) (dispatcher.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.image(name, ids, ledger)
}

func (s *Store) image(name string, ids []dispatcher.StrandID, ledger bool) (dispatcher.Image, error) {
	var im dispatcher.Image
	var err error
	if im.Signal, err = s.signal(name); err != nil {
		return im, err
	}
	a := s.accounts[name]
	if a != nil {
		im.Entry, im.Stats = a.entry, slices.Clone(a.stats)
	}
	d := draft{store: s, account: name}
	for _, id := range ids {
		_, st, err := d.tail(id)
		if err == nil && st.archived {
			err = fmt.Errorf("%w: strand %d is archived", dispatcher.ErrNotFound, id)
		}
		if err != nil {
			return dispatcher.Image{}, err
		}
		h := st.head
		h.Batches = slices.Clone(h.Batches)
		im.Strands = append(im.Strands, h)
		if !ledger {
			im.Tails = append(im.Tails, dispatcher.StrandTail{Strand: id, Granted: st.tail.Granted, Closed: st.tail.Closed})
			continue
		}
		im.Tails = append(im.Tails, cloneTail(st.tail))
		for _, index := range slices.Sorted(maps.Keys(st.chunks)) {
			im.Chunks = append(im.Chunks, dispatcher.Chunk{Strand: h.ID, Index: index, Data: append([]byte{}, st.chunks[index]...)})
		}
	}
	if ledger && a != nil {
		for _, e := range a.journal {
			im.Journal = append(im.Journal, slices.Clone(e))
		}
	}
	return im, nil
}

// States is how each of the warnings stands.
func (s *Store) States(_ context.Context, warnings []string) ([]dispatcher.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]dispatcher.Standing, 0, len(warnings))
	for _, id := range warnings {
		w, ok := s.warnings[id]
		if !ok {
			return nil, fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, id)
		}
		out = append(out, dispatcher.Standing{ID: id, State: w.state, Expires: w.expires})
	}
	return out, nil
}

func cloneTail(t dispatcher.StrandTail) dispatcher.StrandTail {
	t.Reasons = maps.Clone(t.Reasons)
	if len(t.Reasons) == 0 {
		t.Reasons = nil
	}
	t.Stats.First, t.Stats.Last = t.Stats.First.Round(0).UTC(), t.Stats.Last.Round(0).UTC()
	return t
}

func cloneCommitted(c dispatcher.Committed) dispatcher.Committed {
	c.Refused = slices.Clone(c.Refused)
	return c
}
