package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func blobs(t *testing.T, s Store) {
	ctx := t.Context()
	var all [][]byte
	for n := range 500 {
		all = append(all, bytes.Repeat([]byte{byte(n), byte(n >> 8)}, n*17))
	}
	hashes := put(t, s, all...)
	put(t, s)
	put(t, s, all[3])                                                                         // again
	no(t, s.PutBlobs(ctx, 1, func([]byte, int) ([32]byte, []byte) { return hashes[3], nil })) // stored already
	slices.Reverse(hashes)
	slices.Reverse(all)
	times := make([]atomic.Int32, len(all))
	no(t, s.Blobs(ctx, hashes, func(i int, data []byte) error {
		times[i].Add(1)
		if !bytes.Equal(data, all[i]) {
			return fmt.Errorf("blob %d is not what was stored", i)
		}
		return nil
	}))
	for i := range times {
		if n := times[i].Load(); n != 1 {
			t.Fatalf("blob %d came %d times", i, n)
		}
	}
	stop := errors.New("enough")
	if err := s.Blobs(ctx, hashes, func(int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatal("the error of the caller became", err)
	}
	_, err := s.Blob(ctx, [32]byte{1})
	must(t, err, dispatcher.ErrNotFound)
	must(t, s.Blobs(ctx, [][32]byte{hashes[0], {1}}, func(int, []byte) error { return nil }), dispatcher.ErrNotFound)
}

// put stores pieces and answers their hashes.
func put(t *testing.T, s Store, pieces ...[]byte) (hashes [][32]byte) {
	t.Helper()
	no(t, s.PutBlobs(t.Context(), len(pieces), func(b []byte, i int) ([32]byte, []byte) {
		return sha256.Sum256(pieces[i]), append(b, pieces[i]...)
	}))
	for _, p := range pieces {
		hashes = append(hashes, sha256.Sum256(p))
	}
	return hashes
}

// writing is the right to write the directory, or a failed test.
func writing(t *testing.T, s Store, token string) dispatcher.DirectoryWriter {
	t.Helper()
	w, err := s.BeginWriting(t.Context(), token, time.Minute)
	no(t, err)
	return w
}

// wantSnapshots checks which snapshots there are, and the newest.
func wantSnapshots(t *testing.T, s Store, newest string, want ...string) {
	t.Helper()
	ids, err := s.Snapshots(t.Context())
	no(t, err)
	same(t, "the snapshots", ids, want)
	got, err := s.Newest(t.Context())
	no(t, err)
	same(t, "the newest", got, newest)
}

func snapshots(t *testing.T, s Store) {
	ctx := t.Context()
	wantSnapshots(t, s, "")
	_, err := s.Manifest(ctx, "one")
	must(t, err, dispatcher.ErrNotFound)
	act := func(user, key, digest string) dispatcher.Act {
		return dispatcher.Act{User: user, Key: key, Digest: digest, Answer: []byte("a" + digest), Entry: entry("directory.import")}
	}
	w := writing(t, s, "token")
	done, err := w.SetSnapshot(ctx, dispatcher.NewSnapshot{
		ID: "one", Manifest: []byte("manifest one"), Acts: []dispatcher.Act{act("wu", "k", "d"), act("lin", "k", "e"), {}},
		Puts: []dispatcher.Put{{Table: "t", Field: "f", Value: []byte("v")}, {Table: "t", Field: "g", Value: []byte("w")}, {Table: "t", Field: "g"}},
	})
	no(t, err)
	if len(done) != 3 || done[0].Number != 1 || done[1].Number != 2 || done[2].Number != 0 || string(done[1].Answer) != "ae" {
		t.Fatalf("the acts got %+v", done)
	}
	answer, ok, err := s.Answered(ctx, "lin", "k", "e")
	no(t, err)
	if !ok || string(answer) != "ae" {
		t.Fatalf("a repeat gets %q", answer)
	}
	table, err := s.Table(ctx, "t")
	no(t, err)
	same(t, "the table", table, map[string][]byte{"f": []byte("v")})

	for name, c := range map[string]struct {
		next dispatcher.NewSnapshot
		kind error
	}{
		"without a base":              {dispatcher.NewSnapshot{ID: "two"}, dispatcher.ErrChanged},
		"with another base":           {dispatcher.NewSnapshot{ID: "two", Base: "zero"}, dispatcher.ErrChanged},
		"with an act of before":       {dispatcher.NewSnapshot{ID: "two", Base: "one", Acts: []dispatcher.Act{{}, act("wu", "k", "d")}}, dispatcher.ErrChanged},
		"with a key of other content": {dispatcher.NewSnapshot{ID: "two", Base: "one", Acts: []dispatcher.Act{act("wu", "new", "d"), act("wu", "k", "x")}}, dispatcher.ErrOtherUse},
		"without a name":              {dispatcher.NewSnapshot{Base: "one"}, nil},
		"of a reserved name":          {dispatcher.NewSnapshot{ID: "newest", Base: "one"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.SetSnapshot(ctx, c.next)
			must(t, err, c.kind)
			wantSnapshots(t, s, "one", "one")
		})
	}
	if _, ok, err := s.Answered(ctx, "wu", "new", "d"); ok || err != nil {
		t.Fatal("a refused snapshot left an act", err)
	}
	_, err = w.SetSnapshot(ctx, dispatcher.NewSnapshot{ID: "two", Base: "one", Manifest: []byte("manifest two")})
	no(t, err)
	wantSnapshots(t, s, "two", "one", "two")
	_, err = w.SetSnapshot(ctx, dispatcher.NewSnapshot{ID: "one", Base: "two", Manifest: []byte("manifest one")}) // back again
	no(t, err)
	wantSnapshots(t, s, "one", "one", "two")
	m, err := s.Manifest(ctx, "two")
	no(t, err)
	same(t, "the manifest", string(m), "manifest two")
	all, err := s.Entries(ctx, 1, 9)
	no(t, err)
	same(t, "entries", len(all), 2)
}

func writers(t *testing.T, s Store) {
	ctx := t.Context()
	first := writing(t, s, "first")
	_, err := s.BeginWriting(ctx, "second", time.Minute)
	must(t, err, dispatcher.ErrFenced)
	no(t, first.Renew(ctx, time.Minute))
	no(t, first.End(ctx))
	second := writing(t, s, "second")
	must(t, first.Renew(ctx, time.Minute), dispatcher.ErrFenced)
	must(t, first.End(ctx), dispatcher.ErrFenced)
	_, err = first.SetSnapshot(ctx, dispatcher.NewSnapshot{ID: "one"})
	must(t, err, dispatcher.ErrFenced)
	_, err = second.SetSnapshot(ctx, dispatcher.NewSnapshot{ID: "one"})
	no(t, err)
	must(t, first.DropSnapshot(ctx, "one", nil), dispatcher.ErrFenced)
}

func retired(t *testing.T, s Store) {
	ctx := t.Context()
	one, two := []byte("only in the first"), []byte("in both")
	hashes := put(t, s, one, two)
	h1, h2 := hashes[0], hashes[1]
	w := writing(t, s, "token")
	set := func(id, base string) {
		t.Helper()
		_, err := w.SetSnapshot(ctx, dispatcher.NewSnapshot{ID: id, Base: base, Manifest: []byte(id)})
		no(t, err)
	}
	retire := func(id string) {
		do(t, s, dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableRetired, Field: id, Value: []byte("now")}}})
	}
	set("snap", "")
	retire("snap")
	must(t, w.DropSnapshot(ctx, "snap", [][32]byte{h1}), dispatcher.ErrChanged) // the newest
	set("next", "snap")
	must(t, w.DropSnapshot(ctx, "next", nil), dispatcher.ErrChanged) // not retired

	do(t, s, dispatcher.Act{Warning: draft(1, warning.Released), ToPlan: true})
	_, err := s.PutPlan(ctx, 1, plan(1, 10, "a")) // it names snap
	must(t, err, dispatcher.ErrChanged)
	ids, err := s.ToPlan(ctx)
	no(t, err)
	same(t, "what is to plan", ids, []string{id(1)})

	no(t, w.DropSnapshot(ctx, "snap", [][32]byte{h1}))
	no(t, w.DropSnapshot(ctx, "snap", [][32]byte{h1})) // again, after a crash
	wantSnapshots(t, s, "next", "next")
	_, err = s.Manifest(ctx, "snap")
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.Blob(ctx, h1)
	must(t, err, dispatcher.ErrNotFound)
	_, err = s.Blob(ctx, h2)
	no(t, err)

	set("snap", "next") // made again: it is not retired any more
	_, err = s.PutPlan(ctx, 1, plan(1, 10, "a"))
	no(t, err)
	retire("next")
	more := plan(1, 10, "b")
	more.Parts, more.Strands[0].Snapshot = 2, "next" // the plan's own is not retired, and that of its people is
	_, err = s.PutPlan(ctx, 1, more)
	must(t, err, dispatcher.ErrChanged)
}
