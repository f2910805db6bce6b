//go:build peers

package cap

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// xmllint holds documents against the schema of OASIS and answers those that do not fit, with what it says.
func xmllint(t *testing.T, documents map[string][]byte) map[string]string {
	t.Helper()
	program, err := exec.LookPath("xmllint")
	if err != nil {
		program = filepath.Join(os.Getenv("TOCSIN_PEERS"), "bin", "xmllint")
	}
	schema, err := filepath.Abs("../../third_party/cap/cap12.xsd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", schema}
	for name, b := range documents {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // it exits with an error when one document does not fit
	bad := map[string]string{}
	for name := range documents {
		if !strings.Contains(string(out), name+" validates\n") {
			bad[name] = string(out)
		}
	}
	return bad
}

func TestPeerSchemaTakesWhatIsWritten(t *testing.T) {
	documents := map[string][]byte{}
	add := func(name string, a Alert) {
		b, err := Write(a)
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = b
	}
	for name, b := range files(t, "valid") {
		add(name, read(t, string(b)))
	}
	add("good.xml", read(t, good))
	told, err := FromWarning(warned(), nil, Profile{Sender: "cap@example.org", Web: "https://example.org"})
	if err != nil {
		t.Fatal(err)
	}
	add("told.xml", told)
	alerts := rapid.Custom(anyAlert)
	for i := range 100 {
		add(fmt.Sprintf("any%d.xml", i), alerts.Example(i))
	}
	for name, said := range xmllint(t, documents) {
		t.Errorf("%s: %s\n%s", name, said, documents[name])
	}
}

// TestPeerSchemaTakesWhatIsRead holds texts of simple elements against both: what Parse takes, the schema takes.
func TestPeerSchemaTakesWhatIsRead(t *testing.T) {
	documents, ours := map[string][]byte{}, map[string]bool{}
	for element, texts := range map[string][]string{
		"<c:sent>2026-06-13T18:00:00+08:00": {"2026-02-29T18:00:00+08:00", "2028-02-29T18:00:00+08:00", " 2026-06-13T18:00:00+14:00\n", "0000-06-13T18:00:00+08:00", "9999-12-31T23:59:59-14:00", "2026-06-13T18:00:60+08:00", "2026-06-13T18:00:00,08:00", "2026-06-13T24:00:01+08:00"},
		"<c:language>zh-CN":                 {"", "a-b-c", " en ", "abcdefghi", "1a", "x--y"},
		"<c:web>https://example.org/a?b=%20c#d": {
			"", "%zz", "a#b#c", "http://é.example/ü", "//x", "?", "#", "http://[::1]/", "a b", "http://a:b:c/", "://", "1:2", "http://a:99999/", ":", "a:b", "%41", "http://user:a@host:8/p;x=1,2'()*!$+?q/?", "mailto:a@b", "//a:b", "/a:b//c", "http:////a:b", "a/b:c", "a:",
		},
		"<c:size>3":         {"+3", "-0", "3.0", "", " 7 ", "１"},
		"<c:altitude>-10.5": {".5", "5.", "1e3", "", "+1", "-.", " 2 "},
		"<c:ceiling>3000":   {"1", "NaN", "1 2"},
		"<c:status>Actual":  {"Actual ", ""},
		"<c:event>暴雨":       {"", "<![CDATA[<x>]]>", "&#x1F300;", "]]&gt;"},
	} {
		for i, text := range texts {
			name := fmt.Sprintf("%s%d.xml", strings.Trim(strings.Split(element, ">")[0], "<c:"), i)
			open, _, _ := strings.Cut(element, ">")
			documents[name] = []byte(strings.Replace(good, element, open+">"+text, 1))
			_, err := Parse(documents[name], DefaultLimits())
			ours[name] = err == nil
		}
	}
	taken := 0
	bad := xmllint(t, documents)
	for name, ok := range ours {
		if ok {
			taken++
		}
		if said := bad[name]; ok && said != "" {
			t.Errorf("%s is taken: %s", name, said)
		}
	}
	if taken < 15 {
		t.Errorf("only %d were taken", taken)
	}
}

func TestPeerSchemaRefusesTheBadSamples(t *testing.T) {
	documents := files(t, "invalid")
	if bad := xmllint(t, documents); len(bad) != len(documents) {
		t.Errorf("of %d samples %d are bad", len(documents), len(bad))
	}
}
