package dispatcher

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

func stands(n int) [16]byte {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return [16]byte(sum[:])
}

// TestEverybodyIsInTheRoll as they were put in, nobody else is, and a damaged page is an error and nobody's fate.
func TestEverybodyIsInTheRoll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(0, 9_000).Draw(t, "people")
		fates := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fate {
			return fate{
				state:  warning.PersonState(rapid.IntRange(0, warning.PersonStates-1).Draw(t, "state")),
				reason: channels.Reason(rapid.IntRange(0, channels.Reasons-1).Draw(t, "reason")),
				handed: rapid.Uint64Range(0, 1<<22).Draw(t, "handed"), received: rapid.Uint64Range(0, 1<<22).Draw(t, "received"),
			}
		}), 1, 50).Draw(t, "fates")
		r := newRoll(int64(people))
		for i := range people {
			r.add(stands(i), fates[i%len(fates)])
		}
		for i := rapid.IntRange(0, 99).Draw(t, "first"); i < people+1000; i += 100 {
			f, ok, err := fateIn(r.pages[rollPage(int64(people), stands(i))], stands(i))
			if err != nil || ok != (i < people) || ok && f != fates[i%len(fates)] {
				t.Fatalf("person %d of %d: %+v, %v, %v", i, people, f, ok, err)
			}
		}
		page := r.pages[rapid.IntRange(0, len(r.pages)-1).Draw(t, "page")]
		cut := rapid.IntRange(0, len(page)).Draw(t, "cut")
		if _, ok, _ := fateIn(page[:cut], stands(people)); ok {
			t.Fatal("a stranger is on a page that is cut")
		}
	})
}
