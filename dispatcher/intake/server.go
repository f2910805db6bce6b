package intake

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Options is what the server is made of. All fields are needed.
type Options struct {
	Acts      Acts
	Looks     Looks
	Rule      Rule
	Accounts  Accounts
	Directory Directory
	Editions  Editions
	Moves     Moves
	House     House
	Duty      Duty
	Health    Health

	// TLS has the server's certificate; the server takes nothing below 1.3.
	TLS *tls.Config
	// Unary and Stream stand before every call, in order. The first of them authenticate: they refuse a call without
	// credential, health apart.
	Unary  []grpc.UnaryServerInterceptor
	Stream []grpc.StreamServerInterceptor
	// Caller is who they found.
	Caller func(context.Context) (dispatcher.Caller, bool)
	// GeoJSON reads an area; its violations name field.
	GeoJSON func(field string, text []byte) (warning.Area, error)

	// CAPTable is the answer to CapTable.
	CAPTable []byte

	// MaxRequest is the longest message that is taken, in bytes. A longer one is answered RESOURCE_EXHAUSTED with both
	// sizes before any of it comes into the engine.
	MaxRequest int

	Now func() time.Time
	Log *zap.Logger
}

// Server is the gRPC edge.
type Server struct {
	Options
	rules protovalidate.Validator
	grpc  *grpc.Server
	stop  chan struct{} // closed when watches are to end
}

// New makes a server that does not listen yet.
func New(o Options) (*Server, error) {
	rules, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rules of the contract: %w", err)
	}
	s := &Server{Options: o, rules: rules, stop: make(chan struct{})}
	secure := o.TLS.Clone()
	secure.MinVersion = tls.VersionTLS13
	rescue := recovery.WithRecoveryHandlerContext(s.rescue)
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(secure)),
		grpc.MaxRecvMsgSize(o.MaxRequest),
		grpc.MaxConcurrentStreams(1000),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(speakUnary, s.logUnary, recovery.UnaryServerInterceptor(rescue)),
		grpc.ChainUnaryInterceptor(o.Unary...),
		grpc.ChainUnaryInterceptor(s.checkUnary),
		grpc.ChainStreamInterceptor(speakStream, s.logStream, recovery.StreamServerInterceptor(rescue)),
		grpc.ChainStreamInterceptor(o.Stream...),
		grpc.ChainStreamInterceptor(s.checkStream),
	)
	pb.RegisterWarningServiceServer(s.grpc, &warnings{Server: s})
	pb.RegisterAuthorityServiceServer(s.grpc, &authority{warnings: &warnings{Server: s}})
	pb.RegisterDirectoryServiceServer(s.grpc, &directory{Server: s})
	pb.RegisterChannelServiceServer(s.grpc, &accounts{Server: s})
	pb.RegisterHouseServiceServer(s.grpc, &house{Server: s})
	pb.RegisterDutyServiceServer(s.grpc, &duty{Server: s})
	healthpb.RegisterHealthServer(s.grpc, &health{Server: s})
	reflection.Register(s.grpc)
	return s, nil
}

// Serve answers calls on l until Stop.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop ends watches, lets open calls finish until ctx ends, then breaks them.
func (s *Server) Stop(ctx context.Context) {
	close(s.stop)
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}

// rescue turns a panic of one call into its failure.
func (s *Server) rescue(_ context.Context, p any) error {
	return statusOf(s.Log, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

func (s *Server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	began := s.Now()
	resp, err := handle(ctx, req)
	s.logCall(info.FullMethod, began, err)
	return resp, err
}

func (s *Server) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	began := s.Now()
	err := handle(srv, stream)
	s.logCall(info.FullMethod, began, err)
	return err
}

// logCall never logs what was asked or answered: neither text nor number.
func (s *Server) logCall(method string, began time.Time, err error) {
	s.Log.Debug("call", zap.String("method", method), zap.Stringer("code", status.Code(err)), zap.Duration("took", s.Now().Sub(began)))
}

// caller is who asks; the interceptors let nobody through who is unknown.
func (s *Server) caller(ctx context.Context) (dispatcher.Caller, error) {
	c, ok := s.Caller(ctx)
	if !ok {
		return c, warning.Refuse(warning.ReasonUnknownUser, "no valid credential: run `tocsin login`")
	}
	return c, nil
}
