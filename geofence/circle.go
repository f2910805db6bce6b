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

// around is the polygon that stands for a circle: circumscribed, so that nobody within the radius (measured on the
// ellipsoid) is left out, with so many corners that nobody farther than 1.0001 times the radius and 5 cm is taken in.
// It has up to 360 corners; small circles have fewer, since corners are rounded to a centimetre.
func around(c warning.Circle) warning.Ring {
	n := cornersAround(c.Radius)
	// Beyond the corner of a flat polygon, the allowance covers the rounding of corners and that a line which is straight
	// in degrees bends towards the pole or away from it.
	reach := c.Radius*(1/math.Cos(math.Pi/float64(n))+4e-6) + 0.015
	r := make(warning.Ring, n+1)
	for i := range n {
		r[i] = away(c.Centre, 2*math.Pi*float64(i)/float64(n), reach)
	}
	r[n] = r[0]
	return r
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
