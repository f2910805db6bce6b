package redisstore

import (
	"context"
	"encoding/json"
	"fmt"

	"tocsin/dispatcher"
)

// maxEpoch is the largest number that a script counts exactly.
const maxEpoch = 1<<53 - 1

// Acquire makes owner the owner of the account. Beats count from 1 and never start anew, so that an idle of 0 takes
// over only where there is no owner.
func (s *Store) Acquire(ctx context.Context, account, owner string, floor, idle uint64, own bool) (dispatcher.Fence, error) {
	if owner == "" || floor >= maxEpoch {
		return dispatcher.Fence{}, fmt.Errorf("redisstore: acquire: owner %q with floor %d: name the owner, keep the floor below 2^53", owner, floor)
	}
	epoch, err := s.run(ctx, acquireScript, []string{s.keys.account(account)}, account, owner, floor, idle, flag(own)).Uint64()
	if err != nil {
		return dispatcher.Fence{}, failed("acquire", err)
	}
	return dispatcher.Fence{Account: account, Owner: owner, Epoch: epoch}, nil
}

// Heartbeat is the beat of the present owner, its name, and whether there is one.
func (s *Store) Heartbeat(ctx context.Context, account string) (uint64, string, bool, error) {
	owned, err := s.Obeyed(ctx, []string{account})
	o, ok := owned[account]
	return o.Beat, o.Owner, ok, err
}

// Beat moves the heartbeat.
func (s *Store) Beat(ctx context.Context, f dispatcher.Fence) (dispatcher.Signal, error) {
	r, err := s.run(ctx, beatScript,
		[]string{s.keys.account(f.Account), s.keys.table(dispatcher.TableControls), s.keys.generation()},
		f.Account, f.Owner, f.Epoch).Slice()
	if err != nil {
		return dispatcher.Signal{}, failed("beat", err)
	}
	control, err := decodeControl(r[1].(string))
	return dispatcher.Signal{Generation: uint64(r[0].(int64)), Control: control}, err
}

func decodeControl(stored string) (c dispatcher.Control, err error) {
	if stored == "" {
		return c, nil
	}
	b, err := unversioned("control", stored)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("redisstore: the control of an account is damaged: %w", err)
	}
	return c, nil
}

// Release ends the ownership. Asked again by the same owner it changes nothing.
func (s *Store) Release(ctx context.Context, f dispatcher.Fence) error {
	if err := s.run(ctx, releaseScript, []string{s.keys.account(f.Account)}, f.Account, f.Owner, f.Epoch).Err(); err != nil {
		return failed("release", err)
	}
	return nil
}
