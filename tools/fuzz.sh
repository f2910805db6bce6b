#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME, one after the other, and stops at the first finding.
set -eu
[ $# -eq 1 ] || { echo "usage: fuzz.sh TIME" >&2; exit 2; }

# file:target of every target; modules of their own below (tools) are not of this one.
targets=$(grep -rnoE --include='*_test.go' --exclude-dir=tools '^func Fuzz[A-Za-z0-9_]*' . |
	sed -E 's/^([^:]+):[0-9]+:func /\1:/' | sort)
[ -n "$targets" ] || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
for t in $targets; do
	echo "fuzzing ${t##*:} in $(dirname "${t%%:*}") for $1"
	go test -run '^$' -fuzz "^${t##*:}\$" -fuzztime "$1" "$(dirname "${t%%:*}")"
done
