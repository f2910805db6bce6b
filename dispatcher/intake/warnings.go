package intake

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// defaultList is how many warnings List answers when no limit is asked.
const defaultList = 100

// warnings is WarningService.
type warnings struct {
	pb.UnimplementedWarningServiceServer
	*Server
}

// act carries out one change of a warning for the caller and answers the warning.
func (s *warnings) act(ctx context.Context, do func(dispatcher.Caller) (warning.Warning, error)) (*pb.Warning, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	w, err := do(c)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return s.warningTo(w, c), nil
}

func (s *warnings) Submit(ctx context.Context, r *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	spec, err := s.spec(r)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	var preview dispatcher.Preview
	w, err := s.act(ctx, func(c dispatcher.Caller) (w warning.Warning, err error) {
		w, preview, err = s.Acts.Submit(ctx, c, r.GetKey(), dispatcher.Submission{
			Spec: spec, NationalID: r.GetWarning().GetNationalId(), SourceSystem: r.GetWarning().GetSourceSystem(), SourceID: r.GetWarning().GetSourceId(),
		})
		return w, inSpec(err)
	})
	if err != nil {
		return nil, err
	}
	return &pb.SubmitResponse{Warning: w, Preview: previewTo(preview, languageOf(ctx))}, nil
}

func (s *warnings) Preview(ctx context.Context, r *pb.PreviewRequest) (*pb.PreviewResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	preview, err := s.preview(ctx, c, r)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return previewTo(preview, languageOf(ctx)), nil
}

func (s *warnings) preview(ctx context.Context, c dispatcher.Caller, r *pb.PreviewRequest) (dispatcher.Preview, error) {
	if r.GetWarning() == nil {
		return s.Looks.PreviewOf(ctx, c, r.GetId())
	}
	spec, err := s.spec(r)
	if err != nil {
		return dispatcher.Preview{}, err
	}
	p, err := s.Looks.Preview(ctx, c, spec)
	return p, inSpec(err)
}

// inSpec gives violations the path that the request has: who looks at areas alone knows nothing of the warning around
// them.
func inSpec(err error) error {
	var e *warning.Error
	if !errors.As(err, &e) {
		return err
	}
	placed := *e
	placed.Violations = slices.Clone(e.Violations)
	for i, v := range placed.Violations {
		if strings.HasPrefix(v.Field, "areas") {
			placed.Violations[i].Field = "warning." + v.Field
		}
	}
	return &placed
}

func (s *warnings) Approve(ctx context.Context, r *pb.ApproveRequest) (*pb.ApproveResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.Approve(ctx, c, r.GetKey(), r.GetId(), int(r.GetVersion()), r.GetDigest(), r.GetPeople())
	})
	if err != nil {
		return nil, err
	}
	return &pb.ApproveResponse{Warning: w}, nil
}

func (s *warnings) Reject(ctx context.Context, r *pb.RejectRequest) (*pb.RejectResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.Reject(ctx, c, r.GetKey(), r.GetId(), r.GetWhy())
	})
	if err != nil {
		return nil, err
	}
	return &pb.RejectResponse{Warning: w}, nil
}

func (s *warnings) Hold(ctx context.Context, r *pb.HoldRequest) (*pb.HoldResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.Hold(ctx, c, r.GetKey(), r.GetId(), r.GetWhy())
	})
	if err != nil {
		return nil, err
	}
	return &pb.HoldResponse{Warning: w}, nil
}

func (s *warnings) Release(ctx context.Context, r *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.Release(ctx, c, r.GetKey(), r.GetId())
	})
	if err != nil {
		return nil, err
	}
	return &pb.ReleaseResponse{Warning: w}, nil
}

func (s *warnings) EmergencyRelease(ctx context.Context, r *pb.EmergencyReleaseRequest) (*pb.EmergencyReleaseResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.EmergencyRelease(ctx, c, r.GetKey(), r.GetId(), r.GetWhy())
	})
	if err != nil {
		return nil, err
	}
	return &pb.EmergencyReleaseResponse{Warning: w}, nil
}

func (s *warnings) Cancel(ctx context.Context, r *pb.CancelRequest) (*pb.CancelResponse, error) {
	var correction warning.Warning
	var by dispatcher.Caller
	w, err := s.act(ctx, func(c dispatcher.Caller) (w warning.Warning, err error) {
		by = c
		w, correction, err = s.Acts.Cancel(ctx, c, r.GetKey(), r.GetId(), r.GetWhy())
		return w, err
	})
	if err != nil {
		return nil, err
	}
	out := &pb.CancelResponse{Warning: w}
	if correction.ID != "" {
		out.Correction = s.warningTo(correction, by)
	}
	return out, nil
}

func (s *warnings) Broadcast(ctx context.Context, r *pb.BroadcastRequest) (*pb.BroadcastResponse, error) {
	repeat := dispatcher.Repeat{Units: r.GetUnits(), Every: time.Duration(r.GetEveryS()) * time.Second, Times: int(r.GetTimes())}
	for _, c := range r.GetChannels() {
		repeat.Channels = append(repeat.Channels, warning.Channel(c))
	}
	if a := r.GetAudio(); a != nil {
		repeat.Sound = &dispatcher.Sound{Name: a.GetName(), MPEG: a.GetMpeg()}
	}
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.Broadcast(ctx, c, r.GetKey(), r.GetId(), repeat)
	})
	if err != nil {
		return nil, err
	}
	return &pb.BroadcastResponse{Warning: w}, nil
}

func (s *warnings) AllClear(ctx context.Context, r *pb.AllClearRequest) (*pb.AllClearResponse, error) {
	w, err := s.act(ctx, func(c dispatcher.Caller) (warning.Warning, error) {
		return s.Acts.AllClear(ctx, c, r.GetKey(), r.GetId())
	})
	if err != nil {
		return nil, err
	}
	return &pb.AllClearResponse{Warning: w}, nil
}

func (s *warnings) Get(ctx context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	w, err := s.act(ctx, func(dispatcher.Caller) (warning.Warning, error) { return s.Looks.Get(ctx, r.GetId()) })
	if err != nil {
		return nil, err
	}
	return &pb.GetResponse{Warning: w}, nil
}

func (s *warnings) List(ctx context.Context, r *pb.ListRequest) (*pb.ListResponse, error) {
	states := make([]warning.State, len(r.GetStates()))
	for i, st := range r.GetStates() {
		if pb.State_name[int32(st)] == "" || st == pb.State_STATE_UNSPECIFIED {
			return nil, statusOf(s.Log, warning.Invalid(warning.Violation{
				Field: "states[" + strconv.Itoa(i) + "]", Rule: "state.unknown", Detail: "there is no such state", Remedy: "use a state of the contract",
			}))
		}
		states[i] = warning.State(st)
	}
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = defaultList
	}
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	ws, err := s.Looks.List(ctx, states, r.GetCalls(), limit)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	out := &pb.ListResponse{}
	for _, w := range ws {
		out.Warnings = append(out.Warnings, s.warningTo(w, c))
	}
	return out, nil
}

func (s *warnings) Report(ctx context.Context, r *pb.ReportRequest) (*pb.ReportResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	report, err := s.Looks.Report(ctx, r.GetId())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return s.reportTo(report, c), nil
}

func (s *warnings) Who(ctx context.Context, r *pb.WhoRequest) (*pb.WhoResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	number, err := strconv.ParseUint(r.GetNumber(), 10, 64)
	if err != nil {
		return nil, statusOf(s.Log, warning.Invalid(warning.Violation{
			Field: "number", Rule: "number.form", Detail: "it is not a number", Remedy: "give E.164 digits without plus",
		}))
	}
	who, err := s.Looks.Who(ctx, c, number, r.GetWhy())
	if err != nil {
		return nil, statusOf(s.Log, err)
	}
	return whoTo(who), nil
}

func (s *warnings) CapTable(context.Context, *pb.CapTableRequest) (*pb.CapTableResponse, error) {
	return &pb.CapTableResponse{Table: s.CAPTable}, nil
}

// differs tells whether a watcher has something new to see.
func differs(last, next *pb.WatchResponse) bool { return last == nil || !proto.Equal(last, next) }
