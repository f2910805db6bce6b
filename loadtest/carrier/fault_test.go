package carrier

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/loadtest/carrierlog"
)

func TestAFaultOfOneTextIsItsAlone(t *testing.T) {
	cfg := config(t)
	cfg.FaultWords, cfg.FaultStatus, cfg.NoFlash = "暴雨红色", submitFailed, true
	c, stop := start(t, cfg)
	cl := dial(t, c).mustBind()
	ucs2 := []byte{}
	for _, r := range "【演练】暴雨红色预警" {
		ucs2 = append(ucs2, byte(r>>8), byte(r))
	}
	bad, flash := hello(2), hello(3)
	bad.body, bad.coding = ucs2, 8
	flash.coding = 0x10
	for i, m := range []message{bad, flash, hello(4)} {
		cl.send(encode(submitSM, 0, uint32(2+i), m.encode()))
		want := []uint32{submitFailed, badServiceType, statusOK}[i]
		if p := cl.answers(1)[0]; p.status != want {
			t.Errorf("message %d was answered with %x, want %x", i, p.status, want)
		}
	}
	for i, l := range pick(stop(), carrierlog.Submit) {
		if l.Accepted() != (i == 2) {
			t.Errorf("%+v", l)
		}
	}
}

func TestClassZero(t *testing.T) {
	for coding := range 256 { // 3GPP TS 23.038 section 4: 00x1xxxx with class 0, and 1111xx00
		c := byte(coding)
		want := c>>6 == 0 && c>>4&1 == 1 && c&3 == 0 || c>>4 == 15 && c&3 == 0
		if classZero(c) != want {
			t.Errorf("%08b", c)
		}
	}
}

// TestADeadLinkStaysDead: it takes what it is sent and answers neither that nor anything else; what came before it is in
// the log and the others go on; whoever takes its place is not even let in.
func TestADeadLinkStaysDead(t *testing.T) {
	cfg := config(t)
	cfg.DeadAfter, cfg.BindTimeout, cfg.Receipts = 3, 50*time.Millisecond, false
	c, stop := start(t, cfg)
	well, dead := dial(t, c).mustBind(), dial(t, c).mustBind()
	quiet := func(cl *client, what string) {
		t.Helper()
		if err := cl.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if p, err := readPDU(cl.in); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: %x, %v", what, p.id, err)
		}
	}
	dead.submitAll(2, 2)
	dead.answers(2)
	dead.submitAll(4, 2)
	dead.send(encode(enquireLink, 0, 9, nil))
	quiet(dead, "the dead one")
	next := dial(t, c)
	next.send(encode(bindTransceiver, 0, 1, bindBody("tocsin", "secret", 0x34)))
	quiet(next, "the next one")
	well.submitAll(20, 5)
	well.answers(5)
	if n := len(pick(stop(), carrierlog.Submit)); n != 7 {
		t.Errorf("%d messages in the log, want the 2 before the death and the 5 of the other link", n)
	}
}

func TestAFaultWithoutItsStatusIsRefused(t *testing.T) {
	cfg := config(t)
	cfg.FaultWords = "x"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "fault_words: ") {
		t.Error(err)
	}
}
