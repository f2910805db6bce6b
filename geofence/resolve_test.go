package geofence

import (
	"runtime"
	"sort"
	"testing"

	"tocsin/warning"
)

// What is too much work is the same on every machine, and all cores together do no more than that.
func TestWorkDoesNotDependOnTheMachine(t *testing.T) {
	s := directory(t, 200_000)
	shapes, err := shapesOf([]warning.Area{spiked(2000)}, s.limits, s.edition)
	if err != nil {
		t.Fatal(err)
	}
	enough := func(work int) bool {
		l := s.limits
		l.Work = int64(work)
		_, err := s.WithLimits(l).choose(shapes)
		return err == nil
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := sort.Search(1<<30, enough)
	for _, cores := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(cores)
		if !enough(least) || enough(least-1) {
			t.Errorf("with %d cores, %d steps are not what is just enough", cores, least)
		}
	}
}
