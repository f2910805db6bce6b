package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"

	"tocsin/dispatcher/wiring"
	pb "tocsin/proto/tocsin/v1"
)

// configured adds the flag of a verb that opens a house.
func configured(c *cobra.Command) *string {
	return c.Flags().String("config", wiring.ConfigFile, "configuration of the engine")
}

// inHouse opens the store of a configuration for one command.
func inHouse(c *cobra.Command, path string, do func(*wiring.House) error) error {
	cfg, err := wiring.LoadConfig(path)
	if err != nil {
		return err
	}
	h, err := wiring.Open(c.Context(), cfg, zap.NewNop())
	if err != nil {
		return err
	}
	defer h.Close()
	return do(h)
}

func newServe() *cobra.Command {
	c := &cobra.Command{Use: "serve", Short: "Run an engine process until it is told to stop", Args: upTo(0), Example: "  tocsin serve --config /etc/tocsin/tocsin.yaml"}
	path := configured(c)
	verbose := c.Flags().Bool("verbose", false, "log every call")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := wiring.LoadConfig(*path)
		if err != nil {
			return err
		}
		log, err := newLogger(*verbose)
		if err != nil {
			return err
		}
		return wiring.Serve(c.Context(), cfg, log)
	}
	return c
}

func newLogger(verbose bool) (*zap.Logger, error) {
	how := zap.NewProductionConfig()
	how.Sampling = nil // no line of an incident is left out
	how.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	if verbose {
		how.Level.SetLevel(zap.DebugLevel)
	}
	return how.Build()
}

func newInit() *cobra.Command {
	c := &cobra.Command{
		Use: "init DIR", Short: "Make a house: keys, certificates, the first user, and a configuration to fill in", Args: exactly(1),
		Example: "  tocsin init /etc/tocsin --realm chongqing --host warn.example.org --user chen",
	}
	n := wiring.NewHouse{}
	c.Flags().StringVar(&n.Realm, "realm", "", "name of the installation: a-z, 0-9 and -")
	c.Flags().StringSliceVar(&n.Hosts, "host", []string{"localhost", "127.0.0.1"}, "names and addresses that the server is called by")
	c.Flags().StringVar(&n.User, "user", "", "name of the first user")
	c.Flags().StringVar(&n.Role, "role", "engineer", "role of the first user")
	output := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if n.Dir, err = filepath.Abs(args[0]); err != nil {
			return err
		}
		if n.User == "" || n.Realm == "" {
			return usage(errors.New("--realm and --user are needed"))
		}
		todo := "fill in what stands in <…>, then run"
		if _, err := os.Stat(filepath.Join(n.Dir, wiring.ConfigFile)); err == nil {
			todo = "run" // it was there, and is as it was
		}
		made, err := wiring.Init(c.Context(), n, zap.NewNop())
		if err != nil {
			return err
		}
		return output.put(c, made,
			"configuration: "+made.Config+" ("+todo+" `tocsin serve --config "+made.Config+"`)",
			"clients trust: "+made.CA,
			"token of "+made.User+", shown this once: "+made.Token)
	}
	return c
}

func newConfig() *cobra.Command {
	write := &cobra.Command{Use: "init [FILE]", Short: "Write a configuration with every key, to be filled in", Args: upTo(1), Example: "  tocsin config init tocsin.yaml"}
	write.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			_, err := c.OutOrStdout().Write(wiring.ExampleConfig())
			return err
		}
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
		_, err = f.Write(wiring.ExampleConfig())
		return errors.Join(err, f.Close())
	}
	check := &cobra.Command{
		Use: "check [FILE]", Short: "Read a configuration and show it with all defaults", Args: upTo(1),
		Long: "Read a configuration and show it with all defaults; with --running show instead what a reload would change in the engine\n" +
			"that answers, which reads its own file.",
		Example: "  tocsin config check tocsin.yaml\n  tocsin config check --running",
	}
	k := calls(check).answers(check)
	running := check.Flags().Bool("running", false, "ask the engine what a reload would change, and what it takes")
	check.RunE = func(c *cobra.Command, args []string) error {
		if *running {
			return k.reload(c, true)
		}
		cfg, err := wiring.LoadConfig(append(args, wiring.ConfigFile)[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(c.OutOrStdout(), cfg.String())
		return err
	}
	return group("config", "Write, check and reload configurations", write, check, newReload())
}

func newReload() *cobra.Command {
	c := &cobra.Command{
		Use: "reload", Short: "Make the engine read its configuration again: all of it or nothing", Args: upTo(0),
		Long: "Make the process that answers read its configuration file again. The file is checked whole, and applied or refused\n" +
			"whole. Links that change are bound anew before the old ones end; an account that is gone sends on until nobody waits there.\n" +
			"What needs a restart is named with its line, and then nothing is applied. Say it to each process of the realm.",
		Example: "  tocsin config reload --check\n  tocsin config reload",
	}
	k := calls(c).answers(c).changes(c)
	check := c.Flags().Bool("check", false, "only show what would change, and what it takes")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.reload(c, *check)
	}
	return c
}

// reload asks for a reload, or what would come of it.
func (k *client) reload(c *cobra.Command, checkOnly bool) error {
	return k.set(func(conn *grpc.ClientConn, key string) error {
		r, err := pb.NewHouseServiceClient(conn).Reload(c.Context(), &pb.ReloadRequest{Key: key, CheckOnly: checkOnly})
		if err != nil {
			return err
		}
		return k.put(c.OutOrStdout(), r, k.language().Reload(r)...)
	})
}

func newRedis() *cobra.Command {
	stop := &cobra.Command{Use: "stop", Short: "Stop the Redis that the engine runs in its data directory", Args: upTo(0), Example: "  tocsin redis stop --config /etc/tocsin/tocsin.yaml"}
	path := configured(stop)
	stop.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := wiring.LoadConfig(*path)
		if err != nil {
			return err
		}
		return wiring.StopRedis(c.Context(), cfg, zap.NewNop())
	}
	return group("redis", "Look after the engine's own Redis", stop)
}

func newAudit() *cobra.Command {
	check := &cobra.Command{Use: "verify", Short: "Compare the record of acts with its seals; exits 1 when it was changed", Args: upTo(0), Example: "  tocsin audit verify --config /etc/tocsin/tocsin.yaml -o json"}
	path := configured(check)
	output := outputFlag(check)
	check.RunE = func(c *cobra.Command, _ []string) error {
		return inHouse(c, *path, func(h *wiring.House) error {
			r, err := h.VerifyAudit(c.Context())
			if err != nil {
				return err
			}
			lines := []string{fmt.Sprintf("%d acts, %d of them sealed, %d seals", r.Entries, r.Sealed, r.Seals)}
			for _, f := range r.Findings {
				lines = append(lines, fmt.Sprint(f))
			}
			if err := output.put(c, r, lines...); err != nil {
				return err
			}
			if !r.OK() {
				return errBadVerdict
			}
			return nil
		})
	}
	return group("audit", "Look after the record of acts", check)
}

// lifeFlag is how long a token holds.
func lifeFlag(c *cobra.Command) *time.Duration {
	return c.Flags().Duration("life", 0, "how long the token holds (default: 90 days)")
}
