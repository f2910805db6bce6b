package ebd

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"pgregory.net/rapid"
)

const (
	us   = "35000000000000101010101"
	them = "25000000000000101010101"
)

// keys is a private key, its public one and a certificate of it, as PEM.
func keys(t testing.TB) (private, public, certificate []byte) {
	t.Helper()
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &smx509.Certificate{SerialNumber: big.NewInt(0x1a2b), NotAfter: time.Now().Add(time.Hour)}
	secret, err1 := smx509.MarshalPKCS8PrivateKey(key)
	open, err2 := smx509.MarshalPKIXPublicKey(&key.PublicKey)
	cert, err3 := smx509.CreateCertificate(rand.Reader, template.ToX509(), template.ToX509(), &key.PublicKey, key)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	file := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	return file("PRIVATE KEY", secret), file("PUBLIC KEY", open), file("CERTIFICATE", cert)
}

func pair(t testing.TB) (*Signer, *Verifier) {
	t.Helper()
	private, public, certificate := keys(t)
	s, err := NewSigner(private, certificate)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func message() *Packet {
	sent := time.Date(2026, 6, 13, 8, 0, 0, 0, Beijing)
	sound := Media{"EBDR_red.mp3", []byte("sound")}
	m := &EBM{
		EBMVersion: "1.0", EBMID: MessageID(us, sent, 7), RelatedInfo: &RelatedInfo{MessageID(us, sent, 6)},
		MsgBasicInfo: MsgBasicInfo{MsgPlay, "重庆市气象台", us, Time(sent), "11B03", SeverityRed, Time(sent), Time(sent.Add(time.Hour))},
		MsgContent:   &MsgContent{"zho", "暴雨红色预警", "请立即转移。", Areas{"500101001000", "500101002000"}, []Auxiliary{AuxiliaryOf(sound)}},
	}
	return &Packet{ID: PacketID(m, us, 1), From: us, To: them, Time: sent, Payload: m, Media: []Media{sound}}
}

func TestIDs(t *testing.T) {
	late := time.Date(2026, 6, 13, 16, 0, 0, 0, time.UTC) // midnight in Beijing
	for _, c := range []struct{ got, want string }{
		{MessageID(us, late, 7), us + "202606140007"},
		{MessageID(us, late.Add(-time.Second), 7), us + "202606130007"},
		{MessageID(us, late, 120_007), us + "202606140007"},
		{PacketID(&ConnectionCheck{}, us, 5), "01" + us + "0000000000000005"},
		{PacketID(&EBM{}, us, 1781337600000000), "10" + us + "1781337600000000"},
		{PacketID(&EBMStateRequest{}, us, 1e16+3), "10" + us + "0000000000000003"},
		{FileName("x"), "EBDT_x.tar"},
		{Digest([]byte("abc")), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"}, // GM/T 0004, example 1
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	for s, want := range map[string]bool{us: true, us[1:]: false, us + "1": false, "0" + us[1:]: false, "x" + us[1:]: false, us + "\n": false} {
		if ValidEBRID(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// TestPacketsComeBack: what is encoded is decoded to the same, signed and unsigned, whatever the words.
func TestPacketsComeBack(t *testing.T) {
	signer, verifier := pair(t)
	words := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("暴雨<>&\"' \n\r\t🌧]")), rapid.Rune())).Filter(plain)
	moments := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).In(Beijing)
	})
	payloads := map[string]func(*rapid.T) (Payload, []Media){
		"check": func(t *rapid.T) (Payload, []Media) {
			return &ConnectionCheck{Time(moments.Draw(t, "report"))}, nil
		},
		"response": func(t *rapid.T) (Payload, []Media) {
			return &Response{Result(rapid.IntRange(0, 99).Draw(t, "result")), words.Draw(t, "desc")}, nil
		},
		"request": func(t *rapid.T) (Payload, []Media) {
			return &EBMStateRequest{MessageID(us, moments.Draw(t, "day"), rapid.Uint32().Draw(t, "n"))}, nil
		},
		"state": func(t *rapid.T) (Payload, []Media) {
			s := &EBMStateResponse{
				Time(moments.Draw(t, "report")), MessageID(us, moments.Draw(t, "day"), 1),
				BrdState(rapid.IntRange(0, 5).Draw(t, "state")), words.Draw(t, "desc"), nil,
			}
			if rapid.Bool().Draw(t, "covered") {
				s.Coverage = &Coverage{rapid.SampledFrom([]string{"", "0", "0.5", "1.0000"}).Draw(t, "rate"), "500101001000", rapid.SampledFrom([]string{"", "1,2,3,4"}).Draw(t, "ends")}
			}
			return s, nil
		},
		"message": func(t *rapid.T) (Payload, []Media) {
			p := message()
			m := p.Payload.(*EBM)
			from := moments.Draw(t, "from")
			b := &m.MsgBasicInfo
			b.SendTime, b.StartTime, b.EndTime = Time(from), Time(from), Time(from.Add(time.Duration(rapid.Int64Range(1, 1e6).Draw(t, "for"))*time.Second))
			b.MsgType, b.SenderName = MsgType(rapid.IntRange(1, 5).Draw(t, "type")), words.Draw(t, "sender")
			m.MsgContent.MsgTitle, m.MsgContent.MsgDesc = words.Draw(t, "title"), words.Draw(t, "desc")
			m.MsgContent.AreaCode = rapid.SliceOfNDistinct(rapid.StringMatching(`[0-9]{12}`), 1, 50, rapid.ID).Draw(t, "areas")
			p.Media[0].Data = rapid.SliceOf(rapid.Byte()).Draw(t, "sound")
			m.MsgContent.Auxiliary = []Auxiliary{AuxiliaryOf(p.Media[0])}
			if b.MsgType == MsgCancel {
				m.MsgContent = nil
				return m, nil
			}
			return m, p.Media
		},
	}
	for name, make := range payloads {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			payload, media := make(t)
			p := &Packet{
				ID: PacketID(payload, us, rapid.Uint64().Draw(t, "serial")), From: us, To: rapid.SampledFrom([]string{"", them}).Draw(t, "to"),
				Time: moments.Draw(t, "time"), Related: rapid.SampledFrom([]string{"", PacketID(&EBM{}, them, 1)}).Draw(t, "related"),
				Payload: payload, Media: media,
			}
			for i := range p.Media {
				if len(p.Media[i].Data) == 0 {
					p.Media[i].Data = []byte{}
				}
			}
			s, v := signer, verifier
			if rapid.Bool().Draw(t, "unsigned") {
				s, v = nil, nil
			}
			b, err := p.Encode(s)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Decode(b, v)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, p) {
				t.Fatalf("%+v came back as %+v", p.Payload, back.Payload)
			}
			if s == nil {
				if _, err := Decode(b, verifier); !errors.Is(err, ErrUnsigned) {
					t.Fatalf("an unsigned packet: %v", err)
				}
			}
		}))
	}
}

// rewrite takes a packet's tar apart, changes its files and packs them again.
func rewrite(t testing.TB, b []byte, change func(name string, data []byte) (string, []byte)) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		var data bytes.Buffer
		if _, err := data.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		name, changed := change(h.Name, data.Bytes())
		if name == "" {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(changed))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(changed); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestForgeriesAreRefused: no change of a signed packet passes, whatever is changed.
func TestForgeriesAreRefused(t *testing.T) {
	signer, verifier := pair(t)
	_, stranger := pair(t)
	b, err := message().Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b, stranger); !errors.Is(err, ErrSignature) {
		t.Errorf("the key of another: %v", err)
	}
	id := message().ID
	for what, c := range map[string]struct {
		change func(name string, data []byte) (string, []byte)
		want   error
	}{
		"words": {func(n string, d []byte) (string, []byte) {
			return n, bytes.ReplaceAll(d, []byte("请立即转移"), []byte("请不要转移"))
		}, ErrSignature},
		"signature gone": {func(n string, d []byte) (string, []byte) {
			if strings.HasPrefix(n, "EBDS") {
				return "", nil
			}
			return n, d
		}, ErrUnsigned},
		"signature of another packet": {func(n string, d []byte) (string, []byte) {
			if strings.HasPrefix(n, "EBDS") {
				d = bytes.ReplaceAll(d, []byte(id), []byte("01"+id[2:]))
			}
			return n, d
		}, ErrSignature},
		"signature by other means": {func(n string, d []byte) (string, []byte) {
			return n, bytes.ReplaceAll(d, []byte(">SM3<"), []byte(">MD5<"))
		}, ErrSignature},
		"signature that is none": {func(n string, d []byte) (string, []byte) {
			return n, bytes.ReplaceAll(d, []byte("<SignatureValue>"), []byte("<SignatureValue>!"))
		}, ErrSignature},
		"signature that is no document": {func(n string, d []byte) (string, []byte) {
			if strings.HasPrefix(n, "EBDS") {
				d = []byte("signed, me")
			}
			return n, d
		}, ErrSignature},
		"sound": {func(n string, d []byte) (string, []byte) {
			return n, bytes.ReplaceAll(d, []byte("sound"), []byte("songs"))
		}, nil},
	} {
		_, err := Decode(rewrite(t, b, c.change), verifier)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s changed: %v", what, err)
		}
	}
	for i := range b { // a changed bit is refused or changes nothing
		bent := bytes.Clone(b)
		bent[i] ^= 4
		if p, err := Decode(bent, verifier); err == nil && !reflect.DeepEqual(p, message()) {
			t.Fatalf("octet %d changed: %+v", i, p)
		}
	}
}

// TestBadPacketsAreRefused: in both directions, with the name of the field.
func TestBadPacketsAreRefused(t *testing.T) {
	for field, change := range map[string]func(*Packet, *EBM){
		"EBDID":          func(p *Packet, _ *EBM) { p.ID = "1" },
		"SRC":            func(p *Packet, _ *EBM) { p.From = "x" },
		"DEST":           func(p *Packet, _ *EBM) { p.To = "x" },
		"RelatedEBD":     func(p *Packet, _ *EBM) { p.Related = "x" },
		"EBDTime":        func(p *Packet, _ *EBM) { p.Time = time.Time{} },
		"payload":        func(p *Packet, _ *EBM) { p.Payload = nil },
		"EBMVersion":     func(_ *Packet, m *EBM) { m.EBMVersion = "" },
		"EBMID":          func(_ *Packet, m *EBM) { m.EBMID = us },
		"RelatedInfo":    func(_ *Packet, m *EBM) { m.MsgBasicInfo.MsgType, m.RelatedInfo = MsgCancel, nil },
		"MsgType":        func(_ *Packet, m *EBM) { m.MsgBasicInfo.MsgType = 0 },
		"MsgContent":     func(p *Packet, m *EBM) { m.MsgContent, p.Media = nil, nil },
		"SenderName":     func(_ *Packet, m *EBM) { m.MsgBasicInfo.SenderName = " " },
		"SenderCode":     func(_ *Packet, m *EBM) { m.MsgBasicInfo.SenderCode = "1" },
		"EventType":      func(_ *Packet, m *EBM) { m.MsgBasicInfo.EventType = "rain" },
		"Severity":       func(_ *Packet, m *EBM) { m.MsgBasicInfo.Severity = 5 },
		"EndTime":        func(_ *Packet, m *EBM) { m.MsgBasicInfo.EndTime = m.MsgBasicInfo.StartTime },
		"LanguageCode":   func(_ *Packet, m *EBM) { m.MsgContent.LanguageCode = "zh" },
		"MsgTitle":       func(_ *Packet, m *EBM) { m.MsgContent.MsgTitle = "" },
		"MsgDesc":        func(_ *Packet, m *EBM) { m.MsgContent.MsgDesc = "a\x01" },
		"AreaCode":       func(_ *Packet, m *EBM) { m.MsgContent.AreaCode = nil },
		"AuxiliaryType":  func(_ *Packet, m *EBM) { m.MsgContent.Auxiliary[0].AuxiliaryType = 1 },
		"AuxiliaryDesc":  func(_ *Packet, m *EBM) { m.MsgContent.Auxiliary[0].AuxiliaryDesc = "EBDR_../x" },
		"Size":           func(_ *Packet, m *EBM) { m.MsgContent.Auxiliary[0].Size = -1 },
		"Digest":         func(_ *Packet, m *EBM) { m.MsgContent.Auxiliary[0].Digest = "x" },
		"not as its":     func(_ *Packet, m *EBM) { m.MsgContent.Auxiliary[0].Size = 4 },
		"names 1":        func(p *Packet, _ *EBM) { p.Media = nil },
		"name of media":  func(p *Packet, _ *EBM) { p.Media[0].Name = "../x" },
		"no 4 digits":    func(_ *Packet, m *EBM) { m.MsgBasicInfo.EndTime = Time(time.Date(10000, 1, 1, 0, 0, 0, 0, Beijing)) },
		"AreaCode: 5001": func(_ *Packet, m *EBM) { m.MsgContent.AreaCode = Areas{"500101001000", "500101001000"} },
	} {
		p := message()
		change(p, p.Payload.(*EBM))
		if _, err := p.Encode(nil); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: encoded with %v", field, err)
		}
	}
	b, err := message().Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(from, to string) func(string, []byte) (string, []byte) {
		return func(n string, d []byte) (string, []byte) { return n, bytes.ReplaceAll(d, []byte(from), []byte(to)) }
	}
	for want, change := range map[string]func(string, []byte) (string, []byte){
		"EBDVersion":       swap("<EBDVersion>1.0", "<EBDVersion>9.9"),
		"EBDID":            swap("<EBDID>10", "<EBDID>01"),
		"EBDType":          swap("<EBDType>EBM<", "<EBDType>EBMStateRequest<"),
		"is not YYYY":      swap("<SendTime>2026-06-13", "<SendTime>2026-02-30"),
		"AreaCode":         swap("500101001000,", "500101001000，"),
		"xml:":             swap("</EBD>", ""),
		"follows":          swap("</EBD>", "</EBD><EBD></EBD>"),
		"is no file":       func(n string, d []byte) (string, []byte) { return strings.Replace(n, "EBDB_", "EBDX_", 1), d },
		"EBDB_<EBDID>.xml": func(n string, d []byte) (string, []byte) { return strings.Replace(n, "EBDB_", "EBDB_..", 1), d },
		"names 1": func(n string, d []byte) (string, []byte) {
			return map[bool]string{true: n}[strings.HasPrefix(n, "EBDB")], d
		},
		"more than 1048576": func(n string, d []byte) (string, []byte) { return n, append(d, make([]byte, MaxDocument)...) },
		"that of another pac": func(n string, d []byte) (string, []byte) {
			return strings.Replace(n, "EBDR_red.mp3", "EBDS_EBDB_1.xml", 1), d
		},
	} {
		bad := rewrite(t, b, change)
		if p, err := Decode(bad, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: decoded to %v, %v", want, p, err)
		}
	}
	if _, err := Decode(make([]byte, MaxPacket+1), nil); err == nil {
		t.Error("a packet beyond the limit was decoded")
	}
	var link bytes.Buffer
	w := tar.NewWriter(&link)
	err = w.WriteHeader(&tar.Header{Name: bodyName(message().ID), Typeflag: tar.TypeSymlink, Linkname: "x"})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(link.Bytes(), nil); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("a link: %v", err)
	}
	for n := range b { // a cut packet is refused, or whole but for its padding
		if p, err := Decode(b[:n], nil); err == nil && !reflect.DeepEqual(p, message()) {
			t.Fatalf("%d of %d octets were decoded to %+v", n, len(b), p)
		}
	}
}

func TestElementsThatWeDoNotKnowArePassedOver(t *testing.T) {
	b, err := message().Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	b = rewrite(t, b, func(n string, d []byte) (string, []byte) {
		return n, bytes.ReplaceAll(d, []byte("</MsgTitle>"), []byte("</MsgTitle><ProgramNum>1</ProgramNum><Vendor><A/></Vendor>"))
	})
	p, err := Decode(b, nil)
	if err != nil || !reflect.DeepEqual(p, message()) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCoverage(t *testing.T) {
	for rate, want := range map[string]float64{"": -1, "0": 0, "0.25": 0.25, "1": 1} {
		if f, err := (&Coverage{CoverageRate: rate}).Share(); f != want || err != nil {
			t.Errorf("%q: %v, %v", rate, f, err)
		}
	}
	for _, rate := range []string{"1.01", "-1", "NaN", "98%", "x"} {
		if f, err := (&Coverage{CoverageRate: rate}).Share(); err == nil {
			t.Errorf("%q: %v", rate, f)
		}
	}
	if n, err := (&Coverage{ResBrdStat: "1,2,3,4"}).Ends(); n != [4]int64{1, 2, 3, 4} || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	for _, ends := range []string{"1", "1,2,3", "1,2,3,4,5", "1,2,3,-4", "1,2,3,x"} {
		if n, err := (&Coverage{ResBrdStat: ends}).Ends(); err == nil {
			t.Errorf("%q: %v", ends, n)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	private, public, certificate := keys(t)
	_, _, other := keys(t)
	for what, err := range map[string]error{
		"no PEM":                 second(NewSigner([]byte("x"), nil)),
		"a public key to sign":   second(NewSigner(public, nil)),
		"a certificate that is":  second(NewSigner(private, public)),
		"another's certificate":  second(NewSigner(private, other)),
		"a private key to check": second(NewVerifier(private)),
		"no PEM to check":        second(NewVerifier(nil)),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if v, err := NewVerifier(certificate); err != nil || v == nil {
		t.Errorf("a certificate: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// FuzzDecode: what is decoded can be encoded and comes back the same.
func FuzzDecode(f *testing.F) {
	signer, _ := pair(f)
	for _, payload := range []Payload{message().Payload, &ConnectionCheck{}, &Response{ResultCode: 4, ResultDesc: "验签失败"}, &EBMStateRequest{MessageID(us, time.Now(), 1)}} {
		p := message()
		if _, ok := payload.(*EBM); !ok {
			p.Media = nil
		}
		p.ID, p.Payload = PacketID(payload, us, 1), payload
		b, err := p.Encode(signer)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b, nil)
		if err != nil {
			return
		}
		again, err := p.Encode(nil)
		if err != nil {
			t.Fatalf("%+v was decoded and cannot be encoded: %v", p, err)
		}
		back, err := Decode(again, nil)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Fatalf("%+v came back as %+v, %v", p, back, err)
		}
	})
}
