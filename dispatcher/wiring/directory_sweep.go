package wiring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/dispatcher"
	"tocsin/geofence"
)

// What nothing needs is dropped in two steps, so that no plan can ever name what is gone. A snapshot that is not the
// newest and that no plan names is retired first: the store refuses plans that name it from then on. Some time later, when
// the plans are looked at again and none names it, it is dropped with the blocks that no other snapshot has. Both while
// this process alone may write the directory, so that nobody makes a snapshot of blocks that are being dropped.
const (
	sweepEvery = 15 * time.Second
	// retireAfter leaves a snapshot to those who resolve areas over it and have not stored their plan yet.
	retireAfter = time.Minute
	// dropAfter is how long a store may take to carry out a plan that it did not refuse.
	dropAfter = 30 * time.Second
	// retiredKept is how long it is remembered that a snapshot was retired.
	retiredKept = 7 * 24 * time.Hour
)

// sweep retires and drops what is not needed at now.
func (d *directory) sweep(ctx context.Context, now time.Time) error {
	d.forget()
	ids, err := d.store.Snapshots(ctx)
	if err != nil || len(ids) < 2 {
		return err
	}
	return d.write(ctx, func(ctx context.Context, w dispatcher.DirectoryWriter) error {
		s, err := d.survey(ctx, now)
		if err != nil {
			return err
		}
		if err := d.retire(ctx, s, now); err != nil {
			return err
		}
		return d.drop(ctx, w, s)
	})
}

// survey is what there is and who needs it.
type survey struct {
	ids           []string
	made, retired map[string]time.Time
	needed        map[string]bool
	ripe          []string // to drop now
}

func (d *directory) survey(ctx context.Context, now time.Time) (s survey, err error) {
	if s.ids, err = d.store.Snapshots(ctx); err != nil {
		return s, err
	}
	if s.made, err = d.times(ctx, dispatcher.TableImports); err != nil {
		return s, err
	}
	if s.retired, err = d.times(ctx, dispatcher.TableRetired); err != nil {
		return s, err
	}
	// The plans are read after the list of the retired: no plan that is stored from now on names one of them.
	if s.needed, err = d.named(ctx); err != nil {
		return s, err
	}
	newest, err := d.store.Newest(ctx)
	s.needed[newest] = true
	for _, id := range s.ids {
		if at, is := s.retired[id]; is && !s.needed[id] && now.Sub(at) >= dropAfter {
			s.ripe = append(s.ripe, id)
		}
	}
	return s, err
}

func (d *directory) times(ctx context.Context, table string) (map[string]time.Time, error) {
	all, err := d.store.Table(ctx, table)
	if err != nil {
		return nil, err
	}
	out := make(map[string]time.Time, len(all))
	for field, value := range all {
		if out[field], err = time.Parse(time.RFC3339, string(value)); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
	}
	return out, nil
}

// named is the snapshots that plans name which are not archived: an erased person's number is gone from the store after that.
// Those that are archived stay so, and are looked at once.
func (d *directory) named(ctx context.Context) (map[string]bool, error) {
	all, err := d.store.Standing(ctx, nil)
	if err != nil {
		return nil, err
	}
	out, archived := map[string]bool{}, map[string]bool{}
	for i := range all {
		if archived[all[i].ID] = d.archived[all[i].ID]; archived[all[i].ID] {
			continue
		}
		plan, _, err := d.store.PlanOf(ctx, all[i].ID)
		if errors.Is(err, dispatcher.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if plan.Archived != nil {
			archived[all[i].ID] = true
			continue
		}
		out[plan.Snapshot] = true
		for _, s := range plan.Strands {
			out[s.Snapshot] = true
		}
	}
	d.archived = archived
	return out, nil
}

// retire marks what nothing names, and forgets old marks, and those of what a plan names that came in between.
func (d *directory) retire(ctx context.Context, s survey, now time.Time) error {
	var puts []dispatcher.Put
	for _, id := range s.ids {
		if _, is := s.retired[id]; !is && !s.needed[id] && now.Sub(s.made[id]) >= retireAfter {
			puts = append(puts, dispatcher.Put{Table: dispatcher.TableRetired, Field: id, Value: []byte(now.UTC().Format(time.RFC3339))})
		}
	}
	for id, at := range s.retired {
		if s.needed[id] {
			puts = append(puts, dispatcher.Put{Table: dispatcher.TableRetired, Field: id})
		} else if now.Sub(at) >= retiredKept && !slices.Contains(s.ids, id) {
			puts = append(puts, dispatcher.Put{Table: dispatcher.TableRetired, Field: id}, dispatcher.Put{Table: dispatcher.TableImports, Field: id})
		}
	}
	if len(puts) == 0 {
		return nil
	}
	_, err := d.store.Do(ctx, dispatcher.Act{Puts: puts})
	return err
}

// drop removes the snapshots that are ripe, each with the blocks that no other has.
func (d *directory) drop(ctx context.Context, w dispatcher.DirectoryWriter, s survey) error {
	if len(s.ripe) == 0 {
		return nil
	}
	kept := map[[32]byte]bool{}
	for _, id := range s.ids {
		if slices.Contains(s.ripe, id) {
			continue
		}
		hashes, err := d.blocksOf(ctx, id)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			kept[h] = true
		}
	}
	for _, id := range s.ripe {
		hashes, err := d.blocksOf(ctx, id)
		if err != nil {
			return err
		}
		if err := w.DropSnapshot(ctx, id, slices.DeleteFunc(hashes, func(h [32]byte) bool { return kept[h] })); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) blocksOf(ctx context.Context, id string) ([][32]byte, error) {
	manifest, err := d.store.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	return geofence.BlobsOfRevision(manifest)
}
