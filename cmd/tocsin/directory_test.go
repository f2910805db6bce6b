package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protodelim"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// breaking stands in for an engine whose first streams break after some rows.
type breaking struct {
	pb.DirectoryServiceClient
	breaks int
	most   int // rows of a broken chunk that are taken all the same: an engine that looks at them one by one
	rows   []uint64
	asked  []int // how many rows there were whenever a stream began
	total  int64
}

func (b *breaking) ImportState(context.Context, *pb.ImportStateRequest, ...grpc.CallOption) (*pb.ImportStateResponse, error) {
	b.asked = append(b.asked, len(b.rows))
	return &pb.ImportStateResponse{Rows: int64(len(b.rows))}, nil
}

func (b *breaking) Import(context.Context, ...grpc.CallOption) (grpc.ClientStreamingClient[pb.ImportRequest, pb.ImportResponse], error) {
	return &brokenStream{b: b}, nil
}

type brokenStream struct {
	grpc.ClientStreamingClient[pb.ImportRequest, pb.ImportResponse]
	b    *breaking
	sent int
}

func (s *brokenStream) Send(m *pb.ImportRequest) error {
	if s.sent == 0 {
		if m.GetKey() == "" || m.GetOffset() != int64(len(s.b.rows)) {
			return status.Error(codes.InvalidArgument, "another offset")
		}
		s.b.total = m.GetTotal()
	}
	if s.sent++; s.sent == 2 && s.b.breaks > 0 {
		s.b.rows = append(s.b.rows, m.GetNumber()[:s.b.most]...)
		return io.EOF
	}
	s.b.rows = append(s.b.rows, m.GetNumber()...)
	return nil
}

func (s *brokenStream) CloseAndRecv() (*pb.ImportResponse, error) {
	if s.sent == 0 {
		return nil, status.Error(codes.InvalidArgument, "the stream brought nothing")
	}
	if s.b.breaks > 0 {
		s.b.breaks--
		return nil, status.Error(codes.Unavailable, "the engine went away")
	}
	return &pb.ImportResponse{People: int64(len(s.b.rows))}, nil
}

// TestAnImportGoesOnWhereItBroke: every row comes once, in order; rows that are none are told by their place in the file.
func TestAnImportGoesOnWhereItBroke(t *testing.T) {
	people, err := geofence.Synth(40_000, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := geofence.WriteCSV(&text, people.Chunks(1<<15)); err != nil {
		t.Fatal(err)
	}
	all := strings.SplitAfter(text.String(), "\n")
	faulty := append(append(all[:5001:5001], "no row\n"), all[5001:]...)
	path := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(path, []byte(strings.Join(faulty, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var said bytes.Buffer
		b := &breaking{breaks: 3}
		i := importing{api: b, key: "k", file: f, form: csvForm, say: &said}
		r, unread, err := i.run(t.Context())
		if err != nil || r.GetPeople() != 40_000 || len(b.rows) != 40_000 || b.total < 40_000 {
			t.Fatalf("%d rows of %d announced: %v", len(b.rows), b.total, err)
		}
		for n, number := range b.rows {
			if number != people.Number[n] {
				t.Fatalf("row %d is another", n)
			}
		}
		if len(unread) != 1 || unread[0].Row != 5000 {
			t.Errorf("unread: %v", unread)
		}
		if want := fmt.Sprintf("going on after %d rows", b.asked[1]); b.asked[1] == 0 || !strings.Contains(said.String(), want) {
			t.Errorf("it said %q, not %q", said.String(), want)
		}
		b = &breaking{rows: people.Number} // it broke behind the last row
		if r, _, err := (&importing{api: b, key: "k", file: f, form: csvForm, say: &said}).run(t.Context()); err != nil || r.GetPeople() != 40_000 {
			t.Errorf("all rows are kept, and the import does not end: %v", err)
		}
		b = &breaking{breaks: importTries}
		if _, _, err := (&importing{api: b, key: "k", file: f, form: csvForm, say: &said}).run(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("an engine that never comes back: %v", err)
		}
	})
}

// TestAnImportOfColumnsGoesOnToo: a file of columns brings the same rows as the crowd it was made of, over streams that
// break in the middle of its chunks, also where columns are missing.
func TestAnImportOfColumnsGoesOnToo(t *testing.T) {
	people, err := geofence.Synth(40_000, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	people.Home, people.Seen = nil, nil
	var text bytes.Buffer
	for from := 0; from < 40_000; from += 3000 {
		to := min(from+3000, 40_000)
		m := &pb.ImportRequest{
			Number: people.Number[from:to], LonE7: people.Lon[from:to], LatE7: people.Lat[from:to],
			Language: people.Language[from:to], Role: people.Duty[from:to], Flags: people.Flags[from:to],
		}
		if _, err := protodelim.MarshalTo(&text, m); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "people.columns")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b := &breaking{breaks: 2, most: 2000}
		i := importing{api: b, key: "k", file: f, form: columnsForm, say: io.Discard}
		r, _, err := i.run(t.Context())
		if err != nil || r.GetPeople() != 40_000 || b.total == 0 || !slices.Equal(b.rows, people.Number) {
			t.Fatalf("%d rows of %d announced: %v", len(b.rows), b.total, err)
		}
	})
}

func TestAFileThatHoldsNoColumnsIsRefused(t *testing.T) {
	var whole bytes.Buffer
	people, err := geofence.Synth(100, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeColumns(&whole, people.Chunks(50)); err != nil {
		t.Fatal(err)
	}
	var ragged bytes.Buffer
	if _, err := protodelim.MarshalTo(&ragged, &pb.ImportRequest{Number: []uint64{1, 2}, LonE7: []int32{3}, LatE7: []int32{4}}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"CSV":                          geofence.CSVHeader + "\n9990000000001,106.5,29.5,,,zh-CN,public,\n",
		"a file that is cut off":       whole.String()[:whole.Len()-1],
		"columns of different lengths": ragged.String(),
	} {
		_, err := readColumns(strings.NewReader(text), func(geofence.Columns) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "] is no chunk of columns: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRowsOfTheEngineAreNamedByTheirPlaceInTheFile: the engine counts the rows that it gets, a person the lines of a file.
func TestRowsOfTheEngineAreNamedByTheirPlaceInTheFile(t *testing.T) {
	unread := []geofence.BadRow{{Row: 0}, {Row: 3}, {Row: 4}, {Row: 9}}
	var r pb.ImportResponse
	for _, row := range []int64{0, 1, 2, 5} { // of the rows 1, 2, 5, 6, 7, 8, 10
		r.Bad = append(r.Bad, &pb.ImportResponse_BadRow{Row: row, Field: "number"})
	}
	var got []int
	for i, b := range inFile(&r, unread) {
		if got = append(got, b.Row); r.GetBad()[i].GetRow() != int64(b.Row) || b.Field != "number" {
			t.Errorf("row %d: %v, %v", i, b, r.GetBad()[i])
		}
	}
	if !slices.Equal(got, []int{1, 2, 5, 8}) {
		t.Errorf("they are rows %v", got)
	}
}

func TestBadRowsGoIntoAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.txt")
	w, kept, err := badRows(newRoot(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "row 1: number\n"); err != nil {
		t.Fatal(err)
	}
	if err := kept(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "row 1: number\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := badRows(newRoot(), filepath.Join(path, "no")); err == nil {
		t.Error("a file that cannot be made is taken")
	}
}
