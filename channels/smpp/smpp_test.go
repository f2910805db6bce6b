package smpp

import (
	"testing"

	"go.uber.org/goleak"

	"tocsin/channels"
	"tocsin/channels/channelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tricks is what an SMPP carrier can play: everything of the suite.
var tricks = []channelstest.Trick{
	channelstest.Plain, channelstest.Split, channelstest.Joined, channelstest.EmptyIDs, channelstest.SameIDs,
	channelstest.ReceiptFirst, channelstest.ReceiptTwice, channelstest.ReceiptStrange, channelstest.ReceiptReordered,
	channelstest.ReceiptFailed, channelstest.Throttles, channelstest.QueueFull, channelstest.VendorCode,
	channelstest.UnknownNumber, channelstest.AnswersTwice, channelstest.Mute, channelstest.Late, channelstest.Sluggish,
	channelstest.Drops, channelstest.Terminates, channelstest.Garbage, channelstest.ZeroLength, channelstest.HugeLength,
	channelstest.UnknownCommand, channelstest.WordFromPerson, channelstest.BindRefused, channelstest.BindIgnored,
}

func account() channels.Account {
	return channels.Account{Name: "test", System: "tocsin", Password: "secret", Source: "10690000"}
}

func TestConformance(t *testing.T) {
	channelstest.Run(t, func(*testing.T) channelstest.Harness {
		return channelstest.Harness{
			Adapter: Adapter{}, Account: account(), Tricks: tricks,
			Start: func(t *testing.T, trick channelstest.Trick) channelstest.Peer { return startPeer(t, trick, sameID) },
		}
	})
}
