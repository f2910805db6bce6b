package geofence

import (
	"math"

	"tocsin/warning"
)

// wgs84 is the ellipsoid: half axes in metres and flattening.
const (
	wgs84Axis       = 6378137.0
	wgs84Flattening = 1 / 298.257223563
	wgs84Pole       = wgs84Axis * (1 - wgs84Flattening)
)

// around is the polygons that stand for a circle: circumscribed, so that nobody within the radius (measured on the
// ellipsoid) is left out, with so many corners that nobody farther than 1.0001 times the radius and 5 cm is taken in.
// It has up to 360 corners; small circles have fewer, since corners are rounded to a centimetre, and those near a pole
// more. There are two polygons where the date line cuts it.
func around(c warning.Circle) [][]warning.Ring {
	n := cornersAround(c.Radius)
	// Beyond the corner of a flat polygon, the allowance covers the rounding of corners and that a line which is straight
	// in degrees bends towards the pole or away from it.
	d := drawnCircle{Circle: c, reach: c.Radius*(1/math.Cos(math.Pi/float64(n))+4e-6) + 0.015}
	d.bend = c.Radius*4e-6 + 0.007
	d.line = append(d.line, d.corner(0))
	for i := range n {
		d.side(2*math.Pi*float64(i)/float64(n), 2*math.Pi*float64(i+1)/float64(n))
	}
	for i := range d.line { // a pole itself lies nowhere in particular on the plane
		d.line[i][1] = min(90-1/scale, max(-90+1/scale, d.line[i][1]))
	}
	return onThePlane(d.line, c.Centre)
}

// drawnCircle is the line around a circle while it is drawn.
type drawnCircle struct {
	warning.Circle
	reach, bend float64      // metres: of a corner from the centre, and by how much a side may be off
	line        warning.Ring // its longitudes go on beyond 180 degrees
}

// corner is the corner at a bearing.
func (d *drawnCircle) corner(bearing float64) warning.Point {
	p := away(d.Centre, bearing, d.reach)
	if n := len(d.line); n > 0 {
		p[0] = d.line[n-1][0] + math.Remainder(p[0]-d.line[n-1][0], 360)
	}
	return p
}

// side draws from one bearing to the next, with more corners between where a line that is straight in degrees would be
// off: near a pole.
func (d *drawnCircle) side(from, to float64) {
	p, q := d.line[len(d.line)-1], d.corner(to)
	straight := away(d.Centre, (from+to)/2, d.reach*math.Cos((to-from)/2))
	east := math.Remainder((p[0]+q[0])/2-straight[0], 360) * math.Cos(straight[1]*math.Pi/180)
	north := (p[1]+q[1])/2 - straight[1]
	wide := math.Abs(q[0]-p[0]) > 20
	switch short := (to-from)*d.reach < 1e-4; {
	case !short && (wide || math.Hypot(east, north)*scale/metre > d.bend):
		d.side(from, (from+to)/2)
		d.side((from+to)/2, to)
		return
	case short && wide: // half around the pole, which is as near as that
		d.line = append(d.line, warning.Point{(p[0] + q[0]) / 2, q[1]})
	}
	d.line = append(d.line, q)
}

// cornersAround is how many corners stand for a circle of so many metres.
func cornersAround(radius float64) int {
	if !(radius < warning.MaxRadius) { // also where it is no number
		radius = warning.MaxRadius
	}
	return int(min(360, max(16, math.Ceil(math.Sqrt(200*max(0, radius))))))
}

// away is the place at a distance in metres from p in the direction of bearing, radians from north over east: the direct
// problem on the ellipsoid (Vincenty, Survey Review 176, 1975), right to a millimetre.
func away(p warning.Point, bearing, distance float64) warning.Point {
	const f = wgs84Flattening
	sin1, cos1 := math.Sincos(bearing)
	tanU := (1 - f) * math.Tan(p[1]*math.Pi/180)
	cosU := 1 / math.Sqrt(1+tanU*tanU)
	sinU := tanU * cosU
	sigma1 := math.Atan2(tanU, cos1)
	sinA := cosU * sin1
	cos2A := 1 - sinA*sinA
	u2 := cos2A * (wgs84Axis*wgs84Axis - wgs84Pole*wgs84Pole) / (wgs84Pole * wgs84Pole)
	a := 1 + u2/16384*(4096+u2*(-768+u2*(320-175*u2)))
	b := u2 / 1024 * (256 + u2*(-128+u2*(74-47*u2)))
	sigma := distance / (wgs84Pole * a)
	var sin, cos, cosM float64
	for range 10 { // three are enough for the distances of a circle
		sin, cos = math.Sincos(sigma)
		cosM = math.Cos(2*sigma1 + sigma)
		step := b * sin * (cosM + b/4*(cos*(2*cosM*cosM-1)-b/6*cosM*(4*sin*sin-3)*(4*cosM*cosM-3)))
		next := distance/(wgs84Pole*a) + step
		done := math.Abs(next-sigma) < 1e-13
		if sigma = next; done {
			break
		}
	}
	sin, cos = math.Sincos(sigma)
	cosM = math.Cos(2*sigma1 + sigma)
	t := sinU*sin - cosU*cos*cos1
	lat := math.Atan2(sinU*cos+cosU*sin*cos1, (1-f)*math.Hypot(sinA, t))
	lambda := math.Atan2(sin*sin1, cosU*cos-sinU*sin*cos1)
	c := f / 16 * cos2A * (4 + f*(4-3*cos2A))
	lon := lambda - (1-c)*f*sinA*(sigma+c*sin*(cosM+c*cos*(2*cosM*cosM-1)))
	return warning.Point{p[0] + lon*180/math.Pi, lat * 180 / math.Pi}
}
