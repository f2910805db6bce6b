package carrierlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func submitLine(t *rapid.T) Line {
	return Line{
		Event: Submit, Time: rapid.Int64Range(0, 1<<62).Draw(t, "time"), Link: rapid.IntRange(0, 65535).Draw(t, "link"),
		To: rapid.Uint64Range(1, 999_999_999_999_999).Draw(t, "to"), Ref: rapid.IntRange(0, 65535).Draw(t, "ref"),
		Total: rapid.IntRange(1, 255).Draw(t, "total"), Seq: rapid.IntRange(1, 255).Draw(t, "seq"), Text: rapid.IntRange(1, 1<<20).Draw(t, "text"),
		Until: rapid.Int64Range(0, 1<<40).Draw(t, "until"), Status: rapid.IntRange(-1, 255).Draw(t, "status"),
		ID: IDText(rapid.StringMatching(`[0-9A-Z]{0,20}`).Draw(t, "id")),
	}
}

func receiptLine(t *rapid.T) Line {
	ids := rapid.SliceOfN(rapid.StringMatching(`[0-9A-Z]{1,20}`), 1, 5).Draw(t, "ids")
	return Line{
		Event: Receipt, Time: rapid.Int64Range(0, 1<<62).Draw(t, "time"), Link: rapid.IntRange(1, 9).Draw(t, "link"),
		State: rapid.SampledFrom([]string{"DELIVRD", "UNDELIV", "ENROUTE"}).Draw(t, "state"), Status: rapid.IntRange(-1, 255).Draw(t, "status"),
		IDs: IDText(strings.Join(ids, " ")),
	}
}

func encode(l *Line) []byte {
	switch l.Event {
	case Submit:
		return AppendSubmit(nil, AppendSubmitHead(nil, l.Time, l.Link), l)
	case Receipt:
		b := AppendReceipts(nil, l.Time, l.Link, l.State, l.Status)
		return CloseReceipts(append(append(b, l.IDs...), ' '))
	}
	return Append(nil, l)
}

// TestLinesComeBack: what is written by hand is JSON, and both ways of reading give the same line.
func TestLinesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Custom(func(t *rapid.T) Line {
			if rapid.Bool().Draw(t, "submit") {
				return submitLine(t)
			}
			return receiptLine(t)
		}).Draw(t, "line")
		b := encode(&want)
		var fast, slow Line
		if !fast.parseFast(bytes.TrimSuffix(b, []byte("\n"))) {
			t.Fatalf("our own order is not read fast: %s", b)
		}
		if err := json.Unmarshal(b, &slow); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		alike := cmp.Transformer("text", func(x IDText) string { return string(x) })
		if d := cmp.Diff(want, fast, alike); d != "" {
			t.Fatalf("%s: %s", b, d)
		}
		if d := cmp.Diff(want, slow, alike); d != "" {
			t.Fatalf("%s: %s", b, d)
		}
	})
}

func TestOtherOrdersAreReadToo(t *testing.T) {
	r := NewReader(strings.NewReader(`{"to":99912345678,"e":"submit","id":"A","t":5,"n":1,"i":1,"x":1}` + "\n"))
	var l Line
	if err := r.Next(&l); err != nil || l.To != 99912345678 || l.Time != 5 || string(l.ID) != "A" || !l.Accepted() {
		t.Fatalf("%+v %v", l, err)
	}
	if err := r.Next(&l); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestStrangeLinesAreRefusedByNumber(t *testing.T) {
	good := string(encode(&Line{Event: Stop, Time: 1}))
	for _, bad := range []string{
		`{"e":"submit","t":1,"l":1,"to":}`, `{"e":"what","t":1}`, `{"e":"stop","t":1,"colour":1}`, `{"e":"stop"} {}`, ``, `[]`,
		`{"e":"start","t":1,"version":2}`, `{"e":"submit","t":99999999999999999999,"l":1}`,
	} {
		r := NewReader(strings.NewReader(good + bad + "\n"))
		var l Line
		if err := r.Next(&l); err != nil {
			t.Fatal(err)
		}
		if err := r.Next(&l); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestCutLastLineIsSaid(t *testing.T) {
	whole := append(encode(&Line{Event: Stop, Time: 1}), encode(&Line{Event: Stop, Time: 2})...)
	first := bytes.IndexByte(whole, '\n') + 1
	for n := first + 1; n < len(whole); n++ {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(whole[:n])))
		var l Line
		if err := r.Next(&l); err != nil {
			t.Fatal(err)
		}
		if err := r.Next(&l); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestWriterCutsWhatAKillLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	line := encode(&Line{Event: Stop, Time: 1})
	if err := os.WriteFile(path, append(line, `{"e":"subm`...), 0o600); err != nil {
		t.Fatal(err)
	}
	w, cut, err := Open(path)
	if err != nil || cut != 10 {
		t.Fatal(cut, err)
	}
	w.Append(line)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, append(line, line...)) {
		t.Fatalf("%q %v", got, err)
	}
}

func TestLinesOfManyWritersAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 3000
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for k := range each {
				w.Append(encode(&Line{Event: Bind, Link: i + 1, Time: int64(k), System: strings.Repeat("x", k%300)}))
			}
		})
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Close() == nil {
		t.Fatal("closed twice without a word")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	next := map[int]int64{}
	r := NewReader(f)
	var l Line
	for {
		if err = r.Next(&l); err != nil {
			break
		}
		if l.Time != next[l.Link] {
			t.Fatalf("link %d: line %d after %d", l.Link, l.Time, next[l.Link])
		}
		next[l.Link]++
	}
	if !errors.Is(err, io.EOF) || r.Number() != writers*each {
		t.Fatal(r.Number(), err)
	}
}

func TestAFileThatTakesNoMoreIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil { // what a file does that is no longer there
		t.Fatal(err)
	}
	w.Append(encode(&Line{Event: Stop}))
	<-w.Failed
	if err := w.Close(); err == nil {
		t.Fatal("no error")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"e":"submit","t":1,"l":1,"to":99912345678,"ref":1,"n":2,"i":1,"x":1,"until":0,"st":0,"id":"A"}` + "\n"))
	f.Add([]byte(`{"e":"receipt","t":1,"l":1,"state":"DELIVRD","st":0,"ids":"A B"}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for one := range bytes.SplitSeq(b, []byte("\n")) {
			var fast, slow Line // what is read fast is what encoding/json reads
			if fast.parseFast(one) {
				if err := json.Unmarshal(one, &slow); err != nil {
					t.Fatalf("%s: read fast, and json says %v", one, err)
				}
				if fmt.Sprint(fast) != fmt.Sprint(slow) {
					t.Fatalf("%s: %v, json says %v", one, fast, slow)
				}
			}
		}
		r := NewReader(bytes.NewReader(b))
		var l Line
		for r.Next(&l) == nil {
		}
	})
}

func BenchmarkReader(b *testing.B) {
	l := Line{Event: Submit, Time: 1764020138123456789, Link: 3, To: 99912345678901, Ref: 17, Total: 2, Seq: 1, Text: 5, Until: 1764027338, ID: IDText("ABCDEFGHJKMNPQRSTVWX")}
	log := bytes.Repeat(encode(&l), 10000)
	b.SetBytes(int64(len(log) / 10000))
	n := 0
	var r *Reader
	for b.Loop() {
		if n%10000 == 0 {
			r = NewReader(bytes.NewReader(log))
		}
		n++
		if err := r.Next(&l); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
