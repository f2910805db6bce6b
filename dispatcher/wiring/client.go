package wiring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher/identity"
	"tocsin/dispatcher/intake"
	pb "tocsin/proto/tocsin/v1"
)

// Server says which engine a command calls, and as whom. What is empty comes from the profile of `tocsin login`.
type Server struct {
	Address   string // host:port
	CAFile    string
	TokenFile string
	Language  string // of refusals: zh-CN or en
}

// profile joins what was said with the stored profile.
func (s Server) profile() (identity.Profile, error) {
	var p identity.Profile
	if s.Address == "" || s.CAFile == "" || s.TokenFile == "" {
		path, err := identity.ProfilePath()
		if err != nil {
			return p, err
		}
		p, err = identity.LoadProfile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return p, errors.New("not logged in: run `tocsin login`, or give --server, --ca and --token-file")
		}
		if err != nil {
			return p, err
		}
	}
	if s.Address != "" {
		p.Server = s.Address
	}
	for _, f := range []struct {
		path string
		into *string
	}{{s.CAFile, &p.CA}, {s.TokenFile, &p.Token}} {
		if f.path == "" {
			continue
		}
		b, err := os.ReadFile(f.path)
		if err != nil {
			return p, err
		}
		*f.into = strings.TrimSpace(strings.TrimPrefix(string(b), "\uFEFF")) // some editors put a mark in front
	}
	return p, p.Check()
}

// Begin finds the act that the same command began as the same user and never saw answered, or begins one.
func (s Server) Begin(command []string) (identity.Unfinished, error) {
	p, err := s.profile()
	if err != nil {
		return identity.Unfinished{}, err
	}
	return identity.BeginAct(p, command, time.Now())
}

// Dial makes a connection; it is opened with the first call.
func (s Server) Dial() (*grpc.ClientConn, error) {
	p, err := s.profile()
	if err != nil {
		return nil, err
	}
	return dial(p, s.Language)
}

func dial(p identity.Profile, language string) (*grpc.ClientConn, error) {
	secure, err := identity.ClientTLS([]byte(p.CA))
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(p.Server,
		grpc.WithTransportCredentials(credentials.NewTLS(secure)),
		grpc.WithPerRPCCredentials(identity.Credentials(p.Token)),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return call(speaking(ctx, language), method, req, reply, cc, o...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(speaking(ctx, language), d, cc, method, o...)
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
	)
}

// speaking asks for answers in a language.
func speaking(ctx context.Context, language string) context.Context {
	if language == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, intake.LanguageKey, language)
}

// Login tries the server, certificate and token, and stores them as the profile; it answers where.
func (s Server) Login(ctx context.Context) (string, error) {
	if s.Address == "" || s.CAFile == "" || s.TokenFile == "" {
		return "", errors.New("login needs --server, --ca and --token-file")
	}
	p, err := s.profile()
	if err != nil {
		return "", err
	}
	conn, err := dial(p, s.Language)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := pb.NewChannelServiceClient(conn).List(ctx, &pb.ListChannelsRequest{}); status.Code(err) != codes.OK {
		return "", fmt.Errorf("nothing was stored: %w", err)
	}
	path, err := identity.ProfilePath()
	if err != nil {
		return "", err
	}
	return path, p.Save(path)
}
