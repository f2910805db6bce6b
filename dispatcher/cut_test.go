package dispatcher_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
	"tocsin/warning"
)

// cut is a store that a killed process cannot reach any more.
type cut struct {
	*memstore.Store
	mu   sync.Mutex
	dead bool
	lose int           // so many commits are answered, and lost
	slow time.Duration // of a commit, unless its caller gives up before
	read func()        // runs after strands were read; nil: nothing
	load chan struct{} // strands are not loaded before it is closed; nil: at once
}

var errCut = errors.New("the process is dead")

func (c *cut) Commit(ctx context.Context, f dispatcher.Fence, seq uint64, m dispatcher.Commit) (dispatcher.Committed, error) {
	c.mu.Lock()
	slow := c.slow
	c.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return dispatcher.Committed{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return dispatcher.Committed{}, errCut
	}
	if c.lose > 0 {
		c.lose--
		return dispatcher.Committed{Refused: make([]warning.State, len(m.Grants))}, nil
	}
	return c.Store.Commit(ctx, f, seq, m)
}

func (c *cut) Read(ctx context.Context, account string, strands []dispatcher.StrandID, ledger bool) (dispatcher.Image, error) {
	im, err := c.Store.Read(ctx, account, strands, ledger)
	c.mu.Lock()
	f := c.read
	c.mu.Unlock()
	if f != nil {
		f()
	}
	return im, err
}

func (c *cut) Load(ctx context.Context, account string, after uint64, ledger bool, have func(dispatcher.StrandID) uint32) (dispatcher.Image, error) {
	c.mu.Lock()
	load := c.load
	c.mu.Unlock()
	if load != nil {
		select {
		case <-load:
		case <-ctx.Done():
			return dispatcher.Image{}, ctx.Err()
		}
	}
	return c.Store.Load(ctx, account, after, ledger, have)
}

func (c *cut) Fold(ctx context.Context, f dispatcher.Fence, chunks []dispatcher.Chunk, entry uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errCut
	}
	return c.Store.Fold(ctx, f, chunks, entry)
}
