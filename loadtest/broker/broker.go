package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	"tocsin/loadtest/carrierlog"
)

// Broker is a broker that listens.
type Broker struct {
	cfg    Config
	socket *socket
	server *mqtt.Server
	log    *carrierlog.Writer
	start  time.Time

	mu    sync.Mutex // guards what follows
	dice  *rand.Rand
	last  int // link
	links map[*mqtt.Client]int
	taken int64
}

// Listen checks cfg, opens the log and listens. Serve has to follow: it closes both.
func Listen(cfg Config) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", cfg.Name, err)
	}
	w, cut, err := carrierlog.Open(cfg.Log)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	able := mqtt.NewDefaultServerCapabilities()
	able.MaximumMessageExpiryInterval = math.MaxUint32     // its own limit of a day would end warnings early
	able.Compatibilities.NoInheritedPropertiesOnAck = true // a PUBACK has no content type or expiry (clause 3.4.2.2)
	b := &Broker{
		cfg: cfg, socket: &socket{Listener: l, open: map[*conn]bool{}}, log: w, start: time.Now(),
		server: mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler), Capabilities: able}),
		dice:   cfg.dice(), links: map[*mqtt.Client]int{},
	}
	config, err := json.Marshal(cfg)
	if err == nil {
		err = b.server.AddHook(&hook{b: b}, nil)
	}
	if err == nil {
		err = b.server.AddListener(listeners.NewNet("tcp", b.socket))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), w.Close())
	}
	b.write(&Line{Event: Start, Broker: cfg.Name, Version: Version, Cut: cut, Config: config})
	return b, nil
}

// dice draw the faults.
func (c Config) dice() *rand.Rand { return rand.New(rand.NewPCG(c.Seed, 0)) }

// Run is Listen and Serve.
func Run(ctx context.Context, cfg Config) error {
	b, err := Listen(cfg)
	if err != nil {
		return err
	}
	return b.Serve(ctx)
}

// Address is where the broker listens, host:port.
func (b *Broker) Address() string { return b.socket.Addr().String() }

// Serve takes clients until ctx ends; then it ends their connections and the log. It fails when the log takes no more: a
// broker without its log proves nothing.
func (b *Broker) Serve(ctx context.Context) error {
	err := b.server.Serve()
	if err == nil {
		select {
		case <-ctx.Done():
		case <-b.log.Failed:
		}
	}
	err = errors.Join(err, b.server.Close())
	b.mu.Lock()
	taken := b.taken
	b.mu.Unlock()
	b.write(&Line{Event: Stop, Messages: taken})
	return errors.Join(err, b.log.Close())
}

// write gives a line its time and appends it.
func (b *Broker) write(l *Line) {
	l.Time = b.start.UnixNano() + int64(time.Since(b.start))
	out, err := json.Marshal(l)
	if err != nil {
		panic("broker: a line always marshals: " + err.Error())
	}
	b.log.Append(append(out, '\n'))
}
