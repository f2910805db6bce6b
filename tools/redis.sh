#!/bin/sh
# redis.sh DIR: sees to it that a redis-server of version 7 or newer can be run, without root and without touching the
# system. One on PATH is used as it is; else Debian's packages are unpacked under DIR/.tools, with wrappers in
# DIR/.tools/bin. Says nothing when there is nothing to do.
set -eu

fail() {
	echo "redis.sh: $*; install redis-server 7 or newer (on Debian 12: apt install redis-server) or put one on PATH" >&2
	exit 1
}

# recent COMMAND: does it run, and is it of version 7 or newer?
recent() {
	major=$("$1" --version 2>/dev/null | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
	[ "${major:-0}" -ge 7 ]
}

[ $# -eq 1 ] || { echo "usage: redis.sh DIR" >&2; exit 2; }
if recent redis-server && command -v redis-check-aof >/dev/null; then exit 0; fi
mkdir -p "$1/.tools" || fail "cannot write to $1"
tools=$(cd "$1/.tools" && pwd -P)
if recent "$tools/bin/redis-server"; then exit 0; fi
sh "$(dirname "$0")/debian.sh" "$tools" redis "redis-server redis-tools" "redis-server redis-check-aof redis-cli" ||
	fail "no redis-server >= 7 was found or unpacked"
recent "$tools/bin/redis-server" || fail "the unpacked redis-server does not run: $("$tools/bin/redis-server" --version 2>&1 | tail -n1)"
echo "redis-server $("$tools/bin/redis-server" --version | sed -n 's/.* v=\([^ ]*\).*/\1/p') is ready in .tools/bin"
