package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Secret is text that no print shows.
type Secret struct{ text string }

// Reveal is the text.
func (s Secret) Reveal() string { return s.text }

// Format hides the text whatever the verb.
func (s Secret) Format(w fmt.State, _ rune) {
	// A writer of a fmt.State does not fail; there is nowhere to say so if it did.
	_, _ = io.WriteString(w, "(hidden)")
}

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(hidden)"), nil }

// Kind says which people are behind the links of an account.
type Kind uint8

// The kinds of links (promise 8).
const (
	Live      Kind = iota + 1 // real people
	Simulated                 // a simulated carrier; only numbers that cannot be assigned
	Drill                     // a carrier's own test platform
)

// Protocol is what an account speaks.
type Protocol uint8

// The protocols.
const (
	SMPP Protocol = iota + 1 // SMPP 3.4
)

// Durability is what an operator states of a Redis whose configuration may not be read.
type Durability uint8

// The durabilities that keep promise 1.
const (
	FsyncAlways Durability = iota + 1 // AOF, fsync on every write, noeviction, version 7 or newer
)

// words is an enumeration as data: name i stands for value i+1.
type words []string

var (
	kinds        = words{"live", "simulated", "drill"}
	protocols    = words{"smpp"}
	durabilities = words{"fsync-always"}
)

func (w words) name(v uint8) string {
	if v == 0 || int(v) > len(w) {
		return ""
	}
	return w[v-1]
}

func (w words) parse(s string) (uint8, error) {
	for i, n := range w {
		if n == s {
			return uint8(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(w, ", "))
}

func (k Kind) String() string       { return kinds.name(uint8(k)) }
func (p Protocol) String() string   { return protocols.name(uint8(p)) }
func (d Durability) String() string { return durabilities.name(uint8(d)) }

// Bytes is a size, written with a binary unit: 8MiB.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if int64(b) >= u.size && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

func parseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.size {
			break
		}
		return Bytes(n * u.size), nil
	}
	return 0, fmt.Errorf("%q is not a size such as 8MiB", s)
}
