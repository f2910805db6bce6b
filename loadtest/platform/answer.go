package platform

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"crypto/rand"

	"github.com/emmansun/gmsm/sm2"
)

func leaf(name, text string) *element            { return &element{name: name, text: text} }
func parent(name string, k ...*element) *element { return &element{name: name, kids: k} }

// document is the element as a file.
func document(e *element) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e.write(&b)
	return b.Bytes()
}

func (e *element) write(b *bytes.Buffer) {
	b.WriteString("<" + e.name + ">")
	_ = xml.EscapeText(b, []byte(e.text)) // a buffer takes all
	for _, k := range e.kids {
		k.write(b)
	}
	b.WriteString("</" + e.name + ">")
}

func resultElement(result int, words string) *element {
	return parent("EBDResponse", leaf("ResultCode", strconv.Itoa(result)), leaf("ResultDesc", words))
}

// reply is how an answer is made: to whom and for which packet, signed by whom (nil: nobody).
type reply struct {
	to, packet string // EBRID, EBDID; empty where the packet did not say
	key        *sm2.PrivateKey
}

// answer is the tar with the payload.
func (p *Platform) answer(r reply, payload *element) ([]byte, error) {
	now := p.now()
	id := fmt.Sprintf("10%s%016d", p.cfg.EBRID, p.serial.Add(1))
	e := parent("EBD", leaf("EBDVersion", "1.0"), leaf("EBDID", id), leaf("EBDType", payload.name),
		parent("SRC", leaf("EBRID", p.cfg.EBRID)))
	if r.to != "" {
		e.kids = append(e.kids, parent("DEST", leaf("EBRID", r.to)))
	}
	e.kids = append(e.kids, leaf("EBDTime", now.In(beijing).Format(time.DateTime)))
	if r.packet != "" {
		e.kids = append(e.kids, parent("RelatedEBD", leaf("EBDID", r.packet)))
	}
	body := document(parent(e.name, append(e.kids, payload)...))
	files := []struct {
		name string
		data []byte
	}{{"EBDB_" + id + ".xml", body}}
	if r.key != nil {
		s, err := signature(r.key, id, body, now)
		if err != nil {
			return nil, err
		}
		files = append(files, struct {
			name string
			data []byte
		}{"EBDS_EBDB_" + id + ".xml", s})
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: now, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// send writes an answer as the fault wants it.
func (p *Platform) send(w http.ResponseWriter, r *http.Request, fault Fault, to reply, payload *element) error {
	switch fault {
	case FaultBusy:
		http.Error(w, "too many messages", http.StatusTooManyRequests)
		return nil
	case FaultMute:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case FaultDrop:
		panic(http.ErrAbortHandler)
	case FaultGarbage:
		_, err := io.WriteString(w, "<html>500 at your service</html>")
		return err
	case FaultEndless:
		var err error // when the client hangs up
		for block := make([]byte, 64<<10); err == nil && r.Context().Err() == nil; {
			_, err = w.Write(block)
		}
		return err
	case FaultUnsigned:
		to.key = nil
	case FaultForged:
		var err error
		if to.key, err = sm2.GenerateKey(rand.Reader); err != nil {
			return err
		}
	case FaultMisplaced:
		to.packet = "10" + p.cfg.EBRID + "0000000000000000"
	}
	b, err := p.answer(to, payload)
	if err != nil {
		return err
	}
	if fault == FaultTruncated {
		b = b[:len(b)/2]
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(b) // the client may have hung up
	return nil
}
