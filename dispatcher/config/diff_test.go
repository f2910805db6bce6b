package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffNamesEveryValueAndShowsNoSecret(t *testing.T) {
	load := func(file string) *Config {
		t.Helper()
		t.Setenv("TOCSIN_TEST_PASSWORD", "first")
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := load("testdata/minimal.yaml"), load("testdata/minimal.yaml")
	if d := Diff(a, b); len(d) != 0 {
		t.Errorf("the same file differs from itself: %v", d)
	}
	name := b.Accounts[0].Name
	b.Accounts[0].Rate++
	b.Accounts[0].Password = Secret{"second"}
	b.Policy.Drills = []string{"an"}
	b.Accounts = append(b.Accounts, Account{Name: "new", Rate: 5})
	got := map[string]Difference{}
	for _, d := range Diff(a, b) {
		got[d.Key] = d
	}
	for key, want := range map[string]Difference{
		"accounts." + name + ".password": {Before: "(hidden)", After: "(hidden)"},
		"policy.drills":                  {Before: "[]", After: "[an]"},
		"accounts.new.rate":              {Before: "", After: "5"},
	} {
		want.Key = key
		if d := cmp.Diff(want, got[key]); d != "" {
			t.Error(d)
		}
	}
	if _, ok := got["accounts."+name+".rate"]; !ok {
		t.Errorf("the rate is missing in %v", got)
	}
}
