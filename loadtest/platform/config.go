// Package platform is a simulated emergency broadcast platform: it takes EBD packets over HTTP, keeps what is to be
// played, answers in the platform's own form, makes the faults that real platforms make, and writes the log that a run
// is judged by (docs/platform-log.md).
//
// It reads the format on its own, strictly, and shares nothing with the engine's codec, so that two readings check each
// other: an element that the format does not know, one that it asks for and that is missing, one that stands twice, a
// value in another form, a file of another name are each refused with the format's code and written down.
//
// It plays nothing and reaches nobody, and it listens on the loopback only (promise 8).
package platform

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is everything that a platform can be told.
type Config struct {
	// Name stands in the log; it is the name of the account.
	Name string `json:"name"`
	// Listen is host:port; the host is a loopback address, port 0 takes a free one.
	Listen string `json:"listen"`
	// Log is the path of the platform log; it is appended to.
	Log string `json:"-"`
	// EBRID is the platform's resource code, 23 digits.
	EBRID string `json:"ebrid"`
	// Key is the PEM file of the platform's SM2 private key; answers are signed where there is one.
	Key string `json:"-"`
	// ClientKey is the PEM file of the client's SM2 public key or certificate; where there is one, packets without its
	// signature are refused.
	ClientKey string `json:"-"`
	// CoverageOver is how long a message takes from its first playing to all of its area.
	CoverageOver time.Duration `json:"coverage_over"`
	// Terminals is how many loudspeakers each unit has.
	Terminals int `json:"terminals"`
	Behaviour
}

// Behaviour is how a platform treats what comes.
type Behaviour struct {
	// Delay is the time from the arrival of a packet to its answer.
	Delay time.Duration `json:"delay"`
	// Fault is what befalls each message, one of Faults; empty: nothing.
	Fault Fault `json:"fault"`
	// Result is the ResultCode that messages are answered with under FaultResult.
	Result int `json:"result"`
}

// result is the ResultCode for a message in order. Those above 1 say that it is not taken.
func (b Behaviour) result() int {
	switch b.Fault {
	case FaultParse:
		return resultParse
	case FaultMissing:
		return resultMissing
	case FaultSignature:
		return resultSignature
	case FaultOther, FaultBusy:
		return resultOther
	case FaultResult:
		return b.Result
	}
	return resultOK
}

// Fault is how a platform misbehaves at a message. Heartbeats and questions are answered in order.
type Fault string

// The faults.
const (
	FaultParse     Fault = "parse"     // answers ResultCode 2
	FaultMissing   Fault = "missing"   // answers ResultCode 3
	FaultSignature Fault = "signature" // answers ResultCode 4
	FaultOther     Fault = "other"     // answers ResultCode 5
	FaultResult    Fault = "result"    // answers Config.Result
	FaultBusy      Fault = "busy"      // answers HTTP 429
	FaultMute      Fault = "mute"      // takes the message, never answers
	FaultDrop      Fault = "drop"      // takes the message, breaks the connection
	FaultTruncated Fault = "truncated" // takes the message, answers half a tar
	FaultGarbage   Fault = "garbage"   // takes the message, answers with what is no tar
	FaultEndless   Fault = "endless"   // takes the message, answers until the client hangs up
	FaultUnsigned  Fault = "unsigned"  // takes the message, answers without signature
	FaultForged    Fault = "forged"    // takes the message, signs its answer with another key
	FaultMisplaced Fault = "misplaced" // takes the message, answers for another packet
)

// Faults is all of them.
var Faults = []Fault{
	FaultParse, FaultMissing, FaultSignature, FaultOther, FaultResult, FaultBusy, FaultMute, FaultDrop, FaultTruncated,
	FaultGarbage, FaultEndless, FaultUnsigned, FaultForged, FaultMisplaced,
}

// Default is a well-behaved platform; Log is left to say.
func Default() Config {
	return Config{
		Name: "broadcast", Listen: "127.0.0.1:0", EBRID: "25000000000000101010101",
		CoverageOver: 20 * time.Second, Terminals: 40,
	}
}

var resourceCode = regexp.MustCompile(`^[1-6][0-9]{22}$`)

// Validate finds everything that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	bad := func(is bool, field, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	bad(err != nil || ip == nil || !ip.IsLoopback(), "listen", "%q is not host:port of the loopback; a simulated platform is for this machine only, use 127.0.0.1", c.Listen)
	bad(c.Name == "" || len(c.Name) > 64, "name", "needs 1 to 64 characters and has %d", len(c.Name))
	bad(c.Log == "", "log", "needs a path")
	bad(!resourceCode.MatchString(c.EBRID), "ebrid", "%q is not 23 digits that begin with a level from 1 to 6", c.EBRID)
	bad(c.Delay < 0 || c.Delay > time.Hour, "delay", "%v is not in 0 to 1h", c.Delay)
	bad(c.CoverageOver < 0 || c.CoverageOver > 24*time.Hour, "coverage_over", "%v is not in 0 to 24h", c.CoverageOver)
	bad(c.Terminals < 0 || c.Terminals > 1_000_000, "terminals", "%d is not in 0 to 1000000", c.Terminals)
	bad(c.Fault != "" && !slices.Contains(Faults, c.Fault), "fault", "%q is none of %s", c.Fault, strings.Join(FaultNames(), ", "))
	bad(c.Result < 0 || c.Result > 99, "result", "%d is not in 0 to 99", c.Result)
	bad((c.Fault == FaultForged || c.Fault == FaultUnsigned) && c.Key == "", "fault", "%s needs a platform that signs; give it a key", c.Fault)
	if len(errs) > 0 {
		return fmt.Errorf("platform: %w", errors.Join(errs...))
	}
	return nil
}

// FaultNames is the faults as a person writes them.
func FaultNames() (names []string) {
	for _, f := range Faults {
		names = append(names, string(f))
	}
	return names
}
