package main

import (
	"github.com/spf13/cobra"

	"tocsin/loadtest/carrier"
)

func newSim() *cobra.Command {
	return group("sim", "Play a carrier or a platform", newSimSMPP(), newSimBroadcast(), newSimMQTT())
}

func newSimSMPP() *cobra.Command {
	c := &cobra.Command{
		Use: "smpp", Short: "Play a carrier that speaks SMPP 3.4 on the loopback, until it is told to stop", Args: upTo(0),
		Example: "  tocsin sim smpp --name mobile --listen 127.0.0.1:2775 --log mobile.jsonl --rate 1500 --round-trip 20ms",
	}
	cfg := carrier.Default()
	f := c.Flags()
	f.StringVar(&cfg.Name, "name", cfg.Name, "name of the account; it stands in the log")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "host:port on the loopback")
	f.StringVar(&cfg.Log, "log", cfg.Log, "carrier log; it is appended to")
	f.StringVar(&cfg.SystemID, "system-id", cfg.SystemID, "who may bind")
	f.StringVar(&cfg.Password, "password", cfg.Password, "with which password")
	f.IntVar(&cfg.Links, "links", cfg.Links, "connections that may be bound at a time")
	f.IntVar(&cfg.Window, "window", cfg.Window, "messages of a link without an answer; 0: any number")
	f.StringVar(&cfg.WindowFull, "window-full", cfg.WindowFull, "beyond the window: stop or throttle")
	f.IntVar(&cfg.Rate, "rate", cfg.Rate, "messages accepted in any second; 0: any number")
	f.DurationVar(&cfg.RoundTrip, "round-trip", cfg.RoundTrip, "from a message to its answer")
	f.BoolVar(&cfg.Receipts, "receipts", cfg.Receipts, "send receipts to who asked for them")
	f.DurationVar(&cfg.ReceiptDelay, "receipt-delay", cfg.ReceiptDelay, "from a message to its receipt")
	f.DurationVar(&cfg.ReceiptJitter, "receipt-jitter", cfg.ReceiptJitter, "give or take")
	f.IntVar(&cfg.ReceiptWindow, "receipt-window", cfg.ReceiptWindow, "receipts of a link without an answer")
	f.DurationVar(&cfg.ReceiptTimeout, "receipt-timeout", cfg.ReceiptTimeout, "until a receipt is sent again")
	f.StringVar(&cfg.IDs, "ids", cfg.IDs, "form of message ids: opaque or hex")
	f.DurationVar(&cfg.BindTimeout, "bind-timeout", cfg.BindTimeout, "how long a connection may stay unbound")
	f.DurationVar(&cfg.EnquireEvery, "enquire-every", cfg.EnquireEvery, "how long a link may be silent before it is asked")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "makes the faults repeatable")
	f.StringVar(&cfg.FaultWords, "fault-words", cfg.FaultWords, "messages with these words are answered with --fault-status and not taken")
	f.Uint32Var(&cfg.FaultStatus, "fault-status", cfg.FaultStatus, "command_status of SMPP 3.4 5.1.3, e.g. 0x45 or 0x58")
	f.BoolVar(&cfg.NoFlash, "no-flash", cfg.NoFlash, "refuse flash messages")
	f.IntVar(&cfg.DeadAfter, "dead-after", cfg.DeadAfter, "the link that brings this message hears and says nothing more, nor does who takes its place; 0: never")
	for _, share := range []struct {
		name string
		into *float64
		help string
	}{
		{"undelivered", &cfg.Undelivered, "receipts UNDELIV"}, {"expired", &cfg.Expired, "receipts EXPIRED"},
		{"rejected", &cfg.Rejected, "receipts REJECTD"}, {"deleted", &cfg.Deleted, "receipts DELETED"}, {"unknown", &cfg.Unknown, "receipts UNKNOWN"},
		{"throttled", &cfg.Throttled, "messages answered so and not taken"}, {"queue-full", &cfg.QueueFull, "messages answered so and not taken"},
		{"system-error", &cfg.SystemError, "messages answered so and not taken"}, {"bad-number", &cfg.BadNumber, "people whose number is refused each time"},
		{"silent", &cfg.Silent, "messages taken and never answered"}, {"swallowed", &cfg.Swallowed, "messages neither taken nor answered"},
		{"drop-link", &cfg.DropLink, "messages at which the connection breaks"}, {"early-receipts", &cfg.EarlyReceipts, "receipts before the answer"},
		{"duplicate-receipts", &cfg.DuplicateReceipts, "receipts that come twice"}, {"stray-receipts", &cfg.StrayReceipts, "receipts for an unknown id"},
	} {
		f.Float64Var(share.into, share.name, *share.into, "share, 0 to 1: "+share.help)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return carrier.Run(c.Context(), cfg) }
	return c
}
