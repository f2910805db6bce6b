package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"

	"tocsin/channels"
)

// window is how many topics of one message may be without an answer. A broker that takes fewer says so and gets fewer.
const window = 64

// overhead is more than a packet has beside topic, labels and payload.
const overhead = 256

// carrier is an open account.
type carrier struct {
	account channels.AreaAccount
	prefix  string // of topics, with its slash
	sender  string // topic that says whether this account is connected
	client  *autopaho.ConnectionManager
	health  health
	open    atomic.Int64 // publications without an answer

	mu    sync.Mutex // guards shut, and that nothing begins once it is set
	shut  bool
	works sync.WaitGroup
}

var (
	_ channels.AreaCarrier = (*carrier)(nil)
	_ channels.AreaStopper = (*carrier)(nil)
)

func open(a channels.AreaAccount, broker *url.URL, secure *tls.Config) (*carrier, error) {
	c := &carrier{account: a, prefix: broker.Path}
	c.sender = c.prefix + "sender/" + a.Source
	c.health.link.Since = time.Now()
	c.health.tried = make(chan struct{})
	c.health.decided = sync.OnceFunc(func() { close(c.health.tried) })
	var err error
	c.client, err = autopaho.NewConnection(context.Background(), c.config(broker, secure))
	return c, err
}

// begin runs f beside the caller, unless the account is closed.
func (c *carrier) begin(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return false
	}
	c.works.Go(f)
	return true
}

// Link tells how the connection is doing.
func (c *carrier) Link() channels.LinkHealth {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	h := c.health.link
	h.Open = int(c.open.Load())
	return h
}

// Close takes nothing more, waits for what is under way until ctx ends, and ends the connection; what is still open then
// is Unknown.
func (c *carrier) Close(ctx context.Context) error {
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	c.health.decided() // nobody waits for a first connection any more
	done := make(chan struct{})
	go func() { c.works.Wait(); close(done) }()
	var late error
	select {
	case <-done:
	case <-ctx.Done():
		late = fmt.Errorf("push account %s: closed with messages under way: %w", c.account.Name, ctx.Err())
	}
	if c.client.Disconnect(ctx) != nil { // it asks, and there is no time to wait for that
		c.health.drop()
		<-c.client.Done()
	}
	c.health.down()
	<-done
	return late
}

// step is one publication of a message on each of its topics.
type step struct {
	words *payload // nil empties the topic
	keep  bool     // retained
}

// Play publishes the message on the topics of its units.
func (c *carrier) Play(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	if ends(m.Type) {
		return c.publish(ctx, m, step{keep: true}, step{words: newPayload(m)})
	}
	return c.publish(ctx, m, step{words: newPayload(m), keep: true})
}

// Stop empties the topics of the message and tells the phones that listen. It ends whatever of the warning stands there.
func (c *carrier) Stop(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	steps := []step{{keep: true}, {words: newStop(m)}}
	if validity(m.Expires, time.Now()) == 0 { // no phone shows it any more
		steps = steps[:1]
	}
	return c.publish(ctx, m, steps...)
}

// answer is what became of one topic.
type answer struct {
	topic   string
	kind    channels.Kind
	reason  channels.Reason
	detail  string
	unheard bool // the broker says that nobody listens there
}

// publish takes the steps on each topic, in order on one topic and several topics at a time. The first topic without an
// answer ends it: the others would wait as long for theirs.
func (c *carrier) publish(ctx context.Context, m channels.AreaMessage, steps ...step) channels.AreaOutcome {
	sends, no := c.prepare(m, steps)
	if no.Kind != 0 {
		return no
	}
	// An account that was opened just now has its first attempt to connect under way. Later nothing waits for a
	// connection: it would leave at a time that the engine does not know.
	select {
	case <-ctx.Done():
	case <-c.health.tried:
	}
	line := c.health.now()
	switch err := ctx.Err(); {
	case err != nil:
		return channels.AreaOutcome{Kind: channels.Retry, Reason: channels.LinkDown, Detail: "nothing was sent: " + err.Error()}
	case line == nil:
		return channels.AreaOutcome{Kind: channels.Retry, Reason: channels.LinkDown, Detail: "there is no connection"}
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(line, func() { cancel(errEnded) })()
	all := topics(c.prefix, m)
	next, answers := make(chan string, len(all)), make(chan answer, len(all))
	for _, topic := range all {
		next <- topic
	}
	close(next)
	work := func() {
		for topic := range next {
			a := c.walk(waiting, topic, sends, m.Expires)
			if a.reason == channels.NoAnswer {
				cancel(errSilent)
			}
			answers <- a
		}
	}
	if !c.begin(work) {
		return channels.AreaOutcome{Kind: channels.Retry, Reason: channels.LinkDown, Detail: "the account is closed"}
	}
	for range min(window, len(all)) - 1 {
		c.begin(work)
	}
	out := verdict(ctx, len(all), answers)
	if out.Reason == channels.NoAnswer && !errors.Is(ctx.Err(), context.Canceled) {
		c.health.hangUp(line)
	}
	return out
}

// Why a call goes no further.
var (
	errEnded  = errors.New("the connection ended")
	errSilent = errors.New("the broker did not answer in time")
)

// prepare makes the publications of a message but for topic and expiry, or says why it must not leave.
func (c *carrier) prepare(m channels.AreaMessage, steps []step) (sends []*paho.Publish, no channels.AreaOutcome) {
	refused := func(reason channels.Reason, detail string) ([]*paho.Publish, channels.AreaOutcome) {
		return nil, channels.AreaOutcome{Kind: channels.Refused, Reason: reason, Detail: detail}
	}
	if !slices.Contains(c.account.Statuses, m.Status) {
		return refused(channels.NotAllowed, fmt.Sprintf("account %s is not marked for %v", c.account.Name, m.Status))
	}
	if all := faults(m); len(all) > 0 {
		return refused(channels.BadContent, strings.Join(all, "; "))
	}
	if steps[len(steps)-1].words != nil && validity(m.Expires, time.Now()) == 0 {
		return refused(channels.ExpiredHere, "the message is not valid any more")
	}
	for _, s := range steps {
		p, err := s.packet()
		if err == nil {
			err = c.fits(p)
		}
		if err != nil {
			return refused(channels.BadContent, err.Error())
		}
		sends = append(sends, p)
	}
	return sends, no
}

// packet is the publication of s but for its topic and expiry.
func (s step) packet() (*paho.Publish, error) {
	p := &paho.Publish{QoS: 1, Retain: s.keep, Properties: &paho.PublishProperties{}}
	if s.words == nil {
		return p, nil
	}
	utf8 := byte(1) // clause 3.3.2.3.2
	p.Properties.PayloadFormat, p.Properties.ContentType = &utf8, contentType
	for _, label := range s.words.labels() {
		p.Properties.User.Add(label[0], label[1])
	}
	var err error
	p.Payload, err = s.words.encode()
	return p, err
}

// fits holds p against what the broker said that it takes: it would end the connection at a longer packet.
func (c *carrier) fits(p *paho.Publish) error {
	c.health.mu.Lock()
	limit := c.health.limit
	c.health.mu.Unlock()
	if n := len(c.prefix) + len(p.Payload) + overhead; limit != 0 && n > int(limit) {
		return fmt.Errorf("text: the message has up to %d octets and the broker takes %d; shorten it", n, limit)
	}
	return nil
}

// walk takes the steps on one topic until one of them fails.
func (c *carrier) walk(ctx context.Context, topic string, sends []*paho.Publish, expires time.Time) (a answer) {
	for i, send := range sends {
		if a = c.send(ctx, topic, *send, expires); a.kind != channels.HandedOver {
			if i > 0 { // the broker has the step before
				a.kind = channels.Unknown
			}
			break
		}
	}
	a.topic = topic
	return a
}

// send makes one publication and waits for its PUBACK.
func (c *carrier) send(ctx context.Context, topic string, p paho.Publish, expires time.Time) answer {
	if err := context.Cause(ctx); err != nil {
		return answer{kind: channels.Retry, reason: channels.LinkDown, detail: err.Error()}
	}
	p.Topic = topic
	if len(p.Payload) > 0 {
		left := validity(expires, time.Now())
		if left == 0 {
			return answer{kind: channels.Refused, reason: channels.ExpiredHere, detail: "not valid any more"}
		}
		properties := *p.Properties
		properties.MessageExpiry = &left
		p.Properties = &properties
	}
	c.open.Add(1)
	defer c.open.Add(-1)
	got, err := c.client.Publish(ctx, &p)
	switch {
	case got != nil:
		return acknowledged(got)
	case errors.Is(err, autopaho.ConnectionDownError), errors.Is(err, session.ErrNoConnection):
		return answer{kind: channels.Retry, reason: channels.LinkDown, detail: "there is no connection"}
	case errors.Is(err, paho.ErrInvalidArguments): // the broker's CONNACK excludes it, so nothing was sent
		return answer{kind: channels.Refused, reason: channels.NotAllowed, detail: err.Error()}
	}
	if why := context.Cause(ctx); why != nil {
		err = why
	}
	// It may have waited for its turn all the time; the client does not tell that from waiting for an answer.
	return answer{kind: channels.Unknown, reason: channels.NoAnswer, detail: err.Error()}
}
