package intake

import (
	"context"
	"errors"

	"github.com/oklog/ulid/v2"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"tocsin/warning"
)

// answer is how one reason leaves the house: the gRPC code and the word in ErrorInfo.
type answer struct {
	code codes.Code
	word string
}

// answers is every reason (google.rpc.Code as gRPC uses them).
var answers = map[warning.Reason]answer{
	warning.ReasonInvalid:     {codes.InvalidArgument, "INVALID"},
	warning.ReasonNotFound:    {codes.NotFound, "NOT_FOUND"},
	warning.ReasonConflict:    {codes.FailedPrecondition, "CONFLICT"},
	warning.ReasonExists:      {codes.AlreadyExists, "EXISTS"},
	warning.ReasonDenied:      {codes.PermissionDenied, "DENIED"},
	warning.ReasonExhausted:   {codes.ResourceExhausted, "EXHAUSTED"},
	warning.ReasonUnavailable: {codes.Unavailable, "UNAVAILABLE"},
	warning.ReasonUnknownUser: {codes.Unauthenticated, "UNKNOWN_USER"},
}

// statusOf is err as a gRPC status. An error that is no refusal is logged and told by a number only: its text may name
// what a caller must not see.
func statusOf(log *zap.Logger, err error) error {
	if err == nil {
		return nil
	}
	var refusal *warning.Error
	if errors.As(err, &refusal) {
		return refusalStatus(refusal)
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller went away; whether it happened is not known, repeat with the same key")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "no answer in time; whether it happened is not known, repeat with the same key")
	}
	number := ulid.Make().String()
	log.Error("call failed", zap.String("failure", number), zap.Error(err))
	return status.Errorf(codes.Internal, "the engine failed and does not know whether it happened: repeat with the same key; the log has it as %s", number)
}

// Refusal is a refusal as the status that the contract promises, for interceptors that stand before the calls; nil for
// nil.
func Refusal(err error) error {
	var e *warning.Error
	if errors.As(err, &e) {
		return refusalStatus(e)
	}
	return err
}

func refusalStatus(e *warning.Error) error {
	a, ok := answers[e.Reason]
	if !ok {
		a = answer{codes.Internal, "INTERNAL"}
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: a.word, Domain: "tocsin"}}
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			chinese := warning.Languages[0]
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Text(), Reason: v.Rule,
				LocalizedMessage: &errdetails.LocalizedMessage{Locale: chinese, Message: v.In(chinese).Text()},
			})
		}
		details = append(details, bad)
	}
	s := status.New(a.code, e.Error())
	if with, err := s.WithDetails(details...); err == nil {
		return with.Err()
	}
	return s.Err()
}
