package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func wantSays(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Fatalf("want %q: %v", says, err)
	}
}

func wantPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, %v", path, info, err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestKeyIsMadeOnceAndNeverBehindTheBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "seal.key")
	_, err := LoadKey(path)
	wantSays(t, err, "tocsin init")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	keys := make([]Key, 8)
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() {
			k, err := LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wait.Wait()
	wantPrivate(t, path)
	k, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range keys {
		if other != k {
			t.Fatal("two got different keys")
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.ContainsAny(s, "0123456789") {
		t.Fatalf("a key prints itself: %s", s)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
}

func TestWrongKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.key")
	for says, text := range map[string]string{
		"has 0 characters":     "",
		"has 63 characters":    strings.Repeat("a", 63),
		"has 65 characters":    strings.Repeat("a", 65),
		"hexadecimal digits":   strings.Repeat("g", 64),
		"is all zero":          strings.Repeat("0", 64),
		"none of our files":    strings.Repeat("a", maxPrivate+1),
		"put it back from its": "x",
	} {
		write(t, path, text, 0o600)
		_, err := LoadOrCreateKey(path)
		wantSays(t, err, says)
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Fatal("a wrong key was overwritten")
		}
	}
	write(t, path, strings.Repeat("a", 64), 0o640)
	_, err := LoadKey(path)
	wantSays(t, err, "chmod 600")
	_, err = LoadKey(t.TempDir())
	wantSays(t, err, "must be a file")
}

func profile(t *testing.T) Profile {
	t.Helper()
	a, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(a.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	return Profile{Server: "127.0.0.1:7000", CA: string(ca), Token: newToken("li.wei")}
}

func TestProfileComesBack(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv(ProfileVariable, "")
	path, err := ProfilePath()
	if err != nil || path != filepath.Join(dir, "tocsin", "profile.yaml") {
		t.Fatal(path, err)
	}
	_, err = LoadProfile(path)
	wantSays(t, err, "tocsin login")
	p := profile(t)
	for range 2 {
		if err := p.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	wantPrivate(t, path)
	if got, err := LoadProfile(path); err != nil || got != p {
		t.Fatalf("%v, %v", got, err)
	}
	t.Setenv(ProfileVariable, "elsewhere")
	if path, err := ProfilePath(); err != nil || path != "elsewhere" {
		t.Fatal(path, err)
	}
}

func TestWrongProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.yaml")
	p := profile(t)
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(good), 0o644)
	_, err = LoadProfile(path)
	wantSays(t, err, "chmod 600")
	for says, text := range map[string]string{
		"line 2":          "server: a:1\nport: 7\n",
		"server is empty": "",
		"cannot be read":  "\x00",
		"ca: ":            "server: a:1\n",
	} {
		write(t, path, text, 0o600)
		_, err := LoadProfile(path)
		wantSays(t, err, says)
	}
	p.Token = p.Token[:20]
	wantSays(t, p.Save(path), "cut or mistyped")
}

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	authorities := make([]*Authority, 4)
	var wait sync.WaitGroup
	for i := range authorities {
		wait.Go(func() {
			a, err := NewAuthority(dir)
			if err != nil {
				t.Error(err)
				return
			}
			authorities[i] = a
		})
	}
	wait.Wait()
	for _, a := range authorities {
		if a == nil || !a.own.Equal(authorities[0].own) {
			t.Fatal("two got different authorities")
		}
	}
	wantPrivate(t, filepath.Join(dir, "ca.key"))
	if err := authorities[0].create(); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("an authority was made over another: %v", err)
	}
	certFile, keyFile, err := authorities[0].Issue("server", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	wantPrivate(t, keyFile)
	if _, err := ServerTLS(certFile, filepath.Join(dir, "ca.key")); err == nil {
		t.Fatal("a certificate with the key of another was taken")
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = ServerTLS(certFile, keyFile)
	wantSays(t, err, "chmod 600")
	for _, name := range []string{"", "ca", "../x", "a/b"} {
		if _, _, err := authorities[0].Issue(name, "localhost"); err == nil {
			t.Errorf("the file name %q was taken", name)
		}
	}
	if _, _, err := authorities[0].Issue("server"); err == nil {
		t.Error("a certificate without host was made")
	}
}

func TestDaysLeft(t *testing.T) {
	a, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := a.Issue("server", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := ServerTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(serverLife)
	for days, at := range map[int]time.Time{
		0:  end.Add(-time.Hour),
		1:  end.Add(-25 * time.Hour),
		-1: end.Add(time.Hour),
		30: end.Add(-30*24*time.Hour - time.Hour),
	} {
		if got := DaysLeft(secure.Certificates[0].Leaf, at); got != days {
			t.Errorf("%d days, want %d", got, days)
		}
	}
	_, err = ClientTLS([]byte("x"))
	wantSays(t, err, "no certificate")
}
