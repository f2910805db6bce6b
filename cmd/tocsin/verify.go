package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/geofence"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

func newVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Judge from the carriers' logs alone who got what; exits 1 when anything is wrong", Args: upTo(0),
		Example: `  tocsin get 01J… -o json > warning.json
  tocsin verify --directory people.csv --warning warning.json --log mobile=mobile.jsonl@1500 --log unicom=unicom.jsonl@1500`,
	}
	in := verify.Input{}
	var logs []string
	edition := ""
	c.Flags().StringVar(&in.Directory, "directory", "", "CSV file of the people, as it was imported")
	c.Flags().StringVar(&in.Warnings, "warning", "", "JSON file of the warnings, as get or list answers them")
	c.Flags().StringArrayVar(&logs, "log", nil, "ACCOUNT=FILE or ACCOUNT=FILE@CONTRACT in messages/s; may be repeated")
	c.Flags().Int64Var(&in.AllowedRepeats, "allowed-repeats", 0, "messages beyond what was wanted that are no fault, after a crash; -1: any number")
	c.Flags().StringVar(&edition, "edition", geofence.EditionAt(time.Time{}).ID, "edition of the districts")
	within := c.Flags().Duration("within", 6*time.Hour, "for how long a place where somebody was seen counts: policy.presence")
	both := c.Flags().StringSlice("both", []string{"red"}, "tiers that take home and place")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if in.Outlines = geofence.RawOutlines(edition); in.Outlines == nil {
			return usage(fmt.Errorf("--edition %q: there is no such edition", edition))
		}
		in.Presence = &verify.Presence{Within: *within}
		for _, tier := range *both {
			in.Presence.Both = append(in.Presence.Both, pb.Tier(pb.Tier_value["TIER_"+strings.ToUpper(tier)]))
		}
		if in.Accounts, err = accountsIn(logs); err != nil {
			return err
		}
		v, err := verify.Run(in)
		if err != nil {
			return err
		}
		lines := append([]string{
			fmt.Sprintf("expected %d, got %d, refused %d, stopped %d, lost %d", v.Expected, v.Got, v.Refused, v.Stopped, v.Lost),
			fmt.Sprintf("doubled %d, wrong person %d, wrong text %d, before approval %d, after expiry %d, after stop %d",
				v.Doubled, v.WrongPerson, v.WrongText, v.BeforeApproval, v.AfterExpiry, v.AfterStop),
		}, v.Faults...)
		if err := out.put(c, v, lines...); err != nil {
			return err
		}
		if !v.OK {
			return errBadVerdict
		}
		return nil
	}
	return c
}

// accountsIn reads ACCOUNT=FILE@CONTRACT; several files of one account are one contract.
func accountsIn(logs []string) ([]verify.Account, error) {
	var out []verify.Account
	at := map[string]int{}
	for _, s := range logs {
		name, file, ok := strings.Cut(s, "=")
		file, contract, limited := strings.Cut(file, "@")
		rate := 0.0
		if limited {
			var err error
			if rate, err = strconv.ParseFloat(contract, 64); err != nil || rate <= 0 {
				return nil, usage(fmt.Errorf("--log %q: %q is no number of messages a second", s, contract))
			}
		}
		if !ok || name == "" || file == "" {
			return nil, usage(fmt.Errorf("--log %q: say ACCOUNT=FILE or ACCOUNT=FILE@CONTRACT", s))
		}
		i, known := at[name]
		if !known {
			i, at[name] = len(out), len(out)
			out = append(out, verify.Account{Name: name})
		}
		out[i].Logs = append(out[i].Logs, file)
		out[i].MessagesPerS = max(out[i].MessagesPerS, rate)
	}
	return out, nil
}
