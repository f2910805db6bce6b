package picture

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"time"

	"tocsin/loadtest/verify"
)

// frame is a chart over time.
type frame struct {
	x, y, wide, high float64
	from, to         time.Time
}

func (f frame) at(t time.Time, share float64) (x, y float64) {
	return f.x + f.wide*float64(t.Sub(f.from))/float64(max(f.to.Sub(f.from), time.Second)), f.y + f.high*(1-share)
}

// tick is a line across a chart, at a share of its height.
type tick struct {
	share float64
	text  string
}

// axes draws the frame: the title, the lines across with their values, and the time below.
func (f frame) axes(c *canvas, title string, ticks []tick) {
	c.font(18, true)
	c.SetColor(ink)
	c.DrawString(title, f.x-50, f.y-18)
	c.font(13, false)
	for _, t := range ticks {
		_, y := f.at(f.from, t.share)
		c.SetHexColor("#e3e3e3")
		c.SetLineWidth(1)
		c.DrawLine(f.x, y, f.x+f.wide, y)
		c.Stroke()
		c.SetColor(faint)
		c.DrawStringAnchored(t.text, f.x-8, y, 1, 0.4)
	}
	for i := range 5 {
		at := f.from.Add(time.Duration(i) * f.to.Sub(f.from) / 4)
		x, _ := f.at(at, 0)
		c.DrawStringAnchored(clock(at), x, f.y+f.high+18, 0.5, 0)
	}
}

// drawPeople is people reached over time: a line for each warning and channel, cumulated, in thousands where many.
func (n *night) drawPeople(c *canvas, v *verify.Verdict, f frame) {
	type line struct {
		name  string
		paint color.RGBA
		dash  bool
		from  time.Time
		by    []int64
		sum   int64
	}
	var lines []line
	var most int64 = 1
	for _, d := range n.all {
		for _, w := range v.Warnings {
			if w.Warnings[0] != d.GetId() || w.FirstAt == nil {
				continue
			}
			for i, l := range w.Lanes {
				if l.Got == 0 {
					continue
				}
				x := line{title(d) + ", " + channelNames[l.Channel], d.paint, i > 0, *w.FirstAt, l.PeopleBySecond, l.Got}
				most = max(most, x.sum)
				lines = append(lines, x)
			}
		}
	}
	var ticks []tick
	for _, n := range []int64{0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000} {
		if n <= most {
			ticks = append(ticks, tick{scale(n, most), count(n)})
		}
	}
	f.axes(c, "People who have the whole text, by warning and channel (logarithmic)", ticks)
	slices.SortStableFunc(lines, func(a, b line) int { return int(b.sum - a.sum) })
	for i, l := range lines {
		c.SetColor(l.paint)
		c.SetLineWidth(2.5)
		c.SetDash()
		if l.dash {
			c.SetDash(7, 5)
		}
		var sum int64
		c.MoveTo(f.at(l.from, 0))
		for s, k := range l.by {
			sum += k
			c.LineTo(f.at(l.from.Add(time.Duration(s+1)*time.Second), scale(sum, most)))
		}
		c.LineTo(f.at(f.to, scale(sum, most)))
		c.Stroke()
		c.SetDash()
		// The names below the chart, in two columns.
		x, y := f.x+float64(i%2)*f.wide/2, f.y+f.high+44+22*float64(i/2)
		c.SetLineWidth(3)
		if l.dash {
			c.SetDash(7, 5)
		}
		c.DrawLine(x, y-4, x+26, y-4)
		c.Stroke()
		c.SetDash()
		c.font(14, false)
		c.SetColor(ink)
		c.DrawString(fmt.Sprintf("%s: %s", l.name, count(l.sum)), x+33, y)
	}
}

var channelNames = map[string]string{"sms": "SMS", "flash_sms": "flash SMS"}

// drawContracts is the use of each contract over time.
func (n *night) drawContracts(c *canvas, v *verify.Verdict, f frame) {
	f.axes(c, "Use of contract, each second, by carrier", []tick{{0, "0 %"}, {0.25, "25 %"}, {0.5, "50 %"}, {0.75, "75 %"}, {1, "100 %"}})
	for i, a := range v.Accounts {
		if a.FirstAt == nil || a.ContractPerS == 0 {
			continue
		}
		c.SetColor(carriers[i%len(carriers)])
		c.SetLineWidth(1.8)
		for s, k := range a.MessagesBySecond {
			x, y := f.at(a.FirstAt.Add(time.Duration(s)*time.Second+time.Second/2), min(1, float64(k)/a.ContractPerS))
			if s == 0 {
				c.MoveTo(x, y)
			} else {
				c.LineTo(x, y)
			}
		}
		c.Stroke()
		x, y := f.x, f.y+f.high+44+22*float64(i)
		c.SetLineWidth(3)
		c.DrawLine(x, y-4, x+26, y-4)
		c.Stroke()
		c.font(14, false)
		c.SetColor(ink)
		c.DrawString(fmt.Sprintf("%s: at most %s messages in any second, contract %s", a.Name, count(a.MaxInAnySecond), count(int64(a.ContractPerS))), x+33, y)
	}
}

// scale puts counts of a few people and of hundreds of thousands into one chart.
func scale(n, most int64) float64 { return math.Log1p(float64(n)) / math.Log1p(float64(most)) }
