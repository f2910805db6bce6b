package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"tocsin/warning"
)

// wanted is one comment of a test file: a problem that its line must have, and a part of its words.
var wanted = regexp.MustCompile(`# want ("(?:[^"\\]|\\.)*")`)

// TestFiles loads every file of testdata. Each problem must be announced on its line, and each announced one be found.
func TestFiles(t *testing.T) {
	t.Setenv("TOCSIN_TEST_PASSWORD", "hunter2")
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("found only %d files (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []Problem
			for i, line := range strings.Split(string(text), "\n") {
				for _, m := range wanted.FindAllStringSubmatch(line, -1) {
					words, err := strconv.Unquote(m[1])
					if err != nil {
						t.Fatalf("line %d: %v", i+1, err)
					}
					want = append(want, Problem{Line: i + 1, Detail: words})
				}
			}
			_, err = Load(file)
			var got []Problem
			if e := (*Error)(nil); errors.As(err, &e) {
				got = e.Problems
			} else if err != nil {
				t.Fatal(err)
			}
			for _, g := range got {
				words := (&Error{Problems: []Problem{g}}).Error()
				i := slices.IndexFunc(want, func(w Problem) bool { return w.Line == g.Line && strings.Contains(words, w.Detail) })
				if i < 0 {
					t.Errorf("line %d has a problem that was not announced: %s", g.Line, words)
					continue
				}
				want = slices.Delete(want, i, i+1)
			}
			for _, w := range want {
				t.Errorf("line %d was to have the problem: %s", w.Line, w.Detail)
			}
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Setenv("TOCSIN_TEST_PASSWORD", "hunter2")
	c, err := Load("testdata/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Realm, want.Node, want.Data, want.Listen = "chongqing", "n1", filepath.Join(dir, "data"), "127.0.0.1:7443"
	want.TLS = TLS{filepath.Join(dir, "c.crt"), filepath.Join(dir, "c.key")}
	want.Keys = Keys{filepath.Join(dir, "data.key"), filepath.Join(dir, "seal.key")}
	a := Account{
		Name: "mobile", Protocol: SMPP, Address: "127.0.0.1:2775", Links: 5, Window: 10, SystemID: "tocsin",
		PasswordEnv: "TOCSIN_TEST_PASSWORD", Password: Secret{"hunter2"}, Source: "1069", Rate: 1500,
		Channels: []warning.Channel{warning.SMS}, Prefixes: []string{"9991"}, Kind: Simulated,
	}
	a.preset()
	want.Accounts, want.Path = []Account{a}, "testdata/minimal.yaml"
	if d := cmp.Diff(want, c, cmp.AllowUnexported(Secret{}), cmpopts.IgnoreUnexported(Config{})); d != "" {
		t.Error(d)
	}
}

// TestExampleLoadsOnceFilledIn takes the template as it is handed out, fills in what it asks for, and loads it.
func TestExampleLoadsOnceFilledIn(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "tocsin.yaml", string(Example()), 0o600)
	var e *Error
	if _, err := Load(file); !errors.As(err, &e) {
		t.Fatalf("the template was taken as it is: %v", err)
	}
	for _, p := range e.Problems {
		if p.Detail != "is still to be filled in" {
			t.Errorf("something else is wrong with the template: %+v", p)
		}
	}
	asked := regexp.MustCompile(`<[^>…]*>`)
	text := asked.ReplaceAllStringFunc(uncommented(string(Example())), func(s string) string {
		switch {
		case strings.Contains(s, "host:port"):
			return "127.0.0.1:2775"
		case strings.Contains(s, "digits"):
			return "9991"
		}
		return "name"
	})
	write(t, dir, "carrier.password", "hunter2\n", 0o600)
	c, err := Load(write(t, dir, "tocsin.yaml", text, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Accounts[0].Password.Reveal(); got != "hunter2" {
		t.Errorf("read the password %q", got)
	}
	want := defaults()
	if d := cmp.Diff([]any{want.Limits, want.Policy, want.Words, want.Jurisdiction}, []any{c.Limits, c.Policy, c.Words, c.Jurisdiction}); d != "" {
		t.Errorf("the template does not show the defaults: %s", d)
	}
}

// TestExampleShowsEveryKey reads the commented part too.
func TestExampleShowsEveryKey(t *testing.T) {
	for _, key := range []string{
		"realm", "node", "data", "listen", "certificate", "key", "seal", "address", "durability", "units", "request_bytes",
		"areas", "vertices", "rings", "work", "share", "approvals", "at_least", "large", "margin", "drills",
		"review", "border", "metres", "tiers", "to", "hours", "by", "then", "after", "ahead", "paper", "who", "events", "until",
		"hotline", "verified", "english", "name", "protocol", "links", "window", "system_id",
		"password_file", "password_env", "source", "rate", "burst", "guard", "channels", "prefixes", "weight", "home", "kind",
		"public_drill", "hex_ids", "bind", "answer", "keep_alive",
	} {
		if !strings.Contains(string(Example()), key) {
			t.Errorf("the template does not name %s", key)
		}
	}
}

func TestSecretFilesAreGuarded(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "open", "hunter2", 0o644)
	write(t, dir, "empty", "\n", 0o600)
	write(t, dir, "huge", strings.Repeat("x", 5000), 0o600)
	for name, want := range map[string]string{
		"open": "everybody may open", "empty": "is empty", "huge": "too many", "nowhere": "no such file", ".": "is not a file",
	} {
		file := write(t, dir, "c.yaml", strings.Replace(string(text), "password_env: TOCSIN_TEST_PASSWORD", "password_file: "+name, 1), 0o600)
		var e *Error
		if _, err := Load(file); !errors.As(err, &e) || len(e.Problems) != 1 || !strings.Contains(e.Problems[0].Detail, want) || e.Problems[0].Line != 14 {
			t.Errorf("%s: got %v, want %q in line 14", name, err, want)
		}
	}
}

func TestNothingShowsASecret(t *testing.T) {
	t.Setenv("TOCSIN_TEST_PASSWORD", "hunter2")
	c, err := Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	marshalled, err := yaml.Marshal(c.Accounts)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		c.String(), fmt.Sprint(c), fmt.Sprintf("%+v %#v %v %s %x", *c, *c, c.Accounts, c.Redis.Password, c.Redis.Password), string(marshalled),
	} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

// TestStringLoadsAgain holds String against Load: nothing is lost or changed on the way.
func TestStringLoadsAgain(t *testing.T) {
	t.Setenv("TOCSIN_TEST_PASSWORD", "hunter2")
	for _, file := range []string{"testdata/minimal.yaml", "testdata/full.yaml"} {
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(write(t, t.TempDir(), "c.yaml", c.String(), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		again.Path = c.Path
		if d := cmp.Diff(c, again, cmp.AllowUnexported(Secret{}), cmpopts.IgnoreUnexported(Config{})); d != "" {
			t.Errorf("%s: %s", file, d)
		}
	}
}

func TestSizesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bytes(rapid.Int64Range(0, 1<<50).Draw(t, "bytes"))
		if got, err := parseBytes(b.String()); err != nil || got != b {
			t.Fatalf("%d became %q and then %d (%v)", int64(b), b, int64(got), err)
		}
	})
}

// TestWhichWarningsALinkTakes is promise 8 as a table.
func TestWhichWarningsALinkTakes(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		public bool
		want   []warning.Status
	}{
		{Live, false, []warning.Status{warning.Actual, warning.Test}},
		{Live, true, []warning.Status{warning.Actual, warning.PublicDrill, warning.Test}},
		{Simulated, false, []warning.Status{warning.Exercise, warning.Test}},
		{Drill, false, []warning.Status{warning.Exercise, warning.Test}},
		{0, true, nil},
	} {
		a := Account{Kind: c.kind, PublicDrill: c.public}
		if d := cmp.Diff(c.want, a.Statuses()); d != "" {
			t.Errorf("%v, public drill %v: %s", c.kind, c.public, d)
		}
	}
}

// FuzzParse: whatever the text, the answer is a configuration or problems with lines of the text.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, p := parse(text)
		c.check(p)
		for _, x := range p.list {
			if x.Line < 1 || x.Line > strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+2 {
				t.Errorf("line %d of a text of %d bytes: %+v", x.Line, len(text), x)
			}
		}
		_ = c.String()
	})
}

// uncommented opens the part of the template that is a comment because it has no default.
func uncommented(text string) string {
	var out []string
	in := false
	for _, line := range strings.Split(text, "\n") {
		in = strings.HasPrefix(line, "# redis:") || in && strings.HasPrefix(line, "#   ")
		if in && !strings.Contains(line, "password_file") {
			line = strings.TrimPrefix(line, "# ")
		}
		out = append(out, line)
	}
	return strings.ReplaceAll(strings.Join(out, "\n"), "  user: tocsin", "  user: tocsin\n  password_file: ./carrier.password")
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}
