package picture_test

import (
	"bytes"
	"image/color"
	"image/png"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/geofence/picture"
)

func TestAPictureShowsTheAreaAndItsNeighbours(t *testing.T) {
	d, err := geofence.Draw(geofence.DefaultLimits(), geofence.UnitArea("500101", time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	var plain, counted bytes.Buffer
	if err := picture.WritePNG(&plain, d, "500101", nil); err != nil {
		t.Fatal(err)
	}
	if err := picture.WritePNG(&counted, d, "500101", map[uint32]int64{500101: 1234567, 500154: 3}); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(plain.Bytes(), counted.Bytes()) {
		t.Error("people are not shown")
	}
	img, err := png.Decode(&plain)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[color.Color]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			seen[color.NRGBAModel.Convert(img.At(x, y))]++
		}
	}
	for name, c := range map[string]color.NRGBA{"touched": {0xfb, 0xe7, 0xb2, 0xff}, "other": {0xf2, 0xf1, 0xec, 0xff}, "paper": {0xff, 0xff, 0xff, 0xff}} {
		if seen[c] < 10_000 {
			t.Errorf("%s units cover %d pixels", name, seen[c])
		}
	}
}
