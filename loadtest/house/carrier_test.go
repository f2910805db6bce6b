package house

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"tocsin/channels/smpp/pdu"
	pb "tocsin/proto/tocsin/v1"
)

// links is the links of an account as the house shows them.
func links(t *testing.T, name string) []*pb.Link {
	t.Helper()
	list, err := pb.NewChannelServiceClient(running.conns[engineer]).List(t.Context(), &pb.ListChannelsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list.GetAccounts() {
		if a.GetName() == name {
			return a.GetLinks()
		}
	}
	t.Fatalf("there is no account %s", name)
	return nil
}

// bound waits until every link of an account is up.
func bound(t *testing.T, name string) {
	t.Helper()
	until(t, func() error {
		for _, l := range links(t, name) {
			if !l.GetUp() {
				return fmt.Errorf("link %d is not up: %s", l.GetIndex(), l.GetLastError())
			}
		}
		return nil
	})
}

// deliver is a receipt for an id, to a number.
func deliver(t *testing.T, number, id string, sequence uint32) []byte {
	t.Helper()
	b, err := pdu.AppendSM(nil, pdu.DeliverSM, sequence, &pdu.SM{
		SourceTON: pdu.TONInternational, SourceNPI: pdu.NPIISDN, Source: []byte(number), Dest: []byte("106900000000"), Class: pdu.ClassReceipt,
		Text: []byte("id:" + id + " sub:001 dlvrd:001 submit date:2606131200 done date:2606131201 stat:DELIVRD err:000 text:"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTruncatedPDUs lets a carrier send what ends too early. The link that cannot be read any more is made anew and
// says why; a PDU that can be told from the next is refused alone.
func TestTruncatedPDUs(t *testing.T) {
	whole := deliver(t, "9999900000001", "truncated", 1)
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for name, c := range map[string]struct {
		octets []byte
		hangUp bool
		says   string // the link's last fault; empty: the link stays
	}{
		"the connection ends inside":        {whole[:40], true, "EOF"},
		"shorter than a header":             {append(length(8), whole[4:]...), false, "command_length is 8, less than a header"},
		"longer than any":                   {append(length(1<<30), whole[4:]...), false, "command_length is 1073741824, more than"},
		"its fields end before its length":  {append(length(30), whole[4:30]...), false, ""},
		"its text is shorter than it says":  {append(length(uint32(len(whole)-9)), whole[4:len(whole)-9]...), false, ""},
		"a field that never ends by a zero": {append(length(40), append(append([]byte{}, whole[4:16]...), strings.Repeat("x", 24)...)...), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bound(t, "rough")
			running.nothingStays(t, func() {
				binds, answers := rough.bound(), len(rough.answers())
				if err := rough.send(c.octets, c.hangUp); err != nil {
					t.Fatal(err)
				}
				if c.says == "" {
					until(t, func() error {
						all := rough.answers()
						if len(all) == answers {
							return errors.New("it was not answered")
						}
						if all[answers].Status == pdu.OK {
							return errors.New("it was accepted")
						}
						return nil
					})
					if rough.bound() != binds {
						t.Error("a link was made anew")
					}
					return
				}
				told := false
				until(t, func() error {
					for _, l := range links(t, "rough") {
						told = told || strings.Contains(l.GetLastError(), c.says)
					}
					if rough.bound() == binds {
						return errors.New("the link was not made anew")
					}
					if !told {
						return errors.New("no link says why")
					}
					return nil
				})
			})
		})
	}
	bound(t, "mobile")
}

// told releases a warning and waits until everybody has it.
func told(t *testing.T) (report func() *pb.ReportResponse) {
	t.Helper()
	w, _ := submitted(t, good())
	if _, err := running.warnings(approver).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: 1, Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	stream, err := running.warnings(approver).Watch(t.Context(), &pb.WatchRequest{Id: w.GetId(), EveryMs: 50})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	report = func() *pb.ReportResponse {
		r, err := running.warnings(commander).Report(t.Context(), &pb.ReportRequest{Id: w.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	until(t, func() error {
		if r := report(); r.GetLanes()[0].GetHandedOver() > 0 || r.GetDelivered() == 0 { // the lanes are read before the people
			return fmt.Errorf("%d without receipt, %d delivered", r.GetHandedOver(), r.GetDelivered())
		}
		return nil
	})
	return report
}

// TestAReceiptForAnUnknownIDChangesNothing sends a warning through a carrier that follows each receipt by one for an id
// it never gave, and lets the other carrier send receipts for people whom nobody knows.
func TestAReceiptForAnUnknownIDChangesNothing(t *testing.T) {
	report := told(t)
	before := report()
	l := before.GetLanes()[0]
	if l.GetDelivered() != before.GetAddressable() || !l.GetBalanced() || l.GetPossibleRepeats() != 0 {
		t.Errorf("with a stray receipt for each: %v", l)
	}
	bound(t, "rough")
	answers := len(rough.answers())
	for n, number := range []string{"9999900000001", "8", "", "not a number"} {
		if err := rough.send(deliver(t, number, "never-given", uint32(n)+10), false); err != nil {
			t.Fatal(err)
		}
	}
	// Each is answered, so that it does not come again and again; and each is counted.
	until(t, func() error {
		if all := rough.answers(); len(all) < answers+4 {
			return fmt.Errorf("%d of 4 are answered", len(all)-answers)
		}
		if n := report().GetUnknownReceipts() - before.GetUnknownReceipts(); n != 4 {
			return fmt.Errorf("%d of 4 are counted", n)
		}
		return nil
	})
	after := report().GetLanes()[0]
	if after.GetDelivered() != l.GetDelivered() || after.GetPlanned() != l.GetPlanned() || !after.GetBalanced() {
		t.Errorf("%v became %v", l, after)
	}
}
