package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// String is the configuration with all defaults, as YAML that Load reads. It names where secrets are and shows none.
func (c *Config) String() string {
	text, err := yaml.Marshal(encode(reflect.ValueOf(c).Elem()))
	if err != nil {
		panic("config: nodes of plain values always marshal: " + err.Error())
	}
	return string(text)
}

// encode is the reverse of decode; what is empty is left out.
func encode(v reflect.Value) *yaml.Node {
	switch v.Kind() {
	case reflect.Pointer:
		return encode(v.Elem())
	case reflect.Struct:
		node := &yaml.Node{Kind: yaml.MappingNode}
		eachField(v.Type(), func(name string, index []int) {
			if f := v.FieldByIndex(index); !empty(f) {
				node.Content = append(node.Content, text(name), encode(f))
			}
		})
		return node
	case reflect.Map:
		node := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			if a.CanUint() {
				return int(a.Uint()) - int(b.Uint())
			}
			return strings.Compare(a.String(), b.String())
		})
		for _, k := range keys {
			node.Content = append(node.Content, encode(k), encode(v.MapIndex(k)))
		}
		return node
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			node.Content = append(node.Content, encode(v.Index(i)))
		}
		return node
	}
	switch x := v.Interface().(type) {
	case string:
		return text(x)
	case float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(x, 'f', -1, 64)}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(x)}
	}
}

// empty values are those that mean "not given"; a number or a duration of zero is a value.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Int, reflect.Int64, reflect.Float64, reflect.Struct:
		return false
	}
	return v.IsZero()
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
