package dispatcher_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"tocsin/channels"
)

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
	dead   bool   // the engine's process was killed: answers go nowhere
	keep   bool   // receipts are owed until a link opens
	down   bool   // no link is up
	fails  string // words that its links cannot carry
	hang   int    // so many messages, of those that come behind the first after, are never answered
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

// carries says which words links cannot carry from now on.
func (c *carrier) carries(not string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = not
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
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.c.fails != "" && c.Text == l.c.fails {
		return nil, errors.New("the links cannot carry these words")
	}
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
	o.Token, o.Segment, o.Sent, o.Took = m.Token, uint8(a.segment), a.at, trip
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

func newCarrier() *carrier { return &carrier{trip: 20 * time.Millisecond, window: 160} }
