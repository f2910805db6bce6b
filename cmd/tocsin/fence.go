package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tocsin/geofence"
	"tocsin/geofence/picture"
)

func newFence() *cobra.Command {
	return group("fence", "Look at areas, without an engine", newFenceCheck(), newFenceLocate(), newFenceConvert(), newFenceShow())
}

var (
	errBadFence = errors.New("the area is not sound")
	errBadLines = errors.New("some lines were no positions")
)

const fenceFile = "GeoJSON (a geometry, feature or collection, RFC 7946), or a POLYGON or MULTIPOLYGON in well-known text; - is the standard input"

func newFenceCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Say whether an area is sound: exits 0, 1 with why and where, or 2 when it cannot be read", Args: exactly(1),
		Long: "FILE holds " + fenceFile + ".", Example: "  tocsin fence check valley.geojson\n  tocsin fence check --crs gcj02 drawn.wkt",
	}
	crs := crsFlag(c, "crs")
	out := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		b, err := textIn(c, args[0])
		if err != nil {
			return usage(err)
		}
		v, err := geofence.Inspect(b, *crs, geofence.DefaultLimits())
		if err != nil {
			return usage(err)
		}
		if err := out.put(c, v, v.Lines()...); err != nil {
			return err
		}
		switch {
		case v.Unreadable:
			return usage(fmt.Errorf("%s cannot be read as GeoJSON or well-known text", args[0]))
		case !v.Valid:
			return errBadFence
		}
		return nil
	}
	return c
}

func crsFlag(c *cobra.Command, name string) *string {
	return c.Flags().String(name, "wgs84", "coordinate system of the file: wgs84, gcj02, bd09 or cgcs2000")
}

func textIn(c *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(c.InOrStdin())
	}
	return os.ReadFile(path)
}

// complain tells of lines that are no positions, and remembers that there were any.
func complain(c *cobra.Command, some *bool) func(line int, why string) {
	return func(line int, why string) {
		*some = true
		fmt.Fprintf(c.ErrOrStderr(), "line %d: %s\n", line, why)
	}
}

func newFenceLocate() *cobra.Command {
	c := &cobra.Command{
		Use: "locate", Short: "Read lon,lat lines and write district,township for each: codes, empty where there is none", Args: upTo(0),
		Long: "Positions are WGS-84 degrees, longitude first. Lines that are none are answered as nowhere and named; the exit code is then 1.\n" +
			"Without --as-of the districts are those of the newest edition that is surveyed.",
		Example: "  echo 106.5592,29.5596 | tocsin fence locate\n  tocsin fence locate --as-of 2025-11-05 --areas townships.geojson < positions.csv",
	}
	asOf := asOfFlag(c)
	areas := c.Flags().String("areas", "", "GeoJSON FeatureCollection of townships, each with a code")
	crs := crsFlag(c, "areas-crs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		day, err := asOf.day()
		if err != nil {
			return err
		}
		var townships *geofence.Layer
		if *areas != "" {
			b, err := os.ReadFile(*areas)
			if err != nil {
				return err
			}
			if townships, err = geofence.ReadLayer(b, *crs); err != nil {
				return fmt.Errorf("%s: %w", *areas, err)
			}
		}
		wrong := false
		if err := geofence.LocateLines(c.InOrStdin(), c.OutOrStdout(), day, townships, complain(c, &wrong)); err != nil {
			return err
		}
		if wrong {
			return errBadLines
		}
		return nil
	}
	return c
}

// dayFlag is --as-of.
type dayFlag struct{ text *string }

func asOfFlag(c *cobra.Command) dayFlag {
	return dayFlag{c.Flags().String("as-of", "", "day of the districts, as 2025-11-05")}
}

// day is zero where none was said.
func (d dayFlag) day() (time.Time, error) {
	if *d.text == "" {
		return time.Time{}, nil
	}
	t, err := geofence.Day(*d.text)
	if err != nil {
		return t, usage(fmt.Errorf("--as-of %q is no day: say it as 2025-11-05", *d.text))
	}
	return t, nil
}

func newFenceConvert() *cobra.Command {
	c := &cobra.Command{
		Use: "convert --from SYSTEM --to SYSTEM", Short: "Read lon,lat lines and write them in another coordinate system", Args: upTo(0),
		Long:    "The systems are wgs84, gcj02 (public web maps in China), bd09 (Baidu) and cgcs2000. Lines that are no positions are answered by an empty line and named; the exit code is then 1.",
		Example: "  echo 106.5553,29.5602 | tocsin fence convert --from gcj02 --to wgs84",
	}
	from := c.Flags().String("from", "", "coordinate system of what is read")
	to := c.Flags().String("to", "", "coordinate system of what is written")
	c.RunE = func(c *cobra.Command, _ []string) error {
		for flag, crs := range map[string]string{"--from": *from, "--to": *to} {
			if !geofence.IsCRS(crs) {
				return usage(fmt.Errorf("%s %q: say wgs84, gcj02, bd09 or cgcs2000", flag, crs))
			}
		}
		wrong := false
		if err := geofence.ConvertLines(c.InOrStdin(), c.OutOrStdout(), *from, *to, complain(c, &wrong)); err != nil {
			return err
		}
		if wrong {
			return errBadLines
		}
		return nil
	}
	return c
}

func newFenceShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show AREA", Short: "Draw an area, the districts that it touches, and who lives in it", Args: exactly(1),
		Long:    "AREA is a district's name or code, or a file of " + fenceFile + ". People are those of --people; without it nobody is counted.",
		Example: "  tocsin fence show 万州 -o wanzhou.png\n  tocsin fence show valley.geojson --people people.csv -o valley.png",
	}
	path := c.Flags().StringP("out", "o", "", "PNG file to write")
	people := c.Flags().String("people", "", "directory as CSV, to count who lives in the area")
	crs, asOf := crsFlag(c, "crs"), asOfFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *path == "" {
			return usage(errors.New("say -o FILE.png"))
		}
		day, err := asOf.day()
		if err != nil {
			return err
		}
		title := filepath.Base(args[0])
		code, _, unknown := unit(args[0], day, nil)
		area := geofence.UnitArea(code, day)
		if unknown != nil {
			b, err := textIn(c, args[0])
			if err != nil {
				return usage(fmt.Errorf("%q is neither a district nor a file: %w", args[0], err))
			}
			if area, err = geofence.ReadArea(b, *crs); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
		}
		d, err := geofence.Draw(geofence.DefaultLimits(), area)
		if err != nil {
			return err
		}
		var inside map[uint32]int64
		if *people != "" {
			s, err := directoryIn(*people)
			if err != nil {
				return err
			}
			if inside, err = s.ByHome(area); err != nil {
				return err
			}
		}
		f, err := os.Create(*path)
		if err != nil {
			return err
		}
		return errors.Join(picture.WritePNG(f, d, title, inside), f.Close())
	}
	return c
}

// directoryIn reads a directory; rows that are not sound are left out.
func directoryIn(path string) (*geofence.Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all geofence.Columns
	if _, err := geofence.ReadCSV(f, func(c geofence.Columns) error { all.Append(c); return nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s, _ := geofence.Build(all)
	return s, nil
}
