package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// directory is DirectoryService.
type directory struct {
	pb.UnimplementedDirectoryServiceServer
	*Server
	outlines sync.Mutex // held while a file of outlines is taken in: it is whole in memory
}

func (s *directory) Import(stream grpc.ClientStreamingServer[pb.ImportRequest, pb.ImportResponse]) error {
	c, err := s.caller(stream.Context())
	if err != nil {
		return statusOf(s.Log, err)
	}
	first, err := stream.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = warning.Invalid(warning.Violation{Field: "chunk[0]", Rule: "import.empty", Detail: "the stream brought nothing", Remedy: "send at least one chunk; an empty directory is never made by accident"})
		}
		return statusOf(s.Log, err)
	}
	if first.GetKey() == "" {
		return statusOf(s.Log, warning.Invalid(warning.Violation{Field: "key", Rule: "key.missing", Detail: "the first chunk has no key", Remedy: "give a key of your choice in the first chunk"}))
	}
	chunk, number := first, 0 // kept no longer than it is needed
	head := ImportHead{Key: first.GetKey(), Total: first.GetTotal(), Offset: first.GetOffset()}
	done, err := s.Directory.Import(stream.Context(), c, head, func() (Rows, error) {
		next := chunk
		if number > 0 {
			var err error // this may be left waiting by whoever calls it
			if next, err = stream.Recv(); err != nil {
				return Rows{}, err // io.EOF ends it
			}
		}
		rows, err := rowsFrom(number, next)
		chunk, number = nil, number+1
		return rows, err
	})
	if err != nil {
		return statusOf(s.Log, err)
	}
	return stream.SendAndClose(&pb.ImportResponse{Snapshot: done.Snapshot, People: done.People, BadRows: done.BadRows, Bad: badTo(done.Bad)})
}

func badTo(bad []BadRow) (out []*pb.ImportResponse_BadRow) {
	for _, b := range bad {
		out = append(out, &pb.ImportResponse_BadRow{Row: b.Row, Field: b.Field, Rule: b.Rule, Detail: b.Detail})
	}
	return out
}

func (s *directory) ImportState(ctx context.Context, r *pb.ImportStateRequest) (*pb.ImportStateResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	rows, err := s.Directory.ImportState(ctx, c, r.GetKey())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return &pb.ImportStateResponse{Rows: rows}, nil
}

func (s *directory) Change(ctx context.Context, r *pb.ChangeRequest) (*pb.ChangeResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	changes := make([]warning.Change, len(r.GetChanges()))
	erases := false
	for i, p := range r.GetChanges() {
		changes[i] = changeFrom(p)
		erases = erases || changes[i].Deed == warning.DeedErase
	}
	if erases && r.GetWhy() == "" {
		return nil, statusOf(s.Log, warning.Invalid(warning.Violation{
			Field: "why", Rule: "change.why", Detail: "people are erased and no reason is given", Remedy: "say why, without naming them",
		}))
	}
	done, err := s.Directory.Change(ctx, c, r.GetKey(), changes, r.GetWhy())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return &pb.ChangeResponse{
		Snapshot: done.Snapshot, People: done.People, Changed: done.Changed, BadChanges: done.BadChanges, Bad: badTo(done.Bad),
	}, nil
}

// changeFrom takes one change; one that says nothing has no deed, which the directory reports.
func changeFrom(p *pb.PersonChange) warning.Change {
	c := warning.Change{Number: p.GetNumber()}
	switch what := p.GetWhat().(type) {
	case *pb.PersonChange_Erase_:
		c.Deed = warning.DeedErase
	case *pb.PersonChange_Subscribed:
		c.Deed = warning.DeedUnsubscribe
		if what.Subscribed {
			c.Deed = warning.DeedResubscribe
		}
	case *pb.PersonChange_Put:
		to := what.Put
		c.Deed, c.NewNumber, c.Lon, c.Lat, c.Home = warning.DeedPut, to.GetNewNumber(), to.LonE7, to.LatE7, to.Home
		c.Language, c.Duty = byteOf(to.Language), byteOf(to.Role)
	}
	return c
}

// byteOf is a value that the rules of the contract hold below 256.
func byteOf(v *uint32) *uint8 {
	if v == nil {
		return nil
	}
	b := uint8(*v)
	return &b
}

// rowsFrom takes a chunk whose columns are all as long as its numbers; a column that is missing is zeros.
func rowsFrom(number int, p *pb.ImportRequest) (Rows, error) {
	n := len(p.GetNumber())
	var vs []warning.Violation
	check := func(name string, length int, needed bool) {
		if length == n || length == 0 && !needed {
			return
		}
		vs = append(vs, warning.Violation{
			Field: fmt.Sprintf("chunk[%d].%s", number, name), Rule: "import.length",
			Detail: fmt.Sprintf("%d entries beside %d numbers", length, n), Remedy: "send columns of equal length",
		})
	}
	check("lon_e7", len(p.GetLonE7()), true)
	check("lat_e7", len(p.GetLatE7()), true)
	check("home", len(p.GetHome()), false)
	check("seen", len(p.GetSeen()), false)
	check("language", len(p.GetLanguage()), false)
	check("role", len(p.GetRole()), false)
	check("flags", len(p.GetFlags()), false)
	if len(vs) > 0 {
		return Rows{}, warning.Invalid(vs...)
	}
	return Rows{
		Number: p.GetNumber(), Lon: p.GetLonE7(), Lat: p.GetLatE7(),
		Home: orZeros(p.GetHome(), n), Seen: orZeros(p.GetSeen(), n),
		Language: orZeros(p.GetLanguage(), n), Role: orZeros(p.GetRole(), n), Flags: orZeros(p.GetFlags(), n),
	}, nil
}

func orZeros[T any](column []T, n int) []T {
	if len(column) == 0 {
		return make([]T, n)
	}
	return column
}

func (s *directory) Stats(ctx context.Context, _ *pb.StatsRequest) (*pb.StatsResponse, error) {
	st, err := s.Directory.Stats(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.StatsResponse{
		Snapshot: st.Snapshot, People: st.People, Addressable: st.Addressable, OptedOut: st.OptedOut, NoAddress: st.NoAddress,
		Responsible: st.Responsible, ImportedAt: timeTo(st.ImportedAt), Edition: st.Edition,
	}
	for _, u := range st.Units {
		out.Units = append(out.Units, &pb.StatsResponse_Unit{Code: u.Code, Name: u.Name, People: u.People})
	}
	return out, nil
}
