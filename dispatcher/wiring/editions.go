package wiring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/redisstore"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// editions keeps the outlines that a deployment brings: their content in blobs, what is known of each import in
// TableEditions. Of each edition the newest import is in force; older ones stay, since warnings name them.
type editions struct {
	store *redisstore.Store
	log   *zap.Logger
	atlas *geofence.Atlas

	refreshing sync.Mutex

	mu    sync.Mutex // guards what follows
	force []kept     // as they were read last, the newest edition first
}

// kept is what is noted of an import.
type kept struct {
	ID        string    `json:"id"`
	Edition   string    `json:"edition"`
	Source    string    `json:"source,omitempty"`
	CRS       string    `json:"crs"` // of the file; outlines are kept in WGS-84
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Districts int       `json:"districts"`
	Towns     int       `json:"towns"`
	Pieces    []string  `json:"pieces"` // SHA-256 of each piece of the outlines' form, in hexadecimal
}

// pieceSize is what one blob holds.
const pieceSize = 256 << 10

// loadPatience is how long a warning's areas wait for outlines that this process does not have in memory yet.
const loadPatience = 5 * time.Second

func newEditions(store *redisstore.Store, log *zap.Logger) *editions {
	e := &editions{store: store, log: log}
	e.atlas = geofence.NewAtlas(func(id string) (*geofence.Outlines, error) {
		ctx, cancel := context.WithTimeout(context.Background(), loadPatience)
		defer cancel()
		return e.load(ctx, id)
	})
	return e
}

var _ intake.Editions = (*editions)(nil)

// read is every import that is noted.
func (e *editions) read(ctx context.Context) (map[string]kept, error) {
	table, err := e.store.Table(ctx, dispatcher.TableEditions)
	if err != nil {
		return nil, dispatcher.Refusal(err)
	}
	all := make(map[string]kept, len(table))
	for id, b := range table {
		var k kept
		if err := json.Unmarshal(b, &k); err != nil {
			return nil, fmt.Errorf("edition %s: %w", id, err)
		}
		all[id] = k
	}
	return all, nil
}

// load is the outlines with this id, or nil where none were imported.
func (e *editions) load(ctx context.Context, id string) (*geofence.Outlines, error) {
	all, err := e.read(ctx)
	if err != nil {
		return nil, err
	}
	k, ok := all[id]
	if !ok {
		return nil, nil
	}
	return e.fetch(ctx, k)
}

func (e *editions) fetch(ctx context.Context, k kept) (*geofence.Outlines, error) {
	hashes := make([][32]byte, len(k.Pieces))
	for i, p := range k.Pieces {
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != len(hashes[i]) {
			return nil, fmt.Errorf("edition %s: %q is no hash", k.ID, p)
		}
		hashes[i] = [32]byte(b)
	}
	pieces := make([][]byte, len(hashes))
	err := e.store.Blobs(ctx, hashes, func(i int, data []byte) error {
		pieces[i] = slices.Clone(data)
		return nil
	})
	if err != nil {
		return nil, dispatcher.Refusal(fmt.Errorf("edition %s: %w", k.ID, err))
	}
	return geofence.LoadOutlines(k.ID, slices.Concat(pieces...))
}

// refresh puts in force what the store says, which another process may have imported.
func (e *editions) refresh(ctx context.Context) error {
	e.refreshing.Lock() // what was read earlier is not put in force later
	defer e.refreshing.Unlock()
	all, err := e.read(ctx)
	if err != nil {
		return err
	}
	newest := map[string]kept{}
	for _, k := range all {
		if n, ok := newest[k.Edition]; !ok || k.At.After(n.At) {
			newest[k.Edition] = k
		}
	}
	var force []*geofence.Outlines
	for _, k := range newest {
		o, err := e.atlas.Get(k.ID)
		if err != nil {
			return err
		}
		if o != nil {
			force = append(force, o)
		}
	}
	e.atlas.Take(force)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.force = e.force[:0:0]
	for _, o := range e.atlas.InForce() {
		e.force = append(e.force, newest[o.Edition])
	}
	return nil
}

// follow keeps the editions up to date until ctx ends.
func (e *editions) follow(ctx context.Context) {
	each(ctx, directoryEvery, func() {
		if err := e.refresh(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("the outlines of units cannot be read; those known stay in force", zap.Error(err))
		}
	})
}

// editionAnswer is what the same key gets again.
type editionAnswer struct {
	Kept    kept
	Remarks []warning.Violation
}

// ImportEdition checks a file, stores its outlines, and puts them in force in one act.
func (e *editions) ImportEdition(ctx context.Context, c dispatcher.Caller, key string, f intake.EditionFile) (intake.Edition, []warning.Violation, error) {
	asked, err := json.Marshal([]any{"area.import", f.Edition, f.CRS, f.Source, digestOf(f.GeoJSON)})
	if err != nil {
		return intake.Edition{}, nil, err
	}
	digest := hex.EncodeToString(digestOf(asked))
	answer, done, err := e.store.Answered(ctx, c.User, key, digest)
	if err != nil {
		return intake.Edition{}, nil, dispatcher.Refusal(err)
	}
	if !done {
		if answer, err = e.bring(ctx, c, key, digest, f); err != nil {
			return intake.Edition{}, nil, err
		}
	}
	var a editionAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		return intake.Edition{}, nil, err
	}
	if err := e.refresh(ctx); err != nil {
		return intake.Edition{}, nil, err
	}
	return a.Kept.shown(), a.Remarks, nil
}

func (e *editions) bring(ctx context.Context, c dispatcher.Caller, key, digest string, f intake.EditionFile) ([]byte, error) {
	o, remarks, err := geofence.Survey(f.Edition, f.GeoJSON, f.CRS, e.atlas)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	k := noted(o, f)
	k.At, k.By = now, c.User
	before, err := e.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range before { // the newest is in force, also where another process's clock is ahead
		if b.Edition == k.Edition && !k.At.After(b.At) {
			k.At = b.At.Add(time.Millisecond)
		}
	}
	pieces := slices.Collect(slices.Chunk(o.Form(), pieceSize))
	for _, p := range pieces {
		k.Pieces = append(k.Pieces, hex.EncodeToString(digestOf(p)))
	}
	err = e.store.PutBlobs(ctx, len(pieces), func(b []byte, i int) ([32]byte, []byte) {
		return sha256.Sum256(pieces[i]), append(b, pieces[i]...)
	})
	if err != nil {
		return nil, dispatcher.Refusal(err)
	}
	answer, err := json.Marshal(editionAnswer{k, remarks})
	if err != nil {
		return nil, err
	}
	note, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	told := fmt.Sprintf("%d districts, %d towns, %d remarks; file %x in %s", k.Districts, k.Towns, len(remarks), digestOf(f.GeoJSON)[:8], f.CRS)
	if f.Source != "" {
		told += " from " + f.Source
	}
	did, err := e.store.Do(ctx, dispatcher.Act{
		User: c.User, Key: key, Digest: digest, Answer: answer,
		Entry: dispatcher.Entry{At: now, User: c.User, Role: c.Role.String(), Act: "area.import", Subject: k.ID, Detail: told},
		Puts:  []dispatcher.Put{{Table: dispatcher.TableEditions, Field: k.ID, Value: note}},
	})
	return did.Answer, dispatcher.Refusal(err)
}

// CheckEdition is what an engine without editions would say of a file, in a language, without keeping anything.
func CheckEdition(edition, crs, source string, geoJSON []byte, language string) (*pb.ImportEditionResponse, error) {
	f := intake.EditionFile{Edition: edition, CRS: crs, Source: source, GeoJSON: geoJSON}
	o, remarks, err := geofence.Survey(f.Edition, f.GeoJSON, f.CRS, nil)
	if err != nil {
		return nil, intake.InLanguage(intake.Refusal(err), language)
	}
	k := noted(o, f)
	return intake.EditionImported(k.shown(), remarks, language), nil
}

// ImportedUnits asks an engine for the units of the editions that were imported into it, each once, by the newest.
func ImportedUnits(ctx context.Context, api pb.DirectoryServiceClient) (units []geofence.OutlinedUnit, err error) {
	list, err := api.ListEditions(ctx, &pb.ListEditionsRequest{})
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, e := range list.GetEditions() {
		if e.GetImportedAt() == nil { // shipped
			continue
		}
		one, err := api.ListEditions(ctx, &pb.ListEditionsRequest{Edition: e.GetId()})
		if err != nil {
			return nil, err
		}
		for _, u := range one.GetEditions()[0].GetUnits() {
			if !known[u.GetCode()] {
				known[u.GetCode()] = true
				units = append(units, geofence.OutlinedUnit{Code: u.GetCode(), Name: u.GetName()})
			}
		}
	}
	return units, nil
}

// noted is what is known of the outlines of a file.
func noted(o *geofence.Outlines, f intake.EditionFile) kept {
	k := kept{ID: o.ID, Edition: o.Edition, Source: f.Source, CRS: f.CRS}
	for _, u := range o.Units() {
		if len(u.Code) == 6 {
			k.Districts++
		} else {
			k.Towns++
		}
	}
	return k
}

// Editions is those in force, the newest first.
func (e *editions) Editions(_ context.Context, edition string, digits int) ([]intake.Edition, error) {
	e.mu.Lock()
	force := slices.Clone(e.force)
	e.mu.Unlock()
	var out []intake.Edition
	for _, k := range force {
		if edition != "" && edition != k.Edition && edition != k.ID {
			continue
		}
		show := k.shown()
		if edition != "" {
			o, err := e.atlas.Get(k.ID)
			if err != nil {
				return nil, err
			}
			show.Units = unitsOf(o.Units(), digits)
		}
		out = append(out, show)
	}
	for _, s := range geofence.Editions() {
		if edition != "" && edition != s.ID {
			continue
		}
		units := s.Outlined()
		show := intake.Edition{ID: s.ID, Edition: s.ID, Source: geofence.Source, CRS: "wgs84", Districts: len(units)}
		if edition != "" {
			show.Units = unitsOf(units, digits)
		}
		out = append(out, show)
	}
	if len(out) == 0 {
		return nil, warning.Refuse(warning.ReasonNotFound, "no edition %s is in force; tocsin area list shows those that are", edition)
	}
	return out, nil
}

func (k *kept) shown() intake.Edition {
	return intake.Edition{
		ID: k.ID, Edition: k.Edition, Source: k.Source, CRS: k.CRS, At: k.At, By: k.By, Districts: k.Districts, Towns: k.Towns,
	}
}

func unitsOf(units []geofence.OutlinedUnit, digits int) (out []intake.EditionUnit) {
	for _, u := range units {
		if digits == 0 || len(u.Code) == digits {
			out = append(out, intake.EditionUnit{Code: u.Code, Name: u.Name, Surface: u.Surface})
		}
	}
	return out
}
