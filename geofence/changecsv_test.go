package geofence

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/warning"
)

// TestDegreesInWholeNumbers: the fast way to read degrees says what the slow one says, or leaves it to that.
func TestDegreesInWholeNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{0,4}\.?[0-9]{0,8}`), rapid.StringMatching(`-?[0-9.e+-]{0,9}`),
			rapid.SampledFrom([]string{"180", "-180", "180.0000000", "180.0000001", "-0", "+1", ".", "-", "1.", ".5", "00000000001"}),
		).Draw(t, "text")
		v, ok := parseFixed(text)
		if !ok {
			return
		}
		f, err := strconv.ParseFloat(text, 64)
		want, is := E7(f)
		if err != nil || !is || v != want {
			t.Fatalf("%q is %d, by the slow way %d, %t, %v", text, v, want, is, err)
		}
	})
	if _, ok := parseFixed("106.5516253"); !ok {
		t.Error("the usual form is left to the slow way")
	}
}

func FuzzReadChanges(f *testing.F) {
	f.Add([]byte("999100000001,put,,106.5,29.5,500103,en,public\n999100000002,erase,,,,,,\n1,put\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		changes, bad, err := ReadChanges(bytes.NewReader(append([]byte(ChangeHeader+"\n"), b...)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Number == 0 || c.Deed < 1 || int(c.Deed) >= len(deeds) {
				t.Errorf("%+v", c)
			}
		}
		for _, r := range bad {
			if r.Rule == "" || r.Detail == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestReadChanges(t *testing.T) {
	text := ChangeHeader + "\r\n999100000001,put,999100000002,106.5,-29.5,500103,en,responsible\n999100000003,put,,,,,,\n999100000004,unsubscribe,,,,,,\n" +
		"999100000005,resubscribe,,,,,,\n999100000006,erase,,,,,,\n" + // and faulty ones
		",erase,,,,,,\nx,erase,,,,,,\n1,burn,,,,,,\n1,erase,2,,,,,\n1,put,x,,,,,\n1,put,,x,,,,\n1,put,,,,x,,\n1,put,,,,,fr,\n1,put,,,,,,boss\n1,put\n\n" + strings.Repeat("1", maxLine+1)
	changes, bad, err := ReadChanges(strings.NewReader(text))
	if err != nil || len(changes) != 5 || len(bad) != 12 {
		t.Fatalf("%d changes, %d bad: %v", len(changes), len(bad), err)
	}
	c := changes[0]
	if c.Number != 999100000001 || c.NewNumber != 999100000002 || *c.Lon != 1065000000 || *c.Lat != -295000000 || *c.Home != 500103 || *c.Language != 1 || *c.Duty != 1 {
		t.Errorf("%+v", c)
	}
	if c := changes[1]; c.Deed != warning.DeedPut || c.Lon != nil || c.Home != nil || c.Language != nil || c.Duty != nil || c.NewNumber != 0 {
		t.Errorf("%+v", c)
	}
	for i, deed := range []warning.Deed{warning.DeedUnsubscribe, warning.DeedResubscribe, warning.DeedErase} {
		if changes[2+i].Deed != deed || DeedName(deed) == "" {
			t.Errorf("%+v", changes[2+i])
		}
	}
	for i, b := range bad {
		if b.Row != 5+i {
			t.Errorf("bad row %d stands in row %d", i, b.Row)
		}
	}
	if _, _, err := ReadChanges(strings.NewReader(CSVHeader)); err == nil {
		t.Error("the header of a directory is taken")
	}
}
