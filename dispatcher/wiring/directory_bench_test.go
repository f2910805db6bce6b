package wiring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// BenchmarkImport is an import through TLS on the loopback, client and engine in one process: the stream alone, as the
// engine takes it into its columns, and all of it to the durable snapshot; from columns, and from CSV.
func BenchmarkImport(b *testing.B) {
	count := 1_000_000
	if testing.Short() {
		count = 50_000
	}
	rows := people(b, count, 1)
	var csv bytes.Buffer
	if err := geofence.WriteCSV(&csv, rows.Chunks(1<<15)); err != nil {
		b.Fatal(err)
	}
	dir, token := house(b, "127.0.0.1:1")
	address, _ := serving(b, dir)
	api := pb.NewDirectoryServiceClient(as(b, dir, address, token))
	for _, source := range []struct {
		name string
		give func(func(geofence.Columns) error) error
	}{
		{"columns", func(send func(geofence.Columns) error) error {
			for p := range rows.Chunks(1 << 15) {
				if err := send(p); err != nil {
					return err
				}
			}
			return nil
		}},
		{"csv", func(send func(geofence.Columns) error) error {
			_, err := geofence.ReadCSV(bytes.NewReader(csv.Bytes()), send)
			return err
		}},
	} {
		for _, whole := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/whole=%t", source.name, whole), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					stream, err := api.Import(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					next := &pb.ImportRequest{Key: fmt.Sprint(b.Name(), b.N, i), Total: int64(count)}
					err = source.give(func(p geofence.Columns) error {
						next.Number, next.LonE7, next.LatE7, next.Home, next.Seen = p.Number, p.Lon, p.Lat, p.Home, p.Seen
						next.Language, next.Role, next.Flags = p.Language, p.Duty, p.Flags
						err := stream.Send(next)
						next = &pb.ImportRequest{}
						return err
					})
					if err == nil && !whole { // a chunk that is refused when all before it were taken
						err = stream.Send(&pb.ImportRequest{Number: []uint64{1}})
					}
					if err != nil && !errors.Is(err, io.EOF) {
						b.Fatal(err)
					}
					if _, err := stream.CloseAndRecv(); (err == nil) != whole {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
