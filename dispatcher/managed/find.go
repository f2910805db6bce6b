package managed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// oldest is the first version of Redis whose append-only file and scripts do what the engine needs.
const oldest = 7

// Find is where redis-server and redis-check-aof are: on PATH, else in .tools/bin beside the executable or in a folder
// above it, else in the one of the working directory or of a folder above it up to the root of the module. Programs
// older than version 7 are passed over.
func Find() (server, checkAOF string, err error) {
	var old []string
	for _, dir := range places() {
		server, checkAOF := filepath.Join(dir, "redis-server"), filepath.Join(dir, "redis-check-aof")
		if !executable(server) || !executable(checkAOF) {
			continue
		}
		version, err := versionOf(server)
		if err != nil {
			old = append(old, err.Error())
			continue
		}
		if major(version) < oldest {
			old = append(old, fmt.Sprintf("%s is version %s", server, version))
			continue
		}
		return server, checkAOF, nil
	}
	found := "none was found"
	if len(old) > 0 {
		found = strings.Join(old, ", ")
	}
	return "", "", fmt.Errorf("a redis-server of version %d or newer with its redis-check-aof is needed, but %s: install it "+
		"(on Debian 12: apt install redis-server) or run tools/redis.sh in the source tree", oldest, found)
}

// places lists the folders to look in, in order.
func places() []string {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(d) { // the server starts in another directory
			dirs = append(dirs, d)
		}
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		for d := filepath.Dir(exe); ; d = filepath.Dir(d) {
			dirs = append(dirs, filepath.Join(d, ".tools", "bin"))
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return dirs
	}
	var above []string
	for d := wd; d != filepath.Dir(d); d = filepath.Dir(d) {
		above = append(above, filepath.Join(d, ".tools", "bin"))
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return append(dirs, above...)
		}
	}
	return append(dirs, filepath.Join(wd, ".tools", "bin"))
}

func executable(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular() && i.Mode().Perm()&0o111 != 0
}

// versionOf asks a redis-server for its version: "Redis server v=7.0.15 sha=…".
func versionOf(server string) (string, error) {
	out, err := exec.Command(server, "--version").CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(out) > 0 {
			return "", fmt.Errorf("%s does not run (%s)", server, strings.TrimSpace(string(out)))
		}
		return "", fmt.Errorf("%s does not run (%w)", server, err)
	}
	_, after, _ := strings.Cut(string(out), " v=")
	version, _, _ := strings.Cut(after, " ")
	return version, nil
}

// major is the first number of a version; 0 when there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}
