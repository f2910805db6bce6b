package rig

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"google.golang.org/grpc"

	pb "tocsin/proto/tocsin/v1"
)

// second is an engine process beside the first.
type second struct {
	*process
	address string
}

// StandBy starts another engine process over the same Redis, with a name (n2, n3 …), an address and a data directory of
// its own. Accounts without a home are owned by the first until that one ends.
func (r *Rig) StandBy(ctx context.Context) error {
	if err := r.startOther(); err != nil {
		return err
	}
	return r.takesCalls(ctx, r.others[len(r.others)-1])
}

func (r *Rig) startOther() error {
	address, err := r.keep()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		return err
	}
	node := fmt.Sprintf("n%d", len(r.others)+2)
	own := strings.NewReplacer("node: n1\n", "node: "+node+"\n", "data: ./data\n", "data: ./data-"+node+"\n",
		"listen: "+r.address+"\n", "listen: "+address+"\n")
	config := r.path("tocsin-" + node + ".yaml")
	if err := os.WriteFile(config, []byte(own.Replace(string(text))), 0o600); err != nil {
		return err
	}
	p, err := r.start("engine-"+node, "demo", "engine", "--config", config)
	if err != nil {
		return err
	}
	r.others = append(r.others, second{p, address})
	return nil
}

// takesCalls waits until an engine beside the first does.
func (r *Rig) takesCalls(ctx context.Context, s second) error {
	return until(ctx, s.process, 60*time.Second, func(ctx context.Context) error {
		conn, err := r.dial(s.address, Engineer)
		if err != nil {
			return err
		}
		defer conn.Close()
		h, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "intake"})
		if err == nil && h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("intake of %s is %s", s.name, h.GetStatus())
		}
		return err
	})
}

// TurnTo makes the first engine that stood by the one that is spoken to from now on. The one before has ended.
func (r *Rig) TurnTo() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = map[string]*grpc.ClientConn{}
	r.engine, r.address = r.others[0].process, r.others[0].address
	r.others = r.others[1:]
}

// Freeze stops the engine that was started last, as a host that swaps or a paused machine does.
func (r *Rig) Freeze() error { return r.newest().Signal(syscall.SIGSTOP) }

// Wake lets it go on.
func (r *Rig) Wake() error { return r.newest().Signal(syscall.SIGCONT) }

func (r *Rig) newest() *os.Process { return r.others[len(r.others)-1].cmd.Process }

// Owners is which engine owns each account.
func (r *Rig) Owners(ctx context.Context) (map[string]string, error) {
	conn, err := r.As(Engineer)
	if err != nil {
		return nil, err
	}
	list, err := pb.NewChannelServiceClient(conn).List(ctx, &pb.ListChannelsRequest{})
	out := map[string]string{}
	for _, a := range list.GetAccounts() {
		out[a.GetName()] = a.GetOwner()
	}
	return out, err
}

// startRedis runs a redis-server that keeps promise 1, for several engines.
func (r *Rig) startRedis(ctx context.Context) (err error) {
	if r.o.Redis, err = r.keep(); err != nil {
		return err
	}
	_, port, _ := strings.Cut(r.o.Redis, ":")
	data := r.path("redis")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	r.redis, err = r.startCommand("redis", r.o.RedisServer, "--bind", "127.0.0.1", "--port", port, "--dir", data, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	if err != nil {
		return err
	}
	return answers(ctx, r.redis, r.o.Redis)
}
