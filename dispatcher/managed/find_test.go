package managed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// programs writes scripts that answer as redis-server of a version does.
func programs(t *testing.T, dir, version string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"redis-server", "redis-check-aof"} {
		text := "#!/bin/sh\necho 'Redis server v=" + version + " sha=00000000:0 bits=64'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	onPath, deep := filepath.Join(root, "path"), filepath.Join(root, "module", "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", onPath+":/bin:relative")
	t.Chdir(deep)
	look := func(dir, inError string) {
		t.Helper()
		server, check, err := Find()
		if inError != "" {
			if err == nil || !strings.Contains(err.Error(), inError) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%s, %v", server, err)
			}
			return
		}
		if err != nil || server != filepath.Join(dir, "redis-server") || check != filepath.Join(dir, "redis-check-aof") {
			t.Fatalf("%s, %s, %v", server, check, err)
		}
	}
	look("", "apt install redis-server")
	programs(t, onPath, "6.2.14")
	look("", "is version 6.2.14")
	above := filepath.Join(root, "module", ".tools", "bin")
	programs(t, above, "7.0.15")
	look("", "is version 6.2.14") // no module root is known, so nothing above the working directory counts
	if err := os.WriteFile(filepath.Join(root, "module", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look(above, "")
	programs(t, onPath, "8.2.1")
	look(onPath, "")
}
