package identity

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher"
	"tocsin/warning"
)

type callerKey struct{}

// With is ctx with the caller in it.
func With(ctx context.Context, c dispatcher.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is who calls; false outside of a call that carried a valid token.
func From(ctx context.Context) (dispatcher.Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(dispatcher.Caller)
	return c, ok
}

// Unary lets a call through when its token may call the method (grpc.UnaryServerInterceptor): UNAUTHENTICATED without a
// valid token, PERMISSION_DENIED where the role may not, UNAVAILABLE when the store does not say who it is.
func (u *Users) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := u.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// Stream is Unary for streams (grpc.StreamServerInterceptor). The token is looked at again for every message, so that
// a stream ends with it.
func (u *Users) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := u.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(srv, &guarded{ServerStream: stream, ctx: ctx, again: func() error {
		_, err := u.admit(stream.Context(), info.FullMethod)
		return err
	}})
}

type guarded struct {
	grpc.ServerStream
	ctx   context.Context
	again func() error
}

func (g *guarded) Context() context.Context { return g.ctx }

func (g *guarded) SendMsg(m any) error {
	if err := g.again(); err != nil {
		return err
	}
	return g.ServerStream.SendMsg(m)
}

func (g *guarded) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return g.again()
}

// admit is the context of a call that may go on.
func (u *Users) admit(ctx context.Context, method string) (context.Context, error) {
	r := rights[method]
	if r.open {
		return ctx, nil
	}
	token, err := bearer(ctx)
	if err != nil {
		return nil, err
	}
	caller, err := u.check(ctx, token, r.blind)
	if err != nil {
		return nil, refusal(err)
	}
	scope, ok := r.scopes[caller.Role]
	if !ok {
		if len(r.scopes) == 0 {
			return nil, no(codes.PermissionDenied, "DENIED", "%s is open to nobody", method)
		}
		return nil, no(codes.PermissionDenied, "DENIED", "%s is a %s and may not call %s; who may: %s", caller.User, caller.Role, method, r)
	}
	caller.Scope = scope
	return With(ctx, caller), nil
}

func bearer(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return "", no(codes.Unauthenticated, "UNKNOWN_USER", "the call carries %d tokens; send one as metadata `authorization: Bearer toc_…`, or log in with `tocsin login`", len(values))
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") { // RFC 9110 section 11.1: the scheme has no case
		return "", no(codes.Unauthenticated, "UNKNOWN_USER", "the metadata `authorization` is not of the form `Bearer toc_…`")
	}
	return token, nil
}

func refusal(err error) error {
	switch {
	case warning.ReasonOf(err) == warning.ReasonUnknownUser:
		return no(codes.Unauthenticated, "UNKNOWN_USER", "%v", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return no(codes.Unavailable, "UNAVAILABLE", "%v", err)
}

// no is a refusal as every one leaves the house: the reason for programs stands in ErrorInfo.
func no(code codes.Code, reason, format string, args ...any) error {
	s := status.Newf(code, format, args...)
	if with, err := s.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "tocsin"}); err == nil {
		return with.Err()
	}
	return s.Err()
}

// Credentials sends the token with every call, over TLS only.
func Credentials(token string) credentials.PerRPCCredentials { return sent(token) }

type sent string

func (s sent) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(s)}, nil
}

func (s sent) RequireTransportSecurity() bool { return true }
