// Package tocsin holds no code: its tests are the rules of the house.
//
// Each rule is a function from what it looks at to what it found. The real tree must give nothing; planted faults in
// TestRulesFind must each give exactly what stands beside them.
package tocsin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// room is one line of the import table. A path that ends in /... covers all below; the nearest line decides about a
// package.
type room struct {
	path string
	ours []string // packages of ours that it may import
	not  []string // others that it may not: of the standard library, import; else depend on. "*" is all of those else
}

// wire is what a room without a wire or a store of its own stays away from.
var wire = []string{"github.com/redis/...", "google.golang.org/grpc/..."}

// still is what a pure codec stays away from: it does no I/O.
var still = []string{"*", "net/...", "os/...", "io/fs", "syscall"}

// table says who may know whom. It binds code; tests may use real parts of other rooms.
var table = []room{
	{path: "warning", not: []string{"*", "net/...", "os/..."}},
	{path: "warning/cap", ours: []string{"warning"}, not: []string{"*", "net/...", "os/..."}},
	{path: "proto/...", not: []string{"github.com/redis/..."}},
	{path: "geofence/...", ours: []string{"warning", "geofence/..."}, not: wire},

	{path: "channels", ours: []string{"warning"}, not: []string{"*"}},
	{path: "channels/...", ours: []string{"warning", "channels"}, not: wire}, // conformance and the like
	{path: "channels/sms", ours: []string{"warning"}, not: still},
	{path: "channels/smpp", ours: []string{"warning", "channels", "channels/sms", "channels/smpp/pdu"}, not: wire},
	{path: "channels/smpp/pdu", ours: []string{"channels/sms"}, not: still},
	{path: "channels/broadcast", ours: []string{"warning", "channels", "channels/broadcast/ebd"}, not: wire},
	{path: "channels/broadcast/ebd", not: append([]string{"net/...", "os/...", "io/fs", "syscall"}, wire...)}, // SM2 is a library's

	{path: "dispatcher", ours: []string{"warning", "channels"}, not: append([]string{"net/...", "os/..."}, wire...)},
	{path: "dispatcher/...", ours: []string{"warning", "channels", "dispatcher"}},
	{path: "dispatcher/policy", ours: []string{"warning"}, not: still},
	{path: "dispatcher/config", ours: []string{"warning"}, not: wire},
	{path: "dispatcher/intake", ours: []string{"warning", "dispatcher", "dispatcher/identity", "proto/..."}, not: wire[:1]},
	{path: "dispatcher/wiring/...", ours: []string{"warning/...", "proto/...", "geofence/...", "channels/...", "dispatcher/..."}},

	{path: "loadtest/...", ours: []string{"warning", "proto/...", "loadtest/...", "channels/sms", "channels/smpp/pdu"}},

	{path: "cmd/...", ours: []string{"cmd/...", "dispatcher/wiring/...", "proto/...", "geofence/...", "loadtest/..."}},
}

const module = "tocsin"

// listed is what the go command says of a package.
type listed struct {
	ImportPath    string
	Imports, Deps []string
	Error         *struct{ Err string }
}

// covers tells whether pattern (a path, or a path and /...) covers p.
func covers(pattern, p string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return p == base || below && strings.HasPrefix(p, base+"/")
}

// nearest is the line of the table that decides about a package.
func nearest(table []room, name string) (best room, ok bool) {
	for _, r := range table {
		base := strings.TrimSuffix(r.path, "/...")
		if !covers(r.path, name) || ok && len(base) < len(strings.TrimSuffix(best.path, "/...")) {
			continue
		}
		if best.path != base { // of two lines with one base, the one for the package itself
			best, ok = r, true
		}
	}
	return best, ok
}

// brokenImports holds the packages against the table.
func brokenImports(table []room, packages []listed) (found []string) {
	for _, pkg := range packages {
		name := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if name == module {
			continue
		}
		r, ok := nearest(table, name)
		if !ok {
			found = append(found, name+" is in no room of the import table")
			continue
		}
		for _, dep := range pkg.Imports {
			ours, isOurs := strings.CutPrefix(dep, module+"/")
			if isOurs && !anyCovers(r.ours, ours) || !isOurs && !foreign(dep) && anyCovers(r.not, dep) {
				found = append(found, name+" imports "+dep)
			}
		}
		for _, dep := range pkg.Deps {
			if foreign(dep) && (slices.Contains(r.not, "*") || anyCovers(r.not, dep)) {
				found = append(found, name+" depends on "+dep)
			}
		}
	}
	return found
}

// foreign tells whether a package is neither ours nor of the standard library.
func foreign(dep string) bool { return strings.Contains(strings.Split(dep, "/")[0], ".") }

func anyCovers(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, p) })
}

// source is a file that people write: what git keeps, but no data.
var source = regexp.MustCompile(`(^|/)(Makefile|go\.mod|run)$|\.(go|proto|sh|js|lua|ya?ml|md)$`)

var (
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	kept      = regexp.MustCompile(`(^|/)(\.git|\.tools|third_party|bin|node_modules|tocsin-data|demo-out)$`)
	replaced  = regexp.MustCompile(`(?m)^\s*replace\b`)
	// A path of the machine that somebody sat at. What is served or mounted is configuration.
	machine = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(work|tmp|root|home|Users)/`)
)

// eachSource calls look with every file that people write.
func eachSource(tree fs.FS, look func(name string, text []byte)) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && kept.MatchString(name):
			return fs.SkipDir
		case d.IsDir() || !source.MatchString(name):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		look(name, text)
		return nil
	})
}

const longest = 600 // lines of a file

// brokenFiles is what is wrong with single files.
func brokenFiles(tree fs.FS) (found []string, err error) {
	err = eachSource(tree, func(name string, text []byte) {
		if n := bytes.Count(text, []byte("\n")); n > longest && path.Ext(name) != ".md" && !generated.Match(text) {
			found = append(found, fmt.Sprintf("%s has %d lines, more than %d", name, n, longest))
		}
		if path.Base(name) == "go.mod" && replaced.Match(text) {
			found = append(found, name+" has a replace")
		}
		for i, line := range strings.Split(string(text), "\n") {
			if machine.MatchString(line) {
				found = append(found, fmt.Sprintf("%s:%d names a path of a machine", name, i+1))
			}
		}
		if strings.HasSuffix(name, "_test.go") {
			found = append(found, brokenTest(name, text)...)
		}
	})
	return found, err
}

// brokenTest finds tests that wait by the clock or do not run. In a file that uses testing/synctest the clock is the
// test's own, and sleeping moves it.
func brokenTest(name string, text []byte) (found []string) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	ownClock := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := s.X.(*ast.Ident)
		switch {
		case x != nil && x.Name == "time" && s.Sel.Name == "Sleep" && !ownClock:
			found = append(found, fmt.Sprintf("%s sleeps", fset.Position(s.Pos())))
		case slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name):
			found = append(found, fmt.Sprintf("%s skips", fset.Position(s.Pos())))
		}
		return true
	})
	return found
}

var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "model", "models", "misc", "base"}

// brokenPackages finds packages without a doc, with two, and with a name that says nothing. Generated ones have the
// doc of their contract.
func brokenPackages(tree fs.FS) (found []string, err error) {
	docs := map[string]int{}
	err = eachSource(tree, func(name string, text []byte) {
		dir := path.Dir(name)
		if path.Ext(name) != ".go" || generated.Match(text) || strings.Contains(name, "testdata/") {
			return
		}
		file, perr := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if perr != nil {
			found = append(found, perr.Error())
			return
		}
		// A package of tests alone is documented in its test file; the tests of another package are that package.
		if _, ok := docs[dir]; !ok {
			docs[dir] = 0
		}
		if file.Doc != nil {
			docs[dir]++
		}
		if slices.Contains(vague, file.Name.Name) {
			found = append(found, name+": package "+file.Name.Name+" says nothing")
		}
	})
	for dir, n := range docs {
		if n != 1 {
			found = append(found, fmt.Sprintf("%s has %d package docs, not one", dir, n))
		}
	}
	slices.Sort(found)
	return found, err
}

func TestEachRoomImportsWhatItMay(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps,Error", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("the go command lists only %d packages", len(packages))
	}
	report(t)(brokenImports(table, packages), nil)
}

func TestFilesKeepTheHouseRules(t *testing.T) { report(t)(brokenFiles(os.DirFS("."))) }

func TestEachPackageHasOneDoc(t *testing.T) { report(t)(brokenPackages(os.DirFS("."))) }

// TestRulesFind plants each fault and wants it named, and nothing else.
func TestRulesFind(t *testing.T) {
	sleep, skip := "time."+"Sleep(1)", "t."+"Skip()"
	test := func(imports, body string) string {
		return "package a\n\nimport (\n\"testing\"\n" + imports + ")\n\nfunc TestA(t *testing.T) {\n" + body + "\n}\n"
	}
	for want, files := range map[string]map[string]string{
		"a/b.go has 602 lines, more than 600":          {"a/b.go": "// Package a.\npackage a\n" + strings.Repeat("\n", 600)},
		"tools/x/go.mod has a replace":                 {"tools/x/go.mod": "module x\nreplace a => b\n"},
		"README.md:2 names a path of a machine":        {"README.md": "# A\nsee `/" + "work/x`\n"},
		"a/a_test.go:8:1 sleeps":                       {"a/a.go": "// Package a.\npackage a\n", "a/a_test.go": test("", sleep)},
		"a/b_test.go:8:1 skips":                        {"a/a.go": "// Package a.\npackage a\n", "a/b_test.go": test("", skip)},
		"a has 0 package docs, not one":                {"a/a.go": "package a\n", "a/b.go": "package a\n"},
		"a has 2 package docs, not one":                {"a/a.go": "// Package a.\npackage a\n", "a/b.go": "// Package a too.\npackage a\n"},
		"a/a.go: package util says nothing":            {"a/a.go": "// Package util.\npackage util\n"},
		"":                                             {"a/a.go": "// Package a.\npackage a\n", "a/a_test.go": test("\"testing/synctest\"\n", sleep), ".tools/x/a.go": "package util\n", "a/a.pb.go": "// Code generated by x. DO NOT EDIT.\n\npackage a\n" + strings.Repeat("\n", 700)},
		"a/a_test.go:1:1: expected 'package', found a": {"a/a.go": "// Package a.\npackage a\n", "a/a_test.go": "a"},
	} {
		tree := fstest.MapFS{}
		for name, text := range files {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
		found, err := brokenFiles(tree)
		if err != nil {
			t.Fatal(err)
		}
		more, err := brokenPackages(tree)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Compact(append(found, more...))
		if strings.Join(got, "\n") != want {
			t.Errorf("planted %q, found %q", want, got)
		}
	}
}

func TestImportTableFinds(t *testing.T) {
	for _, c := range []struct{ pkg, dep, want string }{
		{"warning", "strings", ""},
		{"warning", "golang.org/x/text/width", "warning depends on golang.org/x/text/width"},
		{"warning", "tocsin/channels", "warning imports tocsin/channels"},
		{"channels/smpp", "tocsin/channels/smpp/pdu", ""},
		{"channels/smpp", "tocsin/channels/cmpp", "channels/smpp imports tocsin/channels/cmpp"},
		{"channels/smpp", "github.com/redis/go-redis/v9", "channels/smpp depends on github.com/redis/go-redis/v9"},
		{"channels/smpp/pdu", "net", "channels/smpp/pdu imports net"},
		{"dispatcher", "tocsin/geofence", "dispatcher imports tocsin/geofence"},
		{"dispatcher", "google.golang.org/grpc", "dispatcher depends on google.golang.org/grpc"},
		{"dispatcher/memstore", "tocsin/dispatcher", ""},
		{"dispatcher/memstore", "tocsin/dispatcher/redisstore", "dispatcher/memstore imports tocsin/dispatcher/redisstore"},
		{"dispatcher/config", "tocsin/dispatcher", "dispatcher/config imports tocsin/dispatcher"},
		{"dispatcher/wiring", "tocsin/dispatcher/memstore", ""},
		{"loadtest/verify", "tocsin/loadtest/carrierlog", ""},
		{"loadtest/verify", "tocsin/channels/smpp/pdu", ""},
		{"loadtest/carrier", "tocsin/channels/smpp", "loadtest/carrier imports tocsin/channels/smpp"},
		{"loadtest/verify", "tocsin/geofence", "loadtest/verify imports tocsin/geofence"},
		{"cmd/tocsin", "tocsin/dispatcher", "cmd/tocsin imports tocsin/dispatcher"},
		{"attic", "fmt", "attic is in no room of the import table"},
	} {
		p := listed{ImportPath: module + "/" + c.pkg, Imports: []string{c.dep}, Deps: []string{c.dep}}
		if got := strings.Join(brokenImports(table, []listed{p}), "\n"); got != c.want {
			t.Errorf("%s with %s: found %q, want %q", c.pkg, c.dep, got, c.want)
		}
	}
}

// report fails the test with every finding.
func report(t *testing.T) func(found []string, err error) {
	return func(found []string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Error(f)
		}
	}
}
