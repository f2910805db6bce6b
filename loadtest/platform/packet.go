package platform

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The codes of EBDResponse.
const (
	resultOK        = 1
	resultParse     = 2
	resultMissing   = 3
	resultSignature = 4
	resultOther     = 5
)

// refusal is why a packet is not taken.
type refusal struct {
	result int
	rule   string // stable, lower case
	detail string
}

func (r *refusal) Error() string { return r.rule + ": " + r.detail }

func refuse(result int, rule, format string, args ...any) *refusal {
	return &refusal{result, rule, fmt.Sprintf(format, args...)}
}

const (
	mostFiles  = 16
	mostOctets = 32 << 20 // of a packet
	deepest    = 8
)

// packet is a tar that was taken apart.
type packet struct {
	id        string // EBDID by the names of the files
	body      []byte
	signature []byte
	media     map[string][]byte
}

var bodyName = regexp.MustCompile(`^EBDB_([0-9]{41})\.xml$`)

func readTar(b []byte) (*packet, *refusal) {
	p := &packet{media: map[string][]byte{}}
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, refuse(resultParse, "tar", "%v", err)
		}
		if h.Typeflag != tar.TypeReg {
			return p, refuse(resultParse, "tar.kind", "%q is no plain file", h.Name)
		}
		if _, twice := files[h.Name]; twice || len(files) == mostFiles {
			return p, refuse(resultParse, "tar.files", "%q stands twice, or there are more than %d files", h.Name, mostFiles)
		}
		if h.Size > int64(len(b)) { // a sparse file says more than it has
			return p, refuse(resultParse, "tar.size", "%q says that it has %d octets", h.Name, h.Size)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return p, refuse(resultParse, "tar", "%v", err)
		}
		if m := bodyName.FindStringSubmatch(h.Name); m != nil {
			if p.id != "" {
				return p, refuse(resultParse, "tar.files", "two files EBDB")
			}
			p.id = m[1]
		}
	}
	if p.id == "" {
		return p, refuse(resultMissing, "tar.body", "no file EBDB_<EBDID>.xml")
	}
	for name, data := range files {
		switch {
		case name == "EBDB_"+p.id+".xml":
			p.body = data
		case name == "EBDS_EBDB_"+p.id+".xml":
			p.signature = data
		case strings.HasPrefix(name, "EBDR_") && !strings.ContainsAny(name, "/\\"):
			p.media[name] = data
		default:
			return p, refuse(resultParse, "tar.name", "%q is no file of the packet %s", name, p.id)
		}
	}
	return p, nil
}

// element is an XML element with either text or children.
type element struct {
	name string
	text string
	kids []*element
}

// find is the child at the path; nil where it is not.
func (e *element) find(path ...string) *element {
	for _, name := range path {
		i := slices.IndexFunc(e.kids, func(k *element) bool { return k.name == name })
		if i < 0 {
			return nil
		}
		e = e.kids[i]
	}
	return e
}

// value is the text at the path; empty where it is not.
func (e *element) value(path ...string) string {
	if e = e.find(path...); e == nil {
		return ""
	}
	return e.text
}

func readXML(b []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var open []*element
	root := &element{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(root.kids) == 1 && len(open) == 0 {
			return root.kids[0], nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					return nil, fmt.Errorf("%s has the attribute %s", token.Name.Local, a.Name.Local)
				}
			}
			e, parent := &element{name: token.Name.Local}, root
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			if len(open) == deepest || parent == root && len(root.kids) == 1 {
				return nil, fmt.Errorf("%s stands too deep, or beside the root", e.name)
			}
			parent.kids = append(parent.kids, e)
			open = append(open, e)
		case xml.EndElement:
			e := open[len(open)-1]
			if len(e.kids) > 0 {
				if strings.TrimSpace(e.text) != "" {
					return nil, fmt.Errorf("%s has text beside its elements", e.name)
				}
				e.text = ""
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		case xml.Directive:
			return nil, errors.New("a document type is not part of the format")
		}
	}
}

// rule is what the format says of an element: its place, how often it may stand, and its form or its children.
type rule struct {
	name     string
	optional bool
	many     bool
	form     string // regular expression of the whole value
	kids     []rule
}

const (
	formAny      = `(?s).*\S.*`
	formCode     = `[1-6][0-9]{22}`
	formEBDID    = `(01|10)` + formCode + `[0-9]{16}`
	formEBMID    = formCode + `[0-9]{12}`
	formTime     = `[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}`
	formArea     = `[0-9]{12}(,[0-9]{12})*`
	formEvent    = `[0-9]{2}[A-Z][0-9]{2}`
	formSeverity = `0|1|2|3|4|10|15`
	formDigits   = `[0-9]+`
)

// payloads is the payload of each type of packet that a platform takes from a client.
var payloads = map[string]rule{
	"ConnectionCheck": {name: "ConnectionCheck", kids: []rule{{name: "RptTime", form: formTime}}},
	"EBMStateRequest": {name: "EBMStateRequest", kids: []rule{{name: "EBM", kids: []rule{{name: "EBMID", form: formEBMID}}}}},
	"EBM": {name: "EBM", kids: []rule{
		{name: "EBMVersion", form: formAny},
		{name: "EBMID", form: formEBMID},
		{name: "RelatedInfo", optional: true, kids: []rule{
			{name: "EBMID", optional: true, form: formEBMID}, {name: "EBIID", optional: true, form: formAny},
		}},
		{name: "MsgBasicInfo", kids: []rule{
			{name: "MsgType", form: `[1-5]`}, {name: "SenderName", form: formAny}, {name: "SenderCode", form: formDigits},
			{name: "SendTime", form: formTime}, {name: "EventType", form: formEvent}, {name: "Severity", form: formSeverity},
			{name: "StartTime", form: formTime}, {name: "EndTime", form: formTime},
		}},
		{name: "MsgContent", optional: true, kids: []rule{ // a cancel has none
			{name: "LanguageCode", form: `[a-z]{3}`}, {name: "MsgTitle", form: formAny}, {name: "MsgDesc", form: formAny},
			{name: "AreaCode", form: formArea}, {name: "ProgramNum", optional: true, form: formDigits},
			{name: "Auxiliary", optional: true, many: true, kids: []rule{
				{name: "AuxiliaryType", form: `2`}, {name: "AuxiliaryDesc", form: `EBDR_[^/\\]+`},
				{name: "Size", form: formDigits}, {name: "Digest", form: `[0-9A-Fa-f]{64}`},
			}},
		}},
	}},
}

// packetRule is a packet around its payload.
func packetRule(payload rule) rule {
	return rule{name: "EBD", kids: []rule{
		{name: "EBDVersion", form: `1\.0`}, {name: "EBDID", form: formEBDID}, {name: "EBDType", form: formAny},
		{name: "SRC", kids: []rule{{name: "EBRID", form: formCode}, {name: "URL", optional: true, form: formAny}}},
		{name: "DEST", optional: true, kids: []rule{{name: "EBRID", form: formCode}}},
		{name: "EBDTime", form: formTime},
		{name: "RelatedEBD", optional: true, kids: []rule{{name: "EBDID", form: formEBDID}}},
		payload,
	}}
}

var certificate = []rule{{name: "CertType", form: formAny}, {name: "IssuerID", form: formAny}, {name: "CertSN", form: formAny}}

var signatureRule = rule{name: "Signature", kids: []rule{
	{name: "Version", form: formAny},
	{name: "RelatedEBD", kids: []rule{{name: "EBDID", form: formEBDID}}},
	{name: "SignatureCert", optional: true, kids: certificate},
	{name: "CertSN", optional: true, form: formAny},
	{name: "SignatureTime", form: `[0-9A-Fa-f]{8}`},
	{name: "DigestAlgorithm", form: `SM3`},
	{name: "SignatureAlgorithm", form: `SM2`},
	{name: "SignatureValue", form: `[A-Za-z0-9+/]+=*`},
}}

// check holds an element against its rule.
func (r rule) check(e *element, path string) *refusal {
	path += "/" + r.name
	if e.name != r.name {
		return refuse(resultParse, "xml.root", "%s is not %s", e.name, r.name)
	}
	if r.kids == nil {
		if len(e.kids) > 0 {
			return refuse(resultParse, "xml.unknown", "%s/%s", path, e.kids[0].name)
		}
		if strings.TrimSpace(e.text) == "" {
			return refuse(resultMissing, "xml.empty", "%s", path)
		}
		if !regexp.MustCompile(`^(` + r.form + `)$`).MatchString(e.text) {
			return refuse(resultParse, "xml.form", "%s is %.80q", path, e.text)
		}
		return nil
	}
	if strings.TrimSpace(e.text) != "" {
		return refuse(resultParse, "xml.form", "%s has text", path)
	}
	seen := map[string]int{}
	for _, kid := range e.kids {
		i := slices.IndexFunc(r.kids, func(k rule) bool { return k.name == kid.name })
		if i < 0 {
			return refuse(resultParse, "xml.unknown", "%s/%s", path, kid.name)
		}
		if seen[kid.name]++; seen[kid.name] > 1 && !r.kids[i].many {
			return refuse(resultParse, "xml.twice", "%s/%s", path, kid.name)
		}
		if err := r.kids[i].check(kid, path); err != nil {
			return err
		}
	}
	for _, k := range r.kids {
		if seen[k.name] == 0 && !k.optional {
			return refuse(resultMissing, "xml.missing", "%s/%s", path, k.name)
		}
	}
	return nil
}

// beijing is the time zone of all times.
var beijing = time.FixedZone("UTC+8", 8*60*60)

func readTime(s string) (time.Time, error) { return time.ParseInLocation(time.DateTime, s, beijing) }

// read takes the packet apart and holds it against the format.
func (p *packet) read() (*element, *refusal) {
	e, err := readXML(p.body)
	if err != nil {
		return nil, refuse(resultParse, "xml", "%v", err)
	}
	kind := e.value("EBDType")
	payload, ok := payloads[kind]
	if !ok {
		return nil, refuse(resultOther, "ebd.type", "EBDType %.40q is not taken here", kind)
	}
	if bad := packetRule(payload).check(e, ""); bad != nil {
		return nil, bad
	}
	id := e.value("EBDID")
	kindOf := map[bool]string{true: "01", false: "10"}[kind == "ConnectionCheck"]
	switch {
	case id != p.id:
		return nil, refuse(resultParse, "ebd.id", "EBDID %s in the files of %s", id, p.id)
	case id[:2] != kindOf:
		return nil, refuse(resultParse, "ebd.id", "EBDID of type %s for %s", id[:2], kind)
	case id[2:25] != e.value("SRC", "EBRID"):
		return nil, refuse(resultParse, "ebd.id", "EBDID %s is not of the source %s", id, e.value("SRC", "EBRID"))
	}
	if _, err := readTime(e.value("EBDTime")); err != nil {
		return nil, refuse(resultParse, "xml.form", "EBDTime: %v", err)
	}
	return e, nil
}
