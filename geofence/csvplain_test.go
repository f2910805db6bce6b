package geofence

import (
	"testing"

	"pgregory.net/rapid"
)

// TestAPlainRowIsTheSameRow: whatever plainRow takes, parseRow takes too and reads as the same; and it takes every row that
// WriteCSV writes without a flag.
func TestAPlainRowIsTheSameRow(t *testing.T) {
	people, err := Synth(2000, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := makeColumns(1), makeColumns(1)
	same := func(t rapid.TB, line []byte) bool {
		taken := plainRow(line, &one, 0)
		if !taken {
			return false
		}
		if bad, is := parseRow(line, &two, 0); is {
			t.Fatalf("%q is taken, but %v", line, bad)
		}
		if one.person(0) != two.person(0) {
			t.Fatalf("%q is %+v, not %+v", line, one.person(0), two.person(0))
		}
		return true
	}
	for i := range people.Number {
		if line := appendRow(nil, &people, i); people.Flags[i] == 0 && !same(t, line[:len(line)-1]) {
			t.Fatalf("%q is not taken", line)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		line := appendRow(nil, &people, rapid.IntRange(0, people.Len()-1).Draw(t, "row"))
		line = line[:len(line)-1]
		for range rapid.IntRange(1, 3).Draw(t, "faults") {
			at := rapid.IntRange(0, len(line)-1).Draw(t, "at")
			char := rapid.SampledFrom([]byte("0159-.,+ enz")).Draw(t, "char")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				line[at] = char
			case 1:
				line = append(line[:at], append([]byte{char}, line[at:]...)...)
			case 2:
				line = append(line[:at], line[at+1:]...)
			}
		}
		same(t, line)
	})
}
