package house

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// TestNoNumberIsOnDiskOrInTheLog warns people, looks one of them up, makes calls fail that carry a number, and then
// searches all that Redis wrote, and every line of the log, for the numbers (promise 10).
func TestNoNumberIsOnDiskOrInTheLog(t *testing.T) {
	told(t)
	all, err := geofence.Synth(people, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	someone := fmt.Sprint(all.Number[len(all.Number)/2])
	who, err := running.warnings(commander).Who(t.Context(), &pb.WhoRequest{Number: someone, Why: "test of privacy"})
	if err != nil || !who.GetKnown() || strings.Contains(who.String(), someone) {
		t.Errorf("%v, %v", who, err)
	}
	if _, err := running.warnings(forecaster).Who(t.Context(), &pb.WhoRequest{Number: someone, Why: "not allowed"}); err == nil || strings.Contains(err.Error(), someone) {
		t.Errorf("a look-up without the right: %v", err)
	}
	broken := rows("private", all.Number[0], all.Number[0]*1000)
	broken.LonE7[0], broken.LatE7[0] = 0, 0
	if _, err := running.bring(t.Context(), broken); err == nil || strings.Contains(err.Error(), fmt.Sprint(all.Number[0])) {
		t.Errorf("an import without a good row: %v", err)
	}

	lines := running.logs.All()
	if len(lines) == 0 {
		t.Error("the log is empty")
	}
	log := fmt.Sprint(lines)
	var disk []byte
	err = filepath.WalkDir(filepath.Join(running.dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "ballast" {
			return err
		}
		b, err := os.ReadFile(path)
		disk = append(disk, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(disk) < 10_000 || !bytes.Contains(disk, []byte("{tocsin:"+realm+"}:warnings")) {
		t.Fatalf("the append-only file was not found: %d bytes", len(disk))
	}
	for _, n := range all.Number[:200] {
		if n == 0 {
			continue // without an address
		}
		text := fmt.Sprint(n)
		for form, b := range map[string][]byte{
			"decimal": []byte(text), "little-endian": binary.LittleEndian.AppendUint64(nil, n), "big-endian": binary.BigEndian.AppendUint64(nil, n),
		} {
			if bytes.Contains(disk, b) {
				t.Fatalf("the number of somebody is on disk, %s", form)
			}
		}
		if strings.Contains(log, text) {
			t.Fatal("the number of somebody is in the log")
		}
	}
}
