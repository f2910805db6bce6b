//go:build peers

package carrier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tocsin/loadtest/carrier"
	"tocsin/loadtest/carrierlog"
)

// TestPeerClient lets a client with a foreign codec send to the simulated carrier: both must read the standard alike.
// The peers lie where TOCSIN_PEERS says; make test-peers installs them.
func TestPeerClient(t *testing.T) {
	const people = 50
	cfg := carrier.Default()
	cfg.Name, cfg.Log = "peers", filepath.Join(t.TempDir(), "carrier.log")
	cfg.SystemID, cfg.Password = "foreign", "secret"
	cfg.ReceiptDelay, cfg.ReceiptJitter = 20*time.Millisecond, 10*time.Millisecond
	c, err := carrier.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(ctx) }()

	var told struct {
		Bind    int
		Answers []struct {
			Status int
			ID     string
		}
		Receipts []struct {
			ID, State, From string
			ESMClass        int `json:"esm_class"`
		}
		Errors []string
	}
	_, port, err := net.SplitHostPort(c.Address())
	if err != nil {
		t.Fatal(err)
	}
	out := runPeer(t, "esme.js", port, cfg.SystemID, cfg.Password, strconv.Itoa(people))
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("the client said %q: %v", out, err)
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	if told.Bind != 0 || len(told.Errors) > 0 {
		t.Fatalf("bind answered %d, errors %q", told.Bind, told.Errors)
	}
	ids := map[string]bool{}
	for _, a := range told.Answers {
		if a.Status != 0 || a.ID == "" || ids[a.ID] {
			t.Errorf("an answer has status %d and the id %q", a.Status, a.ID)
		}
		ids[a.ID] = true
	}
	if len(told.Answers) != 3*people || len(told.Receipts) != 2*people {
		t.Errorf("the client got %d answers and %d receipts, not %d and %d", len(told.Answers), len(told.Receipts), 3*people, 2*people)
	}
	for _, r := range told.Receipts {
		if !ids[r.ID] || r.State != "DELIVRD" || r.ESMClass != 4 {
			t.Errorf("the client read the receipt as %+v", r)
		}
		delete(ids, r.ID) // each once
	}
	checkLog(t, cfg.Log, people)
}

// checkLog wants in the carrier's log what the client sent, and no violation.
func checkLog(t *testing.T, path string, people int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words := map[int]string{}
	parts := map[string]int{}
	var l carrierlog.Line
	for r := carrierlog.NewReader(f); ; {
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch l.Event {
		case carrierlog.Text:
			words[l.Text] = l.Words
		case carrierlog.Submit:
			parts[words[l.Text]]++
		case carrierlog.Violation, carrierlog.NotSynthetic:
			t.Errorf("the carrier objects to a client that keeps the standard: %+v", l)
		}
	}
	for _, w := range []string{"暴雨橙色预警：未来三小时，", "请避开低洼处。", "Heavy rain. Stay off low ground."} {
		if parts[w] != people {
			t.Errorf("the log has %q %d times, not %d: %v", w, parts[w], people, parts)
		}
	}
}

// runPeer runs a script of tools/peers to its end and gives what it wrote.
func runPeer(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	peers := os.Getenv("TOCSIN_PEERS")
	if peers == "" {
		t.Fatal("TOCSIN_PEERS is not set: run make test-peers")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join("..", "..", "tools", "peers", script)}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(peers, "node_modules"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, stderr.Bytes())
	}
	return out
}
