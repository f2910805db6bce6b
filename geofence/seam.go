package geofence

import (
	"math"
	"slices"

	"tocsin/warning"
)

// A plane of longitude and latitude has seams that the earth has not: the meridian of 180 degrees lies at both of its
// ends, and each pole is a whole side of it. A shape is closed on both sides of a seam: whoever stands on the meridian
// stands at 180 and at -180, and whoever stands on a pole at every longitude.

const (
	dateLine = 180 * scale
	pole     = 90 * scale
)

// seam is where else on the plane the line of a shape lies: its stretches on one end of the meridian of 180 at the other
// end, and the whole side of a pole that it touches. Each stretch is there twice, so that it is a line on which people
// can stand and nothing beyond it.
func seam(sides []edge) (also []edge) {
	twice := func(e edge) { also = append(also, e, edge{e.b, e.a}) }
	north, south := false, false
	for _, e := range sides {
		north, south = north || e.a.y == pole, south || e.a.y == -pole
		if e.a.x == dateLine || e.a.x == -dateLine {
			to := e.a // where the side leaves the meridian, its corner alone
			if e.b.x == e.a.x {
				to = e.b
			}
			twice(edge{coord{-e.a.x, e.a.y}, coord{-to.x, to.y}})
		}
	}
	if north {
		twice(edge{coord{-dateLine, pole}, coord{dateLine, pole}})
	}
	if south {
		twice(edge{coord{-dateLine, -pole}, coord{dateLine, -pole}})
	}
	return also
}

// longWay tells whether a side leads over more than half of the longitudes, so that it may be meant the other way, over the
// date line. Once around the earth on one parallel has no other way.
func (e edge) longWay() bool {
	width := math.Abs(float64(e.b.x) - float64(e.a.x))
	return width > dateLine && !(width == 2*dateLine && e.a.y == e.b.y)
}

// onThePlane cuts a ring whose longitudes go on beyond 180 or -180 at that meridian, and adds the pole to a ring that leads
// around it; p is a place in it. A piece too thin for a position is left out.
func onThePlane(r warning.Ring, p warning.Point) (parts [][]warning.Ring) {
	first, last := r[0], r[len(r)-1]
	west, east := first[0], first[0]
	for _, q := range r {
		west, east = min(west, q[0]), max(east, q[0])
	}
	pieces := []warning.Ring{r}
	switch {
	case math.Abs(last[0]-first[0]) > 180:
		pieces[0] = aroundPole(r, math.Copysign(90, p[1]))
	case east > 180:
		pieces = halves(r, 180)
	case west < -180:
		pieces = halves(r, -180)
	}
	for _, piece := range pieces {
		if piece = tidy(piece); piece != nil {
			parts = append(parts, []warning.Ring{piece})
		}
	}
	return parts
}

// halves is what lies to the west and to the east of a meridian, the part beyond 180 degrees moved by 360.
func halves(r warning.Ring, meridian float64) (parts []warning.Ring) {
	for _, to := range [2]float64{-1, 1} {
		var out warning.Ring
		for i, q := range r[1:] {
			p := r[i]
			before, after := to*(p[0]-meridian), to*(q[0]-meridian)
			if before >= 0 {
				out = append(out, p)
			}
			if before > 0 && after < 0 || before < 0 && after > 0 {
				out = append(out, warning.Point{meridian, p[1] + (q[1]-p[1])*before/(before-after)})
			}
		}
		if to*meridian > 0 {
			for i := range out {
				out[i][0] -= math.Copysign(360, meridian)
			}
		}
		parts = append(parts, append(out, out[0]))
	}
	return parts
}

// tidy is a closed ring on the grid of positions, without the spikes that rounding makes of what is thinner than that; nil
// when it has no surface there.
func tidy(r warning.Ring) warning.Ring {
	var corners ring
	for _, p := range r[:len(r)-1] {
		corners = append(corners, coordOf(p))
	}
	for i, kept := 0, 0; kept < len(corners) && len(corners) > 2; {
		n := len(corners)
		a, b, d := corners[(i+n-1)%n], corners[i%n], corners[(i+1)%n]
		if b == d || side(a, b, d) == 0 && turnsBack(a, b, d) {
			corners = slices.Delete(corners, i%n, i%n+1)
			i, kept = i%n+n-2, 0 // the corner before may be one now
			continue
		}
		i, kept = i%n+1, kept+1
	}
	if len(corners) < 3 || flat(corners) {
		return nil
	}
	out := make(warning.Ring, 0, len(corners)+1)
	for _, c := range append(corners, corners[0]) {
		out = append(out, c.point())
	}
	return out
}

// aroundPole is a ring that leads once around the pole at a latitude, as the surface between it and the pole.
func aroundPole(r warning.Ring, latitude float64) warning.Ring {
	r = r[:len(r)-1]
	if r[len(r)-1][0] < r[0][0] {
		reversed := make(warning.Ring, len(r))
		for i, p := range r {
			reversed[len(r)-1-i] = p
		}
		r = reversed
	}
	// The first corner to the east of the date line begins.
	turned := func(p warning.Point) warning.Point { return warning.Point{p[0] - 360*math.Floor((p[0]+180)/360), p[1]} }
	begin := 0
	for i, p := range r {
		if turned(p)[0] < turned(r[begin])[0] {
			begin = i
		}
	}
	out := warning.Ring{{}}
	for i := range r {
		out = append(out, turned(r[(begin+i)%len(r)]))
	}
	a, b := out[len(out)-1], out[1]
	at := a[1] + (b[1]-a[1])*(180-a[0])/(b[0]+360-a[0])
	out[0] = warning.Point{-180, at}
	return append(out, warning.Point{180, at}, warning.Point{180, latitude}, warning.Point{-180, latitude}, out[0])
}
