package config

import (
	"fmt"
	"time"

	"tocsin/warning"
)

// Platform is one contract with one platform of an area channel: it reaches places, not people.
type Platform struct {
	Name         string            `yaml:"name"`
	Protocol     AreaProtocol      `yaml:"protocol"`
	Channel      warning.Channel   `yaml:"channel"`
	Address      string            `yaml:"address"` // URL
	User         string            `yaml:"user"`
	PasswordFile string            `yaml:"password_file"`
	PasswordEnv  string            `yaml:"password_env"`
	Password     Secret            `yaml:"-"`
	Source       string            `yaml:"source"` // who we are to the platform
	Target       string            `yaml:"target"` // who it is
	Keys         map[string]string `yaml:"keys"`   // files in PEM by their use in the transport
	Kind         Kind              `yaml:"kind"`
	PublicDrill  bool              `yaml:"public_drill"` // marked for drills with real people
	Timeout      time.Duration     `yaml:"timeout"`      // of one call; absent: the transport's usual one
	Heartbeat    time.Duration     `yaml:"heartbeat"`
}

// AreaProtocol is what a platform speaks.
type AreaProtocol uint8

// The protocols of platforms.
const (
	EBD  AreaProtocol = iota + 1 // emergency broadcast: EBM in an EBD packet over HTTP
	MQTT                         // app push by topic, MQTT 5
)

var areaProtocols = words{"ebd", "mqtt"}

func (p AreaProtocol) String() string { return areaProtocols.name(uint8(p)) }

// Statuses is the statuses of warnings that may leave through the platform (promise 8).
func (f *Platform) Statuses() []warning.Status {
	return statusesOf(f.Kind, f.PublicDrill)
}

func (f *Platform) check(at string, p *problems) {
	p.name(at+".name", f.Name)
	p.needed(at+".protocol", f.Protocol.String())
	p.needed(at+".address", f.Address)
	p.needed(at+".source", f.Source)
	p.needed(at+".kind", f.Kind.String())
	if f.Channel != warning.Broadcast && f.Channel != warning.Push && f.Channel != warning.CableTV {
		p.add(at+".channel", fmt.Sprintf("%v is no channel that reaches places", f.Channel), "say broadcast, cable_tv or push")
	}
	between(p, at+".timeout", f.Timeout, 0, 5*time.Minute)
	between(p, at+".heartbeat", f.Heartbeat, 0, time.Hour)
	if f.PublicDrill && f.Kind != Live {
		p.add(at+".public_drill", "is for platforms of kind live: a public drill reaches real people", "set kind: live, or take public_drill out")
	}
}
