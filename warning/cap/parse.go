package cap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/warning"
)

// Limits bounds what a document may cost. They are configuration.
type Limits struct {
	Bytes int // of the document
	Depth int // of elements in each other
}

// DefaultLimits is 1 MiB, and twice the depth that a signed message has.
func DefaultLimits() Limits { return Limits{Bytes: 1 << 20, Depth: 16} }

// maxFaults is how many faults one answer lists; more help nobody.
const maxFaults = 100

// Fault is one thing wrong with a document: its line, counted from 1, and the path of the element as Field.
type Fault struct {
	Line int
	warning.Violation
}

func (f Fault) String() string { return fmt.Sprintf("line %d: %s", f.Line, f.Violation) }

// Faults is every fault of a document, by line. It unwraps to a *warning.Error of ReasonInvalid.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.String()
	}
	return strings.Join(lines, "; ")
}

// Unwrap is the faults as a refusal.
func (f Faults) Unwrap() error {
	vs := make([]warning.Violation, len(f))
	for i, x := range f {
		vs[i] = x.Violation
	}
	return warning.Invalid(vs...)
}

// Parse reads one document in UTF-8 and holds it against the rules of CAP 1.2: the schema's, and those that the schema
// cannot say. CAP 1.1 is read by the same rules; what 1.1 allowed and 1.2 does not is a fault. The error is Faults.
func Parse(document []byte, l Limits) (Alert, error) {
	var a Alert
	if len(document) > l.Bytes {
		return a, Faults{{1, warning.Violation{
			Field: "alert", Rule: "cap.size", Detail: fmt.Sprintf("the document has %d bytes, more than %d", len(document), l.Bytes),
			Remedy: "simplify the outlines, and name files by uri instead of derefUri",
		}}}
	}
	s := &scan{document: document, limits: l, decoder: xml.NewDecoder(bytes.NewReader(document))}
	if s.run() {
		// Names decide: where there is no fault, only known elements are left beside the extensions.
		if err := xml.Unmarshal(s.plain(), &a); err != nil {
			s.fault("alert", "cap.xml", "write well-formed XML", "%v", err)
		}
		a.Extensions = s.extensions()
		s.relations(&a)
	}
	if len(s.faults) > 0 {
		slices.SortStableFunc(s.faults, func(a, b Fault) int { return a.Line - b.Line })
		return Alert{}, s.faults
	}
	return a, nil
}

// scan walks a document once, element by element, along the grammar.
type scan struct {
	document []byte
	limits   Limits
	decoder  *xml.Decoder
	depth    int
	ended    bool // at the end of the document
	faults   Faults
	lines    map[string]int // of each element, by path
	kept     []extension
	root     xml.StartElement
}

// extension is an element that is kept as it is: how it begins, and where it stands in the document.
type extension struct {
	start    xml.StartElement
	from, to int64
}

func (s *scan) line() int { line, _ := s.decoder.InputPos(); return line }

func (s *scan) fault(path, rule, remedy, format string, args ...any) {
	s.faultAt(s.line(), path, rule, remedy, format, args...)
}

func (s *scan) faultAt(line int, path, rule, remedy, format string, args ...any) {
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, Fault{line, warning.Violation{Field: path, Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy}})
	}
}

// next is the next token; nil ends the walk: at the end, or after a fault that leaves nothing to read on from.
func (s *scan) next(path string) xml.Token {
	t, err := s.decoder.Token()
	var bad *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		s.ended = true
		return nil
	case errors.As(err, &bad):
		s.faultAt(bad.Line, path, "cap.xml", "write well-formed XML; the only entities are &amp; &lt; &gt; &quot; &apos;", "%s", bad.Msg)
		return nil
	case err != nil:
		s.fault(path, "cap.xml", "write it in UTF-8", "%v", err)
		return nil
	}
	switch t := t.(type) {
	case xml.Directive:
		s.fault(path, "cap.dtd", "take the <!DOCTYPE> away: entities and outside references are never read", "the document has a document type")
		return nil
	case xml.StartElement:
		if s.depth++; s.depth > s.limits.Depth {
			s.fault(path, "cap.depth", "an alert needs five levels", "elements stand more than %d deep in each other", s.limits.Depth)
			return nil
		}
		t = t.Copy()
		s.attributes(path, t)
		return t
	case xml.EndElement:
		s.depth--
	}
	return t
}

// run reads the whole document. False: it could not be read to its end.
func (s *scan) run() bool {
	if !utf8.Valid(s.document) {
		s.fault("alert", "cap.utf8", "send UTF-8", "the document is not UTF-8")
		return false
	}
	s.lines = map[string]int{}
	for before, found := s.decoder.InputOffset(), false; ; before = s.decoder.InputOffset() {
		switch t := s.next("alert").(type) {
		case nil:
			if !found && len(s.faults) == 0 {
				s.fault("alert", "cap.missing", "write an alert", "the document has no alert")
			}
			return found && s.ended
		case xml.CharData:
			// A byte order mark may stand first (XML 1.0, appendix F).
			if text := bytes.TrimSpace(t); len(text) > 0 && !(before == 0 && string(text) == "\uFEFF") {
				s.fault("alert", "cap.text", "take it away", "%.20q stands outside of the alert", text)
			}
		case xml.StartElement:
			switch {
			case found:
				s.fault("alert", "cap.twice", "send one document for each alert", "a second element stands after the alert")
				return false
			case t.Name.Local != "alert" || t.Name.Space != Namespace && t.Name.Space != Namespace11:
				s.fault("alert", "cap.namespace", "write an alert in "+Namespace, "the document is a %.60q in namespace %.60q", t.Name.Local, t.Name.Space)
				return false
			}
			found, s.root = true, t
			if !s.element("alert", grammar) {
				return false
			}
		}
	}
}

// attributes checks those of an element of CAP. Those of XML Schema Instance speak to validators and are dropped.
func (s *scan) attributes(path string, e xml.StartElement) {
	if undeclared(e.Name) {
		s.fault(path, "cap.xml", "declare the prefix with xmlns", "prefix %.60q is not declared", e.Name.Space)
	}
	seen := map[xml.Name]bool{}
	for _, a := range e.Attr {
		if undeclared(a.Name) {
			s.fault(path, "cap.xml", "declare the prefix with xmlns", "prefix %.60q is not declared", a.Name.Space)
		}
		if seen[a.Name] {
			s.fault(path, "cap.xml", "write each attribute once", "attribute %.60q stands twice", a.Name.Local)
		}
		seen[a.Name] = true
		ours := e.Name.Space == Namespace || e.Name.Space == Namespace11
		if ours && a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) && a.Name.Space != "http://www.w3.org/2001/XMLSchema-instance" {
			s.fault(path, "cap.attribute", "take it away: elements of CAP have no attributes", "attribute %.60q is not known", a.Name.Local)
		}
	}
}

// undeclared tells whether a name still has its prefix: the decoder leaves those alone that it does not know. A
// namespace is a URI, and has a colon.
func undeclared(n xml.Name) bool {
	return n.Space != "" && n.Space != "xmlns" && !strings.Contains(n.Space, ":")
}

// element reads what is inside the element at path, up to its end, by the parts that it may have. False: nothing can be
// read after it.
func (s *scan) element(path string, parts []part) bool {
	line, counts, at := s.line(), make([]int, len(parts)), 0
	for {
		before := s.decoder.InputOffset()
		switch t := s.next(path).(type) {
		case nil:
			return false
		case xml.CharData:
			if text := bytes.TrimSpace(t); len(text) > 0 {
				s.fault(path, "cap.text", "put it into an element, or take it away", "%.20q stands between elements", text)
			}
		case xml.EndElement:
			for i, p := range parts {
				if counts[i] < p.min {
					s.faultAt(line, path+"."+p.name, "cap.missing", "add it; it is required", "the element is missing")
				}
			}
			return true
		case xml.StartElement:
			if path == "alert" && t.Name.Space == "http://www.w3.org/2000/09/xmldsig#" {
				if !s.skip(path) {
					return false
				}
				s.kept, at = append(s.kept, extension{t, before, s.decoder.InputOffset()}), len(parts)
				continue
			}
			i := slices.IndexFunc(parts, func(p part) bool { return p.name == t.Name.Local })
			if i < 0 || t.Name.Space != s.root.Name.Space {
				s.fault(path, "cap.unknown", "take it away; XML-DSig at the end of the alert is the one extension", "element %.60q in namespace %.60q is not known here", t.Name.Local, t.Name.Space)
				if !s.skip(path) {
					return false
				}
				continue
			}
			p := parts[i]
			inner := path + "." + p.name
			if p.max != 1 {
				inner = fmt.Sprintf("%s[%d]", inner, counts[i])
			}
			s.lines[inner] = s.line()
			switch counts[i]++; {
			case i < at:
				after := "the signature"
				if at < len(parts) {
					after = parts[at].name
				}
				s.fault(inner, "cap.order", "write the elements in the order of the schema", "the element stands after %s", after)
			case p.max == 1 && counts[i] > 1:
				s.fault(inner, "cap.twice", "keep one of them", "the element stands twice")
			}
			at = i // one element out of its place is one fault
			if p.parts != nil && !s.element(inner, p.parts) || p.parts == nil && !s.leaf(inner, p.form) {
				return false
			}
		}
	}
}

// leaf reads the text of an element and holds it against its form.
func (s *scan) leaf(path string, f *form) bool {
	var text []byte
	for line := s.line(); ; {
		switch t := s.next(path).(type) {
		case nil:
			return false
		case xml.CharData:
			text = append(text, t...)
		case xml.StartElement:
			s.fault(path, "cap.unknown", "write text only; < as &lt;", "element %.60q stands inside text", t.Name.Local)
			if !s.skip(path) {
				return false
			}
		case xml.EndElement:
			if f != nil && !f.ok(string(text)) {
				s.faultAt(line, path, f.rule, f.remedy, "%.60q does not fit", text)
			}
			return true
		}
	}
}

// skip reads to the end of the element that has begun.
func (s *scan) skip(path string) bool {
	for end := s.depth - 1; s.depth > end; {
		if s.next(path) == nil {
			return false
		}
	}
	return true
}

// plain is the document without its extensions; what is cut out becomes spaces.
func (s *scan) plain() []byte {
	if len(s.kept) == 0 {
		return s.document
	}
	out := bytes.Clone(s.document)
	for _, k := range s.kept {
		for i := k.from; i < k.to; i++ {
			out[i] = ' '
		}
	}
	return out
}

// relations checks what one element says about another.
func (s *scan) relations(a *Alert) {
	at := func(path, rule, remedy, detail string) { s.faultAt(s.lines[path], path, rule, remedy, "%s", detail) }
	restriction := folded(blank(a.Restriction))
	switch {
	case a.Scope == "Restricted" && restriction == "":
		s.faultAt(s.lines["alert.scope"], "alert.restriction", "cap.restriction", "say for whom it is restricted", "the scope is Restricted and no restriction is given")
	case a.Scope != "Restricted" && restriction != "":
		at("alert.restriction", "cap.restriction", "say Restricted as scope, or take the restriction away", "a restriction is given and the scope is not Restricted")
	}
	if a.Scope == "Private" && folded(blank(a.Addresses)) == "" {
		s.faultAt(s.lines["alert.scope"], "alert.addresses", "cap.addresses", "name the addressees", "the scope is Private and no addresses are given")
	}
	for _, r := range a.Cites() {
		if isTime(string(a.Sent)) && r.Sent.Time().After(a.Sent.Time()) {
			at("alert.references", "cap.references", "name earlier messages only", fmt.Sprintf("%.60q was sent after this message", r.Identifier))
		}
	}
	for i, info := range a.Infos {
		for j, r := range info.Resources {
			if uri := strings.TrimSpace(blank(r.URI)); uri != "" && r.DerefURI == nil && !absolute(uri) {
				at(fmt.Sprintf("alert.info[%d].resource[%d].uri", i, j), "cap.uri", "write the whole address, or put the file into derefUri", "a relative address leads nowhere")
			}
		}
		for j, area := range info.Areas {
			if area.Ceiling != nil && area.Altitude == nil {
				at(fmt.Sprintf("alert.info[%d].area[%d].ceiling", i, j), "cap.ceiling", "give the altitude too; without it a ceiling has no meaning", "a ceiling is given without an altitude")
			}
		}
	}
}

// Cites is the earlier messages that a names.
func (a *Alert) Cites() []Reference {
	refs, _ := ParseReferences(blank(a.References))
	return refs
}

func blank[T ~string](s *T) T {
	if s == nil {
		return ""
	}
	return *s
}

// absolute tells whether a URI names its scheme (RFC 3986, 4.3).
func absolute(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && scheme != "" && !strings.ContainsAny(scheme, "/?#")
}
