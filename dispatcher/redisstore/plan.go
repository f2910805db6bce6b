package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// figures is the stored form of a plan without its strands.
type figures struct {
	V         int    `json:"v"`
	Snapshot  string `json:"snapshot"`
	InArea    int64  `json:"in_area"`
	NoAddress int64  `json:"no_address"`
	OptedOut  int64  `json:"opted_out"`
	NoRoute   int64  `json:"no_route"`
	Untold    int64  `json:"untold,omitempty"`
	Steps     int    `json:"steps,omitempty"`
	Entered   int64  `json:"entered"`
	Pending   bool   `json:"pending"`
}

// head is the stored form of a strand's head; its id is in the key.
type head struct {
	V int `json:"v"`
	dispatcher.Strand
}

// tail is the stored form of what the owner of a strand counts; what the script keeps (granted, closed) is not read from
// it.
type tail struct {
	V int `json:"v"`
	dispatcher.StrandTail
}

// PutPlan stores the strands of a released warning: batches first, then all heads in one script.
func (s *Store) PutPlan(ctx context.Context, rev uint64, p dispatcher.Plan) ([]dispatcher.StrandID, error) {
	done := s.PutPlans(ctx, []dispatcher.Part{{Rev: rev, Plan: p}})[0]
	return done.IDs, done.Err
}

// PutPlans stores parts of many plans: the large batches of all, then a script for each, sent together.
func (s *Store) PutPlans(ctx context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	out := make([]dispatcher.Stored, len(parts))
	written := make([]planWrite, len(parts))
	for i := range parts {
		p := parts[i].Plan
		p.Strands = slices.Clone(p.Strands)
		if out[i].Err = s.PutBatches(ctx, p.Warning, p.Strands); out[i].Err == nil {
			written[i], out[i].Err = s.planWrite(parts[i].Rev, &p)
		}
	}
	for first := 0; first < len(parts); first += planScripts {
		last := min(first+planScripts, len(parts))
		if err := s.planScripts(ctx, written[first:last], out[first:last]); err != nil {
			for i := first; i < len(parts); i++ {
				out[i].Err = errors.Join(out[i].Err, err)
			}
			break
		}
	}
	return out
}

const (
	planScripts = 256 // how many scripts of plans are sent together
	planNew     = '1' // begins the answer of one that has stored its part
)

// planScripts runs the scripts of those that have no error yet.
func (s *Store) planScripts(ctx context.Context, written []planWrite, out []dispatcher.Stored) error {
	p := s.db.Pipeline()
	answers := make([]*redis.Cmd, len(written))
	for i := range written {
		if out[i].Err == nil {
			answers[i] = planScript.EvalSha(ctx, p, written[i].keys, written[i].args...)
		}
	}
	if p.Len() == 0 {
		return nil
	}
	if answers, err := p.Exec(ctx); err != nil && len(answers) == 0 {
		return failed("plan", err)
	}
	for i, c := range answers {
		if c == nil {
			continue
		}
		all, err := c.Text()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			all, err = s.run(ctx, planScript, written[i].keys, written[i].args...).Text()
		}
		if err == nil && all == "" {
			err = errors.New("no answer of the script")
		}
		if err != nil {
			out[i].Err = failed("plan", err)
			continue
		}
		out[i].New = all[0] == planNew
		out[i].IDs = strandIDs(all[1:])
	}
	return nil
}

// planWrite is one part of a plan as it is written: the script's keys and arguments.
type planWrite struct {
	keys []string
	args []any
}

// planWrite is a part of a plan whose large batches are stored.
func (s *Store) planWrite(rev uint64, p *dispatcher.Plan) (w planWrite, err error) {
	fig, err := json.Marshal(figures{
		V: recordVersion, Snapshot: p.Snapshot, InArea: p.InArea, NoAddress: p.NoAddress, OptedOut: p.OptedOut,
		NoRoute: p.NoRoute, Untold: p.Untold, Steps: p.Steps, Entered: p.Entered, Pending: p.Pending,
	})
	if err != nil {
		return w, fmt.Errorf("redisstore: plan: %w", err)
	}
	w.keys = []string{
		s.keys.warning(p.Warning), s.keys.plan(p.Warning), s.keys.toPlan(), s.keys.strands(), s.keys.generation(),
	}
	var chunks []string
	var strands []any
	print := sha256.New()
	for i := range p.Strands {
		st := &p.Strands[i]
		h, err := json.Marshal(head{recordVersion, *st})
		if err != nil {
			return w, fmt.Errorf("redisstore: plan: strand %d: %w", i, err)
		}
		n, before, more := 0, 0, []byte{}
		if st.Ref != "" {
			n = chunksOf(st)
			s.fresh.keep(st)
		} else {
			more = appendBatches(nil, st.Batches)[1:] // the script writes the version
		}
		for j := range n {
			chunks = append(chunks, s.keys.batches(st.Ref, j))
		}
		if st.ID != 0 {
			before = int(st.People)
			for k := range st.Batches {
				before -= st.Batches[k].Mask.Count()
			}
		}
		fmt.Fprintf(print, "%d %d %s %s %d %d %s\n", i, st.ID, st.Account, st.Ref, st.Channel, st.Words, st.Snapshot)
		print.Write(more)
		w.keys = append(w.keys, s.keys.carries(st.Account))
		strands = append(strands, h, st.Account, st.People, st.Ref, n, uint32(st.ID), before, more)
	}
	w.keys = append(w.keys, chunks...)
	w.args = append([]any{
		s.keys.prefix, p.Warning, rev, p.Version, fig, len(p.Strands), max(1, p.Parts), hex.EncodeToString(print.Sum(nil)[:8]),
	}, strands...)
	return w, nil
}

func strandIDs(packed string) []dispatcher.StrandID {
	ids := make([]dispatcher.StrandID, len(packed)/4)
	for i := range ids {
		ids[i] = dispatcher.StrandID(binary.LittleEndian.Uint32([]byte(packed[4*i:])))
	}
	return ids
}

// PlanOf is the figures of a warning's plan and its strands, without their batches, with their counts.
func (s *Store) PlanOf(ctx context.Context, id string) (dispatcher.Plan, []dispatcher.StrandTail, error) {
	var h struct {
		Version int    `redis:"version"`
		Figures string `redis:"figures"`
		Strands string `redis:"strands"`
		Parts   int    `redis:"parts"`
		Archive string `redis:"archived"`
	}
	if err := s.db.HMGet(ctx, s.keys.plan(id), "version", "figures", "strands", "parts", "archived").Scan(&h); err != nil {
		return dispatcher.Plan{}, nil, failed("plan", err)
	}
	if h.Figures == "" {
		return dispatcher.Plan{}, nil, fmt.Errorf("%w: plan of warning %s", dispatcher.ErrNotFound, id)
	}
	var f figures
	if err := decodeVersioned("the plan of warning "+id, h.Figures, &f, &f.V); err != nil {
		return dispatcher.Plan{}, nil, err
	}
	p := dispatcher.Plan{
		Warning: id, Version: h.Version, Snapshot: f.Snapshot,
		InArea: f.InArea, LeftOut: dispatcher.LeftOut{NoAddress: f.NoAddress, OptedOut: f.OptedOut, NoRoute: f.NoRoute, Untold: f.Untold}, Steps: f.Steps, Entered: f.Entered,
		Pending: f.Pending, Parts: h.Parts,
	}
	var err error
	if h.Archive != "" {
		if p.Archived, err = unversioned("the report of warning "+id, h.Archive); err != nil {
			return p, nil, err
		}
	}
	strands, tails, _, err := s.strandsOf(ctx, strandIDs(h.Strands), true)
	p.Strands = strands
	return p, tails, err
}

// stored is the hash of a strand as it is read.
type stored struct {
	Head    string `redis:"head"`
	People  uint32 `redis:"people"`
	Granted uint32 `redis:"granted"`
	Closed  uint8  `redis:"closed"`
	Tail    string `redis:"tail"`
	Batches string `redis:"batches"`
	Chunks  *int   `redis:"chunks"` // nil: it is archived
}

// strandsOf reads heads and tails, these with their counts where asked, and where the batches of each strand are.
func (s *Store) strandsOf(ctx context.Context, ids []dispatcher.StrandID, counts bool) (strands []dispatcher.Strand, tails []dispatcher.StrandTail, at []stored, err error) {
	fields := []string{"head", "people", "granted", "closed", "batches", "chunks"}
	if counts {
		fields = append(fields, "tail")
	}
	err = s.pipeline(ctx, len(ids), 256, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.strand(ids[i]), fields...)
	}, func(i int, c redis.Cmder) error {
		var h stored
		if err := c.(*redis.SliceCmd).Scan(&h); err != nil {
			return failed("strand", err)
		}
		if h.Head == "" {
			return fmt.Errorf("%w: strand %d", dispatcher.ErrNotFound, ids[i])
		}
		var st head
		if err := decodeVersioned("strand "+utoa(uint64(ids[i])), h.Head, &st, &st.V); err != nil {
			return err
		}
		st.ID, st.People = ids[i], h.People
		var t tail
		if h.Tail != "" { // empty until its owner writes it
			if err := decodeVersioned("the counts of strand "+utoa(uint64(ids[i])), h.Tail, &t, &t.V); err != nil {
				return err
			}
		}
		t.Strand, t.Granted, t.Closed = ids[i], h.Granted, warning.PersonState(h.Closed)
		strands, tails, at = append(strands, st.Strand), append(tails, t.StrandTail), append(at, h)
		return nil
	})
	return strands, tails, at, err
}
