package verify

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// positionsHeader is the first line of a table of positions.
const positionsHeader = "at,number,lon,lat"

// endBlur is how long before the end of a warning somebody may enter its area and be told or not.
const endBlur = 2 * time.Second

// seen is one person at one time.
type seen struct {
	at int64 // Unix nanoseconds
	point
}

// positions is where people of the directory were, each person's in order of time.
type positions struct {
	of    map[int32][]seen
	fresh int64 // nanoseconds for which a position counts
}

// readPositions reads a table of positions: time in RFC 3339, number, degrees. People of no directory are left out.
func readPositions(path string, fresh time.Duration, p *people) (*positions, error) {
	m := &positions{of: map[int32][]seen{}, fresh: int64(fresh)}
	if path == "" {
		return m, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			if lines.Text() != positionsHeader {
				return nil, fmt.Errorf("%s line 1: the header has to be %q", path, positionsHeader)
			}
			continue
		}
		if err := m.row(lines.Bytes(), p); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, n, err)
		}
	}
	for _, list := range m.of {
		slices.SortStableFunc(list, func(a, b seen) int { return int(min(1, max(-1, a.at-b.at))) })
	}
	return m, lines.Err()
}

func (m *positions) row(line []byte, p *people) error {
	f := bytes.Split(line, []byte(","))
	if len(f) != strings.Count(positionsHeader, ",")+1 {
		return fmt.Errorf("has %d fields", len(f))
	}
	at, err := time.Parse(time.RFC3339Nano, string(f[0]))
	if err != nil {
		return fmt.Errorf("at: %w", err)
	}
	number, ok := whole(f[1])
	x, okX := fixed(f[2])
	y, okY := fixed(f[3])
	if !ok || !okX || !okY {
		return fmt.Errorf("number, lon or lat is no number")
	}
	if person := p.find(number); person >= 0 {
		m.of[person] = append(m.of[person], seen{at.UnixNano(), point{x, y}})
	}
	return nil
}

// presence calls each with every row that counts as being there when the warning was released: who was seen inside
// lately, and whose home is inside and who was not seen elsewhere lately. A red takes both.
func (m *positions) presence(n *notice, p *people, each func(*row, place)) {
	if len(m.of) == 0 {
		rows := p.between(n.area.latitudes())
		for i := range rows {
			each(&rows[i], n.area.where(rows[i].at))
		}
		return
	}
	release := n.GetReleasedAt().AsTime().UnixNano()
	for i := range p.rows {
		r := &p.rows[i]
		where := n.area.where(r.at)
		if last, ok := m.last(r.person, release); ok {
			there := n.area.where(last)
			if n.GetSpec().GetTier() == tocsinv1.Tier_TIER_RED {
				there = max(there, where)
			}
			where = there
		}
		each(r, where)
	}
}

// last is where somebody was seen last before a time, and not too long before.
func (m *positions) last(person int32, at int64) (p point, ok bool) {
	for _, s := range m.of[person] {
		if s.at <= at && at-s.at <= m.fresh {
			p, ok = s.point, true
		}
	}
	return p, ok
}

// entrants calls each with everybody who was seen inside while the warning was live.
func (m *positions) entrants(n *notice, each func(int32, place)) {
	if n.GetReleasedAt() == nil {
		return
	}
	from, to := n.GetReleasedAt().AsTime().UnixNano(), n.GetSpec().GetExpires().AsTime().UnixNano()
	if n.GetEndedAt() != nil && n.GetState() != tocsinv1.State_STATE_COMPLETED {
		to = min(to, n.GetEndedAt().AsTime().UnixNano())
	}
	for person, list := range m.of {
		best := out
		for _, s := range list {
			if s.at <= from || s.at > to {
				continue
			}
			where := n.area.where(s.point)
			if s.at > to-int64(endBlur) {
				where = min(where, edge)
			}
			best = max(best, where)
		}
		if best != out {
			each(person, best)
		}
	}
}
