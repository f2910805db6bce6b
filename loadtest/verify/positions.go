package verify

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
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

// positions is where people of the directory were.
type positions struct {
	of map[int32][]seen
}

// readPositions reads a table of positions: time in RFC 3339, number, degrees. People of no directory are left out.
func readPositions(path string, p *people) (*positions, error) {
	m := &positions{of: map[int32][]seen{}}
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
			if string(bytes.TrimPrefix(lines.Bytes(), byteOrderMark)) != positionsHeader {
				return nil, fmt.Errorf("%s line 1: the header has to be %q", path, positionsHeader)
			}
			continue
		}
		if err := m.row(lines.Bytes(), p); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, n, err)
		}
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
