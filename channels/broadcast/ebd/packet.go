package ebd

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// The limits of a packet. Beyond them neither side needs to look.
const (
	MaxPacket   = 16 << 20 // octets of the tar
	MaxDocument = 1 << 20  // octets of an XML file in it
	MaxFiles    = 16
)

const version = "1.0"

// FileName is what a packet is called on its way: EBDT_<EBDID>.tar.
func FileName(id string) string { return "EBDT_" + id + ".tar" }

func bodyName(id string) string      { return "EBDB_" + id + ".xml" }
func signatureName(id string) string { return "EBDS_EBDB_" + id + ".xml" }

// Encode writes the packet as a tar, signed where there is a signer.
func (p *Packet) Encode(s *Signer) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("ebd: %w", err)
	}
	d := document{
		EBDVersion: version, EBDID: p.ID, EBDType: p.Payload.kind(), SRC: side{p.From}, EBDTime: Time(p.Time),
	}
	if p.To != "" {
		d.DEST = &side{p.To}
	}
	if p.Related != "" {
		d.RelatedEBD = &related{p.Related}
	}
	switch load := p.Payload.(type) {
	case *EBM:
		d.EBM = load
	case *EBMStateRequest:
		d.EBMStateRequest = load
	case *EBMStateResponse:
		d.EBMStateResponse = load
	case *ConnectionCheck:
		d.ConnectionCheck = load
	case *Response:
		d.EBDResponse = load
	}
	body, err := marshal(d)
	if err != nil {
		return nil, fmt.Errorf("ebd: %w", err)
	}
	files := []Media{{bodyName(p.ID), body}}
	if s != nil {
		signature, err := s.sign(p.ID, body, p.Time)
		if err != nil {
			return nil, fmt.Errorf("ebd: %w", err)
		}
		files = append(files, Media{signatureName(p.ID), signature})
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range append(files, p.Media...) {
		// USTAR is what every reader takes, and all of ours fits.
		h := &tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Data)), ModTime: p.Time, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("ebd: %w", err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("ebd: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("ebd: %w", err)
	}
	if b.Len() > MaxPacket {
		return nil, fmt.Errorf("ebd: the packet has %d octets, more than %d", b.Len(), MaxPacket)
	}
	return b.Bytes(), nil
}

// Decode reads a packet. Where there is a verifier, a packet without its signature is refused.
func Decode(b []byte, v *Verifier) (*Packet, error) {
	p, err := decode(b, v)
	if err != nil {
		return nil, fmt.Errorf("ebd: %w", err)
	}
	return p, nil
}

func decode(b []byte, v *Verifier) (*Packet, error) {
	id, body, signature, media, err := untar(b)
	if err != nil {
		return nil, err
	}
	if v != nil {
		if err := v.verify(id, body, signature); err != nil {
			return nil, err
		}
	}
	var d document
	if err := unmarshal(body, &d); err != nil {
		return nil, err
	}
	if d.EBDVersion != version {
		return nil, fmt.Errorf("EBDVersion: %.20q, not %s", d.EBDVersion, version)
	}
	if d.EBDID != id {
		return nil, fmt.Errorf("EBDID: %.60q in the files of %s", d.EBDID, id)
	}
	p := &Packet{ID: id, From: d.SRC.EBRID, Time: time.Time(d.EBDTime), Media: media}
	if d.DEST != nil {
		p.To = d.DEST.EBRID
	}
	if d.RelatedEBD != nil {
		p.Related = d.RelatedEBD.EBDID
	}
	switch {
	case d.EBM != nil:
		p.Payload = d.EBM
	case d.EBMStateRequest != nil:
		p.Payload = d.EBMStateRequest
	case d.EBMStateResponse != nil:
		p.Payload = d.EBMStateResponse
	case d.ConnectionCheck != nil:
		p.Payload = d.ConnectionCheck
	case d.EBDResponse != nil:
		p.Payload = d.EBDResponse
	}
	if p.Payload == nil || p.Payload.kind() != d.EBDType {
		return nil, fmt.Errorf("EBDType: %.40q is not known, or its payload is not there", d.EBDType)
	}
	return p, p.check()
}

// check holds a packet against the format, in both directions.
func (p *Packet) check() error {
	switch {
	case !packetID.MatchString(p.ID):
		return fmt.Errorf("EBDID: %.60q is not a kind, a resource code and 16 digits", p.ID)
	case !ValidEBRID(p.From):
		return fmt.Errorf("SRC: EBRID: %.40q is not 23 digits that begin with a level from 1 to 6", p.From)
	case p.To != "" && !ValidEBRID(p.To):
		return fmt.Errorf("DEST: EBRID: %.40q is not 23 digits that begin with a level from 1 to 6", p.To)
	case p.Related != "" && !packetID.MatchString(p.Related):
		return fmt.Errorf("RelatedEBD: EBDID: %.60q is not a kind, a resource code and 16 digits", p.Related)
	case p.Time.IsZero():
		return errors.New("EBDTime is missing")
	case p.Payload == nil:
		return errors.New("there is no payload")
	}
	if err := p.Payload.check(); err != nil {
		return err
	}
	return p.checkMedia()
}

// checkMedia: the message names exactly the files that are there.
func (p *Packet) checkMedia() error {
	there := map[string]Auxiliary{}
	for _, m := range p.Media {
		if !mediaName.MatchString(m.Name) {
			return fmt.Errorf("%.80q is no name of media", m.Name)
		}
		there[m.Name] = AuxiliaryOf(m)
	}
	var named []Auxiliary
	if m, ok := p.Payload.(*EBM); ok && m.MsgContent != nil {
		named = m.MsgContent.Auxiliary
	}
	if len(named) != len(p.Media) || len(there) != len(p.Media) {
		return fmt.Errorf("%d files of media, and the message names %d", len(p.Media), len(named))
	}
	for _, a := range named {
		is, ok := there[a.AuxiliaryDesc]
		if a.Digest = strings.ToLower(a.Digest); !ok || a != is {
			return fmt.Errorf("the file %s is not there, or not as its Auxiliary says", a.AuxiliaryDesc)
		}
	}
	return nil
}

// untar takes a tar apart. Files are told by their whole names: there is no folder, no link and no other file.
func untar(b []byte) (id string, body, signature []byte, media []Media, err error) {
	if len(b) > MaxPacket {
		return "", nil, nil, nil, fmt.Errorf("the tar has %d octets, more than %d", len(b), MaxPacket)
	}
	seen := map[string]bool{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, nil, nil, fmt.Errorf("tar: %w", err)
		}
		switch {
		case h.Typeflag != tar.TypeReg:
			return "", nil, nil, nil, fmt.Errorf("tar: %.80q is no plain file", h.Name)
		case seen[h.Name] || len(seen) == MaxFiles:
			return "", nil, nil, nil, fmt.Errorf("tar: %.80q stands twice, or there are more than %d files", h.Name, MaxFiles)
		case h.Size > int64(len(b)): // a sparse file says more than it has
			return "", nil, nil, nil, fmt.Errorf("tar: %.80q says that it has %d octets", h.Name, h.Size)
		}
		seen[h.Name] = true
		data, err := io.ReadAll(r)
		if err != nil {
			return "", nil, nil, nil, fmt.Errorf("tar: %w", err)
		}
		inner, isXML := strings.CutSuffix(h.Name, ".xml")
		switch {
		case mediaName.MatchString(h.Name):
			media = append(media, Media{h.Name, data})
		case len(data) > MaxDocument:
			return "", nil, nil, nil, fmt.Errorf("tar: %.80q has %d octets, more than %d", h.Name, len(data), MaxDocument)
		case isXML && strings.HasPrefix(inner, "EBDB_") && body == nil:
			id, body = strings.TrimPrefix(inner, "EBDB_"), data
		case isXML && strings.HasPrefix(inner, "EBDS_EBDB_") && signature == nil:
			signature = data
		default:
			return "", nil, nil, nil, fmt.Errorf("tar: %.80q is no file of a packet", h.Name)
		}
	}
	if !packetID.MatchString(id) {
		return "", nil, nil, nil, errors.New("tar: there is no EBDB_<EBDID>.xml")
	}
	if signature != nil && !seen[signatureName(id)] {
		return "", nil, nil, nil, errors.New("tar: the signature is that of another packet")
	}
	return id, body, signature, media, nil
}

// marshal writes v as a file.
func marshal(v any) ([]byte, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), b...), nil
}

// unmarshal reads one document and nothing behind it.
func unmarshal(b []byte, v any) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("xml: %w", err)
	}
	for {
		token, err := d.Token()
		switch token.(type) {
		case nil:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("xml: %w", err)
		case xml.StartElement, xml.Directive:
			return errors.New("xml: something follows the document")
		}
	}
}
