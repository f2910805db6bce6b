package wiring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/audit"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/identity"
	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/redisstore"
	"tocsin/warning"
)

// Names inside the data directory.
const (
	redisDir   = "redis"
	sealsFile  = "seals.log"
	epochsFile = "epochs.json"
	demoMark   = "demo" // the directory belongs to a demonstration
)

// House is what lies under an engine: the store and the keys. Opening it starts the engine's own Redis where the
// configuration names none.
type House struct {
	Config *config.Config
	Store  *redisstore.Store
	Users  *identity.Users

	log      *zap.Logger
	own      *managed.Server // nil: the Redis is run by others
	client   *redis.Client
	checked  managed.Store // as it was last seen; of one goroutine at a time
	sealKey  identity.Key
	closings []func()
}

// Open opens the store of the configuration. Several processes may have it open; only Serve takes the data directory.
func Open(ctx context.Context, cfg *config.Config, log *zap.Logger) (_ *House, err error) {
	h := &House{Config: cfg, log: log}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	data, err := identity.LoadKey(cfg.Keys.Data)
	if err != nil {
		return nil, err
	}
	if h.sealKey, err = identity.LoadKey(cfg.Keys.Seal); err != nil {
		return nil, err
	}
	if err := h.openRedis(ctx); err != nil {
		return nil, err
	}
	h.Store, err = redisstore.New(h.client, redisstore.Options{Realm: cfg.Realm, Durability: h.checked.Durability, DataKey: data[:]})
	if err != nil {
		return nil, err
	}
	h.Users = identity.NewUsers(h.Store)
	return h, nil
}

// later is done at Close, last first.
func (h *House) later(do func()) { h.closings = append(h.closings, do) }

// Close lets go of the store; the engine's own Redis lives on.
func (h *House) Close() {
	for i := len(h.closings) - 1; i >= 0; i-- {
		h.closings[i]()
	}
	h.closings = nil
}

func (h *House) openRedis(ctx context.Context) error {
	if h.Config.Redis == nil {
		own, err := managed.Start(ctx, managed.Options{Dir: filepath.Join(h.Config.Data, redisDir), Log: h.log})
		if err != nil {
			return err
		}
		h.own = own
		h.later(own.Close)
		for _, r := range own.Repairs() {
			h.log.Warn("the end of the append-only file was torn and was cut", zap.String("file", r.File), zap.Int64("bytes", r.Bytes), zap.String("kept", r.Aside))
		}
		h.client = managed.Client(own.Socket())
	} else {
		change, err := redisOptions(h.Config.Redis)
		if err != nil {
			return err
		}
		h.client = managed.Client(h.Config.Redis.Address, change)
	}
	h.later(func() { h.closeClient() })
	return h.recheck(ctx)
}

func (h *House) closeClient() {
	if err := h.client.Close(); err != nil {
		h.log.Warn("the connections to Redis did not close well", zap.Error(err))
	}
}

// recheck sees whether the Redis keeps promise 1, and settles one that was started since the last look.
func (h *House) recheck(ctx context.Context) error {
	stated := ""
	if r := h.Config.Redis; r != nil && r.Durability != 0 {
		stated = r.Durability.String()
	}
	now, err := managed.Check(ctx, h.client, stated)
	if err != nil {
		return err
	}
	if h.own == nil && now.RunID != h.checked.RunID {
		if err := managed.Settle(ctx, h.client); err != nil {
			return err
		}
	}
	h.checked = now
	return nil
}

func redisOptions(r *config.Redis) (func(*redis.Options), error) {
	var secure *tls.Config
	if r.TLS != nil {
		host, _, err := net.SplitHostPort(r.Address)
		if err != nil {
			return nil, fmt.Errorf("redis.address: %w", err)
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
		if r.TLS.ServerName != "" {
			secure.ServerName = r.TLS.ServerName
		}
		if r.TLS.CA != "" {
			pem, err := os.ReadFile(r.TLS.CA)
			if err != nil {
				return nil, fmt.Errorf("redis.tls.ca: %w", err)
			}
			secure.RootCAs = x509.NewCertPool()
			if !secure.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("redis.tls.ca: %s holds no certificate in PEM", r.TLS.CA)
			}
		}
	}
	return func(o *redis.Options) {
		o.TLSConfig, o.Username, o.Password = secure, r.User, r.Password.Reveal()
	}, nil
}

// Operator is the person at the machine: whoever can read the keys may manage users, and stands in the record by the
// name of the account on that machine.
func Operator() dispatcher.Caller {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return dispatcher.Caller{User: "local:" + name, Role: warning.Engineer}
}

// VerifyAudit compares the record of acts with its seals.
func (h *House) VerifyAudit(ctx context.Context) (audit.Result, error) {
	return audit.Verify(ctx, h.Store, h.Config.Realm, filepath.Join(h.Config.Data, sealsFile), publicOf(h.sealKey))
}

// StopRedis shuts down the engine's own Redis, which outlives the engine.
func StopRedis(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	if cfg.Redis != nil {
		return errors.New("the configuration names a Redis that others run: it is not ours to stop")
	}
	release, err := managed.Lock(cfg.Data)
	if err != nil {
		return fmt.Errorf("an engine still works with it: %w", err)
	}
	defer release()
	own, err := managed.Attach(ctx, managed.Options{Dir: filepath.Join(cfg.Data, redisDir), Log: log})
	if err != nil {
		return err
	}
	defer own.Close()
	return own.Stop(ctx)
}

// RedisServer is the path of the redis-server that an engine would run.
func RedisServer() (string, error) {
	server, _, err := managed.Find()
	return server, err
}
