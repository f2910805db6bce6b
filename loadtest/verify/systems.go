package verify

import "math"

// Outlines in the systems of Chinese maps are converted by formulas of which everybody has the last metre a little
// different: who lives nearer to such a line than blurred is judged neither way.
const blurred = 10 // e7: some 10 cm

func blurOf(crs string) int64 {
	if crs == "gcj02" || crs == "bd09" {
		return blurred
	}
	return 0
}

// in84 is a position of a system in WGS-84, which CGCS2000 is to a few centimetres.
func in84(lon, lat float64, crs string) point {
	switch crs {
	case "gcj02":
		lon, lat = undo(lon, lat, gcj)
	case "bd09":
		lon, lat = undo(lon, lat, func(x, y float64) (float64, float64) { return bd(gcj(x, y)) })
	}
	return degrees(lon, lat)
}

// undo finds what a shift sends to x, y: shifts are small and smooth, so that each step gains three digits.
func undo(x, y float64, shift func(x, y float64) (float64, float64)) (lon, lat float64) {
	lon, lat = x, y
	for range 8 {
		u, v := shift(lon, lat)
		lon, lat = lon+x-u, lat+y-v
	}
	return lon, lat
}

// gcj shifts a WGS-84 position as maps in China do: polynomials and waves around 105° E 35° N, on the ellipsoid of
// Krasovsky.
func gcj(lon, lat float64) (float64, float64) {
	const axis, ecc2 = 6378245.0, 0.00669342162296594323
	x, y := lon-105, lat-35
	wave := func(size, v float64) float64 { return size * math.Sin(v*math.Pi) * 2 / 3 }
	both := wave(20, 6*x) + wave(20, 2*x)
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + both +
		wave(20, y) + wave(40, y/3) + wave(160, y/12) + wave(320, y/30)
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + both +
		wave(20, x) + wave(40, x/3) + wave(150, x/12) + wave(300, x/30)
	sin, cos := math.Sincos(lat * math.Pi / 180)
	w := math.Sqrt(1 - ecc2*sin*sin)
	return lon + east*180/(axis/w*cos*math.Pi), lat + north*180/(axis*(1-ecc2)/(w*w*w)*math.Pi)
}

// bd twists a GCJ-02 position once more.
func bd(x, y float64) (float64, float64) {
	const turn = math.Pi * 3000 / 180
	r := math.Hypot(x, y) + 0.00002*math.Sin(y*turn)
	a := math.Atan2(y, x) + 0.000003*math.Cos(x*turn)
	sin, cos := math.Sincos(a)
	return r*cos + 0.0065, r*sin + 0.006
}

// disc is a circle on the ellipsoid. The contract leaves a ten-thousandth of the radius and 5 cm open.
type disc struct {
	centre    point
	radius    float64 // metres
	converted bool
}

func (d *disc) where(p point) place {
	inner, outer := d.radius, d.radius*1.0001+0.05
	if d.converted {
		inner, outer = inner-0.1, outer+0.1
	}
	switch m := metres(d.centre, p); {
	case m <= inner:
		return in
	case m <= outer:
		return edge
	}
	return out
}

func (d *disc) latitudes() (from, to int64) {
	reach := int64(d.radius/110_000*e7) + e7/1000 // a degree of latitude has 110,574 m and more
	return d.centre.y - reach, d.centre.y + reach
}

// metres is the distance of two places on the ellipsoid of WGS-84, by the inverse formula of Vincenty (1975). It serves
// up to some thousand kilometres.
func metres(p, q point) float64 {
	if p == q {
		return 0
	}
	const axis, flat = 6378137.0, 1 / 298.257223563
	const pole = axis * (1 - flat)
	radians := func(v int64) float64 { return float64(v) / e7 * math.Pi / 180 }
	l := radians(q.x - p.x)
	sin1, cos1 := math.Sincos(math.Atan((1 - flat) * math.Tan(radians(p.y))))
	sin2, cos2 := math.Sincos(math.Atan((1 - flat) * math.Tan(radians(q.y))))
	var sinS, cosS, s, cos2A, cosM float64
	lambda := l
	for range 100 {
		sinL, cosL := math.Sincos(lambda)
		sinS = math.Hypot(cos2*sinL, cos1*sin2-sin1*cos2*cosL)
		cosS = sin1*sin2 + cos1*cos2*cosL
		s = math.Atan2(sinS, cosS)
		sinA := cos1 * cos2 * sinL / sinS
		cos2A = 1 - sinA*sinA
		cosM = 0 // along the equator
		if cos2A > 0 {
			cosM = cosS - 2*sin1*sin2/cos2A
		}
		c := flat / 16 * cos2A * (4 + flat*(4-3*cos2A))
		before := lambda
		lambda = l + (1-c)*flat*sinA*(s+c*sinS*(cosM+c*cosS*(2*cosM*cosM-1)))
		if math.Abs(lambda-before) < 1e-13 {
			break
		}
	}
	u := cos2A * (axis*axis - pole*pole) / (pole * pole)
	a := 1 + u/16384*(4096+u*(-768+u*(320-175*u)))
	b := u / 1024 * (256 + u*(-128+u*(74-47*u)))
	d := b * sinS * (cosM + b/4*(cosS*(2*cosM*cosM-1)-b/6*cosM*(4*sinS*sinS-3)*(4*cosM*cosM-3)))
	return pole * a * (s - d)
}
