package carrierlog

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// TestTheDocumentedLinesAreRead reads every example of docs/carrier-log.md, the frequent ones the fast way.
func TestTheDocumentedLinesAreRead(t *testing.T) {
	f, err := os.Open("../../docs/carrier-log.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[Event]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "{") {
			continue
		}
		r := NewReader(strings.NewReader(s.Text() + "\n"))
		var l, fast Line
		if err := r.Next(&l); err != nil {
			t.Errorf("%s: %v", s.Text(), err)
		}
		if err := r.Next(&l); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", s.Text(), err)
		}
		if r = NewReader(strings.NewReader(s.Text() + "\n")); r.Next(&l) == nil {
			seen[l.Event] = true
		}
		if (l.Event == Submit || l.Event == Receipt) && !fast.parseFast([]byte(s.Text())) {
			t.Errorf("%s: is not in the order that the writer writes", s.Text())
		}
	}
	for _, e := range []Event{Start, Bind, Unbind, Text, Submit, Receipt, Recall, Violation, NotSynthetic, Stop} {
		if !seen[e] {
			t.Errorf("%s is not documented", e)
		}
	}
}
