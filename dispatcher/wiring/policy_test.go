package wiring

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tocsin/dispatcher/config"
	"tocsin/warning"
)

// shipped is the configuration of a house that decided nothing of its own.
func shipped(t *testing.T) *config.Config {
	t.Helper()
	t.Setenv("TOCSIN_TEST", "secret")
	file := filepath.Join(t.TempDir(), ConfigFile)
	write(t, file, `realm: test
node: n1
data: ./data
listen: 127.0.0.1:0
tls: {certificate: ./server.pem, key: ./server.key}
keys: {data: ./data.key, seal: ./seal.key}
words: {hotline: "9990000001"}
accounts:
  - {name: mobile, protocol: smpp, address: "127.0.0.1:1", links: 2, window: 10, system_id: tocsin, password_env: TOCSIN_TEST, source: "106900000000", rate: 1500, channels: [sms], prefixes: ["999"], kind: simulated}
`)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestShippedPolicy is the table that an installation starts with, by day and by night.
func TestShippedPolicy(t *testing.T) {
	p, s := policyOf(shipped(t)), warning.Spec{}
	for _, c := range []struct {
		tiers      []warning.Tier
		duty       warning.Duty
		day, night string
	}{
		{[]warning.Tier{warning.Red, warning.Orange}, warning.Responsible, "[{0s [flash_sms sms]}]", "[{0s [flash_sms sms]}]"},
		{[]warning.Tier{warning.Red, warning.Orange}, warning.Public, "[{0s [sms push broadcast cable_tv]}]", "[{0s [sms push broadcast cable_tv]}]"},
		{[]warning.Tier{warning.Yellow}, warning.Responsible, "[{0s [sms]}]", "[{0s [sms]}]"},
		{[]warning.Tier{warning.Yellow}, warning.Public, "[{0s [push]}]", "[{0s [feed]}]"},
		{[]warning.Tier{warning.Blue, warning.Notice}, warning.Responsible, "[{0s [push feed]}]", "[{0s [push feed]}]"},
		{[]warning.Tier{warning.Blue, warning.Notice}, warning.Public, "[{0s [push feed]}]", "[{0s [feed]}]"},
	} {
		for _, tier := range c.tiers {
			for minute := range 24 * 60 {
				want := c.day
				if minute >= 22*60 || minute < 7*60 {
					want = c.night
				}
				at := time.Date(2026, 6, 13, 0, minute, 0, 0, warning.China)
				s.Tier, s.Table = tier, p.TableFor(tier, func(warning.Channel) bool { return true })
				if got := fmt.Sprint(s.Steps(c.duty, at)); got != want {
					t.Fatalf("%s, %s, %s: %s, want %s", tier, c.duty, at.Format("15:04"), got, want)
				}
			}
		}
	}
	for _, tier := range warning.Tiers {
		s := warning.Spec{Tier: tier, Status: warning.Actual, Type: warning.Alert}
		people, typed := p.ApprovalsFor(&s, 0.01)
		want := 1
		if tier == warning.Notice {
			want = 0
		}
		if people != want || typed {
			t.Errorf("%s needs %d", tier, people)
		}
	}
	if p.MayDrill("li.wei", warning.PublicDrill) == nil {
		t.Error("somebody may drill with real people before anybody said so")
	}
}

// TestWordsFromFields makes official words from a spec that has codes of units alone.
func TestWordsFromFields(t *testing.T) {
	d := deskOf(&shipped(t).Words)
	now := time.Date(2026, 6, 13, 20, 0, 0, 0, warning.China)
	s := warning.Spec{
		Event: "11B03", Tier: warning.Red, Status: warning.Exercise, Type: warning.Alert, Expires: now.Add(6 * time.Hour),
		Areas: []warning.Area{{Unit: "500101"}, {Unit: "500240"}}, Issuers: []string{"重庆市气象台"}, Channels: []warning.Channel{warning.SMS},
	}
	got, err := s.WithPreparedWords(nil, d, now)
	if err != nil {
		t.Fatal(err)
	}
	want := "重庆市气象台6月13日20时00分发布暴雨红色预警：万州区、石柱土家族自治县，有效至6月14日2时00分。停止户外活动，远离河道、低洼地带和危岩陡坡，服从转移安排。咨询电话9990000001。"
	if text := got.TextFor(warning.Alert, warning.SMS, "zh-CN"); text != want {
		t.Error(text)
	}
	if text := got.TextFor(warning.Alert, warning.SMS, "en"); text == "" || text == want {
		t.Error(text)
	}
	if err := got.Validate(now); err != nil {
		t.Error(err)
	}
	if found := got.Contacts(d); len(found) > 0 {
		t.Error(found)
	}
	if len(got.Words) != 6 || !slices.ContainsFunc(got.Words, func(w warning.Words) bool { return w.Kind == warning.Cancel && w.Language == "en" }) {
		t.Errorf("%d texts", len(got.Words))
	}
}
