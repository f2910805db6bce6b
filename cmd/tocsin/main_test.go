package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
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
		{"list -o csv", "say text or json", exitUsage},
		{"report 01J -o xml", "say text, json or csv", exitUsage},
		{"list --lang fr", "say zh-CN or en", exitUsage},
		{"list", "run `tocsin login`", exitFailed},
		{"serve --config nowhere.yaml", "`tocsin config init`", exitFailed},
		{"submit --key k --for 1h", "not logged in", exitFailed},
		{"login --server nowhere --ca main.go --token-file main.go", "is not host:port", exitFailed},
		{"verify --log x=y", "--directory and the warnings with --warning", exitUsage},
		{"verify --directory p --warning w --log x", "say ACCOUNT=FILE", exitUsage},
		{"verify --directory p --warning w --edition none", "no such edition", exitUsage},
		{"verify --directory p --warning w --both rde", "say red, orange", exitUsage},
		{"verify --directory p --warning w --again 01J=-1", "say how many times", exitUsage},
		{"verify --directory p --warning w --log x=a@1 --log x=b@2", "one contract", exitUsage},
		{"verify --directory p --warning w --test-number +999", "without plus", exitUsage},
		{"bench --runs 0", "one or more", exitUsage},
		{"demo --recipients 0", "one or more", exitUsage},
		{"list --state none", "or replaced", exitUsage},
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
		{status.Error(codes.Unavailable, "connection refused"), exitRetry, "no connection to an engine (connection refused): is it running"},
		{errors.Join(status.Error(codes.Unavailable, "connection refused"), errNotWell{exitWrong}), exitWrong, "tocsin: no connection to an engine (connection refused)"},
		{status.Error(codes.PermissionDenied, "you may not"), exitRefused, "you may not"},
		{keyed{status.Error(codes.Canceled, "context canceled"), "K"}, exitRetry, "tocsin: interrupted"},
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
	for _, wrong := range []specFlags{{areas: []string{"上海"}}, {asOf: "yesterday"}, {lasts: time.Hour, until: "2026-06-13T18:00:00+08:00"}, {until: "soon"}, {file: "none.yaml"}, {geojson: []string{"none"}}} {
		if _, err := wrong.spec(now); err == nil {
			t.Errorf("%+v passed", wrong)
		}
	}
	if err := os.WriteFile(path, []byte("\n\n\nevnt: 11B03\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.spec(now); err == nil || !strings.Contains(err.Error(), "evnt") || strings.Contains(err.Error(), "line 1") {
		t.Errorf("an unknown key passed, or its line is said to be the first: %v", err)
	}
	marked := filepath.Join(t.TempDir(), "w.json")
	if err := os.WriteFile(marked, []byte("\uFEFF"+`{"event": "11B03"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if w, err := (&specFlags{file: marked}).spec(now); err != nil || w.GetEvent() != "11B03" {
		t.Errorf("JSON behind a byte order mark: %v, %v", w, err)
	}
}

// TestFlagsWinOverAFile: what a flag says takes the place of what the file says, so that a smaller area is a smaller one.
func TestFlagsWinOverAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.yaml")
	text := `{event: "11B03", issuers: [one], areas: [{unit: "500102"}], words: [{language: zh-CN, kind: TYPE_ALERT, text: 旧},
		{language: en, kind: TYPE_ALERT, text: old}, {language: zh-CN, kind: TYPE_CANCEL, text: 更正}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := (&specFlags{file: path, areas: []string{"万州"}, issuers: []string{"two"}, text: "新"}).spec(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.GetAreas()) != 1 || w.GetAreas()[0].GetUnit() != "500101" || len(w.GetIssuers()) != 1 || w.GetIssuers()[0] != "two" ||
		len(w.GetWords()) != 2 || w.GetWords()[0].GetText() != "更正" || w.GetWords()[1].GetText() != "新" {
		t.Errorf("got %v", w)
	}
	if _, err := (&specFlags{file: path, text: " ", given: func(flag string) bool { return flag == "text" }}).spec(time.Now()); err == nil || !strings.Contains(err.Error(), "--text is empty") {
		t.Errorf("an empty text: %v", err)
	}
	if w, err = (&specFlags{file: path}).spec(time.Now()); err != nil || len(w.GetAreas()) != 1 || w.GetAreas()[0].GetUnit() != "500102" || len(w.GetWords()) != 3 {
		t.Errorf("without flags: %v, %v", w, err)
	}
}

// TestATimeInAFileHasItsOffset: YAML would read 18:00 as 18:00 in Greenwich, eight hours too late.
func TestATimeInAFileHasItsOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.yaml")
	for text, want := range map[string]string{
		"2026-06-13T18:00:00+08:00": "2026-06-13T10:00:00Z", `"2026-06-13T18:00:00+08:00"`: "2026-06-13T10:00:00Z", "2026-06-13T10:00:00Z": "2026-06-13T10:00:00Z",
		"2026-06-13 18:00:00": "", "2026-06-13": "", "2026-06-13T18:00:00": "",
	} {
		if err := os.WriteFile(path, []byte("expires: "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := (&specFlags{file: path}).spec(time.Now())
		if (err == nil) != (want != "") || err == nil && w.GetExpires().AsTime().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, w.GetExpires(), err)
		}
	}
}

// TestNumbersInAFileAreAsWritten: a code is text, whatever YAML would read in it.
func TestNumbersInAFileAreAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.yaml")
	text := "event: 11E02\nareas: [{unit: 500101}, {circle: {centre: {lon: 106.5, lat: 29}, radius_m: 1500}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := (&specFlags{file: path}).spec(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := w.GetAreas()[1].GetCircle()
	if w.GetEvent() != "11E02" || w.GetAreas()[0].GetUnit() != "500101" || c.GetRadiusM() != 1500 || c.GetCentre().GetLon() != 106.5 {
		t.Errorf("%v", w)
	}
}

// cancels refuses to cancel one of the warnings.
type cancels struct {
	pb.WarningServiceClient
	asked []string
}

func (c *cancels) Cancel(_ context.Context, r *pb.CancelRequest, _ ...grpc.CallOption) (*pb.CancelResponse, error) {
	c.asked = append(c.asked, r.GetId()+" "+r.GetKey())
	if r.GetId() == "b" {
		return nil, status.Error(codes.FailedPrecondition, "the warning is expired")
	}
	return &pb.CancelResponse{Warning: &pb.Warning{Id: r.GetId()}}, nil
}

// TestACancelOfSeveralStopsWhatItCan: one that cannot be cancelled is told, and the others are cancelled.
func TestACancelOfSeveralStopsWhatItCan(t *testing.T) {
	api, c := &cancels{}, &cobra.Command{}
	c.SetOut(io.Discard)
	err := (&client{}).cancelAll(c, api, "K", &pb.WarningSpec{References: []string{"a", "b", "c"}})
	if status.Code(err) != codes.FailedPrecondition || len(api.asked) != 3 || api.asked[2] != "c K/c" {
		t.Errorf("asked for %q, %v", api.asked, err)
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
	named := filepath.Join(t.TempDir(), "night@home.jsonl")
	if err := os.WriteFile(named, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = accountsIn([]string{"a=" + named, "b=" + named + "@15"})
	if err != nil || got[0].Logs[0] != named || got[0].MessagesPerS != 0 || got[1].Logs[0] != named || got[1].MessagesPerS != 15 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := accountsIn([]string{"a=x@1500", "a=y@1000"}); err == nil {
		t.Error("an account has two contracts")
	}
	for _, wrong := range []string{"a", "=x", "a=", "a=x@0", "a=x@y", "a=x@NaN", "a=x@Inf"} {
		if _, err := accountsIn([]string{wrong}); err == nil {
			t.Errorf("%q passed", wrong)
		}
	}
}
