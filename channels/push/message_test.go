package push

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

// drawn is a message that may be played.
func drawn(t *rapid.T) channels.AreaMessage {
	words := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r >= ' ' && (r < 0x7f || r > 0x9f) }))
	at := rapid.Int64Range(0, 4e9)
	return channels.AreaMessage{
		Warning: rapid.StringMatching(`[0-9A-Z]{26}`).Draw(t, "warning"), Version: rapid.IntRange(1, 1e6).Draw(t, "version"),
		Serial: rapid.Uint32Range(1, math.MaxUint32).Draw(t, "serial"), Status: rapid.SampledFrom([]warning.Status{1, 2, 3, 4}).Draw(t, "status"),
		Type: rapid.SampledFrom([]warning.Type{1, 2, 3, 4}).Draw(t, "type"), Tier: rapid.SampledFrom(warning.Tiers).Draw(t, "tier"),
		Event: words.Draw(t, "event"), EventName: words.Draw(t, "event name"), Issuer: words.Draw(t, "issuer"),
		Title: words.Draw(t, "title"), Text: words.Draw(t, "text") + "。", Language: "zh-CN",
		Units: rapid.SliceOfNDistinct(rapid.StringMatching(`[0-9]{12}`), 1, 5, rapid.ID).Draw(t, "units"),
		Sent:  time.Unix(at.Draw(t, "sent"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanos")), Expires: time.Unix(at.Draw(t, "expires")+1, 0),
		Related: rapid.Uint32Range(1, math.MaxUint32).Draw(t, "related"),
	}
}

// TestWordsSurvive: what is encoded is read as it was, a repeat is the same, and a stop is another message.
func TestWordsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		if all := faults(m); len(all) > 0 {
			t.Fatalf("refused: %v", all)
		}
		b, err := newPayload(m).encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := newPayload(m).encode(); !bytes.Equal(b, again) {
			t.Fatalf("a repeat differs")
		}
		var p payload
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		text, title := m.Text, m.Title
		if m.Status == warning.PublicDrill {
			text, title = marked(text), marked(title)
		}
		if p != *newPayload(m) || p.Text != text || p.Title != title || p.Drill != (m.Status != warning.Actual) {
			t.Fatalf("%+v is read as %+v", m, p)
		}
		stop := newStop(m)
		if stop.ID == p.ID || stop.Related != m.Serial || stop.Text != "" || stop.Title != "" {
			t.Fatalf("the stop is %+v", stop)
		}
		seen := map[string]bool{}
		for _, topic := range topics("a/b/", m) {
			if seen[topic] || strings.ContainsAny(topic, "+#") || !strings.HasPrefix(topic, "a/b/"+trees[m.Status]+"/") {
				t.Fatalf("topic %s", topic)
			}
			seen[topic] = true
		}
	})
}

// TestValidityNeverOutlives: whole seconds, rounded down, never below 0.
func TestValidityNeverOutlives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		left := time.Duration(rapid.Int64Range(-1e12, math.MaxInt64/2).Draw(t, "left"))
		got := time.Duration(validity(now.Add(left), now)) * time.Second
		if got > max(left, 0) || got < left-time.Second && got < math.MaxUint32*time.Second {
			t.Fatalf("%v left, %v told", left, got)
		}
	})
}

// TestFaultsAreNamed: each with its field.
func TestFaultsAreNamed(t *testing.T) {
	good := channels.AreaMessage{
		Warning: "01K0ZB6T8Q4M2N7V5XW9R3CDEF", Version: 1, Serial: 1, Status: warning.Actual, Type: warning.Alert, Tier: warning.Red,
		Event: "11B03", Text: "暴雨\n请避险", Units: []string{"500101000000"}, Expires: time.Now(),
	}
	if all := faults(good); len(all) > 0 {
		t.Fatal(all)
	}
	for field, change := range map[string]func(*channels.AreaMessage){
		"warning": func(m *channels.AreaMessage) { m.Warning = "a/#" }, "serial": func(m *channels.AreaMessage) { m.Serial = 0 },
		"type": func(m *channels.AreaMessage) { m.Type = 9 }, "related": func(m *channels.AreaMessage) { m.Type = warning.Cancel },
		"text": func(m *channels.AreaMessage) { m.Text = "" }, "title": func(m *channels.AreaMessage) { m.Title = "\xff" },
		"issuer": func(m *channels.AreaMessage) { m.Issuer = "a\x00" }, "expires": func(m *channels.AreaMessage) { m.Expires = time.Time{} },
		"units": func(m *channels.AreaMessage) { m.Units = nil }, "units[1]": func(m *channels.AreaMessage) { m.Units = append(m.Units, "50") },
	} {
		m := good
		change(&m)
		if all := faults(m); len(all) != 1 || !strings.HasPrefix(all[0], field+": ") {
			t.Errorf("%s: %v", field, all)
		}
	}
}

// TestDocumentedPayloadsAreOurs: each example of docs/push.md is what the sender makes of it.
func TestDocumentedPayloadsAreOurs(t *testing.T) {
	f, err := os.Open("../../docs/push.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "{") {
			continue
		}
		n++
		var p payload
		if err := json.Unmarshal(s.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if b, err := p.encode(); err != nil || string(b) != s.Text() {
			t.Errorf("documented: %s\nours:       %s %v", s.Text(), b, err)
		}
	}
	if n != 3 {
		t.Errorf("%d examples, not 3", n)
	}
}

// TestVerdicts: only a message that stands everywhere is handed over, one that stands somewhere is Unknown.
func TestVerdicts(t *testing.T) {
	ok := answer{kind: channels.HandedOver}
	deaf := answer{kind: channels.HandedOver, unheard: true}
	later := answer{kind: channels.Retry, reason: channels.Throttled, detail: "quota exceeded"}
	never := answer{kind: channels.Refused, reason: channels.NotAllowed}
	open := answer{kind: channels.Unknown, reason: channels.NoAnswer}
	for _, c := range []struct {
		given  []answer
		kind   channels.Kind
		reason channels.Reason
		detail string
	}{
		{[]answer{ok, deaf, ok}, channels.HandedOver, 0, "3 areas, nobody listens in 1"},
		{[]answer{never, later, never}, channels.Retry, channels.Throttled, "0 of 3 areas have it; : quota exceeded"},
		{[]answer{never, never}, channels.Refused, channels.NotAllowed, "0 of 2"},
		{[]answer{ok, never}, channels.Unknown, channels.NotAllowed, "1 of 2"},
		{[]answer{later, ok}, channels.Unknown, channels.Throttled, "1 of 2"},
		{[]answer{later, open, never}, channels.Unknown, channels.NoAnswer, "0 of 3"},
	} {
		answers := make(chan answer, len(c.given))
		for _, a := range c.given {
			answers <- a
		}
		if o := verdict(t.Context(), len(c.given), answers); o.Kind != c.kind || o.Reason != c.reason || !strings.HasPrefix(o.Detail, c.detail) {
			t.Errorf("%+v gives %+v", c.given, o)
		}
	}
	synctest.Test(t, func(t *testing.T) { // what has not answered in time
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answers := make(chan answer, 1)
		answers <- ok
		if o := verdict(ctx, 3, answers); o.Kind != channels.Unknown || o.Reason != channels.NoAnswer || !strings.HasPrefix(o.Detail, "1 of 3") {
			t.Errorf("half answered: %+v", o)
		}
	})
}

// TestPauseGrows: never zero, doubling, and never beyond the longest.
func TestPauseGrows(t *testing.T) {
	for n := range 100 {
		least := min(shortPause<<min(n, 6), longPause) / 2
		if d := pause(n); d < least || d > longPause {
			t.Errorf("attempt %d waits %v", n, d)
		}
	}
}
