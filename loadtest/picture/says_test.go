package picture

import (
	"strings"
	"testing"
	"time"

	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// TestAPictureSaysNoMoreThanWasJudged: its line under the title is the verdict, with what it leaves open.
func TestAPictureSaysNoMoreThanWasJudged(t *testing.T) {
	contract := []verify.AccountVerdict{{ContractPerS: 10}}
	repeats := verify.Sums{ExtraMessages: 4}
	for name, c := range map[string]struct {
		v           verify.Verdict
		says, never string
	}{
		"all is well":        {verify.Verdict{OK: true, Accounts: contract}, "nobody lost, nobody twice, no contract broken", "not judged"},
		"allowed repeats":    {verify.Verdict{OK: true, Accounts: contract, Sums: repeats}, "4 messages repeated", "nobody twice"},
		"a contract unknown": {verify.Verdict{OK: true, Accounts: append(contract, verify.AccountVerdict{})}, "nobody lost", "contract"},
		"a channel unknown":  {verify.Verdict{OK: true, Accounts: contract, NotJudged: []string{"x"}}, "some channels not judged", ""},
		"faults":             {verify.Verdict{Faults: []string{"3 people lost"}}, "3 people lost", "agree"},
	} {
		if got := summary(&c.v); !strings.Contains(got, c.says) || c.never != "" && strings.Contains(got, c.never) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTheLegendSaysWhatEndedAWarning: nobody is spared by an end of validity.
func TestTheLegendSaysWhatEndedAWarning(t *testing.T) {
	at := time.Unix(0, 0)
	part := verify.LaneSums{Expected: 5, Got: 2, Stopped: 3}
	for _, c := range []struct {
		state pb.State
		lane  int
		sums  verify.LaneSums
		first *time.Time
		want  string
	}{
		{pb.State_STATE_COMPLETED, 0, verify.LaneSums{Expected: 5, Got: 5}, &at, "5 of 5 people, first at a carrier 7 ms after the release"},
		{pb.State_STATE_COMPLETED, 1, verify.LaneSums{Expected: 5, Got: 5}, &at, "5 of 5 people, first at a carrier 7 ms after the release"},
		{pb.State_STATE_RELEASED, 0, verify.LaneSums{Expected: 5, Lost: 5}, nil, "0 of 5 people, nothing came to a carrier"},
		{pb.State_STATE_CANCELLED, 0, part, &at, "2 people had it, 3 were spared by the stop"},
		{pb.State_STATE_EXPIRED, 0, part, &at, "2 of 5 people until it was expired"},
		{pb.State_STATE_REPLACED, 0, part, &at, "2 of 5 people until it was replaced"},
	} {
		w := verify.WarningVerdict{Warnings: []string{"W"}, FirstAt: c.first, TimeToFirstMS: 7}
		w.Lanes[c.lane].LaneSums = c.sums
		got := (&night{}).outcome(&drawn{Warning: &pb.Warning{Id: "W", State: c.state}}, &verify.Verdict{Warnings: []verify.WarningVerdict{w}})
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.state, got, c.want)
		}
	}
}
