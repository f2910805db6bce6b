package carrier

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/loadtest/carrierlog"
)

func cancelBody(id string) []byte {
	b := append([]byte{0}, id...)
	b = append(b, 0, 0, 1)
	b = append(b, "10690000"...)
	return append(b, 0, 0, 0, 0)
}

// TestAMessageThatIsNotDeliveredIsGivenUp once; its receipt says so. What is delivered, or was never here, is not.
func TestAMessageThatIsNotDeliveredIsGivenUp(t *testing.T) {
	for _, ids := range []string{"opaque", "hex"} {
		t.Run(ids, func(t *testing.T) {
			cfg := config(t)
			cfg.ReceiptDelay, cfg.ReceiptJitter, cfg.IDs = 10*time.Minute, 0, ids
			c, stop := start(t, cfg)
			cl := dial(t, c).mustBind()
			cl.submitAll(2, 2)
			taken := cl.answers(2)
			id := string(taken[0].body[:len(taken[0].body)-1])
			cl.send(encode(cancelSM, 0, 7, cancelBody(id)))
			for k, want := range []uint32{statusOK, cancelFailed, cancelFailed} {
				deleted := false
				for {
					p := cl.recv()
					if p.id == deliverSM {
						deleted = true
						cl.send(encode(deliverSM|response, 0, p.seq, []byte{0}))
						continue
					}
					if p.id != cancelSM|response || p.status != want {
						t.Fatalf("cancel %d: %x with status %x, want %x", k, p.id, p.status, want)
					}
					break
				}
				if deleted && k == 0 {
					t.Error("the receipt came before the answer")
				}
				cl.send(encode(cancelSM, 0, uint32(8+k), cancelBody([]string{id, "nothing", "nothing"}[k])))
			}
			recalls := 0
			for _, l := range stop() {
				if l.Event == carrierlog.Recall && l.Status == 0 && string(l.ID) == id {
					recalls++
				}
			}
			if recalls != 1 {
				t.Errorf("%d recalls of the message in the log", recalls)
			}
		})
	}
}

// TestIDsAreReadAsTheyAreWritten over random ids in both forms.
func TestIDsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newIDForm(rapid.Bool().Draw(t, "hex"), rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name"))
		id := rapid.Uint64().Draw(t, "id")
		if got, ok := f.parse(f.inAnswer(nil, id)); !ok || got != id {
			t.Fatalf("%d is read as %d, %v", id, got, ok)
		}
	})
}
