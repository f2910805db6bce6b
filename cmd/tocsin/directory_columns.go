package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/protobuf/encoding/protodelim"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// A file of columns is what the stream of an import carries: messages tocsin.v1.ImportRequest, each behind its length as
// a varint, as every protobuf library writes them. Keys, totals and offsets in it are not looked at.

// chunkOf is the columns as a message.
func chunkOf(c geofence.Columns) *pb.ImportRequest {
	return &pb.ImportRequest{
		Number: c.Number, LonE7: c.Lon, LatE7: c.Lat, Home: c.Home, Seen: c.Seen, Language: c.Language, Role: c.Duty, Flags: c.Flags,
	}
}

// writeColumns writes every row.
func writeColumns(w io.Writer, chunks iter.Seq[geofence.Columns]) error {
	out := bufio.NewWriterSize(w, 1<<16)
	for c := range chunks {
		if _, err := protodelim.MarshalTo(out, chunkOf(c)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// readColumns gives the rows of a file to yield in its own chunks. A file that is cut off, is none or has columns of
// different lengths is refused whole: nothing in it tells where rows are again. No row is left out here, which is the
// engine's to do.
func readColumns(r io.Reader, yield func(geofence.Columns) error) ([]geofence.BadRow, error) {
	in := bufio.NewReaderSize(r, 2<<20) // more than a chunk, which is read in place
	for n := 0; ; n++ {
		var m pb.ImportRequest
		err := protodelim.UnmarshalFrom(in, &m)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, unreadable(n, err.Error())
		}
		c := geofence.Columns{
			Number: m.GetNumber(), Lon: m.GetLonE7(), Lat: m.GetLatE7(), Home: m.GetHome(), Seen: m.GetSeen(),
			Language: m.GetLanguage(), Duty: m.GetRole(), Flags: m.GetFlags(),
		}
		if err := c.Fill(); err != nil {
			return nil, unreadable(n, err.Error())
		}
		if err := yield(c); err != nil {
			return nil, err
		}
	}
}

func unreadable(chunk int, why string) error {
	return fmt.Errorf("chunk[%d] is no chunk of columns: %s; write messages tocsin.v1.ImportRequest, each behind its length, or leave out --columns for a CSV file", chunk, why)
}
