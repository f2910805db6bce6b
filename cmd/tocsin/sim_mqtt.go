package main

import (
	"github.com/spf13/cobra"

	"tocsin/loadtest/broker"
)

func newSimMQTT() *cobra.Command {
	c := &cobra.Command{
		Use: "mqtt", Short: "Play the broker of an app that speaks MQTT 5 on the loopback, until it is told to stop", Args: upTo(0),
		Example: "  tocsin sim mqtt --name app --listen 127.0.0.1:1883 --log broker.jsonl --user tocsin --password secret",
	}
	cfg := broker.Default()
	f := c.Flags()
	f.StringVar(&cfg.Name, "name", "app", "name of the account; it stands in the log")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "host:port on the loopback")
	f.StringVar(&cfg.Log, "log", cfg.Log, "broker log; it is appended to")
	f.StringVar(&cfg.User, "user", cfg.User, "who may publish; without one everybody may")
	f.StringVar(&cfg.Password, "password", cfg.Password, "with which password")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "makes the faults repeatable")
	for _, share := range []struct {
		name string
		into *float64
		help string
	}{
		{"throttled", &cfg.Throttled, "messages answered with quota exceeded and not taken"},
		{"unspecified", &cfg.Unspecified, "messages answered with an unspecified error and not taken"},
		{"swallowed", &cfg.Swallowed, "messages neither taken nor answered"},
		{"drop-link", &cfg.DropLink, "messages taken at which the connection breaks before the answer"},
	} {
		f.Float64Var(share.into, share.name, *share.into, "share, 0 to 1: "+share.help)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return broker.Run(c.Context(), cfg) }
	return c
}
