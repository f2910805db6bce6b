package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/geofence"
)

func newArea() *cobra.Command {
	return group("area", "Find places by name, and look after the outlines of districts and towns", newAreaFind(), newAreaImport(), newAreaList())
}

func newAreaFind() *cobra.Command {
	c := &cobra.Command{
		Use: "find TEXT", Short: "Propose the districts and towns that a text names; needs no engine, and submits nothing", Args: exactly(1),
		Long: "Each name is shown with what it means, and at last the flags for `tocsin submit`. A name that means several, or that only\n" +
			"stands for a place without a code of its own or for one that has ended, is not among them: say which one is meant, or --as-of.",
		Example: "  tocsin area find '预计黔江、涪陵、万盛等地有暴雨'\n  tocsin area find 开州区/铁桥镇",
	}
	asOf, out := asOfFlag(c), outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		day, err := asOf.day()
		if err != nil {
			return err
		}
		if day.IsZero() {
			day = time.Now()
		}
		found := []geofence.Proposal{}
		if means := geofence.UnitsNamed(args[0], day); len(means) > 0 {
			found = append(found, geofence.Proposal{Text: args[0], Means: means})
		} else {
			found = append(found, geofence.UnitsIn(args[0], day)...)
		}
		var lines, flags []string
		for _, p := range found {
			for _, n := range p.Means {
				line := fmt.Sprintf("%s: %s %s", p.Text, n.Code, n.Name)
				if n.ByHome {
					line += " (by registered home, where no imported edition has its outline)"
				}
				if n.Unsurveyed {
					line += " (only where an imported edition has its outline)"
				}
				if n.AsOf != "" {
					line += " (it ended after " + n.AsOf + ": say --as-of " + n.AsOf + ", or draw the area)"
				}
				if n.Note != "" {
					line += " (" + n.Note + ")"
				}
				lines = append(lines, line)
			}
			if len(p.Means) == 1 && p.Means[0].Sure() {
				flags = append(flags, "--area "+p.Means[0].Code)
			}
		}
		if len(flags) > 0 {
			lines = append(lines, strings.Join(flags, " "))
		}
		if len(found) == 0 {
			return fmt.Errorf("%q names no district or town of this house", args[0])
		}
		return out.put(c, found, lines...)
	}
	return c
}
