package intake

import (
	"fmt"

	"google.golang.org/grpc"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Move reads a chunk when the one before it is dealt with: a feed that is faster than the engine is held by its stream.
func (s *directory) Move(stream grpc.ClientStreamingServer[pb.MoveRequest, pb.MoveResponse]) error {
	number := 0
	m, err := s.Moves.Move(stream.Context(), func() (dispatcher.Positions, error) {
		p, err := stream.Recv()
		if err != nil {
			return dispatcher.Positions{}, err // io.EOF ends it
		}
		number++
		return positionsFrom(number-1, p)
	})
	if err != nil {
		return statusOf(s.Log, err)
	}
	return stream.SendAndClose(&pb.MoveResponse{Positions: m.Positions, Known: m.Known, Entered: m.Entered})
}

// positionsFrom takes a chunk whose columns are of equal length and whose positions are on Earth.
func positionsFrom(number int, p *pb.MoveRequest) (dispatcher.Positions, error) {
	n := len(p.GetNumber())
	var vs []warning.Violation
	fault := func(column, rule, detail, remedy string) {
		vs = append(vs, warning.Violation{Field: fmt.Sprintf("chunk[%d].%s", number, column), Rule: rule, Detail: detail, Remedy: remedy})
	}
	for _, c := range []struct {
		name   string
		column []int32
		most   int32
	}{{"lon_e7", p.GetLonE7(), 180e7}, {"lat_e7", p.GetLatE7(), 90e7}} {
		if len(c.column) != n {
			fault(c.name, "move.length", fmt.Sprintf("%d entries beside %d numbers", len(c.column), n), "send columns of equal length")
		}
		for i, x := range c.column {
			if x < -c.most || x > c.most {
				fault(fmt.Sprintf("%s[%d]", c.name, i), "move.coordinate", "no longitude or latitude", "send degrees times 10^7, longitude -180 to 180 and latitude -90 to 90")
				break
			}
		}
	}
	if len(vs) > 0 {
		return dispatcher.Positions{}, warning.Invalid(vs...)
	}
	return dispatcher.Positions{Number: p.GetNumber(), Lon: p.GetLonE7(), Lat: p.GetLatE7()}, nil
}
