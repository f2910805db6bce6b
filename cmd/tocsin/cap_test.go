package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/dispatcher/wiring"
	pb "tocsin/proto/tocsin/v1"
)

const samples = "../../warning/cap/testdata/"

func TestCAPCheckSaysEveryFaultWithItsLine(t *testing.T) {
	valid, invalid := samples+"valid/google-canada.xml", samples+"invalid/google-invalid.xml"
	if code, out, _ := run(t, "cap", "check", valid); code != 0 || out != valid+": valid\n" {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := run(t, "cap", "check", invalid); code != exitFailed || out != invalid+":2: alert.scope: the element is missing (add it; it is required) [cap.missing]\n" {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := run(t, "cap", "check", samples+"invalid/google-xee.xml"); code != exitFailed || !strings.Contains(out, "[cap.dtd]") {
		t.Errorf("exit %d, %q", code, out)
	}
	code, out, _ := run(t, "cap", "check", valid, "--max-bytes", "100", "-o", "json")
	var v wiring.CAPVerdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitFailed || v.Valid || len(v.Faults) != 1 || v.Faults[0].Rule != "cap.size" {
		t.Errorf("exit %d, %q, %v", code, out, err)
	}
}

func TestFlagsWinOverACAPFile(t *testing.T) {
	code, out, _ := run(t, "cap", "table")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	table := filepath.Join(t.TempDir(), "table.json")
	if err := os.WriteFile(table, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2010, 8, 31, 6, 0, 0, 0, time.UTC)
	s := specFlags{
		file: samples + "valid/google-earthquake.xml", capTable: table, tier: "red", status: "exercise", areas: []string{"万州"},
		text: "地震", lasts: time.Hour, issuers: []string{"地震局"},
	}
	w, err := s.spec(now)
	if err != nil {
		t.Fatal(err)
	}
	if w.GetTier() != pb.Tier_TIER_RED || w.GetStatus() != pb.Status_STATUS_EXERCISE || len(w.GetAreas()) != 1 || w.GetAreas()[0].GetUnit() != "500101" ||
		len(w.GetWords()) != 1 || len(w.GetIssuers()) != 1 || !w.GetExpires().AsTime().Equal(now.Add(time.Hour)) || w.GetEvent() != "11C02" {
		t.Errorf("got %v", w)
	}
}
