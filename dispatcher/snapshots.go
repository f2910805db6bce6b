package dispatcher

import (
	"context"
	"time"
)

// The tables of the directory.
const (
	TableImports = "imports" // snapshot id → RFC 3339 of when it was made
	TableRetired = "retired" // snapshot id → RFC 3339 of when it was retired: no new plan may name it
	TableErased  = "erased"  // pseudonym of a number, in hexadecimal → RFC 3339 of when its person was erased on request
)

// DirectoryWriter is the right to write the directory, which one process of a realm has at a time and loses when it does
// not renew it. Every method answers ErrFenced when it was lost.
type DirectoryWriter interface {
	// Renew keeps the right for some more time.
	Renew(ctx context.Context, life time.Duration) error
	// End gives it back.
	End(ctx context.Context) error
	// SetSnapshot makes a snapshot, whose pieces are stored, the newest, together with the acts that it carries out, or
	// changes nothing: ErrChanged when Base is not the newest or an act was done before, ErrOtherUse.
	SetSnapshot(ctx context.Context, n NewSnapshot) ([]Done, error)
	// DropSnapshot removes a retired snapshot and the pieces that no other snapshot names. ErrChanged, and nothing is
	// removed, when it is the newest or not retired. What a crash leaves is removed by a repeat.
	DropSnapshot(ctx context.Context, id string, pieces [][32]byte) error
}

// NewSnapshot is a snapshot that is to be the newest.
type NewSnapshot struct {
	ID, Base string // Base is the newest that it was made from or instead of; "" for the first
	Manifest []byte
	Acts     []Act // who asked for it; only key, digest, answer and entry count
	Puts     []Put
}
