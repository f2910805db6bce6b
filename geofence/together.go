package geofence

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// rowsTogether is how many rows are a piece of work of their own.
const rowsTogether = 1 << 16

// together calls do with every number below n, on all cores, and returns when all calls have.
func together(n int, do func(i int)) {
	togetherWith(n, func(i int, _ *struct{}) { do(i) })
}

// togetherWith is together with memory of each core's own, which begins as zeros and is used again and again.
func togetherWith[M any](n int, do func(i int, own *M)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			var own M
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i, &own)
			}
		})
	}
	wg.Wait()
}

// room is n items in the memory of own, which grows where it must; they hold what was there.
func room[T any](own *[]T, n int) []T {
	if cap(*own) < n {
		*own = make([]T, n)
	}
	return (*own)[:n]
}

// pieces is in how many pieces n rows are cut.
func pieces(n int) int { return (n + rowsTogether - 1) / rowsTogether }

// piece is the rows of piece p of n rows.
func piece(p, n int) (from, to int) { return p * rowsTogether, min((p+1)*rowsTogether, n) }

// noGroup leaves a row out.
const noGroup = math.MaxUint16

// grouped is what item says of each row below n, group by group and within a group in the order of the rows; ends is
// where each group ends. group and item are asked once for each row, side by side; there are fewer groups than noGroup.
func grouped[T any](n, groups int, group func(row int) uint16, item func(row int) T) (out []T, ends []int) {
	parts := runtime.GOMAXPROCS(0)
	of := make([]uint16, n)
	at := make([][]int, parts) // where the next row of each group of a part goes
	together(parts, func(p int) {
		at[p] = make([]int, groups)
		for row := n * p / parts; row < n*(p+1)/parts; row++ {
			if of[row] = group(row); of[row] != noGroup {
				at[p][of[row]]++
			}
		}
	})
	ends = make([]int, groups)
	sum := 0
	for g := range groups {
		for p := range at {
			at[p][g], sum = sum, sum+at[p][g]
		}
		ends[g] = sum
	}
	out = make([]T, sum)
	together(parts, func(p int) {
		for row := n * p / parts; row < n*(p+1)/parts; row++ {
			if g := of[row]; g != noGroup {
				out[at[p][g]] = item(row)
				at[p][g]++
			}
		}
	})
	return out, ends
}

// groupAt is where group g begins and ends.
func groupAt(ends []int, g int) (from, to int) {
	if g > 0 {
		from = ends[g-1]
	}
	return from, ends[g]
}
