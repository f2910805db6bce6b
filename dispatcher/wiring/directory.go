package wiring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/redisstore"
	"tocsin/geofence"
	"tocsin/warning"
)

// maxPeople bounds what one import may hold in memory: a large province.
const maxPeople = 100_000_000

// badShown is how many faulty rows are named.
const badShown = 100

// directoryEvery is how often a process looks whether another one has imported.
const directoryEvery = time.Second

// tableImports has the time of each import: snapshot id → RFC 3339.
const tableImports = "imports"

// directory keeps snapshots in the store's blobs, the newest in memory, and one more that was asked for last: a plan
// that was made before the newest import.
type directory struct {
	store  *redisstore.Store
	limits geofence.Limits
	log    *zap.Logger

	heavy sync.Mutex // held by an import and by a load: each holds all people in memory. It is taken before mu.

	mu            sync.Mutex // guards what follows
	newest, other *geofence.Snapshot
}

var (
	_ dispatcher.Directory = (*directory)(nil)
	_ intake.Directory     = (*directory)(nil)
)

// Current is the newest snapshot.
func (d *directory) Current() (dispatcher.Snapshot, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newest, d.newest != nil
}

// Snapshot is the one with this id.
func (d *directory) Snapshot(ctx context.Context, id string) (dispatcher.Snapshot, error) {
	s, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (d *directory) have(id string) *geofence.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range []*geofence.Snapshot{d.newest, d.other} {
		if s != nil && s.ID() == id {
			return s
		}
	}
	return nil
}

func (d *directory) get(ctx context.Context, id string) (*geofence.Snapshot, error) {
	if s := d.have(id); s != nil {
		return s, nil
	}
	d.heavy.Lock()
	defer d.heavy.Unlock()
	if s := d.have(id); s != nil {
		return s, nil
	}
	s, err := d.load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other = s
	return s, nil
}

func (d *directory) load(ctx context.Context, id string) (*geofence.Snapshot, error) {
	manifest, err := d.store.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	hashes, err := geofence.BlobsOf(manifest)
	if err != nil {
		return nil, err
	}
	next, stop := iter.Pull2(d.fetch(ctx, hashes))
	defer stop()
	s, err := geofence.Load(manifest, func([32]byte) ([]byte, error) {
		b, err, ok := next()
		if !ok {
			return nil, io.ErrUnexpectedEOF
		}
		return b, err
	})
	if err != nil {
		return nil, err
	}
	return s.WithLimits(d.limits), nil
}

var errStopped = errors.New("no more is taken")

// fetch reads blobs in their order, many in one round trip.
func (d *directory) fetch(ctx context.Context, hashes [][32]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := d.store.Blobs(ctx, hashes, func(_ int, b []byte) error {
			if !yield(b, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// refresh takes the newest snapshot of the store, which another process may have made.
func (d *directory) refresh(ctx context.Context) error {
	_, id, err := d.store.Snapshots(ctx)
	if err != nil || id == "" {
		return err
	}
	s, err := d.get(ctx, id)
	if err != nil {
		return err
	}
	d.take(s)
	return nil
}

func (d *directory) take(s *geofence.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newest != nil && d.newest.ID() == s.ID() {
		return
	}
	d.newest, d.other = s, d.newest
}

// follow refreshes until ctx ends.
func (d *directory) follow(ctx context.Context) {
	each(ctx, directoryEvery, func() {
		if err := d.refresh(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the newest directory cannot be read", zap.Error(err))
		}
	})
}

// Import makes one snapshot of the rows: blocks first, then the manifest together with the act.
func (d *directory) Import(ctx context.Context, c dispatcher.Caller, key string, next func() (intake.Rows, error)) (intake.Imported, error) {
	if !d.heavy.TryLock() {
		return intake.Imported{}, warning.Refuse(warning.ReasonUnavailable, "another import is under way: repeat when it has ended")
	}
	defer d.heavy.Unlock()
	all, err := gather(next)
	if err != nil {
		return intake.Imported{}, err
	}
	s, bad := geofence.Build(all)
	if s.People() == 0 {
		return intake.Imported{}, warning.Invalid(warning.Violation{
			Field: "chunk", Rule: "import.empty", Detail: fmt.Sprintf("none of %d rows can be used", len(bad)),
			Remedy: "mend the rows; an empty directory is never made by accident",
		})
	}
	return d.keep(ctx, c, key, s.WithLimits(d.limits), bad)
}

func gather(next func() (intake.Rows, error)) (all geofence.Columns, err error) {
	for {
		r, err := next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if all.Len()+len(r.Number) > maxPeople {
			return all, warning.Refuse(warning.ReasonExhausted, "more than %d people: split the realm", maxPeople)
		}
		all.Append(geofence.Columns{
			Number: r.Number, Lon: r.Lon, Lat: r.Lat, Home: r.Home, Seen: r.Seen, Language: r.Language, Duty: r.Role, Flags: r.Flags,
		})
	}
}

func (d *directory) keep(ctx context.Context, c dispatcher.Caller, key string, s *geofence.Snapshot, bad []geofence.BadRow) (intake.Imported, error) {
	out := intake.Imported{Snapshot: s.ID(), People: int64(s.People()), BadRows: int64(len(bad))}
	for _, b := range bad[:min(badShown, len(bad))] {
		out.Bad = append(out.Bad, intake.BadRow{Row: int64(b.Row), Field: b.Field, Rule: b.Rule, Detail: b.Detail})
	}
	manifest, err := d.putBlocks(ctx, s)
	if err != nil {
		return out, dispatcher.Refusal(err)
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return out, err
	}
	digest := sha256.Sum256(answer)
	now := time.Now().UTC()
	done, err := d.store.SetSnapshot(ctx, dispatcher.Act{
		User: c.User, Key: key, Digest: hex.EncodeToString(digest[:]), Answer: answer,
		Entry: dispatcher.Entry{
			At: now, User: c.User, Role: c.Role.String(), Act: "directory.import", Subject: s.ID(),
			Detail: fmt.Sprintf("%d people, %d rows left out", out.People, out.BadRows),
		},
		Puts: []dispatcher.Put{{Table: tableImports, Field: s.ID(), Value: []byte(now.Format(time.RFC3339))}},
	}, s.ID(), manifest)
	if err != nil {
		return out, dispatcher.Refusal(err)
	}
	// A repeat changes nothing, and a newer directory may have been imported since.
	if !done.Repeated {
		d.take(s)
	}
	return out, nil
}

// putBlocks stores the blocks of a snapshot and answers its manifest.
func (d *directory) putBlocks(ctx context.Context, s *geofence.Snapshot) (manifest []byte, err error) {
	var encoding error
	err = d.store.PutBlobs(ctx, func(yield func([32]byte, []byte) bool) {
		manifest, encoding = s.Encode(func(hash [32]byte, data []byte) error {
			if !yield(hash, data) {
				return errStopped
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return manifest, encoding
}

// Stats says what the newest snapshot holds.
func (d *directory) Stats(ctx context.Context) (intake.Stats, error) {
	d.mu.Lock()
	s := d.newest
	d.mu.Unlock()
	if s == nil {
		return intake.Stats{}, warning.Refuse(warning.ReasonNotFound, "no directory yet: import one with `tocsin directory import FILE`")
	}
	times, err := d.store.Table(ctx, tableImports)
	if err != nil {
		return intake.Stats{}, dispatcher.Refusal(err)
	}
	at, err := time.Parse(time.RFC3339, string(times[s.ID()]))
	if err != nil {
		return intake.Stats{}, fmt.Errorf("time of the import of %s: %w", s.ID(), err)
	}
	st := s.Stats()
	out := intake.Stats{
		Snapshot: s.ID(), People: st.People, Addressable: st.Addressable, OptedOut: st.OptedOut, NoAddress: st.NoAddress,
		Responsible: st.Responsible, ImportedAt: at, Edition: st.Edition,
	}
	for _, u := range st.Units {
		out.Units = append(out.Units, intake.Unit{Code: fmt.Sprintf("%06d", u.Code), Name: u.Name, People: u.People})
	}
	return out, nil
}

// geoJSON reads a drawn area; its faults name field.
func geoJSON(field string, text []byte) (warning.Area, error) {
	parts, err := geofence.ParseGeoJSON(text)
	var e *warning.Error
	if errors.As(err, &e) {
		for i, v := range e.Violations {
			e.Violations[i].Field = field + strings.TrimPrefix(v.Field, "geojson")
		}
	}
	if err != nil {
		return warning.Area{}, err
	}
	return warning.Area{Polygons: parts, CRS: "wgs84"}, nil
}
