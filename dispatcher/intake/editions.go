package intake

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Editions keeps the outlines of units that a deployment brings.
type Editions interface {
	// ImportEdition takes a whole file in or nothing of it. What is no fault, but worth a look, is in the remarks.
	ImportEdition(ctx context.Context, c dispatcher.Caller, key string, e EditionFile) (Edition, []warning.Violation, error)
	// Editions is those in force, the newest first, the shipped one among them. Units are of the edition named alone, whose
	// name or id that is, and only those of a level: six or nine digits; 0 for both.
	Editions(ctx context.Context, edition string, digits int) ([]Edition, error)
}

// EditionFile is outlines as they are brought.
type EditionFile struct {
	Edition, CRS, Source string
	GeoJSON              []byte
}

// Edition is outlines of units as of a time.
type Edition struct {
	ID, Edition, Source, CRS string
	At                       time.Time
	By                       string
	Districts, Towns         int
	Units                    []EditionUnit
}

// EditionUnit is one unit with an outline.
type EditionUnit struct {
	Code, Name string
	Surface    float64 // square metres
}

// maxEdition is how many bytes one file may have.
const maxEdition = 64 << 20

// ErrBusy refuses a second import beside one that is under way.
var ErrBusy = warning.Refuse(warning.ReasonUnavailable, "the directory is being written by somebody else: repeat with the same key when that has ended")

func (s *directory) ImportEdition(stream grpc.ClientStreamingServer[pb.ImportEditionRequest, pb.ImportEditionResponse]) error {
	c, err := s.caller(stream.Context())
	if err != nil {
		return statusOf(s.Log, err)
	}
	if !s.outlines.TryLock() {
		return statusOf(s.Log, ErrBusy)
	}
	defer s.outlines.Unlock()
	key, file := "", EditionFile{}
	for n := 0; ; n++ {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return statusOf(s.Log, err)
		}
		if n == 0 {
			key, file = r.GetKey(), EditionFile{Edition: r.GetEdition(), CRS: r.GetCrs(), Source: r.GetSource()}
		}
		if len(file.GeoJSON)+len(r.GetChunk()) > maxEdition {
			return statusOf(s.Log, warning.Refuse(warning.ReasonExhausted, "the outlines have more than %d MB: simplify them, or import them as several editions", maxEdition>>20))
		}
		file.GeoJSON = append(file.GeoJSON, r.GetChunk()...)
	}
	if key == "" {
		return statusOf(s.Log, warning.Invalid(warning.Violation{Field: "key", Rule: "key.missing", Detail: "the first chunk has no key", Remedy: "give a key of your choice in the first chunk"}))
	}
	e, remarks, err := s.Editions.ImportEdition(stream.Context(), c, key, file)
	if err != nil {
		return statusOf(s.Log, err)
	}
	return stream.SendAndClose(EditionImported(e, remarks, languageOf(stream.Context())))
}

// EditionImported is the answer to an import in a language.
func EditionImported(e Edition, remarks []warning.Violation, language string) *pb.ImportEditionResponse {
	out := &pb.ImportEditionResponse{Edition: editionTo(e)}
	for _, v := range remarks {
		v = v.In(language)
		out.Remarks = append(out.Remarks, &pb.EditionRemark{Field: v.Field, Rule: v.Rule, Text: v.Text()})
	}
	return out
}

func (s *directory) ListEditions(ctx context.Context, r *pb.ListEditionsRequest) (*pb.ListEditionsResponse, error) {
	digits := map[pb.UnitLevel]int{pb.UnitLevel_UNIT_LEVEL_DISTRICT: 6, pb.UnitLevel_UNIT_LEVEL_TOWN: 9}[r.GetLevel()]
	list, err := s.Editions.Editions(ctx, r.GetEdition(), digits)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.ListEditionsResponse{}
	for _, e := range list {
		out.Editions = append(out.Editions, editionTo(e))
	}
	return out, nil
}

func editionTo(e Edition) *pb.Edition {
	out := &pb.Edition{
		Id: e.ID, Edition: e.Edition, Source: e.Source, Crs: e.CRS, ImportedAt: timeTo(e.At), ImportedBy: e.By,
		Districts: int32(e.Districts), Towns: int32(e.Towns),
	}
	for _, u := range e.Units {
		out.Units = append(out.Units, &pb.EditionUnit{Code: u.Code, Name: u.Name, Km2: u.Surface / 1e6})
	}
	return out
}
