package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher/memstore"
	tocsinv1 "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// house is a server with this package in front of services that do nothing but tell who called.
type house struct {
	users   *Users
	address string
	ca      []byte
	callers chan string
	send    chan struct{} // lets Watch send once
}

type warnings struct {
	tocsinv1.UnimplementedWarningServiceServer
	h *house
}

func (w warnings) Get(ctx context.Context, _ *tocsinv1.GetRequest) (*tocsinv1.GetResponse, error) {
	c, ok := From(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no caller")
	}
	w.h.callers <- c.User + " " + c.Role.String()
	return &tocsinv1.GetResponse{}, nil
}

func (w warnings) Watch(_ *tocsinv1.WatchRequest, s grpc.ServerStreamingServer[tocsinv1.WatchResponse]) error {
	for {
		select {
		case <-w.h.send:
			if err := s.Send(&tocsinv1.WatchResponse{}); err != nil {
				return err
			}
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

type directory struct {
	tocsinv1.UnimplementedDirectoryServiceServer
	h *house
}

func (d directory) Import(s grpc.ClientStreamingServer[tocsinv1.ImportRequest, tocsinv1.ImportResponse]) error {
	for {
		_, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&tocsinv1.ImportResponse{})
		}
		if err != nil {
			return err
		}
		c, _ := From(s.Context())
		d.h.callers <- c.User + " " + c.Role.String()
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	a, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := a.Issue("server", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := ServerTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{users: NewUsers(memstore.New()), callers: make(chan string, 10), send: make(chan struct{})}
	if h.ca, err = os.ReadFile(a.CAFile()); err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.UnaryInterceptor(h.users.Unary), grpc.StreamInterceptor(h.users.Stream))
	tocsinv1.RegisterWarningServiceServer(s, warnings{h: h})
	tocsinv1.RegisterDirectoryServiceServer(s, directory{h: h})
	healthv1.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) dial(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	config, err := ClientTLS(h.ca)
	if err != nil {
		t.Fatal(err)
	}
	c, err := grpc.NewClient(h.address, append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantCode(t *testing.T, err error, want codes.Code, says string) {
	t.Helper()
	if status.Code(err) != want || err != nil && !strings.Contains(err.Error(), says) {
		t.Fatalf("want %v with %q: %v", want, says, err)
	}
}

func TestCallWithAValidToken(t *testing.T) {
	h := newHouse(t)
	token := add(t, h.users, "li.wei", warning.Viewer)
	client := tocsinv1.NewWarningServiceClient(h.dial(t, grpc.WithPerRPCCredentials(Credentials(token))))
	if _, err := client.Get(t.Context(), &tocsinv1.GetRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := <-h.callers; got != "li.wei viewer" {
		t.Fatal(got)
	}
	_, err := client.Approve(t.Context(), &tocsinv1.ApproveRequest{})
	wantCode(t, err, codes.PermissionDenied, "li.wei is a viewer and may not call /tocsin.v1.WarningService/Approve; who may: approver, commander")
}

func TestCallWithoutAValidToken(t *testing.T) {
	h := newHouse(t)
	token := add(t, h.users, "li.wei", warning.Viewer)
	client := tocsinv1.NewWarningServiceClient(h.dial(t))
	for says, values := range map[string][]string{
		"carries 0 tokens":          nil,
		"carries 2 tokens":          {"Bearer " + token, "Bearer " + token},
		"not of the form":           {token},
		"this is not a token":       {"Bearer x"},
		"cut or mistyped":           {"Bearer " + token[:len(token)-1]},
		"replaced, or never given":  {"Bearer " + newToken("li.wei")},
		"`authorization` is not of": {"Basic " + token},
	} {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": values})
		_, err := client.Get(ctx, &tocsinv1.GetRequest{})
		wantCode(t, err, codes.Unauthenticated, says)
		stream, err := client.Watch(ctx, &tocsinv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		wantCode(t, err, codes.Unauthenticated, says)
	}
}

func TestHealthIsOpenAndReflectionIsNot(t *testing.T) {
	h := newHouse(t)
	open := h.dial(t)
	if _, err := healthv1.NewHealthClient(open).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	list := func(c *grpc.ClientConn) error {
		s, err := reflectionv1.NewServerReflectionClient(c).ServerReflectionInfo(t.Context())
		if err != nil {
			return err
		}
		// io.EOF says that the server has ended the stream; why is what Recv tells.
		err = s.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		_, err = s.Recv()
		return err
	}
	wantCode(t, list(open), codes.Unauthenticated, "tocsin login")
	token := add(t, h.users, "li.wei", warning.Viewer)
	if err := list(h.dial(t, grpc.WithPerRPCCredentials(Credentials(token)))); err != nil {
		t.Fatal(err)
	}
}

func TestOpenStreamEndsWithItsToken(t *testing.T) {
	h := newHouse(t)
	token := add(t, h.users, "li.wei", warning.Commander)
	client := tocsinv1.NewWarningServiceClient(h.dial(t, grpc.WithPerRPCCredentials(Credentials(token))))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := client.Watch(ctx, &tocsinv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	h.send <- struct{}{}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := h.users.Revoke(ctx, operator, "li.wei"); err != nil {
		t.Fatal(err)
	}
	h.send <- struct{}{}
	_, err = stream.Recv()
	wantCode(t, err, codes.Unauthenticated, "was revoked")
}

func TestOpenUploadEndsWithItsToken(t *testing.T) {
	h := newHouse(t)
	token := add(t, h.users, "loader", warning.LoadTester)
	client := tocsinv1.NewDirectoryServiceClient(h.dial(t, grpc.WithPerRPCCredentials(Credentials(token))))
	stream, err := client.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&tocsinv1.ImportRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := <-h.callers; got != "loader load_tester" {
		t.Fatal(got)
	}
	if err := h.users.Revoke(t.Context(), operator, "loader"); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&tocsinv1.ImportRequest{}); err != nil {
		t.Fatal(err) // the server looks at the token only when it has this message
	}
	_, err = stream.CloseAndRecv()
	wantCode(t, err, codes.Unauthenticated, "was revoked")
	if len(h.callers) != 0 {
		t.Fatal("the message after the revocation came through")
	}
}

func TestMethodWithoutRowIsOpenToNobody(t *testing.T) {
	u := NewUsers(memstore.New())
	token := add(t, u, "li.wei", warning.Commander)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+token))
	_, err := u.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/tocsin.v1.WarningService/New"}, func(context.Context, any) (any, error) {
		t.Error("called")
		return nil, nil
	})
	wantCode(t, err, codes.PermissionDenied, "open to nobody")
}

func TestUploadNeedsItsRole(t *testing.T) {
	h := newHouse(t)
	token := add(t, h.users, "li.wei", warning.Viewer)
	client := tocsinv1.NewDirectoryServiceClient(h.dial(t, grpc.WithPerRPCCredentials(Credentials(token))))
	stream, err := client.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.CloseAndRecv()
	wantCode(t, err, codes.PermissionDenied, "who may: engineer, load_tester")
}

func TestTokenLeavesOverTLSOnly(t *testing.T) {
	_, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(Credentials(newToken("a"))))
	if err == nil {
		t.Fatal("a token was given to a connection without TLS")
	}
}

func TestOnlyTLS13AndOnlyThisAuthority(t *testing.T) {
	h := newHouse(t)
	config, err := ClientTLS(h.ca)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(c *tls.Config) error {
		c.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", h.address, c)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	if err := dial(config.Clone()); err != nil {
		t.Fatal(err)
	}
	old := config.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := dial(old); err == nil {
		t.Fatal("TLS 1.2 was spoken")
	}
	other, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(other.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ClientTLS(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(stranger); err == nil {
		t.Fatal("a server of another authority was trusted")
	}
	wrong := config.Clone()
	wrong.ServerName = "warning.example"
	if err := dial(wrong); err == nil {
		t.Fatal("a server was trusted under a name that is not its own")
	}
}
