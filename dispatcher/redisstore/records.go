package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Do carries out one act.
func (s *Store) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if a.Warning != nil && a.Rev == 0 {
		return s.do(ctx, submitScript, a)
	}
	return s.do(ctx, actScript, a)
}

func (s *Store) do(ctx context.Context, script *redis.Script, a dispatcher.Act) (dispatcher.Done, error) {
	var none dispatcher.Done
	entry, err := entryOf(a.Entry)
	if err != nil {
		return none, err
	}
	var (
		id, digest  string
		record      []byte
		state       warning.State
		expires     int64
		raises      bool
		liveOf      = s.keys.live("")
		warningKey  = s.keys.warnings()
		toPlan      = "keep"
		liveWarning bool
	)
	if w := a.Warning; w != nil {
		b, err := json.Marshal(w)
		if err != nil {
			return none, fmt.Errorf("redisstore: act: warning: %w", err)
		}
		id, digest, record, state, expires, raises = w.ID, w.Digest, b, w.State, w.Spec.Expires.UnixMilli(), true
		if id == "" {
			return none, errors.New("redisstore: act: the warning has no id; give it one before it is recorded")
		}
		warningKey, liveOf, liveWarning = s.keys.warning(id), s.keys.live(w.Content), live(w.State)
		switch {
		case a.ToPlan:
			toPlan = "add"
		case w.State != warning.Released && w.State != warning.Held:
			toPlan = "drop"
		}
	}
	keys := []string{
		s.keys.answer(a.User, a.Key), warningKey, s.keys.warnings(), liveOf, s.keys.toPlan(),
		s.keys.record(), s.keys.recorded(), s.keys.generation(), s.keys.answers(id), s.keys.plan(id),
		s.keys.account(a.Fence.Account), s.keys.warning(a.StateOf),
	}
	for _, p := range a.Puts {
		keys = append(keys, s.keys.table(p.Table))
		raises = raises || p.Table == dispatcher.TableControls
	}
	args := []any{
		flag(a.Key != ""), a.Digest, a.Answer, entry, flag(raises), id, a.Rev, fmt.Sprintf("%02d", state), expires, digest,
		record, flag(liveWarning), toPlan, flag(a.Unique), a.Entry.At.UnixMilli(), a.Parts,
		a.Fence.Owner, a.Fence.Epoch, a.StateOf, uint8(a.State),
	}
	for _, p := range a.Puts {
		value := []byte{}
		if p.Value != nil {
			value = versioned(p.Value)
		}
		was := []byte("*")
		switch {
		case len(p.Was) > 0:
			was = versioned(p.Was)
		case p.Was != nil:
			was = nil
		}
		args = append(args, p.Field, value, was)
	}
	r, err := s.run(ctx, script, keys, args...).Slice()
	if err != nil {
		return none, failed("act", err)
	}
	return dispatcher.Done{
		Repeated: r[0].(int64) == 1, Answer: []byte(r[1].(string)), Generation: uint64(r[2].(int64)), Number: uint64(r[3].(int64)),
	}, nil
}

// entryOf is an entry as a script takes it, which puts the version and the number before it; "" is none.
func entryOf(e dispatcher.Entry) (string, error) {
	if e == (dispatcher.Entry{}) {
		return "", nil
	}
	b, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("redisstore: act: entry: %w", err)
	}
	return string(b[1:]), nil
}

// Answered is the stored answer to an act that this user made with this key before.
func (s *Store) Answered(ctx context.Context, user, key, digest string) (answer []byte, ok bool, err error) {
	r, err := s.db.HMGet(ctx, s.keys.answer(user, key), "digest", "answer").Result()
	if err != nil {
		return nil, false, failed("answered", err)
	}
	if key == "" || r[0] == nil {
		return nil, false, nil
	}
	if r[0] != digest {
		return nil, false, fmt.Errorf("%w: the key was used with other content", dispatcher.ErrOtherUse)
	}
	return []byte(r[1].(string)), true, nil
}

// live tells whether a warning in this state stands in the way of the same warning again.
func live(s warning.State) bool {
	switch s {
	case warning.Submitted, warning.Approved, warning.Released, warning.Held:
		return true
	}
	return false
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Warning is one warning and the revision of its record.
func (s *Store) Warning(ctx context.Context, id string) (warning.Warning, uint64, error) {
	var h struct {
		Rev    uint64 `redis:"rev"`
		Record string `redis:"record"`
	}
	if err := s.db.HMGet(ctx, s.keys.warning(id), "rev", "record").Scan(&h); err != nil {
		return warning.Warning{}, 0, failed("warning", err)
	}
	if h.Rev == 0 {
		return warning.Warning{}, 0, fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, id)
	}
	w, err := decodeWarning(id, h.Record)
	return w, h.Rev, err
}

func decodeWarning(id, record string) (w warning.Warning, err error) {
	if err := json.Unmarshal([]byte(record), &w); err != nil {
		return w, fmt.Errorf("redisstore: the record of warning %s is damaged: %w", id, err)
	}
	if w.Record > warning.RecordVersion {
		return w, fmt.Errorf("redisstore: warning %s has a record of version %d and this release reads %d; upgrade",
			id, w.Record, warning.RecordVersion)
	}
	return w, nil
}

// Warnings lists those in any of the states, newest first; a limit of 0 or less is none. What changes its state while
// the list is read is listed with the state that it had when its record was read, or not at all.
func (s *Store) Warnings(ctx context.Context, states []warning.State, limit int) ([]warning.Warning, error) {
	ids, err := s.idsIn(ctx, states, limit)
	if err != nil {
		return nil, err
	}
	var out []warning.Warning
	err = s.pipeline(ctx, len(ids), 256, func(p redis.Pipeliner, i int) {
		p.HGet(ctx, s.keys.warning(ids[i]), "record")
	}, func(i int, c redis.Cmder) error {
		if errors.Is(c.Err(), redis.Nil) { // deleted since the ids were read
			return nil
		}
		w, err := decodeWarning(ids[i], c.(*redis.StringCmd).Val())
		if err == nil && (len(states) == 0 || slices.Contains(states, w.State)) {
			out = append(out, w)
		}
		return err
	})
	return out, err
}

// idsIn is the ids of those in any of the states, newest first.
func (s *Store) idsIn(ctx context.Context, states []warning.State, limit int) (ids []string, err error) {
	if limit <= 0 {
		limit = -1
	}
	indexes := states
	if len(indexes) == 0 {
		indexes = []warning.State{0} // the index of all
	}
	err = s.pipeline(ctx, len(indexes), len(indexes), func(p redis.Pipeliner, i int) {
		p.ZRevRangeByLex(ctx, s.keys.warnings(), &redis.ZRangeBy{
			Min: fmt.Sprintf("[%02d:", indexes[i]), Max: fmt.Sprintf("(%02d;", indexes[i]), Count: int64(limit),
		})
	}, func(_ int, c redis.Cmder) error {
		for _, m := range c.(*redis.StringSliceCmd).Val() {
			ids = append(ids, m[len("00:"):])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	ids = slices.Compact(ids)
	if limit > 0 && len(ids) > limit {
		ids = ids[:limit]
	}
	return ids, nil
}

// Standing is what changes of the warnings in any of the states.
func (s *Store) Standing(ctx context.Context, states []warning.State) ([]dispatcher.Standing, error) {
	ids, err := s.idsIn(ctx, states, 0)
	if err != nil {
		return nil, err
	}
	var out []dispatcher.Standing
	err = s.pipeline(ctx, len(ids), 1024, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.warning(ids[i]), "state", "expires")
	}, func(i int, c redis.Cmder) error {
		st, err := standingOf(ids[i], c)
		if err == nil && (len(states) == 0 || slices.Contains(states, st.State)) {
			out = append(out, st)
		}
		return err
	})
	return out, err
}

// ToPlan is the released warnings whose plan is not made yet, oldest first.
func (s *Store) ToPlan(ctx context.Context) ([]string, error) {
	ids, err := s.db.SMembers(ctx, s.keys.toPlan()).Result()
	if err != nil {
		return nil, failed("to plan", err)
	}
	slices.Sort(ids)
	var out []string
	err = s.pipeline(ctx, len(ids), 1024, func(p redis.Pipeliner, i int) {
		p.HGet(ctx, s.keys.warning(ids[i]), "state")
	}, func(i int, c redis.Cmder) error {
		state, err := c.(*redis.StringCmd).Int()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		if err == nil && warning.State(state) == warning.Released {
			out = append(out, ids[i])
		}
		return err
	})
	return out, err
}

// Table is every small record of a table by its field.
func (s *Store) Table(ctx context.Context, table string) (map[string][]byte, error) {
	all, err := s.db.HGetAll(ctx, s.keys.table(table)).Result()
	if err != nil {
		return nil, failed("table "+table, err)
	}
	out := make(map[string][]byte, len(all))
	for field, stored := range all {
		if out[field], err = unversioned("table "+table, stored); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Entries is up to n entries of the record of acts from number from on. Each is JSON that begins with its version and
// its number, so that a seal over the bytes binds the number too.
func (s *Store) Entries(ctx context.Context, from uint64, n int) ([][]byte, error) {
	if from == 0 || n <= 0 {
		return nil, nil
	}
	all, err := s.db.LRange(ctx, s.keys.record(), int64(from-1), int64(from-1)+int64(n)-1).Result()
	if err != nil {
		return nil, failed("entries", err)
	}
	var out [][]byte
	for _, e := range all {
		out = append(out, []byte(e))
	}
	return out, nil
}

// Obeyed is how far the owner of each named account is; accounts without owner are left out.
func (s *Store) Obeyed(ctx context.Context, accounts []string) (map[string]dispatcher.Owned, error) {
	out := make(map[string]dispatcher.Owned, len(accounts))
	err := s.pipeline(ctx, len(accounts), 1024, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.account(accounts[i]), "owner", "beat", "obeyed")
	}, func(i int, c redis.Cmder) error {
		var h struct {
			Owner  string `redis:"owner"`
			Beat   uint64 `redis:"beat"`
			Obeyed uint64 `redis:"obeyed"`
		}
		if err := c.(*redis.SliceCmd).Scan(&h); err != nil {
			return failed("obeyed", err)
		}
		if h.Owner != "" {
			out[accounts[i]] = dispatcher.Owned(h)
		}
		return nil
	})
	return out, err
}
