package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// importChunk is how many rows go into one message of an import.
const importChunk = 32 << 10

func newDirectory() *cobra.Command {
	return group("directory", "Look after who can be told", newSynth(), newImport(), newChange(), newErase(), newMove(), newStats())
}

func newSynth() *cobra.Command {
	c := &cobra.Command{
		Use: "synth --count N --out FILE", Short: "Make a synthetic directory: the same people for the same count and seed", Args: upTo(0),
		Example: "  tocsin directory synth --count 1000000 --seed 1 --out people.csv",
	}
	count := c.Flags().Int("count", 0, "how many people")
	seed := c.Flags().Uint64("seed", 1, "another seed makes other people")
	path := c.Flags().String("out", "-", "file to write; - is the standard output")
	columns := c.Flags().Bool("columns", false, "write columns for directory import --columns, not CSV")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		people, err := geofence.Synth(*count, *seed, nil)
		if err != nil {
			return err
		}
		write := geofence.WriteCSV
		if *columns {
			write = writeColumns
		}
		if *path == "-" {
			return write(c.OutOrStdout(), people.Chunks(importChunk))
		}
		f, err := os.Create(*path)
		if err != nil {
			return err
		}
		return errors.Join(write(f, people.Chunks(importChunk)), f.Close())
	}
	return c
}

func newStats() *cobra.Command {
	c := &cobra.Command{Use: "stats", Short: "Say what the directory holds", Args: upTo(0), Example: "  tocsin directory stats -o json"}
	k := calls(c).answers(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			r, err := pb.NewDirectoryServiceClient(conn).Stats(c.Context(), &pb.StatsRequest{})
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Stats(r)...)
		})
	}
	return c
}
