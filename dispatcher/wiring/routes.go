package wiring

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
)

// numbersOf reads the table of numbers, and the digest of its file; nil and empty where there is none.
func numbersOf(r *config.Routes) (n *dispatcher.Numbers, digest string, err error) {
	if r.Numbers == "" {
		return nil, "", nil
	}
	f, err := os.Open(r.Numbers)
	if err != nil {
		return nil, "", fmt.Errorf("routes.numbers: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if n, err = dispatcher.ReadNumbers(io.TeeReader(f, sum)); err != nil {
		return nil, "", fmt.Errorf("routes.numbers: %s: %w", r.Numbers, err)
	}
	return n, hex.EncodeToString(sum.Sum(nil)), nil
}

func failOverOf(r *config.Routes) dispatcher.FailOver {
	return dispatcher.FailOver{After: r.After, Window: r.Window, Bad: r.Bad, Good: r.Good, Least: r.Least, Stay: r.Stay}
}

// testNumber is a number that the configuration has checked; 0 for none.
func testNumber(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}
