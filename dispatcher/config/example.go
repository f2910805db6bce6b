package config

import (
	_ "embed"
	"slices"
)

//go:embed example.yaml
var example []byte

// Example is a commented configuration with every key. What stands in <…> is to be filled in before Load takes it.
func Example() []byte { return slices.Clone(example) }
