package picture_test

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/loadtest/picture"
	"tocsin/loadtest/verify"
)

const square = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"adcode":500103},` +
	`"geometry":{"type":"Polygon","coordinates":[[[106,29],[107,29],[107,30],[106,30],[106,29]]]}}]}`

// TestAPictureShowsWhoWasReached: dots where people live, in the colour of the tier.
func TestAPictureShowsWhoWasReached(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	people, log := "number,lon,lat,home,seen,language,duty,flags\n", `{"e":"start","t":1,"carrier":"m","version":1}`+"\n"+`{"e":"text","t":1,"x":1,"coding":8,"hex":"66b496e8"}`+"\n"
	for i := range 400 {
		people += fmt.Sprintf("%d,106.%04d,29.%04d,500103,0,zh-CN,public,\n", 99900000000+i, 10*i+1000, 20*i+1000)
		log += fmt.Sprintf(`{"e":"submit","t":%d,"l":1,"to":%d,"ref":0,"n":1,"i":1,"x":1,"until":0,"st":0,"id":"I%d"}`+"\n", 1_781_337_600_000_000_000+i*50_000_000, 99900000000+i, i)
	}
	in := verify.Input{
		Directory: write("people.csv", people), Outlines: []byte(square),
		Warnings: write("w.json", `{"id":"W","state":"STATE_COMPLETED","releasedAt":"2026-06-13T08:00:00Z","spec":{"tier":"TIER_RED","type":"TYPE_ALERT",`+
			`"expires":"2026-06-13T20:00:00Z","areas":[{"unit":"500103"}],"channels":["CHANNEL_SMS"],`+
			`"words":[{"language":"zh-CN","kind":"TYPE_ALERT","text":"暴雨"}]}}`),
		Accounts: []verify.Account{{Name: "m", MessagesPerS: 25, Logs: []string{write("m.jsonl", log)}}},
	}
	path := filepath.Join(dir, "night.png")
	v, err := picture.Of(in, path)
	if err != nil || v.Got != 400 {
		t.Fatal(err, v.Faults, v.Got)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	red := 0
	for y := range img.Bounds().Dy() {
		for x := range 1000 { // the map
			if r, g, b, _ := img.At(x, y).RGBA(); r>>8 > 0xd0 && g>>8 < 0x90 && b>>8 < 0x90 {
				red++
			}
		}
	}
	if red < 300 {
		t.Errorf("%d red dots for 400 people", red)
	}
	if lines := strings.Join(v.Lines(), "\n"); !strings.Contains(lines, "expected 400, got 400") {
		t.Error(lines)
	}
}
