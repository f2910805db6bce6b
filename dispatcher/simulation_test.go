package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
			Seen: make([]uint32, k), Language: make([]uint8, k), Duty: make([]uint8, k), Flags: make([]uint8, k),
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

func (t *town) Learn(int)                                  {}
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

// arrival is one segment at the carrier.
type arrival struct {
	at      time.Time
	number  uint64
	segment int
	text    string
	flash   bool
}

// carrier is a simulated carrier that outlives its links, as the real one does.
type carrier struct {
	mu       sync.Mutex
	arrivals []arrival
	// answer decides about one arrival; nil takes everything and sends a receipt.
	answer func(a arrival) channels.Outcome
	trip   time.Duration
	window int
	dead   bool // the engine's process was killed: answers go nowhere
	keep   bool // receipts are owed until a link opens
	down   bool // no link is up
	hang   int  // so many messages, of those that come behind the first after, are never answered
	after  int
	hung   int
	owed   receipts
	unread map[int]receipts                     // that were told and not acknowledged: they are told again to the next links
	told   int                                  // receipts
	kept   []channels.Segment                   // parallel to owed
	tells  func(a arrival, print uint16) []told // nil: a receipt behind each message that it took
	ids    func(a arrival, print uint16) uint16 // of answers; nil: each its own
	sink   channels.Sink                        // of the newest links
}

// told is a receipt so long after the arrival of its message, whose answer comes after the round trip.
type told struct {
	after time.Duration
	channels.Receipt
}

func (c *carrier) log() []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]arrival(nil), c.arrivals...)
}

// holds says how many messages may be without answer.
func (c *carrier) holds(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = n
}

// cut takes the carrier's links down, or lets them up again.
func (c *carrier) cut(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// hangs has n messages that come behind others never answered; 0 ends their links.
func (c *carrier) hangs(n, after int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hang, c.after, c.hung = n, after, 0
}

// answers says what arrivals are answered.
func (c *carrier) answers(f func(a arrival) channels.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// takes makes the carrier answer after d from now on.
func (c *carrier) takes(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trip = d
}

func (c *carrier) Open(_ channels.Account, s channels.Sink) (channels.Carrier, error) {
	c.mu.Lock()
	owed := c.owed
	c.owed, c.sink = nil, s
	unread := maps.Clone(c.unread)
	c.mu.Unlock()
	if len(owed) > 0 {
		s.Receipts(owed)
	}
	for n, rs := range unread {
		s.Receipts(unreadReceipts{rs, c, n})
	}
	return &link{c: c, sink: s}, nil
}

type link struct {
	c      *carrier
	sink   channels.Sink
	open   int
	closed bool
	group  sync.WaitGroup
}

type words struct {
	by       *carrier
	text     string
	segments int
	flash    bool
}

func (w words) Segments() int { return w.segments }

// parts is a segment of each ten bytes, and eight of all that is longer.
func parts(text string) int { return min(8, (len(text)+9)/10) }

func (l *link) Prepare(c channels.Content) (channels.Prepared, error) {
	return words{l.c, c.Text, parts(c.Text), c.Flash}, nil
}

func (l *link) Room() int {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.c.down {
		return 0
	}
	return l.c.window - l.open
}

func (l *link) Stalled(time.Duration) int {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.c.hung
}

func (l *link) Send(p channels.Prepared, batch []channels.Message) (n int) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	w := p.(words)
	if w.by != l.c {
		w.text = "words of other links"
	}
	for _, m := range batch {
		if l.open+w.segments > l.c.window || l.closed || l.c.down {
			return n
		}
		for seg := range w.segments {
			if m.Skip>>seg&1 != 0 {
				continue
			}
			l.open++
			a := arrival{time.Now(), m.Number, seg, w.text, w.flash}
			l.c.arrivals = append(l.c.arrivals, a)
			if len(l.c.arrivals) > l.c.after && l.c.hung < l.c.hang {
				l.c.hung++
				continue
			}
			print := uint16(len(l.c.arrivals)%65000 + 1)
			trip := l.c.trip
			l.group.Go(func() { l.reply(m, a, print, trip) })
		}
		n++
	}
	return n
}

func (l *link) reply(m channels.Message, a arrival, print uint16, trip time.Duration) {
	o := channels.Outcome{Kind: channels.HandedOver}
	l.c.mu.Lock()
	tells := l.c.tells
	if l.c.ids != nil {
		print = l.c.ids(a, print)
	}
	l.c.mu.Unlock()
	if tells != nil {
		for _, r := range tells(a, print) {
			r.Number = m.Number
			l.group.Go(func() { pass(r.after); l.sink.Receipts(receipts{r.Receipt}) })
		}
	}
	pass(trip)
	l.c.mu.Lock()
	answer := l.c.answer
	l.c.mu.Unlock()
	if answer != nil {
		o = answer(a)
	}
	o.Token, o.Segment, o.Took = m.Token, uint8(a.segment), trip
	if o.Kind == channels.HandedOver {
		o.Print = print
	}
	l.c.mu.Lock()
	l.open--
	dead, keep := l.c.dead, l.c.keep
	receipt := channels.Receipt{Number: m.Number, Print: print, State: channels.Arrived}
	if keep && o.Kind == channels.HandedOver {
		l.c.owed = append(l.c.owed, receipt)
		l.c.kept = append(l.c.kept, channels.Segment{Token: m.Token, Index: uint8(a.segment)})
	}
	l.c.mu.Unlock()
	if dead {
		return
	}
	l.sink.Outcomes([]channels.Outcome{o})
	if o.Kind == channels.HandedOver && !keep && tells == nil {
		l.c.mu.Lock()
		l.c.told++
		n := l.c.told
		if l.c.unread == nil {
			l.c.unread = map[int]receipts{}
		}
		l.c.unread[n] = receipts{receipt}
		l.c.mu.Unlock()
		l.sink.Receipts(unreadReceipts{receipts{receipt}, l.c, n})
	}
}

// unreadReceipts is receipts that the carrier keeps until they are acknowledged.
type unreadReceipts struct {
	receipts
	c *carrier
	n int
}

func (u unreadReceipts) Ack() {
	u.c.mu.Lock()
	defer u.c.mu.Unlock()
	delete(u.c.unread, u.n)
}

type receipts []channels.Receipt

func (r receipts) All() []channels.Receipt { return r }
func (r receipts) Ack()                    {}

func (l *link) Links() []channels.LinkHealth {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return []channels.LinkHealth{{Up: !l.c.down}}
}

func (l *link) Close(context.Context) error {
	l.c.mu.Lock()
	l.closed = true
	l.c.mu.Unlock()
	l.group.Wait()
	return nil
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

func newCarrier() *carrier { return &carrier{trip: 20 * time.Millisecond, window: 160} }

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

// start runs an engine, with other options where change says so.
func (h *house) start(change ...func(*dispatcher.Options)) {
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
