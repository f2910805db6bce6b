package picture

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"slices"
	"strings"
	"time"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"git.sr.ht/~sbinet/gg"

	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// Of makes the verdict, and where path is not empty draws it there as PNG.
func Of(in verify.Input, path string) (verify.Verdict, error) {
	if path == "" {
		return verify.Run(in)
	}
	n, err := newNight(in)
	if err != nil {
		return verify.Verdict{}, err
	}
	in.Each = n.reach
	v, err := verify.Run(in)
	if err != nil {
		return v, err
	}
	return v, n.draw(&v, path)
}

// Size of a picture in pixels, and of its parts.
const (
	width, height = 1800, 1200
	mapWidth      = 1010
	margin        = 28
	top           = 96 // of map and charts
)

// kind is what a warning is shown as.
type kind struct {
	name  string
	paint color.RGBA
}

var (
	ink     = color.RGBA{0x22, 0x22, 0x22, 0xff}
	faint   = color.RGBA{0x6b, 0x6b, 0x6b, 0xff}
	mistake = kind{"wrong, corrected", color.RGBA{0x7b, 0x3f, 0xa8, 0xff}}
	tiers   = map[pb.Tier]kind{
		pb.Tier_TIER_RED: {"red", color.RGBA{0xd7, 0x19, 0x1c, 0xff}}, pb.Tier_TIER_ORANGE: {"orange", color.RGBA{0xf0, 0x7f, 0x13, 0xff}},
		pb.Tier_TIER_YELLOW: {"yellow", color.RGBA{0xd9, 0xb3, 0x00, 0xff}}, pb.Tier_TIER_BLUE: {"blue", color.RGBA{0x1f, 0x78, 0xb4, 0xff}},
		pb.Tier_TIER_NOTICE: {"notice", color.RGBA{0x80, 0x80, 0x80, 0xff}},
	}
	carriers = []color.RGBA{{0x1b, 0x7f, 0x79, 0xff}, {0x35, 0x4f, 0x9c, 0xff}, {0x9a, 0x52, 0x1f, 0xff}, {0x5a, 0x5a, 0x5a, 0xff}}
)

// drawn is one warning of the picture.
type drawn struct {
	*pb.Warning
	kind
	outline [][][2]float64
	at      []int64 // when people got it, Unix nanoseconds, by whichever channel
	homes   [][2]float64
}

// night is what a picture is made of.
type night struct {
	units map[string][][][2]float64 // outlines by code
	all   []*drawn
	by    map[string]*drawn
}

// outlines is every ring below coordinates, whatever the depth.
func outlines(raw json.RawMessage) (out [][][2]float64) {
	var ring [][2]float64
	if json.Unmarshal(raw, &ring) == nil {
		return [][][2]float64{ring}
	}
	var deeper []json.RawMessage
	if json.Unmarshal(raw, &deeper) == nil {
		for _, d := range deeper {
			out = append(out, outlines(d)...)
		}
	}
	return out
}

func newNight(in verify.Input) (*night, error) {
	n := &night{units: map[string][][][2]float64{}, by: map[string]*drawn{}}
	var edition struct {
		Features []struct {
			Properties struct {
				Adcode json.Number `json:"adcode"`
			} `json:"properties"`
			Geometry struct {
				Coordinates json.RawMessage `json:"coordinates"`
			} `json:"geometry"`
		} `json:"features"`
	}
	if err := json.Unmarshal(in.Outlines, &edition); err != nil {
		return nil, fmt.Errorf("picture: outlines: %w", err)
	}
	for _, f := range edition.Features {
		n.units[f.Properties.Adcode.String()] = outlines(f.Geometry.Coordinates)
	}
	ws, err := verify.ReadWarnings(in.Warnings)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	for _, w := range ws {
		d := &drawn{Warning: w, kind: tiers[w.GetSpec().GetTier()]}
		for _, a := range w.GetSpec().GetAreas() {
			d.outline = append(d.outline, n.areaOf(a)...)
		}
		n.all, n.by[w.GetId()] = append(n.all, d), d
	}
	for _, d := range n.all { // what was a mistake, and its correction
		if refs := d.GetSpec().GetReferences(); d.GetSpec().GetType() == pb.Type_TYPE_CANCEL && len(refs) > 0 && n.by[refs[0]] != nil {
			d.kind, n.by[refs[0]].kind = mistake, mistake
		}
	}
	slices.SortStableFunc(n.all, func(a, b *drawn) int { return int(b.GetSpec().GetTier()) - int(a.GetSpec().GetTier()) })
	return n, nil
}

func (n *night) areaOf(a *pb.Area) (out [][][2]float64) {
	switch w := a.GetWhere().(type) {
	case *pb.Area_Unit:
		return n.units[w.Unit]
	case *pb.Area_Geojson:
		var g struct {
			Coordinates json.RawMessage `json:"coordinates"`
		}
		if json.Unmarshal([]byte(w.Geojson), &g) == nil {
			return outlines(g.Coordinates)
		}
	case *pb.Area_Polygons:
		for _, p := range w.Polygons.GetParts() {
			for _, r := range p.GetRings() {
				var ring [][2]float64
				for _, q := range r.GetPoints() {
					ring = append(ring, [2]float64{q.GetLon(), q.GetLat()})
				}
				out = append(out, ring)
			}
		}
	}
	return out
}

func (n *night) reach(r verify.Reach) {
	d := n.by[r.Warning]
	d.at = append(d.at, r.At)
	d.homes = append(d.homes, [2]float64{float64(r.Lon) / 1e7, float64(r.Lat) / 1e7})
}

// canvas is a context with its faces loaded by size.
type canvas struct {
	*gg.Context
	err error
}

func (c *canvas) font(size float64, bold bool) {
	face := liberationsansregular.TTF
	if bold {
		face = liberationsansbold.TTF
	}
	if err := c.LoadFontFaceFromBytes(face, size); err != nil && c.err == nil {
		c.err = err
	}
}

func (n *night) draw(v *verify.Verdict, path string) error {
	c := &canvas{Context: gg.NewContext(width, height)}
	c.SetRGB(1, 1, 1)
	c.Clear()
	from, to := span(v)
	c.font(26, true)
	c.SetColor(ink)
	c.DrawString("Who was told, where and when", margin, 46)
	c.font(16, false)
	c.SetColor(faint)
	c.DrawString(fmt.Sprintf("%s to %s · %s", clock(from), clock(to), summary(v)), margin, 74)
	n.drawMap(c, v)
	left, wide := float64(mapWidth+2*margin+30), float64(width-mapWidth-4*margin-30)
	n.drawPeople(c, v, frame{left, top + 30, wide, 440, from, to})
	n.drawContracts(c, v, frame{left, top + 605, wide, 370, from, to})
	c.font(13, false)
	c.SetColor(faint)
	c.DrawString("© OpenStreetMap contributors. People are synthetic; a dot is somebody's home.", margin, height-18)
	if c.err != nil {
		return c.err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.EncodePNG(f); err != nil {
		return err
	}
	return f.Close()
}

// summary is the verdict in a line: no more than was judged.
func summary(v *verify.Verdict) string {
	if !v.OK {
		return strings.Join(v.Faults[:min(2, len(v.Faults))], "; ")
	}
	said := []string{"the logs of the carriers agree: nobody lost", "nobody twice"}
	if v.ExtraMessages > 0 {
		said[1] = count(v.ExtraMessages) + " messages repeated, as is allowed after a crash"
	}
	if !slices.ContainsFunc(v.Accounts, func(a verify.AccountVerdict) bool { return a.ContractPerS <= 0 }) {
		said = append(said, "no contract broken")
	}
	if len(v.NotJudged) > 0 {
		said = append(said, "some channels not judged")
	}
	return strings.Join(said, ", ")
}

// span is from the first arrival to the last.
func span(v *verify.Verdict) (from, to time.Time) {
	for _, a := range v.Accounts {
		if a.FirstAt == nil {
			continue
		}
		if from.IsZero() || a.FirstAt.Before(from) {
			from = *a.FirstAt
		}
		if a.LastAt.After(to) {
			to = *a.LastAt
		}
	}
	return from, to
}

func clock(t time.Time) string { return t.Local().Format("15:04:05") }

func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// blend lays a colour over a pixel.
func blend(img *image.RGBA, x, y int, p color.RGBA, share float64) {
	if !(image.Point{X: x, Y: y}).In(img.Rect) {
		return
	}
	at := img.RGBAAt(x, y)
	mix := func(a, b uint8) uint8 { return uint8(float64(a)*(1-share) + float64(b)*share) }
	img.SetRGBA(x, y, color.RGBA{mix(at.R, p.R), mix(at.G, p.G), mix(at.B, p.B), 0xff})
}
