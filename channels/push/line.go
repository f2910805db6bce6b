package push

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"tocsin/channels"
)

// The shortest and the longest pause before a connection is tried again.
const (
	shortPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

// pause before attempt n, from 0: doubling, and of random length, so that clients of a broker that restarts do not come
// in step. It is never zero: a broker that takes a client and drops it at once is not to be stormed.
func pause(n int) time.Duration {
	d := min(shortPause<<min(n, 10), longPause)
	return d/2 + rand.N(d/2)
}

// withWill has the broker tell the end of the connection as if it had broken (clause 3.14.2.1).
const withWill = 0x04

// socket is a connection whose writes do not wait for ever. A packet that went out in part leaves nothing behind it that
// the broker could read, so the connection ends with it.
type socket struct {
	net.Conn
	timeout time.Duration
}

func (s socket) Write(b []byte) (int, error) {
	err := s.SetWriteDeadline(time.Now().Add(s.timeout))
	n := 0
	if err == nil {
		n, err = s.Conn.Write(b)
	}
	if err != nil {
		s.Close()
	}
	return n, err
}

// health is how the connection is doing.
type health struct {
	tried   chan struct{} // closed by decided
	decided func()        // the first attempt to connect has come to something

	mu    sync.Mutex // guards what follows
	link  channels.LinkHealth
	limit uint32          // octets of a packet that the broker takes; 0: any number
	line  context.Context // of the newest connection; ends with it
	cut   context.CancelFunc
	conn  net.Conn // the newest
	hung  bool     // we ended it, and said why
}

// connected begins a connection.
func (h *health) connected(limit uint32) (line context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit, h.hung = limit, false
	h.line, h.cut = context.WithCancel(context.Background())
	return h.line
}

// up says that the connection can be used, if it is still there.
func (h *health) up(line context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if line.Err() == nil {
		h.link.Up, h.link.Since = true, time.Now()
	}
}

// down ends the connection. The client does not tell those who wait for an answer, so they wait for this as well.
func (h *health) down() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cut != nil {
		h.cut()
	}
	if h.link.Up {
		h.link.Up, h.link.Since = false, time.Now()
	}
}

// hangUp ends a connection whose broker does not answer: what it never acknowledges counts against its Receive Maximum
// (clause 4.9) as long as the connection lasts.
func (h *health) hangUp(line context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if line.Err() == nil {
		h.link.LastError, h.hung = errSilent.Error(), true
		h.conn.Close()
	}
}

// drop closes whatever connection there is.
func (h *health) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
	}
}

// now is the connection that can be used; nil when there is none.
func (h *health) now() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.link.Up {
		return nil
	}
	return h.line
}

// failed keeps the words of an error; what it means for the connection is said by others.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.hung {
		h.link.LastError = err.Error()
	}
}

// config is what the client needs to keep c connected.
func (c *carrier) config(broker *url.URL, secure *tls.Config) autopaho.ClientConfig {
	timeout := c.account.Timeout
	return autopaho.ClientConfig{
		ServerUrls:       []*url.URL{broker},
		KeepAlive:        uint16((c.account.Heartbeat + time.Second - 1) / time.Second),
		ConnectTimeout:   timeout,
		ReconnectBackoff: pause,
		ConnectUsername:  c.account.User,
		ConnectPassword:  []byte(c.account.Password),
		WillMessage:      &paho.WillMessage{Retain: true, QoS: 1, Topic: c.sender, Payload: []byte(`{"up":false}`)},
		// What a connection did not finish ends with it: the engine decides what is sent again.
		ConnectPacketBuilder: func(p *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			p.CleanStart = true
			return p, nil
		},
		DisconnectPacketBuilder: func() *paho.Disconnect { return &paho.Disconnect{ReasonCode: withWill} },
		AttemptConnection: func(ctx context.Context, _ autopaho.ClientConfig, _ *url.URL) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", broker.Host)
			if err != nil {
				return nil, err
			}
			if secure != nil {
				t := tls.Client(conn, secure)
				if err := t.HandshakeContext(ctx); err != nil {
					conn.Close()
					return nil, err
				}
				conn = t
			}
			conn = packets.NewThreadSafeConn(socket{conn, timeout})
			c.health.mu.Lock()
			defer c.health.mu.Unlock()
			c.health.conn = conn
			return conn, nil
		},
		OnConnectionUp: func(client *autopaho.ConnectionManager, ack *paho.Connack) {
			limit := uint32(0)
			if ack.Properties != nil && ack.Properties.MaximumPacketSize != nil {
				limit = *ack.Properties.MaximumPacketSize
			}
			line := c.health.connected(limit)
			c.begin(func() {
				c.announce(line, client)
				c.health.up(line)
				c.health.decided()
			})
		},
		OnConnectionDown: func() bool { c.health.down(); return true },
		OnConnectError: func(err error) {
			c.health.failed(err)
			c.health.decided()
		},
		ClientConfig: paho.ClientConfig{
			ClientID:      c.account.Source,
			PacketTimeout: timeout,
			OnClientError: c.health.failed,
			OnServerDisconnect: func(d *paho.Disconnect) {
				why := ""
				if d.Properties != nil {
					why = d.Properties.ReasonString
				}
				c.health.failed(fmt.Errorf("the broker ended the connection: %s (0x%02x)", why, d.ReasonCode))
			},
		},
	}
}

// announce takes back what the will of an earlier connection said, and sees whether the broker answers. It is for those
// who run the broker: that it is refused stands in the health of the link and stops nothing.
func (c *carrier) announce(line context.Context, client *autopaho.ConnectionManager) {
	_, err := client.Publish(line, &paho.Publish{QoS: 1, Retain: true, Topic: c.sender, Payload: []byte(`{"up":true}`)})
	if err != nil {
		c.health.failed(fmt.Errorf("%s could not be written: %w", c.sender, err))
	}
}
