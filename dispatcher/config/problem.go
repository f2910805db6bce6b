package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing wrong with a file.
type Problem struct {
	Line   int    // from 1
	Field  string // path, e.g. accounts[0].rate; empty for the file as a whole
	Detail string // what was found
	Remedy string // what to do
}

// Error is everything wrong with a file, by line.
type Error struct {
	Path     string
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("%s:%d: ", e.Path, p.Line)
		if p.Field != "" {
			lines[i] += p.Field + " "
		}
		lines[i] += p.Detail
		if p.Remedy != "" {
			lines[i] += " (" + p.Remedy + ")"
		}
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong and knows in which line each path stands.
type problems struct {
	lines map[string]int
	list  []Problem
}

// add notes a problem of the value at path.
func (p *problems) add(path, detail, remedy string) {
	p.addLine(lineOf(p.lines, path), path, detail, remedy)
}

// lineOf is the line of the value at path; one that does not stand in the file has that of what it belongs to.
func lineOf(lines map[string]int, path string) int {
	for path != "" && lines[path] == 0 {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return lines[path]
}

func (p *problems) addLine(line int, path, detail, remedy string) {
	p.list = append(p.list, Problem{Line: line, Field: path, Detail: detail, Remedy: remedy})
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// addSyntax takes over what the YAML reader says.
func (p *problems) addSyntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			line, text = n, text[len(m[0]):]
		}
	}
	p.addLine(line, "", "not YAML: "+text, "check indents, colons and quotes from this line on")
}

func (p *problems) err(path string) *Error {
	slices.SortStableFunc(p.list, func(a, b Problem) int { return a.Line - b.Line })
	return &Error{Path: path, Problems: p.list}
}
