package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// feed runs one command line with a standard input.
func feed(t *testing.T, in string, args ...string) (code int, out, complaint string) {
	t.Helper()
	var o, e bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetIn(strings.NewReader(in))
	if err := root.ExecuteContext(t.Context()); err != nil {
		code = explain(&e, "en", err)
	}
	return code, o.String(), e.String()
}

func TestFenceVerbs(t *testing.T) {
	const sound = "POLYGON((107 30,107.2 30,107.2 30.2,107 30))"
	for _, c := range []struct {
		line, in  string
		code      int
		out, says string
	}{
		{"fence check -", sound, 0, "sound: 1 part with 3 corners", ""},
		{"fence check - -o json", sound, 0, `"valid": true`, ""},
		{"fence check -", "POLYGON((107 30,107.2 30.2,107.2 30,107 30.2,107 30))", exitFailed, "107.1000000,30.1000000", "not sound"},
		{"fence check -", "nonsense", exitUsage, "wkt.syntax", "cannot be read"},
		{"fence check nowhere.json", "", exitUsage, "", "nowhere.json"},
		{"fence check - --crs mars", sound, exitUsage, "", "mars"},
		{"fence locate", "106.5591746,29.5596058\n0,0\n", 0, "500103,\n,\n", ""},
		{"fence locate", "here\n", exitFailed, ",\n", "line 1"},
		{"fence locate", "\uFEFF106.5591746,29.5596058\r\n", 0, "500103,\n", ""},
		{"fence locate --as-of today", "", exitUsage, "", "2025-11-05"},
		{"fence locate --areas nowhere.json", "", exitFailed, "", "nowhere.json"},
		{"fence convert --from gcj02 --to wgs84", "106.555318,29.560151\n", 0, "106.5516003", ""},
		{"fence convert --from gcj02", "1,2\n", exitUsage, "", "--to"},
		{"fence show 500101", "", exitUsage, "", "-o FILE.png"},
		{"fence show nowhere -o x.png", "", exitUsage, "", "neither a district nor a file"},
	} {
		code, out, complaint := feed(t, c.in, strings.Fields(c.line)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit %d, %q, %q", c.line, code, out, complaint)
		}
	}
	code, out, _ := feed(t, "", "area", "find", "渝北")
	if code != 0 || !strings.Contains(out, "--as-of 2025-11-05") || strings.Contains(out, "--area") {
		t.Errorf("a district that has ended: exit %d, %q", code, out)
	}
	if _, _, err := unit("渝北", time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), nil); err == nil || !strings.Contains(err.Error(), "--as-of 2025-11-05") {
		t.Errorf("a district that has ended: %v", err)
	}
	dir := t.TempDir()
	people, picture := filepath.Join(dir, "people.csv"), filepath.Join(dir, "out.png")
	if code, _, complaint := feed(t, "", "directory", "synth", "--count", "2000", "--out", people); code != 0 {
		t.Fatal(complaint)
	}
	if code, _, complaint := feed(t, sound, "fence", "show", "-", "--people", people, "-o", picture); code != 0 {
		t.Fatal(complaint)
	}
	if b, err := os.ReadFile(picture); err != nil || !bytes.HasPrefix(b, []byte("\x89PNG")) {
		t.Error("no picture", err)
	}
}
