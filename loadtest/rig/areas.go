package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"tocsin/loadtest/platform"
)

// Area is a platform of an area channel, played by a process of its own.
type Area struct {
	Name    string
	Channel string // broadcast or push
}

// ourEBRID is the resource code that the house has at an emergency broadcast platform.
const ourEBRID = "35000000000000101010101"

// Loudspeakers and phones with the app are what the model city has beside its carriers.
func Loudspeakers() []Area {
	return []Area{{"loudspeakers", "broadcast"}, {"app", "push"}}
}

func (r *Rig) startAreas(ctx context.Context) error {
	for _, a := range r.o.Areas {
		address, err := r.keep()
		if err != nil {
			return err
		}
		args := []string{"--name", a.Name, "--listen", address, "--log", r.Log(a.Name)}
		switch a.Channel {
		case "broadcast":
			err = errors.Join(platform.WriteKey(r.path("ours.key"), r.path("ours.pub")), platform.WriteKey(r.path("theirs.key"), r.path("theirs.pub")))
			args = append([]string{"sim", "broadcast", "--key", r.path("theirs.key"), "--client-key", r.path("ours.pub"), "--coverage-over", "15s"}, args...)
		case "push":
			args = append([]string{"sim", "mqtt", "--user", "tocsin", "--password", "secret"}, args...)
		default:
			err = fmt.Errorf("no platform plays %q", a.Channel)
		}
		if err != nil {
			return err
		}
		p, err := r.start(a.Name, args...)
		if err != nil {
			return err
		}
		r.carriers, r.places = append(r.carriers, p), append(r.places, address)
		if err := answers(ctx, p, address); err != nil {
			return err
		}
	}
	return nil
}

// configureAreas writes the platforms into the configuration.
func (r *Rig) configureAreas(b *strings.Builder) {
	if len(r.o.Areas) > 0 {
		b.WriteString("platforms:\n")
	}
	for i, a := range r.o.Areas {
		fmt.Fprintf(b, "  - {name: %s, channel: %s, kind: simulated, ", a.Name, a.Channel)
		if a.Channel == "broadcast" {
			fmt.Fprintf(b, "protocol: ebd, address: \"http://%s/\", source: %q, keys: {private: ./ours.key, platform: ./theirs.pub}}\n", r.places[i], ourEBRID)
		} else {
			fmt.Fprintf(b, "protocol: mqtt, address: \"mqtt://%s\", user: tocsin, password_env: TOCSIN_CARRIER, source: tocsin}\n", r.places[i])
		}
	}
}

// Write puts a file into the house, for a command that reads one, and answers its path.
func (r *Rig) Write(name string, b []byte) (string, error) {
	path := r.path(name)
	return path, os.WriteFile(path, b, 0o600)
}
