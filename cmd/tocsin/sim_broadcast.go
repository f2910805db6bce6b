package main

import (
	"strings"

	"github.com/spf13/cobra"

	"tocsin/loadtest/platform"
)

func newSimBroadcast() *cobra.Command {
	c := &cobra.Command{
		Use: "broadcast", Short: "Play an emergency broadcast platform on the loopback, until it is told to stop", Args: upTo(0),
		Example: "  tocsin sim broadcast --listen 127.0.0.1:8090 --log platform.jsonl --key platform.pem --client-key tocsin.pub.pem\n" +
			"  tocsin sim broadcast --log platform.jsonl --fault truncated\n" +
			"Make a key: openssl genpkey -algorithm SM2 -out platform.pem; openssl pkey -in platform.pem -pubout -out platform.pub.pem",
	}
	cfg := platform.Default()
	f := c.Flags()
	f.StringVar(&cfg.Name, "name", cfg.Name, "name of the account; it stands in the log")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "host:port on the loopback")
	f.StringVar(&cfg.Log, "log", cfg.Log, "platform log; it is appended to")
	f.StringVar(&cfg.EBRID, "ebrid", cfg.EBRID, "resource code of the platform, 23 digits")
	f.StringVar(&cfg.Key, "key", cfg.Key, "PEM file with the SM2 private key that signs answers; none: they are not signed")
	f.StringVar(&cfg.ClientKey, "client-key", cfg.ClientKey, "PEM file with the client's SM2 public key; none: packets need no signature")
	f.DurationVar(&cfg.Delay, "delay", cfg.Delay, "from a packet to its answer")
	f.DurationVar(&cfg.CoverageOver, "coverage-over", cfg.CoverageOver, "until a message has come to all of its area")
	f.IntVar(&cfg.Terminals, "terminals", cfg.Terminals, "loudspeakers of each unit")
	f.StringVar((*string)(&cfg.Fault), "fault", "", "what befalls each message: "+strings.Join(platform.FaultNames(), ", "))
	f.IntVar(&cfg.Result, "result", cfg.Result, "ResultCode of the fault result")
	c.RunE = func(c *cobra.Command, _ []string) error { return platform.Run(c.Context(), cfg) }
	return c
}
