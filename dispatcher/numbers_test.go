package dispatcher

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/channels"
	"tocsin/warning"
)

func numbersOf(t testing.TB, lines ...string) *Numbers {
	t.Helper()
	n, err := ReadNumbers(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func carrierAccount(name, carrier string, prefixes ...string) AccountOptions {
	return AccountOptions{
		Account:  channels.Account{Name: name, Statuses: []warning.Status{warning.Exercise}},
		Channels: []warning.Channel{warning.SMS}, Weight: 1, Prefixes: prefixes, Carrier: carrier,
	}
}

// TestTheCarrierOfANumber: a ported number goes by its new carrier, a range by the table or by the prefix of an account,
// the longest first; whose carrier has no account at all goes by prefix.
func TestTheCarrierOfANumber(t *testing.T) {
	numbers := numbersOf(t, "# carriers", "", "9991*, mobile", "99912*, unicom", "9991000000001,unicom", "9992000000002, other")
	g := &routing{numbers: numbers, accounts: []AccountOptions{
		carrierAccount("m", "mobile", "9993"), carrierAccount("u", "unicom", "9994"), carrierAccount("any", "", "999"),
	}}
	r := g.router(warning.SMS, warning.Exercise)
	for number, want := range map[uint64]string{
		9991000000000: "m", 9991000000001: "u", 9991200000000: "u", 9993000000000: "m", 9994000000000: "u",
		9992000000001: "any", 9992000000002: "any", 8880000000000: "",
	} {
		got := ""
		if i := r.route(number); i >= 0 {
			got = g.accounts[i].Name
		}
		if got != want {
			t.Errorf("%d goes by %q, want %q", number, got, want)
		}
	}
}

// TestWhenAnAccountIsOutOthersCarry: of the same carrier first, then by a shorter prefix; who has no other way keeps his.
func TestWhenAnAccountIsOutOthersCarry(t *testing.T) {
	g := &routing{
		numbers:  numbersOf(t, "9995000000001,unicom"),
		accounts: []AccountOptions{carrierAccount("m", "mobile", "9991"), carrierAccount("u", "unicom", "9992"), carrierAccount("any", "", "9991", "99")},
		shares:   []float64{0, 0, 1},
	}
	r := g.router(warning.SMS, warning.Exercise)
	for number, want := range map[uint64][2]int{9991000000000: {2, 2}, 9992000000000: {2, 2}, 9995000000001: {2, 2}} {
		if a, b := r.route(number), r.reach(number); a != want[0] || b != want[1] {
			t.Errorf("%d: route %d, reach %d, want %v", number, a, b, want)
		}
	}
	g = &routing{accounts: g.accounts[:2], shares: []float64{0, 1}}
	r = g.router(warning.SMS, warning.Exercise)
	if a, b := r.route(9991000000000), r.reach(9991000000000); a != 0 || b != -1 {
		t.Errorf("nobody else carries it: route %d, reach %d", a, b)
	}
}

// TestSharesAreKept: an account that is trusted with a part of its weight gets that part.
func TestSharesAreKept(t *testing.T) {
	g := &routing{accounts: []AccountOptions{carrierAccount("a", "", "999"), carrierAccount("b", "", "999")}, shares: []float64{0.25, 1}}
	r := g.router(warning.SMS, warning.Exercise)
	got := [2]int{}
	for i := range 100_000 {
		got[r.route(9991000000000+uint64(i))]++
	}
	if got[0] < 19_000 || got[0] > 21_000 {
		t.Errorf("%v of 100000; a fifth is the first one's", got)
	}
}

// TestTablesOfNumbers against the rule said plainly, over random tables.
func TestTablesOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := map[string]string{} // key as written
		for range rapid.IntRange(0, 20).Draw(t, "rows") {
			key := rapid.StringMatching(`[1-9][0-9]{0,4}`).Draw(t, "prefix") + "*"
			if rapid.Bool().Draw(t, "one") {
				key = rapid.StringMatching(`[1-9][0-9]{7}`).Draw(t, "number")
			}
			table[key] = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "carrier")
		}
		var lines []string
		for k, c := range table {
			lines = append(lines, k+","+c)
		}
		n, err := ReadNumbers(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		g := &routing{numbers: n, accounts: []AccountOptions{carrierAccount("a", "a"), carrierAccount("b", "b"), carrierAccount("c", "c")}}
		r := g.router(warning.SMS, warning.Exercise)
		for range 30 {
			number := rapid.StringMatching(`[1-9][0-9]{7}`).Draw(t, "asked")
			if rapid.Bool().Draw(t, "near") && len(lines) > 0 {
				k, _, _ := strings.Cut(strings.ReplaceAll(rapid.SampledFrom(lines).Draw(t, "of"), "*", ""), ",")
				number = k + number[:max(0, 8-len(k))]
			}
			want, ok := table[number]
			for k := len(number); k > 0 && !ok; k-- {
				want, ok = table[number[:k]+"*"]
			}
			v, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if i := r.route(v); i >= 0 {
				got = g.accounts[i].Name
			}
			if got != want {
				t.Fatalf("%s goes by %q, want %q", number, got, want)
			}
		}
	})
}

// TestFaultyTablesOfNumbers: a wrong line is told by its place and without its number, and nothing is taken.
func TestFaultyTablesOfNumbers(t *testing.T) {
	for text, rule := range map[string]string{
		"9991*":                               "numbers.form",
		"9991*,":                              "numbers.form",
		"9991*,a,b":                           "numbers.form",
		"+9991*,a":                            "numbers.digits",
		"0991*,a":                             "numbers.digits",
		"*,a":                                 "numbers.digits",
		"9991234567890123,a":                  "numbers.digits",
		"9991,a":                              "numbers.short",
		"9991*,a\n9991*,b":                    "numbers.twice",
		"9991000000001,a\n\n9991000000001, a": "numbers.twice",
	} {
		n, err := ReadNumbers(strings.NewReader(text))
		var refused *warning.Error
		if !errors.As(err, &refused) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		vs := refused.Violations
		if n != nil || len(vs) != 1 || vs[0].Rule != rule || !strings.HasPrefix(vs[0].Field, "line ") {
			t.Errorf("%q: %v", text, err)
		}
		if strings.Contains(err.Error(), "9991000") {
			t.Errorf("%q: the error names a number: %v", text, err)
		}
	}
}

func FuzzReadNumbers(f *testing.F) {
	f.Add("9991*,mobile\n9991000000001,unicom\n")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ReadNumbers(strings.NewReader(text))
		if (n == nil) != (err != nil) {
			t.Fatalf("table %v with error %v", n != nil, err)
		}
		if n != nil {
			(&routing{numbers: n, accounts: []AccountOptions{carrierAccount("a", "mobile", "9")}}).router(warning.SMS, warning.Exercise).route(9991000000001)
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	var lines []string
	for i := range 10_000 {
		lines = append(lines, fmt.Sprintf("999%05d*,%c", i, 'a'+i%3))
	}
	for i := range 200_000 {
		lines = append(lines, fmt.Sprintf("9991%09d,%c", 7*i, 'a'+i%3))
	}
	g := &routing{numbers: numbersOf(b, lines...), accounts: []AccountOptions{carrierAccount("a", "a"), carrierAccount("b", "b"), carrierAccount("c", "c")}}
	r := g.router(warning.SMS, warning.Exercise)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n += 7919
		r.route(9991000000000 + n%1_000_000)
	}
}
