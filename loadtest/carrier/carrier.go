package carrier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/loadtest/carrierlog"
)

// Carrier is a carrier that listens.
type Carrier struct {
	cfg      Config
	listener net.Listener
	log      *carrierlog.Writer
	clock    clock
	texts    texts
	senders  senders
	wheel    *wheel
	ids      idForm
	outcomes dice
	faults   dice

	lastID   atomic.Uint64
	submits  atomic.Int64
	accepted atomic.Int64
	answered atomic.Int64 // receipts
	brought  atomic.Int64 // messages, while a link is to die
	ready    atomic.Int64 // receipts that are due and that no link takes yet

	rateMu sync.Mutex // guards rate
	rate   ring

	mu     sync.Mutex // guards what follows; taken before a link's
	links  []*link
	bound  int
	number int
	ended  bool
	dying  bool // a link has died, and so will who takes its place
}

// clock gives Unix nanoseconds that never go back: wall time at the start, monotonic from there.
type clock struct {
	start time.Time
	wall  int64
}

func (c clock) now() int64 { return c.wall + int64(time.Since(c.start)) }

// Counts is what a carrier has done since its start.
type Counts struct {
	Submits  int64 // messages that arrived
	Accepted int64
	Receipts int64 // answered by a client
	Pending  int64 // receipts that wait for their time or for a client
}

// Listen checks cfg, opens the log and listens. Serve has to follow: it closes both.
func Listen(cfg Config) (*Carrier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("carrier %s: %w", cfg.Name, err)
	}
	w, cut, err := carrierlog.Open(cfg.Log)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	now := time.Now()
	c := &Carrier{
		cfg: cfg, listener: l, log: w,
		clock:    clock{start: now, wall: now.UnixNano()},
		texts:    texts{cfg: &cfg, log: w, all: map[string]*text{}},
		wheel:    &wheel{wake: make(chan struct{}, 1)},
		ids:      newIDForm(cfg.IDs == "hex", cfg.Name),
		outcomes: newDice(cfg.outcomes()),
		faults:   newDice(cfg.faults()),
		rate:     ring{at: make([]int64, cfg.Rate)},
	}
	c.lastID.Store(uint64(c.clock.wall)) // ids of an earlier start lie below: it took less than one a nanosecond
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, errors.Join(err, l.Close(), w.Close())
	}
	w.Append(carrierlog.Append(nil, &carrierlog.Line{
		Event: carrierlog.Start, Time: c.clock.wall, Carrier: cfg.Name, Version: carrierlog.Version,
		Mono: monotonic(), Cut: cut, Config: config,
	}))
	return c, nil
}

// Run is Listen and Serve.
func Run(ctx context.Context, cfg Config) error {
	c, err := Listen(cfg)
	if err != nil {
		return err
	}
	return c.Serve(ctx)
}

// Address is where the carrier listens, host:port.
func (c *Carrier) Address() string { return c.listener.Addr().String() }

// Counts is what the carrier has done so far.
func (c *Carrier) Counts() Counts {
	pending := int64(c.wheel.len()) + c.ready.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.mu.Lock()
		pending += int64(l.parcels.open())
		l.mu.Unlock()
	}
	return Counts{c.submits.Load(), c.accepted.Load(), c.answered.Load(), pending}
}

// Serve takes clients until ctx ends; then it closes their links and the log. It fails when the log takes no more: a
// carrier without its log proves nothing.
func (c *Carrier) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { c.deliver(ctx) })
	running.Go(func() {
		select {
		case <-ctx.Done():
		case <-c.log.Failed:
			cancel()
		}
		c.end()
	})
	var failed error
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				failed = fmt.Errorf("carrier %s: %w", c.cfg.Name, err)
				cancel()
			}
			break
		}
		if l := c.join(conn); l != nil {
			running.Go(l.read)
			running.Go(l.write)
		}
	}
	running.Wait()
	n := c.Counts()
	c.log.Append(carrierlog.Append(nil, &carrierlog.Line{
		Event: carrierlog.Stop, Time: c.clock.now(), Submits: n.Submits, Receipts: n.Receipts, Pending: n.Pending,
	}))
	return errors.Join(failed, c.log.Close())
}

// join makes a link of a connection; nil when the carrier has ended.
func (c *Carrier) join(conn net.Conn) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		conn.Close()
		return nil
	}
	c.number++
	l := newLink(c, conn, c.number)
	l.deaf = c.dying
	c.links = append(c.links, l)
	return l
}

// leave is the end of a link: its receipts wait for another.
func (c *Carrier) leave(l *link) {
	c.mu.Lock()
	c.links = slices.DeleteFunc(c.links, func(x *link) bool { return x == l })
	if l.counted {
		c.bound--
	}
	c.mu.Unlock()
}

// admitLink counts a link that binds; false when there are enough.
func (c *Carrier) admitLink(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bound == c.cfg.Links {
		return false
	}
	c.bound++
	l.counted = true
	return true
}

func (c *Carrier) end() {
	c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, l := range c.links {
		l.close("carrier stopped")
	}
}

// admit tells whether the contract allows a message at now.
func (c *Carrier) admit(now int64) bool {
	if c.cfg.Rate == 0 {
		return true
	}
	c.rateMu.Lock()
	defer c.rateMu.Unlock()
	return c.rate.admit(now, int64(time.Second))
}

// readyMost is how many due receipts are taken off the wheel while nobody takes them.
const readyMost = 1 << 16

// deliver brings receipts to links when they are due, and again when nobody answered them.
func (c *Carrier) deliver(ctx context.Context) {
	var (
		ready  []receipt // from gone on
		gone   int
		draw   = c.cfg.Seed
		look   int64 // when overdue receipts are looked for
		more   bool
		w      = renderer{ids: c.ids}
		timer  = time.NewTimer(time.Hour)
		linkAt int
		every  = min(time.Second, c.cfg.ReceiptTimeout/4+time.Millisecond)
	)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := c.clock.now()
		if gone > len(ready)/2 {
			ready, gone = ready[:copy(ready, ready[gone:])], 0
		}
		from := len(ready)
		if from-gone < readyMost {
			ready, more = c.wheel.due(now, ready)
		}
		if c.cfg.DuplicateReceipts > 0 || c.cfg.StrayReceipts > 0 {
			ready = c.multiply(ready, from, &draw)
		}
		if now >= look {
			look = now + int64(every)
			c.retire(now - int64(c.cfg.ReceiptTimeout))
		}
		n := 0
		if gone < len(ready) {
			w.senders = c.senders.list()
			n = c.spread(ready[gone:], now, &w, &linkAt)
			gone += n
		}
		left := len(ready) - gone
		c.ready.Store(int64(left))
		pause := every
		switch {
		case left > 0 && n == 0: // nobody takes any
			pause = 5 * time.Millisecond
		case more || left > 0:
			pause = time.Duration(tickNanos)
		}
		timer.Reset(pause)
		if more || left > 0 {
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-timer.C:
		case <-c.wheel.wake:
		case <-ctx.Done():
		}
	}
	c.ready.Store(0)
	c.wheel.add(ready[gone:])
}

// multiply adds the copies and strays that receipts from the index on are to have.
func (c *Carrier) multiply(ready []receipt, from int, draw *uint64) []receipt {
	dup, stray := newDice([]share{{"", c.cfg.DuplicateReceipts}}), newDice([]share{{"", c.cfg.StrayReceipts}})
	for i, n := from, len(ready); i < n; i++ {
		r := ready[i]
		if r.again {
			continue
		}
		ready[i].again, r.again = true, true
		*draw += 0x9e3779b97f4a7c15
		if dup.draw(mix(*draw)) != 0 {
			ready = append(ready, r)
		}
		*draw += 0x9e3779b97f4a7c15
		if stray.draw(mix(*draw)) != 0 {
			r.id = mix(r.id) // of the same form, and never given
			ready = append(ready, r)
		}
	}
	return ready
}

// spread gives receipts to links that take them, filling one before the next, and answers how many went.
func (c *Carrier) spread(ready []receipt, now int64, w *renderer, at *int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range c.links {
		if n == len(ready) {
			break
		}
		*at = (*at + 1) % len(c.links)
		n += c.links[*at].post(ready[n:], now, w)
	}
	return n
}

// retire takes back the receipts that were sent before the time and not answered.
func (c *Carrier) retire(before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.retire(before)
	}
}
