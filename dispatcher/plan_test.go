package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

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

// city is a snapshot of people of three carriers, two languages and one home.
type city struct {
	Snapshot
	blocks []warning.Block // again and again
}

func (c city) ID() string                { return "city" }
func (c city) Blocks() int               { return len(c.blocks) }
func (c city) Block(i int) warning.Block { return c.blocks[i%len(c.blocks)] }
func (c city) District(uint32) string    { return "" }
func (c city) Residents(uint32) int64    { return 0 }

// crowded is a city, and everybody of so many blocks of it.
func crowded(blocks int) (city, warning.Selection) {
	c := city{blocks: make([]warning.Block, 100)}
	lot := rand.New(rand.NewPCG(1, 1))
	for i := range c.blocks {
		b := &c.blocks[i]
		b.Identity = &warning.Identity{}
		for range warning.BlockSize {
			b.Number = append(b.Number, 9991_000000000+uint64(lot.IntN(3))*1_000000000+uint64(lot.IntN(1_000000000)))
			b.Home = append(b.Home, 500103)
			b.Language = append(b.Language, uint8(lot.IntN(20)/19))
			b.Duty = append(b.Duty, uint8(lot.IntN(200)/199))
			b.Flags = append(b.Flags, uint8(lot.IntN(200)/199))
		}
	}
	var sel warning.Selection
	for i := range blocks {
		var m warning.Mask
		for w := range m {
			m[w] = ^uint64(0)
		}
		sel.Blocks, sel.Masks = append(sel.Blocks, uint32(i)), append(sel.Masks, m)
	}
	return c, sel
}

func threeCarriers() *routing {
	g := &routing{}
	for i := range 3 {
		g.accounts = append(g.accounts, AccountOptions{
			Account:  channels.Account{Name: fmt.Sprint(i), Statuses: []warning.Status{warning.Exercise}},
			Channels: []warning.Channel{warning.SMS}, Prefixes: []string{fmt.Sprint(9991 + i)},
		})
	}
	return g
}

// TestAPlanTakesTheMemoryOfItsBatches and hardly more, once its blocks are sorted: of everybody it is tens of megabytes beside
// a directory that fills the machine.
func TestAPlanTakesTheMemoryOfItsBatches(t *testing.T) {
	snap, sel := crowded(1000)
	w := &warning.Warning{Spec: warning.Spec{Status: warning.Exercise, Channels: []warning.Channel{warning.SMS}}}
	g := threeCarriers()
	made := makePlan(w, w.Spec.Tells(w.ReleasedAt), snap, &sel, g) // which sorts
	takes := uint64(0)
	for _, s := range made.Strands {
		takes += uint64(len(s.Batches)) * uint64(unsafe.Sizeof(Batch{}))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	makePlan(w, w.Spec.Tells(w.ReleasedAt), snap, &sel, g)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > takes+takes/4 {
		t.Errorf("a plan whose batches take %d KB takes %d KB", takes>>10, took>>10)
	}
}

// BenchmarkMakePlan is the plan of a million people, and what a preview counts of it.
func BenchmarkMakePlan(b *testing.B) {
	snap, sel := crowded(1000)
	w := &warning.Warning{Spec: warning.Spec{Status: warning.Exercise, Channels: []warning.Channel{warning.SMS}}}
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			makePlan(w, w.Spec.Tells(w.ReleasedAt), snap, &sel, threeCarriers())
		}
	})
	b.Run("units", func(b *testing.B) {
		for b.Loop() {
			(&census{}).places(snap, &sel)
		}
	})
}
