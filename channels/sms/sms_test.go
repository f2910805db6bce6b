package sms

import (
	"strings"
	"testing"
	"unicode/utf8"

	oracle "github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/ucs2"
	"pgregory.net/rapid"

	"tocsin/warning"
)

func TestSegments(t *testing.T) {
	tests := []struct {
		name   string
		text   string
		coding Coding
		want   []int // characters of each segment
		rule   string
	}{
		{name: "one letter", text: "a", coding: GSM7, want: []int{1}},
		{name: "160 fit alone", text: strings.Repeat("a", 160), coding: GSM7, want: []int{160}},
		{name: "161 need two", text: strings.Repeat("a", 161), coding: GSM7, want: []int{153, 8}},
		{name: "an escape pair counts twice", text: strings.Repeat("€", 80), coding: GSM7, want: []int{80}},
		{name: "an escape pair is not cut", text: strings.Repeat("a", 152) + "€" + strings.Repeat("b", 10), coding: GSM7, want: []int{152, 11}},
		{name: "70 fit alone", text: strings.Repeat("雨", 70), coding: UCS2, want: []int{70}},
		{name: "71 need two", text: strings.Repeat("雨", 71), coding: UCS2, want: []int{67, 4}},
		{name: "a surrogate pair is not cut", text: strings.Repeat("雨", 66) + "😀" + strings.Repeat("雨", 5), coding: UCS2, want: []int{66, 6}},
		{name: "35 pairs fit alone", text: strings.Repeat("😀", 35), coding: UCS2, want: []int{35}},
		{name: "one foreign letter moves all", text: strings.Repeat("a", 70) + "ё", coding: UCS2, want: []int{67, 4}},
		{name: "eight", text: strings.Repeat("雨", 8*67), coding: UCS2, want: []int{67, 67, 67, 67, 67, 67, 67, 67}},
		{name: "nine are refused", text: strings.Repeat("雨", 8*67+1), rule: "text.length"},
		{name: "nothing is refused", text: "", rule: "text.empty"},
		{name: "a broken byte is refused", text: "a\xff", rule: "text.utf8"},
		{name: "an encoded surrogate is refused", text: "\xed\xa0\x80", rule: "text.utf8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pieces, coding, err := Segments(tt.text)
			if tt.rule != "" {
				if warning.ReasonOf(err) != warning.ReasonInvalid || !strings.Contains(err.Error(), tt.rule) {
					t.Fatalf("error %v, want rule %s", err, tt.rule)
				}
				return
			}
			if err != nil || coding != tt.coding || len(pieces) != len(tt.want) {
				t.Fatalf("%d pieces in %v, error %v; want %d in %v", len(pieces), coding, err, len(tt.want), tt.coding)
			}
			for i, p := range pieces {
				if got := utf8.RuneCountInString(p); got != tt.want[i] {
					t.Errorf("segment %d has %d characters, want %d", i, got, tt.want[i])
				}
			}
		})
	}
}

// The alphabet is the oracle's alphabet, for every character there is.
func TestAlphabetAgainstOracle(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want, err := gsm7.Encode([]byte(string(r)))
		got, ok := septets[r]
		if r == rune(escape) { // the oracle passes a bare escape through; alone it is no character
			want, err = nil, gsm7.ErrInvalidUTF8(r)
		}
		if ok != (err == nil) || (ok && got != string(want)) {
			t.Fatalf("%U: codes % X (%v), oracle % X (%v)", r, got, ok, want, err)
		}
	}
}

func words() *rapid.Generator[string] {
	letters := rapid.OneOf(
		rapid.SampledFrom([]rune("abc XYZ0189@£€{}[]~^|\\\f\nÄß")),
		rapid.SampledFrom([]rune("暴雨红色预警，请立即转移。【演练】")),
		rapid.SampledFrom([]rune("😀𠮷🌊")),
		rapid.Rune(),
	)
	return rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune("abc Z09€{}\f\n")), 1, 1300, -1),
		rapid.StringOfN(letters, 1, 600, -1),
	)
}

func TestSegmentsKeepTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { check(t, words().Draw(t, "text")) })
}

func FuzzSegments(f *testing.F) {
	for _, s := range []string{"", "a", "暴雨", strings.Repeat("€", 81), strings.Repeat("😀", 36), "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { check(t, text) })
}

// check holds for any text: refused, or cut into pieces that decode and join to the same text and fit their messages.
func check(t interface {
	Fatalf(string, ...any)
}, text string) {
	pieces, coding, err := Segments(text)
	if err != nil {
		return
	}
	alone, joined := coding.limits()
	limit := joined
	if len(pieces) == 1 {
		limit = alone
	}
	var back strings.Builder
	for i, p := range pieces {
		octets, err := coding.Append(nil, p)
		if err != nil {
			t.Fatalf("segment %d: %v", i, err)
		}
		units := len(octets)
		if coding == UCS2 {
			units /= 2
		}
		if units == 0 || units > limit {
			t.Fatalf("segment %d has %d units, limit %d", i, units, limit)
		}
		s, err := coding.Decode(octets)
		if err != nil {
			t.Fatalf("segment %d: %v", i, err)
		}
		back.WriteString(s)
		oracleAgrees(t, coding, p, octets)
	}
	if back.String() != text {
		t.Fatalf("the segments give %q, the text was %q", back.String(), text)
	}
}

func oracleAgrees(t interface {
	Fatalf(string, ...any)
}, coding Coding, text string, octets []byte) {
	want := ucs2.Encode([]rune(text))
	if coding == GSM7 {
		var err error
		if want, err = gsm7.Encode([]byte(text)); err != nil {
			t.Fatalf("oracle refuses %q: %v", text, err)
		}
	}
	if string(want) != string(octets) {
		t.Fatalf("octets % X, oracle % X", octets, want)
	}
}

// The cuts are the oracle's cuts: both fill a segment with as many whole characters as it holds.
func TestCutsAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := words().Draw(t, "text")
		pieces, coding, err := Segments(text)
		if err != nil || strings.ContainsRune(text, rune(escape)) { // the oracle passes a bare escape through as GSM 7-bit
			return
		}
		tpdus, err := oracle.Encode([]byte(text), oracle.AsSubmit)
		if err != nil {
			t.Fatalf("oracle: %v", err)
		}
		if len(tpdus) != len(pieces) {
			t.Fatalf("%d segments in %v, oracle %d", len(pieces), coding, len(tpdus))
		}
		for i := range tpdus {
			octets, err := coding.Append(nil, pieces[i])
			if err != nil {
				t.Fatalf("segment %d: %v", i, err)
			}
			if string(tpdus[i].UD) != string(octets) {
				t.Fatalf("segment %d is % X, oracle % X", i, octets, tpdus[i].UD)
			}
			if len(pieces) > 1 {
				h := Header(tpdus[i].UDH[0].Data[0], uint8(len(pieces)), uint8(i+1))
				if string(h[1:]) != string([]byte{tpdus[i].UDH[0].ID, byte(len(tpdus[i].UDH[0].Data))})+string(tpdus[i].UDH[0].Data) {
					t.Fatalf("header % X, oracle %v", h, tpdus[i].UDH)
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(GSM7), []byte("\x1b\x65"))
	f.Add(uint8(UCS2), []byte{0xd8, 0x3d, 0xde, 0x00})
	f.Fuzz(func(t *testing.T, coding uint8, octets []byte) {
		c := Coding(coding%2 + 1)
		text, err := c.Decode(octets)
		if err != nil {
			return
		}
		back, err := c.Append(nil, text)
		if err != nil || string(back) != string(octets) {
			t.Fatalf("% X decodes to %q, which is % X again (%v)", octets, text, back, err)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		coding Coding
		octets []byte
	}{
		"an escape at the end":   {GSM7, []byte{'a', 0x1B}},
		"an unknown extension":   {GSM7, []byte{0x1B, 'a'}},
		"an octet of eight bits": {GSM7, []byte{0x80}},
		"half a code unit":       {UCS2, []byte{0x4E}},
		"a lone high surrogate":  {UCS2, []byte{0xD8, 0x3D, 0x00, 0x61}},
		"a lone low surrogate":   {UCS2, []byte{0xDE, 0x00}},
	} {
		if s, err := tt.coding.Decode(tt.octets); err == nil {
			t.Errorf("%s decodes to %q", name, s)
		}
	}
}
