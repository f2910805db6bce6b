package carrier

import (
	"strings"
	"testing"
	"time"

	"tocsin/loadtest/carrierlog"
)

func TestOneMessageToOnePhone(t *testing.T) {
	c, stop := start(t, config(t))
	cl := dial(t, c).mustBind()
	before := time.Now().UnixNano()
	cl.send(encode(submitSM, 0, 7, hello(1).encode()))
	p := cl.recv()
	if p.id != submitSM|response || p.status != 0 || p.seq != 7 || len(p.body) != 21 {
		t.Fatalf("answer %x status %x seq %d body %q", p.id, p.status, p.seq, p.body)
	}
	id := string(p.body[:20])
	r := cl.recv()
	if r.id != deliverSM {
		t.Fatalf("no receipt: %x", r.id)
	}
	text := receiptText(t, r)
	if field(text, "id") != id || field(text, "stat") != "DELIVRD" || field(text, "err") != "000" {
		t.Fatalf("receipt %q for id %q", text, id)
	}
	cl.send(encode(deliverSM|response, 0, r.seq, []byte{0}))
	until(t, "the receipt is answered", func() bool { return c.Counts().Receipts == 1 })
	cl.send(encode(unbind, 0, 8, nil))
	if p := cl.recv(); p.id != unbind|response {
		t.Fatalf("unbind answered %x", p.id)
	}
	cl.ended()
	lines := stop()
	var order []string
	for _, l := range lines {
		order = append(order, string(l.Event))
	}
	if got := strings.Join(order, " "); got != "start bind text submit receipt unbind stop" {
		t.Fatalf("log: %s", got)
	}
	s := pick(lines, carrierlog.Submit)[0]
	if s.To != 99900000001 || s.Total != 1 || s.Seq != 1 || s.Text != 1 || string(s.ID) != id || s.Time < before || s.Time > time.Now().UnixNano() {
		t.Fatalf("submit line %+v", s)
	}
	if r := pick(lines, carrierlog.Receipt)[0]; string(r.IDs) != id || r.State != "DELIVRD" || r.Status != 0 {
		t.Fatalf("receipt line %+v", r)
	}
	if l := lines[len(lines)-1]; l.Submits != 1 || l.Receipts != 1 || l.Pending != 0 {
		t.Fatalf("stop line %+v", l)
	}
}
