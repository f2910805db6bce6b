package wiring

import (
	"sync/atomic"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/warning"
)

// current is what a process goes by and a reload may replace.
type current struct{ now atomic.Pointer[settings] }

// settings is one configuration as it was loaded.
type settings struct {
	cfg     *config.Config
	numbers string // digest of the table of numbers
	words   dispatcher.Wording
	loaded  time.Time
}

func (c *current) take(cfg *config.Config, numbers string) {
	c.now.Store(&settings{cfg: cfg, numbers: numbers, words: wording(deskOf(&cfg.Words)), loaded: time.Now()})
}

func (c *current) wording(s warning.Spec, before *warning.Spec, at time.Time) (warning.Spec, error) {
	return c.now.Load().words(s, before, at)
}
