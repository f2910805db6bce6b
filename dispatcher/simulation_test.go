package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
	"tocsin/dispatcher/policy"
	"tocsin/geofence"
	"tocsin/warning"
)

// town is a directory of n people with synthetic numbers; all live in every area. Every hundredth is responsible. Of the
// first without of them every third has unsubscribed.
type town struct {
	blocks  []warning.Block
	without int
	now     *atomic.Int64         // without of the newest snapshot
	lost    *atomic.Bool          // older snapshots were dropped
	grown   *atomic.Pointer[town] // whose people live here by now; nil: as it was
	roster  *roster
}

func newTown(n int) *town {
	t := &town{now: &atomic.Int64{}, lost: &atomic.Bool{}, grown: &atomic.Pointer[town]{}, roster: &roster{}}
	for i := 0; i < n; i += warning.BlockSize {
		k := min(warning.BlockSize, n-i)
		b := warning.Block{
			Number: make([]uint64, k), Lon: make([]int32, k), Lat: make([]int32, k), Home: make([]uint32, k),
			Seen: make([]uint32, k), Language: make([]uint8, k), Duty: make([]uint8, k), Flags: make([]uint8, k), Identity: &warning.Identity{},
		}
		for j := range k {
			b.Number[j] = number(i + j)
			b.Home[j] = 500101
			if (i+j)%100 == 99 {
				b.Duty[j] = uint8(warning.Responsible)
			}
		}
		t.blocks = append(t.blocks, b)
	}
	return t
}

func number(i int) uint64 { return 9991_000000000 + uint64(i) }

func (t *town) ID() string                { return fmt.Sprintf("town of %d, %d", t.people(), t.without) }
func (t *town) Blocks() int               { return len(t.blocks) }
func (t *town) Block(i int) warning.Block { return t.blocks[i] }
func (t *town) District(uint32) string    { return "Wanzhou" }
func (t *town) Residents(uint32) int64    { return 1_000_000 }
func (t *town) people() (n int) {
	for i := range t.blocks {
		n += t.blocks[i].Len()
	}
	return n
}

// Resolve takes the area's name as the number of people from the first on or up to the last; none means everybody.
func (t *town) Resolve(areas []warning.Area, _ warning.Presence) (warning.Selection, error) {
	from, to, n := 0, t.people(), 0
	if _, err := fmt.Sscanf(areas[0].Name, "first %d", &n); err == nil {
		to = n
	} else if _, err := fmt.Sscanf(areas[0].Name, "last %d", &n); err == nil {
		from = to - n
	}
	s := warning.Selection{Snapshot: t.ID()}
	for i := from; i < to; i++ {
		if b := uint32(i / warning.BlockSize); len(s.Blocks) == 0 || s.Blocks[len(s.Blocks)-1] != b {
			s.Blocks = append(s.Blocks, b)
			s.Masks = append(s.Masks, warning.Mask{})
		}
		s.Masks[len(s.Masks)-1].Set(i % warning.BlockSize)
	}
	return s, nil
}

func (t *town) Remarks([]warning.Area) []warning.Violation { return nil }

// Order takes the longitude of the focus as the block that is told first; the others follow as in a ring.
func (t *town) Order(sel *warning.Selection, f warning.Focus) []int {
	out := make([]int, len(sel.Blocks))
	for i := range out {
		out[i] = (i + int(f.Points[0][0])) % len(out)
	}
	return out
}

func (t *town) Find(n uint64) (block, slot int, ok bool) {
	i := int(n - number(0))
	if n < number(0) || i >= t.people() {
		return 0, 0, false
	}
	return i / warning.BlockSize, i % warning.BlockSize, true
}

// Current is the town as it is now: people may move in.
func (t *town) Current() (dispatcher.Snapshot, bool) {
	now := *t
	now.without = int(t.now.Load())
	if g := t.grown.Load(); g != nil {
		now.blocks = g.blocks
	}
	return &now, true
}

func (t *town) Snapshot(_ context.Context, id string) (dispatcher.Snapshot, error) {
	if s := t.roster.snapshot(id); s != nil {
		return s, nil
	}
	was := *t
	people := 0
	if _, err := fmt.Sscanf(id, "town of %d, %d", &people, &was.without); err != nil {
		return nil, errors.New("no such snapshot")
	}
	if g := t.grown.Load(); g != nil && people == g.people() {
		was.blocks = g.blocks
	} else if people != t.people() {
		return nil, errors.New("no such snapshot")
	}
	if t.lost.Load() && was.without != int(t.now.Load()) {
		return nil, errors.New("the snapshot was dropped")
	}
	if was.without == t.without && people == t.people() {
		return t, nil // one of each
	}
	return &was, nil
}

func (t *town) Withdrawn(ctx context.Context, id string) (warning.Selection, error) {
	out := warning.Selection{Snapshot: id, Blocks: []uint32{0}, Masks: make([]warning.Mask, 1)}
	old, err := t.Snapshot(ctx, id)
	if _, ok := old.(*town); !ok { // people on duty
		return warning.Selection{}, err
	}
	for i := range int(t.now.Load()) {
		if i%3 == 0 && err == nil && i >= old.(*town).without {
			out.Masks[0].Set(i)
		}
	}
	return out, err
}

// land is a jurisdiction that everything lies in, but what says otherwise by its name.
type land struct{ beyond map[string]warning.Outside }

func (l *land) Border(areas []warning.Area) (warning.Outside, float64, error) {
	return l.beyond[areas[0].Name], 0.01, nil
}
func (l *land) Beyond(_ warning.Block, m *warning.Mask, found func(slot int, neighbour string)) {
	for slot := range m.Slots {
		found(slot, "511600")
	}
}
func (l *land) Within(areas []warning.Area, units []string) bool {
	return slices.Contains(units, areas[0].Unit)
}

func (l *land) Pin(areas []warning.Area, _ time.Time) []warning.Area { return areas }

// Clip gives the first area the name of what is left.
func (l *land) Clip(areas []warning.Area) ([]warning.Area, error) {
	cut := slices.Clone(areas)
	cut[0].Name = "first 10"
	return cut, nil
}

type epochs struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (e *epochs) Epoch(account string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n[account]
}

func (e *epochs) SetEpoch(account string, n uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == nil {
		e.n = map[string]uint64{}
	}
	e.n[account] = n
	return nil
}

// house is an engine at work in a synctest bubble.
type house struct {
	t      testing.TB
	node   string
	e      *dispatcher.Engine
	town   *town
	land   land
	policy policy.Policy
	store  *memstore.Store
	cut    *cut
	c      *carrier
	loud   *loudspeakers
	rate   int
	stop   context.CancelFunc
	done   chan struct{}
	ids    *epochs
	test   uint64        // for link tests; 0: none
	every  time.Duration // link tests; 0: by hand
	home   string        // of the accounts
	keep   time.Duration // 0: for ever
	other  *carrier      // of a second account with the same prefix; nil: there is none

	accounts []dispatcher.AccountOptions // nil: mobile, and unicom where there is another carrier
}

// pass lets time go by in the bubble.
func pass(d time.Duration) { <-time.After(d) }

func newHouse(t testing.TB, people, rate int) *house {
	h := houseOf(t, people, rate)
	h.start()
	return h
}

func houseOf(t testing.TB, people, rate int) *house {
	return &house{
		t: t, node: "n1", town: newTown(people), store: memstore.New(), rate: rate,
		c: newCarrier(), ids: &epochs{}, loud: &loudspeakers{},
		policy: policy.Policy{
			Approvals: map[warning.Tier]int{warning.Red: 1, warning.Orange: 1, warning.Yellow: 1, warning.Blue: 1, warning.Notice: 0},
			Share:     map[warning.Tier]float64{warning.Red: 1, warning.Orange: 1, warning.Yellow: 1, warning.Blue: 1, warning.Notice: 1},
			Margin:    0.1, Review: 10 * time.Minute, Border: policy.Border{Share: 0.02, Metres: 500},
		},
	}
}

var statuses = []warning.Status{warning.Actual, warning.Exercise, warning.Test}

func (h *house) account(name, protocol string) dispatcher.AccountOptions {
	return dispatcher.AccountOptions{
		Account:  channels.Account{Name: name, Links: 10, Window: 16, Simulated: true, Statuses: statuses},
		Protocol: protocol, Rate: h.rate, Burst: 10 * time.Millisecond, Guard: 5 * time.Millisecond,
		Channels: []warning.Channel{warning.SMS, warning.FlashSMS}, Prefixes: []string{"999"}, Weight: 1, Home: h.home, TestNumber: h.test, TestEvery: h.every,
	}
}

// carriers is the accounts as they are configured.
func (h *house) carriers() []dispatcher.AccountOptions {
	switch {
	case h.accounts != nil:
		return h.accounts
	case h.other != nil:
		return []dispatcher.AccountOptions{h.account("mobile", "fake"), h.account("unicom", "other")}
	}
	return []dispatcher.AccountOptions{h.account("mobile", "fake")}
}

// engine is one that does not run yet, with other options where change says so.
func (h *house) engine(change ...func(*dispatcher.Options)) *dispatcher.Engine {
	h.cut = &cut{Store: h.store}
	options := dispatcher.Options{
		Node: h.node, Records: h.store, Queue: h.cut, Directory: h.town, Land: &h.land, Epochs: h.ids,
		Fences:   geofence.NewFences(geofence.DefaultLimits()),
		Adapters: map[string]channels.Adapter{"fake": h.c, "other": h.other},
		Accounts: h.carriers(),
		Areas:    map[string]channels.AreaAdapter{"fake": h.loud},
		Platforms: []dispatcher.AreaOptions{{
			AreaAccount: channels.AreaAccount{Name: "loud", Channel: warning.Broadcast, Statuses: statuses, Simulated: true}, Protocol: "fake",
		}},
		Policy: func() dispatcher.Policy { return &h.policy },
		Duty:   dispatcher.Duty{Roster: h.town.roster, Channels: []warning.Channel{warning.SMS}, Backup: 3 * time.Minute},
		Segments: func(text string, _ warning.Channel) ([]string, string, error) {
			return make([]string, parts(text)), "test", nil
		},
		Keep: h.keep, Log: zaptest.NewLogger(h.t),
	}
	for _, to := range change {
		to(&options)
	}
	e, err := dispatcher.New(options)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// start runs an engine.
func (h *house) start(change ...func(*dispatcher.Options)) {
	e := h.engine(change...)
	h.e = e
	ctx, cancel := context.WithCancel(context.Background())
	h.stop, h.done = cancel, make(chan struct{})
	go func() {
		defer close(h.done)
		e.Run(ctx)
	}()
	pass(1100 * time.Millisecond) // a new owner waits a second and the guard
}

func (h *house) close() {
	h.stop()
	<-h.done
}

// kill ends the engine as kill -9 would: nothing more reaches the store, no answer reaches the engine.
func (h *house) kill() {
	h.cut.mu.Lock()
	h.cut.dead = true
	h.cut.mu.Unlock()
	h.die(true)
	h.stop()
	<-h.done
	h.die(false)
}

func (h *house) die(dead bool) {
	for _, c := range []*carrier{h.c, h.other} {
		if c != nil {
			c.mu.Lock()
			c.dead = dead
			c.mu.Unlock()
		}
	}
}

func spec(tier warning.Tier, text, area string) warning.Spec {
	return warning.Spec{
		Event: "11B03", Tier: tier, Status: warning.Exercise, Type: warning.Alert,
		Expires: time.Now().Add(6 * time.Hour).UTC(), Areas: []warning.Area{{Unit: "500101", Name: area}},
		Words:   []warning.Words{{Language: "zh-CN", Kind: warning.Alert, Text: text}},
		Issuers: []string{"Weather office"}, Channels: []warning.Channel{warning.SMS},
	}
}

var (
	forecaster = dispatcher.Caller{User: "fang", Role: warning.Forecaster, Scope: warning.Everything}
	approver   = dispatcher.Caller{User: "an", Role: warning.Approver, Scope: warning.Everything}
)

// warn submits and approves.
func (h *house) warn(s warning.Spec) warning.Warning {
	h.t.Helper()
	ctx := context.Background()
	w, p, err := h.e.Submit(ctx, forecaster, "key "+s.Words[0].Text, dispatcher.Submission{Spec: s})
	if err != nil {
		h.t.Fatal(err)
	}
	w, err = h.e.Approve(ctx, approver, "ok "+w.ID, w.ID, w.Version, p.Digest, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

func (h *house) lane(id string) dispatcher.LaneCounts {
	h.t.Helper()
	r, err := h.e.Report(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(r.Lanes) != 1 {
		h.t.Fatalf("%d lanes", len(r.Lanes))
	}
	if !r.Lanes[0].Balanced {
		h.t.Errorf("lane of %s is not balanced: %+v", id, r.Lanes[0])
	}
	return r.Lanes[0]
}

func (h *house) state(id string) warning.State {
	w, err := h.e.Get(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return w.State
}
