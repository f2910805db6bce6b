//go:build peers

package smpp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/channels/smpp"
	"tocsin/warning"
)

// peerText needs two parts in UCS-2; a surrogate pair lies where they are cut.
var peerText = strings.Repeat("暴雨橙色预警，", 9) + "请注意🌧" + strings.Repeat("防范", 10)

// TestPeerCarrier hands over to a carrier with a foreign codec that throttles each 7th message.
func TestPeerCarrier(t *testing.T) {
	const people, throttled = 100, 2 * 100 / 7
	smsc := startPeer(t, "--throttle", "7")
	sink, closeAccount := openPeer(t, smsc.address, people)
	sink.until(t, "answers and receipts", func() bool {
		return len(sink.outcomes) == 2*people && len(sink.receipts) == 2*people-throttled
	})
	if err := closeAccount(); err != nil {
		t.Error(err)
	}

	prints := map[uint16]int{}
	kinds := map[string]int{}
	seen := map[string]bool{}
	for _, o := range sink.outcomes {
		key := fmt.Sprint(o.Token, "/", o.Segment)
		if seen[key] {
			t.Errorf("segment %s has two outcomes", key)
		}
		seen[key] = true
		kinds[fmt.Sprint(o.Kind, " ", o.Reason)]++
		if o.Kind == channels.HandedOver {
			prints[o.Print]++
		}
	}
	want := map[string]int{
		fmt.Sprint(channels.HandedOver, " ", channels.NoReason): 2*people - throttled,
		fmt.Sprint(channels.Retry, " ", channels.Throttled):     throttled,
	}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d outcomes are %q, not %d: %v", kinds[kind], kind, n, kinds)
		}
	}
	for _, r := range sink.receipts {
		if r.State != channels.Arrived || prints[r.Print] == 0 || !channels.Synthetic(r.Number) {
			t.Errorf("a receipt was read as %+v", r)
		}
		prints[r.Print]--
	}

	texts := map[string][2]string{}
	for _, e := range smsc.end(t) {
		switch e.Event {
		case "bind":
			if e.Kind != "bind_transceiver" || e.SystemID != "tocsin" || !e.PasswordOK || e.Version != 0x34 {
				t.Errorf("the carrier read the bind as %+v", e)
			}
		case "submit":
			// 3GPP TS 23.040, 9.2.3.24.1: element 00 of length 3 has reference, total and number of the part.
			if e.DataCoding != 8 || e.ESMClass != 0x40 || e.RegisteredDelivery&1 != 1 || e.Validity == "" || e.From != "1069" ||
				len(e.UDH) != 10 || !strings.HasPrefix(e.UDH, "0003") || e.UDH[6:8] != "02" {
				t.Errorf("the carrier read the message as %+v", e)
				continue
			}
			parts := texts[e.To]
			parts[e.UDH[9]-'1'] = e.Text
			texts[e.To] = parts
		case "receipt answered":
			if e.Status != 0 {
				t.Errorf("a receipt was answered with %d", e.Status)
			}
		case "error":
			t.Errorf("the carrier objects: %s", e.Text)
		}
	}
	if len(texts) != people {
		t.Errorf("the carrier read messages to %d people, not %d", len(texts), people)
	}
	for to, parts := range texts {
		if parts[0]+parts[1] != peerText {
			t.Errorf("the carrier reads for %s %q and %q", to, parts[0], parts[1])
		}
	}
}

// TestPeerCarrierCuts: the carrier cuts the line at a message. What was open there may have arrived.
func TestPeerCarrierCuts(t *testing.T) {
	const people = 4
	smsc := startPeer(t, "--drop", "5")
	sink, closeAccount := openPeer(t, smsc.address, people)
	sink.until(t, "outcomes", func() bool { return len(sink.outcomes) == 2*people })
	if err := closeAccount(); err != nil {
		t.Error(err)
	}
	read := 0
	for _, e := range smsc.end(t) {
		if e.Event == "submit" {
			read++
		}
	}
	counts := map[channels.Kind]int{}
	for _, o := range sink.outcomes {
		counts[o.Kind]++
	}
	if counts[channels.HandedOver] > 4 || counts[channels.Unknown] == 0 || read > counts[channels.HandedOver]+counts[channels.Unknown] {
		t.Errorf("of %d messages that the carrier read, the outcomes say %v", read, counts)
	}
}

// openPeer opens an account and hands each of the texts over to people, or one long text.
func openPeer(t *testing.T, address string, people int, texts ...channels.Content) (*peerSink, func() error) {
	t.Helper()
	c, sink, closed := openAccount(t, address)
	if len(texts) == 0 {
		texts = []channels.Content{{Text: peerText}}
	}
	for n, content := range texts {
		content.Expires, content.Status, content.WithReceipt = time.Now().Add(time.Hour), warning.Exercise, true
		p, err := c.Prepare(content)
		if err != nil {
			t.Fatal(err)
		}
		if (p.Segments() == 2) != (content.Text == peerText) {
			t.Fatalf("the text has %d segments", p.Segments())
		}
		var all []channels.Message
		for i := range people {
			all = append(all, channels.Message{Token: uint64(n*people + i), Number: 999_100_000_000 + uint64(i), Ref: uint8(n*people + i)})
		}
		sink.until(t, "room for everybody", func() bool {
			all = all[c.Send(p, all):]
			return len(all) == 0
		})
	}
	return sink, closed
}

// openAccount opens an account of one link with the carrier.
func openAccount(t *testing.T, address string) (channels.Carrier, *peerSink, func() error) {
	t.Helper()
	sink := &peerSink{change: make(chan struct{}, 1)}
	c, err := smpp.Adapter{}.Open(channels.Account{
		Name: "peer", Address: address, Links: 1, Window: 20, System: "tocsin", Password: "secret", Source: "1069",
		Simulated: true, Statuses: []warning.Status{warning.Exercise}, AnswerTimeout: 20 * time.Second,
	}, sink)
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return c.Close(ctx)
	})
	t.Cleanup(func() { _ = closed() })
	return c, sink, closed
}

// peerSink keeps what an account says.
type peerSink struct {
	change chan struct{}

	mu       sync.Mutex // guards what follows
	outcomes []channels.Outcome
	receipts []channels.Receipt
}

func (s *peerSink) Outcomes(o []channels.Outcome) {
	s.mu.Lock()
	s.outcomes = append(s.outcomes, o...)
	s.mu.Unlock()
	s.Changed()
}

func (s *peerSink) Receipts(r channels.Receipts) {
	s.mu.Lock()
	s.receipts = append(s.receipts, slices.Clone(r.All())...)
	s.mu.Unlock()
	r.Ack()
	s.Changed()
}

func (s *peerSink) Changed() {
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// until waits for done, asked again after each change.
func (s *peerSink) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		ok := done()
		n, m := len(s.outcomes), len(s.receipts)
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.change:
		case <-deadline:
			t.Fatalf("no %s after 30 s: %d outcomes, %d receipts", what, n, m)
		}
	}
}

// peerEvent is a line of tools/peers/smsc.js.
type peerEvent struct {
	Event              string
	Port               int
	Kind               string
	SystemID           string `json:"system_id"`
	PasswordOK         bool   `json:"password_ok"`
	Version            int
	To, From           string
	DataCoding         int `json:"data_coding"`
	ESMClass           int `json:"esm_class"`
	RegisteredDelivery int `json:"registered_delivery"`
	Validity           string
	Text, UDH          string
	Status             int
}

// peer is a running smsc.js.
type peer struct {
	address string
	end     func(t *testing.T) []peerEvent // stops it and gives what it said
}

// startPeer starts the carrier from where TOCSIN_PEERS says; make test-peers installs it.
func startPeer(t *testing.T, args ...string) *peer {
	t.Helper()
	peers := os.Getenv("TOCSIN_PEERS")
	if peers == "" {
		t.Fatal("TOCSIN_PEERS is not set: run make test-peers")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join("..", "..", "tools", "peers", "smsc.js")}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(peers, "node_modules"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Read all the time: a full pipe would hold the carrier up.
	first, rest := make(chan peerEvent, 1), make(chan []peerEvent, 1)
	go func() {
		var all []peerEvent
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e peerEvent
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				e = peerEvent{Event: "error", Text: lines.Text()}
			}
			if e.Event == "listen" {
				first <- e
				continue
			}
			all = append(all, e)
		}
		close(first)
		rest <- all
	}()
	listen, ok := <-first
	if !ok {
		t.Fatal("the carrier does not listen")
	}
	return &peer{
		address: net.JoinHostPort("127.0.0.1", fmt.Sprint(listen.Port)),
		end: func(t *testing.T) []peerEvent {
			t.Helper()
			if err := in.Close(); err != nil {
				t.Error(err)
			}
			all := <-rest
			if err := cmd.Wait(); err != nil {
				t.Errorf("the carrier ended with %v", err)
			}
			return all
		},
	}
}
