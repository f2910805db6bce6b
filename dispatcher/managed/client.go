package managed

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// longestSocket is how long a path may be to fit into a socket address (sockaddr_un holds 108 bytes on Linux).
const longestSocket = 100

// Client makes a client for a socket (an absolute path) or host:port. It is the one place where clients are made: a
// client never repeats a command by itself, since a repeat runs a script twice without anybody knowing. change
// may set what a connection needs (TLS, user, password, pool) and sees the usual settings; the rule against repeats is
// set after it.
func Client(address string, change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{
		Addr:                  address,
		DialTimeout:           time.Second,
		ReadTimeout:           5 * time.Second,
		WriteTimeout:          5 * time.Second,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if filepath.IsAbs(address) {
		o.Network = "unix"
		o.Dialer = reachSocket
	}
	for _, c := range change {
		c(o)
	}
	o.MaxRetries = -1
	o.DialerRetries = 1
	return redis.NewClient(o)
}

// reachSocket connects to a unix socket, and waits for a server that is being started again until ctx ends (DialTimeout).
// Nothing has been sent yet, so this repeats nothing; without it a pool whose dials have failed a few times answers with
// the old error for a second after the server is back.
func reachSocket(ctx context.Context, network, address string) (net.Conn, error) {
	for {
		conn, err := dialSocket(ctx, network, address)
		if err == nil || pause(ctx, 5*time.Millisecond) != nil {
			return conn, err
		}
	}
}

// dialSocket connects to a unix socket. A path too long for a socket address is reached through its open directory.
func dialSocket(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	if len(address) <= longestSocket {
		return d.DialContext(ctx, network, address)
	}
	dir, err := os.Open(filepath.Dir(address))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return d.DialContext(ctx, network, fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(address)))
}

// FsyncTime measures how long a small durable write takes, as the caller of client sees it: the median and the 99th
// percentile of 200 writes to key, which is deleted afterwards.
func FsyncTime(ctx context.Context, client *redis.Client, key string) (p50, p99 time.Duration, err error) {
	const writes = 200
	took := make([]time.Duration, writes)
	for i := range took {
		began := time.Now()
		if err := client.Set(ctx, key, i, 0).Err(); err != nil {
			return 0, 0, fmt.Errorf("measuring the time of a durable write: %w", err)
		}
		took[i] = time.Since(began)
	}
	if err := client.Del(ctx, key).Err(); err != nil {
		return 0, 0, fmt.Errorf("measuring the time of a durable write: %w", err)
	}
	slices.Sort(took)
	return took[writes/2], took[writes*99/100], nil
}

// facts is what INFO answers: "redis_version" → "7.0.15".
type facts map[string]string

// number is a fact that counts; 0 where it is not told.
func (f facts) number(name string) int64 {
	n, err := strconv.ParseInt(f[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// readFacts asks for INFO, which a server answers also while it loads.
func readFacts(ctx context.Context, client *redis.Client) (facts, error) {
	text, err := client.Info(ctx, "server", "persistence", "memory", "replication").Result()
	if err != nil {
		return nil, err
	}
	f := facts{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f, nil
}
