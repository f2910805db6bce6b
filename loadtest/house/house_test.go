// Package house asks a whole running house from the outside: an engine with its own Redis, gRPC over TLS 1.3 and
// simulated carriers, in one process. Its tests are what the house refuses, and that nothing of it is kept.
package house

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/wiring"
	"tocsin/geofence"
	"tocsin/loadtest/carrier"
	pb "tocsin/proto/tocsin/v1"
)

// The users of a house, by name; two of each who may decide over what the other did.
var users = map[string]string{"fang": "forecaster", "feng": "forecaster", "an": "approver", "hu": "commander", "gong": "engineer", "luo": "load_tester", "kan": "viewer"}

const engineer, forecaster, approver, commander = "gong", "fang", "an", "hu"

// home is a house at work.
type home struct {
	dir    string
	ca     string
	tokens map[string]string // by user
	conns  map[string]*grpc.ClientConn
	redis  *redis.Client
	logs   *observer.ObservedLogs // all that the engine says
	halt   func() error           // ends the engine and its connections
	ends   []func() error         // in the order of opening
}

// running is the house that all tests share. Tests run one after the other, so that each sees what it changed alone.
var running *home

// rough is the carrier of the house that breaks rules.
var rough *rogue

const people = 3000

func TestMain(m *testing.M) {
	code, err := runIn(m)
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runIn(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "house")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if rough, err = newRogue(); err != nil {
		return 1, err
	}
	defer rough.stop()
	// Of this carrier every receipt is followed by one for an id that it never gave.
	cfg := carrier.Default()
	cfg.StrayReceipts = 1
	cfg.Name, cfg.Listen, cfg.Log, cfg.SystemID, cfg.Password = "mobile", "127.0.0.1:0", filepath.Join(dir, "mobile.jsonl"), "tocsin", "secret"
	c, err := carrier.Listen(cfg)
	if err != nil {
		return 1, err
	}
	carrying, stop := context.WithCancel(context.Background())
	carried := make(chan error, 1)
	go func() { carried <- c.Serve(carrying) }()
	defer func() {
		stop()
		err = errors.Join(err, <-carried)
	}()
	running, err = newHome(ctx, dir,
		account("mobile", c.Address(), `"9991", "9992", "9993"`, "simulated"), account("rough", rough.address(), `"99999"`, "simulated"))
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, running.close()) }()
	if err := running.fill(ctx); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func account(name, address, prefixes, kind string) string {
	return fmt.Sprintf("{name: %s, protocol: smpp, address: %q, links: 2, window: 10, system_id: tocsin, password_env: TOCSIN_HOUSE, "+
		"source: \"106900000000\", rate: 1500, channels: [sms], prefixes: [%s], kind: %s}", name, address, prefixes, kind)
}

const realm = "house"

// configText is a configuration with these accounts.
func configText(accounts ...string) string {
	return "realm: " + realm + "\nnode: n1\ndata: ./data\nlisten: 127.0.0.1:0\n" +
		"tls: {certificate: ./server.pem, key: ./server.key}\nkeys: {data: ./data.key, seal: ./seal.key}\naccounts:\n  - " +
		strings.Join(accounts, "\n  - ") + "\n"
}

// newHome makes a house, its users and a connection for each, and serves it.
func newHome(ctx context.Context, dir string, accounts ...string) (_ *home, err error) {
	return homeOf(ctx, dir, configText(accounts...))
}

// homeOf makes a house of a configuration.
func homeOf(ctx context.Context, dir, text string) (_ *home, err error) {
	h := &home{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := os.Setenv("TOCSIN_HOUSE", "secret"); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, wiring.ConfigFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	made, err := wiring.Init(ctx, wiring.NewHouse{Dir: dir, Hosts: []string{"127.0.0.1"}, User: engineer, Role: users[engineer]}, zap.NewNop())
	if err != nil {
		return nil, err
	}
	cfg, err := wiring.LoadConfig(path)
	if err != nil {
		return nil, err
	}
	h.later(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return wiring.StopRedis(ctx, cfg, zap.NewNop())
	})
	h.ca, h.tokens = made.CA, map[string]string{engineer: made.Token}
	opened, err := wiring.Open(ctx, cfg, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	for name, role := range users {
		if name == engineer {
			continue
		}
		if h.tokens[name], err = opened.AddUser(ctx, name, role, 0); err != nil {
			return nil, err
		}
	}
	if err := h.serve(ctx); err != nil {
		return nil, err
	}
	h.later(func() error { return h.halt() })
	h.redis = managed.Client(filepath.Join(cfg.Data, "redis", "redis.sock"))
	h.later(h.redis.Close)
	return h, nil
}

// serve runs the engine by the configuration as it is now, with a connection for each user.
func (h *home) serve(ctx context.Context) error {
	cfg, err := wiring.LoadConfig(filepath.Join(h.dir, wiring.ConfigFile))
	if err != nil {
		return err
	}
	core, logs := observer.New(zap.DebugLevel)
	h.logs = logs
	serving, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wiring.Serve(serving, cfg, zap.New(core)) }()
	h.conns = map[string]*grpc.ClientConn{}
	h.halt = func() (err error) {
		for _, c := range h.conns {
			err = errors.Join(err, c.Close())
		}
		stop()
		return errors.Join(err, <-done)
	}
	address := ""
	err = poll(ctx, func() error {
		for _, e := range logs.FilterMessage("serving").All() {
			address, _ = e.ContextMap()["address"].(string)
			return nil
		}
		return errors.New("the engine does not serve yet")
	})
	if err != nil {
		return errors.Join(err, h.halt())
	}
	for name, token := range h.tokens {
		file := filepath.Join(h.dir, name+".token")
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			return errors.Join(err, h.halt())
		}
		if h.conns[name], err = (wiring.Server{Address: address, CAFile: h.ca, TokenFile: file}).Dial(); err != nil {
			delete(h.conns, name)
			return errors.Join(err, h.halt())
		}
	}
	return nil
}

func (h *home) later(end func() error) { h.ends = append(h.ends, end) }

func (h *home) close() (err error) {
	for _, end := range slices.Backward(h.ends) {
		err = errors.Join(err, end())
	}
	return err
}

// fill brings synthetic people in.
func (h *home) fill(ctx context.Context) error {
	all, err := geofence.Synth(people, 1, nil)
	if err != nil {
		return err
	}
	_, err = h.bring(ctx, chunksOf("fill", all)...)
	return err
}

func chunksOf(key string, all geofence.Columns) (chunks []*pb.ImportRequest) {
	for p := range all.Chunks(1000) {
		chunks = append(chunks, &pb.ImportRequest{Key: key, Number: p.Number, LonE7: p.Lon, LatE7: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags})
	}
	return chunks
}

// bring imports chunks as one stream.
func (h *home) bring(ctx context.Context, chunks ...*pb.ImportRequest) (*pb.ImportResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewDirectoryServiceClient(h.conns[engineer]).Import(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range chunks {
		if stream.Send(c) != nil { // the answer says why
			break
		}
	}
	return stream.CloseAndRecv()
}

func (h *home) warnings(user string) pb.WarningServiceClient {
	return pb.NewWarningServiceClient(h.conns[user])
}

// poll asks until ok answers nil, or ctx ends.
func poll(ctx context.Context, ok func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// until polls for at most twenty seconds.
func until(t *testing.T, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := poll(ctx, ok); err != nil {
		t.Fatal(err)
	}
}

// moving is the parts of keys that change without an act: who owns an account or writes the directory, what became of
// people, who lives, probes of durability, and seals over the record.
var moving = []string{
	":account:", ":writer", ":journal:", ":ledger:", ":strand:", ":table:nodes", ":table:probes", ":table:seals",
}

// picture is all that the house keeps: every key of its Redis with its content.
func (h *home) picture(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	keys := h.redis.Scan(t.Context(), 0, "", 1000).Iterator()
	for keys.Next(t.Context()) {
		key := keys.Val()
		if slices.ContainsFunc(moving, func(part string) bool { return strings.Contains(key, part) }) {
			continue
		}
		out[key] = h.content(t, key)
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("the picture of the house is empty")
	}
	return out
}

// content is one key, in an order that is always the same.
func (h *home) content(t *testing.T, key string) string {
	t.Helper()
	kind, err := h.redis.Type(t.Context(), key).Result()
	var v any
	switch {
	case err != nil:
	case kind == "string":
		v, err = h.redis.Get(t.Context(), key).Result()
	case kind == "hash":
		v, err = h.redis.HGetAll(t.Context(), key).Result() // a map is printed in the order of its keys
	case kind == "list":
		v, err = h.redis.LRange(t.Context(), key, 0, -1).Result()
	case kind == "zset":
		v, err = h.redis.ZRangeWithScores(t.Context(), key, 0, -1).Result()
	case kind == "set":
		v, err = h.redis.Sort(t.Context(), key, &redis.Sort{Alpha: true}).Result()
	case kind == "none": // gone since the keys were listed: a warning has completed
		return ""
	default:
		t.Fatalf("%s is a %s", key, kind)
	}
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return fmt.Sprint(v)
}

// nothingStays runs do and wants the house as it was: warnings, acts, directory, answers, settings. A warning of another
// test may complete meanwhile: then nothing can be told, and do runs again.
func (h *home) nothingStays(t *testing.T, do func()) {
	t.Helper()
	for {
		running, before := h.running(t), h.picture(t)
		do()
		d := cmp.Diff(before, h.picture(t))
		if d == "" {
			return
		}
		if slices.Equal(running, h.running(t)) {
			t.Errorf("something stays behind (-before +after):\n%s", d)
			return
		}
	}
}

// running is the warnings that are being sent, by id.
func (h *home) running(t *testing.T) (ids []string) {
	t.Helper()
	r, err := h.warnings(commander).List(t.Context(), &pb.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.GetWarnings() {
		if w.GetState() == pb.State_STATE_RELEASED {
			ids = append(ids, w.GetId())
		}
	}
	return ids
}

// refusal is a no as it leaves the house.
type refusal struct {
	code   codes.Code
	word   string // reason in ErrorInfo
	field  string // of a violation; empty: the message alone says it
	rule   string
	remedy string // in the violation, or in the message
}

func invalid(field, rule, remedy string) refusal {
	return refusal{codes.InvalidArgument, "INVALID", field, rule, remedy}
}

// check wants err to be the refusal.
func (want refusal) check(t *testing.T, err error) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != want.code {
		t.Errorf("answered %s (%s), want %s", s.Code(), s.Message(), want.code)
		return
	}
	word, told := "", s.Message()
	var found []string
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			word = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				found = append(found, fmt.Sprintf("%s %s", v.GetField(), v.GetReason()))
				if v.GetField() == want.field && v.GetReason() == want.rule {
					told = v.GetDescription()
				}
			}
		}
	}
	if word != want.word {
		t.Errorf("the reason is %q, want %q", word, want.word)
	}
	others := slices.DeleteFunc(slices.Clone(found), func(f string) bool { return strings.HasPrefix(f, want.field) })
	if want.field != "" && !slices.Contains(found, want.field+" "+want.rule) || len(others) > 0 {
		t.Errorf("names %q, want %s %s and nothing beside it: %s", found, want.field, want.rule, s.Message())
	}
	if want.remedy == "" || !strings.Contains(told, want.remedy) {
		t.Errorf("the remedy %q is not in: %s", want.remedy, told)
	}
}
