package main

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher/wiring/show"
)

// keyed is the error of a call that changes something, with the key to repeat it with.
type keyed struct {
	error
	key string
}

func (k keyed) Unwrap() error { return k.error }

// said is what a call failed with. An engine gives every refusal its details; without them nobody answered.
func said(l show.Language, err error) string {
	var called interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &called) {
		return err.Error()
	}
	s := called.GRPCStatus()
	if s.Code() == codes.Canceled && len(s.Details()) == 0 {
		return l.Interrupted()
	}
	if s.Code() == codes.Unavailable && len(s.Details()) == 0 {
		return l.NoEngine(s.Message())
	}
	return s.Message()
}

// explain writes err as a person reads it, in a language, and answers the exit code.
func explain(w io.Writer, l show.Language, err error) int {
	var unwell errNotWell
	if errors.As(err, &unwell) {
		if code := status.Code(err); code != codes.Unknown { // no page was shown
			fmt.Fprintln(w, "tocsin:", said(l, err))
		}
		return unwell.code
	}
	var wrong usageError
	if errors.As(err, &wrong) {
		fmt.Fprintln(w, "tocsin:", l.Refusal(err.Error()))
		return exitUsage
	}
	code := status.Code(err)
	var grpcErr interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &grpcErr) {
		fmt.Fprintln(w, "tocsin:", l.Refusal(err.Error()))
		return exitFailed
	}
	s := grpcErr.GRPCStatus()
	var fields []*errdetails.BadRequest_FieldViolation
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			fields = bad.GetFieldViolations()
		}
	}
	if len(fields) == 0 {
		fmt.Fprintln(w, "tocsin:", said(l, err))
	} else {
		fmt.Fprintln(w, "tocsin:", l.Refused())
		for _, f := range fields {
			fmt.Fprintf(w, "  %s: %s [%s]\n", f.GetField(), f.GetDescription(), f.GetReason())
		}
	}
	if !unknown(code) {
		return exitRefused
	}
	var k keyed
	if errors.As(err, &k) {
		fmt.Fprintln(w, l.NotKnown(k.key))
	}
	return exitRetry
}
