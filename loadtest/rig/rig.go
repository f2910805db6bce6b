package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"tocsin/loadtest/place"
	pb "tocsin/proto/tocsin/v1"
)

// Account is one contract of the house and the carrier that keeps it.
type Account struct {
	Name     string
	Prefix   string // of numbers
	Links    int
	Window   int           // messages without an answer, on each link
	Contract int           // messages/s, for engine and carrier alike
	Trip     time.Duration // of a message to its answer
	Receipt  time.Duration // after the answer; half of it is jitter
	Guard    time.Duration // of the engine; 0: its usual one
	Answer   time.Duration // how long the engine waits for one; 0: its usual time
	// Unlimited carriers do not throttle; the contract binds the engine alone.
	Unlimited bool
	Home      string   // node that has the first word; empty: whoever comes first
	Flash     bool     // the contract covers flash messages too
	Sim       []string // what else the simulated carrier is told
}

// Thirds is the contract of the model city: three carriers that share messages/s equally.
func Thirds(contract, links, window int, trip time.Duration) []Account {
	out := make([]Account, 3)
	for i, name := range []string{"mobile", "unicom", "telecom"} {
		out[i] = Account{
			Name: name, Prefix: fmt.Sprintf("999%d", i+1), Links: links, Window: window, Contract: contract / 3, Trip: trip,
			Receipt: 300 * time.Millisecond,
		}
	}
	return out
}

// Options of a rig.
type Options struct {
	Binary   string // tocsin
	Dir      string // for everything it writes; must not exist or be empty
	People   int
	Seed     uint64
	Accounts []Account
	Outlines []byte // of the administrative units, GeoJSON: for the verdict
	Areas    []Area // platforms of area channels
	Redis    string // host:port of one that others run; empty: the engine runs its own
	// RedisServer is the program of a Redis that the rig runs, for several engines; empty: it runs none.
	RedisServer string
	// Engines is how many there are beside the first, over one Redis, from the start.
	Engines int
	// Columns lets the people stand in a file of columns instead of CSV. Nothing else of the rig reads it.
	Columns bool
	Say     func(format string, args ...any)
}

// Rig is a house at work.
type Rig struct {
	// Positions is the table of where people were seen, for the verdict; empty: nobody moved.
	Positions string

	o        Options
	address  string
	config   string
	engine   *process
	others   []second   // engines beside it
	redis    *process   // for several engines
	carriers []*process // and platforms
	ports    []string
	places   []string // addresses of platforms
	kept     []place.Place
	ca       []byte
	tokens   map[string]string
	conns    map[string]*grpc.ClientConn
}

// The users of the house, by name.
var users = []struct{ name, role string }{
	{Engineer, "engineer"}, {Forecaster, "forecaster"}, {Approver, "approver"}, {Commander, "commander"},
}

// hotline is a number that people may call: it cannot be assigned.
const hotline = "9990000001"

// Names of users for As.
const (
	Forecaster = "fang"
	Approver   = "an"
	Commander  = "hu"
	Engineer   = "gong"
)

// New prepares a rig; nothing runs yet.
func New(o Options) (*Rig, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%s is not empty; name another directory or remove it", o.Dir)
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	return &Rig{o: o, tokens: map[string]string{}, conns: map[string]*grpc.ClientConn{}}, nil
}

func (r *Rig) path(name string) string { return filepath.Join(r.o.Dir, name) }

// People is the file of the synthetic directory.
func (r *Rig) People() string {
	if r.o.Columns {
		return r.path("people.columns")
	}
	return r.path("people.csv")
}

// Config is the engine's configuration, for commands to try.
func (r *Rig) Config() string { return r.config }

// keep is an address of the loopback that is the rig's until it goes down.
func (r *Rig) keep() (string, error) {
	p, err := place.Keep()
	if err != nil {
		return "", err
	}
	r.kept = append(r.kept, p)
	return p.Address, nil
}

// Raise is a rig that is up. Where it does not come up nothing of it stays.
func Raise(ctx context.Context, o Options) (*Rig, error) {
	r, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := r.Up(ctx); err != nil {
		r.Down()
		return nil, err
	}
	return r, nil
}

// Up starts everything and brings the people in: carriers, keys and users, the engine, the directory.
func (r *Rig) Up(ctx context.Context) error {
	if err := r.Start(ctx); err != nil {
		return err
	}
	return r.Import(ctx)
}

// Start starts everything and makes the people, who are not in the directory yet.
func (r *Rig) Start(ctx context.Context) error {
	made := make(chan error, 1)
	go func() {
		r.o.Say("making a synthetic Chongqing of %d people", r.o.People)
		_, err := r.run(ctx, "directory", "synth", "--count", fmt.Sprint(r.o.People), "--seed", fmt.Sprint(r.o.Seed), "--out", r.People(),
			fmt.Sprint("--columns=", r.o.Columns))
		if err == nil {
			err = settled(r.People())
		}
		made <- err
	}()
	if err := errors.Join(r.startCarriers(ctx), r.startAreas(ctx)); err != nil {
		return errors.Join(err, <-made)
	}
	if r.o.RedisServer != "" {
		if err := r.startRedis(ctx); err != nil {
			return errors.Join(err, <-made)
		}
	}
	if err := r.setUp(ctx); err != nil {
		return errors.Join(err, <-made)
	}
	for range r.o.Engines {
		if err := r.startOther(); err != nil {
			return errors.Join(err, <-made)
		}
	}
	if err := r.StartEngine(ctx); err != nil {
		return errors.Join(err, <-made)
	}
	for _, o := range r.others {
		if err := r.takesCalls(ctx, o); err != nil {
			return errors.Join(err, <-made)
		}
	}
	return <-made
}

// Import brings the people into the directory.
func (r *Rig) Import(ctx context.Context) error {
	_, err := r.MeasuredImport(ctx)
	return err
}

// Used is processor time, in seconds.
type Used struct {
	Client float64 `json:"client"`
	Engine float64 `json:"engine"`
	Redis  float64 `json:"redis"`
}

// MeasuredImport is Import, and what it used of processors: on a machine that others use too this tells more than time.
// The engine's Redis counts where the engine runs its own.
func (r *Rig) MeasuredImport(ctx context.Context) (u Used, err error) {
	r.o.Say("bringing them into the directory")
	used := func(sign float64) error {
		s, err := ProcessorTime(r.EnginePID())
		u.Engine += sign * s
		if err != nil || r.o.Redis != "" || r.o.RedisServer != "" {
			return err
		}
		pid, err := r.RedisPID()
		if err != nil {
			return err
		}
		s, err = ProcessorTime(pid)
		u.Redis += sign * s
		return err
	}
	if err := used(-1); err != nil {
		return u, err
	}
	cmd, err := r.ran(ctx, r.Command(Engineer, "directory", "import", r.People(), fmt.Sprint("--columns=", r.o.Columns))...)
	if err != nil {
		return u, err
	}
	u.Client = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return u, used(1)
}

// settled waits until a file is on the disk: gigabytes that are still to be written would hold up every fsync of Redis.
func settled(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (r *Rig) startCarriers(ctx context.Context) error {
	for _, a := range r.o.Accounts {
		address, err := r.keep()
		if err != nil {
			return err
		}
		args := []string{
			"sim", "smpp", "--name", a.Name, "--listen", address, "--log", r.Log(a.Name), "--system-id", "tocsin", "--password", "secret",
			"--round-trip", a.Trip.String(), "--receipt-delay", a.Receipt.String(), "--receipt-jitter", (a.Receipt / 2).String(),
			"--links", fmt.Sprint(a.Links), "--window", fmt.Sprint(a.Window),
		}
		if !a.Unlimited {
			args = append(args, "--rate", fmt.Sprint(a.Contract))
		}
		args = append(args, a.Sim...)
		p, err := r.start("carrier-"+a.Name, args...)
		if err != nil {
			return err
		}
		r.carriers, r.ports = append(r.carriers, p), append(r.ports, address)
		if err := answers(ctx, p, address); err != nil {
			return err
		}
	}
	return nil
}

// answers waits until somebody takes connections at the address.
func answers(ctx context.Context, p *process, address string) error {
	return until(ctx, p, 10*time.Second, func(context.Context) error {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// Log is the log of a carrier.
func (r *Rig) Log(account string) string { return r.path(account + ".jsonl") }

// setUp writes the configuration and makes keys, certificates and users.
func (r *Rig) setUp(ctx context.Context) (err error) {
	if r.address, err = r.keep(); err != nil {
		return err
	}
	r.config = r.path("tocsin.yaml")
	var b strings.Builder
	fmt.Fprintf(&b, "realm: demo\nnode: n1\ndata: ./data\nlisten: %s\n", r.address)
	b.WriteString("tls: {certificate: ./server.pem, key: ./server.key}\nkeys: {data: ./data.key, seal: ./seal.key}\njurisdiction: {units: \"500000\"}\n")
	fmt.Fprintf(&b, "words: {hotline: %q}\n", hotline)
	if r.o.Redis != "" {
		fmt.Fprintf(&b, "redis: {address: %q}\n", r.o.Redis)
	}
	b.WriteString("accounts:\n")
	for i, a := range r.o.Accounts {
		fmt.Fprintf(&b, "  - {name: %s, protocol: smpp, address: %q, links: %d, window: %d, system_id: tocsin, password_env: TOCSIN_CARRIER, ",
			a.Name, r.ports[i], a.Links, a.Window)
		fmt.Fprintf(&b, "source: \"106900000000\", rate: %d, prefixes: [%q], kind: simulated, channels: [sms", a.Contract, a.Prefix)
		if a.Flash {
			b.WriteString(", flash_sms")
		}
		b.WriteString("]")
		if a.Home != "" {
			fmt.Fprintf(&b, ", home: %s", a.Home)
		}
		if a.Guard > 0 {
			fmt.Fprintf(&b, ", guard: %s", a.Guard)
		}
		if a.Answer > 0 {
			fmt.Fprintf(&b, ", timers: {answer: %s}", a.Answer)
		}
		b.WriteString("}\n")
	}
	r.configureAreas(&b)
	if err := os.WriteFile(r.config, []byte(b.String()), 0o600); err != nil {
		return err
	}
	if err := os.Setenv("TOCSIN_CARRIER", "secret"); err != nil {
		return err
	}
	return r.addUsers(ctx)
}

// addUsers makes the house and everybody who works in it. Tokens lie in files, as a person would keep them.
func (r *Rig) addUsers(ctx context.Context) error {
	var made struct{ Token string }
	if err := r.runJSON(ctx, &made, "init", r.o.Dir, "--realm", "demo", "--user", Engineer, "--role", "engineer"); err != nil {
		return err
	}
	for _, u := range users {
		if u.name != Engineer {
			if err := r.runJSON(ctx, &made, "user", "add", u.name, "--role", u.role, "--config", r.config); err != nil {
				return err
			}
		}
		r.tokens[u.name] = made.Token
		if err := os.WriteFile(r.path(u.name+".token"), []byte(made.Token), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Command is the arguments that make a verb speak to this house as a user.
func (r *Rig) Command(user string, args ...string) []string {
	return append(args, "--server", r.address, "--ca", r.path("ca.pem"), "--token-file", r.path(user+".token"))
}

// StartEngine starts the engine and waits until it takes calls and every link is up.
func (r *Rig) StartEngine(ctx context.Context) (err error) {
	if r.engine, err = r.start("engine", "demo", "engine", "--config", r.config); err != nil {
		return err
	}
	if r.ca, err = os.ReadFile(r.path("ca.pem")); err != nil {
		return err
	}
	return until(ctx, r.engine, 60*time.Second, func(ctx context.Context) error { return r.well(ctx) })
}

// well tells whether intake answers and every account is bound and may send.
func (r *Rig) well(ctx context.Context) error {
	conn, err := r.As(Engineer)
	if err != nil {
		return err
	}
	h, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "intake"})
	if err != nil {
		return err
	}
	if h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return errors.New("intake is not ready")
	}
	list, err := pb.NewChannelServiceClient(conn).List(ctx, &pb.ListChannelsRequest{})
	if err != nil {
		return err
	}
	for _, a := range list.GetAccounts() {
		if h := a.GetHealth(); h == "waiting" || h == "down" || h == "unowned" {
			return fmt.Errorf("account %s is %s", a.GetName(), a.GetHealth())
		}
		for _, l := range a.GetLinks() {
			if !l.GetUp() {
				return fmt.Errorf("link %d of account %s is not up: %s", l.GetIndex(), a.GetName(), l.GetLastError())
			}
		}
	}
	return nil
}

// KillEngine ends the engine as kill -9 does.
func (r *Rig) KillEngine() { r.engine.kill() }

// StopEngine ends the engine in order.
func (r *Rig) StopEngine() { r.engine.stop(15 * time.Second) }

// EnginePID is the process id of the engine.
func (r *Rig) EnginePID() int { return r.engine.cmd.Process.Pid }

// Down ends everything: the engine first, then its Redis, then the carriers, so that their logs are whole.
func (r *Rig) Down() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = map[string]*grpc.ClientConn{}
	r.engine.stop(15 * time.Second)
	for _, o := range r.others {
		o.stop(15 * time.Second)
	}
	if r.config != "" && r.engine != nil && r.o.Redis == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := r.StopRedis(ctx); err != nil {
			r.o.Say("%v", err)
		}
		cancel()
	}
	r.redis.stop(10 * time.Second)
	r.StopCarriers()
	for _, p := range r.kept {
		p.Release()
	}
	r.kept = nil
}

// StopRedis ends the engine's own Redis in order.
func (r *Rig) StopRedis(ctx context.Context) error {
	_, err := r.run(ctx, "redis", "stop", "--config", r.config)
	return err
}

// StopCarriers ends the carriers; their logs are whole then.
func (r *Rig) StopCarriers() {
	for _, c := range r.carriers {
		c.stop(10 * time.Second)
	}
	r.carriers = nil
}

// bearer sends a token with every call, over TLS only.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }

// As is a connection with the token of a user.
func (r *Rig) As(user string) (*grpc.ClientConn, error) {
	if c, ok := r.conns[user]; ok {
		return c, nil
	}
	c, err := r.dial(r.address, user)
	if err != nil {
		return nil, err
	}
	r.conns[user] = c
	return c, nil
}

func (r *Rig) dial(address, user string) (*grpc.ClientConn, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(r.ca) {
		return nil, errors.New("ca.pem holds no certificate")
	}
	return grpc.NewClient(address, grpc.WithPerRPCCredentials(bearer(r.tokens[user])),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})))
}
