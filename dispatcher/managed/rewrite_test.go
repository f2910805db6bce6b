package managed

import (
	"strings"
	"testing"
)

func TestRewriteDue(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		base, grown int64
		busy, want  bool
	}{
		{0, gb - 1, false, false},
		{0, gb, false, true},
		{0, gb, true, false},
		{0, 2*gb - 1, true, false},
		{0, 2 * gb, true, true},
		{3 * gb / 2, gb, false, false},
		{3 * gb / 2, 3 * gb / 2, false, true},
		{8 * gb, 2 * gb, true, true},
	} {
		if got := rewriteDue(c.base, c.grown, gb, func() bool { return c.busy }); got != c.want {
			t.Errorf("base %d, grown %d, busy %v: %v", c.base, c.grown, c.busy, got)
		}
	}
}

func TestRewriteIfDue(t *testing.T) {
	s := start(t, small(t.TempDir()))
	client := connect(t, s.Socket())
	for _, step := range []struct {
		bytes            int
		busy, want, done bool
	}{
		{500, false, false, false},
		{700, true, false, false}, // 1,200 of 1,024, in a red
		{0, false, true, true},
		{0, false, false, false}, // nothing has grown since
		{2100, true, true, true}, // at the latest at 2,048, also in a red
	} {
		if err := client.Set(within(t), "k", strings.Repeat("x", step.bytes), 0).Err(); err != nil {
			t.Fatal(err)
		}
		began, err := s.RewriteIfDue(within(t), func() bool { return step.busy })
		if err != nil || began != step.want {
			t.Fatalf("%+v: %v, %v", step, began, err)
		}
		if !began {
			continue
		}
		if status, err := rewritten(within(t), client); err != nil || status != "ok" {
			t.Fatalf("%+v: %s, %v", step, status, err)
		}
		a, err := s.aof()
		if err != nil {
			t.Fatal(err)
		}
		if grown, err := s.size(a.incr); err != nil || grown != 0 {
			t.Fatalf("%+v: %d bytes after a rewrite, %v", step, grown, err)
		}
	}
}

func TestDiskLow(t *testing.T) {
	o := small(t.TempDir())
	s := start(t, o)
	if low, detail := s.DiskLow(); low {
		t.Errorf("a disk with room is low: %s", detail)
	}
	o.Reserve = 1 << 60
	if low, detail := (&Server{o: o}).DiskLow(); !low || !strings.Contains(detail, "MB free") {
		t.Errorf("a disk without room is not low: %s", detail)
	}
	o.Dir += "/nowhere"
	if low, detail := (&Server{o: o}).DiskLow(); !low {
		t.Errorf("a disk that cannot be read is not low: %s", detail)
	}
}

func TestFsyncTime(t *testing.T) {
	s := start(t, small(t.TempDir()))
	client := connect(t, s.Socket())
	p50, p99, err := FsyncTime(within(t), client, "{test}:fsync")
	if err != nil || p50 <= 0 || p99 < p50 {
		t.Fatalf("%v, %v, %v", p50, p99, err)
	}
	t.Logf("a durable write takes %v, p99 %v", p50, p99)
	if n, err := client.DBSize(within(t)).Result(); err != nil || n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
	if _, _, err := FsyncTime(within(t), connect(t, s.Socket()+".none"), "k"); err == nil {
		t.Error("measured nothing")
	}
}
