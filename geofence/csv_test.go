package geofence

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestCSVInPieces: wherever a file is cut into pieces, and however it comes in, its rows and its faults are the same, each
// with its line.
func TestCSVInPieces(t *testing.T) {
	const good = "9991000000001,106.55,29.56,500103,29000000,zh-CN,public,"
	lines := []string{good, good + "opted_out", "", "\r", good + "\r", "x", strings.Repeat("x", maxLine), strings.Repeat("x", maxLine+1), strings.Repeat("y", 3000)}
	read := func(t *rapid.T, text string, size int, slowly bool) (c Columns, bad []BadRow) {
		from := iotest.HalfReader(strings.NewReader(text))
		if !slowly {
			from = strings.NewReader(text)
		}
		bad, err := readCSV(from, size, func(p Columns) error { c.Append(p); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return c, bad
	}
	rapid.Check(t, func(t *rapid.T) {
		text := CSVHeader
		for _, line := range rapid.SliceOfN(rapid.SampledFrom(lines), 0, 80).Draw(t, "lines") {
			text += "\n" + line
		}
		text += rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")
		whole, faults := read(t, text, csvPiece, false)
		pieces, same := read(t, text, rapid.IntRange(maxLine+2, 4000).Draw(t, "size"), true)
		if !reflect.DeepEqual(whole, pieces) || len(faults)+len(same) > 0 && !reflect.DeepEqual(faults, same) {
			t.Fatalf("%d rows and faults %v in one piece, %d and %v in several", whole.Len(), faults, pieces.Len(), same)
		}
		if all := strings.Count(strings.TrimSuffix(strings.TrimSuffix(text, "\r"), "\n"), "\n"); whole.Len()+len(faults) != all && !strings.HasSuffix(text, "\n\r") {
			t.Fatalf("%d rows and %d faults of %d lines", whole.Len(), len(faults), all)
		}
	})
}

// TestAFileThatBreaksOff: what cannot be read to its end is an error, and not a shorter directory.
func TestAFileThatBreaksOff(t *testing.T) {
	broken := errors.New("the disk is gone")
	row := []byte("9991000000001,106.55,29.56,500103,29000000,zh-CN,public,\n")
	for _, rows := range []int{0, 1, csvPiece / len(row), 3 * csvPiece / len(row)} {
		text := append([]byte(CSVHeader+"\n"), bytes.Repeat(row, rows)...)
		_, err := ReadCSV(&breaking{bytes.NewReader(text), broken}, func(Columns) error { return nil })
		if !errors.Is(err, broken) {
			t.Errorf("after %d rows: %v", rows, err)
		}
	}
}

// breaking is a reader whose end is an error.
type breaking struct {
	*bytes.Reader
	err error
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.Len() == 0 {
		return 0, b.err
	}
	return b.Reader.Read(p)
}
