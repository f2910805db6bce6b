package dispatcher

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

// TestRouteIsTheLongestPrefix against the rule said plainly, over random prefixes that lie within each other.
func TestRouteIsTheLongestPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[1-9][0-9]{0,5}`)
		var accounts []AccountOptions
		for i := range rapid.IntRange(1, 6).Draw(t, "accounts") {
			accounts = append(accounts, AccountOptions{
				Account:  channels.Account{Name: fmt.Sprint(i), Statuses: []warning.Status{warning.Exercise}},
				Channels: []warning.Channel{warning.SMS}, Weight: rapid.IntRange(0, 3).Draw(t, "weight"),
				Prefixes: rapid.SliceOfNDistinct(digits, 1, 4, rapid.ID[string]).Draw(t, "prefixes"),
			})
		}
		r := (&routing{accounts: accounts}).router(warning.SMS, warning.Exercise)
		for range 50 {
			number := rapid.StringMatching(`[1-9][0-9]{7,14}`).Draw(t, "number")
			if rapid.Bool().Draw(t, "near") {
				p := rapid.SampledFrom(accounts).Draw(t, "of").Prefixes[0]
				number = p + number[:max(0, 8-len(p))]
			}
			longest := ""
			for _, a := range accounts {
				for _, p := range a.Prefixes {
					if strings.HasPrefix(number, p) && len(p) > len(longest) {
						longest = p
					}
				}
			}
			n, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			got := r.route(n)
			if longest == "" {
				if got != -1 {
					t.Fatalf("%s goes to account %d, no prefix matches", number, got)
				}
				continue
			}
			if got < 0 {
				t.Fatalf("%s goes nowhere, %s matches", number, longest)
			}
			has := false
			for _, p := range accounts[got].Prefixes {
				has = has || p == longest
			}
			if !has {
				t.Fatalf("%s goes to account %d of %v; the longest prefix is %s", number, got, accounts[got].Prefixes, longest)
			}
		}
	})
}

func TestRouteSharesByWeight(t *testing.T) {
	account := func(name string, weight int) AccountOptions {
		return AccountOptions{
			Account:  channels.Account{Name: name, Statuses: []warning.Status{warning.Exercise}},
			Channels: []warning.Channel{warning.SMS}, Weight: weight, Prefixes: []string{"999"},
		}
	}
	r := (&routing{accounts: []AccountOptions{account("a", 1), account("b", 3)}}).router(warning.SMS, warning.Exercise)
	var got [2]int
	for i := range 40_000 {
		got[r.route(9991_000000000+uint64(i))]++
	}
	if got[1] < 29_000 || got[1] > 31_000 {
		t.Errorf("%v, want a quarter and three quarters of 40,000", got)
	}
}
