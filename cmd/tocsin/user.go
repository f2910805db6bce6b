package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tocsin/dispatcher/wiring"
)

// output is the form of an answer that is not a message of the contract.
type output struct{ form string }

func outputFlag(c *cobra.Command) *output {
	o := &output{}
	c.Flags().StringVarP(&o.form, "output", "o", "text", "text or json")
	return o
}

func (o *output) put(c *cobra.Command, v any, lines ...string) error {
	switch o.form {
	case "json":
		return putJSON(c.OutOrStdout(), v)
	case "text":
		return putLines(c.OutOrStdout(), lines)
	}
	return usage(fmt.Errorf("--output %q: say text or json", o.form))
}

// token is a new token; it is shown this once.
type token struct {
	User  string `json:"user"`
	Token string `json:"token"`
}

func (t token) line() string { return "token of " + t.User + ", shown this once: " + t.Token }

func newUser() *cobra.Command {
	return group("user", "Say who may call, on the machine that has the keys", newUserAdd(), newUserList(), newUserRevoke(), newUserRotate())
}

func newUserAdd() *cobra.Command {
	c := &cobra.Command{Use: "add NAME --role ROLE", Short: "Make a user and show the token once", Args: exactly(1), Example: "  tocsin user add wang --role forecaster"}
	path, out, life := configured(c), outputFlag(c), lifeFlag(c)
	role := c.Flags().String("role", "", "forecaster, approver, commander, engineer, load_tester or viewer")
	c.RunE = func(c *cobra.Command, args []string) error {
		return inHouse(c, *path, func(h *wiring.House) error {
			text, err := h.AddUser(c.Context(), args[0], *role, *life)
			if err != nil {
				return err
			}
			t := token{args[0], text}
			return out.put(c, t, t.line())
		})
	}
	return c
}

func newUserList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List users, also those who are revoked", Args: upTo(0), Example: "  tocsin user list -o json"}
	path, out := configured(c), outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return inHouse(c, *path, func(h *wiring.House) error {
			users, unread := h.ListUsers(c.Context())
			lines := make([]string, len(users))
			for i, u := range users {
				lines[i] = fmt.Sprintf("%-20s %-12s until %s", u.Name, u.Role, u.Expires.Local().Format(time.DateOnly))
				if u.Revoked != nil {
					lines[i] += "  revoked " + u.Revoked.Local().Format(time.DateOnly)
				}
			}
			return errors.Join(out.put(c, users, lines...), unread)
		})
	}
	return c
}

func newUserRevoke() *cobra.Command {
	c := &cobra.Command{Use: "revoke NAME", Short: "End a user for good, within a second", Args: exactly(1), Example: "  tocsin user revoke wang"}
	path := configured(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return inHouse(c, *path, func(h *wiring.House) error { return h.RevokeUser(c.Context(), args[0]) })
	}
	return c
}

func newUserRotate() *cobra.Command {
	c := &cobra.Command{Use: "rotate NAME", Short: "Give a user a new token; the old one ends within a second", Args: exactly(1), Example: "  tocsin user rotate wang --life 720h"}
	path, out, life := configured(c), outputFlag(c), lifeFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return inHouse(c, *path, func(h *wiring.House) error {
			text, err := h.RotateUser(c.Context(), args[0], *life)
			if err != nil {
				return err
			}
			t := token{args[0], text}
			return out.put(c, t, t.line())
		})
	}
	return c
}

func newLogin() *cobra.Command {
	c := &cobra.Command{
		Use: "login", Short: "Try a server and a token, and keep them for later commands", Args: upTo(0),
		Example: "  tocsin login --server warn.example.org:7443 --ca ca.pem --token-file my.token",
	}
	k := calls(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		path, err := k.server.Login(c.Context())
		if err != nil {
			return err
		}
		return putLines(c.OutOrStdout(), []string{"kept in " + path})
	}
	return c
}
