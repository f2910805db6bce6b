package house

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// rows is a chunk of people in one place.
func rows(key string, numbers ...uint64) *pb.ImportRequest {
	r := &pb.ImportRequest{Key: key, Number: numbers}
	for range numbers {
		r.LonE7, r.LatE7 = append(r.LonE7, 1065500000), append(r.LatE7, 295500000)
	}
	return r
}

func stats(ctx context.Context, t *testing.T) *pb.StatsResponse {
	t.Helper()
	s, err := pb.NewDirectoryServiceClient(running.conns[engineer]).Stats(ctx, &pb.StatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestABrokenRowIsReportedAndTheOthersGoIn replaces the directory, and puts the old one back.
func TestABrokenRowIsReportedAndTheOthersGoIn(t *testing.T) {
	before := stats(t.Context(), t)
	t.Cleanup(func() {
		all, err := geofence.Synth(people, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background() // that of the test has ended
		if _, err := running.bring(ctx, chunksOf(rand.Text(), all)...); err != nil {
			t.Fatal(err)
		}
		if after := stats(ctx, t); after.GetSnapshot() != before.GetSnapshot() {
			t.Errorf("the same people are another directory: %v", after)
		}
	})
	chunk := rows(rand.Text(), 9991000000001, 12, 9991000000002, 9991000000003, 9991000000001, 9991000000004)
	chunk.LonE7[3], chunk.LatE7[3] = 0, 0
	chunk.Language = []byte{0, 0, 0, 0, 0, 99}
	got, err := running.bring(t.Context(), chunk)
	if err != nil {
		t.Fatal(err)
	}
	want := &pb.ImportResponse{Snapshot: got.GetSnapshot(), People: 2, BadRows: 4, Bad: []*pb.ImportResponse_BadRow{
		{Row: 1, Field: "number", Rule: "directory.number", Detail: "a number has 8 to 15 digits, this one 2"},
		{Row: 3, Field: "lon", Rule: "directory.position", Detail: "the position is missing"},
		{Row: 4, Field: "number", Rule: "directory.number.duplicate", Detail: "another row has the same number"},
		{Row: 5, Field: "language", Rule: "directory.language", Detail: "language 99 is not one of [zh-CN en]"},
	}}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if s := stats(t.Context(), t); s.GetPeople() != 2 || s.GetSnapshot() != got.GetSnapshot() {
		t.Errorf("the directory has %v", s)
	}
	for number, known := range map[string]bool{"9991000000002": true, "9991000000003": false} {
		who, err := running.warnings(commander).Who(t.Context(), &pb.WhoRequest{Number: number, Why: "test of an import"})
		if err != nil || who.GetKnown() != known {
			t.Errorf("%v, %v: known should be %t", who, err, known)
		}
	}
}

func TestImportsThatChangeNothing(t *testing.T) {
	short := rows("short", 9991000000001, 9991000000002)
	short.LatE7 = short.LatE7[:1]
	flags := rows("flags", 9991000000001, 9991000000002)
	flags.Flags = []byte{0}
	for name, c := range map[string]struct {
		chunks []*pb.ImportRequest
		want   refusal
	}{
		"no good row":               {[]*pb.ImportRequest{rows("bad", 12, 13)}, invalid("chunk", "import.empty", "an empty directory is never made by accident")},
		"nobody at all":             {[]*pb.ImportRequest{{Key: "nobody"}}, invalid("chunk", "import.empty", "an empty directory is never made by accident")},
		"no chunk":                  {nil, invalid("chunk[0]", "import.empty", "send at least one chunk")},
		"no key":                    {[]*pb.ImportRequest{rows("", 9991000000001)}, invalid("key", "key.missing", "give a key of your choice in the first chunk")},
		"a column that is short":    {[]*pb.ImportRequest{short}, invalid("chunk[0].lat_e7", "import.length", "send columns of equal length")},
		"a short one in the middle": {[]*pb.ImportRequest{rows("flags", 9991000000009), flags}, invalid("chunk[1].flags", "import.length", "send columns of equal length")},
	} {
		t.Run(name, func(t *testing.T) {
			running.nothingStays(t, func() {
				_, err := running.bring(t.Context(), c.chunks...)
				c.want.check(t, err)
			})
		})
	}
}

func TestAnImportThatBreaksOffChangesNothing(t *testing.T) {
	running.nothingStays(t, func() {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := pb.NewDirectoryServiceClient(running.conns[engineer]).Import(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(rows("broken off", 9991000000001)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := stream.RecvMsg(&pb.ImportResponse{}); status.Code(err) != codes.Canceled {
			t.Errorf("got %v", err)
		}
		// One import at a time: when the next is taken, the broken one has ended.
		until(t, func() error {
			_, err := running.bring(t.Context(), rows("next", 12))
			if status.Code(err) != codes.InvalidArgument {
				return errors.Join(errors.New("the broken import has not ended"), err)
			}
			return nil
		})
	})
}
