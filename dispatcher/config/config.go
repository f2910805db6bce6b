// Package config reads the one YAML file that configures everything.
//
// It is strict: an unknown or repeated key, a value of the wrong type or out of its range, and a value that is still to
// be filled in are errors with their line, and all of them are reported together. A Config that Load returns is
// complete: defaults are filled in, paths are absolute, secrets are read. No secret stands in the file itself: it names
// a file or a variable of the environment that holds it.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/warning"
)

// Config is the whole configuration of one engine process.
type Config struct {
	Realm string `yaml:"realm"` // the installation; all keys in Redis carry it
	Node  string `yaml:"node"`  // name of this process, in every id
	Data  string `yaml:"data"`  // directory of this process
	// Keep is how long after the end of its validity a warning is kept, with what became of every person.
	Keep         time.Duration `yaml:"keep"`
	Listen       string        `yaml:"listen"` // host:port of gRPC
	TLS          TLS           `yaml:"tls"`
	Keys         Keys          `yaml:"keys"`
	Redis        *Redis        `yaml:"redis"` // nil: the engine runs its own
	Jurisdiction Jurisdiction  `yaml:"jurisdiction"`
	Limits       Limits        `yaml:"limits"`
	Policy       Policy        `yaml:"policy"`
	Duty         Duty          `yaml:"duty"`
	Words        Words         `yaml:"words"`
	CAP          CAP           `yaml:"cap"`
	Routes       Routes        `yaml:"routes"`
	Accounts     []Account     `yaml:"accounts"`
	Platforms    []Platform    `yaml:"platforms"`

	Path  string         `yaml:"-"` // of the file
	lines map[string]int `yaml:"-"` // of its values, by path
}

// TLS is what the server shows: files in PEM.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Keys are files that are never in Redis.
type Keys struct {
	Data string `yaml:"data"` // encrypts numbers on disk (promise 10)
	Seal string `yaml:"seal"` // signs the head of the record of acts (promise 9)
}

// Redis is one that is run by others.
type Redis struct {
	Address string    `yaml:"address"` // host:port
	TLS     *RedisTLS `yaml:"tls"`     // nil: plain
	// Durability is what the operator states of a Redis that does not let its configuration be read; else empty.
	Durability Durability `yaml:"durability"`
	Login      `yaml:",inline"`
}

// RedisTLS says how the Redis is known.
type RedisTLS struct {
	CA         string `yaml:"ca"`          // file in PEM; empty: the roots of the system
	ServerName string `yaml:"server_name"` // empty: the host of the address
}

// Login is a user and where the password is; Load reads it.
type Login struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	Password     Secret `yaml:"-"`
}

// Jurisdiction is where this installation may warn.
type Jurisdiction struct {
	// Units is the code of the province or city all whose units of the newest edition belong to it.
	Units string `yaml:"units"`
}

// Limits is the most that one request may bring.
type Limits struct {
	RequestBytes Bytes `yaml:"request_bytes"`
	Areas        int   `yaml:"areas"`    // of one warning
	Vertices     int   `yaml:"vertices"` // of all polygons together
	Rings        int   `yaml:"rings"`    // of all polygons together
	Work         int   `yaml:"work"`     // steps of checking the areas, and again of finding people in them; some ns each
	// Share of the jurisdiction's surface, above 0 to 1, beyond which a tier needs an approval more (promise 6).
	Share map[warning.Tier]float64 `yaml:"share"`
}

// Policy is who must agree, who is told by which channels, and what somebody may release on their own.
type Policy struct {
	Approvals map[warning.Tier]int   `yaml:"approvals"` // people beside the submitter; 0: Submit releases
	AtLeast   map[warning.Status]int `yaml:"at_least"`  // whatever the tier
	Large     int                    `yaml:"large"`     // more of them for an area above limits.share
	// Margin is by how much the head count may exceed the approved one before release asks again (promise 6).
	Margin   float64                    `yaml:"margin"`
	Drills   []string                   `yaml:"drills"` // users who may submit a drill with real people
	Review   time.Duration              `yaml:"review"` // for another person to look at what somebody released alone
	Border   Border                     `yaml:"border"`
	Presence Presence                   `yaml:"presence"`
	Channels []warning.ChannelRow       `yaml:"channels"` // the first row that fits counts
	Ahead    []warning.PreAuthorisation `yaml:"ahead"`
}

// Border is how far an area may reach over the border of the jurisdiction; one of both is enough.
type Border struct {
	Share  float64 `yaml:"share"` // of the area's surface
	Metres float64 `yaml:"metres"`
}

// Duty is who is rung while a warning waits for approval, and when a warning ends.
type Duty struct {
	Channels []warning.Channel `yaml:"channels"`
	Backup   time.Duration     `yaml:"backup"` // of waiting, before the next backups are rung too
	People   []OnDuty          `yaml:"people"` // nobody is rung without
}

// OnDuty is a user who can be rung.
type OnDuty struct {
	User   string        `yaml:"user"`
	Number string        `yaml:"number"` // E.164 digits
	Hours  warning.Hours `yaml:"hours"`  // on duty, in Beijing; zero: always
	Backup int           `yaml:"backup"` // 0 is rung first
}

// Presence is who counts as being in an area.
type Presence struct {
	Within time.Duration  `yaml:"within"` // for which a place where somebody was seen counts
	Both   []warning.Tier `yaml:"both"`   // that take home and place, whatever the time
}

// CAP is how messages of other systems are read.
type CAP struct {
	Table string `yaml:"table"` // file of severities, events and codes; empty: the one that comes with the house
}

// Words is what the installation knows for the words of a warning.
type Words struct {
	Hotline  string            `yaml:"hotline"`  // number that people may call; empty: no words are made without --text
	Verified []string          `yaml:"verified"` // numbers, hosts and links that a text may show beside it
	English  map[string]string `yaml:"english"`  // English of issuers and places, by Chinese name
}

// Routes says who carries whose messages, and when an account is left for another.
type Routes struct {
	Numbers string        `yaml:"numbers"` // file: lines of a range (99912*) or a ported number, and its carrier; empty: prefixes alone
	After   time.Duration `yaml:"after"`   // an account without a link is left
	Window  time.Duration `yaml:"window"`  // over which answers are judged
	Bad     float64       `yaml:"bad"`     // part of the answers that are failures, from which on an account is left
	Good    float64       `yaml:"good"`    // part up to which it is trusted with more again
	Least   int           `yaml:"least"`   // answers in the window below which nothing is judged by them
	Stay    time.Duration `yaml:"stay"`    // between leaving and the first step back, and between two steps
}

// Account is one contract with one carrier.
type Account struct {
	Name         string            `yaml:"name"`
	Protocol     Protocol          `yaml:"protocol"`
	Address      string            `yaml:"address"` // host:port
	Links        int               `yaml:"links"`   // connections
	Window       int               `yaml:"window"`  // open messages a link
	SystemID     string            `yaml:"system_id"`
	PasswordFile string            `yaml:"password_file"`
	PasswordEnv  string            `yaml:"password_env"`
	Password     Secret            `yaml:"-"`
	Source       string            `yaml:"source"` // the number shown
	Rate         int               `yaml:"rate"`   // messages/s, as the carrier bills them (promise 7)
	Burst        time.Duration     `yaml:"burst"`  // of the rate that may leave at once
	Guard        time.Duration     `yaml:"guard"`  // jitter up to which the contract holds at the carrier
	Channels     []warning.Channel `yaml:"channels"`
	Prefixes     []string          `yaml:"prefixes"` // of E.164 digits; the longest wins
	Carrier      string            `yaml:"carrier"`  // whose numbers it carries by routes.numbers; empty: prefixes alone
	Weight       int               `yaml:"weight"`   // share among accounts with the same prefix or carrier
	Home         string            `yaml:"home"`     // node that has the first word, where several engines share a Redis
	Kind         Kind              `yaml:"kind"`
	PublicDrill  bool              `yaml:"public_drill"` // marked for drills with real people
	HexIDs       bool              `yaml:"hex_ids"`      // receipts give in decimal what the response gave in hexadecimal
	Test         LinkTest          `yaml:"test"`
	Timers       Timers            `yaml:"timers"`
}

// LinkTest is a message to the operator's own number that shows whether the links work.
type LinkTest struct {
	Number string        `yaml:"number"` // E.164 digits; empty: no tests
	Every  time.Duration `yaml:"every"`  // 0: by hand only
}

// Timers of a session.
type Timers struct {
	Bind      time.Duration `yaml:"bind"`
	Answer    time.Duration `yaml:"answer"`
	KeepAlive time.Duration `yaml:"keep_alive"`
}

// Statuses is what may leave through the account (promise 8).
func (a *Account) Statuses() []warning.Status { return statusesOf(a.Kind, a.PublicDrill) }

func statusesOf(kind Kind, publicDrill bool) []warning.Status {
	switch {
	case kind == Live && publicDrill:
		return []warning.Status{warning.Actual, warning.PublicDrill, warning.Test}
	case kind == Live:
		return []warning.Status{warning.Actual, warning.Test}
	case kind == Simulated, kind == Drill:
		return []warning.Status{warning.Exercise, warning.Test}
	}
	return nil
}

// defaults is what holds where the file says nothing; what has no default must be said.
func defaults() *Config {
	public, responsible, both := []warning.Duty{warning.Public}, []warning.Duty{warning.Responsible}, warning.Duties
	night := warning.Hours{22 * 60, 7 * 60} // who is asleep is rung for red and orange alone
	return &Config{
		Keep:         90 * 24 * time.Hour,
		Jurisdiction: Jurisdiction{Units: "500000"},
		Limits: Limits{
			RequestBytes: 8 << 20, Areas: 100, Vertices: 200_000, Rings: 10_000, Work: 150_000_000,
			Share: map[warning.Tier]float64{
				warning.Red: 1, warning.Orange: 0.5, warning.Yellow: 0.35, warning.Blue: 0.35, warning.Notice: 1,
			},
		},
		Policy: Policy{
			Approvals: map[warning.Tier]int{
				warning.Red: 1, warning.Orange: 1, warning.Yellow: 1, warning.Blue: 1, warning.Notice: 0,
			},
			AtLeast: map[warning.Status]int{warning.Actual: 0, warning.Exercise: 0, warning.PublicDrill: 2, warning.Test: 0},
			Large:   1, Margin: 0.10, Drills: []string{}, Ahead: []warning.PreAuthorisation{}, Review: 24 * time.Hour, Border: Border{Share: 0.02, Metres: 500},
			Presence: Presence{Within: 6 * time.Hour, Both: []warning.Tier{warning.Red}},
			Channels: []warning.ChannelRow{
				{Tiers: []warning.Tier{warning.Red, warning.Orange}, To: responsible, By: []warning.Channel{warning.FlashSMS, warning.SMS}},
				{Tiers: []warning.Tier{warning.Red, warning.Orange}, To: public, By: []warning.Channel{warning.SMS, warning.Push, warning.Broadcast, warning.CableTV}},
				{Tiers: []warning.Tier{warning.Yellow}, To: responsible, By: []warning.Channel{warning.SMS}},
				{Tiers: []warning.Tier{warning.Yellow, warning.Blue, warning.Notice}, To: public, Hours: night, By: []warning.Channel{warning.Feed}},
				{Tiers: []warning.Tier{warning.Yellow}, To: public, By: []warning.Channel{warning.Push}},
				{Tiers: []warning.Tier{warning.Blue, warning.Notice}, To: both, By: []warning.Channel{warning.Push, warning.Feed}},
			},
		},
		Duty:  Duty{Channels: []warning.Channel{warning.SMS}, Backup: 3 * time.Minute, People: []OnDuty{}},
		Words: Words{Verified: []string{}},
		Routes: Routes{
			After: 10 * time.Second, Window: 10 * time.Second, Bad: 0.15, Good: 0.05, Least: 50, Stay: time.Minute,
		},
	}
}

// preset fills an account with its defaults before the file is read over it.
func (a *Account) preset() {
	a.Burst, a.Guard, a.Weight = 10*time.Millisecond, 5*time.Millisecond, 1
	a.Timers = Timers{Bind: 5 * time.Second, Answer: time.Minute, KeepAlive: 30 * time.Second}
}

// maxFile bounds what is read before anything of it is understood.
const maxFile = 1 << 20

// Load reads the file at path. Relative paths in it are relative to its directory. The error is an *Error when the
// content is at fault.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("no configuration: %w (tocsin config init writes a commented one)", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %d bytes is too large for a configuration (at most %d)", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	c, problems := parse(text)
	c.Path, c.lines = path, problems.lines
	if len(problems.list) == 0 {
		c.check(problems)
		c.resolve(dir, problems)
	}
	if len(problems.list) > 0 {
		return nil, problems.err(path)
	}
	return c, nil
}

// resolve makes paths absolute and reads the secrets.
func (c *Config) resolve(dir string, p *problems) {
	abs := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for _, f := range []*string{&c.Data, &c.TLS.Certificate, &c.TLS.Key, &c.Keys.Data, &c.Keys.Seal, &c.CAP.Table} {
		abs(f)
	}
	if r := c.Redis; r != nil {
		if r.TLS != nil {
			abs(&r.TLS.CA)
		}
		abs(&r.PasswordFile)
		r.Password = p.secret("redis", r.PasswordFile, r.PasswordEnv, r.User != "")
	}
	abs(&c.Routes.Numbers)
	for i := range c.Accounts {
		a := &c.Accounts[i]
		abs(&a.PasswordFile)
		a.Password = p.secret(fmt.Sprintf("accounts[%d]", i), a.PasswordFile, a.PasswordEnv, true)
	}
	for i := range c.Platforms {
		f := &c.Platforms[i]
		f.Password = p.secret(fmt.Sprintf("platforms[%d]", i), f.PasswordFile, f.PasswordEnv, false)
		for use, path := range f.Keys {
			if path != "" && !filepath.IsAbs(path) {
				f.Keys[use] = filepath.Join(dir, path)
			}
		}
	}
}

// secret reads the one that the keys of the mapping at path name.
func (p *problems) secret(path, file, env string, needed bool) Secret {
	switch {
	case file != "" && env != "":
		p.add(path+".password_env", "stands beside password_file", "keep one of them")
	case file != "":
		s, err := readSecret(file)
		if err != nil {
			p.add(path+".password_file", err.Error(), "put the secret alone into a file that only its owner may read (chmod 600)")
		}
		return s
	case env != "":
		v, ok := os.LookupEnv(env)
		if !ok || v == "" {
			p.add(path+".password_env", fmt.Sprintf("the variable %s is not set", env), "set it for this process")
		}
		return Secret{v}
	case needed:
		p.add(path, "has no password", "name its file with password_file, or its variable with password_env")
	}
	return Secret{}
}

func readSecret(file string) (Secret, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%s is not a file", file)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return Secret{}, fmt.Errorf("everybody may open %s", file)
	}
	if info.Size() > 4096 {
		return Secret{}, fmt.Errorf("%s has %d bytes, too many for a password", file, info.Size())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return Secret{}, err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return Secret{}, fmt.Errorf("%s is empty", file)
	}
	return Secret{s}, nil
}
