package geofence

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestReadPositions(t *testing.T) {
	text := "\uFEFF" + PositionsHeader + "\n9991000000001,106.5,29.5\n9991000000002,200,1\nx,1,2\n1,2\n\n9991000000003,-1.0000001,-90\n0,1,1\n9,1,1,1\n7,1,90.1\n8,1,2"
	var got []string
	bad, err := ReadPositions(strings.NewReader(text), func(number []uint64, lon, lat []int32) error {
		for i := range number {
			got = append(got, fmt.Sprint(number[i], lon[i], lat[i]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "[9991000000001 1065000000 295000000 9991000000003 -10000001 -900000000 8 10000000 20000000]"
	if fmt.Sprint(got) != want {
		t.Errorf("read %v, want %v", got, want)
	}
	rows := ""
	for _, b := range bad {
		rows += fmt.Sprint(b.Row, b.Rule, " ")
	}
	if want := "2position.coordinate 3position.number 4position.row 7position.number 8position.row 9position.coordinate "; rows != want {
		t.Errorf("left out %s, want %s", rows, want)
	}
}

// TestPositionsOfAFeedAreNotHeldBack: what has come in is passed on before the next comes.
func TestPositionsOfAFeedAreNotHeldBack(t *testing.T) {
	r, w := io.Pipe()
	got := make(chan uint64)
	go func() {
		_, err := ReadPositions(r, func(number []uint64, _, _ []int32) error {
			for _, n := range number {
				got <- n
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		close(got)
	}()
	for i := uint64(1); i < 5; i++ {
		if _, err := fmt.Fprintf(w, "%d,1,1\n", i); err != nil {
			t.Fatal(err)
		}
		if n := <-got; n != i {
			t.Errorf("%d came, want %d", n, i)
		}
	}
	_ = w.Close()
	if _, more := <-got; more {
		t.Error("something more came")
	}
}

func FuzzReadPositions(f *testing.F) {
	f.Add(PositionsHeader + "\n9991000000001,106.5,29.5\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ReadPositions(strings.NewReader(text), func(number []uint64, lon, lat []int32) error {
			for i := range number {
				if number[i] == 0 || !inRange(lon[i], lat[i]) {
					t.Errorf("%d at %d,%d is taken", number[i], lon[i], lat[i])
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
