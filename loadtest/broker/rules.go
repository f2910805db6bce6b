package broker

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// body is a payload as docs/push.md describes it.
type body struct {
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

// trees is which status stands in which tree of topics.
var trees = map[string]string{"warning": "actual", "drill": "public_drill", "exercise": "exercise", "test": "test"}

// message is a publication taken apart.
type message struct {
	pk               packets.Packet
	tree, unit, last string // levels of the topic; tree "sender" has no unit
	body             body
	readable         bool // the payload is an object of known fields
	now              time.Time
}

func newMessage(pk packets.Packet, now time.Time) *message {
	m := &message{pk: pk, now: now}
	levels := strings.Split(pk.TopicName, "/")
	if n := len(levels); n >= 2 && levels[n-2] == "sender" {
		m.tree, m.last = "sender", levels[n-1]
		return m
	} else if n >= 3 {
		m.tree, m.unit, m.last = levels[n-3], levels[n-2], levels[n-1]
	}
	d := json.NewDecoder(bytes.NewReader(pk.Payload))
	d.DisallowUnknownFields()
	m.readable = d.Decode(&m.body) == nil && d.InputOffset() == int64(len(pk.Payload))
	return m
}

// live tells whether a message of this type stands until it expires; the others are told once.
func (m *message) live() bool { return m.body.Type == "alert" || m.body.Type == "update" }

// rule is one thing that docs/push.md says; it is broken where broken says so.
type rule struct {
	name   string
	answer packets.Code
	broken func(*message) bool
}

// forAll binds every publication, forClearing those without a payload, forWords those with one. The first that is broken
// counts.
var (
	forAll = []rule{
		{"topic", packets.ErrTopicNameInvalid, func(m *message) bool {
			return m.tree != "sender" && (trees[m.tree] == "" || len(m.unit) != 12 || strings.Trim(m.unit, "0123456789") != "")
		}},
		{"qos", packets.ErrImplementationSpecificError, func(m *message) bool { return m.pk.FixedHeader.Qos != 1 }},
	}
	forClearing = []rule{
		{"clearing.retain", packets.ErrPayloadFormatInvalid, func(m *message) bool { return !m.pk.FixedHeader.Retain }},
	}
	forWords = []rule{
		{"payload", packets.ErrPayloadFormatInvalid, func(m *message) bool { return !m.readable || m.body.Format != 1 }},
		{"content_type", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			return m.pk.Properties.ContentType != "application/json" || m.pk.Properties.PayloadFormat != 1
		}},
		{"status", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			return m.body.Status != trees[m.tree] || m.body.Drill != (m.tree != "warning")
		}},
		{"warning", packets.ErrPayloadFormatInvalid, func(m *message) bool { return m.body.Warning != m.last }},
		{"identity", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			return m.body.ID == "" || m.body.Version < 1 || m.body.Serial == 0
		}},
		{"type", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			return !m.live() && (m.body.Related == 0 || m.body.Type != "cancel" && m.body.Type != "all_clear" && m.body.Type != "stop")
		}},
		{"text", packets.ErrPayloadFormatInvalid, func(m *message) bool { return (m.body.Text == "") != (m.body.Type == "stop") }},
		{"tier", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			return !strings.Contains(" red orange yellow blue notice ", " "+m.body.Tier+" ")
		}},
		{"retain", packets.ErrPayloadFormatInvalid, func(m *message) bool { return m.pk.FixedHeader.Retain != m.live() }},
		{"expiry", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			end := m.now.Add(time.Duration(m.pk.Properties.MessageExpiryInterval) * time.Second)
			return m.pk.Properties.MessageExpiryInterval == 0 || end.After(m.body.Expires.Add(time.Second))
		}},
		{"labels", packets.ErrPayloadFormatInvalid, func(m *message) bool {
			want := map[string]string{"id": m.body.ID, "status": m.body.Status, "type": m.body.Type, "tier": m.body.Tier, "event": m.body.Event}
			for _, label := range m.pk.Properties.User {
				if want[label.Key] == label.Val {
					delete(want, label.Key)
				}
			}
			return len(want) > 0
		}},
	}
)

// check is the first rule that m breaks, or nil.
func (m *message) check() *rule {
	rules := [][]rule{forAll, forWords}
	switch {
	case m.tree == "sender":
		rules = rules[:1]
	case len(m.pk.Payload) == 0:
		rules[1] = forClearing
	}
	for _, group := range rules {
		for i := range group {
			if group[i].broken(m) {
				return &group[i]
			}
		}
	}
	return nil
}
