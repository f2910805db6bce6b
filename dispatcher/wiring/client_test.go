package wiring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/dispatcher/identity"
)

// TestFilesOfOtherEditorsLogIn: a byte order mark is no part of a token or certificate, and what is wrong with them is told before
// anything is sent.
func TestFilesOfOtherEditorsLogIn(t *testing.T) {
	dir := t.TempDir()
	ca, err := identity.NewAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	marked := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("\uFEFF"+text+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pem, err := os.ReadFile(ca.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	s := Server{Address: "127.0.0.1:7443", CAFile: marked("ca", string(pem)), TokenFile: marked("token", "toc_fang_x")}
	for _, c := range []struct{ token, address, want string }{
		{s.TokenFile, s.Address, "the token was cut or mistyped"}, {marked("other", "fang"), s.Address, "this is not a token"}, {s.TokenFile, "warn.example.org", "is not host:port"},
	} {
		s.TokenFile, s.Address = c.token, c.address
		if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", filepath.Base(c.token), err)
		}
	}
}
