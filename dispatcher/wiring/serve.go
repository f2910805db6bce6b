package wiring

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tocsin/channels"
	"tocsin/channels/broadcast"
	"tocsin/channels/push"
	"tocsin/channels/smpp"
	"tocsin/channels/sms"
	"tocsin/dispatcher"
	"tocsin/dispatcher/audit"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/identity"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/managed"
	"tocsin/geofence"
	"tocsin/warning"
)

// drainTime is how long open calls and open windows may take to end when the engine stops.
const drainTime = 10 * time.Second

// Serve runs an engine process until ctx ends, then drains and closes everything. It refuses the data directory of a
// demonstration.
func Serve(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	if _, err := os.Stat(filepath.Join(cfg.Data, demoMark)); err == nil {
		return fmt.Errorf("data directory %s belongs to a demonstration, whose keys and users are not to be trusted: "+
			"make a house of your own with `tocsin init`", cfg.Data)
	}
	return serve(ctx, cfg, log)
}

// ServeDemo runs an engine process over the data directory of a demonstration, and marks it as such.
func ServeDemo(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, demoMark), nil, 0o600); err != nil {
		return err
	}
	return serve(ctx, cfg, log)
}

func serve(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	release, err := managed.Lock(cfg.Data)
	if err != nil {
		return err
	}
	defer release()
	h, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer h.Close()
	p, err := newProcess(ctx, h)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

// process is one engine process, put together and not yet running.
type process struct {
	*House
	dir      *directory
	editions *editions
	sealer   *audit.Sealer
	rule     *rule
	engine   *dispatcher.Engine
	server   *intake.Server
	gate     gate

	current   current
	reloading sync.Mutex
	seen      seen
}

func newProcess(ctx context.Context, h *House) (*process, error) {
	editions := newEditions(h.Store, h.log)
	limits := limitsOf(h.Config.Limits)
	limits.Atlas = editions.atlas
	p := &process{House: h, dir: newDirectory(h.Store, limits, h.log), editions: editions}
	now, err := settingsOf(h.Config)
	if err != nil {
		return nil, err
	}
	p.current.now.Store(now)
	if err := errors.Join(p.editions.refresh(ctx), p.dir.refresh(ctx)); err != nil {
		return nil, err
	}
	p.sealer, err = audit.Open(audit.Options{
		Records: h.Store, Realm: h.Config.Realm, Key: h.sealKey.Seal(), SecondPlace: filepath.Join(h.Config.Data, sealsFile),
		Alarm: func(err error) {
			if err != nil {
				h.log.Error("the record of acts cannot be sealed: run `tocsin audit verify`", zap.Error(err))
				return
			}
			h.log.Info("the record of acts is sealed again")
		},
	})
	if err != nil {
		return nil, err
	}
	h.later(func() {
		if err := p.sealer.Close(); err != nil {
			h.log.Warn("the second place of the seals did not close well", zap.Error(err))
		}
	})
	ids, err := openEpochs(filepath.Join(h.Config.Data, epochsFile))
	if err != nil {
		return nil, err
	}
	onDuty, err := newRoster(h)
	if err != nil {
		return nil, err
	}
	land, err := geofence.NewJurisdiction(h.Config.Jurisdiction.Units, limits)
	if err != nil {
		return nil, err
	}
	if p.rule, err = openRule(ctx, h.Store, policyOf(h.Config), h.log); err != nil {
		return nil, err
	}
	carried := now.accounts()
	p.engine, err = dispatcher.New(dispatcher.Options{
		Node: h.Config.Node, Records: h.Store, Queue: h.Store, Directory: p.dir, Land: land, Epochs: ids,
		Fences:   geofence.NewFences(limits),
		Adapters: map[string]channels.Adapter{config.SMPP.String(): smpp.Adapter{}},
		Accounts: carried.Accounts, Numbers: carried.Numbers, FailOver: carried.FailOver,
		Areas:     map[string]channels.AreaAdapter{config.EBD.String(): broadcast.Adapter{}, config.MQTT.String(): push.Adapter{}},
		Platforms: platformsOf(h.Config.Platforms),
		Policy:    p.rule.inForce,
		Words:     p.current.wording,
		Duty:      dispatcher.Duty{Roster: onDuty, Channels: h.Config.Duty.Channels, Backup: h.Config.Duty.Backup},
		Segments:  segments, Seal: p.seal, Keep: h.Config.Keep, Log: h.log,
	})
	if err != nil {
		return nil, err
	}
	p.dir.learn = p.engine.LearnOf
	return p, p.openIntake()
}

func (p *process) openIntake() error {
	table, err := capTable(p.Config.CAP.Table)
	if err != nil {
		return err
	}
	if left := identity.DaysLeft(p.current.now.Load().shown.Leaf, time.Now()); left < 30 {
		p.log.Warn("the server's certificate ends soon", zap.Int("days", left))
	}
	p.server, err = intake.New(intake.Options{
		Acts: p.engine, Looks: p.engine, Rule: p.rule, Accounts: p.engine, Directory: p.dir, Editions: p.editions, Moves: p.engine, Duty: p.engine, House: p,
		Health: intake.Health{
			Intake:   func(ctx context.Context) error { return errors.Join(p.gate.why(true), p.engine.WellIntake(ctx)) },
			Dispatch: p.engine.WellDispatch,
			Live:     func(context.Context) error { return nil },
		},
		TLS: &tls.Config{GetCertificate: p.current.show}, CAPTable: table, Caller: identity.From, GeoJSON: geoJSON, MaxRequest: int(p.Config.Limits.RequestBytes), Now: time.Now, Log: p.log,
		Unary:  []grpc.UnaryServerInterceptor{p.Users.Unary, p.gate.unary},
		Stream: []grpc.StreamServerInterceptor{p.Users.Stream, p.gate.stream},
	})
	return err
}

// run works until ctx ends or something that cannot go on fails.
func (p *process) run(ctx context.Context) error {
	l, err := net.Listen("tcp", p.Config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// Three contexts, ended one after the other: who comes in, what is sent, what is sealed.
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	sealing, stopSealing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSealing()
	var engine, keepers sync.WaitGroup
	engine.Go(func() { p.engine.Run(sending) })
	keepers.Go(func() { p.sealer.Run(sealing) })
	keepers.Go(func() { p.dir.follow(sending) })
	keepers.Go(func() { p.editions.follow(sending) })
	keepers.Go(func() { p.keepRedis(sending) })
	keepers.Go(func() { p.rule.follow(sending) })
	if p.own != nil {
		keepers.Go(func() { p.own.Watch(sending, p.redisDown) })
	}
	p.engine.Learn()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(l) }()
	p.log.Info("serving", zap.Stringer("address", l.Addr()), zap.String("realm", p.Config.Realm), zap.String("node", p.Config.Node),
		zap.Int("accounts", len(p.Config.Accounts)), zap.String("durability", p.Store.Durability()))
	var failed error
	select {
	case <-ctx.Done():
		p.log.Info("stopping: open calls and windows end first")
	case failed = <-served:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	p.server.Stop(drain)
	stopSending()
	engine.Wait()
	stopSealing()
	keepers.Wait()
	p.log.Info("stopped")
	return failed
}

// seal seals the record now and answers the newest seal.
func (p *process) seal(ctx context.Context) string {
	if err := p.sealer.Seal(ctx); err != nil {
		p.log.Warn("the record of acts could not be sealed now", zap.Error(err))
	}
	return p.sealer.Head()
}

func publicOf(k identity.Key) ed25519.PublicKey {
	pub, _ := k.Seal().Public().(ed25519.PublicKey) // an Ed25519 key has no other
	return pub
}

func limitsOf(l config.Limits) geofence.Limits {
	out := geofence.DefaultLimits()
	out.Areas, out.Rings, out.Vertices, out.Work = l.Areas, l.Rings, l.Vertices, int64(l.Work)
	return out
}

func platformsOf(list []config.Platform) []dispatcher.AreaOptions {
	out := make([]dispatcher.AreaOptions, len(list))
	for i := range list {
		f := &list[i]
		out[i] = dispatcher.AreaOptions{
			AreaAccount: channels.AreaAccount{
				Name: f.Name, Channel: f.Channel, Address: f.Address, User: f.User, Password: f.Password.Reveal(),
				Source: f.Source, Target: f.Target, Keys: f.Keys, Statuses: f.Statuses(), Simulated: f.Kind == config.Simulated,
				Timeout: f.Timeout, Heartbeat: f.Heartbeat,
			},
			Protocol: f.Protocol.String(),
		}
	}
	return out
}

func accountsOf(accounts []config.Account) []dispatcher.AccountOptions {
	out := make([]dispatcher.AccountOptions, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		out[i] = dispatcher.AccountOptions{
			Account: channels.Account{
				Name: a.Name, Address: a.Address, Links: a.Links, Window: a.Window, System: a.SystemID, Password: a.Password.Reveal(),
				Source: a.Source, Simulated: a.Kind == config.Simulated, Statuses: a.Statuses(), HexIDs: a.HexIDs,
				BindTimeout: a.Timers.Bind, AnswerTimeout: a.Timers.Answer, KeepAlive: a.Timers.KeepAlive,
			},
			Protocol: a.Protocol.String(), Rate: a.Rate, Burst: a.Burst, Guard: a.Guard,
			Channels: a.Channels, Prefixes: a.Prefixes, Carrier: a.Carrier, Weight: a.Weight, Home: a.Home,
			TestNumber: testNumber(a.Test.Number), TestEvery: a.Test.Every,
		}
	}
	return out
}

// segments cuts words as the short message service does; it is the one channel of this edition.
func segments(text string, ch warning.Channel) ([]string, string, error) {
	if !ch.Addressed() { // a platform takes the words whole
		return []string{text}, "utf-8", nil
	}
	parts, coding, err := sms.Segments(text)
	return parts, coding.String(), err
}
