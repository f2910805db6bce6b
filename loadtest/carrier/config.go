// Package carrier is a simulated carrier: a short message centre that speaks SMPP 3.4 over TCP, keeps a contract, answers
// after a round trip, sends receipts, makes the faults that real carriers make, and writes the log that a run is judged by.
//
// It reads the standard on its own, strictly, and shares nothing with the engine's codec, so that two readings check each
// other. What breaks the standard is answered with the standard's error and written down as a violation with its clause.
//
// Invariants that the package keeps:
//   - Only numbers of country code 999 are accepted, and it listens on the loopback only (promise 8).
//   - A message is in the log before its answer can leave; its time is taken when the read that brought it returned.
//   - A receipt that nobody answered is sent again, on whatever link can take it, until somebody does: receipts outlive
//     clients.
//   - Nothing is allocated for a message in steady state, and the answers of one read leave in one write.
package carrier

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config is everything that a carrier can be told. Default gives a well-behaved one.
type Config struct {
	// Name stands in the log; it is the name of the account.
	Name string `json:"name"`
	// Listen is host:port; the host is a loopback address, port 0 takes a free one.
	Listen string `json:"listen"`
	// Log is the path of the carrier log; it is appended to.
	Log string `json:"-"`
	// SystemID (at most 15 characters) and Password (at most 8) let a client in.
	SystemID string `json:"system_id"`
	Password string `json:"-"`

	// Links is how many connections may be bound at a time; more are refused with ESME_RBINDFAIL.
	Links int `json:"links"`
	// Window is how many messages of a link may be without an answer; 0: any number.
	Window int `json:"window"`
	// WindowFull is what happens beyond the window: "stop" reads no further until there is room, "throttle" answers
	// ESME_RTHROTTLED.
	WindowFull string `json:"window_full"`
	// Rate is the contract: messages in any second that are accepted over all links, the others are answered with
	// ESME_RTHROTTLED; 0: any number.
	Rate int `json:"rate"`
	// RoundTrip is the time from the arrival of a message to its answer.
	RoundTrip time.Duration `json:"round_trip"`

	// Receipts says whether receipts are sent to who asked for them: ReceiptDelay after the answer, give or take up to
	// ReceiptJitter, but never before it.
	Receipts      bool          `json:"receipts"`
	ReceiptDelay  time.Duration `json:"receipt_delay"`
	ReceiptJitter time.Duration `json:"receipt_jitter"`
	// ReceiptWindow is how many receipts of a link may be without an answer.
	ReceiptWindow int `json:"receipt_window"`
	// ReceiptTimeout is how long a receipt waits for its answer before it is sent again.
	ReceiptTimeout time.Duration `json:"receipt_timeout"`
	// IDs is the form of message ids: "opaque" (20 characters), or "hex" (hexadecimal in the answer, the same in decimal
	// in the receipt).
	IDs string `json:"ids"`

	// Shares of receipts, 0 to 1, by person: the rest is DELIVRD.
	Undelivered float64 `json:"undelivered"`
	Expired     float64 `json:"expired"`
	Rejected    float64 `json:"rejected"`
	Deleted     float64 `json:"deleted"`
	Unknown     float64 `json:"unknown"`

	// Shares of messages, 0 to 1, that meet a fault. Throttled, QueueFull and SystemError are answered so and not taken.
	Throttled   float64 `json:"throttled"`
	QueueFull   float64 `json:"queue_full"`
	SystemError float64 `json:"system_error"`
	// BadNumber is by person: such a number is refused with ESME_RINVDSTADR each time.
	BadNumber float64 `json:"bad_number"`
	// Silent are taken and never answered; Swallowed are neither.
	Silent    float64 `json:"silent"`
	Swallowed float64 `json:"swallowed"`
	// DropLink breaks the connection at a message, with all that is unanswered.
	DropLink float64 `json:"drop_link"`

	// FaultWords and FaultStatus (a command_status of clause 5.1.3) are a fault of one text: each message that has these
	// words is answered so and not taken. A message is a segment.
	FaultWords  string `json:"fault_words"`
	FaultStatus uint32 `json:"fault_status"`
	// NoFlash refuses messages of class 0 with ESME_RINVSERTYP: they are a service of their own.
	NoFlash bool `json:"no_flash"`
	// DeadAfter is the message, of all links, whose link hears and says nothing more from then on and does not break.
	// Connections that come later are accepted and never answered; 0: never.
	DeadAfter int `json:"dead_after"`

	// Shares of receipts, 0 to 1, that come before the answer to their message, come twice, or are followed by one with
	// an id that was never given.
	EarlyReceipts     float64 `json:"early_receipts"`
	DuplicateReceipts float64 `json:"duplicate_receipts"`
	StrayReceipts     float64 `json:"stray_receipts"`

	// BindTimeout is how long a connection may stay unbound (session_init_timer), EnquireEvery how long a link may be
	// silent before it is asked (enquire_link_timer); a link that does not answer for as long again is closed.
	BindTimeout  time.Duration `json:"bind_timeout"`
	EnquireEvery time.Duration `json:"enquire_every"`

	// Seed makes the faults repeatable.
	Seed uint64 `json:"seed"`
}

// Default is a well-behaved carrier without a rate; Name, Log, SystemID and Password are left to say.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:0", Links: 1024, WindowFull: "stop",
		Receipts: true, ReceiptDelay: 200 * time.Millisecond, ReceiptJitter: 100 * time.Millisecond,
		ReceiptWindow: 1024, ReceiptTimeout: 10 * time.Second, IDs: "opaque",
		BindTimeout: 10 * time.Second, EnquireEvery: 30 * time.Second, Seed: 1,
	}
}

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
		bad("listen", "%q is not a loopback address; a simulated carrier is for this machine only, use 127.0.0.1", host)
	}
	for _, f := range []struct {
		field, value string
		most         int
	}{{"name", c.Name, 64}, {"log", c.Log, 4096}, {"system_id", c.SystemID, maxSystemID - 1}, {"password", c.Password, maxPassword - 1}} {
		if f.value == "" || len(f.value) > f.most {
			bad(f.field, "needs 1 to %d characters and has %d", f.most, len(f.value))
		}
	}
	for _, f := range []struct {
		field          string
		v, least, most int
	}{
		{"links", c.Links, 1, 65535}, {"window", c.Window, 0, 65535}, {"rate", c.Rate, 0, 100_000_000},
		{"receipt_window", c.ReceiptWindow, 1, 65535}, {"fault_status", int(c.FaultStatus), 0, 0xFFFF}, {"dead_after", c.DeadAfter, 0, 1 << 40},
	} {
		if f.v < f.least || f.v > f.most {
			bad(f.field, "%d is not in %d to %d", f.v, f.least, f.most)
		}
	}
	for _, f := range []struct {
		field string
		v     time.Duration
		least time.Duration
	}{
		{"round_trip", c.RoundTrip, 0}, {"receipt_delay", c.ReceiptDelay, 0}, {"receipt_jitter", c.ReceiptJitter, 0},
		{"receipt_timeout", c.ReceiptTimeout, time.Millisecond}, {"bind_timeout", c.BindTimeout, time.Millisecond},
		{"enquire_every", c.EnquireEvery, time.Millisecond},
	} {
		if f.v < f.least || f.v > 24*time.Hour {
			bad(f.field, "%v is not in %v to 24h", f.v, f.least)
		}
	}
	if c.WindowFull != "stop" && c.WindowFull != "throttle" {
		bad("window_full", "%q is neither stop nor throttle", c.WindowFull)
	}
	if (c.FaultWords == "") != (c.FaultStatus == statusOK) {
		bad("fault_words", "words and fault_status go together")
	}
	if c.IDs != "opaque" && c.IDs != "hex" {
		bad("ids", "%q is neither opaque nor hex", c.IDs)
	}
	for _, g := range [][]share{c.outcomes(), c.faults(), {
		{"bad_number", c.BadNumber}, {"early_receipts", c.EarlyReceipts}, {"duplicate_receipts", c.DuplicateReceipts},
		{"stray_receipts", c.StrayReceipts},
	}} {
		for _, s := range g {
			if !(s.part >= 0 && s.part <= 1) {
				bad(s.field, "%v is not a share from 0 to 1", s.part)
			}
		}
	}
	for _, g := range [][]share{c.outcomes(), c.faults()} {
		sum := 0.0
		for _, s := range g {
			sum += s.part
		}
		if sum > 1+1e-9 {
			bad(g[0].field, "with its kind it makes %v, and the shares of one kind make 1 at most", sum)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("carrier: %w", errors.Join(errs...))
	}
	return nil
}

// share is the part of messages, numbers or receipts that something happens to.
type share struct {
	field string
	part  float64
}

// outcomes is the shares of receipts in the order of states behind delivered.
func (c *Config) outcomes() []share {
	return []share{{"undelivered", c.Undelivered}, {"expired", c.Expired}, {"rejected", c.Rejected}, {"deleted", c.Deleted}, {"unknown", c.Unknown}}
}

// faults is the shares of messages in the order of mishap.
func (c *Config) faults() []share {
	return []share{{"throttled", c.Throttled}, {"queue_full", c.QueueFull}, {"system_error", c.SystemError}, {"silent", c.Silent}, {"swallowed", c.Swallowed}, {"drop_link", c.DropLink}}
}

// mishap is what befalls a message.
type mishap int

const (
	none mishap = iota
	throttled
	queueFull
	systemError
	silent
	swallowed
	dropLink
)

// dice draws by shares: one comparison when none is set.
type dice struct {
	upTo []uint64 // cumulated, in 2^63
}

func newDice(shares []share) dice {
	var d dice
	sum := 0.0
	for _, s := range shares {
		sum += s.part
		d.upTo = append(d.upTo, uint64(min(sum, 1)*(1<<63)))
	}
	return d
}

// draw is 0 for none of the shares, else the share from 1; random is 64 even bits.
func (d dice) draw(random uint64) int {
	random >>= 1
	if last := len(d.upTo) - 1; last < 0 || random >= d.upTo[last] {
		return 0
	}
	for i, u := range d.upTo {
		if random < u {
			return i + 1
		}
	}
	return 0
}

// mix spreads the bits of x; it is a bijection (the finisher of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
