package memstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"tocsin/dispatcher"
)

// PutRoll stores what became of the people of a strand.
func (s *Store) PutRoll(_ context.Context, id string, strand dispatcher.StrandID, pages [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.plans[id]; ok && old.plan.Archived != nil {
		return nil
	}
	if s.rolls[id] == nil {
		s.rolls[id] = map[dispatcher.RollPage][]byte{}
	}
	for i, p := range pages {
		s.rolls[id][dispatcher.RollPage{Strand: strand, Page: i}] = append([]byte{}, p...)
	}
	return nil
}

// RollPages is one page of each roll of a warning; nil where it is not kept.
func (s *Store) RollPages(_ context.Context, id string, at []dispatcher.RollPage) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([][]byte, len(at))
	for i, p := range at {
		if page, ok := s.rolls[id][p]; ok {
			out[i] = append([]byte{}, page...)
		}
	}
	return out, nil
}

// Pseudonym hides nothing from whoever tries: there is no key.
func (s *Store) Pseudonym(number uint64) [16]byte {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, number))
	return [16]byte(sum[:])
}

// Archive takes the strands of a warning from their accounts.
func (s *Store) Archive(_ context.Context, id string, report []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.plans[id]
	if !ok {
		return fmt.Errorf("%w: plan of warning %s", dispatcher.ErrNotFound, id)
	}
	if old.plan.Archived == nil {
		old.plan.Archived = append([]byte{}, report...)
		s.plans[id] = old
		for _, n := range old.ids {
			st := s.strands[n-1]
			st.archived, st.head.Batches, st.chunks = true, nil, map[uint32][]byte{}
		}
	}
	return nil
}

// Delete removes a warning that is over and archived, and all that belongs to it.
func (s *Store) Delete(_ context.Context, id string, e dispatcher.Entry, fields []dispatcher.Put) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.warnings[id]
	if !ok {
		return nil
	}
	p, planned := s.plans[id]
	if !slices.Contains(dispatcher.Over, r.state) || planned && p.plan.Archived == nil {
		return fmt.Errorf("%w: warning %s is not over, or not archived", dispatcher.ErrChanged, id)
	}
	if err := s.enter(e); err != nil {
		return err
	}
	for _, f := range fields {
		delete(s.tables[f.Table], f.Field)
	}
	for _, n := range p.ids {
		s.strands[n-1] = nil
	}
	maps.DeleteFunc(s.answers, func(_ [2]string, a answer) bool { return a.warning == id })
	delete(s.warnings, id)
	delete(s.toPlan, id)
	delete(s.plans, id)
	delete(s.rolls, id)
	return nil
}

// Purge has nothing to do: Delete leaves nothing.
func (s *Store) Purge(context.Context) error { return nil }
