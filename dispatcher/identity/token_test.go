package identity

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/warning"
)

func names() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9][a-z0-9.-]{0,31}`) }

func TestTokenNamesItsUser(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := names().Draw(t, "name")
		token := newToken(name)
		if got, err := tokenUser(token); err != nil || got != name {
			t.Fatalf("token of %q read as %q, %v", name, got, err)
		}
		if token == newToken(name) {
			t.Fatal("two tokens are the same")
		}
	})
}

func TestTokenWithOneFaultIsRefused(t *testing.T) {
	const spare = "abcXYZ019-_."
	rapid.Check(t, func(t *rapid.T) {
		token := newToken(names().Draw(t, "name"))
		i := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		wrong := ""
		switch rapid.SampledFrom([]string{"cut", "drop", "change", "break"}).Draw(t, "fault") {
		case "cut":
			wrong = token[:i]
		case "drop":
			wrong = token[:i] + token[i+1:]
		case "change":
			c := rapid.SampledFrom([]byte(spare)).Draw(t, "character")
			if token[i] == c {
				return
			}
			wrong = token[:i] + string(c) + token[i+1:]
		case "break":
			wrong = token[:i] + "\n" + token[i:]
		}
		_, err := tokenUser(wrong)
		if warning.ReasonOf(err) != warning.ReasonUnknownUser {
			t.Fatalf("accepted, or refused without reason: %v", err)
		}
		if strings.Contains(err.Error(), token[len(token)-40:]) {
			t.Fatal("the error repeats the token")
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(newToken("forecaster"))
	f.Add("toc_a_")
	f.Add("toc__" + strings.Repeat("A", 48))
	f.Add("Bearer toc_a_b")
	f.Fuzz(func(t *testing.T, text string) {
		user, err := tokenUser(text)
		if err != nil {
			if warning.ReasonOf(err) != warning.ReasonUnknownUser {
				t.Fatalf("refused without reason: %v", err)
			}
			return
		}
		b, err := encoding.DecodeString(text[len(text)-48:])
		if err != nil || text != tokenPrefix+user+"_"+encoding.EncodeToString(b) {
			t.Fatalf("%q has a second spelling", text)
		}
	})
}
