package wiring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
)

// TestAReloadTakesNumbers ports everybody from one carrier to the other under a running engine, by other lines in the same
// file. A faulty table changes nothing.
func TestAReloadTakesNumbers(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	file, table := filepath.Join(dir, ConfigFile), filepath.Join(dir, "numbers.csv")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, mobile, _ := strings.Cut(string(text), "accounts:\n")
	account := func(name string) string {
		return strings.NewReplacer("name: mobile", "name: "+name+", carrier: "+name, `, prefixes: ["999"]`, "").Replace(mobile)
	}
	write(t, file, strings.TrimSuffix(string(text), mobile)+account("mobile")+account("unicom")+"routes: {numbers: ./numbers.csv}\n")
	write(t, table, "999*,mobile\n")
	address, _ := serving(t, dir)
	var forecaster string
	inHouse(t, dir, func(h *House) {
		if forecaster, err = h.AddUser(t.Context(), "fang", "forecaster", 0); err != nil {
			t.Fatal(err)
		}
	})
	eng := as(t, dir, address, token)
	importPeople(t, eng, "people", 2000)
	fang := pb.NewWarningServiceClient(as(t, dir, address, forecaster))
	carriers := func() string {
		p, err := fang.Preview(t.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: &pb.WarningSpec{
			Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
			Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
			Areas: []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}},
			Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "【演练】暴雨"}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range p.GetCarriers() {
			names = append(names, c.GetAccount())
		}
		return strings.Join(names, " ")
	}
	api := pb.NewHouseServiceClient(eng)
	for _, c := range []struct{ table, want, says string }{
		{"999*,mobile\n", "mobile", ""},
		{"999*,unicom\n", "unicom", ""},
		{"999*,mobile\nmobile\n", "unicom", "line 2"},
		{"999*,mobile\n# ported back\n", "mobile", ""},
	} {
		before := carriers()
		write(t, table, c.table)
		r, err := api.Reload(t.Context(), &pb.ReloadRequest{Key: c.table})
		switch got := carriers(); {
		case got != c.want:
			t.Errorf("after %q people go by %q, want %q (%v)", c.table, got, c.want, err)
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v", c.table, err)
			}
		case err != nil || r.GetApplied() != (got != before):
			t.Errorf("%q: %v, %v", c.table, r, err)
		case r.GetApplied() && (len(r.GetChanges()) != 1 || r.GetChanges()[0].GetKey() != "routes.numbers"):
			t.Errorf("%q: changes %v", c.table, r.GetChanges())
		}
	}
}
