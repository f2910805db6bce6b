package verify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// ring is a world with one warning for one district, that was played at a platform.
type ring struct {
	*world
	x     *tocsinv1.Warning
	log   []map[string]any
	again int // how often a commander asked for it again
}

func (r *ring) ebm(at time.Duration, set map[string]any) {
	l := map[string]any{
		"e": "ebm", "t": release.Add(at).UnixNano(), "ebm": "A", "n": 1, "type": 5, "text": chinese, "units": []string{"500103000000"}, "result": 1,
	}
	for k, v := range set {
		l[k] = v
	}
	r.log = append(r.log, l)
}

func (r *ring) push(at time.Duration, set map[string]any) {
	body, err := json.Marshal(map[string]any{"id": "W1-1-1", "type": "alert", "warning": "W1", "text": chinese})
	if err != nil {
		r.t.Fatal(err)
	}
	l := map[string]any{
		"e": "publish", "t": release.Add(at).UnixNano(), "topic": "exercise/500103000000/W1", "qos": 1, "retain": true, "taken": true,
		"body": json.RawMessage(body),
	}
	for k, v := range set {
		if l[k] = v; v == nil {
			delete(l, k)
		}
	}
	r.log = append(r.log, l)
}

// TestAreaChannels plants one fault each into a run in order.
func TestAreaChannels(t *testing.T) {
	second := time.Second
	cancelled := func(r *ring) {
		r.x.State, r.x.EndedAt = tocsinv1.State_STATE_CANCELLED, timestamppb.New(release.Add(10*second))
	}
	for _, c := range []struct {
		name    string
		channel tocsinv1.Channel
		happens func(r *ring)
		fault   string
	}{
		{"played and repeated", broadcast, func(r *ring) { r.again = 2; r.ebm(1*second, nil); r.ebm(2*second, nil); r.ebm(3*second, nil) }, ""},
		{"repeated once less than asked", broadcast, func(r *ring) { r.again = 2; r.ebm(1*second, nil); r.ebm(2*second, nil) }, "played 2 times, 3 were asked"},
		{"cancelled before all repeats", broadcast, func(r *ring) {
			r.again = 2
			cancelled(r)
			r.ebm(second, nil)
			r.ebm(11*second, map[string]any{"type": 2, "ebm": "E", "related": "A", "text": "", "units": nil})
		}, ""},
		{"never played", broadcast, func(r *ring) {}, "not played in 500103000000"},
		{"once too often", broadcast, func(r *ring) {
			r.again = 2
			for i := range 4 {
				r.ebm(time.Duration(i)*second, nil)
			}
		}, "played 4 times, 3 were asked"},
		{"another identity", broadcast, func(r *ring) { r.ebm(second, nil); r.ebm(2*second, map[string]any{"ebm": "B"}) }, "a repeat is B, the first was A"},
		{"outside", broadcast, func(r *ring) { r.ebm(second, map[string]any{"units": []string{"500103000000", "500112000000"}}) }, "played in 500112000000"},
		{"before the release", broadcast, func(r *ring) { r.ebm(-second, nil) }, "played before the release"},
		{"after the expiry", broadcast, func(r *ring) { r.ebm(second, nil); r.ebm(7*time.Hour, nil) }, "played after the expiry"},
		{"other words", broadcast, func(r *ring) { r.ebm(second, nil); r.ebm(second, map[string]any{"text": "别的"}) }, "message of no warning"},
		{"a broken packet", broadcast, func(r *ring) {
			r.ebm(second, nil)
			r.ebm(second, map[string]any{"e": "violation", "rule": "xml.missing"})
		}, "broke its format"},
		{"not taken, then taken", broadcast, func(r *ring) {
			r.ebm(second, map[string]any{"n": 0})
			r.ebm(2*second, nil)
		}, ""},
		{"cancelled and ended", broadcast, func(r *ring) {
			cancelled(r)
			r.ebm(second, nil)
			r.ebm(11*second, map[string]any{"type": 2, "ebm": "E", "related": "A", "text": "", "units": nil})
		}, ""},
		{"cancelled and never ended", broadcast, func(r *ring) { cancelled(r); r.ebm(second, nil) }, "never ended"},
		{"played after its end", broadcast, func(r *ring) {
			cancelled(r)
			r.ebm(second, nil)
			r.ebm(11*second, map[string]any{"type": 2, "ebm": "E", "related": "A", "text": "", "units": nil})
			r.ebm(12*second, nil)
		}, "played after the stop"},

		{"pushed", push, func(r *ring) { r.push(second, nil) }, ""},
		{"emptied, then pushed", push, func(r *ring) {
			r.push(second, map[string]any{"body": nil})
			r.push(second, nil)
		}, ""},
		{"never pushed", push, func(r *ring) { r.push(second, map[string]any{"taken": false}) }, "not played in 500103000000"},
		{"pushed outside", push, func(r *ring) {
			r.push(second, nil)
			r.push(second, map[string]any{"topic": "exercise/500112000000/W1"})
		}, "played in 500112000000"},
		{"pushed on the topic of another", push, func(r *ring) {
			r.push(second, nil)
			r.push(second, map[string]any{"topic": "exercise/500103000000/W9"})
		}, "the topic is of W9"},
		{"pushed other words", push, func(r *ring) {
			r.push(second, map[string]any{"body": json.RawMessage(`{"id":"W1-1-1","type":"alert","warning":"W1","text":"别的"}`)})
		}, "words are not those"},
		{"pushed against the rules", push, func(r *ring) { r.push(second, nil); r.push(second, map[string]any{"rule": "qos"}) }, "broke its format"},
		{"pushed, cancelled and emptied", push, func(r *ring) {
			cancelled(r)
			r.push(second, nil)
			r.push(11*second, map[string]any{"body": nil})
			r.push(11*second, map[string]any{"retain": false, "body": json.RawMessage(`{"id":"W1-1-1-stop","type":"stop","warning":"W1"}`)})
		}, ""},
		{"pushed, cancelled and left", push, func(r *ring) { cancelled(r); r.push(second, nil) }, "never ended"},
	} {
		r := &ring{world: newWorld(t)}
		r.x = r.warn("W1", "500103")
		r.x.Spec.Channels = []tocsinv1.Channel{c.channel}
		r.person(1, 106.5, 29.5, "zh-CN", "public", "")
		c.happens(r)
		in := r.input()
		in.Areas, in.Again = []AreaLog{r.file(c.channel)}, map[string]int{"W1/broadcast": r.again}
		v, err := Run(in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		wanted(t, c.name, v, c.fault)
	}
}

const (
	broadcast = tocsinv1.Channel_CHANNEL_BROADCAST
	push      = tocsinv1.Channel_CHANNEL_PUSH
)

func (r *ring) file(ch tocsinv1.Channel) AreaLog {
	var b strings.Builder
	b.WriteString(`{"e":"start","t":1,"version":1}` + "\n")
	for _, l := range r.log {
		line, err := json.Marshal(l)
		if err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", line)
	}
	return AreaLog{Name: "place", Channel: ch, Path: r.write("place.jsonl", []byte(b.String()))}
}

// TestADrawnAreaIsPlayedInTheDistrictsOfItsPeople: that of the person inside, not that of the one outside.
func TestADrawnAreaIsPlayedInTheDistrictsOfItsPeople(t *testing.T) {
	r := &ring{world: newWorld(t)}
	r.x = r.warn("W1", "500103")
	r.x.Spec.Channels = []tocsinv1.Channel{broadcast}
	r.x.Spec.Areas = []*tocsinv1.Area{{Where: &tocsinv1.Area_Geojson{
		Geojson: `{"type":"Polygon","coordinates":[[[106.4,29.4],[106.6,29.4],[106.6,29.6],[106.4,29.6],[106.4,29.4]]]}`,
	}}}
	r.person(1, 106.5, 29.5, "zh-CN", "public", "")
	r.people = append(r.people, "99900000002,107.5,29.2,500112,29000000,zh-CN,public,")
	r.ebm(time.Second, nil)
	in := r.input()
	in.Areas = []AreaLog{r.file(broadcast)}
	v, err := Run(in)
	if err != nil {
		t.Fatal(err)
	}
	wanted(t, "drawn", v, "")
	if a := v.Areas[0]; a.Played != 1 || len(a.Units) != 1 || a.TimeToFirstMS != 1000 {
		t.Errorf("%+v", a)
	}
}

// FuzzAreaLine feeds lines of both logs: a line that cannot be read is an error and never more.
func FuzzAreaLine(f *testing.F) {
	f.Add([]byte(`{"e":"ebm","t":1,"ebm":"A","n":1,"type":1,"text":"x","units":["500103000000"]}`))
	f.Add([]byte(`{"e":"publish","t":1,"topic":"warning/500103000000/W1","taken":true,"body":{"id":"i","type":"alert","warning":"W1","text":"x"}}`))
	f.Add([]byte(`{"e":"publish","topic":"a/b","taken":true,"body":"x"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, read := range []func([]byte) (*played, error){broadcastLine, pushLine} {
			if p, err := read(line); err != nil && p != nil {
				t.Fatal("a line that cannot be read tells something")
			}
		}
	})
}

// TestTheEndsOfThePlaneAreOnePlace: the meridian of 180 degrees lies at both, and a pole at every longitude.
func TestTheEndsOfThePlaneAreOnePlace(t *testing.T) {
	a, err := polygon([][][]float64{{{-180, 80}, {-170, 80}, {-170, 90}, {-180, 90}, {-180, 80}}}, "wgs84")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lon, lat float64
		want     place
	}{
		{180, 85, in}, {-180, 85, in}, {180, 80, in}, {179.9999999, 85, out}, {180, 79.9999999, out},
		{0, 90, in}, {180, 90, in}, {0, 89.9999999, out}, {0, -90, out},
	} {
		if got := a.where(degrees(c.lon, c.lat)); got != c.want {
			t.Errorf("%v, %v: %d, want %d", c.lon, c.lat, got, c.want)
		}
	}
}
