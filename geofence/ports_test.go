package geofence_test

import (
	"runtime"
	"testing"

	"tocsin/dispatcher"
	"tocsin/geofence"
)

// The engine declares what it needs of a directory; a revision is that.
var _ dispatcher.Snapshot = (*geofence.Revision)(nil)

func TestMemoryOfASnapshot(t *testing.T) {
	const people = 200_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the first may leave what finalizers hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	geofence.Editions()
	before := heap()
	s := build(t, synth(t, people, 1))
	perPerson := float64(heap()-before) / people
	runtime.KeepAlive(s)
	if t.Logf("%.1f bytes a person", perPerson); perPerson > 34 {
		t.Errorf("a person costs %.1f bytes of memory", perPerson)
	}
}
