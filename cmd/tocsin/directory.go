package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"google.golang.org/grpc"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// importChunk is how many rows go into one message of an import.
const importChunk = 32 << 10

func newDirectory() *cobra.Command {
	return group("directory", "Look after who can be told", newSynth(), newImport(), newStats())
}

func newSynth() *cobra.Command {
	c := &cobra.Command{
		Use: "synth --count N --out FILE", Short: "Make a synthetic directory: the same people for the same count and seed", Args: upTo(0),
		Example: "  tocsin directory synth --count 1000000 --seed 1 --out people.csv",
	}
	count := c.Flags().Int("count", 0, "how many people")
	seed := c.Flags().Uint64("seed", 1, "another seed makes other people")
	path := c.Flags().String("out", "-", "CSV file to write; - is the standard output")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		people, err := geofence.Synth(*count, *seed, nil)
		if err != nil {
			return err
		}
		if *path == "-" {
			return geofence.WriteCSV(c.OutOrStdout(), people.Chunks(importChunk))
		}
		f, err := os.Create(*path)
		if err != nil {
			return err
		}
		return errors.Join(geofence.WriteCSV(f, people.Chunks(importChunk)), f.Close())
	}
	return c
}

func newImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE", Short: "Replace the directory by a CSV file; faulty rows are named and left out", Args: exactly(1),
		Long: "The header of the file is: " + geofence.CSVHeader, Example: "  tocsin directory import people.csv",
	}
	k := calls(c).answers(c).changes(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		return k.act(func(conn *grpc.ClientConn, key string) error {
			in, done := meter(c, f)
			r, unread, err := importRows(c.Context(), pb.NewDirectoryServiceClient(conn), key, in)
			done()
			if err != nil {
				return err
			}
			for _, b := range unread {
				fmt.Fprintln(c.ErrOrStderr(), b)
			}
			return k.put(c.OutOrStdout(), r, k.language().Imported(r)...)
		})
	}
	return c
}

// importRows streams a CSV; unread is rows that were no rows, by their place in the file.
func importRows(ctx context.Context, api pb.DirectoryServiceClient, key string, in io.Reader) (*pb.ImportResponse, []geofence.BadRow, error) {
	ctx, cancel := context.WithCancel(ctx) // a stream that is not ended is broken off, and changes nothing
	defer cancel()
	stream, err := api.Import(ctx)
	if err != nil {
		return nil, nil, err
	}
	unread, err := geofence.ReadCSV(in, func(all geofence.Columns) error {
		for p := range all.Chunks(importChunk) {
			err := stream.Send(&pb.ImportRequest{
				Key: key, Number: p.Number, LonE7: p.Lon, LatE7: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: the engine has ended the stream; its answer says why
		return nil, nil, err
	}
	r, err := stream.CloseAndRecv()
	return r, unread, err
}

// meter shows on a terminal how much of a file was read.
func meter(c *cobra.Command, f *os.File) (io.Reader, func()) {
	info, err := f.Stat()
	if err != nil || !terminal(c.ErrOrStderr()) {
		return f, func() {}
	}
	p := mpb.New(mpb.WithOutput(c.ErrOrStderr()))
	bar := p.AddBar(info.Size(), mpb.PrependDecorators(decor.Name(info.Name()+" ")), mpb.AppendDecorators(decor.Percentage(), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	r, err := bar.ProxyReader(f)
	if err != nil {
		return f, p.Shutdown
	}
	return r, func() {
		bar.Abort(false)
		p.Wait()
	}
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
