package wiring

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/geofence"
	"tocsin/warning"
)

const (
	// changeEvery is the shortest time between two snapshots that changes make; what comes in between shares the next.
	changeEvery = time.Second
	// changeMost is how many changes share one snapshot: what one script may note.
	changeMost = 4096
	// changePatience is how long changes wait for whoever else writes the directory.
	changePatience = 10 * time.Second
)

// queue is the requests that wait for the next snapshot.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	wake    chan struct{}
}

// request is one call of Change.
type request struct {
	ctx     context.Context
	caller  dispatcher.Caller
	key     string
	digest  string
	changes []warning.Change
	why     string
	done    chan struct{} // closed when the following is there
	answer  intake.Changed
	err     error
}

func (q *queue) add(r *request) {
	q.mu.Lock()
	q.waiting = append(q.waiting, r)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take is the oldest requests that fit into one snapshot; those whose caller has gone are left out. Of one key there is one: who
// asks for it again hears what became of that.
func (q *queue) take() (out []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for len(q.waiting) > 0 && (n == 0 || n+len(q.waiting[0].changes) <= changeMost) {
		r := q.waiting[0]
		if slices.ContainsFunc(out, func(o *request) bool { return o.key == r.key && o.caller.User == r.caller.User }) {
			break
		}
		q.waiting = q.waiting[1:]
		if r.ctx.Err() == nil {
			out, n = append(out, r), n+len(r.changes)
		}
	}
	if len(q.waiting) > 0 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return out
}

// Change carries out changes of single people. It answers when they are durable.
func (d *directory) Change(ctx context.Context, c dispatcher.Caller, key string, changes []warning.Change, why string) (intake.Changed, error) {
	asked, err := json.Marshal([]any{"directory.change", changes, why})
	if err != nil {
		return intake.Changed{}, err
	}
	r := &request{ctx: ctx, caller: c, key: key, digest: hex.EncodeToString(digestOf(asked)), changes: changes, why: why, done: make(chan struct{})}
	d.queue.add(r)
	select {
	case <-r.done:
		return r.answer, r.err
	case <-ctx.Done():
		return intake.Changed{}, ctx.Err()
	}
}

// carryOut makes a snapshot of what waits, at most one each changeEvery, until ctx ends.
func (d *directory) carryOut(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.queue.wake:
		}
		pause := time.NewTimer(changeEvery)
		all := d.queue.take()
		if len(all) > 0 {
			d.together(ctx, all)
		}
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// together carries out requests in one snapshot, and answers each.
func (d *directory) together(ctx context.Context, all []*request) {
	deadline, cancel := context.WithTimeout(ctx, changePatience)
	defer cancel()
	var err error
	for {
		err = d.write(deadline, func(ctx context.Context, w dispatcher.DirectoryWriter) error {
			var err error
			all, err = d.change(ctx, w, all)
			return err
		})
		if len(all) == 0 || !errors.Is(err, dispatcher.ErrFenced) && !errors.Is(err, dispatcher.ErrChanged) && !errors.Is(err, dispatcher.ErrOtherUse) {
			break
		}
		again := time.NewTimer(20 * time.Millisecond)
		select {
		case <-again.C:
			continue
		case <-deadline.Done():
			again.Stop()
		}
		err = intake.ErrBusy
		break
	}
	for _, r := range all {
		r.err = dispatcher.Refusal(err)
		close(r.done)
	}
}

// change carries out requests over the newest snapshot. It answers those that are still to be answered.
func (d *directory) change(ctx context.Context, w dispatcher.DirectoryWriter, all []*request) ([]*request, error) {
	all, err := d.repeats(ctx, all)
	if len(all) == 0 || err != nil {
		return all, err
	}
	if err := d.refresh(ctx); err != nil {
		return all, err
	}
	base := d.current()
	if base == nil {
		return all, warning.Refuse(warning.ReasonNotFound, "no directory yet: import one with `tocsin directory import FILE`")
	}
	var changes []warning.Change
	for _, r := range all {
		changes = append(changes, r.changes...)
	}
	next, bad, err := base.Change(changes)
	if err != nil {
		return all, err
	}
	now := time.Now().UTC()
	n := dispatcher.NewSnapshot{ID: next.ID(), Base: base.ID(), Manifest: next.Manifest(), Puts: []dispatcher.Put{made(next.ID(), now)}}
	for _, r := range all {
		var mine []geofence.BadRow
		for len(bad) > 0 && bad[0].Row < len(r.changes) {
			mine, bad = append(mine, bad[0]), bad[1:]
		}
		for i := range bad {
			bad[i].Row -= len(r.changes)
		}
		act, err := d.act(r, next, mine, now)
		if err != nil {
			return all, err
		}
		n.Acts = append(n.Acts, act)
	}
	n.Puts = append(n.Puts, d.erasures(changes, now)...)
	if err := d.put(ctx, next, base); err != nil {
		return all, err
	}
	if _, err := w.SetSnapshot(ctx, n); err != nil {
		return all, err
	}
	d.take(next)
	for _, r := range all {
		close(r.done)
	}
	return nil, nil
}

// repeats answers the requests that were carried out before, and refuses those whose key was used for something else.
func (d *directory) repeats(ctx context.Context, all []*request) (left []*request, err error) {
	for i, r := range all {
		answer, done, err := d.store.Answered(ctx, r.caller.User, r.key, r.digest)
		switch {
		case errors.Is(err, dispatcher.ErrOtherUse):
			r.err = dispatcher.Refusal(err)
			close(r.done)
		case err != nil:
			return append(left, all[i:]...), err
		case done:
			r.err = json.Unmarshal(answer, &r.answer)
			close(r.done)
		default:
			left = append(left, r)
		}
	}
	return left, nil
}

// act is what one request puts into the record, and its answer. No number is in either.
func (d *directory) act(r *request, next *geofence.Revision, bad []geofence.BadRow, now time.Time) (dispatcher.Act, error) {
	r.answer = intake.Changed{
		Snapshot: next.ID(), People: int64(next.People()), Changed: int64(len(r.changes) - len(bad)), BadChanges: int64(len(bad)), Bad: badRows(bad),
	}
	answer, err := json.Marshal(r.answer)
	detail := fmt.Sprintf("%d changes, %d left out", r.answer.Changed, r.answer.BadChanges)
	if n := erasing(r.changes); n > 0 {
		detail += fmt.Sprintf("; %d people erased: %s", n, r.why)
	}
	return dispatcher.Act{
		User: r.caller.User, Key: r.key, Digest: r.digest, Answer: answer,
		Entry: dispatcher.Entry{At: now, User: r.caller.User, Role: r.caller.Role.String(), Act: "directory.change", Subject: next.ID(), Detail: detail},
	}, err
}

func erasing(changes []warning.Change) (n int) {
	for _, c := range changes {
		if c.Deed == warning.DeedErase {
			n++
		}
	}
	return n
}

// erasures notes who was erased, by pseudonym, and takes out who was put in again.
func (d *directory) erasures(changes []warning.Change, now time.Time) []dispatcher.Put {
	var puts []dispatcher.Put
	note := func(number uint64, value []byte) {
		puts = append(puts, dispatcher.Put{Table: dispatcher.TableErased, Field: pseudonym(d.store.Pseudonym(number)), Value: value})
	}
	for _, c := range changes {
		switch c.Deed {
		case warning.DeedErase:
			note(c.Number, []byte(now.Format(time.RFC3339)))
		case warning.DeedPut:
			note(c.Number, nil)
			if c.NewNumber != 0 {
				note(c.NewNumber, nil)
			}
		}
	}
	return puts
}
