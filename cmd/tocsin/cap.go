package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tocsin/dispatcher/wiring"
)

func newCAP() *cobra.Command {
	return group("cap", "Check messages of the Common Alerting Protocol, and show how they are read", newCAPCheck(), newCAPTable())
}

func newCAPCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Check a CAP message, without an engine; exits 1 when it is wrong, 2 when it cannot be read", Args: exactly(1),
		Example: "  tocsin cap check alert.xml\n  tocsin cap check alert.xml -o json",
	}
	limit := 1 << 20
	c.Flags().IntVar(&limit, "max-bytes", limit, "a larger file is refused")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		v, err := wiring.CheckCAP(args[0], limit)
		if err != nil {
			return usage(err)
		}
		lines := []string{}
		for _, f := range v.Faults {
			lines = append(lines, fmt.Sprintf("%s:%d: %s: %s (%s) [%s]", v.File, f.Line, f.Element, f.Found, f.Remedy, f.Rule))
		}
		if v.Valid {
			lines = append(lines, v.File+": valid")
		}
		if err := out.put(c, v, lines...); err != nil {
			return err
		}
		if !v.Valid {
			return errBadVerdict
		}
		return nil
	}
	return c
}

func newCAPTable() *cobra.Command {
	c := &cobra.Command{
		Use: "table", Short: "Print the table of severities, events and codes by which CAP messages are read", Args: upTo(0),
		Example: "  tocsin cap table > table.json\n  tocsin submit --file alert.xml --cap-table table.json",
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		_, err := c.OutOrStdout().Write(wiring.CAPTable())
		return err
	}
	return c
}
