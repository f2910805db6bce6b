package wiring

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/identity"
	"tocsin/warning"
)

// current is what a process goes by and a reload may replace.
type current struct{ now atomic.Pointer[settings] }

// settings is one configuration as it was loaded, with what it names.
type settings struct {
	cfg     *config.Config
	table   *dispatcher.Numbers // nil: there is none
	numbers string              // digest of its file
	shown   *tls.Certificate    // to clients
	words   dispatcher.Wording
	loaded  time.Time
}

// settingsOf reads what a configuration names.
func settingsOf(cfg *config.Config) (*settings, error) {
	s := &settings{cfg: cfg, words: wording(deskOf(&cfg.Words)), loaded: time.Now()}
	var err error
	if s.table, s.numbers, err = numbersOf(&cfg.Routes); err != nil {
		return nil, err
	}
	secure, err := identity.ServerTLS(cfg.TLS.Certificate, cfg.TLS.Key)
	if err != nil {
		return nil, err
	}
	s.shown = &secure.Certificates[0]
	return s, nil
}

// diff is what another configuration changes: also what it names under the same path.
func (s *settings) diff(next *settings) []config.Difference {
	all := config.Diff(s.cfg, next.cfg)
	if s.numbers != next.numbers && s.cfg.Routes.Numbers == next.cfg.Routes.Numbers {
		all = append(all, config.Difference{Key: "routes.numbers", Before: "sha256:" + s.numbers, After: "sha256:" + next.numbers})
	}
	if before, after := s.certificate(), next.certificate(); before != after && s.cfg.TLS == next.cfg.TLS {
		all = append(all, config.Difference{Key: "tls.certificate", Before: before, After: after})
	}
	return all
}

// certificate tells one certificate from another.
func (s *settings) certificate() string {
	leaf := s.shown.Leaf
	sum := sha256.Sum256(leaf.Raw)
	return fmt.Sprintf("sha256:%s, ends on %s", hex.EncodeToString(sum[:]), leaf.NotAfter.Format(time.DateOnly))
}

// digest names a configuration and what it names; no secret enters it.
func (s *settings) digest() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.cfg.String(), s.numbers, s.certificate()}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// accounts is what of it the engine may take while it works.
func (s *settings) accounts() dispatcher.Accounts {
	return dispatcher.Accounts{Accounts: accountsOf(s.cfg.Accounts), Numbers: s.table, FailOver: failOverOf(&s.cfg.Routes)}
}

// show is the certificate for new connections.
func (c *current) show(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.now.Load().shown, nil
}

func (c *current) wording(s warning.Spec, before *warning.Spec, at time.Time) (warning.Spec, error) {
	return c.now.Load().words(s, before, at)
}
