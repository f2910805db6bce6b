package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"

	"tocsin/loadtest/carrierlog"
)

// world is a directory, warnings and logs that a test makes and spoils.
type world struct {
	t        *testing.T
	dir      string
	people   []string // lines of the directory
	warnings []*tocsinv1.Warning
	lines    map[string][]carrierlog.Line // by account
	texts    map[string]map[string]int
	rate     float64
	allowed  int64
}

var (
	release = time.Date(2026, 6, 13, 8, 0, 0, 0, time.UTC)
	expiry  = release.Add(6 * time.Hour)
)

const (
	chinese = "【重庆市气象台】暴雨橙色预警:未来三小时内渝中等地降雨量将达五十毫米以上,请注意防范山洪、滑坡等灾害,避免前往河谷低洼处,低洼地区居民请及时转移到安全地带。收到请转告家人和邻居。😀"
	english = "Orange rainstorm warning: more than 50 mm of rain within three hours. Keep away from rivers and slopes [low ground], and tell your family and neighbours. Stay inside until the warning has been lifted by the office."
)

// squares are two units of one degree each.
const squares = `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"adcode":500103},"geometry":{"type":"Polygon","coordinates":[[[106,29],[107,29],[107,30],[106,30],[106,29]]]}},
{"type":"Feature","properties":{"adcode":"500112"},"geometry":{"type":"MultiPolygon","coordinates":[[[[107,29],[108,29],[108,30],[107,30],[107,29]],[[107.4,29.4],[107.6,29.4],[107.6,29.6],[107.4,29.6],[107.4,29.4]]]]}}]}`

func newWorld(t *testing.T) *world {
	return &world{t: t, dir: t.TempDir(), lines: map[string][]carrierlog.Line{}, texts: map[string]map[string]int{}}
}

func (w *world) person(number int, lon, lat float64, language, duty, flags string) {
	n := ""
	if number > 0 {
		n = fmt.Sprint(99900000000 + number)
	}
	w.people = append(w.people, fmt.Sprintf("%s,%.7f,%.7f,500103,29000000,%s,%s,%s", n, lon, lat, language, duty, flags))
}

func (w *world) warn(id, unit string) *tocsinv1.Warning {
	x := &tocsinv1.Warning{
		Id: id, State: tocsinv1.State_STATE_COMPLETED, ReleasedAt: timestamppb.New(release),
		Spec: &tocsinv1.WarningSpec{
			Expires: timestamppb.New(expiry),
			Areas:   []*tocsinv1.Area{{Where: &tocsinv1.Area_Unit{Unit: unit}}},
			Words: []*tocsinv1.Words{
				{Language: "zh-CN", Kind: tocsinv1.Type_TYPE_ALERT, Text: chinese},
				{Language: "en", Kind: tocsinv1.Type_TYPE_ALERT, Text: english},
				{Language: "zh-CN", Kind: tocsinv1.Type_TYPE_CANCEL, Text: "更正"},
			},
		},
	}
	w.warnings = append(w.warnings, x)
	return x
}

// segments cuts words as a careful sender does.
func segments(words string) (coding int, out [][]byte) {
	if !strings.ContainsFunc(words, func(r rune) bool { return r > 0x7E }) {
		var one []byte
		flush := func() { out = append(out, one); one = nil }
		for _, r := range words {
			pair := []byte{byte(r)}
			switch r {
			case '[':
				pair = []byte{0x1B, 0x3C}
			case ']':
				pair = []byte{0x1B, 0x3E}
			}
			if len(one)+len(pair) > 153 {
				flush()
			}
			one = append(one, pair...)
		}
		flush()
		return 0, out
	}
	units := utf16.Encode([]rune(words))
	for len(units) > 0 {
		n := min(67, len(units))
		if n < len(units) && units[n-1]>>10 == 0xD800>>10 {
			n--
		}
		var b []byte
		for _, u := range units[:n] {
			b = append(b, byte(u>>8), byte(u))
		}
		out = append(out, b)
		units = units[n:]
	}
	return 8, out
}

// textNo is the number of a body in an account's log; its text line is written at the first use.
func (w *world) textNo(account string, coding int, body []byte) int {
	if w.texts[account] == nil {
		w.texts[account] = map[string]int{}
		w.lines[account] = append(w.lines[account], carrierlog.Line{Event: carrierlog.Start, Carrier: account, Version: carrierlog.Version})
	}
	key := fmt.Sprint(coding, body)
	n := w.texts[account][key]
	if n == 0 {
		n = len(w.texts[account]) + 1
		w.texts[account][key] = n
		w.lines[account] = append(w.lines[account], *carrierlog.TextLine(0, n, coding, body, ""))
	}
	return n
}

// hand writes that a person's words arrived; it gives the index of the first line.
func (w *world) hand(account string, number int, words string, at time.Time) int {
	coding, segs := segments(words)
	var nos []int
	for _, s := range segs {
		nos = append(nos, w.textNo(account, coding, s))
	}
	first := len(w.lines[account])
	for i := range segs {
		w.lines[account] = append(w.lines[account], carrierlog.Line{
			Event: carrierlog.Submit, Time: at.UnixNano() + int64(i), Link: 1, To: uint64(99900000000 + number), Ref: number & 255,
			Total: len(segs), Seq: i + 1, Text: nos[i], Until: w.until(words), ID: carrierlog.IDText(fmt.Sprintf("ID%018d", first+i)),
		})
	}
	return first
}

// until is when the warning with these words expires.
func (w *world) until(words string) int64 {
	for _, x := range w.warnings {
		for _, t := range x.GetSpec().GetWords() {
			if t.GetText() == words {
				return x.GetSpec().GetExpires().GetSeconds()
			}
		}
	}
	return expiry.Unix()
}

func (w *world) write(name string, b []byte) string {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) input() Input {
	w.t.Helper()
	in := Input{Outlines: []byte(squares), AllowedRepeats: w.allowed}
	in.Directory = w.write("directory.csv", []byte(header+"\n"+strings.Join(w.people, "\n")+"\n"))
	var ws []byte
	for _, x := range w.warnings {
		b, err := protojson.Marshal(x)
		if err != nil {
			w.t.Fatal(err)
		}
		ws = append(append(ws, b...), '\n')
	}
	in.Warnings = w.write("warnings.json", ws)
	for _, name := range []string{"mobile", "unicom"} {
		var b []byte
		if len(w.lines[name]) == 0 {
			continue
		}
		for i := range w.lines[name] {
			l := &w.lines[name][i]
			if l.Event == carrierlog.Submit {
				b = carrierlog.AppendSubmit(b, carrierlog.AppendSubmitHead(nil, l.Time, l.Link), l)
			} else {
				b = carrierlog.Append(b, l)
			}
		}
		in.Accounts = append(in.Accounts, Account{Name: name, MessagesPerS: w.rate, Logs: []string{w.write(name+".jsonl", b)}})
	}
	return in
}

func (w *world) run() Verdict {
	w.t.Helper()
	v, err := Run(w.input())
	if err != nil {
		w.t.Fatal(err)
	}
	if s := v.Sums; s.Expected != s.Got+s.Moved+s.Refused+s.Stopped+s.Lost {
		w.t.Fatalf("%d expected are not %d got + %d moved + %d refused + %d stopped + %d lost", s.Expected, s.Got, s.Moved, s.Refused, s.Stopped, s.Lost)
	}
	return v
}

// city is a world of 40 people in a unit, one more on its very corner, and others who are not to be told; everything
// arrived as it should, 10 people a second.
func city(t *testing.T) *world {
	w := newWorld(t)
	w.warn("W1", "500103")
	at := release.Add(30 * time.Millisecond)
	for i := 1; i <= 40; i++ {
		words, language := chinese, ""
		switch i % 4 {
		case 1:
			language = "zh-CN"
		case 2:
			language, words = "en", english
		}
		w.person(i, 106.1+0.02*float64(i), 29.5, language, "public", "")
		w.hand([]string{"mobile", "unicom"}[i%2], i, words, at)
		at = at.Add(100 * time.Millisecond)
	}
	w.person(41, 106, 29, "zh-CN", "public", "")
	w.hand("mobile", 41, chinese, at)
	w.person(42, 106.5, 29.5, "zh-CN", "responsible", "opted_out") // cannot
	w.hand("mobile", 42, chinese, at.Add(time.Millisecond))
	w.person(0, 106.5, 29.5, "", "", "")
	w.person(43, 106.5, 29.5, "zh-CN", "public", "opted_out")
	w.person(44, 107.5, 29.5, "zh-CN", "public", "")
	return w
}
