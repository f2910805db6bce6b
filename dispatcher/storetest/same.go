package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Same runs random sequences of operations on two stores and fails where they answer differently. The answers of two
// honest stores agree in every value and in the kind of every error.
func Same(t *testing.T, open func(t testing.TB) (a, b Store)) {
	rapid.Check(t, func(r *rapid.T) {
		p := pair{T: r, ctx: t.Context(), seq: map[dispatcher.Fence]uint64{}, rev: map[int]uint64{}, granted: map[dispatcher.StrandID]uint32{}, entries: map[string]uint64{}, carries: map[string][]dispatcher.StrandID{}}
		p.a, p.b = open(t)
		p.begin()
		steps := []func(){p.act, p.act, p.plan, p.grow, p.acquire, p.commit, p.commit, p.commit, p.fold, p.beat, p.release, p.ask, p.end}
		for range p.upTo(40, "steps") {
			rapid.SampledFrom(steps).Draw(r, "step")()
		}
		p.everything()
	})
}

// pair is two stores and what the sequence has learned of them, so that most of what it asks makes sense.
type pair struct {
	*rapid.T
	ctx     context.Context
	a, b    Store
	fences  []dispatcher.Fence
	seq     map[dispatcher.Fence]uint64
	rev     map[int]uint64 // of each warning
	granted map[dispatcher.StrandID]uint32
	entries map[string]uint64                // the last journal entry of each account
	carries map[string][]dispatcher.StrandID // the strands of each account
}

var accounts = []string{"a", "b"}

func (p *pair) upTo(n int, label string) int { return rapid.IntRange(0, n).Draw(p.T, label) }

func (p *pair) flip(label string) bool { return rapid.Bool().Draw(p.T, label) }

// rarely is true once in 8 times.
func (p *pair) rarely(label string) bool { return p.upTo(7, label) == 7 }

func (p *pair) account() string { return rapid.SampledFrom(accounts).Draw(p.T, "account") }

// strand is most often one of the account's.
func (p *pair) strand(account string) dispatcher.StrandID {
	if own := p.carries[account]; len(own) > 0 && !p.rarely("any strand") {
		return rapid.SampledFrom(own).Draw(p.T, "strand")
	}
	return dispatcher.StrandID(p.upTo(5, "strand"))
}

func (p *pair) at() time.Time { return start.Add(time.Duration(p.upTo(70, "minute")) * time.Minute) }

// both asks both stores and fails when the answers differ. It answers what they said, and whether it was no error.
func both[T any](p *pair, what string, ask func(Store) (T, error)) (answer T, ok bool) {
	p.Helper()
	va, ea := ask(p.a)
	vb, eb := ask(p.b)
	if kindOf(ea) != kindOf(eb) || (ea == nil) != (eb == nil) {
		p.Fatalf("%s: one store says %v, the other %v", what, ea, eb)
	}
	if d := cmp.Diff(va, vb, cmpopts.EquateEmpty()); ea == nil && d != "" {
		p.Fatalf("%s: the stores differ (-a +b):\n%s", what, d)
	}
	return va, ea == nil
}

// begin plans two warnings and takes the accounts, which chance alone would seldom do.
func (p *pair) begin() {
	for n := 1; n <= p.upTo(2, "begun"); n++ {
		w := draft(n, warning.Released)
		w.Content = fmt.Sprint("content", n%2)
		both(p, "release", func(s Store) (dispatcher.Done, error) { return s.Do(p.ctx, dispatcher.Act{Warning: w, ToPlan: true}) })
		p.rev[n] = 1
		p.put(n, plan(n, 1000, accounts...))
	}
	p.acquire()
	p.acquire()
}

func (p *pair) act() {
	a := dispatcher.Act{
		User: rapid.SampledFrom([]string{"lin", "wu"}).Draw(p.T, "user"), Key: rapid.SampledFrom([]string{"", "", "k", "l"}).Draw(p.T, "key"),
		Digest: rapid.SampledFrom([]string{"d", "d", "e"}).Draw(p.T, "digest"), Answer: []byte(rapid.SampledFrom([]string{"", "x", "y"}).Draw(p.T, "answer")),
	}
	if p.flip("entry") {
		a.Entry = entry("act")
		a.Entry.At = p.at()
	}
	n := p.upTo(4, "warning")
	if n > 0 {
		a.Warning = draft(n, warning.State(1+p.upTo(7, "state")))
		if p.flip("released") {
			a.Warning.State = warning.Released
		}
		a.Warning.Spec.Expires = start.Add(time.Duration(n) * 20 * time.Minute)
		a.Warning.Content = fmt.Sprint("content", n%2)
		a.Rev, a.ToPlan = p.rev[n], p.flip("to plan")
		if p.rarely("stale") {
			a.Rev = uint64(p.upTo(3, "rev"))
		}
		a.Unique = p.flip("unique")
	}
	if p.rarely("state of") {
		a.StateOf, a.State = id(1+p.upTo(3, "of")), warning.State(1+p.upTo(7, "its state"))
	}
	for range p.upTo(2, "puts") {
		put := dispatcher.Put{Table: rapid.SampledFrom([]string{dispatcher.TableUsers, dispatcher.TableControls}).Draw(p.T, "table"), Field: p.account()}
		if p.flip("value") {
			put.Value = fmt.Appendf(nil, `{"paused":%t}`, p.flip("paused"))
		}
		a.Puts = append(a.Puts, put)
	}
	d, ok := both(p, "act", func(s Store) (dispatcher.Done, error) { return s.Do(p.ctx, a) })
	if ok && !d.Repeated && n > 0 {
		p.rev[n]++
	}
}

func (p *pair) plan() {
	n := 1 + p.upTo(3, "warning")
	pl := plan(n, 1+uint32(p.upTo(3000, "people")), accounts[:p.upTo(len(accounts), "accounts")]...)
	p.put(n, pl)
}

// grow adds a part, to a strand that is there or to one that is not.
func (p *pair) grow() {
	n := 1 + p.upTo(3, "warning")
	old, ok := both(p, "plan of", func(s Store) (dispatcher.Plan, error) {
		pl, _, err := s.PlanOf(p.ctx, id(n))
		return pl, err
	})
	if !ok {
		return
	}
	more := plan(n, 1+uint32(p.upTo(3000, "more")), p.account())
	more.Parts = old.Parts + 1
	if st := &more.Strands[0]; len(old.Strands) > 0 && p.flip("grows") {
		to := rapid.SampledFrom(old.Strands).Draw(p.T, "to")
		st.ID, st.People = to.ID, st.People+to.People
		if !p.rarely("other account") {
			st.Account = to.Account
		}
		if p.rarely("miscounted") {
			st.People++
		}
	}
	both(p, "part", func(s Store) ([]dispatcher.Stored, error) {
		done := s.PutPlans(p.ctx, []dispatcher.Part{{Rev: p.rev[n], Plan: more}, {Rev: 99, Plan: plan(4, 1, "a")}})
		err := done[0].Err
		if (done[1].Err == nil) || len(done) != 2 {
			err = errors.Join(err, errors.New("a part of a warning at another revision was stored"))
		}
		done[0].Err, done[1].Err = nil, nil
		return done, err
	})
}

func (p *pair) put(n int, pl dispatcher.Plan) {
	ids, _ := both(p, "plan", func(s Store) ([]dispatcher.StrandID, error) { return s.PutPlan(p.ctx, p.rev[n], pl) })
	if len(ids) != len(pl.Strands) {
		return // refused, or another plan was there already
	}
	for i, id := range ids {
		if a := pl.Strands[i].Account; !slices.Contains(p.carries[a], id) {
			p.carries[a] = append(p.carries[a], id)
		}
	}
}

func (p *pair) acquire() {
	account, owner := p.account(), rapid.SampledFrom([]string{"one", "two"}).Draw(p.T, "owner")
	beat, _ := both(p, "heartbeat", func(s Store) (uint64, error) {
		beat, _, _, err := s.Heartbeat(p.ctx, account)
		return beat, err
	})
	if p.flip("moved") {
		beat = 0
	}
	own, floor := p.flip("own"), uint64(p.upTo(9, "floor"))
	f, ok := both(p, "acquire", func(s Store) (dispatcher.Fence, error) {
		return s.Acquire(p.ctx, account, owner, floor, beat, own)
	})
	if ok {
		p.fences = append(p.fences, f)
	}
}

// fence is most often the newest.
func (p *pair) fence() dispatcher.Fence {
	if len(p.fences) == 0 {
		return dispatcher.Fence{Account: p.account(), Owner: "one", Epoch: 1}
	}
	if p.rarely("former") {
		return rapid.SampledFrom(p.fences).Draw(p.T, "fence")
	}
	return p.fences[max(0, len(p.fences)-1-p.upTo(1, "fence"))]
}

func (p *pair) commit() {
	f := p.fence()
	seq := p.seq[f] + 1
	if p.rarely("other sequence") {
		seq = uint64(p.upTo(int(seq)+1, "sequence"))
	}
	c := dispatcher.Commit{Now: p.at(), Obeyed: uint64(p.upTo(20, "obeyed")), Journal: p.bytes("journal"), Stats: p.bytes("stats")}
	next := map[dispatcher.StrandID]uint32{}
	for range p.upTo(3, "grants") {
		id := p.strand(f.Account)
		from, ok := next[id]
		if !ok {
			from = p.granted[id]
		}
		g := dispatcher.Grant{Strand: id, From: from, To: from + uint32(p.upTo(200, "to")), Again: p.bytes("again")}
		if p.rarely("mismatch") {
			g.From++
		}
		if p.rarely("back") {
			g.To = g.From / 2
		}
		next[id] = g.To
		c.Grants = append(c.Grants, g)
	}
	if p.rarely("close") {
		c.Close = append(c.Close, dispatcher.Close{Strand: p.strand(f.Account), As: warning.PersonState(p.upTo(warning.PersonStates-1, "as"))})
	}
	for range p.upTo(2, "tails") {
		t := dispatcher.StrandTail{Strand: p.strand(f.Account), Granted: 7, Closed: 3}
		t.Counts[p.upTo(warning.PersonStates-1, "state")] = rapid.Int64().Draw(p.T, "count")
		if p.flip("reasons") {
			t.Reasons = map[string]int64{"no_answer": 3, "": rapid.Int64().Draw(p.T, "reason")}
		}
		t.Stats = dispatcher.StrandStats{Segments: p.upTo(8, "segments"), Messages: rapid.Int64().Draw(p.T, "messages"), First: p.at()}
		c.Tails = append(c.Tails, t)
	}
	r, ok := both(p, "commit", func(s Store) (dispatcher.Committed, error) { return s.Commit(p.ctx, f, seq, c) })
	if !ok || seq != p.seq[f]+1 {
		return
	}
	p.seq[f], p.entries[f.Account] = seq, r.Entry
	for i, g := range c.Grants {
		if r.Refused[i] == 0 {
			p.granted[g.Strand] = g.To
		}
	}
}

func (p *pair) bytes(label string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(p.T, label)
}

func (p *pair) fold() {
	f := p.fence()
	var chunks []dispatcher.Chunk
	for range p.upTo(3, "chunks") {
		chunks = append(chunks, dispatcher.Chunk{Strand: p.strand(f.Account), Data: p.bytes("chunk")})
	}
	entry := uint64(p.upTo(int(p.entries[f.Account])+p.upTo(1, "beyond"), "entry"))
	both(p, "fold", func(s Store) (bool, error) { return true, s.Fold(p.ctx, f, chunks, entry) })
}

func (p *pair) beat() {
	f := p.fence()
	both(p, "beat", func(s Store) (dispatcher.Signal, error) { return s.Beat(p.ctx, f) })
}

func (p *pair) release() {
	f := p.fence()
	both(p, "release", func(s Store) (bool, error) { return true, s.Release(p.ctx, f) })
}

// end archives a warning, or deletes it.
func (p *pair) end() {
	n := 1 + p.upTo(3, "warning")
	if p.flip("delete") {
		p.rev[n] = 0
		_, ok := both(p, "delete", func(s Store) (bool, error) { return true, s.Delete(p.ctx, id(n), entry("delete"), nil) })
		if !ok {
			_, p.rev[n], _ = p.a.Warning(p.ctx, id(n))
		}
		both(p, "purge", func(s Store) (bool, error) { return true, s.Purge(p.ctx) })
		return
	}
	both(p, "archive", func(s Store) (bool, error) { return true, s.Archive(p.ctx, id(n), []byte("report")) })
}

func (p *pair) ask() {
	states := rapid.SliceOfN(rapid.SampledFrom([]warning.State{1, 2, 3, 4, 5, 6, 7, 8}), 0, 3).Draw(p.T, "states")
	limit := p.upTo(3, "limit")
	both(p, "warnings", func(s Store) ([]warning.Warning, error) { return s.Warnings(p.ctx, states, limit) })
	of := []string{id(1 + p.upTo(3, "first")), id(1 + p.upTo(3, "second"))}
	both(p, "states", func(s Store) ([]dispatcher.Standing, error) { return s.States(p.ctx, of) })
	ids := []dispatcher.StrandID{p.strand("a"), p.strand("a")}
	both(p, "read", func(s Store) (dispatcher.Image, error) { return s.Read(p.ctx, "a", ids, true) })
	after := uint64(p.upTo(10, "after"))
	people := uint32(p.upTo(300, "people")) // 0: of none
	have := func(dispatcher.StrandID) uint32 { return people }
	both(p, "load later ones", func(s Store) (dispatcher.Image, error) { return s.Load(p.ctx, "a", after, false, have) })
	from, n := uint64(p.upTo(5, "from")), p.upTo(5, "n")
	both(p, "entries", func(s Store) ([][]byte, error) { return s.Entries(p.ctx, from, n) })
	digest := rapid.SampledFrom([]string{"d", "e"}).Draw(p.T, "digest")
	both(p, "answered", func(s Store) (string, error) {
		b, ok, err := s.Answered(p.ctx, "lin", "k", digest)
		return fmt.Sprint(string(b), ok), err
	})
}

// everything compares all that the two stores hold.
func (p *pair) everything() {
	both(p, "warnings", func(s Store) ([]warning.Warning, error) { return s.Warnings(p.ctx, nil, 0) })
	both(p, "to plan", func(s Store) ([]string, error) { return s.ToPlan(p.ctx) })
	both(p, "entries", func(s Store) ([][]byte, error) { return s.Entries(p.ctx, 1, 1000) })
	both(p, "obeyed", func(s Store) (map[string]dispatcher.Owned, error) { return s.Obeyed(p.ctx, accounts) })
	for _, table := range []string{dispatcher.TableUsers, dispatcher.TableControls} {
		both(p, table, func(s Store) (map[string][]byte, error) { return s.Table(p.ctx, table) })
	}
	for _, account := range accounts {
		both(p, "load", func(s Store) (dispatcher.Image, error) { return s.Load(p.ctx, account, 0, true, nil) })
	}
	for n := 1; n <= 4; n++ {
		both(p, "revision", func(s Store) (uint64, error) {
			_, rev, err := s.Warning(p.ctx, id(n))
			return rev, err
		})
		both(p, "plan", func(s Store) (dispatcher.Plan, error) {
			pl, _, err := s.PlanOf(p.ctx, id(n))
			return pl, err
		})
		both(p, "tails", func(s Store) ([]dispatcher.StrandTail, error) {
			_, tails, err := s.PlanOf(p.ctx, id(n))
			return tails, err
		})
	}
}
