// Package picture draws areas over the outlines of the units, for people who want to see what a warning would cover.
package picture

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"git.sr.ht/~sbinet/gg"

	"tocsin/geofence"
	"tocsin/warning"
)

// Size of a picture in pixels, and of its parts.
const (
	width, height = 1400, 900
	listed        = 330 // width of the list at the right
	margin        = 24
	fewest        = 20 // people; fewer are not told (promise 10)
)

// WritePNG draws the area and the units around it, and lists the units that it touches; people is how many live in each
// of them, by code, or nil when nobody was counted.
func WritePNG(w io.Writer, d geofence.Drawing, title string, people map[uint32]int64) error {
	dc := gg.NewContext(width, height)
	dc.SetRGB(1, 1, 1)
	dc.Clear()
	v := viewOf(d)
	dc.SetFillRuleEvenOdd()
	for _, u := range d.Units {
		v.trace(dc, u.Outline)
		dc.SetHexColor("#f2f1ec")
		if u.Touched {
			dc.SetHexColor("#fbe7b2")
		}
		dc.FillPreserve()
		dc.SetHexColor("#8b8b86")
		dc.SetLineWidth(1)
		dc.Stroke()
	}
	v.trace(dc, d.Area)
	dc.SetRGBA(0.85, 0.1, 0.1, 0.35)
	dc.FillPreserve()
	dc.SetRGBA(0.75, 0.05, 0.05, 0.9)
	dc.SetLineWidth(1.5)
	dc.Stroke()
	if err := write(dc, v, d, title, people); err != nil {
		return err
	}
	return dc.EncodePNG(w)
}

// view is where degrees lie in the picture.
type view struct {
	west, north    float64
	perLon, perLat float64 // pixels a degree
}

// viewOf shows the area and a third of its size around it, and at least some kilometres.
func viewOf(d geofence.Drawing) view {
	low, high := warning.Point{math.Inf(1), math.Inf(1)}, warning.Point{math.Inf(-1), math.Inf(-1)}
	for _, line := range d.Area {
		for _, p := range line {
			for i := range p {
				low[i], high[i] = min(low[i], p[i]), max(high[i], p[i])
			}
		}
	}
	lat := (low[1] + high[1]) / 2
	shrink := math.Cos(lat * math.Pi / 180)
	across := max((high[0]-low[0])*shrink, 0.05) * 5 / 3
	up := max(high[1]-low[1], 0.05) * 5 / 3
	v := view{perLat: min((width-listed)/across, height/up)}
	v.perLon = v.perLat * shrink
	v.west = (low[0]+high[0])/2 - (width-listed)/2/v.perLon
	v.north = lat + height/2/v.perLat
	return v
}

func (v view) at(p warning.Point) (x, y float64) {
	return (p[0] - v.west) * v.perLon, (v.north - p[1]) * v.perLat
}

func (v view) trace(dc *gg.Context, lines [][]warning.Point) {
	for _, line := range lines {
		for i, p := range line {
			x, y := v.at(p)
			if i == 0 {
				dc.MoveTo(x, y)
			} else {
				dc.LineTo(x, y)
			}
		}
		dc.ClosePath()
	}
}

// write puts the words over the map: names at the seats, the list, and whose data these are. The font has no Chinese,
// so units are named by code and pinyin.
func write(dc *gg.Context, v view, d geofence.Drawing, title string, people map[uint32]int64) error {
	dc.SetRGB(1, 1, 1)
	dc.DrawRectangle(width-listed, 0, listed, height)
	dc.Fill()
	font := func(points float64) error { return dc.LoadFontFaceFromBytes(liberationsansregular.TTF, points) }
	if err := font(13); err != nil {
		return err
	}
	for _, u := range d.Units {
		x, y := v.at(u.Seat)
		if x < 0 || x > width-listed || y < 0 || y > height {
			continue
		}
		dc.SetHexColor("#333333")
		dc.DrawCircle(x, y, 2.5)
		dc.Fill()
		name := name(u)
		w, _ := dc.MeasureString(name)
		dc.DrawString(name, min(x+5, width-listed-w-4), y-5)
	}
	x, y := float64(width-listed+margin), 40.0
	dc.SetHexColor("#111111")
	if err := font(18); err != nil {
		return err
	}
	dc.DrawString(title, x, y)
	if err := font(13); err != nil {
		return err
	}
	touched := slices.DeleteFunc(slices.Clone(d.Units), func(u geofence.DrawnUnit) bool { return !u.Touched })
	y += 26
	dc.DrawString(fmt.Sprintf("touches %d of %d units", len(touched), len(d.Units)), x, y)
	y += 10
	for _, u := range touched {
		if y += 18; y > height-60 {
			dc.DrawString("…", x, y)
			break
		}
		dc.DrawString(fmt.Sprintf("%d  %s", u.Code, name(u)), x, y)
		if people != nil {
			dc.DrawStringAnchored(count(people[u.Code]), width-margin, y, 1, 0)
		}
	}
	if people != nil {
		var all int64
		for _, n := range people {
			all += n
		}
		dc.DrawString("people inside, by home", x, min(y+26, height-60))
		dc.DrawStringAnchored(count(all), width-margin, min(y+26, height-60), 1, 0)
	}
	dc.SetHexColor("#555555")
	dc.DrawString("© OpenStreetMap contributors", x, height-margin)
	return nil
}

func name(u geofence.DrawnUnit) string {
	if u.Pinyin != "" {
		return u.Pinyin
	}
	return strconv.Itoa(int(u.Code))
}

// count writes a number with commas; a few people are not told exactly.
func count(n int64) string {
	if n > 0 && n < fewest {
		return fmt.Sprintf("< %d", fewest)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
