package warning

import (
	"bufio"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed templates/refusals.txt
var refusalText string

// refusalForm is one text of a refusal: English as the code says it, and Chinese.
type refusalForm struct {
	english *regexp.Regexp
	chinese string
}

// Kinds of lines of the catalogue beside the rules.
const (
	kindRemedy  = "do"
	kindMessage = "say"
)

// refusalForms is the catalogue of refusals by rule or kind.
var refusalForms = sync.OnceValue(func() map[string][]refusalForm {
	forms := map[string][]refusalForm{}
	for lines := bufio.NewScanner(strings.NewReader(refusalText)); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		key, texts, _ := strings.Cut(line, " ")
		english, chinese, ok := strings.Cut(strings.TrimSpace(texts), " | ")
		if !ok {
			panic("warning: embedded catalogue: no Chinese in " + line)
		}
		form := strings.ReplaceAll(regexp.QuoteMeta(english), `\{\}`, `(.+?)`)
		forms[key] = append(forms[key], refusalForm{regexp.MustCompile("(?s)^" + form + "$"), chinese})
	}
	return forms
})

// Names of the catalogue that stand in refusals.
var namedKinds = []string{"tier", "status", "state", "channel"}

// within is the little words between names and numbers that stand in refusals.
var within = strings.NewReplacer(" or ", " 或 ", " and ", "、", "fewer than ", "少于 ", " people", " 人", "the authority of ", "", "no neighbour is known there", "邻区不明")

// translated is the text of a kind in Chinese, or false where the catalogue has none for it.
func translated(kind, text string) (string, bool) {
	for _, f := range refusalForms()[kind] {
		found := f.english.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		out := f.chinese
		for i, v := range found[1:] {
			for _, k := range namedKinds {
				if p, ok := phrases[TextOf(k, v)]; ok {
					v = p.zh
					break
				}
			}
			out = strings.ReplaceAll(out, fmt.Sprintf("{%d}", i+1), within.Replace(v))
		}
		return out, true
	}
	return text, false
}

// In is the violation with its detail and remedy in a language. What the catalogue has no words for stays English.
func (v Violation) In(language string) Violation {
	if language == Languages[0] {
		v.Detail, _ = translated(v.Rule, v.Detail)
		v.Remedy, _ = translated(kindRemedy, v.Remedy)
	}
	return v
}

// Text is what was found and what to do, in one line.
func (v Violation) Text() string {
	if v.Remedy == "" {
		return v.Detail
	}
	return v.Detail + " (" + v.Remedy + ")"
}

// SayRefusal is the message of a refusal in a language. What the catalogue has no words for stays English.
func SayRefusal(language, message string) string {
	if language == Languages[0] {
		message, _ = translated(kindMessage, message)
	}
	return message
}
