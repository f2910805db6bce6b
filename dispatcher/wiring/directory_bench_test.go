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
// engine takes it into its columns, and all of it to the durable snapshot; from columns, and from CSV. Two crowds take
// turns, so that each import writes every block.
func BenchmarkImport(b *testing.B) {
	count := 1_000_000
	if testing.Short() {
		count = 50_000
	}
	var crowds [2]geofence.Columns
	var texts [2]bytes.Buffer
	for i := range crowds {
		crowds[i] = people(b, count, uint64(i+1))
		if err := geofence.WriteCSV(&texts[i], crowds[i].Chunks(1<<15)); err != nil {
			b.Fatal(err)
		}
	}
	dir, token := house(b, "127.0.0.1:1")
	address, _ := serving(b, dir)
	api := pb.NewDirectoryServiceClient(as(b, dir, address, token))
	turn := 0
	for _, source := range []struct {
		name string
		give func(crowd int, send func(geofence.Columns) error) error
	}{
		{"columns", func(crowd int, send func(geofence.Columns) error) error {
			for p := range crowds[crowd].Chunks(1 << 15) {
				if err := send(p); err != nil {
					return err
				}
			}
			return nil
		}},
		{"csv", func(crowd int, send func(geofence.Columns) error) error {
			_, err := geofence.ReadCSV(bytes.NewReader(texts[crowd].Bytes()), send)
			return err
		}},
	} {
		for _, whole := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/whole=%t", source.name, whole), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					turn++
					stream, err := api.Import(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					next := &pb.ImportRequest{Key: fmt.Sprint("k", turn), Total: int64(count)}
					err = source.give(turn%2, func(p geofence.Columns) error {
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
