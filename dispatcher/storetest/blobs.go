package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"testing"

	"tocsin/dispatcher"
)

func blobs(t *testing.T, s Store) {
	ctx := t.Context()
	all := map[[32]byte][]byte{}
	var hashes [][32]byte
	for n := range 200 {
		b := bytes.Repeat([]byte{byte(n)}, n*17)
		all[sha256.Sum256(b)] = b
		hashes = append(hashes, sha256.Sum256(b))
	}
	no(t, s.PutBlobs(ctx, maps.All(all)))
	no(t, s.PutBlobs(ctx, maps.All(map[[32]byte][]byte{})))
	no(t, s.PutBlobs(ctx, maps.All(map[[32]byte][]byte{hashes[3]: all[hashes[3]]}))) // again
	slices.Reverse(hashes)
	n := 0
	no(t, s.Blobs(ctx, hashes, func(i int, data []byte) error {
		if i != n || !bytes.Equal(data, all[hashes[i]]) {
			t.Fatalf("blob %d came as the %d-th, or is not what was stored", i, n)
		}
		n++
		return nil
	}))
	if n != len(hashes) {
		t.Fatalf("%d blobs, wanted %d", n, len(hashes))
	}
	stop := errors.New("enough")
	if err := s.Blobs(ctx, hashes, func(int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatal("the error of the caller became", err)
	}
	_, err := s.Blob(ctx, [32]byte{1})
	must(t, err, dispatcher.ErrNotFound)
	must(t, s.Blobs(ctx, [][32]byte{hashes[0], {1}}, func(int, []byte) error { return nil }), dispatcher.ErrNotFound)

	ids, newest, err := s.Snapshots(ctx)
	if len(ids) != 0 || newest != "" || err != nil {
		t.Fatal("snapshots before the first:", ids, newest, err)
	}
	_, err = s.Manifest(ctx, "one")
	must(t, err, dispatcher.ErrNotFound)
	act := dispatcher.Act{User: "wu", Key: "k", Digest: "d", Answer: []byte("a"), Entry: entry("directory.import")}
	done, err := s.SetSnapshot(ctx, act, "one", []byte("manifest one"))
	no(t, err)
	if done.Number != 1 {
		t.Fatalf("the act has number %d, wanted 1", done.Number)
	}
	_, err = s.SetSnapshot(ctx, dispatcher.Act{}, "two", []byte("manifest two"))
	no(t, err)
	done, err = s.SetSnapshot(ctx, act, "one", []byte("manifest one")) // the answer was lost: two stays the newest
	if !done.Repeated || err != nil {
		t.Fatal("repeated:", done, err)
	}
	for _, bad := range []string{"", "newest"} {
		_, err = s.SetSnapshot(ctx, dispatcher.Act{}, bad, nil)
		must(t, err, nil)
		_, err = s.Manifest(ctx, bad)
		must(t, err, dispatcher.ErrNotFound)
	}
	ids, newest, err = s.Snapshots(ctx)
	no(t, err)
	slices.Sort(ids)
	same(t, "the snapshots", ids, []string{"one", "two"})
	same(t, "the newest", newest, "two")
	m, err := s.Manifest(ctx, "one")
	no(t, err)
	same(t, "the manifest", string(m), "manifest one")
}
