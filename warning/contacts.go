package warning

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// CheckContacts finds the links and phone numbers of a text and refuses those that are not verified: a warning that
// carries a stranger's number sends a whole city there. An entry of verified is a number in any notation, a host (all its
// pages are admitted) or a link (this page alone). A number counts as one to call where words such as 电话 or "call" lead
// to it, where it is an emergency number, and where it has five digits or more and is no date, time or amount with its
// unit. The violations have no field; the caller knows whose text it is.
func CheckContacts(text string, verified []string) (found []Violation) {
	text = links.ReplaceAllStringFunc(narrow(text), func(link string) string {
		if !slices.ContainsFunc(verified, func(v string) bool { return admits(v, link) }) {
			found = append(found, Violation{
				Rule: "words.link", Detail: fmt.Sprintf("%.80q is a link and not verified", link),
				Remedy: "take it out, put a space behind a full stop, or have an engineer add it to words.verified",
			})
		}
		return " "
	})
	for _, n := range numbersToCall(text) {
		if !slices.ContainsFunc(verified, func(v string) bool { return digits(v) == digits(n) && !links.MatchString(v) }) {
			found = append(found, Violation{
				Rule: "words.number", Detail: fmt.Sprintf("%q reads as a number to call and is not verified", n),
				Remedy: "take it out, say its unit (毫米, 人, mm, people), or have an engineer add it to words.verified",
			})
		}
	}
	return found
}

// Contacts is CheckContacts of all words of s, with their fields.
func (s Spec) Contacts(d Desk) (found []Violation) {
	for i, w := range s.Words {
		for _, v := range CheckContacts(w.Text, d.contacts()) {
			v.Field = fmt.Sprintf("warning.words[%d].text", i)
			found = append(found, v)
		}
	}
	return found
}

// links is what a phone makes touchable: a scheme, an address, or labels joined by dots with letters at the end. Letters
// of other scripts count, because they are used to look like Latin ones.
var links = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[!-~]*[a-z0-9/]` +
	`|\b(?:mailto|tel|sms):[!-~]*[a-z0-9]` +
	`|(?:[\p{Latin}\p{Cyrillic}\p{Greek}0-9_-]+@)?(?:(?:[\p{Latin}\p{Cyrillic}\p{Greek}0-9_-]+\.)+[\p{Latin}\p{Cyrillic}\p{Greek}]{2,}|\p{Han}+\.[a-z]{2,}|[\p{Han}a-z0-9-]+\.(?:中国|公司|网络|网址|政务|公益))(?::\d+)?(?:/[!-~]*[a-z0-9/])?`)

// admits tells whether an entry of the verified list stands for the link.
func admits(entry, link string) bool {
	plain := func(s string) string {
		s = strings.TrimSuffix(strings.ToLower(s), "/")
		if _, bare, ok := strings.Cut(s, "://"); ok {
			return bare
		}
		return s
	}
	entry, link = plain(entry), plain(link)
	host, _, _ := strings.Cut(link, "/")
	return entry == link || entry == host // an entry with a path is never a host
}

var (
	clock  = regexp.MustCompile(`\b(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?\b`)
	commas = regexp.MustCompile(`\b\d{1,3}(?:,\d{3})+\b`)
	// A number as people write it: groups of digits with little between them.
	grouped = regexp.MustCompile(`[+(]{0,2}\d+(?:[-‐–—./ ()]{1,3}\d+)*`)
	date    = regexp.MustCompile(`^(?:(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])[./](?:0?[1-9]|1[0-2])[./](?:19|20)\d\d|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$`)
	cue     = regexp.MustCompile(`(?i)(?:电话|手机|致电|拨打|拨|热线|咨询|联系|呼叫|号码|微信|\b(?:whatsapp|tel|telephone|phone|call|dial|hotline|helpline|tip ?line))[\s:,.(请为是：]*(?:(?:us|now|at|on|the|number|police|is)\s+)*$`)
	unit    = regexp.MustCompile(`(?i)^ ?(?:年|月|日|号|时|点|分|秒|小时|天|周|毫米|厘米|米|千米|公里|平方|立方|亩|公顷|度|℃|°|%|‰|级|人|名|户|万|千|亿|余|多|个|条|次|起|座|处|家|元|吨|公斤|百帕|期|(?:mm|cm|m|km|km/h|m/s|h|hours?|min|minutes?|s|seconds?|days?|weeks?|people|persons?|residents?|households?|homes?|houses?|districts?|towns?|villages?|degrees?|percent|hpa|ha|hectares?|tonnes?|met(?:re|er)s?|kilomet(?:re|er)s?|millimet(?:re|er)s?|feet|miles?|square|cubic)\b)`)
)

// cueReach is how many bytes before a number a cue is looked for, so that a long text takes no longer for each number.
const cueReach = 64

// emergency is the short numbers that everybody knows; what calls them out of turn hurts others.
var emergency = []string{"110", "112", "119", "120", "122", "911", "999"}

// numbersToCall is every number of a narrow text that reads as one to call.
func numbersToCall(text string) (found []string) {
	text = clock.ReplaceAllString(text, " ; ")
	text = commas.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, ",", "") })
	for _, at := range grouped.FindAllStringIndex(text, -1) {
		whole := text[at[0]:at[1]]
		pieces := strings.Fields(whole)
		if len(digits(whole)) >= 7 && !slices.ContainsFunc(pieces, func(p string) bool { return len(digits(p)) < 2 }) {
			pieces = []string{whole} // 06 1234 5678 is one number; 2026 12 districts is none
		}
		before := text[max(0, at[0]-cueReach):at[0]]
		for i, n := range pieces {
			after := " "
			if i == len(pieces)-1 {
				after = text[at[1]:]
			}
			if toCall(before, n, after) {
				found = append(found, n)
			}
			before = " "
		}
	}
	return found
}

func toCall(before, n, after string) bool {
	d := digits(n)
	amount := unit.MatchString(after) && strings.IndexAny(n, "+(") != 0 && !(len(d) > 4 && n[0] == '0')
	switch {
	case len(d) >= 3 && cue.MatchString(before):
		return true
	case slices.Contains(emergency, d):
		road := before != "" && unicode.IsLetter(rune(before[len(before)-1])) && before[len(before)-1] < unicode.MaxASCII
		return !amount && !road
	}
	return len(d) >= 5 && !amount && !date.MatchString(n)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// narrow turns full-width characters and Chinese digits that are read one by one (一一〇) into ASCII, and takes away what
// nobody sees between them.
func narrow(s string) string {
	runes := slices.DeleteFunc([]rune(s), func(r rune) bool { return unicode.Is(unicode.Cf, r) })
	for i, r := range runes {
		if r >= '\uFF01' && r <= '\uFF5E' {
			runes[i] = r - 0xFEE0
		}
	}
	for i := 0; i < len(runes); i++ {
		n := 0
		for i+n < len(runes) && strings.ContainsRune(spoken, runes[i+n]) {
			n++
		}
		if n < 3 {
			i += max(0, n-1)
			continue
		}
		for ; n > 0; n, i = n-1, i+1 {
			runes[i] = '0' + rune(slices.Index([]rune(spoken), runes[i])%10)
		}
	}
	return string(runes)
}

// spoken is the digits 0 to 9 as they are read one by one, and again with the forms of 0 and 1 that are used in numbers.
const spoken = "〇一二三四五六七八九零幺"
