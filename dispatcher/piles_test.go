package dispatcher

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

// people is a directory whose blocks are given.
type people struct {
	Snapshot
	blocks []warning.Block
}

func (p people) ID() string                { return "people" }
func (p people) Blocks() int               { return len(p.blocks) }
func (p people) Block(i int) warning.Block { return p.blocks[i] }
func (p people) District(uint32) string    { return "" }
func (p people) Residents(uint32) int64    { return 1000 }

func drawBlock(t *rapid.T) (b warning.Block) {
	b.Identity = &warning.Identity{}
	for range rapid.IntRange(1, 200).Draw(t, "people") {
		lot := rapid.Uint64().Draw(t, "lot")
		number := 9991_000000000 + lot%4*1_000000000 + lot>>8%1000
		if lot>>20%10 == 0 {
			number = 0
		}
		b.Number = append(b.Number, number)
		b.Home = append(b.Home, []uint32{0, 500101, 500101001, 500101002, 500102}[lot>>24%5])
		b.Language = append(b.Language, uint8(lot>>28%2))
		b.Duty = append(b.Duty, uint8(lot>>30%2))
		b.Flags = append(b.Flags, []uint8{0, 0, 0, warning.OptedOut}[lot>>32%4])
	}
	return b
}

func drawMask(t *rapid.T, b warning.Block) (m warning.Mask) {
	if rapid.Bool().Draw(t, "all of it") {
		return warning.First(b.Len())
	}
	for slot := range b.Len() {
		if rapid.IntRange(0, 3).Draw(t, "in") == 0 {
			m.Set(slot)
		}
	}
	return m
}

// TestPilesAreAsLookingAtEverybody makes plans over and over while blocks change, the ways change, and few or many people of
// a block are meant, and compares with a plan that asks of each person alone.
func TestPilesAreAsLookingAtEverybody(t *testing.T) {
	var ported [2]string // to x: even and odd numbers
	for i := range 1000 {
		ported[i%2] += fmt.Sprintf("%d,x\n", 9991_000000000+i)
	}
	rapid.Check(t, func(t *rapid.T) {
		account := func(name string, prefix string, chs ...warning.Channel) AccountOptions {
			return AccountOptions{
				Account:  channels.Account{Name: name, Statuses: []warning.Status{warning.Exercise}},
				Channels: chs, Weight: 1, Prefixes: []string{prefix},
			}
		}
		accounts := []AccountOptions{
			account("a", "9991", warning.SMS, warning.FlashSMS), account("b", "9992", warning.SMS), account("c", "999", warning.FlashSMS), account("d", "9991", warning.SMS),
		}
		g := &routing{accounts: accounts}
		dir := people{}
		for range rapid.IntRange(1, 5).Draw(t, "blocks") {
			dir.blocks = append(dir.blocks, drawBlock(t))
		}
		w := &warning.Warning{Spec: warning.Spec{Status: warning.Exercise}}
		for range rapid.IntRange(1, 6).Draw(t, "turns") {
			switch rapid.IntRange(0, 6).Draw(t, "what changes") {
			case 0: // a block
				dir.blocks = slices.Clone(dir.blocks)
				dir.blocks[rapid.IntRange(0, len(dir.blocks)-1).Draw(t, "which")] = drawBlock(t)
			case 1: // the trust in an account
				g = (&routing{accounts: g.accounts, shares: []float64{1, 1, 1, rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "share")}[:len(g.accounts)]}).after(g)
			case 2: // the table of numbers
				g = (&routing{accounts: accounts[:rapid.IntRange(1, len(accounts)).Draw(t, "accounts")]}).after(g)
			case 3: // the prefixes
				other := slices.Clone(g.accounts)
				other[0].Prefixes = []string{rapid.SampledFrom([]string{"9991", "9992", "99910"}).Draw(t, "prefix")}
				g = (&routing{accounts: other}).after(g)
			case 4: // who was ported
				of := slices.Clone(g.accounts)
				of[len(of)-1].Carrier = "x"
				numbers, err := ReadNumbers(strings.NewReader(ported[rapid.IntRange(0, 1).Draw(t, "ported")]))
				if err != nil {
					t.Fatal(err)
				}
				g = (&routing{accounts: of, numbers: numbers}).after(g)
			}
			var sel warning.Selection
			for i := range dir.blocks {
				if m := drawMask(t, dir.blocks[i]); m.Count() > 0 {
					sel.Blocks, sel.Masks = append(sel.Blocks, uint32(i)), append(sel.Masks, m)
				}
			}
			var tells warning.Telling
			for d := range tells {
				tells[d] = rapid.SampledFrom([][]warning.Channel{nil, {warning.SMS}, {warning.FlashSMS}, {warning.FlashSMS, warning.SMS}}).Draw(t, "tells")
			}
			plan, tallies := sortOut(w, tells, dir, &sel, g, true)
			want := oneByOne(w, tells, dir, &sel, g)
			if !reflect.DeepEqual(plan, want) {
				t.Fatalf("%+v, looking at everybody %+v", plan, want)
			}
			bare, again := sortOut(w, tells, dir, &sel, g, false)
			for i := range want.Strands {
				want.Strands[i].Batches = nil
			}
			if fmt.Sprint(bare) != fmt.Sprint(want) || !reflect.DeepEqual(tallies, again) {
				t.Fatalf("counted %+v, planned %+v", bare, want)
			}
			checkPlaces(t, dir, &sel)
		}
	})
}

// oneByOne is makePlan as it was before blocks were sorted ahead.
func oneByOne(w *warning.Warning, tells warning.Telling, dir people, sel *warning.Selection, g *routing) Plan {
	p := Plan{Snapshot: dir.ID(), InArea: sel.People(), Parts: 1}
	ways := waysOf(tells, w.Spec.Status, g)
	chs := addressed(tells.Channels())
	type key struct {
		ch       int
		account  int
		duty     int
		language int
	}
	lanes := map[key][]Batch{}
	var alone []*router // each of a routing of its own: none is shared
	for _, ch := range chs {
		alone = append(alone, (&routing{accounts: g.accounts, shares: g.shares, numbers: g.numbers}).router(ch, w.Spec.Status))
	}
	for i, n := range sel.Blocks {
		b := dir.Block(int(n))
		for slot := range sel.Masks[i].Slots {
			number, duty := b.Number[slot], int(b.Duty[slot])
			switch {
			case len(chs) == 0:
				p.Untold++
				continue
			case number == 0:
				p.NoAddress++
				continue
			case b.Flags[slot]&warning.OptedOut != 0 && duty != int(warning.Responsible):
				p.OptedOut++
				continue
			case len(ways[duty]) == 0:
				p.Untold++
				continue
			case !carried(ways[duty], number):
				p.NoRoute++
				continue
			}
			for c, ch := range chs {
				account := alone[c].route(number)
				if !slices.Contains(tells[duty], ch) || account < 0 {
					continue
				}
				k := key{c, account, duty, int(b.Language[slot])}
				list := lanes[k]
				if len(list) == 0 || list[len(list)-1].Block != n {
					list = append(list, Batch{Block: n, Duty: warning.Duty(duty), Language: b.Language[slot]})
				}
				list[len(list)-1].Mask.Set(slot)
				lanes[k] = list
			}
		}
	}
	for c, ch := range chs {
		for a := range g.accounts {
			s := Strand{Channel: ch, Words: warning.Alert, Account: g.accounts[a].Name, Snapshot: dir.ID()}
			for _, duty := range []warning.Duty{warning.Responsible, warning.Public} {
				var list []Batch
				for language := range languages {
					list = append(list, lanes[key{c, a, int(duty), language}]...)
				}
				slices.SortStableFunc(list, func(a, b Batch) int { return int(a.Block) - int(b.Block) })
				s.Batches = append(s.Batches, list...)
			}
			for i := range s.Batches {
				s.People += uint32(s.Batches[i].Mask.Count())
			}
			if s.People > 0 {
				p.Strands = append(p.Strands, s)
			}
		}
	}
	return p
}

// TestABlockIsFoundOutOnce asks for blocks of two directories from several sides at once: each is found out at most once for
// as long as it is the newest at its place, and everybody gets what is true of theirs.
func TestABlockIsFoundOutOnce(t *testing.T) {
	const blocks, sides = 300, 8
	var p perBlock[uint64]
	for round := range 3 {
		all, found := make([]warning.Block, blocks), make([]atomic.Int32, blocks)
		for i := range all {
			all[i] = warning.Block{Number: []uint64{uint64(round*blocks + i)}, Identity: &warning.Identity{}}
		}
		var group sync.WaitGroup
		for side := range sides {
			group.Go(func() {
				for k := range blocks {
					i := k
					if side%2 == 0 { // as who learns ahead
						i = blocks - 1 - k
					}
					got := p.of(uint32(i), all[i], func() uint64 { found[i].Add(1); return all[i].Number[0] })
					if got != all[i].Number[0] {
						t.Errorf("block %d is known as %d", i, got)
					}
				}
			})
		}
		group.Wait()
		for i := range found {
			if n := found[i].Load(); n != 1 && (round > 0 || n == 0) { // what comes in while the list grows may be found out again
				t.Errorf("round %d: block %d was found out %d times", round, i, n)
			}
		}
	}
}

// TestOfAStrangerNothingIsKept: people on duty are blocks without an identity, another each time.
func TestOfAStrangerNothingIsKept(t *testing.T) {
	var p perBlock[int]
	for i := range 3 {
		b := warning.Block{Number: []uint64{uint64(i)}}
		if got := p.of(0, b, func() int { return i }); got != i || p.has(0, b) {
			t.Errorf("block %d is known as %d", i, got)
		}
	}
}

var counted census // one for all turns, so that it has seen other blocks

// checkPlaces compares the counts by home with looking at everybody.
func checkPlaces(t *rapid.T, dir people, sel *warning.Selection) {
	want := map[string]int64{}
	for i, n := range sel.Blocks {
		for slot := range sel.Masks[i].Slots {
			home := dir.blocks[n].Home[slot]
			if home != 0 {
				want[fmt.Sprint(warning.DistrictOf(home))]++
			}
			if home != warning.DistrictOf(home) {
				want[fmt.Sprint(home)]++
			}
		}
	}
	counted.of = "" // the test calls other people by the same name
	units, towns := counted.places(dir, sel)
	for _, u := range append(units, towns...) {
		if want[u.Code] != u.People {
			t.Fatalf("%s has %d people, looking at everybody finds %d", u.Code, u.People, want[u.Code])
		}
		if u.Residents < 0 || u.Residents > 1000 {
			t.Fatalf("of a thousand in %s %d live in the area", u.Code, u.Residents)
		}
		delete(want, u.Code)
	}
	if len(want) > 0 {
		t.Fatalf("not counted: %v", want)
	}
}
