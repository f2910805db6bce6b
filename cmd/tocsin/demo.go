package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/dispatcher/wiring"
	"tocsin/geofence"
	"tocsin/loadtest/demo"
	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// demoFlags is what every demonstration can be told.
type demoFlags struct {
	dir        string
	recipients int
	seed       uint64
	output     string
}

func (f *demoFlags) add(c *cobra.Command, recipients int) {
	c.Flags().StringVar(&f.dir, "dir", "", "new directory for everything (default: a temporary one, removed at the end)")
	c.Flags().IntVar(&f.recipients, "recipients", recipients, "people of the synthetic Chongqing")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "of people and of what is drawn by lot (default: a new one, printed)")
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
}

// options makes a demonstration's options; done removes what it wrote where nobody named a directory.
func (f *demoFlags) options(c *cobra.Command, accounts []rig.Account) (o demo.Options, done func(), err error) {
	done = func() {}
	if f.recipients < 1 {
		return o, done, usage(fmt.Errorf("--recipients %d: say how many people, one or more", f.recipients))
	}
	binary, err := os.Executable()
	if err != nil {
		return o, done, err
	}
	if f.dir == "" {
		if f.dir, err = os.MkdirTemp("", "tocsin-demo-"); err != nil {
			return o, done, err
		}
		dir := f.dir
		done = func() { _ = os.RemoveAll(dir) }
	}
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return o, done, err
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()>>1 | 1 //nolint:gosec // by lot, not secret
	}
	said := c.ErrOrStderr()
	began := time.Now()
	o.Seed = f.seed
	o.Say = func(format string, args ...any) {
		fmt.Fprintf(said, "%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	o.Rig = rig.Options{
		Binary: binary, Dir: f.dir, People: f.recipients, Seed: f.seed, Accounts: accounts,
		Outlines: geofence.RawOutlines(geofence.EditionAt(time.Time{}).ID), Say: o.Say,
	}
	return o, done, nil
}

// chongqing is the contract of the model city in a demonstration: 4,500 messages a second over three carriers. The
// carriers share the machine with the engine, so that a message may wait for a processor before they see it: the guard
// is wider than a network needs, at one and a half per cent of the contract.
func chongqing(trip time.Duration) []rig.Account {
	return guarded(rig.Thirds(4500, 5, 16, trip), 20*time.Millisecond)
}

// tonight is the house of the night: carriers that serve flash messages too, to whom some phones are out of reach and
// some numbers unknown, as always. Six processes and a live picture share the machine: the guard is wider still.
func tonight(people int) []rig.Account {
	accounts := guarded(rig.Thirds(demo.NightContract(people), 5, 16, 20*time.Millisecond), 40*time.Millisecond)
	for i := range accounts {
		accounts[i].Flash = true
		accounts[i].Sim = []string{"--undelivered", "0.015", "--bad-number", "0.003"}
	}
	last := &accounts[len(accounts)-1] // its contract says flash messages, and its network has none
	last.Sim = append(last.Sim, "--no-flash")
	return accounts
}

// atHome is the contract of the model city with each account at home in another engine. A carrier has room for the
// links of a successor while a frozen owner keeps its own.
func atHome() []rig.Account {
	accounts := chongqing(20 * time.Millisecond)
	for i := range accounts {
		a := &accounts[i]
		a.Home, a.Sim = fmt.Sprintf("n%d", i+1), []string{"--links", fmt.Sprint(2 * a.Links)}
	}
	return accounts
}

func guarded(accounts []rig.Account, guard time.Duration) []rig.Account {
	for i := range accounts {
		accounts[i].Guard = guard
	}
	return accounts
}

// shown is a measurement of one promise: with which contracts, how many people (0: as many as a night has), how often.
type shown struct {
	name     string
	people   int
	count    int
	accounts func() []rig.Account
	run      func(ctx context.Context, o demo.Options, count int) (result any, ok bool, err error)
}

var shows = []shown{
	{"contract", 0, 0, func() []rig.Account { return rig.Thirds(4500, 5, 16, 20*time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowContract(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"latency", 0, 1000, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, n int) (any, bool, error) {
			r, err := demo.ShowLatency(ctx, o, pb.Tier_TIER_ORANGE, pb.Tier_TIER_ORANGE, n)
			return r, r != nil && r.OK, err
		}},
	{"preempt", 0, 200, func() []rig.Account { return chongqing(50 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, n int) (any, bool, error) {
			r, err := demo.ShowLatency(ctx, o, pb.Tier_TIER_BLUE, pb.Tier_TIER_RED, n)
			return r, r != nil && r.OK, err
		}},
	{"kill", 0, 20, func() []rig.Account {
		return guarded(rig.Thirds(4500, 5, 10, 20*time.Millisecond), 20*time.Millisecond)
	},
		func(ctx context.Context, o demo.Options, n int) (any, bool, error) {
			r, err := demo.ShowKill(ctx, o, n)
			return r, r != nil && r.OK, err
		}},
	{"reds", 100_000, 200, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, n int) (any, bool, error) {
			r, err := demo.ShowReds(ctx, o, n)
			return r, r != nil && r.OK, err
		}},
	{"directory", 0, 0, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowDirectory(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"import", 0, 0, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowImports(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"behind", 300_000, 0, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowBehind(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"processes", 60_000, 0, atHome, func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
		var err error
		if o.Rig.RedisServer, err = wiring.RedisServer(); err != nil {
			return nil, false, err
		}
		o.Rig.Engines = 2
		r, err := demo.ShowProcesses(ctx, o)
		return r, r != nil && r.OK, err
	}},
	{"shared", 60_000, 0, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowShared(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"faults", 200_000, 0, func() []rig.Account { return chongqing(20 * time.Millisecond) },
		func(ctx context.Context, o demo.Options, _ int) (any, bool, error) {
			r, err := demo.ShowFaults(ctx, o)
			return r, r != nil && r.OK, err
		}},
	{"fence", 200_000, 1000, unthrottled,
		func(ctx context.Context, o demo.Options, n int) (any, bool, error) {
			r, err := demo.ShowFence(ctx, o, n)
			return r, r != nil && r.OK, err
		}},
}

// unthrottled is one account whose contract binds nobody.
func unthrottled() []rig.Account {
	return []rig.Account{{
		Name: "fast", Prefix: "999", Links: 4, Window: 1024, Contract: 10_000_000, Unlimited: true, Receipt: 20 * time.Millisecond,
	}}
}

func showNames() string {
	names := make([]string, len(shows))
	for i, s := range shows {
		names[i] = s.name
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func newDemo() *cobra.Command {
	f := &demoFlags{}
	var once bool
	var show string
	var count int
	picture := ""
	c := &cobra.Command{
		Use: "demo", Short: "Live one night of a synthetic Chongqing with simulated carriers, and show what became of it", Args: upTo(0),
		Example: "  tocsin demo --once --recipients 100000 -o json\n  tocsin demo --show kill -o json",
	}
	f.add(c, 1_000_000)
	c.Flags().BoolVar(&once, "once", false, "end after the verdict instead of staying up")
	c.Flags().StringVar(&picture, "picture", "", "PNG file for the picture of the night (default: tocsin-night-….png here; with -o json none)")
	c.Flags().StringVar(&show, "show", "", "measure one promise instead: "+showNames())
	c.Flags().IntVar(&count, "count", 0, "small warnings (latency: 1000), reds (preempt, reds: 200), kills (kill: 20) or live warnings (fence: 1000)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if show == "" {
			return runDemo(c, f, picture, once)
		}
		i := slices.IndexFunc(shows, func(s shown) bool { return s.name == show })
		if i < 0 {
			return usage(fmt.Errorf("--show %q: say %s", show, showNames()))
		}
		s := shows[i]
		if !c.Flags().Changed("recipients") && s.people > 0 {
			f.recipients = s.people
		}
		return measure(c, f, s.accounts(), func(ctx context.Context, o demo.Options) (any, bool, error) {
			return s.run(ctx, o, orElse(count, s.count))
		})
	}
	c.AddCommand(newDemoEngine())
	return c
}

func orElse(n, usual int) int {
	if n > 0 {
		return n
	}
	return usual
}

// newDemoEngine runs the engine of a demonstration, whose directory serve refuses.
func newDemoEngine() *cobra.Command {
	c := &cobra.Command{Use: "engine", Short: "Run the engine of a demonstration", Args: upTo(0), Hidden: true}
	path := configured(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := wiring.LoadConfig(*path)
		if err != nil {
			return err
		}
		log, err := newLogger(false)
		if err != nil {
			return err
		}
		return wiring.ServeDemo(c.Context(), cfg, log)
	}
	return c
}

// measure runs one measurement and prints its JSON; a bad verdict exits 1.
func measure(c *cobra.Command, f *demoFlags, accounts []rig.Account, run func(context.Context, demo.Options) (any, bool, error)) error {
	o, done, err := f.options(c, accounts)
	if err != nil {
		return err
	}
	defer done()
	result, ok, err := run(c.Context(), o)
	if err != nil {
		return err
	}
	if err := putJSON(c.OutOrStdout(), result); err != nil {
		return err
	}
	if !ok {
		return errBadVerdict
	}
	return nil
}

// runDemo shows the commands as people type them, or measures one run where JSON is asked.
func runDemo(c *cobra.Command, f *demoFlags, picture string, once bool) error {
	night := func(o *demo.Options) { o.Rig.Areas, o.Picture = rig.Loudspeakers(), picture }
	if f.output == "json" {
		return measure(c, f, tonight(f.recipients), func(ctx context.Context, o demo.Options) (any, bool, error) {
			night(&o)
			r, err := demo.Once(ctx, o, os.Stderr)
			return r, r != nil && r.OK, err
		})
	}
	o, done, err := f.options(c, tonight(f.recipients))
	if err != nil {
		return err
	}
	defer done()
	if picture == "" {
		picture = "tocsin-night-" + time.Now().Format("20060102-1504") + ".png"
	}
	night(&o)
	err = demo.Stay(c.Context(), o, os.Stdout, once)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func newBench() *cobra.Command {
	f := &demoFlags{}
	c := &cobra.Command{
		Use: "bench", Short: "Measure the unthrottled speed of the whole, carriers on the same machine", Args: upTo(0),
		Example: "  tocsin bench --runs 3 -o json",
	}
	f.add(c, 1_000_000)
	runs := c.Flags().Int("runs", 3, "of each shape of links")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *runs < 1 {
			return usage(fmt.Errorf("--runs %d: say how many, one or more", *runs))
		}
		return measure(c, f, nil, func(ctx context.Context, o demo.Options) (any, bool, error) {
			r, err := demo.RunBench(ctx, o, *runs)
			return r, r != nil && r.OK, err
		})
	}
	return c
}
