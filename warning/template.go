package warning

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed templates
var templates embed.FS

// pattern is one line of a template file.
type pattern struct {
	kind, channel, tier string // "*": all
	parts               []part
}

// part is a piece of a pattern: words as they stand, a field, or a piece that may be left out.
type part struct {
	text, field string
	optional    []part
}

// patterns is the official patterns by language; advice is what to do, by event and tier.
var patterns, advice = mustTemplates()

func mustTemplates() (map[string][]pattern, []guidance) {
	all := map[string][]pattern{}
	for _, language := range Languages {
		p, err := parsePatterns(mustRead(language + ".txt"))
		if err != nil {
			panic("warning: templates/" + language + ".txt: " + err.Error())
		}
		all[language] = p
	}
	g, err := parseGuidance(mustRead("advice.txt"))
	if err != nil {
		panic("warning: templates/advice.txt: " + err.Error())
	}
	return all, g
}

func mustRead(name string) string {
	b, err := fs.ReadFile(templates, "templates/"+name)
	if err != nil {
		panic("warning: " + err.Error())
	}
	return string(b)
}

// rows calls take with every line that says something; an error gets its line.
func rows(text string, take func(line string) error) error {
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := take(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

// word cuts the first word off a line.
func word(line string) (first, rest string) {
	first, rest, _ = strings.Cut(line, " ")
	return first, strings.TrimLeft(rest, " ")
}

func parsePatterns(text string) (all []pattern, err error) {
	err = rows(text, func(line string) error {
		var p pattern
		p.kind, line = word(line)
		p.channel, line = word(line)
		p.tier, line = word(line)
		if _, err := ParseChannel(p.channel); err != nil && p.channel != "*" {
			return err
		}
		if _, err := ParseTier(p.tier); err != nil && p.tier != "*" {
			return err
		}
		var rest string
		var err error
		if p.parts, rest, err = parseParts(line); err != nil {
			return err
		}
		if rest != "" || len(p.parts) == 0 {
			return errors.New("a ] too many, or no words")
		}
		all = append(all, p)
		return nil
	})
	return all, err
}

// parseParts reads up to the end, or up to the ] that closes an optional piece; rest begins with that.
func parseParts(s string) (parts []part, rest string, err error) {
	for s != "" && s[0] != ']' {
		switch s[0] {
		case '{':
			name, after, ok := strings.Cut(s[1:], "}")
			if !ok || !slices.Contains(fields, name) {
				return nil, "", fmt.Errorf("%.20q is no field", s)
			}
			parts, s = append(parts, part{field: name}), after
		case '[':
			optional, after, err := parseParts(s[1:])
			if err != nil {
				return nil, "", err
			}
			if after == "" {
				return nil, "", errors.New("a [ is not closed")
			}
			parts, s = append(parts, part{optional: optional}), after[1:]
		default:
			i := strings.IndexAny(s, "{[]")
			if i < 0 {
				i = len(s)
			}
			parts, s = append(parts, part{text: s[:i]}), s[i:]
		}
	}
	return parts, s, nil
}

// fill puts the values into the parts; missing is the first field without one.
func fill(parts []part, value map[string]string) (text, missing string) {
	var b strings.Builder
	for _, p := range parts {
		s := p.text
		switch {
		case p.field != "":
			if s = value[p.field]; s == "" {
				return "", p.field
			}
		case p.optional != nil:
			s, _ = fill(p.optional, value)
		}
		b.WriteString(s)
	}
	return b.String(), ""
}

// patternOf is the first line that fits.
func patternOf(language, kind string, ch Channel, t Tier) (pattern, bool) {
	for _, p := range patterns[language] {
		if p.kind == kind && (p.channel == "*" || p.channel == ch.String()) && (p.tier == "*" || p.tier == t.String()) {
			return p, true
		}
	}
	return pattern{}, false
}

// guidance is one line of what to do.
type guidance struct {
	event, tier string
	say         Name
}

func parseGuidance(text string) (all []guidance, err error) {
	err = rows(text, func(line string) error {
		var g guidance
		g.event, line = word(line)
		g.tier, line = word(line)
		if _, ok := EventOf(g.event); !ok {
			return fmt.Errorf("%q is no event code", g.event)
		}
		if _, err := ParseTier(g.tier); err != nil && g.tier != "*" {
			return err
		}
		var ok bool
		if g.say.Chinese, g.say.English, ok = strings.Cut(line, " | "); !ok {
			return errors.New("no | between the languages")
		}
		all = append(all, g)
		return nil
	})
	return all, err
}

// adviceFor is what to do in the danger: the first line that fits.
func adviceFor(event string, t Tier) Name {
	for _, g := range advice {
		if g.event == event && (g.tier == "*" || g.tier == t.String()) {
			return g.say
		}
	}
	return Name{}
}
