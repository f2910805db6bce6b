package broker

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is what the server tells the broker, and asks it.
type hook struct {
	mqtt.HookBase
	b *Broker
}

// events is what it wants to hear of.
var events = []byte{
	mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnDisconnect, mqtt.OnSubscribed, mqtt.OnPublish, mqtt.OnPacketEncode, mqtt.OnWillSent,
	mqtt.OnRetainedExpired,
}

// ID names the hook.
func (h *hook) ID() string { return "log" }

// Provides names the events that are listened to.
func (h *hook) Provides(event byte) bool { return slices.Contains(events, event) }

// OnConnectAuthenticate lets in who has the password, and who names no user.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	b := h.b
	user := string(pk.Connect.Username)
	ok := user == "" || user == b.cfg.User && string(pk.Connect.Password) == b.cfg.Password
	l := &Line{Event: Connect, Client: cl.ID, User: user}
	b.mu.Lock()
	b.last++
	l.Link = b.last
	if ok {
		b.links[cl] = l.Link
	}
	b.mu.Unlock()
	if !ok {
		l.Status = int(packets.ErrBadUsernameOrPassword.Code)
	}
	b.write(l)
	return ok
}

// OnACLCheck lets everybody read, and those with the password write.
func (h *hook) OnACLCheck(cl *mqtt.Client, _ string, write bool) bool {
	return !write || string(cl.Properties.Username) == h.b.cfg.User
}

// OnDisconnect writes down who left.
func (h *hook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	b := h.b
	l := &Line{Event: Disconnect, Link: b.link(cl), Client: cl.ID}
	if err != nil {
		l.Why = err.Error()
	}
	b.mu.Lock()
	delete(b.links, cl)
	b.mu.Unlock()
	b.write(l)
}

// OnSubscribed writes down who listens where.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, _ []byte) {
	for _, f := range pk.Filters {
		h.b.write(&Line{Event: Subscribe, Link: h.b.link(cl), Client: cl.ID, Filter: f.Filter})
	}
}

// OnPacketEncode mends the PUBACK of a message that was taken: the server answers with the QoS, and the standard knows no
// 0x01 there (clause 3.4.2.1).
func (h *hook) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Puback && pk.ReasonCode == packets.CodeGrantedQos1.Code {
		pk.ReasonCode = packets.CodeSuccess.Code
	}
	return pk
}

// OnWillSent writes down what the server said in the name of a client that is gone.
func (h *hook) OnWillSent(cl *mqtt.Client, pk packets.Packet) {
	h.b.write(&Line{
		Event: Publish, Link: h.b.link(cl), Topic: pk.TopicName, QoS: int(pk.FixedHeader.Qos), Retain: pk.FixedHeader.Retain,
		Taken: true, Body: asJSON(pk.Payload),
	})
}

// OnRetainedExpired writes down which topic is empty from now on.
func (h *hook) OnRetainedExpired(topic string) { h.b.write(&Line{Event: Expired, Topic: topic}) }

// errDropped is why a link breaks on purpose.
var errDropped = errors.New("dropped")

// OnPublish takes a message or answers with the rule that it breaks or the fault that it meets.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	b := h.b
	l := &Line{
		Event: Publish, Link: b.link(cl), Topic: pk.TopicName, QoS: int(pk.FixedHeader.Qos), Retain: pk.FixedHeader.Retain,
		Expiry: pk.Properties.MessageExpiryInterval, Type: pk.Properties.ContentType,
		Body: asJSON(pk.Payload),
	}
	for _, p := range pk.Properties.User {
		l.Labels = append(l.Labels, [2]string{p.Key, p.Val})
	}
	var answer error
	m := newMessage(pk, time.Now())
	if r := m.check(); r != nil {
		l.Rule, answer = r.name, r.answer
	} else if m.tree != "sender" {
		answer = b.fault()
	}
	if errors.Is(answer, errDropped) { // the server keeps it and fails at its answer
		cl.Stop(errDropped)
		answer, l.Status = nil, NoAnswer
	}
	var code packets.Code
	switch {
	case answer == nil:
		l.Taken = true
		b.mu.Lock()
		b.taken++
		b.mu.Unlock()
	case errors.Is(answer, packets.ErrRejectPacket): // says nothing to the client
		l.Status = NoAnswer
	case errors.As(answer, &code):
		l.Status = int(code.Code)
	}
	b.write(l)
	return pk, answer
}

// asJSON is a payload for the log: itself where it is JSON, else a string of it; nil where it is empty.
func asJSON(payload []byte) json.RawMessage {
	if len(payload) == 0 || json.Valid(payload) {
		return payload
	}
	b, err := json.Marshal(string(payload))
	if err != nil {
		panic("broker: a string always marshals: " + err.Error())
	}
	return b
}

// fault draws what happens to a message: the answer of the server, or nil.
func (b *Broker) fault() error {
	b.mu.Lock()
	at := b.dice.Float64()
	b.mu.Unlock()
	for _, f := range []struct {
		share  float64
		answer error
	}{
		{b.cfg.Throttled, packets.ErrQuotaExceeded}, {b.cfg.Unspecified, packets.ErrUnspecifiedError},
		{b.cfg.Swallowed, packets.ErrRejectPacket}, {b.cfg.DropLink, errDropped},
	} {
		if at -= f.share; at < 0 {
			return f.answer
		}
	}
	return nil
}

func (b *Broker) link(cl *mqtt.Client) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.links[cl]
}
