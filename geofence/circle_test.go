package geofence

import (
	"math"
	"math/rand/v2"
	"testing"

	"tocsin/warning"
)

// ground is the distance of two places on the ellipsoid in metres: the inverse problem, by Vincenty's other formula.
func ground(p, q warning.Point) float64 {
	const f = wgs84Flattening
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	l := rad(q[0] - p[0])
	sinU1, cosU1 := math.Sincos(math.Atan((1 - f) * math.Tan(rad(p[1]))))
	sinU2, cosU2 := math.Sincos(math.Atan((1 - f) * math.Tan(rad(q[1]))))
	lambda := l
	for range 100 {
		sinL, cosL := math.Sincos(lambda)
		sinS := math.Hypot(cosU2*sinL, cosU1*sinU2-sinU1*cosU2*cosL)
		if sinS == 0 {
			return 0
		}
		cosS := sinU1*sinU2 + cosU1*cosU2*cosL
		sigma := math.Atan2(sinS, cosS)
		sinA := cosU1 * cosU2 * sinL / sinS
		cos2A := 1 - sinA*sinA
		cosM := cosS - 2*sinU1*sinU2/cos2A
		c := f / 16 * cos2A * (4 + f*(4-3*cos2A))
		next := l + (1-c)*f*sinA*(sigma+c*sinS*(cosM+c*cosS*(-1+2*cosM*cosM)))
		if math.Abs(next-lambda) > 1e-14 {
			lambda = next
			continue
		}
		u2 := cos2A * (wgs84Axis*wgs84Axis - wgs84Pole*wgs84Pole) / (wgs84Pole * wgs84Pole)
		a := 1 + u2/16384*(4096+u2*(-768+u2*(320-175*u2)))
		b := u2 / 1024 * (256 + u2*(-128+u2*(74-47*u2)))
		return wgs84Pole * a * (sigma - b*sinS*(cosM+b/4*(cosS*(-1+2*cosM*cosM)-b/6*cosM*(-3+4*sinS*sinS)*(-3+4*cosM*cosM))))
	}
	return math.NaN()
}

// TestDistancesOnTheEllipsoid has known lengths: degrees of the meridian and of the equator.
func TestDistancesOnTheEllipsoid(t *testing.T) {
	for _, c := range []struct {
		p, q warning.Point
		want float64
	}{
		{warning.Point{0, 0}, warning.Point{0, 1}, 110574.389},
		{warning.Point{0, 45}, warning.Point{0, 46}, 111141.548},
		{warning.Point{10, 0}, warning.Point{11, 0}, 111319.491},
	} {
		if d := ground(c.p, c.q); math.Abs(d-c.want) > 0.002 {
			t.Errorf("%v to %v: %.4f m, want %.3f", c.p, c.q, d, c.want)
		}
	}
	r := seed(t)
	for range 2000 {
		p := warning.Point{360*r.Float64() - 180, 140*r.Float64() - 70}
		d := math.Pow(10, 6*r.Float64())
		if got := ground(p, away(p, 2*math.Pi*r.Float64(), d)); math.Abs(got-d) > 0.001 {
			t.Fatalf("%.4f m from %v is %.4f m away", d, p, got)
		}
	}
}

// TestACircleHoldsEverybodyWithinItsRadius, and nobody farther than was promised.
func TestACircleHoldsEverybodyWithinItsRadius(t *testing.T) {
	r := seed(t)
	for range 400 {
		c := warning.Circle{
			Centre: warning.Point{100 * (r.Float64() - 0.5), 130 * (r.Float64() - 0.5)},
			Radius: math.Exp(r.Float64() * math.Log(warning.MaxRadius)),
		}
		s, faults := verdict(around(c))
		if s == nil {
			t.Fatalf("%v: %v", c, faults)
		}
		near := 0
		for range 300 {
			p := aim(r, c)
			at := coord{int32(math.Round(p[0] * scale)), int32(math.Round(p[1] * scale))}
			d := ground(c.Centre, warning.Point{float64(at.x) / scale, float64(at.y) / scale})
			in := s.locate(at) != outside
			if d <= c.Radius && !in {
				t.Fatalf("%v: somebody %.4f m away is left out", c, d)
			}
			if d > c.Radius*1.0001+0.05 && in {
				t.Fatalf("%v: somebody %.4f m away is taken in", c, d)
			}
			if math.Abs(d-c.Radius) < c.Radius/1000+0.1 {
				near++
			}
		}
		if near < 50 {
			t.Fatalf("only %d places were near the line", near)
		}
	}
}

// aim is a place near the line of a circle, mostly.
func aim(r *rand.Rand, c warning.Circle) warning.Point {
	d := c.Radius
	switch r.IntN(3) {
	case 0:
		d *= 1 + 0.0002*(2*r.Float64()-1)
	case 1:
		d += 0.2 * (2*r.Float64() - 1)
	default:
		d *= 1.5 * r.Float64()
	}
	return away(c.Centre, 2*math.Pi*r.Float64(), max(0, d))
}
