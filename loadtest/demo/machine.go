package demo

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Machine is what a figure was measured on.
type Machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	FileSystem string  `json:"file_system"`
	FsyncP50MS float64 `json:"fsync_p50_ms"`
	FsyncP99MS float64 `json:"fsync_p99_ms"`
	// AppendFsync is what the engine's own Redis runs with.
	AppendFsync string `json:"appendfsync"`
}

func machine(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), AppendFsync: "always"}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			m.Kernel += string(rune(c))
		}
	}
	m.FileSystem = fileSystem(dir)
	m.FsyncP50MS, m.FsyncP99MS = fsyncTimes(dir)
	return m
}

// fileSystem is the type of the mount that holds dir.
func fileSystem(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return ""
	}
	best, kind := "", ""
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 2 && (abs == f[1] || strings.HasPrefix(abs, strings.TrimSuffix(f[1], "/")+"/")) && len(f[1]) >= len(best) {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// fsyncTimes is the time of a small append and its fsync in dir, in milliseconds.
func fsyncTimes(dir string) (p50, p99 float64) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, 0
	}
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return 0, 0
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	ms := make([]float64, 200)
	block := make([]byte, 4096)
	for i := range ms {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0
		}
		if err := f.Sync(); err != nil {
			return 0, 0
		}
		ms[i] = float64(time.Since(began).Microseconds()) / 1000
	}
	slices.Sort(ms)
	return ms[len(ms)/2], ms[len(ms)*99/100]
}
