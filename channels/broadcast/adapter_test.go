package broadcast_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/channels/broadcast"
	"tocsin/channels/broadcast/ebd"
	"tocsin/loadtest/platform"
	"tocsin/warning"
)

func open(t *testing.T, a channels.AreaAccount) channels.AreaCarrier {
	t.Helper()
	if a.Statuses == nil {
		a.Statuses = []warning.Status{warning.Actual, warning.Exercise, warning.PublicDrill}
	}
	a.Heartbeat = time.Hour
	c, err := broadcast.Adapter{}.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func message() channels.AreaMessage {
	sent := time.Now().Truncate(time.Second)
	return channels.AreaMessage{
		Serial: 7, Status: warning.Actual, Type: warning.Alert, Tier: warning.Red, Event: "11B03", Issuer: "重庆市气象台",
		Title: "暴雨红色预警", Text: "请立即转移。", Language: "zh-CN", Units: []string{"500101001000"},
		Sent: sent, Expires: sent.Add(time.Hour),
	}
}

// TestWhatThePlatformReads: each part of a message is where the format has it.
func TestWhatThePlatformReads(t *testing.T) {
	p := newPeer(t)
	p.start()
	c := open(t, p.account)
	day := message().Sent.In(ebd.Beijing).Format("20060102")
	yesterday := time.Now().Add(-24 * time.Hour)
	for what, test := range map[string]struct {
		serial uint32
		change func(*channels.AreaMessage)
		right  func(platform.Line) bool
	}{
		"actual": {1, nil, func(l platform.Line) bool {
			return l.Type == 1 && l.Code == "11B03" && l.Sender == "重庆市气象台"
		}},
		"exercise":     {2, func(m *channels.AreaMessage) { m.Status = warning.Exercise }, func(l platform.Line) bool { return l.Type == 3 }},
		"public drill": {3, func(m *channels.AreaMessage) { m.Status = warning.PublicDrill }, func(l platform.Line) bool { return l.Type == 5 }},
		"red":          {4, nil, func(l platform.Line) bool { return l.Severity == 1 }},
		"orange":       {5, func(m *channels.AreaMessage) { m.Tier = warning.Orange }, func(l platform.Line) bool { return l.Severity == 2 }},
		"yellow":       {6, func(m *channels.AreaMessage) { m.Tier = warning.Yellow }, func(l platform.Line) bool { return l.Severity == 3 }},
		"blue":         {7, func(m *channels.AreaMessage) { m.Tier = warning.Blue }, func(l platform.Line) bool { return l.Severity == 4 }},
		"notice":       {8, func(m *channels.AreaMessage) { m.Tier = warning.Notice }, func(l platform.Line) bool { return l.Severity == 10 }},
		"identity":     {4999, nil, func(l platform.Line) bool { return l.EBM == source+day+"4999" }},
		"late serial":  {10009, nil, func(l platform.Line) bool { return l.EBM == source+day+"0009" }},
		"English":      {10, func(m *channels.AreaMessage) { m.Language = "en" }, func(l platform.Line) bool { return l.Language == "eng" }},
		"times": {11, func(m *channels.AreaMessage) { m.Starts = m.Sent.Add(time.Minute) }, func(l platform.Line) bool {
			return l.Starts == l.Sent+60 && l.Ends == l.Sent+3600
		}},
		"at once": {12, nil, func(l platform.Line) bool { return l.Starts == l.Sent }},
		"follows": {13, func(m *channels.AreaMessage) { m.Related, m.RelatedSent = 3, yesterday }, func(l platform.Line) bool {
			return l.Related == source+yesterday.In(ebd.Beijing).Format("20060102")+"0003"
		}},
		"sound": {14, func(m *channels.AreaMessage) {
			m.Audio = &channels.Audio{Name: "red.mp3", Type: "audio/mpeg", Data: []byte("abc")}
		}, func(l platform.Line) bool {
			return slices.Equal(l.Media, []platform.Media{{Name: "EBDR_red.mp3", Size: 3, Digest: ebd.Digest([]byte("abc"))}})
		}},
	} {
		m := message()
		m.Serial = test.serial
		if test.change != nil {
			test.change(&m)
		}
		if o := c.Play(t.Context(), m); o.Kind != channels.HandedOver {
			t.Errorf("%s: %s %s", what, o.Reason, o.Detail)
			continue
		}
		all := slices.DeleteFunc(p.lines(), func(l platform.Line) bool { return l.Event != platform.EBM })
		if l := all[len(all)-1]; !test.right(l) {
			t.Errorf("%s: the platform read %+v", what, l)
		}
	}
	for what, change := range map[string]func(*channels.AreaMessage){
		"a language that is not spoken": func(m *channels.AreaMessage) { m.Language = "fr" },
		"no language":                   func(m *channels.AreaMessage) { m.Language = "" },
		"sound of another kind": func(m *channels.AreaMessage) {
			m.Audio = &channels.Audio{Name: "a.wav", Type: "audio/wav", Data: []byte("abc")}
		},
		"sound without a sound": func(m *channels.AreaMessage) { m.Audio = &channels.Audio{Name: "a.mp3", Type: "audio/mpeg"} },
		"sound in a folder": func(m *channels.AreaMessage) {
			m.Audio = &channels.Audio{Name: "../a.mp3", Type: "audio/mpeg", Data: []byte("abc")}
		},
		"sound beyond the limit": func(m *channels.AreaMessage) {
			m.Audio = &channels.Audio{Name: "a.mp3", Type: "audio/mpeg", Data: make([]byte, ebd.MaxPacket)}
		},
		"no event":  func(m *channels.AreaMessage) { m.Event = "rain" },
		"no issuer": func(m *channels.AreaMessage) { m.Issuer = "" },
	} {
		m := message()
		change(&m)
		if o := c.Play(t.Context(), m); o.Kind != channels.Refused || o.Reason != channels.BadContent || o.Detail == "" {
			t.Errorf("%s: %+v", what, o)
		}
	}
}

// answering is a platform of one answer, but for heartbeats; it checks the form of what comes.
func answering(t *testing.T, answer func(w http.ResponseWriter, asked *ebd.Packet)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := asked(t, r)
		if p == nil {
			return
		}
		if _, beat := p.Payload.(*ebd.ConnectionCheck); beat {
			reply(t, w, p, &ebd.Response{ResultCode: ebd.OK}, nil)
			return
		}
		answer(w, p)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked is the packet of a request: POST of a form with one part, file. It is nil where the client gave up, as a
// heartbeat does at Close.
func asked(t *testing.T, r *http.Request) *ebd.Packet {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || kind != "multipart/form-data" || err != nil || r.ContentLength <= 0 {
		t.Errorf("%s %q, %d octets", r.Method, kind, r.ContentLength)
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	part, err := form.NextPart()
	if err != nil {
		t.Error(err)
		return nil
	}
	b, err := io.ReadAll(part)
	if err != nil {
		t.Error(err)
	}
	p, err := ebd.Decode(b, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	if part.FormName() != "file" || part.FileName() != ebd.FileName(p.ID) {
		t.Errorf("the part %q holds the file %q", part.FormName(), part.FileName())
	}
	if _, err := form.NextPart(); err != io.EOF {
		t.Errorf("behind the part: %v", err)
	}
	return p
}

const target = "25000000000000101010101"

// reply writes an answer to the packet.
func reply(t *testing.T, w io.Writer, to *ebd.Packet, payload ebd.Payload, change func(*ebd.Packet)) {
	p := &ebd.Packet{
		ID: ebd.PacketID(payload, target, 1), From: target, To: to.From, Time: time.Now(), Related: to.ID, Payload: payload,
	}
	if change != nil {
		change(p)
	}
	b, err := p.Encode(nil)
	if err != nil {
		t.Error(err)
	}
	_, _ = w.Write(b)
}

// TestWhatAnswersMean: each answer has its outcome, and what cannot be trusted is none.
func TestWhatAnswersMean(t *testing.T) {
	type word struct {
		kind   channels.Kind
		reason channels.Reason
	}
	handedOver, noAnswer := word{channels.HandedOver, 0}, word{channels.Unknown, channels.NoAnswer}
	status := func(code int) func(http.ResponseWriter, *ebd.Packet) {
		return func(w http.ResponseWriter, _ *ebd.Packet) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		}
	}
	with := func(payload ebd.Payload, change func(*ebd.Packet)) func(http.ResponseWriter, *ebd.Packet) {
		return func(w http.ResponseWriter, p *ebd.Packet) { reply(t, w, p, payload, change) }
	}
	result := func(r ebd.Result) ebd.Payload { return &ebd.Response{ResultCode: r, ResultDesc: "验签"} }
	nobody := func(p *ebd.Packet) { p.Related = "" }
	for what, c := range map[string]struct {
		answer func(http.ResponseWriter, *ebd.Packet)
		want   word
	}{
		"received":                       {with(result(0), nil), handedOver},
		"ok":                             {with(result(1), nil), handedOver},
		"parse fail":                     {with(result(2), nil), word{channels.Refused, channels.BadContent}},
		"missing content":                {with(result(3), nil), word{channels.Refused, channels.BadContent}},
		"signature fail":                 {with(result(4), nil), word{channels.Refused, channels.NotAllowed}},
		"other":                          {with(result(5), nil), word{channels.Retry, channels.SystemError}},
		"a code of its own":              {with(result(6), nil), word{channels.Retry, channels.SystemError}},
		"a refusal that names no packet": {with(result(2), nobody), word{channels.Refused, channels.BadContent}},
		"an ok that names no packet":     {with(result(1), nobody), noAnswer},
		"an ok from another":             {with(result(1), func(p *ebd.Packet) { p.From = source }), noAnswer},
		"an ok to another":               {with(result(1), func(p *ebd.Packet) { p.To = target }), noAnswer},
		"another type of answer":         {with(&ebd.ConnectionCheck{RptTime: ebd.Time(time.Now())}, nil), noAnswer},
		"an ok beyond all measure": {func(w http.ResponseWriter, p *ebd.Packet) {
			reply(t, w, p, result(1), nil) // a tar may end in any number of zeros
			for range 64 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			t.Error("64 MiB of an answer were read")
		}, noAnswer},
		"moved":                            {status(302), word{channels.Refused, channels.NotAllowed}},
		"moved for posts":                  {status(307), word{channels.Refused, channels.NotAllowed}},
		"forbidden":                        {status(403), word{channels.Refused, channels.NotAllowed}},
		"not found":                        {status(404), word{channels.Refused, channels.NotAllowed}},
		"timed out there":                  {status(408), noAnswer},
		"too large":                        {status(413), word{channels.Refused, channels.BadContent}},
		"too fast":                         {status(429), word{channels.Retry, channels.Throttled}},
		"failed, perhaps after the packet": {status(500), noAnswer},
		"a gateway that lost the platform": {status(502), noAnswer},
		"not now":                          {status(503), word{channels.Retry, channels.SystemError}},
		"nothing at all":                   {status(204), noAnswer},
	} {
		s := answering(t, c.answer)
		carrier := open(t, channels.AreaAccount{Name: "x", Address: s.URL, Source: source, Target: target})
		o := carrier.Play(t.Context(), message())
		if got := (word{o.Kind, o.Reason}); got != c.want || o.Detail == "" {
			t.Errorf("%s: %+v", what, o)
		}
		if err := carrier.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}

// TestStatesOfPlaying: what a platform says of a message, and what it may not say.
func TestStatesOfPlaying(t *testing.T) {
	var answer ebd.Payload
	s := answering(t, func(w http.ResponseWriter, p *ebd.Packet) { reply(t, w, p, answer, nil) })
	c := open(t, channels.AreaAccount{Name: "x", Address: s.URL, Source: source, Target: target})
	reporter := c.(channels.AreaReporter)
	m := message()
	id := ebd.MessageID(source, m.Sent, m.Serial)
	at := ebd.Time(time.Date(2026, 6, 13, 8, 0, 0, 0, ebd.Beijing))
	for state, want := range map[ebd.BrdState]channels.Playing{
		ebd.NotHandled: channels.NotStarted, ebd.Waiting: channels.NotStarted, ebd.Playing: channels.InProgress,
		ebd.Succeeded: channels.Played, ebd.Failed: channels.PlayFailed, ebd.Cancelled: channels.PlayCancelled,
	} {
		answer = &ebd.EBMStateResponse{RptTime: at, EBMID: id, BrdStateCode: state, BrdStateDesc: "播发", Coverage: &ebd.Coverage{CoverageRate: "0.25", ResBrdStat: "1,2,3,40"}}
		got, err := reporter.Coverage(t.Context(), m)
		if err != nil || got.State != want || got.Rate != 0.25 || got.Reached != 43 || got.Detail != "播发" || !got.At.Equal(time.Time(at)) {
			t.Errorf("state %d: %+v, %v", state, got, err)
		}
	}
	answer = &ebd.EBMStateResponse{RptTime: at, EBMID: id, BrdStateCode: ebd.Playing}
	if got, err := reporter.Coverage(t.Context(), m); err != nil || got.Rate != -1 || got.Reached != 0 {
		t.Errorf("without coverage: %+v, %v", got, err)
	}
	for _, answer = range []ebd.Payload{
		&ebd.EBMStateResponse{RptTime: at, EBMID: ebd.MessageID(source, m.Sent, 4321), BrdStateCode: ebd.Playing},
		&ebd.Response{ResultCode: ebd.Received},
		&ebd.Response{ResultCode: ebd.OtherFailure},
		&ebd.EBMStateRequest{EBMID: id},
	} {
		if got, err := reporter.Coverage(t.Context(), m); err == nil {
			t.Errorf("%+v was read as %+v", answer, got)
		}
	}
}

// TestAuthority: the platform's TLS counts where somebody whom we know vouches for it, and else no byte leaves.
func TestAuthority(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := asked(t, r); p != nil {
			reply(t, w, p, &ebd.Response{ResultCode: ebd.OK}, nil)
		}
	}))
	s.Config.ErrorLog = zap.NewStdLog(zap.NewNop()) // a handshake that fails is what is wanted
	s.StartTLS()
	defer s.Close()
	file := filepath.Join(t.TempDir(), "authority.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	a := channels.AreaAccount{Name: "x", Address: s.URL, Source: source, Keys: map[string]string{"authority": file}}
	c := open(t, a)
	if o := c.Play(t.Context(), message()); o.Kind != channels.HandedOver {
		t.Errorf("with its authority: %+v", o)
	}
	a.Keys = nil
	stranger := open(t, a)
	if o := stranger.Play(t.Context(), message()); o.Kind != channels.Retry || o.Reason != channels.LinkDown || !strings.Contains(o.Detail, "certificate") {
		t.Errorf("without its authority: %+v", o)
	}
	for _, c := range []channels.AreaCarrier{c, stranger} {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestBadAccounts is what the suite does not know of this transport.
func TestBadAccounts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "pub.pem")
	if err := platform.WriteKey(private, public); err != nil {
		t.Fatal(err)
	}
	junk := file("junk.pem", "junk")
	for field, change := range map[string]func(*channels.AreaAccount){
		"account.address":          func(a *channels.AreaAccount) { a.Address = "ftp://platform/" },
		"account.address:":         func(a *channels.AreaAccount) { a.Address = "http://me:secret@platform/" },
		"account.source":           func(a *channels.AreaAccount) { a.Source = "1" },
		"account.target":           func(a *channels.AreaAccount) { a.Target = "1" },
		"account.user":             func(a *channels.AreaAccount) { a.Password = "secret" },
		"account.keys.private":     func(a *channels.AreaAccount) { a.Keys = map[string]string{"private": public} },
		"account.keys.certificate": func(a *channels.AreaAccount) { a.Keys = map[string]string{"certificate": public} },
		"account.keys.platform":    func(a *channels.AreaAccount) { a.Keys = map[string]string{"platform": junk} },
		"account.keys.authority":   func(a *channels.AreaAccount) { a.Keys = map[string]string{"authority": junk} },
	} {
		a := channels.AreaAccount{Name: "x", Address: "http://127.0.0.1:1/", Source: source, Statuses: []warning.Status{warning.Exercise}}
		change(&a)
		_, err := broadcast.Adapter{}.Open(a)
		if warning.ReasonOf(err) != warning.ReasonInvalid || !strings.Contains(err.Error(), strings.TrimSuffix(field, ":")) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
