package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Profile is what a command line needs to call: the server, whom to trust, and the token.
type Profile struct {
	Server string `yaml:"server"` // host:port
	CA     string `yaml:"ca"`     // PEM of the authority that signed the server's certificate
	Token  string `yaml:"token"`
}

// ProfileVariable names the file of the profile where it is set.
const ProfileVariable = "TOCSIN_PROFILE"

// ProfilePath is where the profile lies: what TOCSIN_PROFILE says, else tocsin/profile.yaml in the user's configuration
// directory ($XDG_CONFIG_HOME, else ~/.config).
func ProfilePath() (string, error) {
	if path := os.Getenv(ProfileVariable); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where to keep the profile is not known: %w; set %s to a file", err, ProfileVariable)
	}
	return filepath.Join(dir, "tocsin", "profile.yaml"), nil
}

// Save writes the profile to path with mode 0600, in place of the one that is there.
func (p Profile) Save(path string) error {
	if err := p.Check(); err != nil {
		return err
	}
	b, err := yaml.Marshal(p)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if err := writePrivate(path, b, true); err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	return nil
}

// LoadProfile reads the profile at path. It refuses a file that others may read, an unknown key (with its line), and a
// profile that lacks something.
func LoadProfile(path string) (Profile, error) {
	b, err := readPrivate(path)
	if missing(err) {
		return Profile{}, fmt.Errorf("there is no profile: log in with `tocsin login` (%w)", err)
	}
	if err != nil {
		return Profile{}, err
	}
	var p Profile
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, fmt.Errorf("the profile %s cannot be read: %w; log in again with `tocsin login`", path, err)
	}
	if err := p.Check(); err != nil {
		return Profile{}, fmt.Errorf("the profile %s: %w", path, err)
	}
	return p, nil
}

// Check is what the profile lacks, or what is wrong with it.
func (p Profile) Check() error {
	if p.Server == "" {
		return errors.New("server is empty; log in again with `tocsin login` and name it as host:port")
	}
	if _, port, err := net.SplitHostPort(p.Server); err != nil || port == "" {
		return fmt.Errorf("server %q is not host:port, e.g. 127.0.0.1:7443", p.Server)
	}
	if _, err := ClientTLS([]byte(p.CA)); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	if _, err := tokenUser(p.Token); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}
