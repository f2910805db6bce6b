package pdu

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestCancelComesBackAsItWas over random ids and sources, and is one whole PDU of the length it says.
func TestCancelComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := []byte(rapid.StringMatching(`[!-~]{1,64}`).Draw(t, "id"))
		source := []byte(rapid.StringMatching(`[0-9]{0,20}`).Draw(t, "source"))
		b := AppendCancel([]byte("before"), 7, id, TONUnknown, NPIISDN, source)[len("before"):]
		c := NewCutter()
		c.Filled(copy(c.Space(), b))
		p, ok := c.Next()
		if !ok || p.Command != CancelSM || p.Sequence != 7 || int(p.Length) != len(b) {
			t.Fatalf("%+v, whole: %v", p.Header, ok)
		}
		gotID, gotSource, err := ParseCancel(p.Body)
		if err != nil || !bytes.Equal(gotID, id) || !bytes.Equal(gotSource, source) {
			t.Fatalf("%q from %q, %v", gotID, gotSource, err)
		}
	})
}

func FuzzParseCancel(f *testing.F) {
	f.Add(AppendCancel(nil, 1, []byte("7Q2M"), 0, 1, []byte("10690000"))[HeaderSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		id, source, err := ParseCancel(body)
		if err == nil && len(id)+len(source) > len(body) {
			t.Fatalf("%q and %q of %d octets", id, source, len(body))
		}
	})
}
