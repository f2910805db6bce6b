package warning

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// CoordinateSystems is the systems that a geometry may be given in. GCJ-02 is that of public web maps in China, BD-09
// that of Baidu; CGCS2000 is taken as WGS-84, from which the plate has drifted less than a metre since 2000.
var CoordinateSystems = []string{"wgs84", "gcj02", "bd09", "cgcs2000"}

// MinRadius and MaxRadius bound a circle, in metres.
const (
	MinRadius = 1
	MaxRadius = 200_000
)

// MaxFocusPoints is how many points the line of a focus may have.
const MaxFocusPoints = 1000

// MaxFrontSpeed is faster than any front moves, in metres a second.
const MaxFrontSpeed = 1000

// Focus is where the danger is or comes from: whoever is nearer to it, or is reached sooner, is told first.
type Focus struct {
	// Points is one place, or the corners of a line: a river, a fault, a front.
	Points []Point `json:"points"`
	CRS    string  `json:"crs"` // one of CoordinateSystems, never assumed
	// Speed makes the points a front that moves, in metres a second; 0: it stands.
	Speed float64 `json:"speed_m_per_s,omitempty"`
	// Bearing is where a front moves to: degrees from north over east, 0 to 360.
	Bearing float64 `json:"bearing_deg,omitempty"`
}

func (c *checks) focus(f *Focus) {
	if f == nil {
		return
	}
	if n := len(f.Points); n == 0 || n > MaxFocusPoints {
		c.add("focus.points", "focus.points", fmt.Sprintf("%d points", n), fmt.Sprintf("give one place, or up to %d corners of a line", MaxFocusPoints))
	}
	for i, p := range f.Points {
		if !p.onEarth() {
			c.add(fmt.Sprintf("focus.points[%d]", i), "focus.point", fmt.Sprintf("%v is not a position", p), "longitude is -180 to 180, latitude -90 to 90, in this order")
		}
	}
	c.crs("focus.crs", f.CRS)
	if !(f.Speed >= 0 && f.Speed <= MaxFrontSpeed) {
		c.add("focus.speed_m_per_s", "focus.speed", fmt.Sprintf("%v metres a second", f.Speed), fmt.Sprintf("give 0 to %d", MaxFrontSpeed))
	}
	if f.Speed > 0 && len(f.Points) == 1 {
		c.add("focus.points", "focus.front", "a front of one point", "give the ends of the front at least, or leave the speed out")
	}
	if !(f.Bearing >= 0 && f.Bearing <= 360) || f.Bearing != 0 && f.Speed == 0 {
		c.add("focus.bearing_deg", "focus.bearing", fmt.Sprintf("a bearing of %v degrees at %v metres a second", f.Bearing, f.Speed), "give 0 to 360 degrees from north over east, and a speed; or leave both out")
	}
}

// crs checks the name of a coordinate system.
func (c *checks) crs(field, name string) {
	if !slices.Contains(CoordinateSystems, name) {
		c.add(field, "area.crs", fmt.Sprintf("coordinate system %.20q", name), "say one of "+strings.Join(CoordinateSystems, ", ")+"; it is never assumed")
	}
}

func (c *checks) circle(field string, circle *Circle) {
	if !circle.Centre.onEarth() {
		c.add(field+".centre", "area.coordinate", fmt.Sprintf("%v is not a position", circle.Centre), "longitude is -180 to 180, latitude -90 to 90, in this order")
	}
	if !(circle.Radius >= MinRadius && circle.Radius <= MaxRadius) {
		c.add(field+".radius_m", "area.radius", fmt.Sprintf("a radius of %v metres", circle.Radius), fmt.Sprintf("give %d to %d metres", MinRadius, MaxRadius))
	}
}

// onEarth tells whether p is a longitude and a latitude.
func (p Point) onEarth() bool { return math.Abs(p[0]) <= 180 && math.Abs(p[1]) <= 90 }
