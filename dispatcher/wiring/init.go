package wiring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher/config"
	"tocsin/dispatcher/identity"
	"tocsin/warning"
)

// ConfigFile is the name of the configuration in the directory that Init makes.
const ConfigFile = "tocsin.yaml"

// LoadConfig reads a configuration; the error of a missing file says how to make one.
func LoadConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no configuration at %s: make a house with `tocsin init DIR`, or a file to fill in with `tocsin config init`", path)
	}
	return cfg, err
}

// ExampleConfig is a configuration with every key, to be filled in.
func ExampleConfig() []byte { return config.Example() }

// NewHouse is what Init makes a house of.
type NewHouse struct {
	Dir   string   // absolute
	Realm string   // not used where the directory has a configuration
	Hosts []string // names and addresses that the server is called by
	User  string   // the first user
	Role  string
}

// Made is what Init made.
type Made struct {
	Config string `json:"config"`
	CA     string `json:"ca,omitempty"` // what clients must trust, where a certificate was made
	User   string `json:"user"`
	Token  string `json:"token"` // shown once
}

// Init makes a house in a directory: keys, certificates, the first user, and a configuration where there is none; that
// one still needs the accounts with carriers. A house is made once: a directory whose store has users is refused. After
// any other failure it can be repeated: what is there already is taken.
func Init(ctx context.Context, n NewHouse, log *zap.Logger) (Made, error) {
	out := Made{Config: filepath.Join(n.Dir, ConfigFile), User: n.User}
	role, err := warning.ParseRole(n.Role)
	if err != nil {
		return out, err
	}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return out, err
	}
	cfg, err := config.Load(out.Config)
	written := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		cfg, err = n.skeleton()
	}
	if err != nil {
		return out, err
	}
	if out.CA, err = n.secrets(cfg); err != nil {
		return out, err
	}
	h, err := Open(ctx, cfg, log)
	if err != nil {
		return out, err
	}
	defer h.Close()
	known, err := h.Users.List(ctx)
	if len(known) > 0 {
		return out, fmt.Errorf("%s has users: a house is made once; take another directory, or `tocsin user add` for another user", n.Dir)
	}
	if err != nil {
		return out, err
	}
	if out.Token, err = h.Users.Add(ctx, Operator(), n.User, role, 0); err != nil || written {
		return out, err
	}
	return out, replace(out.Config, n.fill(config.Example()), 0o600)
}

// realmForm is what a configuration takes as a realm.
var realmForm = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// skeleton is as much of a configuration as opening the store needs.
func (n NewHouse) skeleton() (*config.Config, error) {
	if !realmForm.MatchString(n.Realm) {
		return nil, fmt.Errorf("realm %q: use 1 to 32 of a-z, 0-9 and -", n.Realm)
	}
	return &config.Config{
		Realm: n.Realm, Node: "n1", Data: filepath.Join(n.Dir, "tocsin-data"),
		Keys: config.Keys{Data: filepath.Join(n.Dir, "data.key"), Seal: filepath.Join(n.Dir, "seal.key")},
		TLS:  config.TLS{Certificate: filepath.Join(n.Dir, "server.pem"), Key: filepath.Join(n.Dir, "server.key")},
	}, nil
}

// secrets makes the keys and the certificate where there are none, and answers what clients must trust: "" where the
// certificate was made elsewhere.
func (n NewHouse) secrets(cfg *config.Config) (caFile string, err error) {
	for _, path := range []string{cfg.Keys.Data, cfg.Keys.Seal} {
		if _, err := identity.LoadOrCreateKey(path); err != nil {
			return "", err
		}
	}
	own := filepath.Join(n.Dir, "server.pem")
	if cfg.TLS.Certificate != own {
		if _, err := os.Stat(cfg.TLS.Certificate); err == nil {
			return "", nil
		}
		return "", fmt.Errorf("tls.certificate: nothing at %s: put one there, or say ./server.pem and ./server.key, which init makes", cfg.TLS.Certificate)
	}
	ca, err := identity.NewAuthority(n.Dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		if _, _, err := ca.Issue("server", n.Hosts...); err != nil {
			return "", err
		}
	}
	return ca.CAFile(), nil
}

// fill puts into the example what is known; what stands in <…> is left for the engineer.
func (n NewHouse) fill(example []byte) []byte {
	for _, r := range [][2]string{
		{"<name of this installation, a-z 0-9 ->", n.Realm},
		{"./server.crt", "./server.pem"},
	} {
		example = bytes.Replace(example, []byte(r[0]), []byte(r[1]), 1)
	}
	return example
}

// UserLine is one user, as an operator sees it.
type UserLine struct {
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Created   time.Time  `json:"created"`
	CreatedBy string     `json:"created_by"`
	Expires   time.Time  `json:"expires"`
	Revoked   *time.Time `json:"revoked,omitempty"`
}

// ListUsers is all users; those whose record cannot be read are named in the error.
func (h *House) ListUsers(ctx context.Context) ([]UserLine, error) {
	users, err := h.Users.List(ctx)
	out := make([]UserLine, 0, len(users))
	for _, u := range users {
		l := UserLine{Name: u.Name, Role: u.Role.String(), Created: u.Created, CreatedBy: u.CreatedBy, Expires: u.Expires}
		if !u.Revoked.IsZero() {
			l.Revoked = &u.Revoked
		}
		out = append(out, l)
	}
	return out, err
}

// AddUser makes a user and answers the token, which is shown this once. A life of 0 takes the usual one.
func (h *House) AddUser(ctx context.Context, name, role string, life time.Duration) (string, error) {
	r, err := warning.ParseRole(role)
	if err != nil {
		return "", err
	}
	return h.Users.Add(ctx, Operator(), name, r, life)
}

// RotateUser gives a user a new token; the old one ends within a second.
func (h *House) RotateUser(ctx context.Context, name string, life time.Duration) (string, error) {
	return h.Users.Rotate(ctx, Operator(), name, life)
}

// RevokeUser ends a user for good.
func (h *House) RevokeUser(ctx context.Context, name string) error {
	return h.Users.Revoke(ctx, Operator(), name)
}
