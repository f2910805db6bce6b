package wiring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/geofence"
	"tocsin/warning"
)

// maxPeople bounds what one import may hold in memory: a large province.
const maxPeople = 100_000_000

// badShown is how many faulty rows are named.
const badShown = 100

// sessionLife is how long the rows of a broken import are kept.
const sessionLife = 10 * time.Minute

// importPatience is how long an import may bring nothing: nobody else may write the directory meanwhile, not even to erase
// somebody.
const importPatience = 30 * time.Second

var errStalled = warning.Refuse(warning.ReasonUnavailable, "the import brought nothing for %d s and was broken off; its rows are kept for a while: repeat with the same key to go on", int(importPatience.Seconds()))

// session is an import and what it has brought so far. One broken session is kept, until another import begins.
type session struct {
	user, key string
	base      string // the newest snapshot when it began
	rows      geofence.Columns
	broken    time.Time
}

// Import makes one snapshot of the rows: blocks first, then the manifest together with the act.
func (d *directory) Import(ctx context.Context, c dispatcher.Caller, head intake.ImportHead, next func() (intake.Rows, error)) (out intake.Imported, err error) {
	if !d.importing.TryLock() {
		return out, intake.ErrBusy
	}
	defer d.importing.Unlock()
	debug.SetGCPercent(garbage(d.people() + int(head.Total)))
	defer func() {
		debug.SetGCPercent(garbage(d.people()))
		debug.FreeOSMemory() // an import needs three times the memory of the directory that it makes
	}()
	err = d.write(ctx, func(ctx context.Context, w dispatcher.DirectoryWriter) error {
		s, err := d.session(ctx, c, head)
		if err != nil {
			return err
		}
		if err := s.gather(next); err != nil {
			if warning.ReasonOf(err) == 0 || errors.Is(err, errStalled) {
				s.broken = time.Now()
				d.keep(s)
			}
			return err
		}
		out, err = d.finish(ctx, w, c, s)
		return err
	})
	if errors.Is(err, dispatcher.ErrFenced) {
		return out, intake.ErrBusy
	}
	return out, err
}

// session is the one that head goes on with, or a new one; another one is not kept any more.
func (d *directory) session(ctx context.Context, c dispatcher.Caller, head intake.ImportHead) (*session, error) {
	s := d.keptFor(c, head.Key)
	d.keep(nil)
	if head.Offset > 0 {
		rows := 0
		if s != nil {
			rows = s.rows.Len()
		}
		if int64(rows) != head.Offset {
			d.keep(s)
			return nil, warning.Invalid(warning.Violation{
				Field: "offset", Rule: "import.offset", Detail: fmt.Sprintf("%d rows of this import are kept here, not %d", rows, head.Offset),
				Remedy: "ask ImportState and go on from there",
			})
		}
		return s, nil
	}
	base, err := d.store.Newest(ctx)
	if err != nil {
		return nil, dispatcher.Refusal(err)
	}
	if head.Total > maxPeople {
		return nil, tooMany()
	}
	return &session{user: c.User, key: head.Key, base: base, rows: geofence.Room(int(head.Total))}, nil
}

// keep keeps s, or nothing, for an import that goes on.
func (d *directory) keep(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = s
}

// keptFor is what a broken stream with this key has left, if it is not too old.
func (d *directory) keptFor(c dispatcher.Caller, key string) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.kept; s != nil && s.user == c.User && s.key == key && time.Since(s.broken) < sessionLife {
		return s
	}
	return nil
}

// ImportState is how many rows of a broken import are kept.
func (d *directory) ImportState(_ context.Context, c dispatcher.Caller, key string) (int64, error) {
	if !d.importing.TryLock() {
		return 0, intake.ErrBusy
	}
	defer d.importing.Unlock()
	if s := d.keptFor(c, key); s != nil {
		return int64(s.rows.Len()), nil
	}
	return 0, nil
}

// forget lets go of a broken import that nobody has gone on with.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept != nil && time.Since(d.kept.broken) >= sessionLife {
		d.kept = nil
	}
}

func tooMany() error {
	return warning.Refuse(warning.ReasonExhausted, "more than %d people: split the realm", maxPeople)
}

func (s *session) gather(next func() (intake.Rows, error)) error {
	for {
		r, err := inTime(next)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.rows.Len()+len(r.Number) > maxPeople {
			return tooMany()
		}
		s.rows.Append(geofence.Columns{
			Number: r.Number, Lon: r.Lon, Lat: r.Lat, Home: r.Home, Seen: r.Seen, Language: r.Language, Duty: r.Role, Flags: r.Flags,
		})
	}
}

// inTime is the next rows; errStalled where they do not come. Then next is left waiting, until the call that it reads ends.
func inTime(next func() (intake.Rows, error)) (r intake.Rows, err error) {
	done := make(chan struct{})
	var rows intake.Rows
	var failed error
	go func() {
		defer close(done)
		rows, failed = next()
	}()
	patience := time.NewTimer(importPatience)
	defer patience.Stop()
	select {
	case <-done:
		return rows, failed
	case <-patience.C:
		return r, errStalled
	}
}

// finish makes the snapshot of a whole import.
func (d *directory) finish(ctx context.Context, w dispatcher.DirectoryWriter, c dispatcher.Caller, s *session) (out intake.Imported, err error) {
	without, erased, err := d.erased(ctx)
	if err != nil {
		return out, err
	}
	built, bad, err := geofence.BuildInto(s.rows, without, d.storeFor(ctx, c, s))
	s.rows = geofence.Columns{} // they are the snapshot's now
	if err != nil {
		return out, dispatcher.Refusal(err)
	}
	if built.People() == 0 {
		return out, warning.Invalid(warning.Violation{
			Field: "chunk", Rule: "import.empty", Detail: fmt.Sprintf("none of %d rows can be used", int64(len(bad))+erased.Load()),
			Remedy: "mend the rows; an empty directory is never made by accident",
		})
	}
	r := geofence.NewRevision(built.WithLimits(d.limits))
	out = intake.Imported{Snapshot: r.ID(), People: int64(r.People()), BadRows: int64(len(bad)), Bad: badRows(bad)}
	answer, err := json.Marshal(out)
	if err != nil {
		return out, err
	}
	digest := hex.EncodeToString(digestOf(answer))
	if _, done, err := d.store.Answered(ctx, c.User, s.key, digest); done || err != nil {
		return out, dispatcher.Refusal(err)
	}
	now := time.Now().UTC()
	detail := fmt.Sprintf("%d people, %d rows left out", out.People, out.BadRows)
	if n := erased.Load(); n > 0 {
		detail += fmt.Sprintf(", %d erased people left out", n)
	}
	_, err = w.SetSnapshot(ctx, dispatcher.NewSnapshot{
		ID: r.ID(), Base: s.base, Manifest: r.Manifest(), Puts: []dispatcher.Put{made(r.ID(), now)},
		Acts: []dispatcher.Act{{
			User: c.User, Key: s.key, Digest: digest, Answer: answer,
			Entry: dispatcher.Entry{At: now, User: c.User, Role: c.Role.String(), Act: "directory.import", Subject: r.ID(), Detail: detail},
		}},
	})
	if errors.Is(err, dispatcher.ErrChanged) {
		return out, warning.Refuse(warning.ReasonConflict, "the directory has changed since this import began: see whether the file knows of it, and import again with a new key")
	}
	if err != nil {
		return out, dispatcher.Refusal(err)
	}
	d.learnt(r)
	d.take(r)
	return out, nil
}

// erased tells who was erased on request, and counts them: a file that still has them does not bring them back.
func (d *directory) erased(ctx context.Context) (is func(number uint64) bool, n *atomic.Int64, err error) {
	n = new(atomic.Int64)
	table, err := d.store.Table(ctx, dispatcher.TableErased)
	if err != nil {
		return nil, n, dispatcher.Refusal(err)
	}
	if len(table) == 0 {
		return nil, n, nil
	}
	return func(number uint64) bool {
		_, is := table[pseudonym(d.store.Pseudonym(number))]
		if is {
			n.Add(1)
		}
		return is
	}, n, nil
}

// storeFor stores the blocks that the snapshot before an import does not have. Where the import is a repeat it stores none: the
// directory may have changed since, and no snapshot would name what was replaced.
func (d *directory) storeFor(ctx context.Context, c dispatcher.Caller, s *session) geofence.Store {
	had := map[[32]byte]bool{}
	for h := range d.have(s.base).Hashes() {
		had[h] = true
	}
	return func(n int, encode func([]byte, int) ([32]byte, []byte)) error {
		_, _, err := d.store.Answered(ctx, c.User, s.key, "") // no answer has this digest
		again := errors.Is(err, dispatcher.ErrOtherUse)
		if err != nil && !again {
			return err
		}
		return d.store.PutBlobs(ctx, n, func(b []byte, i int) ([32]byte, []byte) {
			hash, data := encode(b, i)
			if again || had[hash] {
				data = nil
			}
			return hash, data
		})
	}
}

func pseudonym(p [16]byte) string { return hex.EncodeToString(p[:]) }

func digestOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

func badRows(bad []geofence.BadRow) (out []intake.BadRow) {
	for _, b := range bad[:min(badShown, len(bad))] {
		out = append(out, intake.BadRow{Row: int64(b.Row), Field: b.Field, Rule: b.Rule, Detail: b.Detail})
	}
	return out
}
