package tocsin

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	namedTest = regexp.MustCompile("`([a-z]+(?:/[a-z]+)*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

const promises = 12

// brokenPromises is the promises of the page that name no test, and the tests it names that are not there.
func brokenPromises(tree fs.FS, page string) (found []string, err error) {
	text, err := fs.ReadFile(tree, page)
	if err != nil {
		return nil, err
	}
	held := map[int]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			continue // the head of the table
		}
		tests := namedTest.FindAllStringSubmatch(cells[3], -1)
		if len(tests) != strings.Count(cells[3], "`")/2 || len(tests) == 0 {
			found = append(found, fmt.Sprintf("%s:%d names something that is no test", page, i+1))
		}
		for _, m := range tests {
			held[n] = true
			there, err := hasTest(tree, m[1], m[2])
			if err != nil {
				return nil, err
			}
			if !there {
				found = append(found, fmt.Sprintf("%s:%d names %s.%s, which is not there", page, i+1, m[1], m[2]))
			}
		}
	}
	for n := 1; n <= promises; n++ {
		if !held[n] {
			found = append(found, fmt.Sprintf("no test holds promise %d", n))
		}
	}
	return found, nil
}

func hasTest(tree fs.FS, dir, name string) (bool, error) {
	files, err := fs.Glob(tree, path.Join(dir, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		text, err := fs.ReadFile(tree, f)
		if err != nil {
			return false, err
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			if string(m[1]) == name {
				return true, nil
			}
		}
	}
	return false, nil
}

func TestEveryPromiseHasItsTests(t *testing.T) {
	report(t)(brokenPromises(os.DirFS("."), "docs/promises.md"))
}

// TestTheAcceptancePageNamesTestsThatAreThere looks for the tests of bad input.
func TestTheAcceptancePageNamesTestsThatAreThere(t *testing.T) {
	text, err := os.ReadFile("docs/acceptance.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllSubmatch(text, -1)
	if len(named) < 10 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if there, err := hasTest(os.DirFS("."), "loadtest/house", string(m[1])); err != nil || !there {
			t.Errorf("%s is not there (%v)", m[1], err)
		}
	}
}

func TestPromisesWithoutTestsAreFound(t *testing.T) {
	rows := "| promise | what | held by |\n| --- | --- | --- |\n"
	for n := 1; n < promises; n++ {
		rows += fmt.Sprintf("| %d | said | `a/b.TestIt` |\n", n)
	}
	tree := fstest.MapFS{"a/b/b_test.go": &fstest.MapFile{Data: []byte("package b\n\nfunc TestIt(t *testing.T) {}\n")}}
	for last, want := range map[string]string{
		"| 12 | said | `a/b.TestIt` |":             "",
		"| 12 | said | `a/b.TestIt`, `a.TestIt` |": "page.md:14 names a.TestIt, which is not there",
		"| 12 | said | `a/b.TestIt2` |":            "page.md:14 names a/b.TestIt2, which is not there",
		"| 12 | said | `a/b.It` |":                 "page.md:14 names something that is no test\nno test holds promise 12",
		"":                                         "no test holds promise 12",
	} {
		tree["page.md"] = &fstest.MapFile{Data: []byte(rows + last + "\n")}
		found, err := brokenPromises(tree, "page.md")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(found, "\n"); got != want {
			t.Errorf("with %q: %q, want %q", last, got, want)
		}
	}
}
