// Package push hands messages over to the broker of an app by MQTT 5, as the contract of area channels asks: a topic for
// each place, which the phones there have subscribed to. docs/push.md says what they find there.
//
// An alert or update is one retained message for each place, so that a phone that comes later gets it as well, until the
// broker drops it at its expiry. What ends a message empties the topic first and then tells the phones that listen: in
// the other order a phone that comes between the two would keep what is over.
//
// The broker has a message when it has acknowledged each of its topics. When only some are, the message is Unknown: it
// may have arrived, it is played again whole, and the phones know it by its id. Nothing of a message is sent behind the
// back of the engine: sessions end with their connection, and nothing is queued while there is none.
package push

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// What an account gets that says nothing.
const (
	usualTimeout   = 10 * time.Second
	usualHeartbeat = 30 * time.Second
)

// Adapter opens accounts of brokers that speak MQTT 5.
//
// Of an account, Address is mqtt://host:port/prefix, or mqtts: for TLS; the prefix stands before all topics and may be
// left out, so may the scheme with it. Source is the client id: a successor with the same one ends the connection of its
// predecessor. Keys are "authority", "certificate" and "key". Target is not used. Heartbeat is the keep alive, in whole
// seconds, rounded up.
type Adapter struct{}

var _ channels.AreaAdapter = Adapter{}

// Open starts the connection and returns at once. It fails with a *warning.Error that names every field that can never
// work.
func (Adapter) Open(a channels.AreaAccount) (channels.AreaCarrier, error) {
	if a.Timeout == 0 {
		a.Timeout = usualTimeout
	}
	if a.Heartbeat == 0 {
		a.Heartbeat = usualHeartbeat
	}
	var vs []warning.Violation
	refuse := func(bad bool, field, rule, detail, remedy string) {
		if bad {
			vs = append(vs, warning.Violation{Field: "account." + field, Rule: "account." + rule, Detail: detail, Remedy: remedy})
		}
	}
	broker, err := parseAddress(a.Address)
	refuse(err != nil, "address", "address", fmt.Sprint(err), "write it as mqtt://host:port/prefix, or mqtts: for TLS")
	refuse(!word(a.Source), "source", "source", fmt.Sprintf("%q is no client id", a.Source), "use 1 to 64 letters, digits, dots, dashes")
	refuse(len(a.Statuses) == 0, "statuses", "empty", "the account is marked for no status", "name at least one")
	for _, s := range a.Statuses {
		refuse(trees[s] == "", "statuses", "unknown", fmt.Sprintf("%v is no status", s), "use actual, public_drill, exercise, test")
	}
	for _, f := range []struct{ field, value string }{{"user", a.User}, {"password", a.Password}} {
		refuse(len(f.value) > math.MaxUint16, f.field, "length", fmt.Sprintf("has %d octets", len(f.value)), "use at most 65535")
	}
	refuse(a.Timeout < 0, "timeout", "negative", "is negative", "leave it out or make it positive")
	refuse(a.Heartbeat < 0 || a.Heartbeat > math.MaxUint16*time.Second, "heartbeat", "range",
		fmt.Sprintf("is %v", a.Heartbeat), "leave it out or use up to 65535s")
	secure, err := secureBy(a.Keys)
	refuse(err != nil, "keys", "keys", fmt.Sprint(err), "name readable PEM files by authority, certificate and key")
	if broker != nil && broker.Scheme == "mqtts" {
		if secure != nil {
			secure.ServerName = broker.Hostname()
		}
	} else {
		refuse(len(a.Keys) > 0, "keys", "plain", "are given and the connection is not secured", "write the address as mqtts://")
		secure = nil
	}
	if len(vs) > 0 {
		return nil, warning.Invalid(vs...)
	}
	return open(a, broker, secure)
}

// ports is the usual port by scheme.
var ports = map[string]string{"mqtt": "1883", "mqtts": "8883"}

// parseAddress reads an address; in the result the host has a port, and the path is the prefix of topics: empty or
// ended by a slash.
func parseAddress(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "mqtt://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is no URL")
	case ports[u.Scheme] == "":
		return nil, fmt.Errorf("%q is neither mqtt nor mqtts", u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("has no host")
	case u.User != nil:
		return nil, fmt.Errorf("has a user inside; user and password are fields of their own")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("has a query or a fragment")
	case strings.ContainsAny(u.Path, "+#\x00") || strings.HasPrefix(u.Path, "/$"):
		return nil, fmt.Errorf("has a prefix with +, # or $, which topics must not have")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), ports[u.Scheme])
	}
	if u.Path = strings.Trim(u.Path, "/"); u.Path != "" {
		u.Path += "/"
	}
	return u, nil
}

// secureBy makes the terms of TLS from files. Without an authority those of the system count.
func secureBy(keys map[string]string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	for name := range keys {
		if name != "authority" && name != "certificate" && name != "key" {
			return nil, fmt.Errorf("%q is none of authority, certificate, key", name)
		}
	}
	if file := keys["authority"]; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("authority: %s has no certificate", file)
		}
	}
	if keys["certificate"] != "" || keys["key"] != "" {
		pair, err := tls.LoadX509KeyPair(keys["certificate"], keys["key"])
		if err != nil {
			return nil, fmt.Errorf("certificate and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
