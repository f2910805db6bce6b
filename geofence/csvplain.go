package geofence

import "tocsin/warning"

// plain reads a line from its start to its end without looking at a character twice. It knows the form that nearly all
// rows have; of any other it is not ok, and parseRow reads the line again and says what is the matter, if anything is.
type plain struct {
	line []byte // what is left of it
	ok   bool
}

// plainRow reads a line into row i of c; false where parseRow must.
func plainRow(line []byte, c *Columns, i int) bool {
	p := plain{line, true}
	c.Number[i] = p.digits(15)
	p.comma()
	c.Lon[i] = p.degrees()
	p.comma()
	c.Lat[i] = p.degrees()
	p.comma()
	c.Home[i] = uint32(p.digits(9))
	p.comma()
	c.Seen[i] = uint32(p.digits(9))
	p.comma()
	c.Language[i] = p.name(warning.Languages)
	p.comma()
	c.Duty[i] = p.name(dutyNames)
	p.comma()
	c.Flags[i] = 0
	if !p.ok || len(p.line) > 0 {
		return false
	}
	_, bad := c.badRow(i)
	return !bad
}

// digits is a number of at most so many digits; none is 0.
func (p *plain) digits(most int) (v uint64) {
	n := 0
	for _, char := range p.line {
		d := char - '0'
		if d > 9 {
			break
		}
		v = v*10 + uint64(d)
		n++
	}
	p.line = p.line[n:]
	p.ok = p.ok && n <= most
	return v
}

// degrees is an angle with a point and up to seven decimals.
func (p *plain) degrees() int32 {
	sign := int64(1)
	if len(p.line) > 0 && p.line[0] == '-' {
		sign, p.line = -1, p.line[1:]
	}
	before := len(p.line)
	v := int64(p.digits(3))
	if len(p.line) == before || len(p.line) == 0 || p.line[0] != '.' {
		p.ok = false
		return 0
	}
	p.line = p.line[1:]
	before = len(p.line)
	decimals := int64(p.digits(7))
	for n := before - len(p.line); n < 7; n++ {
		decimals *= 10
	}
	v = v*scale + decimals
	p.ok = p.ok && v <= 180*scale
	return int32(sign * v)
}

func (p *plain) comma() {
	if len(p.line) == 0 || p.line[0] != ',' {
		p.ok = false
		return
	}
	p.line = p.line[1:]
}

// name is where what is before the next comma stands among names.
func (p *plain) name(names []string) uint8 {
	for i, n := range names {
		if len(p.line) > len(n) && p.line[len(n)] == ',' && string(p.line[:len(n)]) == n {
			p.line = p.line[len(n):]
			return uint8(i)
		}
	}
	p.ok = false
	return 0
}
