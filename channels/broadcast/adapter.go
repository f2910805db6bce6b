// Package broadcast hands messages to an emergency broadcast platform: EBM in signed EBD packets by HTTP, as the
// contract of area channels asks.
//
// A packet is one request on a connection of its own, and its answer is in the response. What makes a message the same
// at a repeat is its EBMID, which follows from source, day and serial alone; the packet around it is a new one each
// time. Account.Keys has four uses, all PEM files: "private" (our SM2 key, PKCS #8; packets are signed where there is
// one), "certificate" (its certificate, whose serial number the signatures name), "platform" (the platform's public key
// or certificate; answers that it did not sign are then no answers) and "authority" (who vouches for the platform's
// TLS).
package broadcast

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/channels"
	"tocsin/channels/broadcast/ebd"
	"tocsin/warning"
)

const (
	usualTimeout   = 30 * time.Second
	usualHeartbeat = 30 * time.Second
)

// Adapter opens accounts with emergency broadcast platforms.
type Adapter struct{}

// Open checks the account, reads its keys and starts the heartbeat. The carrier is an AreaStopper and an AreaReporter.
func (Adapter) Open(a channels.AreaAccount) (channels.AreaCarrier, error) {
	c, vs := newCarrier(a)
	if len(vs) > 0 {
		return nil, warning.Invalid(vs...)
	}
	c.life, c.cut = context.WithCancel(context.Background())
	c.beats.Go(func() { c.beat(c.life) })
	return c, nil
}

// carrier is an open account.
type carrier struct {
	account  channels.AreaAccount
	client   *http.Client
	signer   *ebd.Signer   // nil: packets are not signed
	platform *ebd.Verifier // nil: answers are not verified
	serial   atomic.Uint64 // of packets

	life  context.Context // ends what is under way
	cut   context.CancelFunc
	beats sync.WaitGroup

	mu     sync.Mutex // guards what follows
	calls  sync.WaitGroup
	closed bool
	health channels.LinkHealth
}

// newCarrier makes a carrier of the account, or says what of it can never work.
func newCarrier(a channels.AreaAccount) (*carrier, []warning.Violation) {
	var vs []warning.Violation
	refuse := func(bad bool, field, rule, detail, remedy string) {
		if bad {
			vs = append(vs, warning.Violation{Field: "account." + field, Rule: "account." + rule, Detail: detail, Remedy: remedy})
		}
	}
	u, err := url.Parse(a.Address)
	refuse(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil, "address", "address",
		"it is not the URL of a platform", "write it as http://host:port/path or https://host:port/path, without a user")
	refuse(!ebd.ValidEBRID(a.Source), "source", "ebrid", fmt.Sprintf("%q is not 23 digits that begin with a level from 1 to 6", a.Source), "write the resource code that we have at the platform")
	refuse(a.Target != "" && !ebd.ValidEBRID(a.Target), "target", "ebrid", fmt.Sprintf("%q is not 23 digits that begin with a level from 1 to 6", a.Target), "write the platform's resource code, or leave it out")
	refuse(a.User != "" || a.Password != "", "user", "none", "a platform knows us by signature, not by user and password", "leave them out, and give a private key")
	refuse(len(a.Statuses) == 0, "statuses", "empty", "the link is marked for no status", "name at least one")
	refuse(a.Timeout < 0 || a.Heartbeat < 0, "timers", "negative", "a timer is negative", "leave it out or make it positive")

	c := &carrier{account: a, health: channels.LinkHealth{Since: time.Now()}}
	pem := map[string][]byte{}
	for use, path := range a.Keys {
		switch use {
		case "private", "certificate", "platform", "authority":
			b, err := os.ReadFile(path)
			refuse(err != nil, "keys."+use, "file", fmt.Sprint(err), "write the path of a PEM file")
			pem[use] = b
		default:
			refuse(true, "keys."+use, "use", "emergency broadcast has no such use of a key", "use private, certificate, platform or authority")
		}
	}
	if len(vs) > 0 {
		return nil, vs
	}
	if pem["private"] != nil {
		c.signer, err = ebd.NewSigner(pem["private"], pem["certificate"])
		refuse(err != nil, "keys.private", "key", fmt.Sprint(err), "give an SM2 private key in PKCS #8 and its own certificate")
	}
	refuse(pem["private"] == nil && pem["certificate"] != nil, "keys.certificate", "key", "there is no private key to it", "give the private key too")
	if pem["platform"] != nil {
		c.platform, err = ebd.NewVerifier(pem["platform"])
		refuse(err != nil, "keys.platform", "key", fmt.Sprint(err), "give the SM2 public key or the certificate of the platform")
	}
	var roots *x509.CertPool // nil: those of the system
	if pem["authority"] != nil {
		roots = x509.NewCertPool()
		refuse(!roots.AppendCertsFromPEM(pem["authority"]), "keys.authority", "key", "there is no certificate in it", "give the certificate of the authority")
	}
	// A connection for each packet: then what has left and what has not is never in doubt, and packets are few.
	c.client = &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.account.Timeout == 0 {
		c.account.Timeout = usualTimeout
	}
	if c.account.Heartbeat == 0 {
		c.account.Heartbeat = usualHeartbeat
	}
	return c, vs
}

// begin counts a call that may wait for the platform; false when the account is closed.
func (c *carrier) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.calls.Add(1)
	c.health.Open++
	return true
}

func (c *carrier) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.Open--
	c.calls.Done()
}

// beat asks at once and then regularly whether the platform is there.
func (c *carrier) beat(ctx context.Context) {
	tick := time.NewTicker(c.account.Heartbeat)
	defer tick.Stop()
	for ctx.Err() == nil {
		_, _ = c.exchange(ctx, &ebd.ConnectionCheck{RptTime: ebd.Time(time.Now())}, nil) // it has noted how the link does
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// note keeps how the link does by the latest exchange.
func (c *carrier) note(trouble string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if up := trouble == ""; up != c.health.Up {
		c.health.Up, c.health.Since = up, time.Now()
	}
	if trouble != "" {
		c.health.LastError = trouble
	}
}

// Link tells how the latest exchange with the platform went.
func (c *carrier) Link() channels.LinkHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Close takes no more calls and waits for those under way; when ctx ends it cuts them off, and the error says how many.
func (c *carrier) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() { c.calls.Wait(); close(done) }()
	left := 0
	select {
	case <-done:
	case <-ctx.Done():
		left = c.Link().Open
	}
	c.cut()
	<-done
	c.beats.Wait()
	if left > 0 {
		return fmt.Errorf("account %s was closed with %d messages that have no answer: %w", c.account.Name, left, ctx.Err())
	}
	return nil
}
