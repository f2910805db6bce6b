package rig

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"google.golang.org/grpc"
)

// StandBy starts a second engine process over the same Redis, with a name, an address and a data directory of its own.
// Its accounts are owned by the first until that one ends.
func (r *Rig) StandBy(ctx context.Context) error {
	address, err := freePort()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		return err
	}
	own := strings.NewReplacer("node: n1\n", "node: n2\n", "data: ./data\n", "data: ./data-n2\n", "listen: "+r.address+"\n", "listen: "+address+"\n")
	config := r.path("tocsin-n2.yaml")
	if err := os.WriteFile(config, []byte(own.Replace(string(text))), 0o600); err != nil {
		return err
	}
	if r.standby, err = r.start("engine-n2", "demo", "engine", "--config", config); err != nil {
		return err
	}
	r.next = address
	return until(ctx, r.standby, 60*time.Second, func(ctx context.Context) error {
		conn, err := r.dial(address, Engineer)
		if err != nil {
			return err
		}
		defer conn.Close()
		h, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "intake"})
		if err == nil && h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("intake of the second engine is %s", h.GetStatus())
		}
		return err
	})
}

// TurnTo makes the engine that stood by the one that is spoken to from now on. The first has ended.
func (r *Rig) TurnTo() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = map[string]*grpc.ClientConn{}
	r.engine, r.standby, r.address = r.standby, nil, r.next
}
