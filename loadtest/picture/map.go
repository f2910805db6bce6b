package picture

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"

	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// view is where degrees lie in the map.
type view struct {
	west, north    float64
	perLon, perLat float64 // pixels a degree
}

// viewOf shows all warnings with some country around them.
func (n *night) viewOf(x, y, wide, high float64) view {
	low, top := [2]float64{180, 90}, [2]float64{-180, -90}
	for _, d := range n.all {
		for _, ring := range d.outline {
			for _, p := range ring {
				for i := range p {
					low[i], top[i] = min(low[i], p[i]), max(top[i], p[i])
				}
			}
		}
	}
	lat := (low[1] + top[1]) / 2
	shrink := math.Cos(lat * math.Pi / 180)
	v := view{perLat: min(wide/max((top[0]-low[0])*shrink, 0.05), high/max(top[1]-low[1], 0.05)) / 1.06}
	v.perLon = v.perLat * shrink
	v.west = (low[0]+top[0])/2 - (x+wide/2)/v.perLon
	v.north = lat + (y+high/2)/v.perLat
	return v
}

func (v view) at(p [2]float64) (x, y float64) {
	return (p[0] - v.west) * v.perLon, (v.north - p[1]) * v.perLat
}

func (v view) trace(c *canvas, rings [][][2]float64) {
	for _, ring := range rings {
		for i, p := range ring {
			x, y := v.at(p)
			if i == 0 {
				c.MoveTo(x, y)
			} else {
				c.LineTo(x, y)
			}
		}
		c.ClosePath()
	}
}

func (n *night) drawMap(c *canvas, verdict *verify.Verdict) {
	const x, y, wide, high = margin, top, mapWidth, height - top - 60
	c.DrawRectangle(x, y, wide, high)
	c.Clip()
	v := n.viewOf(x, y, wide, high)
	c.SetFillRuleEvenOdd()
	for _, rings := range n.units {
		v.trace(c, rings)
		c.SetHexColor("#f4f3ef")
		c.FillPreserve()
		c.SetHexColor("#c9c7bf")
		c.SetLineWidth(1)
		c.Stroke()
	}
	for _, d := range n.all {
		v.trace(c, d.outline)
		p := d.paint
		c.SetRGBA255(int(p.R), int(p.G), int(p.B), 26)
		c.FillPreserve()
		c.SetRGBA255(int(p.R), int(p.G), int(p.B), 150)
		c.SetLineWidth(1.2)
		if d.GetSpec().GetTier() == pb.Tier_TIER_RED {
			c.SetLineWidth(2.5)
		}
		c.Stroke()
	}
	c.ResetClip()
	img, ok := c.Image().(*image.RGBA)
	if !ok {
		return
	}
	// The more urgent over the less, and what was a mistake over all: it is what people ask about.
	for _, last := range []bool{false, true} {
		for _, d := range n.all {
			if (d.kind == mistake) != last {
				continue
			}
			for _, home := range d.homes {
				px, py := v.at(home)
				if px < x || px >= x+wide || py < y || py >= y+high {
					continue
				}
				blend(img, int(px), int(py), d.paint, 0.55)
			}
		}
	}
	n.legend(c, verdict, x+14, y+high)
}

// legend says in words what the colours are.
func (n *night) legend(c *canvas, v *verify.Verdict, x, bottom float64) {
	lines := len(n.all)
	y := bottom - 16 - 27*float64(lines-1)
	c.SetRGBA(1, 1, 1, 0.88)
	c.DrawRoundedRectangle(x-8, y-26, 560, 27*float64(lines)+20, 6)
	c.Fill()
	// The most urgent first, and what was a mistake at the end.
	told := slices.SortedStableFunc(slices.Values(n.all), func(a, b *drawn) int {
		if (a.kind == mistake) != (b.kind == mistake) {
			if a.kind == mistake {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.GetSpec().GetTier(), b.GetSpec().GetTier())
	})
	for _, d := range told {
		c.SetColor(d.paint)
		c.DrawCircle(x+8, y-5, 7)
		c.Fill()
		c.font(16, true)
		c.SetColor(ink)
		name := title(d)
		c.DrawString(name, x+24, y)
		w, _ := c.MeasureString(name)
		c.font(16, false)
		c.DrawString("  "+n.outcome(d, v), x+24+w, y)
		y += 27
	}
}

func title(d *drawn) string {
	tier := tiers[d.GetSpec().GetTier()].name
	switch {
	case d.GetSpec().GetType() == pb.Type_TYPE_CANCEL:
		return "Correction of it"
	case d.kind == mistake:
		return "Wrong " + tier
	}
	return "The " + tier
}

func (n *night) outcome(d *drawn, v *verify.Verdict) string {
	for _, w := range v.Warnings {
		if w.Warnings[0] != d.GetId() {
			continue
		}
		l := w.Lanes[0]
		if l.Expected == 0 { // by flash message alone
			l = w.Lanes[1]
		}
		switch state := d.GetState(); {
		case l.Stopped > 0 && state == pb.State_STATE_CANCELLED:
			return fmt.Sprintf("%s people had it, %s were spared by the stop", count(l.Got), count(l.Stopped))
		case l.Stopped > 0:
			return fmt.Sprintf("%s of %s people until it was %s", count(l.Got), count(l.Expected), strings.ToLower(strings.TrimPrefix(state.String(), "STATE_")))
		}
		return fmt.Sprintf("%s of %s people, %s", count(l.Got), count(l.Expected), w.Beginning())
	}
	return ""
}
