package wiring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// townFile is one town of a district, a square that ends at a longitude.
func townFile(east float64) []byte {
	return fmt.Appendf(nil, `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"500154119","name":"铁桥镇"},
		"geometry":{"type":"Polygon","coordinates":[[[108.1,31.02],[%[1]g,31.02],[%[1]g,31.06],[108.1,31.06],[108.1,31.02]]]}}]}`, east)
}

func bring(ctx context.Context, e *editions, key, edition string, file []byte) (intake.Edition, error) {
	done, _, err := e.ImportEdition(ctx, engineer, key, intake.EditionFile{Edition: edition, CRS: "wgs84", Source: "survey", GeoJSON: file})
	return done, err
}

// TestOutlinesAreInForceEverywhereAndKept: an import reaches the other process, a warning's outlines stay what they were,
// and a process that starts later has both.
func TestOutlinesAreInForceEverywhereAndKept(t *testing.T) {
	r := newRealm(t)
	one, two := newEditions(r.store, zap.NewNop()), newEditions(r.store, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	var follower sync.WaitGroup
	follower.Go(func() { two.follow(ctx) })
	defer follower.Wait()
	defer cancel()
	pinned := func(e *editions) warning.Area {
		return e.atlas.Pin([]warning.Area{{Unit: "500154119"}}, time.Now())[0]
	}
	first, err := bring(t.Context(), one, "a", "2025-11", townFile(108.13))
	if err != nil || first.Towns != 1 || first.Districts != 0 || first.By != "eng" || pinned(one).Edition != first.ID {
		t.Fatal(first, err)
	}
	until(t, "the outlines at the other process", func() bool { return pinned(two).Edition == first.ID })
	was := pinned(two)
	if again, err := bring(t.Context(), two, "a", "2025-11", townFile(108.13)); err != nil || again.ID != first.ID || !again.At.Equal(first.At) {
		t.Errorf("the same key again: %v, %v", again, err)
	}
	if _, err := bring(t.Context(), two, "a", "2025-11", townFile(108.14)); warning.ReasonOf(err) != warning.ReasonExists {
		t.Errorf("the same key with another file: %v", err)
	}
	before := len(r.keys(t, ""))
	var refused *warning.Error
	if _, err := bring(t.Context(), one, "b", "2025-11", []byte(strings.ReplaceAll(string(townFile(108.13)), "500154119", "500101001"))); !errors.As(err, &refused) || refused.Violations[0].Rule != "outline.outside" {
		t.Errorf("a town far from its district: %v", err)
	}
	if len(r.keys(t, "")) != before || pinned(one).Edition != first.ID {
		t.Error("something of a refused file is kept")
	}
	second, err := bring(t.Context(), two, "c", "2025-11", townFile(108.2))
	if err != nil {
		t.Fatal(err)
	}
	if err := one.refresh(t.Context()); err != nil || pinned(one).Edition != second.ID {
		t.Errorf("%v: %s", err, pinned(one).Edition)
	}
	if list, err := one.Editions(t.Context(), "", 0); err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].Districts != 38 {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := one.Editions(t.Context(), "2025-11", 9); err != nil || len(list) != 1 || len(list[0].Units) != 1 || list[0].Units[0].Code != "500154119" || list[0].Units[0].Surface < 4e7 {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := one.Editions(t.Context(), "2025-11", 6); err != nil || len(list[0].Units) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := one.Editions(t.Context(), "2031", 0); warning.ReasonOf(err) != warning.ReasonNotFound {
		t.Error(err)
	}

	late := newEditions(r.store, zap.NewNop())
	if err := late.refresh(t.Context()); err != nil || pinned(late).Edition != second.ID {
		t.Fatal(err, pinned(late))
	}
	limits := geofence.DefaultLimits()
	limits.Atlas = late.atlas
	people, bad := geofence.Build(geofence.Columns{
		Number: []uint64{9991000000001, 9991000000002}, Lon: []int32{1081200000, 1081800000}, Lat: []int32{310400000, 310400000},
		Home: []uint32{500154, 500154}, Seen: []uint32{0, 0}, Language: []uint8{0, 0}, Duty: []uint8{0, 0}, Flags: []uint8{0, 0},
	})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	d := geofence.NewRevision(people.WithLimits(limits))
	for want, a := range map[int64]warning.Area{1: was, 2: pinned(late)} {
		if sel, err := d.Resolve([]warning.Area{a}, warning.Presence{}); err != nil || sel.People() != want {
			t.Errorf("%s: %d people, want %d: %v", a.Edition, sel.People(), want, err)
		}
	}
	acts, err := r.store.Entries(t.Context(), 1, 10)
	if err != nil || len(acts) != 2 || !strings.Contains(string(acts[0]), `"act":"area.import"`) || !strings.Contains(string(acts[0]), first.ID) {
		t.Errorf("%s, %v", acts, err)
	}
	// A store that does not answer is no reason to call an area wrong.
	deaf := geofence.NewAtlas(func(string) (*geofence.Outlines, error) { return nil, dispatcher.Refusal(errors.New("no answer")) })
	limits.Atlas = deaf
	if _, err := geofence.NewRevision(people.WithLimits(limits)).Resolve([]warning.Area{was}, warning.Presence{}); warning.ReasonOf(err) != warning.ReasonUnavailable {
		t.Errorf("%v", err)
	}
}

// TestImportedUnitsAreAskedOfTheEngine: by the newest edition that has them, and none that is shipped.
func TestImportedUnitsAreAskedOfTheEngine(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	api := pb.NewDirectoryServiceClient(as(t, dir, address, token))
	if units, err := ImportedUnits(t.Context(), api); err != nil || len(units) != 0 {
		t.Errorf("before any import: %v, %v", units, err)
	}
	for i, name := range []string{"旧名", "新名"} {
		stream, err := api.ImportEdition(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file := strings.ReplaceAll(string(townFile(108.13)), "铁桥镇", name)
		m := &pb.ImportEditionRequest{Key: name, Edition: fmt.Sprint(2024 + i), Crs: "wgs84", Chunk: []byte(file)}
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.CloseAndRecv(); err != nil {
			t.Fatal(err)
		}
	}
	if units, err := ImportedUnits(t.Context(), api); err != nil || len(units) != 1 || units[0].Code != "500154119" || units[0].Name != "新名" {
		t.Errorf("%v, %v", units, err)
	}
}
