// Package broker is a simulated broker of an app: an MQTT 5 server that keeps retained messages until they expire, holds
// what arrives against docs/push.md, strictly, makes the faults that real brokers make, and writes the log that a run is
// judged by (docs/broker-log.md).
//
// It is mochi-mqtt in this process. Whoever has user and password may publish; anybody may connect without them, as a
// phone does, and only read.
//
// Invariants that the package keeps:
//   - It listens on the loopback only (promise 8).
//   - A message is on its way to the log before its answer can leave.
package broker

import (
	"errors"
	"fmt"
	"net"
)

// Config is everything that a broker can be told. Default gives a well-behaved one.
type Config struct {
	// Name stands in the log; it is the name of the account.
	Name string `json:"name"`
	// Listen is host:port; the host is a loopback address, port 0 takes a free one.
	Listen string `json:"listen"`
	// Log is the path of the broker log; it is appended to.
	Log string `json:"-"`
	// User and Password are those of who may publish. Without a user everybody may.
	User     string `json:"user"`
	Password string `json:"-"`

	// Shares of messages, 0 to 1, that meet a fault. Throttled are answered with quota exceeded and Unspecified with an
	// unspecified error, and neither is taken. Swallowed are neither taken nor answered. At DropLink the message is taken
	// and the connection breaks before the answer.
	Throttled   float64 `json:"throttled"`
	Unspecified float64 `json:"unspecified"`
	Swallowed   float64 `json:"swallowed"`
	DropLink    float64 `json:"drop_link"`
	// Seed makes the faults repeatable.
	Seed uint64 `json:"seed"`
}

// Default is a well-behaved broker; Name and Log are left to say.
func Default() Config { return Config{Listen: "127.0.0.1:0", Seed: 1} }

// Validate finds everything that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		bad("listen", "%q is not host:port", c.Listen)
	} else if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		bad("listen", "%q is not a loopback address; a simulated broker is for this machine only, use 127.0.0.1", host)
	}
	if c.Name == "" {
		bad("name", "is empty")
	}
	if c.Log == "" {
		bad("log", "is empty")
	}
	if c.User == "" && c.Password != "" {
		bad("password", "is given without a user")
	}
	sum := 0.0
	for _, f := range []struct {
		field string
		share float64
	}{{"throttled", c.Throttled}, {"unspecified", c.Unspecified}, {"swallowed", c.Swallowed}, {"drop_link", c.DropLink}} {
		if !(f.share >= 0 && f.share <= 1) {
			bad(f.field, "%v is not in 0 to 1", f.share)
		}
		sum += f.share
	}
	if sum > 1 {
		bad("shares", "add up to %v, more than 1", sum)
	}
	return errors.Join(errs...)
}
