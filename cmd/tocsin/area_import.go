package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"tocsin/dispatcher/wiring"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// editionChunk is how many bytes of a file go into one message.
const editionChunk = 256 << 10

func newAreaImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE --edition PERIOD --crs SYSTEM", Short: "Bring outlines of districts and towns, all of a file or none", Args: exactly(1),
		Long: "FILE is a GeoJSON FeatureCollection (RFC 7946). Each feature is a Polygon or MultiPolygon with its code in the property code9, code or\n" +
			"adcode, or in its id (six digits of a district, nine of a town, or twelve that end in 000), and its name in the property name.\n" +
			"PERIOD is the year, month or day from which they hold. Outlines that are not sound, lie over each other, leave a gap in a district\n" +
			"or reach out of it, and codes that are unknown or retired, are refused with their place; slivers of a survey are named and admitted.\n" +
			"Warnings that were submitted before keep the outlines that they had. A file of the same period takes the place of the last one.",
		Example: "  tocsin area import towns.geojson --edition 2025-11 --crs cgcs2000 --source 'civil affairs, 2025'\n  tocsin area import towns.geojson --edition 2025-11 --crs gcj02 --check",
	}
	k := calls(c).answers(c).changes(c)
	edition := c.Flags().String("edition", "", "period from which the outlines hold: 2025, 2025-11 or 2025-11-06")
	crs := c.Flags().String("crs", "", "coordinate system of the file: wgs84, gcj02, bd09 or cgcs2000; never assumed")
	source := c.Flags().String("source", "", "where the outlines come from, for people")
	check := c.Flags().Bool("check", false, "only say what is wrong; needs no engine")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *edition == "" || !geofence.IsCRS(*crs) {
			return usage(errors.New("say --edition, and --crs wgs84, gcj02, bd09 or cgcs2000"))
		}
		b, err := textIn(c, args[0])
		if err != nil {
			return usage(err)
		}
		if *check { // an engine judges by the outlines that it has
			sound, err := wiring.CheckEdition(*edition, *crs, *source, b, k.lang)
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), sound, k.language().EditionImported(sound, true)...)
		}
		return k.set(func(conn *grpc.ClientConn, key string) error {
			r, err := sendEdition(c.Context(), pb.NewDirectoryServiceClient(conn), &pb.ImportEditionRequest{Key: key, Edition: *edition, Crs: *crs, Source: *source}, b, c.ErrOrStderr())
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().EditionImported(r, false)...)
		})
	}
	return c
}

// sendEdition streams a file behind what is said of it.
func sendEdition(ctx context.Context, api pb.DirectoryServiceClient, next *pb.ImportEditionRequest, file []byte, say io.Writer) (*pb.ImportEditionResponse, error) {
	ctx, cancel := context.WithCancel(ctx) // a stream that is not ended is broken off, and changes nothing
	defer cancel()
	stream, err := api.ImportEdition(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(say, "sending %.1f MB\n", float64(len(file))/1e6)
	for chunk := range slices.Chunk(file, editionChunk) {
		next.Chunk = bytes.Clone(chunk)
		if err := stream.Send(next); err != nil && !errors.Is(err, io.EOF) { // io.EOF: the engine has ended the stream; its answer says why
			return nil, err
		} else if err != nil {
			break
		}
		next = &pb.ImportEditionRequest{}
	}
	return stream.CloseAndRecv()
}

func newAreaList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the editions of outlines in force, or the units of one", Args: upTo(0),
		Example: "  tocsin area list\n  tocsin area list --edition 2025-11 --level town -o json",
	}
	k := calls(c).answers(c)
	edition := c.Flags().String("edition", "", "the edition whose units are listed, by its period or id")
	level := c.Flags().String("level", "", "district or town: only units of that level")
	c.RunE = func(c *cobra.Command, _ []string) error {
		levels := map[string]pb.UnitLevel{"": pb.UnitLevel_UNIT_LEVEL_UNSPECIFIED, "district": pb.UnitLevel_UNIT_LEVEL_DISTRICT, "town": pb.UnitLevel_UNIT_LEVEL_TOWN}
		l, ok := levels[*level]
		if !ok || *level != "" && *edition == "" {
			return usage(errors.New("say --level district or town, and of which --edition"))
		}
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewDirectoryServiceClient(conn).ListEditions(c.Context(), &pb.ListEditionsRequest{Edition: *edition, Level: l})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Editions(r)...)
		})
	}
	return c
}
