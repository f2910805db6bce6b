package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tocsin/warning"
)

// parse reads text over the defaults. The problems know the line of every value that stands in the text.
func parse(text []byte) (*Config, *problems) {
	p := &problems{lines: map[string]int{"": 1}}
	c := defaults()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.add("", "the file is empty", "tocsin config init writes a commented one")
		return c, p
	case err != nil:
		p.addSyntax(err)
		return c, p
	}
	if err := dec.Decode(&second); err == nil {
		p.addLine(second.Line, "", "a second document begins", "keep one document in the file")
	} else if !errors.Is(err, io.EOF) {
		p.addSyntax(err)
		return c, p
	}
	p.decode("", doc.Content[0], reflect.ValueOf(c).Elem())
	return c, p
}

// presetter is a value that has defaults of its own.
type presetter interface{ preset() }

// decode reads node into v, which is settable, and notes its line under path.
func (p *problems) decode(path string, node *yaml.Node, v reflect.Value) {
	p.lines[path] = node.Line
	switch {
	case node.Kind == yaml.AliasNode:
		p.add(path, "is an alias", "write the value out")
		return
	case node.Tag == "!!null":
		p.add(path, "is empty", "give it a value, or take the key out")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.decode(path, node, v.Elem())
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(presetter); ok {
			d.preset()
		}
		p.mapping(path, node, func(key *yaml.Node) (reflect.Value, func(), bool) {
			names := fieldNames(v.Type())
			f, ok := fieldByName(v, key.Value)
			if !ok {
				p.addLine(key.Line, join(path, key.Value), "is not a key that is known here", "did you mean "+nearest(key.Value, names)+"?")
			}
			return f, func() {}, ok
		})
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		p.mapping(path, node, func(key *yaml.Node) (reflect.Value, func(), bool) {
			k := reflect.New(v.Type().Key()).Elem()
			if err := setText(k, key.Value); err != nil {
				p.addLine(key.Line, join(path, key.Value), err.Error(), "")
				return k, nil, false
			}
			e := reflect.New(v.Type().Elem()).Elem()
			return e, func() { v.SetMapIndex(k, e) }, true
		})
	case reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			p.add(path, "is "+kindOf(node)+", not a list", "write [a, b] or one line with a dash for each")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, len(node.Content))) // a list replaces the one of the defaults
		for i, item := range node.Content {
			e := reflect.New(v.Type().Elem()).Elem()
			p.decode(fmt.Sprintf("%s[%d]", path, i), item, e)
			v.Set(reflect.Append(v, e))
		}
	default:
		p.scalar(path, node, v)
	}
}

// mapping decodes each value of a mapping into the place that the key stands for; done stores it there.
func (p *problems) mapping(path string, node *yaml.Node, place func(key *yaml.Node) (v reflect.Value, done func(), ok bool)) {
	if node.Kind != yaml.MappingNode {
		p.add(path, "is "+kindOf(node)+", not keys with values", "")
		return
	}
	seen := map[string]int{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			p.addLine(key.Line, path, "has a key that is not a word", "")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			p.addLine(key.Line, join(path, key.Value), fmt.Sprintf("stands in line %d already", first), "keep one of them")
			continue
		}
		seen[key.Value] = key.Line
		if v, done, ok := place(key); ok {
			p.decode(join(path, key.Value), value, v)
			done()
		}
	}
}

func (p *problems) scalar(path string, node *yaml.Node, v reflect.Value) {
	if node.Kind != yaml.ScalarNode {
		p.add(path, "is "+kindOf(node)+", not one value", "")
		return
	}
	if strings.HasPrefix(node.Value, "<") && strings.HasSuffix(node.Value, ">") {
		p.add(path, "is still to be filled in", "put in "+strings.Trim(node.Value, "<>"))
		return
	}
	var err error
	switch v.Interface().(type) {
	case bool:
		if node.Tag != "!!bool" {
			err = errors.New("is " + kindOf(node) + ", not true or false")
			break
		}
		err = setText(v, node.Value)
	case int:
		if node.Tag != "!!int" {
			err = errors.New("is " + kindOf(node) + ", not a whole number")
			break
		}
		err = setText(v, node.Value)
	case float64:
		if node.Tag != "!!int" && node.Tag != "!!float" {
			err = errors.New("is " + kindOf(node) + ", not a number")
			break
		}
		err = setText(v, node.Value)
	case string:
		if node.Tag != "!!str" {
			p.add(path, "is "+kindOf(node)+", not text", "put it in quotes")
			return
		}
		err = setText(v, node.Value)
	default:
		err = setText(v, node.Value)
	}
	if err != nil {
		p.add(path, err.Error(), "")
	}
}

// setText reads s into a scalar. The types are those of Config; another one is a fault of this package.
func setText(v reflect.Value, s string) error {
	var x any
	var err error
	switch v.Interface().(type) {
	case string:
		x = s
	case bool:
		x, err = strconv.ParseBool(s)
	case int:
		if x, err = strconv.Atoi(s); err != nil {
			err = fmt.Errorf("%s is not a whole number in decimal digits that fits", s)
		}
	case float64:
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			err = fmt.Errorf("%s is not a number in decimal digits", s)
		}
		x = f
	case time.Duration:
		if x, err = time.ParseDuration(s); err != nil || s == "0" {
			err = fmt.Errorf("%q is not a duration such as 5s or 10ms", s)
		}
	case Bytes:
		x, err = parseBytes(s)
	case warning.Hours:
		x, err = warning.ParseHours(s)
	case warning.Moment:
		x, err = warning.ParseMoment(s)
	case warning.Status:
		x, err = warning.ParseStatus(s)
	case warning.Duty:
		x, err = warning.ParseDuty(s)
	case warning.Channel:
		x, err = warning.ParseChannel(s)
	case warning.Tier:
		x, err = warning.ParseTier(s)
	case Kind:
		x, err = enum[Kind](kinds, s)
	case AreaProtocol:
		x, err = enum[AreaProtocol](areaProtocols, s)
	case Protocol:
		x, err = enum[Protocol](protocols, s)
	case Durability:
		x, err = enum[Durability](durabilities, s)
	default:
		panic("config: no way to read a " + v.Type().String())
	}
	var refused *warning.Error
	if errors.As(err, &refused) && len(refused.Violations) > 0 {
		err = fmt.Errorf("%s (%s)", refused.Violations[0].Detail, refused.Violations[0].Remedy)
	}
	if err == nil {
		v.Set(reflect.ValueOf(x))
	}
	return err
}

func enum[T ~uint8](w words, s string) (T, error) {
	v, err := w.parse(s)
	return T(v), err
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!str":
		return "text"
	case n.Tag == "!!bool":
		return "true or false"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	}
	return "a " + strings.TrimLeft(n.Tag, "!")
}

// eachField calls yield with the key and the place of every field that the file may set.
func eachField(t reflect.Type, yield func(name string, index []int)) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "-" && name != "" {
			yield(name, f.Index)
		}
	}
}

func fieldNames(t reflect.Type) (names []string) {
	eachField(t, func(name string, _ []int) { names = append(names, name) })
	return names
}

func fieldByName(v reflect.Value, want string) (found reflect.Value, ok bool) {
	eachField(v.Type(), func(name string, index []int) {
		if name == want {
			found, ok = v.FieldByIndex(index), true
		}
	})
	return found, ok
}

// nearest is the name with the fewest changed letters from s.
func nearest(s string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return distance(s, a) - distance(s, b) })
}

// distance is the Levenshtein distance of a and b, in bytes.
func distance(a, b string) int {
	if len(a) > 64 {
		a = a[:64]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
