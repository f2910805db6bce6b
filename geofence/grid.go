package geofence

// gridSide is how many cells a grid has on each side: most look-ups of a unit then end in a cell without a border.
const gridSide = 128

// The cells of a grid hold the index of the unit that covers the whole cell, or one of these.
const (
	cellOutside uint8 = 255 - iota
	cellBorder
)

// grid finds the unit around a position without looking at outlines where no border is near.
type grid struct {
	box   box
	cells []uint8
}

func newGrid(e *Edition) grid {
	g := grid{box: e.box, cells: make([]uint8, gridSide*gridSide)}
	for i := range g.cells {
		g.cells[i] = cellOutside
	}
	for _, u := range e.Units {
		if u.outline == nil {
			continue
		}
		for _, s := range u.outline.tree.sides {
			b := s.box()
			x0, y0 := g.cell(b.min)
			x1, y1 := g.cell(b.max)
			for y := y0; y <= y1; y++ {
				for x := x0; x <= x1; x++ {
					g.cells[y*gridSide+x] = cellBorder
				}
			}
		}
	}
	for y := range gridSide {
		for x := range gridSide {
			i := y*gridSide + x
			if g.cells[i] == cellBorder {
				continue
			}
			// No border in the cell: its lowest corner stands for all of it.
			if code, ok := e.search(g.corner(x, y)); ok {
				for n, u := range e.Units {
					if u.Code == code {
						g.cells[i] = uint8(n)
					}
				}
			}
		}
	}
	return g
}

func (g *grid) cell(p coord) (x, y int) {
	return int((int64(p.x) - int64(g.box.min.x)) * gridSide / (int64(g.box.max.x) - int64(g.box.min.x) + 1)),
		int((int64(p.y) - int64(g.box.min.y)) * gridSide / (int64(g.box.max.y) - int64(g.box.min.y) + 1))
}

// corner is the lowest position of a cell.
func (g *grid) corner(x, y int) coord {
	up := func(n int, span int64) int64 { return (int64(n)*span + gridSide - 1) / gridSide }
	return coord{
		g.box.min.x + int32(up(x, int64(g.box.max.x)-int64(g.box.min.x)+1)),
		g.box.min.y + int32(up(y, int64(g.box.max.y)-int64(g.box.min.y)+1)),
	}
}

func (g *grid) at(p coord) uint8 {
	x, y := g.cell(p)
	return g.cells[y*gridSide+x]
}
