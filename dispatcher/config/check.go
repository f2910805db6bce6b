package config

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/warning"
)

var (
	nameForm = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	unitForm = regexp.MustCompile(`^[0-9]{6}$`)
	// E.164 has at most 15 digits and no country code begins with 0.
	prefixForm = regexp.MustCompile(`^[1-9][0-9]{0,14}$`)
)

// check holds every value against its range and against the others.
func (c *Config) check(p *problems) {
	p.name("realm", c.Realm)
	p.name("node", c.Node)
	p.needed("data", c.Data)
	between(p, "keep", c.Keep, 5*24*time.Hour, 10*366*24*time.Hour) // receipts come for 3 days
	p.hostPort("listen", c.Listen, 0)
	p.needed("tls.certificate", c.TLS.Certificate)
	p.needed("tls.key", c.TLS.Key)
	p.needed("keys.data", c.Keys.Data)
	p.needed("keys.seal", c.Keys.Seal)
	if c.Redis != nil {
		p.hostPort("redis.address", c.Redis.Address, 1)
	}
	if !unitForm.MatchString(c.Jurisdiction.Units) {
		p.add("jurisdiction.units", fmt.Sprintf("%q is not a code of six digits", c.Jurisdiction.Units), "e.g. \"500000\"")
	}
	between(p, "limits.request_bytes", c.Limits.RequestBytes, 1<<10, 1<<30)
	between(p, "limits.areas", c.Limits.Areas, 1, 10_000)
	between(p, "limits.vertices", c.Limits.Vertices, 4, 10_000_000)
	between(p, "limits.rings", c.Limits.Rings, 1, 1_000_000)
	between(p, "limits.work", c.Limits.Work, 100_000, 100_000_000_000)
	for _, tier := range warning.Tiers {
		if s := c.Limits.Share[tier]; s <= 0 || s > 1 {
			p.add("limits.share."+tier.String(), fmt.Sprintf("%g is not above 0 and at most 1", s), "1.0 is the whole jurisdiction")
		}
	}
	c.Policy.check(p)
	c.Duty.check(p)
	c.Words.check(p)
	c.Routes.check(p)
	if len(c.Accounts) == 0 {
		p.add("accounts", "has no account", "without one nobody can be reached; add at least one")
	}
	names := map[string]int{}
	for i := range c.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		c.Accounts[i].check(at, p)
		if first, ok := names[c.Accounts[i].Name]; ok {
			p.add(at+".name", fmt.Sprintf("%q is the name of accounts[%d] already", c.Accounts[i].Name, first), "give each account its own")
		} else {
			names[c.Accounts[i].Name] = i
		}
	}
	for i := range c.Platforms {
		at := fmt.Sprintf("platforms[%d]", i)
		c.Platforms[i].check(at, p)
		if _, ok := names[c.Platforms[i].Name]; ok {
			p.add(at+".name", fmt.Sprintf("%q is the name of another account or platform", c.Platforms[i].Name), "give each its own")
		}
		names[c.Platforms[i].Name] = i
	}
}

func (a *Account) check(at string, p *problems) {
	p.name(at+".name", a.Name)
	p.needed(at+".protocol", a.Protocol.String())
	p.hostPort(at+".address", a.Address, 1)
	between(p, at+".links", a.Links, 1, 1024)
	between(p, at+".window", a.Window, 1, 65535)
	p.needed(at+".system_id", a.SystemID)
	p.needed(at+".source", a.Source)
	between(p, at+".rate", a.Rate, 1, 10_000_000)
	between(p, at+".burst", a.Burst, time.Millisecond, 50*time.Millisecond) // a grant is 50 ms of the rate
	between(p, at+".guard", a.Guard, 0, time.Second)
	between(p, at+".weight", a.Weight, 1, 1000)
	if a.Home != "" {
		p.name(at+".home", a.Home)
	}
	p.needed(at+".kind", a.Kind.String())
	between(p, at+".timers.bind", a.Timers.Bind, 10*time.Millisecond, 5*time.Minute)
	between(p, at+".timers.answer", a.Timers.Answer, 10*time.Millisecond, 10*time.Minute)
	between(p, at+".timers.keep_alive", a.Timers.KeepAlive, 10*time.Millisecond, time.Hour)
	if a.PublicDrill && a.Kind != Live {
		p.add(at+".public_drill", "is for links of kind live: a public drill reaches real people", "set kind: live, or take public_drill out")
	}
	distinct(p, at+".channels", a.Channels)
	if a.Carrier == "" || len(a.Prefixes) > 0 {
		distinct(p, at+".prefixes", a.Prefixes)
	}
	if a.Carrier != "" {
		p.name(at+".carrier", a.Carrier)
	}
	if a.Test.Number != "" {
		a.checkPrefix(at+".test.number", a.Test.Number, p)
	}
	if a.Test.Every != 0 {
		p.needed(at+".test.number", a.Test.Number)
		between(p, at+".test.every", a.Test.Every, time.Second, 24*time.Hour)
	}
	for j, prefix := range a.Prefixes {
		a.checkPrefix(fmt.Sprintf("%s.prefixes[%d]", at, j), prefix, p)
	}
}

func (r *Routes) check(p *problems) {
	between(p, "routes.after", r.After, time.Second, time.Hour)
	between(p, "routes.window", r.Window, time.Second, time.Minute)
	between(p, "routes.least", r.Least, 1, 1_000_000)
	between(p, "routes.stay", r.Stay, time.Second, 24*time.Hour)
	if r.Good < 0 || r.Good >= r.Bad || r.Bad > 1 {
		p.add("routes.bad", fmt.Sprintf("good is %g and bad %g", r.Good, r.Bad), "good is at least 0 and below bad, bad at most 1: what lies between changes nothing")
	}
}

// synthetic begins every number that cannot be assigned (ITU-T E.164, reserved country code).
const synthetic = "999"

// checkPrefix finds prefixes under which the links would refuse everybody (promise 8).
func (a *Account) checkPrefix(at, prefix string, p *problems) {
	switch invented := strings.HasPrefix(prefix, synthetic); {
	case !prefixForm.MatchString(prefix):
		p.add(at, fmt.Sprintf("%q is not the beginning of a number", prefix), "1 to 15 digits with country code, no plus, no leading 0")
	case a.Kind == Simulated && !invented:
		p.add(at, fmt.Sprintf("%q is of numbers that could be somebody's, and simulated links take none", prefix), "begin it with "+synthetic)
	case a.Kind == Live && invented:
		p.add(at, fmt.Sprintf("%q is of numbers that cannot be assigned, and live links take none", prefix), "use a real prefix, or kind: simulated")
	}
}

func (p *problems) needed(path, value string) {
	if value == "" {
		p.add(path, "is missing", "give it a value")
	}
}

func (p *problems) name(path, value string) {
	if !nameForm.MatchString(value) {
		p.add(path, fmt.Sprintf("%q is not a name", value), "1 to 32 of a-z, 0-9 and -")
	}
}

func (p *problems) hostPort(path, value string, lowest int) {
	host, port, err := net.SplitHostPort(value)
	n, nerr := strconv.Atoi(port)
	if err != nil || nerr != nil || host == "" || n < lowest || n > 65535 {
		p.add(path, fmt.Sprintf("%q is not host:port", value), "e.g. 127.0.0.1:7443")
	}
}

// between wants low <= v <= high.
func between[T int | Bytes | time.Duration](p *problems, path string, v, low, high T) {
	if v < low || v > high {
		p.add(path, fmt.Sprintf("is %v", v), fmt.Sprintf("it must be from %v to %v", low, high))
	}
}

// distinct wants at least one and none twice.
func distinct[T comparable](p *problems, path string, list []T) {
	if len(list) == 0 {
		p.add(path, "is missing or empty", "name at least one")
	}
	seen := map[T]bool{}
	for i, v := range list {
		if seen[v] {
			p.add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%v stands in the list already", v), "take it out")
		}
		seen[v] = true
	}
}
