package pdu

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// vectors is whole PDUs of another implementation, by name.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/smpp34.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]byte{}
	for line := range strings.Lines(string(raw)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		if m[name[strings.Index(name, ":")+1:]], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestVectors(t *testing.T) {
	all := vectors(t)
	tests := []struct {
		name  string
		again func(PDU) ([]byte, error) // parses and encodes; nil: the header is all
	}{
		{"BindTestSuite", func(p PDU) ([]byte, error) {
			b, err := ParseBind(p.Body)
			if err != nil {
				return nil, err
			}
			return AppendBind(nil, p.Command, p.Sequence, b)
		}},
		{"BindRespTestSuite", func(p PDU) ([]byte, error) {
			id, err := ParseBindResp(p.Body)
			if err != nil {
				return nil, err
			}
			return AppendBindResp(nil, p.Command, p.Sequence, id)
		}},
		{"DeliverSmTestSuite", againSM},
		{"DeliverSmRespTestSuite", func(p PDU) ([]byte, error) { return AppendDeliverResp(nil, p.Status, p.Sequence), nil }},
		{"EnquireLinkTestSuite", againHeader},
		{"GenericNackTestSuite", againHeader},
		{"SubmitSmTestSuite", againSM},
		{"SubmitSmRespTestSuite", func(p PDU) ([]byte, error) {
			id, err := ParseSubmitResp(p.Body)
			if err != nil {
				return nil, err
			}
			return AppendSubmitResp(nil, p.Sequence, id)
		}},
		{"UnbindTestSuite", againHeader},
		{"UnbindRespTestSuite", againHeader},
	}
	if len(tests) != len(all) {
		t.Errorf("%d vectors are checked of %d", len(tests), len(all))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := all[tt.name]
			c := NewCutter()
			c.Filled(copy(c.Space(), raw))
			p, ok := c.Next()
			if !ok || int(p.Length) != len(raw) {
				t.Fatalf("not cut: %v", c.Fault())
			}
			got, err := tt.again(p)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, raw) {
				t.Errorf("got  %x\nwant %x", got, raw)
			}
		})
	}
}

func againHeader(p PDU) ([]byte, error) {
	return AppendHeader(nil, p.Command, p.Status, p.Sequence), nil
}

func againSM(p PDU) ([]byte, error) {
	var sm SM
	if err := ParseSM(p.Body, &sm); err != nil {
		return nil, err
	}
	return AppendSM(nil, p.Command, p.Sequence, &sm)
}

func octets(min, max int) *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.ByteRange(1, 255), min, max)
}

func anySM() *rapid.Generator[SM] {
	return rapid.Custom(func(t *rapid.T) SM {
		b := func(name string) byte { return rapid.Byte().Draw(t, name) }
		when := rapid.SampledFrom([][]byte{{}, []byte("261124213400000+")})
		sm := SM{
			ServiceType: octets(0, 5).Draw(t, "service"), SourceTON: b("ston"), SourceNPI: b("snpi"),
			Source: octets(0, 20).Draw(t, "source"), DestTON: b("dton"), DestNPI: b("dnpi"),
			Dest: octets(0, 20).Draw(t, "dest"), Class: b("class"), Protocol: b("protocol"), Priority: b("priority"),
			Schedule: when.Draw(t, "schedule"), Validity: when.Draw(t, "validity"),
			Registered: b("registered"), Replace: b("replace"), Coding: b("coding"), DefaultMessage: b("default"),
			Text: rapid.SliceOfN(rapid.Byte(), 0, 254).Draw(t, "text"), Optional: []byte{},
		}
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			tag := Tag(rapid.Uint16Range(0, 0x400).Draw(t, "tag"))
			sm.Optional = AppendOptional(sm.Optional, tag, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value"))
		}
		return sm
	})
}

func TestSMRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anySM().Draw(t, "sm")
		raw, err := AppendSM(nil, DeliverSM, 7, &want)
		if err != nil {
			t.Fatal(err)
		}
		var got SM
		if err := ParseSM(raw[HeaderSize:], &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		// Every shorter body is refused, but where it ends between two optional parameters.
		ends := map[int]bool{}
		for at, rest := len(raw)-len(want.Optional), want.Optional; len(rest) > 0; {
			ends[at] = true
			n := 4 + int(rest[2])<<8 + int(rest[3])
			at, rest = at+n, rest[n:]
		}
		for n := HeaderSize; n < len(raw); n++ {
			if err := ParseSM(raw[HeaderSize:n], &got); (err == nil) != ends[n] {
				t.Fatalf("cut to %d of %d octets: %v", n, len(raw), err)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte{'9'}, n) }
	for field, sm := range map[string]SM{
		"service_type":           {ServiceType: long(6)},
		"source_addr":            {Source: long(21)},
		"destination_addr":       {Dest: long(21)},
		"schedule_delivery_time": {Schedule: long(15)},
		"validity_period":        {Validity: long(17)},
		"short_message":          {Text: long(255)},
	} {
		kept := []byte("kept")
		got, err := AppendSM(kept, SubmitSM, 1, &sm)
		var f *Fault
		if !errors.As(err, &f) || f.Field != field {
			t.Errorf("%s: error %v", field, err)
		}
		if string(got) != "kept" {
			t.Errorf("%s: half a PDU was left: %q", field, got)
		}
	}
	if _, err := AppendBind(nil, BindTransceiver, 1, Bind{Password: long(9)}); err == nil {
		t.Error("a password of nine octets was taken")
	}
	if _, err := AppendSubmitResp(nil, 1, long(65)); err == nil {
		t.Error("a message_id of 65 octets was taken")
	}
	if _, err := AppendSM(nil, SubmitSM, 1, &SM{Dest: []byte("9\x009")}); err == nil {
		t.Error("a zero inside a string was taken")
	}
	both, err := AppendSM(nil, SubmitSM, 1, &SM{Text: []byte("a"), Optional: AppendOptional(nil, MessagePayload, []byte("b"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := ParseSM(both[HeaderSize:], new(SM)); err == nil || !strings.Contains(err.Error(), "message_payload") {
		t.Errorf("short_message and message_payload together: %v", err)
	}
}

func TestTemplateIsTheSameAsAppendSM(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sm := anySM().Draw(t, "sm")
		seq := rapid.Uint32Range(1, MaxSequence).Draw(t, "seq")
		number := rapid.Uint64Range(0, 999_999_999_999_999).Draw(t, "number")
		ref := rapid.Byte().Draw(t, "ref")
		refAt := -1
		if len(sm.Text) > 0 && rapid.Bool().Draw(t, "joined") {
			refAt = rapid.IntRange(0, len(sm.Text)-1).Draw(t, "refAt")
		}
		sm.Dest = nil
		tpl, err := NewTemplate(&sm, refAt)
		if err != nil {
			t.Fatal(err)
		}
		got := tpl.Append([]byte("before"), seq, number, ref)
		sm.Dest = appendNumber(nil, number)
		if refAt >= 0 {
			sm.Text = bytes.Clone(sm.Text)
			sm.Text[refAt] = ref
		}
		want, err := AppendSM([]byte("before"), SubmitSM, seq, &sm)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
		if len(got)-len("before") > tpl.MaxSize() {
			t.Fatalf("%d octets, said at most %d", len(got)-len("before"), tpl.MaxSize())
		}
	})
	if _, err := NewTemplate(&SM{Text: []byte("abc")}, 3); err == nil {
		t.Error("a reference after the end of the text was taken")
	}
}

func appendNumber(dst []byte, n uint64) []byte {
	if n >= 10 {
		dst = appendNumber(dst, n/10)
	}
	return append(dst, '0'+byte(n%10))
}

func TestAbsoluteTime(t *testing.T) {
	chongqing := time.FixedZone("", 8*3600)
	for want, at := range map[string]time.Time{
		"261231235959900+": time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"270101000000000+": time.Date(2027, 1, 1, 8, 0, 0, 0, chongqing),
		"240229040506700+": time.Date(2024, 2, 29, 4, 5, 6, 700_000_000, time.UTC),
	} {
		if got := string(AbsoluteTime(at)); got != want {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		SubmitSM.String(): "submit_sm", DeliverSMResp.String(): "deliver_sm_resp", GenericNack.String(): "generic_nack",
		Command(0x103).String(): "command 0x00000103", Throttled.String(): "ESME_RTHROTTLED (0x58)",
		Status(0x400).String(): "vendor's status (0x400)", Status(0x09).String(): "reserved status (0x09)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
