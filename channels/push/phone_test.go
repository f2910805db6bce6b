package push_test

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// note is a message as a phone reads it, by docs/push.md alone.
type note struct {
	Format    int       `json:"format"`
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	Drill     bool      `json:"drill"`
	Type      string    `json:"type"`
	Warning   string    `json:"warning"`
	Version   int       `json:"version"`
	Serial    uint32    `json:"serial"`
	Related   uint32    `json:"related"`
	Tier      string    `json:"tier"`
	Event     string    `json:"event"`
	EventName string    `json:"event_name"`
	Issuer    string    `json:"issuer"`
	Title     string    `json:"title"`
	Text      string    `json:"text"`
	Language  string    `json:"language"`
	Issued    time.Time `json:"issued"`
	Starts    time.Time `json:"starts"`
	Expires   time.Time `json:"expires"`
}

// phone is an app in a place. It does what docs/push.md asks of one and counts.
type phone struct {
	client *paho.Client
	change chan struct{}

	mu      sync.Mutex // guards what follows
	shown   map[uint32]note
	had     map[string]int // by id, how often it came
	expiry  map[string]uint32
	rung    int    // how often something rang
	late    int    // came past its expiry
	payload []byte // the last
	sender  string
	faults  []string
}

// above is a unit and all that it lies in.
func above(unit string) []string {
	var all []string
	for _, digits := range []int{2, 4, 6, 9, 12} {
		all = append(all, unit[:digits]+strings.Repeat("0", 12-digits))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// newPhone is a phone in a unit that subscribes to the trees and has got all that is retained there. session is how many
// seconds its session outlives the connection.
func newPhone(t *testing.T, address, id, unit string, session uint32, trees ...string) *phone {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{change: make(chan struct{}, 1), shown: map[uint32]note{}, had: map[string]int{}, expiry: map[string]uint32{}}
	p.client = paho.NewClient(paho.ClientConfig{
		Conn: conn, ClientID: id, OnPublishReceived: []func(paho.PublishReceived) (bool, error){p.receive},
	})
	ack, err := p.client.Connect(t.Context(), &paho.Connect{
		ClientID: id, KeepAlive: 30, CleanStart: session == 0, Properties: &paho.ConnectProperties{SessionExpiryInterval: &session},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	if ack.SessionPresent {
		return p
	}
	sub := &paho.Subscribe{}
	for _, tree := range trees {
		for _, u := range above(unit) {
			sub.Subscriptions = append(sub.Subscriptions, paho.SubscribeOptions{Topic: tree + "/" + u + "/+", QoS: 1})
		}
	}
	// What the sender says of itself is retained as well and comes behind all that is, in the order of the filters.
	sub.Subscriptions = append(sub.Subscriptions, paho.SubscribeOptions{Topic: "sender/+", QoS: 1})
	if _, err := p.client.Subscribe(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	p.until(t, "what is retained", func() bool { return p.sender != "" })
	return p
}

func (p *phone) leave() {
	_ = p.client.Disconnect(&paho.Disconnect{}) // it may have left before
}

func (p *phone) receive(r paho.PublishReceived) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		select {
		case p.change <- struct{}{}:
		default:
		}
	}()
	if strings.HasPrefix(r.Packet.Topic, "sender/") {
		if r.Packet.Retain { // what is told now may overtake what is retained
			p.sender = string(r.Packet.Payload)
		}
		return true, nil
	}
	if len(r.Packet.Payload) == 0 {
		return true, nil
	}
	p.payload = r.Packet.Payload
	var n note
	d := json.NewDecoder(bytes.NewReader(r.Packet.Payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		p.faults = append(p.faults, err.Error())
		return true, nil
	}
	if r.Packet.Properties.MessageExpiry != nil {
		p.expiry[n.ID] = *r.Packet.Properties.MessageExpiry
	}
	if !time.Now().Before(n.Expires) {
		p.late++
		return true, nil
	}
	p.had[n.ID]++
	delete(p.shown, n.Related)
	if p.had[n.ID] == 1 && n.Text != "" {
		p.rung++
		if n.Type == "alert" || n.Type == "update" {
			p.shown[n.Serial] = n
		}
	}
	return true, nil
}

// until waits for done, asked again after each message.
func (p *phone) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		ok, had := done(), len(p.had)
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.change:
		case <-deadline:
			t.Fatalf("no %s after 20 s; the phone had %d messages", what, had)
		}
	}
}

// see holds the phone against what it should have: the serials that it shows, how often it rang, and how many messages
// came that it had already.
func (p *phone) see(t *testing.T, who string, rung, repeats int, serials ...uint32) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var shows []uint32
	for s := range p.shown {
		shows = append(shows, s)
	}
	slices.Sort(shows)
	if !slices.Equal(shows, serials) {
		t.Errorf("%s shows %v, not %v", who, shows, serials)
	}
	again := 0
	for _, n := range p.had {
		again += n - 1
	}
	if p.rung != rung || again != repeats {
		t.Errorf("%s rang %d times and had %d repeats, not %d and %d", who, p.rung, again, rung, repeats)
	}
	for _, f := range p.faults {
		t.Errorf("%s cannot read a message: %s", who, f)
	}
}
