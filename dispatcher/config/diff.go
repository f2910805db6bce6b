package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Difference is one value that two configurations do not share. Where one has it and the other has not, Before or After
// is empty. Secrets are hidden.
type Difference struct {
	// Key is the path of the value; accounts and platforms stand in it by name, e.g. accounts.mobile.rate.
	Key, Before, After string
}

// Line is where in the file the value of a Difference's key stands, or what it belongs to where it does not stand there.
func (c *Config) Line(key string) int {
	parts := strings.SplitN(key, ".", 3)
	at := -1
	switch {
	case len(parts) < 2:
	case parts[0] == "accounts":
		at = slices.IndexFunc(c.Accounts, func(a Account) bool { return a.Name == parts[1] })
	case parts[0] == "platforms":
		at = slices.IndexFunc(c.Platforms, func(p Platform) bool { return p.Name == parts[1] })
	}
	if at >= 0 {
		key = strings.Join(append([]string{fmt.Sprintf("%s[%d]", parts[0], at)}, parts[2:]...), ".")
	}
	return lineOf(c.lines, key)
}

// Diff is what changes from a to b, by key.
func Diff(a, b *Config) (out []Difference) {
	before, after := a.values(), b.values()
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if before[k] != after[k] {
			out = append(out, Difference{Key: k, Before: before[k], After: after[k]})
		}
	}
	old, now := a.secrets(), b.secrets()
	for _, k := range slices.Sorted(maps.Keys(now)) {
		if was, ok := old[k]; ok && was != now[k] {
			out = append(out, Difference{Key: k, Before: fmt.Sprint(was), After: fmt.Sprint(now[k])})
		}
	}
	return out
}

// values is every value of the configuration by its path.
func (c *Config) values() map[string]string {
	out := map[string]string{}
	flatten("", encode(reflect.ValueOf(c).Elem()), out)
	return out
}

func flatten(path string, n *yaml.Node, out map[string]string) {
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			flatten(strings.TrimPrefix(path+"."+n.Content[i].Value, "."), n.Content[i+1], out)
		}
	case n.Kind == yaml.SequenceNode && named(n):
		for _, item := range n.Content {
			flatten(path+"."+name(item), item, out)
		}
	case n.Kind == yaml.SequenceNode:
		out[path] = inline(n)
	default:
		out[path] = n.Value
	}
}

// named tells whether the items of a list have names of their own, as accounts and platforms have.
func named(list *yaml.Node) bool {
	return len(list.Content) > 0 && !slices.ContainsFunc(list.Content, func(item *yaml.Node) bool { return name(item) == "" })
}

func name(item *yaml.Node) string {
	if item.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i < len(item.Content); i += 2 {
		if item.Content[i].Value == "name" {
			return item.Content[i+1].Value
		}
	}
	return ""
}

// inline is a list in one line.
func inline(n *yaml.Node) string {
	n.Style = yaml.FlowStyle
	b, err := yaml.Marshal(n)
	if err != nil {
		panic("config: nodes of plain values always marshal: " + err.Error())
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

func (c *Config) secrets() map[string]Secret {
	out := map[string]Secret{}
	if c.Redis != nil {
		out["redis.password"] = c.Redis.Password
	}
	for i := range c.Accounts {
		out["accounts."+c.Accounts[i].Name+".password"] = c.Accounts[i].Password
	}
	for i := range c.Platforms {
		out["platforms."+c.Platforms[i].Name+".password"] = c.Platforms[i].Password
	}
	return out
}
