package verify

import (
	"slices"
	"strings"
	"unicode/utf16"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// fallback is the language of those who named none, or one that the warning does not speak.
const fallback = "zh-CN"

// wordsFor is what a person of a language is to read: the language asked, else zh-CN, else any; in each the words for
// the channel before those for every channel. Empty when the warning has none.
func wordsFor(spec *tocsinv1.WarningSpec, kind tocsinv1.Type, channel tocsinv1.Channel, language string) string {
	for _, speaks := range []func(string) bool{
		func(l string) bool { return l == language },
		func(l string) bool { return l == fallback },
		func(string) bool { return true },
	} {
		for _, of := range []tocsinv1.Channel{channel, tocsinv1.Channel_CHANNEL_UNSPECIFIED} {
			for _, w := range spec.GetWords() {
				if w.GetKind() == kind && w.GetChannel() == of && speaks(w.GetLanguage()) {
					return w.GetText()
				}
			}
		}
	}
	return ""
}

// text is words as a phone shows them: flash is class 0 of 3GPP TS 23.038 4, shown at once and not kept.
type text struct {
	words string
	flash bool
}

// isFlash tells whether a data_coding says class 0.
func isFlash(coding int) bool { return coding == 0x10 || coding == 0x18 || coding == 0xF0 }

// The default alphabet of 3GPP TS 23.038 6.2.1 and what follows its escape (6.2.1.1).
const basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

func afterEscape(c byte) rune {
	switch c {
	case 0x0A:
		return '\f'
	case 0x14:
		return '^'
	case 0x28:
		return '{'
	case 0x29:
		return '}'
	case 0x2F:
		return '\\'
	case 0x3C:
		return '['
	case 0x3D:
		return '~'
	case 0x3E:
		return ']'
	case 0x40:
		return '|'
	case 0x65:
		return '€'
	}
	return '\uFFFD'
}

// read is the words of a segment. What cannot be read is U+FFFD, which no warning has.
func read(coding int, b []byte) string {
	switch {
	case coding == 8 || coding >= 0x18 && coding <= 0x1B:
		u := make([]uint16, (len(b)+1)/2)
		for i, c := range b {
			u[i/2] |= uint16(c) << (8 - 8*(i%2))
		}
		if len(b)%2 != 0 {
			return string(utf16.Decode(u)) + "\uFFFD"
		}
		return string(utf16.Decode(u))
	case coding == 0 || coding >= 0x10 && coding <= 0x13 || coding >= 0xF0 && coding <= 0xF3:
		alphabet := []rune(basic)
		out := make([]rune, 0, len(b))
		for i := 0; i < len(b); i++ {
			switch {
			case b[i] >= 0x80:
				out = append(out, '\uFFFD')
			case b[i] != 0x1B:
				out = append(out, alphabet[b[i]])
			case i+1 < len(b):
				i++
				out = append(out, afterEscape(b[i]))
			default:
				out = append(out, '\uFFFD')
			}
		}
		return string(out)
	case coding == 1 || coding == 3:
		out := make([]rune, len(b))
		for i, c := range b {
			out[i] = rune(c)
		}
		return string(out)
	}
	return "\uFFFD"
}

// library is the texts that are expected, and the segments that arrived. A set of texts has a number; 0 is the empty one.
type library struct {
	texts   []text
	number  map[text]int32
	bodies  []segment
	sets    [][]int32
	setNo   map[string]int32
	single  []int32          // the set of each text alone
	pieces  map[uint64]int32 // (body, seq, total) → the texts that it can be a piece of
	meets   map[uint64]int32 // (set, set) → set
	nodes   []node           // of the tree of segments that follow each other
	follows map[uint64]int32 // (node, body) → node
}

// node is a run of segments from the first one.
type node struct {
	text
	is int32 // the expected text that it is, whole; -1: none
}

func newLibrary() *library {
	l := &library{
		number: map[text]int32{}, setNo: map[string]int32{}, pieces: map[uint64]int32{}, meets: map[uint64]int32{},
		nodes: []node{{is: -1}}, follows: map[uint64]int32{},
	}
	l.set(nil)
	return l
}

// text is the number of an expected text.
func (l *library) text(t text) int32 {
	n, ok := l.number[t]
	if !ok {
		n = int32(len(l.texts))
		l.texts = append(l.texts, t)
		l.number[t] = n
	}
	return n
}

func (l *library) set(texts []int32) int32 {
	var key strings.Builder
	for _, t := range texts {
		key.Write([]byte{byte(t), byte(t >> 8), byte(t >> 16), byte(t >> 24)})
	}
	n, ok := l.setNo[key.String()]
	if !ok {
		n = int32(len(l.sets))
		l.sets = append(l.sets, texts)
		l.setNo[key.String()] = n
	}
	return n
}

// piece is the texts that a segment can be a piece of: their beginning, end or middle.
func (l *library) piece(a *arrival) int32 {
	key := uint64(a.body)<<16 | uint64(a.seq)<<8 | uint64(a.total)
	n, ok := l.pieces[key]
	if !ok {
		var in []int32
		body := l.bodies[a.body]
		for i, t := range l.texts {
			var fits bool
			switch {
			case t.flash != body.flash:
			case a.total == 1:
				fits = t == body.text
			case a.seq == 1:
				fits = strings.HasPrefix(t.words, body.words)
			case a.seq == a.total:
				fits = strings.HasSuffix(t.words, body.words)
			default:
				fits = strings.Contains(t.words, body.words)
			}
			if fits {
				in = append(in, int32(i))
			}
		}
		n = l.set(in)
		l.pieces[key] = n
	}
	return n
}

// meet is the texts that are in both sets.
func (l *library) meet(a, b int32) int32 {
	if a == b {
		return a
	}
	key := uint64(a)<<32 | uint64(b)
	n, ok := l.meets[key]
	if !ok {
		var both []int32
		for _, t := range l.sets[a] {
			if slices.Contains(l.sets[b], t) {
				both = append(both, t)
			}
		}
		n = l.set(both)
		l.meets[key] = n
	}
	return n
}

// whole is the expected text that the segments make, or -1.
func (l *library) whole(parts []int32) int32 {
	at := int32(0)
	for _, body := range parts {
		key := uint64(at)<<32 | uint64(body)
		next, ok := l.follows[key]
		if !ok {
			next = int32(len(l.nodes))
			b := l.bodies[body]
			n := node{text{l.nodes[at].words + b.words, b.flash}, -1}
			if at != 0 && l.nodes[at].flash != b.flash {
				n.words += "\uFFFD" // half flash, half not: no text
			}
			if t, ok := l.number[n.text]; ok {
				n.is = t
			}
			l.nodes = append(l.nodes, n)
			l.follows[key] = next
		}
		at = next
	}
	return l.nodes[at].is
}

// set1 is the set of one text.
func (l *library) set1(t int32) int32 {
	for len(l.single) < len(l.texts) {
		l.single = append(l.single, l.set([]int32{int32(len(l.single))}))
	}
	return l.single[t]
}
