// Package memstore keeps in memory what the engine asks of a store. It exists for tests and simulation only and is
// never offered for use: an engine that forgets is not an engine.
//
// It passes the suite of storetest, so that a test that runs on it says something about the real one. What it hands out
// is never shared with what it keeps.
package memstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Store keeps one realm. The zero value is not usable.
type Store struct {
	mu         sync.Mutex
	generation uint64
	warnings   map[string]*record
	answers    map[[2]string]answer // by user and key
	toPlan     map[string]bool
	ahead      map[string]bool // batches that were stored before their plan
	entries    [][]byte
	tables     map[string]map[string][]byte
	plans      map[string]plan
	strands    []*strand // by id - 1; nil: deleted
	rolls      map[string]map[dispatcher.RollPage][]byte
	accounts   map[string]*account
	blobs      map[[32]byte][]byte
	manifests  map[string][]byte
	newest     string
	writer     string // who may write the directory
}

var (
	_ dispatcher.Records = (*Store)(nil)
	_ dispatcher.Queue   = (*Store)(nil)
)

type record struct {
	rev     uint64
	warning []byte // JSON
	state   warning.State
	expires time.Time // whole milliseconds
	digest  string
	content string
}

type answer struct {
	digest  string
	done    dispatcher.Done
	warning string
}

type plan struct {
	plan dispatcher.Plan // without strands
	ids  []dispatcher.StrandID
	part []dispatcher.Strand // the last one
}

type strand struct {
	head     dispatcher.Strand
	tail     dispatcher.StrandTail
	chunks   map[uint32][]byte
	since    uint64 // generation at which it was stored or grew last
	archived bool
}

type account struct {
	owner              string
	epoch, beat        uint64
	seq, entry, obeyed uint64
	answer             dispatcher.Committed
	journal            [][]byte // the last one has the number entry
	stats              []byte
}

// New is an empty store.
func New() *Store {
	return &Store{
		warnings: map[string]*record{}, answers: map[[2]string]answer{}, toPlan: map[string]bool{}, ahead: map[string]bool{},
		tables: map[string]map[string][]byte{}, plans: map[string]plan{}, accounts: map[string]*account{},
		blobs: map[[32]byte][]byte{}, manifests: map[string][]byte{}, rolls: map[string]map[dispatcher.RollPage][]byte{},
	}
}

// Durability says that nothing is durable.
func (s *Store) Durability() string { return "none: in memory, for tests" }

// Do carries out one act.
func (s *Store) Do(_ context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.do(a)
}

func (s *Store) do(a dispatcher.Act) (dispatcher.Done, error) {
	if old, ok := s.answers[[2]string{a.User, a.Key}]; ok && a.Key != "" {
		if old.digest != a.Digest {
			return dispatcher.Done{}, fmt.Errorf("%w: the key was used with other content", dispatcher.ErrOtherUse)
		}
		done := old.done
		done.Answer, done.Repeated = slices.Clone(done.Answer), true
		return done, nil
	}
	if err := s.fits(a); err != nil {
		return dispatcher.Done{}, err
	}
	if w := a.Warning; w != nil {
		b, err := json.Marshal(w)
		if err != nil {
			return dispatcher.Done{}, fmt.Errorf("memstore: act: warning: %w", err)
		}
		s.warnings[w.ID] = &record{a.Rev + 1, b, w.State, milliseconds(w.Spec.Expires), w.Digest, w.Content}
		switch {
		case a.ToPlan:
			s.toPlan[w.ID] = true
		case w.State != warning.Released && w.State != warning.Held:
			delete(s.toPlan, w.ID)
		}
	}
	raises := a.Warning != nil
	for _, p := range a.Puts {
		raises = raises || p.Table == dispatcher.TableControls
		if s.tables[p.Table] == nil {
			s.tables[p.Table] = map[string][]byte{}
		}
		if p.Value == nil {
			delete(s.tables[p.Table], p.Field)
		} else {
			s.tables[p.Table][p.Field] = append([]byte{}, p.Value...)
		}
	}
	if raises {
		s.generation++
	}
	done := dispatcher.Done{Answer: append([]byte{}, a.Answer...), Generation: s.generation}
	if a.Entry != (dispatcher.Entry{}) {
		if err := s.enter(a.Entry); err != nil {
			return dispatcher.Done{}, err
		}
		done.Number = uint64(len(s.entries))
	}
	if a.Key != "" {
		of := ""
		if a.Warning != nil {
			of = a.Warning.ID
		}
		s.answers[[2]string{a.User, a.Key}] = answer{a.Digest, done, of}
		done.Answer = slices.Clone(done.Answer)
	}
	return done, nil
}

// enter adds an entry to the record of acts.
func (s *Store) enter(e dispatcher.Entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("memstore: act: entry: %w", err)
	}
	s.entries = append(s.entries, fmt.Appendf(nil, `{"v":1,"number":%d,%s`, len(s.entries)+1, b[1:]))
	return nil
}

// Answered is the stored answer to an act that this user made with this key before.
func (s *Store) Answered(_ context.Context, user, key, digest string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.answers[[2]string{user, key}]
	if !ok {
		return nil, false, nil
	}
	if old.digest != digest {
		return nil, false, fmt.Errorf("%w: the key was used with other content", dispatcher.ErrOtherUse)
	}
	return slices.Clone(old.done.Answer), true, nil
}

// fits tells why an act cannot be carried out, before anything of it is.
func (s *Store) fits(a dispatcher.Act) error {
	id := ""
	if w := a.Warning; w != nil {
		id = w.ID
		if id == "" {
			return errors.New("memstore: act: the warning has no id")
		}
		old, ok := s.warnings[id]
		switch {
		case !ok && a.Rev != 0:
			return fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, id)
		case ok && old.rev != a.Rev:
			return fmt.Errorf("%w: warning %s is at revision %d, read was %d", dispatcher.ErrChanged, id, old.rev, a.Rev)
		case ok && old.digest != w.Digest:
			return fmt.Errorf("memstore: warning %s has another digest: what was submitted never changes", id)
		}
	}
	if r := s.warnings[a.StateOf]; a.StateOf != "" && (r == nil || r.state != a.State) {
		return fmt.Errorf("%w: warning %s is not %s", dispatcher.ErrChanged, a.StateOf, a.State)
	}
	if a.Fence != (dispatcher.Fence{}) {
		if _, err := s.fenced(a.Fence); err != nil {
			return err
		}
	}
	for _, p := range a.Puts {
		if now := s.tables[p.Table][p.Field]; p.Was != nil && !bytes.Equal(now, p.Was) {
			return fmt.Errorf("%w: %s of %s", dispatcher.ErrChanged, p.Field, p.Table)
		}
	}
	if parts := s.plans[id].plan.Parts; a.Parts != 0 && a.Parts != parts {
		return fmt.Errorf("%w: the plan of warning %s has %d parts, read were %d", dispatcher.ErrChanged, id, parts, a.Parts)
	}
	if !a.Unique || a.Warning == nil {
		return nil
	}
	for other, r := range s.warnings {
		if other != id && r.content == a.Warning.Content && live(r.state) && r.expires.After(milliseconds(a.Entry.At)) {
			return fmt.Errorf("%w: warning %s", dispatcher.ErrSame, other)
		}
	}
	return nil
}

func live(s warning.State) bool {
	switch s {
	case warning.Submitted, warning.Approved, warning.Released, warning.Held:
		return true
	}
	return false
}

// milliseconds is t as the store keeps it.
func milliseconds(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// Warning is one warning and the revision of its record.
func (s *Store) Warning(_ context.Context, id string) (w warning.Warning, rev uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.warnings[id]
	if !ok {
		return w, 0, fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, id)
	}
	return w, r.rev, json.Unmarshal(r.warning, &w)
}

// Warnings lists those in any of the states, newest first; a limit of 0 or less is none.
func (s *Store) Warnings(_ context.Context, states []warning.State, limit int) ([]warning.Warning, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []warning.Warning
	for _, r := range s.warnings {
		if len(states) > 0 && !slices.Contains(states, r.state) {
			continue
		}
		var w warning.Warning
		if err := json.Unmarshal(r.warning, &w); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b warning.Warning) int { return strings.Compare(b.ID, a.ID) })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

// Standing is what changes of the warnings in any of the states.
func (s *Store) Standing(_ context.Context, states []warning.State) ([]dispatcher.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []dispatcher.Standing
	for id, r := range s.warnings {
		if len(states) == 0 || slices.Contains(states, r.state) {
			out = append(out, dispatcher.Standing{ID: id, State: r.state, Expires: r.expires})
		}
	}
	return out, nil
}

// ToPlan is the released warnings whose plan is not made yet, oldest first.
func (s *Store) ToPlan(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for id := range s.toPlan {
		if s.warnings[id].state == warning.Released {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

// manyBatches is from how many on the batches of a strand are stored ahead.
const manyBatches = 29

// PutBatches remembers that batches are stored ahead; they stay with their strand.
func (s *Store) PutBatches(_ context.Context, id string, strands []dispatcher.Strand) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range strands {
		if st := &strands[i]; st.ID == 0 && st.Ref == "" && len(st.Batches) >= manyBatches {
			st.Ref = fmt.Sprintf("%s:%d", id, i)
			s.ahead[st.Ref] = true
		}
	}
	return nil
}

// ForgetAhead forgets what was stored ahead, as time does, and answers how many strands that were.
func (s *Store) ForgetAhead() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer clear(s.ahead)
	return len(s.ahead)
}

// PutPlan stores the strands of a released warning.
func (s *Store) PutPlan(ctx context.Context, rev uint64, p dispatcher.Plan) ([]dispatcher.StrandID, error) {
	done := s.PutPlans(ctx, []dispatcher.Part{{Rev: rev, Plan: p}})[0]
	return done.IDs, done.Err
}

// PutPlans stores parts of many plans, each by itself.
func (s *Store) PutPlans(_ context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]dispatcher.Stored, len(parts))
	for i, p := range parts {
		p.Parts = max(1, p.Parts)
		out[i].New = s.plans[p.Warning].plan.Parts < p.Parts
		if out[i].IDs, out[i].Err = s.putPlan(p.Rev, p.Plan); out[i].Err != nil {
			out[i].New = false
		}
	}
	return out
}

// putPlan stores one part. mu is held.
func (s *Store) putPlan(rev uint64, p dispatcher.Plan) ([]dispatcher.StrandID, error) {
	part := slices.Clone(p.Strands) // without where its batches are
	for i := range part {
		part[i].Ref = ""
	}
	old, ok := s.plans[p.Warning]
	switch {
	case ok && old.plan.Version != p.Version:
		return nil, fmt.Errorf("%w: version %d of warning %s is planned", dispatcher.ErrChanged, old.plan.Version, p.Warning)
	case old.plan.Parts == p.Parts && p.Parts > 1 && !reflect.DeepEqual(old.part, part):
		return nil, fmt.Errorf("%w: part %d of the plan of warning %s has other people", dispatcher.ErrChanged, p.Parts, p.Warning)
	case old.plan.Parts >= p.Parts && (p.Parts == 1 || old.plan.Parts == p.Parts):
		return slices.Clone(old.ids), nil
	case old.plan.Parts != p.Parts-1:
		return nil, fmt.Errorf("%w: the plan of warning %s has %d parts", dispatcher.ErrChanged, p.Warning, old.plan.Parts)
	}
	r, ok := s.warnings[p.Warning]
	if !ok {
		return nil, fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, p.Warning)
	}
	if old.plan.Archived != nil {
		return nil, fmt.Errorf("%w: warning %s is archived", dispatcher.ErrChanged, p.Warning)
	}
	if r.rev != rev || r.state != warning.Released {
		return nil, fmt.Errorf("%w: warning %s is at revision %d in state %v", dispatcher.ErrChanged, p.Warning, r.rev, r.state)
	}
	if err := s.retired(p.Snapshot); err != nil {
		return nil, err
	}
	for i := range p.Strands {
		if err := s.retired(p.Strands[i].Snapshot); err != nil && p.Strands[i].ID == 0 {
			return nil, err
		}
		if err := s.grows(&p.Strands[i]); err != nil {
			return nil, err
		}
		if ref := p.Strands[i].Ref; ref != "" && !s.ahead[ref] {
			return nil, fmt.Errorf("%w: %s", dispatcher.ErrGone, ref)
		}
	}
	ids := slices.Clone(old.ids)
	s.generation++
	for _, h := range p.Strands {
		h.Batches, h.Ref = slices.Clone(h.Batches), ""
		if h.ID != 0 {
			st := s.strands[h.ID-1]
			st.head.People, st.head.Batches, st.since = h.People, append(st.head.Batches, h.Batches...), s.generation
			continue
		}
		h.ID = dispatcher.StrandID(len(s.strands) + 1)
		s.strands = append(s.strands, &strand{h, dispatcher.StrandTail{Strand: h.ID}, map[uint32][]byte{}, s.generation, false})
		ids = append(ids, h.ID)
	}
	p.Strands = nil
	s.plans[p.Warning] = plan{p, ids, part}
	delete(s.toPlan, p.Warning)
	return slices.Clone(ids), nil
}

// retired refuses to plan with a snapshot that is.
func (s *Store) retired(snapshot string) error {
	if _, is := s.tables[dispatcher.TableRetired][snapshot]; is {
		return fmt.Errorf("%w: snapshot %s is retired, plan again", dispatcher.ErrChanged, snapshot)
	}
	return nil
}

// grows tells why a strand that has an id cannot grow as it is said.
func (s *Store) grows(h *dispatcher.Strand) error {
	if h.ID == 0 {
		return nil
	}
	added := uint32(0)
	for i := range h.Batches {
		added += uint32(h.Batches[i].Mask.Count())
	}
	if int(h.ID) > len(s.strands) || s.strands[h.ID-1] == nil {
		return fmt.Errorf("%w: strand %d", dispatcher.ErrChanged, h.ID)
	}
	if t := s.strands[h.ID-1].tail; t.Closed != warning.Waiting {
		return fmt.Errorf("%w: strand %d is closed", dispatcher.ErrChanged, h.ID)
	}
	if old := s.strands[h.ID-1].head; old.Warning != h.Warning || old.Account != h.Account || old.People+added != h.People {
		return fmt.Errorf("%w: strand %d has %d people", dispatcher.ErrChanged, h.ID, old.People)
	}
	return nil
}

// PlanOf is the figures of a warning's plan and its strands, without their batches, with their counts.
func (s *Store) PlanOf(_ context.Context, id string) (dispatcher.Plan, []dispatcher.StrandTail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.plans[id]
	if !ok {
		return dispatcher.Plan{}, nil, fmt.Errorf("%w: plan of warning %s", dispatcher.ErrNotFound, id)
	}
	p := old.plan
	var tails []dispatcher.StrandTail
	for _, id := range old.ids {
		st := s.strands[id-1]
		h := st.head
		h.Batches = nil
		p.Strands, tails = append(p.Strands, h), append(tails, cloneTail(st.tail))
	}
	return p, tails, nil
}

// Obeyed is how far the owner of each named account is; accounts without owner are left out.
func (s *Store) Obeyed(_ context.Context, accounts []string) (map[string]dispatcher.Owned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]dispatcher.Owned{}
	for _, name := range accounts {
		if a := s.accounts[name]; a != nil && a.owner != "" {
			out[name] = dispatcher.Owned{Owner: a.owner, Beat: a.beat, Obeyed: a.obeyed}
		}
	}
	return out, nil
}

// Table is every small record of a table by its field.
func (s *Store) Table(_ context.Context, table string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for field, value := range s.tables[table] {
		out[field] = append([]byte{}, value...)
	}
	return out, nil
}

// Entries is up to n entries of the record of acts from number from on.
func (s *Store) Entries(_ context.Context, from uint64, n int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from == 0 || n <= 0 || from > uint64(len(s.entries)) {
		return nil, nil
	}
	var out [][]byte
	for _, e := range s.entries[from-1 : min(int(from-1)+n, len(s.entries))] {
		out = append(out, slices.Clone(e))
	}
	return out, nil
}
