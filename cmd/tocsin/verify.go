package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/dispatcher/wiring"
	"tocsin/geofence"
	"tocsin/loadtest/picture"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

func newVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Judge from the carriers' logs alone who got what; exits 1 when anything is wrong", Args: upTo(0),
		Example: `  tocsin get 01J… -o json > warning.json
  tocsin verify --directory people.csv --warning warning.json --log mobile=mobile.jsonl@1500 --log unicom=unicom.jsonl@1500
  tocsin list --calls -o json > all.json   # where people on duty were rung over the same carriers`,
	}
	in := verify.Input{}
	var logs []string
	var broadcasts, pushes []string
	var again map[string]int
	edition, drawn := "", ""
	var imported []string
	c.Flags().StringVar(&in.Directory, "directory", "", "CSV file of the people, as it was imported")
	c.Flags().StringVar(&in.Warnings, "warning", "", "JSON file of the warnings, as get or list answers them")
	c.Flags().StringArrayVar(&logs, "log", nil, "ACCOUNT=FILE or ACCOUNT=FILE@CONTRACT in messages/s; may be repeated")
	c.Flags().Int64Var(&in.AllowedRepeats, "allowed-repeats", 0, "messages beyond what was wanted that are no fault, after a crash; -1: any number")
	c.Flags().StringVar(&edition, "edition", geofence.EditionAt(time.Time{}).ID, "edition of the districts")
	c.Flags().StringArrayVar(&imported, "outlines", nil, "PERIOD=FILE@SYSTEM as it was imported with `tocsin area import`, of outlines that warnings name; may be repeated")
	c.Flags().StringVar(&in.Positions, "positions", "", "CSV file of where people were seen: at,number,lon,lat, at as 2026-06-13T18:00:00+08:00")
	within := c.Flags().Duration("within", 6*time.Hour, "for how long a place where somebody was seen counts: policy.presence")
	both := c.Flags().StringSlice("both", []string{"red"}, "tiers that take home and place")
	c.Flags().StringArrayVar(&broadcasts, "broadcast-log", nil, "PLATFORM=FILE of an emergency broadcast platform; may be repeated")
	c.Flags().StringArrayVar(&pushes, "push-log", nil, "PLATFORM=FILE of a broker of an app; may be repeated")
	var tests []string
	c.Flags().StringArrayVar(&tests, "test-number", nil, "number that link tests go to: accounts.test.number; may be repeated")
	c.Flags().StringToIntVar(&again, "again", nil, "ID/CHANNEL=TIMES that a commander asked to play a warning again before it ended, e.g. 01J…/broadcast=2")
	c.Flags().StringVar(&drawn, "picture", "", "PNG file for a picture of who was reached where and when")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if in.Directory == "" || in.Warnings == "" {
			return usage(errors.New("say the people with --directory and the warnings with --warning: see `tocsin verify --help`"))
		}
		if in.Outlines = geofence.RawOutlines(edition); in.Outlines == nil {
			return usage(fmt.Errorf("--edition %q: there is no such edition", edition))
		}
		if in.Editions, err = editionsIn(imported); err != nil {
			return err
		}
		in.Presence = &verify.Presence{Within: *within}
		for _, name := range *both {
			tier := wiring.TierNamed(name)
			if tier == pb.Tier_TIER_UNSPECIFIED {
				return usage(fmt.Errorf("--both %q: say red, orange, yellow, blue or notice", name))
			}
			in.Presence.Both = append(in.Presence.Both, tier)
		}
		if in.Accounts, err = accountsIn(logs); err != nil {
			return err
		}
		if in.Areas, err = areaLogs(broadcasts, pushes); err != nil {
			return err
		}
		for of, times := range again {
			if times < 0 {
				return usage(fmt.Errorf("--again %s=%d: say how many times", of, times))
			}
		}
		in.Again = again
		for _, s := range tests {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return usage(fmt.Errorf("--test-number %q: say the digits with the country code, without plus", s))
			}
			in.TestNumbers = append(in.TestNumbers, n)
		}
		v, err := picture.Of(in, drawn)
		if err != nil {
			return err
		}
		lines := v.Lines()
		if drawn != "" {
			lines = append(lines, "picture: "+drawn)
		}
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

// editionsIn reads PERIOD=FILE@SYSTEM. The id of an edition names its content, so that no other file passes for it.
func editionsIn(list []string) (map[string]verify.Edition, error) {
	out := map[string]verify.Edition{}
	for _, s := range list {
		period, file, ok := strings.Cut(s, "=")
		at := strings.LastIndexByte(file, '@')
		if !ok || at < 0 || !geofence.IsCRS(file[at+1:]) {
			return nil, usage(fmt.Errorf("--outlines %q: say PERIOD=FILE@SYSTEM, the system wgs84, gcj02, bd09 or cgcs2000", s))
		}
		b, err := os.ReadFile(file[:at])
		if err != nil {
			return nil, usage(err)
		}
		o, _, err := geofence.Survey(period, b, file[at+1:], nil)
		if err != nil {
			return nil, fmt.Errorf("--outlines %q: %w", s, err)
		}
		out[o.ID] = verify.Edition{GeoJSON: b, CRS: file[at+1:]}
	}
	return out, nil
}

// areaLogs reads PLATFORM=FILE of both kinds.
func areaLogs(broadcasts, pushes []string) (out []verify.AreaLog, err error) {
	for _, kind := range []struct {
		flag    string
		channel pb.Channel
		logs    []string
	}{{"broadcast-log", pb.Channel_CHANNEL_BROADCAST, broadcasts}, {"push-log", pb.Channel_CHANNEL_PUSH, pushes}} {
		for _, s := range kind.logs {
			name, file, ok := strings.Cut(s, "=")
			if !ok || name == "" || file == "" {
				return nil, usage(fmt.Errorf("--%s %q: say PLATFORM=FILE", kind.flag, s))
			}
			out = append(out, verify.AreaLog{Name: name, Channel: kind.channel, Path: file})
		}
	}
	return out, nil
}

// accountsIn reads ACCOUNT=FILE@CONTRACT; several files of one account are one contract.
func accountsIn(logs []string) ([]verify.Account, error) {
	var out []verify.Account
	at := map[string]int{}
	for _, s := range logs {
		name, file, ok := strings.Cut(s, "=")
		rate := 0.0
		if at := strings.LastIndexByte(file, '@'); at >= 0 && !isFile(file) {
			var err error
			if rate, err = strconv.ParseFloat(file[at+1:], 64); err != nil || !(rate > 0) || math.IsInf(rate, 0) {
				return nil, usage(fmt.Errorf("--log %q: %q is no number of messages a second", s, file[at+1:]))
			}
			file = file[:at]
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
		if known := out[i].MessagesPerS; known > 0 && rate > 0 && known != rate {
			return nil, usage(fmt.Errorf("--log %q: account %s has a contract of %g messages a second already: the files of an account are one contract", s, name, known))
		}
		out[i].MessagesPerS = max(out[i].MessagesPerS, rate)
	}
	return out, nil
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
