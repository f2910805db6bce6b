#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME, one after the other, and stops at the first finding.
set -eu
[ $# -eq 1 ] || { echo "usage: fuzz.sh TIME" >&2; exit 2; }

# file:target of every target; modules of their own below (tools) are not of this one.
targets=$(grep -rnoE --include='*_test.go' --exclude-dir=tools '^func Fuzz[A-Za-z0-9_]*' . |
	sed -E 's/^([^:]+):[0-9]+:func /\1:/' | sort)
[ -n "$targets" ] || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fuzz TARGET FOLDER TIME shows what go says, keeps it, and answers as go does.
fuzz() {
	{ go test -run '^$' -fuzz "^$1\$" -fuzztime "$3" "$2" && echo 0 >"$work/status" || echo 1 >"$work/status"; } 2>&1 | tee "$work/out"
	return "$(cat "$work/status")"
}

# Before Go 1.27 the end of the time itself is now and then told as a failure (go.dev/issue/75804): then nothing but the
# deadline stands below FAIL. The target runs its whole time again; a finding writes its input and is never such a case.
ended() { grep -A1 '^--- FAIL' "$work/out" | grep -qx '    context deadline exceeded' && ! grep -qE 'ailing input|panic|_test\.go:' "$work/out"; }

for t in $targets; do
	folder=$(dirname "${t%%:*}")
	for attempt in 1 2 3; do
		echo "fuzzing ${t##*:} in $folder for $1"
		fuzz "${t##*:}" "$folder" "$1" && break
		ended && [ "$attempt" -lt 3 ] || exit 1
	done
done
