package tocsin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin/warning"
)

// refusing is the rooms whose refusals a forecaster or commander can meet.
var refusing = []string{"warning", "warning/cap", "geofence", "dispatcher", "dispatcher/policy", "dispatcher/intake", "dispatcher/wiring"}

// engineers is the rules that only those meet who bring people in or configure the house: they stay English.
var engineers = regexp.MustCompile(`^(directory|import|synth|layer|position|move|change|user|account)\.`)

var (
	ruleForm = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)+$`)
	verb     = regexp.MustCompile(`%[+#]?[0-9.]*[a-zA-Z]`)
)

// wordsIn is the text of an expression, with x for what changes; false where it has none of its own.
func wordsIn(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return strings.ReplaceAll(verb.ReplaceAllString(s, "x"), "%%", "%"), err == nil
	case *ast.BinaryExpr:
		a, okA := wordsIn(e.X)
		b, okB := wordsIn(e.Y)
		if !okA {
			a = "x"
		}
		if !okB {
			b = "x"
		}
		return a + b, okA || okB
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" {
			return wordsIn(e.Args[0])
		}
	}
	return "", false
}

// refusal is one thing that code refuses with: a rule with what was found, a remedy, or a message.
type refusal struct{ rule, detail, remedy, message string }

// refusalsIn is what the code of a file refuses with, by the forms in which it does so; remedyFirst says how its function
// refuse takes its texts.
func refusalsIn(file *ast.File, remedyFirst bool) (found []refusal) {
	text := func(args []ast.Expr, i int) string {
		if i < 0 || i >= len(args) {
			return ""
		}
		s, _ := wordsIn(args[i])
		return s
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			var r refusal
			for _, e := range n.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				words, _ := wordsIn(kv.Value)
				switch key, _ := kv.Key.(*ast.Ident); {
				case key == nil:
				case key.Name == "Rule":
					r.rule = words
				case key.Name == "Detail":
					r.detail = words
				case key.Name == "Remedy":
					r.remedy = words
				}
			}
			found = append(found, r)
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			rule := -1 // the last, since a field may look like one
			for i, e := range n.Args {
				if _, ok := e.(*ast.BasicLit); ok && ruleForm.MatchString(text(n.Args, i)) {
					rule = i
				}
			}
			switch {
			case name == "Refuse":
				found = append(found, refusal{message: text(n.Args, 1)})
			case rule < 0:
			case name == "add" || name == "refuse" && !remedyFirst:
				found = append(found, refusal{rule: text(n.Args, rule), detail: text(n.Args, rule+1), remedy: text(n.Args, rule+2)})
			case name == "fault" || name == "refuse":
				found = append(found, refusal{rule: text(n.Args, rule), detail: text(n.Args, rule+2), remedy: text(n.Args, rule+1)})
			}
		}
		return true
	})
	return slices.DeleteFunc(found, func(r refusal) bool { return !ruleForm.MatchString(r.rule) && r.message == "" })
}

// TestEveryRefusalHasBothLanguages: whatever a forecaster or commander is refused with reads Chinese in Chinese.
func TestEveryRefusalHasBothLanguages(t *testing.T) {
	seen := map[string]bool{}
	english := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x2E80 }) }
	for _, room := range refusing {
		files, err := os.ReadDir(room)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path.Join(room, f.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range refusalsIn(file, room == "geofence") {
				if engineers.MatchString(r.rule) || strings.HasPrefix(r.rule, "x.") || strings.HasSuffix(r.rule, ".x") { // put together: by hand
					continue
				}
				seen[r.rule] = true
				at := path.Join(room, f.Name()) + ": " + r.rule
				detail := r.detail
				if detail == "" {
					detail = "x"
				}
				if v := (warning.Violation{Rule: r.rule, Detail: detail}).In("zh-CN"); r.rule != "" && english(v.Detail) {
					t.Errorf("%s: nothing in Chinese for %q", at, detail)
				}
				if strings.HasPrefix(r.rule, "cap.") {
					continue // the remedies of a document are for whoever wrote the system that made it
				}
				if v := (warning.Violation{Remedy: r.remedy}).In("zh-CN"); strings.Contains(r.remedy, " ") && english(v.Remedy) {
					t.Errorf("%s: no remedy in Chinese for %q", at, r.remedy)
				}
				if r.message != "" && !aboutUsers.MatchString(r.message) && english(warning.SayRefusal("zh-CN", r.message)) {
					t.Errorf("%s: no Chinese for %q", at, r.message)
				}
			}
		}
	}
	if len(seen) < 90 {
		t.Errorf("only %d rules were found: the test does not see what the code refuses with", len(seen))
	}
}

// TestWhatTheCommandRefusesHasBothLanguages: the mistakes that a forecaster or commander is told of before anything is sent.
func TestWhatTheCommandRefusesHasBothLanguages(t *testing.T) {
	seen := 0
	for _, name := range []string{"cmd/tocsin/broadcast.go", "cmd/tocsin/client.go", "cmd/tocsin/decide.go", "cmd/tocsin/look.go", "cmd/tocsin/submit.go", "dispatcher/wiring/event.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			made, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || made.Sel.Name != "Errorf" && made.Sel.Name != "New" || made.X.(*ast.Ident).Name == "status" {
				return true
			}
			text, ok := wordsIn(call.Args[0])
			if !ok || !strings.Contains(text, " ") || strings.HasPrefix(text, "x: ") || strings.HasPrefix(text, "no answer: ") { // what the system said
				return true
			}
			seen++
			if warning.SayRefusal("zh-CN", text) == text {
				t.Errorf("%s: no Chinese for %q", name, text)
			}
			return true
		})
	}
	if seen < 14 {
		t.Errorf("only %d texts were found: the test does not see what the command refuses with", seen)
	}
}

// aboutUsers is messages that engineers meet.
var aboutUsers = regexp.MustCompile("account|directory (is|has)|no directory|split the realm|GeoJSON|positions again|policy asks|users cannot")
