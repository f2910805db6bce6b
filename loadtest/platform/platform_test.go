package platform

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const client = "35000000000000101010101"

// world is a platform that runs, and its client's key.
type world struct {
	*Platform
	t    *testing.T
	key  *sm2.PrivateKey
	next int
}

func run(t *testing.T, change func(*Config)) *world {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, who := range []string{"client", "platform"} {
		if err := WriteKey(file(who), file(who+".pub")); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Default()
	cfg.Log, cfg.Key, cfg.ClientKey, cfg.CoverageOver = file("log"), file("platform"), file("client.pub"), time.Hour
	if change != nil {
		change(&cfg)
	}
	p, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key, err := readPrivate(file("client"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &world{Platform: p, t: t, key: key}
}

// lines is the log so far.
func (w *world) lines() (all []Line) {
	w.t.Helper()
	f, err := os.Open(w.cfg.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		l, err := ParseLine(s.Bytes())
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// draft is a packet before it is sent, to be spoiled.
type draft struct {
	id, file string
	body     string
	unsigned bool
	spoil    func(files map[string][]byte)
	media    map[string][]byte
}

// files is the packet's files in order of their names.
func (w *world) files(d draft) (map[string][]byte, error) {
	all := map[string][]byte{"EBDB_" + d.id + ".xml": []byte(d.body)}
	for name, data := range d.media {
		all[name] = data
	}
	if !d.unsigned {
		s, err := signature(w.key, d.id, []byte(d.body), time.Now())
		if err != nil {
			return nil, err
		}
		all["EBDS_EBDB_"+d.id+".xml"] = s
	}
	if d.spoil != nil {
		d.spoil(all)
	}
	return all, nil
}

// send posts the draft and gives the platform's answer: its EBDResponse code, or −1 and the document.
func (w *world) send(d draft) (result int, answer *element) {
	w.t.Helper()
	files, err := w.files(d)
	if err != nil {
		w.t.Fatal(err)
	}
	var packed bytes.Buffer
	tw := tar.NewWriter(&packed)
	for name, data := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600}); err != nil {
			w.t.Fatal(err)
		}
		if _, err := tw.Write(data); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		w.t.Fatal(err)
	}
	name := d.file
	if name == "" {
		name = "EBDT_" + d.id + ".tar"
	}
	status, body := w.post("file", name, packed.Bytes())
	if status != http.StatusOK {
		w.t.Fatalf("HTTP %d: %s", status, body)
	}
	pack, bad := readTar(body)
	if bad != nil {
		w.t.Fatal(bad)
	}
	platform, err := readPublic(w.cfg.Key + ".pub")
	if err != nil {
		w.t.Fatal(err)
	}
	if bad := pack.verify(platform); bad != nil {
		w.t.Fatal(bad)
	}
	if answer, err = readXML(pack.body); err != nil {
		w.t.Fatal(err)
	}
	if code := answer.value("EBDResponse", "ResultCode"); code != "" {
		result, err = strconv.Atoi(code)
		if err != nil {
			w.t.Fatal(err)
		}
		return result, answer
	}
	return -1, answer
}

func (w *world) post(part, name string, data []byte) (int, []byte) {
	w.t.Helper()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	f, err := m.CreateFormFile(part, name)
	if err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, m.Close()); err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.Address(), &form)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, body
}

// packet is a draft with the payload.
func (w *world) packet(kind, payload string) draft {
	w.next++
	id := "10" + client + "0000000000000000"
	if kind == "ConnectionCheck" {
		id = "01" + id[2:]
	}
	n := strconv.Itoa(w.next)
	id = id[:len(id)-len(n)] + n
	return draft{id: id, body: `<?xml version="1.0" encoding="utf-8"?>
<EBD xmlns:xs="http://www.w3.org/2001/XMLSchema">
 <EBDVersion>1.0</EBDVersion><EBDID>` + id + `</EBDID><EBDType>` + kind + `</EBDType>
 <SRC><EBRID>` + client + `</EBRID></SRC><DEST><EBRID>` + w.cfg.EBRID + `</EBRID></DEST>
 <EBDTime>2026-06-13 08:00:00</EBDTime>
 <` + kind + `>` + payload + `</` + kind + `>
</EBD>`}
}

const ebmid = client + "202606130007"

func (w *world) message() draft {
	at := func(d time.Duration) string { return time.Now().Add(d).In(beijing).Format(time.DateTime) }
	return w.packet("EBM", `<EBMVersion>1.0</EBMVersion><EBMID>`+ebmid+`</EBMID>
<MsgBasicInfo><MsgType>1</MsgType><SenderName>重庆市气象台</SenderName><SenderCode>`+client+`</SenderCode><SendTime>`+at(-time.Minute)+`</SendTime>
<EventType>11B03</EventType><Severity>1</Severity><StartTime>`+at(-time.Minute)+`</StartTime><EndTime>`+at(time.Hour)+`</EndTime></MsgBasicInfo>
<MsgContent><LanguageCode>zho</LanguageCode><MsgTitle>暴雨红色预警</MsgTitle><MsgDesc>请立即转移。</MsgDesc><AreaCode>500101001000,500101002000</AreaCode></MsgContent>`)
}

func (w *world) cancel(id string) draft {
	d := w.message()
	from, to := strings.Index(d.body, "<MsgContent>"), strings.Index(d.body, "</EBM>")
	d.body = d.body[:from] + d.body[to:]
	d.body = strings.Replace(d.body, "<MsgType>1<", "<MsgType>2<", 1)
	d.body = strings.Replace(d.body, "<EBMID>"+ebmid+"</EBMID>", "<EBMID>"+client+"202606135007</EBMID><RelatedInfo><EBMID>"+id+"</EBMID></RelatedInfo>", 1)
	return d
}

// TestWhatBreaksTheFormatIsRefused spoils a good message in each way, and wants its code and rule.
func TestWhatBreaksTheFormatIsRefused(t *testing.T) {
	w := run(t, nil)
	swap := func(from, to string) func(*draft) {
		return func(d *draft) {
			if !strings.Contains(d.body, from) {
				t.Fatalf("%q is not in the message", from)
			}
			d.body = strings.Replace(d.body, from, to, 1)
		}
	}
	files := func(spoil func(files map[string][]byte, id string)) func(*draft) {
		return func(d *draft) { d.spoil = func(all map[string][]byte) { spoil(all, d.id) } }
	}
	sound := `<AreaCode>500101001000,500101002000</AreaCode><Auxiliary><AuxiliaryType>2</AuxiliaryType><AuxiliaryDesc>EBDR_a.mp3</AuxiliaryDesc><Size>3</Size><Digest>66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0</Digest></Auxiliary>`
	for _, c := range []struct {
		what   string
		spoil  func(*draft)
		result int
		rule   string
	}{
		{"an unknown element", swap("</MsgTitle>", "</MsgTitle><MsgColor>red</MsgColor>"), 2, "xml.unknown"},
		{"an unknown element in a leaf", swap("<MsgType>1<", "<MsgType><b>1</b><"), 2, "xml.unknown"},
		{"an element twice", swap("<Severity>1</Severity>", "<Severity>1</Severity><Severity>2</Severity>"), 2, "xml.twice"},
		{"a missing element", swap("<Severity>1</Severity>", ""), 3, "xml.missing"},
		{"an empty element", swap("暴雨红色预警", " "), 3, "xml.empty"},
		{"no content", func(d *draft) {
			from, to := strings.Index(d.body, "<MsgContent>"), strings.Index(d.body, "</EBM>")
			d.body = d.body[:from] + d.body[to:]
		}, 3, "xml.missing"},
		{"a severity of none", swap("<Severity>1<", "<Severity>5<"), 2, "xml.form"},
		{"a type of none", swap("<MsgType>1<", "<MsgType>6<"), 2, "xml.form"},
		{"an area of a county", swap("500101002000", "500101"), 2, "xml.form"},
		{"an area twice", swap("500101002000", "500101001000"), 2, "ebm.area"},
		{"a time with a T", swap("2026-06-13 08:00:00", "2026-06-13T08:00:00"), 2, "xml.form"},
		{"a day that is not", swap("2026-06-13 08:00:00", "2026-02-30 08:00:00"), 2, "xml.form"},
		{"a message of the past", swap("<EndTime>20", "<EndTime>19"), 5, "ebm.expired"},
		{"an identity of another", swap("<EBMID>35", "<EBMID>36"), 2, "ebm.id"},
		{"an identity without a day", swap("202606130007", "202613130007"), 2, "ebm.id"},
		{"text beside elements", swap("<MsgContent>", "<MsgContent>now"), 2, "xml"},
		{"an attribute", swap("<MsgContent>", `<MsgContent lang="zh">`), 2, "xml"},
		{"a document type", swap("<EBD ", "<!DOCTYPE EBD><EBD "), 2, "xml"},
		{"two documents", swap("</EBD>", "</EBD><EBD/>"), 2, "xml"},
		{"half a document", swap("</EBD>", ""), 2, "xml"},
		{"another version", swap("<EBDVersion>1.0<", "<EBDVersion>2.0<"), 2, "xml.form"},
		{"another platform", swap("<DEST><EBRID>25", "<DEST><EBRID>26"), 5, "ebd.dest"},
		{"a type that platforms do not take", swap("<EBDType>EBM<", "<EBDType>EBMBrdLog<"), 5, "ebd.type"},
		{"another packet inside", swap("<EBDID>10", "<EBDID>01"), 2, "ebd.id"},
		{"a file name of another packet", func(d *draft) { d.file = "EBDT_1.tar" }, 2, "http.name"},
		{"no signature", func(d *draft) { d.unsigned = true }, 4, "signature.missing"},
		{"words changed after signing", files(func(all map[string][]byte, id string) {
			name := "EBDB_" + id + ".xml"
			all[name] = bytes.Replace(all[name], []byte("请立即转移"), []byte("请不要转移"), 1)
		}), 4, "signature.value"},
		{"the signature of another packet", files(func(all map[string][]byte, id string) {
			name := "EBDS_EBDB_" + id + ".xml"
			all[name] = bytes.Replace(all[name], []byte(id), []byte("01"+id[2:]), 1)
		}), 4, "signature.id"},
		{"a signature by another way", files(func(all map[string][]byte, id string) {
			name := "EBDS_EBDB_" + id + ".xml"
			all[name] = bytes.Replace(all[name], []byte("SM3"), []byte("MD5"), 1)
		}), 4, "signature.xml.form"},
		{"a file that is none of it", files(func(all map[string][]byte, _ string) { all["README"] = nil }), 2, "tar.name"},
		{"a file in a folder", files(func(all map[string][]byte, _ string) { all["EBDR_/../x"] = nil }), 2, "tar.name"},
		{"sound that is not there", swap("<AreaCode>500101001000,500101002000</AreaCode>", sound), 3, "ebm.media"},
		{"sound that is other", func(d *draft) {
			swap("<AreaCode>500101001000,500101002000</AreaCode>", sound)(d)
			d.media = map[string][]byte{"EBDR_a.mp3": []byte("abd")}
		}, 2, "ebm.media"},
		{"sound that is longer", func(d *draft) {
			swap("<AreaCode>500101001000,500101002000</AreaCode>", sound)(d)
			d.media = map[string][]byte{"EBDR_a.mp3": []byte("abcd")}
		}, 2, "ebm.media"},
		{"sound that nobody names", func(d *draft) { d.media = map[string][]byte{"EBDR_a.mp3": []byte("abc")} }, 2, "ebm.media"},
	} {
		d := w.message()
		c.spoil(&d)
		result, _ := w.send(d)
		all := w.lines()
		last := all[len(all)-1]
		if result != c.result || last.Event != Violation || last.Rule != c.rule || *last.Result != c.result {
			t.Errorf("%s: answered %d, and the log says %s %s %s; want %d %s", c.what, result, last.Event, last.Rule, last.Detail, c.result, c.rule)
		}
	}
	if result, _ := w.send(w.message()); result != 1 {
		t.Errorf("after all of it a good message is answered %d", result)
	}
	d := w.message()
	swap("<AreaCode>500101001000,500101002000</AreaCode>", sound)(&d)
	d.media = map[string][]byte{"EBDR_a.mp3": []byte("abc")}
	if result, _ := w.send(d); result != 1 {
		t.Errorf("a message with sound is answered %d", result)
	}
}

func TestWhatIsNoFormIsRefused(t *testing.T) {
	w := run(t, nil)
	for _, part := range []string{"data", ""} {
		if status, _ := w.post(part, "EBDT_1.tar", nil); status != http.StatusBadRequest {
			t.Errorf("a part called %q: HTTP %d", part, status)
		}
	}
	if status, _ := w.post("file", "", nil); status != http.StatusBadRequest {
		t.Errorf("a part without file: HTTP %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Address(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("GET: HTTP %d", response.StatusCode)
	}
	for _, l := range w.lines()[1:] {
		if l.Event != Violation || l.Rule != "http" || l.Result != nil {
			t.Errorf("the log says %+v", l)
		}
	}
}

// TestAMessageIsKnownAgain: the same EBMID is counted, with other words it is refused, and its end ends it.
func TestAMessageIsKnownAgain(t *testing.T) {
	w := run(t, nil)
	last := func() Line { all := w.lines(); return all[len(all)-1] }
	if result, _ := w.send(w.cancel(ebmid)); result != 5 || last().Rule != "ebm.unknown" {
		t.Errorf("the end of nothing is answered %d", result)
	}
	for n := 1; n <= 3; n++ {
		if result, _ := w.send(w.message()); result != 1 || last().N != n || last().Text != "请立即转移。" {
			t.Errorf("time %d: answered %d, %+v", n, result, last())
		}
	}
	d := w.message()
	d.body = strings.Replace(d.body, "请立即转移", "请原地等待", 1)
	if result, _ := w.send(d); result != 5 || last().Rule != "ebm.other" {
		t.Errorf("other words under the same EBMID are answered %d", result)
	}
	ask := func(id string) (int, *element) {
		return w.send(w.packet("EBMStateRequest", "<EBM><EBMID>"+id+"</EBMID></EBM>"))
	}
	if _, e := ask(ebmid); e.value("EBMStateResponse", "BrdStateCode") != "2" {
		t.Errorf("a message that plays is in the state %q", e.value("EBMStateResponse", "BrdStateCode"))
	}
	for range 2 {
		if result, _ := w.send(w.cancel(ebmid)); result != 1 || last().Related != ebmid {
			t.Errorf("its end is answered %d", result)
		}
	}
	if _, e := ask(ebmid); e.value("EBMStateResponse", "BrdStateCode") != "5" {
		t.Errorf("a message that was ended is in the state %q", e.value("EBMStateResponse", "BrdStateCode"))
	}
	if result, _ := ask(client + "202606139999"); result != 5 {
		t.Errorf("the state of nothing is answered %d", result)
	}
	if result, _ := w.send(w.packet("ConnectionCheck", "<RptTime>2026-06-13 08:00:00</RptTime>")); result != 1 || last().Event != Heartbeat {
		t.Errorf("a heartbeat is answered %d", result)
	}
}

// TestCoverageGrows follows a message on a clock of its own.
func TestCoverageGrows(t *testing.T) {
	p := &Platform{cfg: Default(), messages: map[string]*message{}}
	p.cfg.CoverageOver = 100 * time.Second
	began := time.Unix(1781337600, 0)
	m := &message{began: began, units: []string{"500101001000", "500101002000"}}
	p.messages[ebmid] = m
	at := func(after time.Duration, state, rate, ends string) {
		t.Helper()
		p.now = func() time.Time { return began.Add(after) }
		e, bad := p.state(ebmid, &Line{})
		if bad != nil {
			t.Fatal(bad)
		}
		if s, r, n := e.value("BrdStateCode"), e.value("Coverage", "CoverageRate"), e.value("Coverage", "ResBrdStat"); s != state || r != rate || n != ends {
			t.Errorf("after %v: state %s, rate %s, ends %s; want %s, %s, %s", after, s, r, n, state, rate, ends)
		}
	}
	at(-time.Second, "1", "0.0000", "1,2,0,0")
	at(0, "2", "0.0000", "1,2,0,0")
	at(25*time.Second, "2", "0.2500", "1,2,0,20")
	m.ended = began.Add(50 * time.Second)
	at(75*time.Second, "5", "0.5000", "1,2,0,40")
	m.ended = time.Time{}
	at(time.Hour, "3", "1.0000", "1,2,0,80")
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"listen":        func(c *Config) { c.Listen = "0.0.0.0:8090" },
		"name":          func(c *Config) { c.Name = "" },
		"log":           func(c *Config) { c.Log = "" },
		"ebrid":         func(c *Config) { c.EBRID = "1" },
		"delay":         func(c *Config) { c.Delay = -1 },
		"coverage_over": func(c *Config) { c.CoverageOver = -1 },
		"terminals":     func(c *Config) { c.Terminals = -1 },
		"fault":         func(c *Config) { c.Fault = "moody" },
		"fault: forged": func(c *Config) { c.Fault = FaultForged },
		"result":        func(c *Config) { c.Result = 100 },
		"key":           func(c *Config) { c.Key = c.Log },
		"client_key":    func(c *Config) { c.ClientKey = c.Log },
	} {
		cfg := Default()
		cfg.Log = filepath.Join(t.TempDir(), "log")
		change(&cfg)
		if _, err := Listen(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestTheDocumentedLinesAreRead reads every example of docs/platform-log.md.
func TestTheDocumentedLinesAreRead(t *testing.T) {
	f, err := os.Open("../../docs/platform-log.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[Event]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "{") {
			continue
		}
		l, err := ParseLine(s.Bytes())
		if err != nil {
			t.Errorf("%s: %v", s.Text(), err)
		}
		if l.Event == EBM && l.Text != "" && l.Digest != digest([]byte(l.Text)) {
			t.Errorf("the digest of %q is %s", l.Text, digest([]byte(l.Text)))
		}
		seen[l.Event] = true
	}
	for _, e := range []Event{Start, Heartbeat, EBM, State, Violation, Stop} {
		if !seen[e] {
			t.Errorf("%s is not documented", e)
		}
	}
	for _, bad := range []string{`{"e":"start"} {}`, `{"e":"dance"}`, `{"e":"start","x":1}`, `{"e":"start"`, ``} {
		if _, err := ParseLine([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
