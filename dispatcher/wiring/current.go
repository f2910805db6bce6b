package wiring

import (
	"sync/atomic"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/policy"
	"tocsin/warning"
)

// current is what a process goes by and a reload may replace: the policy for the engine, and the words.
type current struct{ now atomic.Pointer[settings] }

// settings is one configuration as it was loaded.
type settings struct {
	cfg    *config.Config
	policy *policy.Policy
	words  dispatcher.Wording
	loaded time.Time
}

func (c *current) take(cfg *config.Config) {
	c.now.Store(&settings{cfg: cfg, policy: policyOf(cfg), words: wording(deskOf(&cfg.Words)), loaded: time.Now()})
}

// ApprovalsFor is the present policy's.
func (c *current) ApprovalsFor(s *warning.Spec, share float64) (people int, headCount bool) {
	return c.now.Load().policy.ApprovalsFor(s, share)
}

// HeadCount is the present policy's.
func (c *current) HeadCount(w *warning.Warning, share float64, people, typed int64) (grown bool, err error) {
	return c.now.Load().policy.HeadCount(w, share, people, typed)
}

// MayDrill is the present policy's.
func (c *current) MayDrill(user string, s warning.Status) error {
	return c.now.Load().policy.MayDrill(user, s)
}

// ChannelsFor is the present policy's.
func (c *current) ChannelsFor(t warning.Tier, at time.Time) []warning.Channel {
	return c.now.Load().policy.ChannelsFor(t, at)
}

// Digest is the present policy's.
func (c *current) Digest() string { return c.now.Load().policy.Digest() }

func (c *current) wording(s warning.Spec, before *warning.Spec, at time.Time) (warning.Spec, error) {
	return c.now.Load().words(s, before, at)
}
