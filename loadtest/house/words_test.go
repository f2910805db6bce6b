package house

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"tocsin/geofence"
	"tocsin/loadtest/carrierlog"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// octets is a segment as a phone gets it: UCS-2, or of the default alphabet (3GPP TS 23.038 6.2.1) what this test says.
func octets(coding int, segment string) (out []byte) {
	if coding == 8 {
		for _, u := range utf16.Encode([]rune(segment)) {
			out = append(out, byte(u>>8), byte(u))
		}
		return out
	}
	for _, r := range segment {
		switch r {
		case '[':
			out = append(out, 0x1B, 0x3C)
		case ']':
			out = append(out, 0x1B, 0x3E)
		default:
			out = append(out, byte(r)) // letters, digits, blanks, full stops and commas stand where they do in ASCII
		}
	}
	return out
}

// got is what arrived at the carrier behind the first segments, as coding and octets: by number the segments in their
// order. How many segments have arrived in all is beside it.
func got(t *testing.T, behind int) (out map[uint64][]string, all int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(running.dir, "mobile.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	bodies := map[int]string{}
	out = map[uint64][]string{}
	for r := carrierlog.NewReader(bytes.NewReader(b)); ; {
		var l carrierlog.Line
		err := r.Next(&l)
		if errors.Is(err, io.EOF) {
			return out, all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch l.Event {
		case carrierlog.Text:
			body, err := l.Body()
			if err != nil {
				t.Fatal(err)
			}
			bodies[l.Text] = fmt.Sprintf("%d:%x", l.Coding, body)
		case carrierlog.Submit:
			if all++; all <= behind {
				continue
			}
			parts := out[l.To]
			for len(parts) < l.Seq {
				parts = append(parts, "")
			}
			parts[l.Seq-1] = bodies[l.Text]
			out[l.To] = parts
		}
	}
}

// TestAPreviewIsWhatLeaves rebuilds the text of every person from the carrier's octets: it is the preview's, segment by
// segment and byte by byte, in the language of the person.
func TestAPreviewIsWhatLeaves(t *testing.T) {
	all, err := geofence.Synth(people, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.bring(t.Context(), chunksOf(rand.Text(), all)...); err != nil { // whatever another test brought
		t.Fatal(err)
	}
	_, before := got(t, 0)
	spec := good()
	spec.Areas = []*pb.Area{unit("500240")}
	spec.Words = []*pb.Words{
		{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "【演练】石柱暴雨橙色预警😀" + strings.Repeat("请远离河道、低洼地带和危岩陡坡。", 6) + mark()},
		{Language: "en", Kind: pb.Type_TYPE_ALERT, Text: "Rainstorm warning, orange, for an exercise. " + strings.Repeat("Keep away from rivers [and slopes]. ", 5) + mark()},
	}
	answer, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	w, preview := answer.GetWarning(), answer.GetPreview()
	if _, err := running.warnings(approver).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: 1, Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	codings := map[string]int{"ucs2": 8}
	texts := map[uint8][]string{} // by language of the directory
	for _, p := range preview.GetTexts() {
		if p.GetKind() != pb.Type_TYPE_ALERT || p.GetChannel() != pb.Channel_CHANNEL_SMS {
			continue
		}
		var parts []string
		for _, s := range p.GetSegments() {
			parts = append(parts, fmt.Sprintf("%d:%x", codings[p.GetCoding()], octets(codings[p.GetCoding()], s)))
		}
		texts[uint8(slices.Index(warning.Languages, p.GetLanguage()))] = parts
	}
	if len(texts) != 2 || len(texts[0]) < 2 || len(texts[1]) < 2 || texts[0][0] == texts[1][0] {
		t.Fatalf("the preview shows %v", texts)
	}
	until(t, func() error {
		now, _ := got(t, before)
		reached, english := 0, 0
		for i, number := range all.Number {
			if all.Home[i] != 500240 || number == 0 || all.Flags[i]&warning.OptedOut != 0 {
				continue
			}
			if !slices.Equal(now[number], texts[all.Language[i]]) {
				return fmt.Errorf("somebody got %v, the preview shows %v", now[number], texts[all.Language[i]])
			}
			reached++
			english += int(all.Language[i])
		}
		if reached < 20 || english == 0 {
			return fmt.Errorf("only %d people were looked at, %d of them read English", reached, english)
		}
		return nil
	})
}
