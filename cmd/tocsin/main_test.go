package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

func everyVerb(c *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		everyVerb(sub, visit)
	}
	if !c.HasSubCommands() && c.Name() != "help" && !c.Hidden {
		visit(c)
	}
}

func TestEveryVerbHasHelpWithAnExample(t *testing.T) {
	n := 0
	everyVerb(newRoot(), func(c *cobra.Command) {
		n++
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s lacks help, or an example of itself", c.CommandPath())
		}
	})
	if n < 25 {
		t.Errorf("only %d verbs were found", n)
	}
}

// run runs one command line and answers its exit code, output and complaint.
func run(t *testing.T, args ...string) (code int, out, complaint string) {
	t.Helper()
	t.Setenv("TOCSIN_PROFILE", filepath.Join(t.TempDir(), "none.yaml"))
	t.Setenv("LC_ALL", "C")
	var o, e bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetIn(strings.NewReader(""))
	if verb, err := root.ExecuteContextC(t.Context()); err != nil {
		code = explain(&e, languageOf(verb), err)
	}
	return code, o.String(), e.String()
}

func TestMistakesInTheCommandLineSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		line, says string
		code       int
	}{
		{"submitt", "see `tocsin --help`", exitUsage},
		{"channel pauze", "see `tocsin channel --help`", exitUsage},
		{"who", "tocsin who NUMBER --why REASON", exitUsage},
		{"list --limmit 3", "see `tocsin list --help`", exitUsage},
		{"list --state gone", "say submitted, approved", exitUsage},
		{"list -o xml", "say text or json", exitUsage},
		{"list --lang fr", "say zh-CN or en", exitUsage},
		{"list", "run `tocsin login`", exitFailed},
		{"serve --config nowhere.yaml", "`tocsin config init`", exitFailed},
		{"submit --key k --for 1h", "not logged in", exitFailed},
		{"verify --log x", "say ACCOUNT=FILE", exitUsage},
		{"verify --edition none", "no such edition", exitUsage},
		{"init somewhere", "--realm and --user are needed", exitUsage},
		{"directory synth --count -1", "", exitFailed},
		{"cap check nowhere.xml", "no such file", exitUsage},
		{"cap check", "tocsin cap check FILE", exitUsage},
		{"submit --file nowhere.xml", "", exitFailed},
	} {
		code, _, complaint := run(t, strings.Fields(c.line)...)
		if code == 0 || (c.code != exitFailed && code != c.code) || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit %d, %q", c.line, code, complaint)
		}
	}
}

func TestRefusalsNameFieldsAndRetriesNameTheKey(t *testing.T) {
	bad, err := status.New(codes.InvalidArgument, "x").WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "warning.tier", Description: "no tier (say red)", Reason: "tier.missing"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{keyed{bad.Err(), "K"}, exitRefused, "warning.tier: no tier (say red) [tier.missing]"},
		{keyed{status.Error(codes.Unavailable, "later"), "K"}, exitRetry, "--key K"},
		{status.Error(codes.PermissionDenied, "you may not"), exitRefused, "you may not"},
		{errBadVerdict, exitFailed, "verdict"},
	} {
		var b bytes.Buffer
		if code := explain(&b, "en", c.err); code != c.code || !strings.Contains(b.String(), c.says) {
			t.Errorf("%v: exit %d, %q", c.err, code, b.String())
		}
	}
}

func TestASpecFromFlagsAndFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.yaml")
	text := "event: 11B03\ntier: TIER_BLUE\nstatus: STATUS_EXERCISE\ntype: TYPE_ALERT\nchannels: [CHANNEL_SMS]\nissuers: [台]\nwords:\n  - {language: zh-CN, kind: TYPE_ALERT, text: 暴雨}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 13, 0, 0, 0, 0, time.UTC)
	s := specFlags{file: path, tier: "red", areas: []string{"万州", "500102"}, asOf: "2024-01-01", lasts: time.Hour}
	w, err := s.spec(now)
	if err != nil {
		t.Fatal(err)
	}
	if w.GetTier() != pb.Tier_TIER_RED || w.GetEvent() != "11B03" || len(w.GetChannels()) != 1 || !w.GetExpires().AsTime().Equal(now.Add(time.Hour)) ||
		w.GetAreas()[0].GetUnit() != "500101" || w.GetAreas()[1].GetUnit() != "500102" || w.GetAreas()[0].GetAsOf() == nil {
		t.Errorf("got %v", w)
	}
	for _, wrong := range []specFlags{{areas: []string{"上海"}}, {asOf: "yesterday"}, {until: "soon"}, {file: "none.yaml"}, {geojson: []string{"none"}}} {
		if _, err := wrong.spec(now); err == nil {
			t.Errorf("%+v passed", wrong)
		}
	}
	if err := os.WriteFile(path, []byte("evnt: 11B03\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.spec(now); err == nil || !strings.Contains(err.Error(), "evnt") {
		t.Errorf("an unknown key passed: %v", err)
	}
}

func TestARepeatSaysTheSame(t *testing.T) {
	id := ulid.MustParse("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	at, err := made(id.String())
	if err != nil || !at.Equal(id.Timestamp()) {
		t.Errorf("got %v, %v", at, err)
	}
	if _, err := made("my-key"); err == nil {
		t.Error("a key without time passed")
	}
}

func TestAccountsOfVerify(t *testing.T) {
	got, err := accountsIn([]string{"a=x.jsonl@1500", "b=y.jsonl", "a=z.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	want := []verify.Account{{Name: "a", MessagesPerS: 1500, Logs: []string{"x.jsonl", "z.jsonl"}}, {Name: "b", Logs: []string{"y.jsonl"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, wrong := range []string{"a", "=x", "a=", "a=x@0", "a=x@y"} {
		if _, err := accountsIn([]string{wrong}); err == nil {
			t.Errorf("%q passed", wrong)
		}
	}
}
