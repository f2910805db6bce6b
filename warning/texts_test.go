package warning

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

var placeholder = regexp.MustCompile(`%[^a-zA-Z%]*[a-zA-Z%]`)

func TestBothLanguagesSayEverything(t *testing.T) {
	for key, p := range phrases {
		if p.zh == "" || p.en == "" {
			t.Errorf("%s lacks a language", key)
		}
		if a, b := placeholder.FindAllString(p.zh, -1), placeholder.FindAllString(p.en, -1); !slices.Equal(a, b) {
			t.Errorf("%s: placeholders %v and %v differ", key, a, b)
		}
	}
}

// TestEveryKeyHasAPhrase reads the keys from the source, so that none can be forgotten.
func TestEveryKeyHasAPhrase(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "texts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Text" {
			return true
		}
		key, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if _, ok := phrases[Text(key)]; !ok {
			t.Errorf("%s has no phrase", key)
		}
		return true
	})
	if n == 0 {
		t.Error("no key was found")
	}
}

func TestNamesOfEnumerationsHavePhrases(t *testing.T) {
	var keys []Text
	for name := range tierNames {
		keys = append(keys, TextOf("tier", name))
	}
	for name := range statusNames {
		keys = append(keys, TextOf("status", name))
	}
	for name := range stateNames {
		keys = append(keys, TextOf("state", name))
	}
	for name := range channelNames {
		keys = append(keys, TextOf("channel", name))
	}
	for _, name := range personNames {
		keys = append(keys, TextOf("person", name))
	}
	for _, k := range keys {
		if _, ok := phrases[k]; !ok {
			t.Errorf("%s has no phrase", k)
		}
	}
}

func TestSay(t *testing.T) {
	if got := Say("zh-CN", TextDelivered, "5"); got != "已送达 5 人" {
		t.Error(got)
	}
	if got := Say("fr", TextDelivered, "5"); got != "Delivered 5" {
		t.Error(got)
	}
	if got := Say("en", TextOf("reason", "newer")); got != "newer" {
		t.Error(got)
	}
}
