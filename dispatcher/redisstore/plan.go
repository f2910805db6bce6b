package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// orphanLife is how long the batches of a planner that died are kept. It is a matter of tidiness: the heads are
// written only if every chunk is still there.
const orphanLife = time.Hour

// figures is the stored form of a plan without its strands.
type figures struct {
	V         int    `json:"v"`
	Snapshot  string `json:"snapshot"`
	InArea    int64  `json:"in_area"`
	NoAddress int64  `json:"no_address"`
	OptedOut  int64  `json:"opted_out"`
	NoRoute   int64  `json:"no_route"`
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
	chunks := make([][][]byte, len(p.Strands)) // by strand
	print := sha256.New()
	for i := range p.Strands {
		for b := p.Strands[i].Batches; len(b) > 0; b = b[min(chunkBatches, len(b)):] {
			chunks[i] = append(chunks[i], appendBatches(nil, b[:min(chunkBatches, len(b))]))
		}
		st := &p.Strands[i]
		fmt.Fprintf(print, "%d %s %d %d %d %s\n", i, st.Account, len(chunks[i]), st.Channel, st.Words, st.Snapshot)
		for _, c := range chunks[i] {
			print.Write(c)
		}
	}
	fingerprint := [8]byte(print.Sum(nil))

	fig, err := json.Marshal(figures{
		V: recordVersion, Snapshot: p.Snapshot, InArea: p.InArea, NoAddress: p.NoAddress, OptedOut: p.OptedOut,
		NoRoute: p.NoRoute, Entered: p.Entered, Pending: p.Pending,
	})
	if err != nil {
		return nil, fmt.Errorf("redisstore: plan: %w", err)
	}
	args := []any{s.keys.prefix, p.Warning, rev, p.Version, fig, len(p.Strands), max(1, p.Parts), hex.EncodeToString(fingerprint[:])}
	keys := []string{
		s.keys.warning(p.Warning), s.keys.plan(p.Warning), s.keys.toPlan(), s.keys.strands(), s.keys.generation(),
	}
	for i := range p.Strands {
		st := &p.Strands[i]
		h, err := json.Marshal(head{recordVersion, *st})
		if err != nil {
			return nil, fmt.Errorf("redisstore: plan: strand %d: %w", i, err)
		}
		keys = append(keys, s.keys.carries(st.Account))
		args = append(args, h, st.Account, st.People, batchesRef(p.Warning, fingerprint, i), len(chunks[i]))
	}
	var names []string
	var data [][]byte
	for i := range chunks {
		ref := batchesRef(p.Warning, fingerprint, i)
		for j, c := range chunks[i] {
			names, data = append(names, s.keys.batches(ref, j)), append(data, c)
		}
	}
	// A chunk that is there has the same content; it must not get a time to live again.
	err = s.pipeline(ctx, len(names), 16, func(p redis.Pipeliner, i int) {
		p.SetNX(ctx, names[i], data[i], orphanLife)
	}, func(int, redis.Cmder) error { return nil })
	if err != nil {
		return nil, err
	}
	all, err := s.run(ctx, planScript, append(keys, names...), args...).Text()
	if err != nil {
		return nil, failed("plan", err)
	}
	return strandIDs(all), nil
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
	}
	if err := s.db.HMGet(ctx, s.keys.plan(id), "version", "figures", "strands", "parts").Scan(&h); err != nil {
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
		InArea: f.InArea, NoAddress: f.NoAddress, OptedOut: f.OptedOut, NoRoute: f.NoRoute, Entered: f.Entered,
		Pending: f.Pending, Parts: h.Parts,
	}
	strands, tails, _, err := s.strandsOf(ctx, strandIDs(h.Strands))
	p.Strands = strands
	return p, tails, err
}

// stored is the hash of a strand as it is read.
type stored struct {
	Head    string `redis:"head"`
	Granted uint32 `redis:"granted"`
	Closed  uint8  `redis:"closed"`
	Tail    string `redis:"tail"`
	Batches string `redis:"batches"`
	Chunks  int    `redis:"chunks"`
}

// strandsOf reads heads and tails, and where the batches of each strand are.
func (s *Store) strandsOf(ctx context.Context, ids []dispatcher.StrandID) (strands []dispatcher.Strand, tails []dispatcher.StrandTail, at []stored, err error) {
	err = s.pipeline(ctx, len(ids), 256, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.strand(ids[i]), "head", "granted", "closed", "tail", "batches", "chunks")
	}, func(i int, c redis.Cmder) error {
		var h stored
		if err := c.(*redis.SliceCmd).Scan(&h); err != nil {
			return failed("strand", err)
		}
		var st head
		if err := decodeVersioned("strand "+utoa(uint64(ids[i])), h.Head, &st, &st.V); err != nil {
			return err
		}
		st.ID = ids[i]
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
