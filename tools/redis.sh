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
mkdir -p "$1/.tools/bin" || fail "cannot write to $1"
tools=$(cd "$1/.tools" && pwd -P)
if recent "$tools/bin/redis-server"; then exit 0; fi
for c in apt-get dpkg-deb; do
	command -v $c >/dev/null || fail "no redis-server >= 7 found, and no $c to unpack one with"
done

# A client of apt with lists and cache of its own: it reads which packages the system has, so that only missing ones
# are fetched, and changes nothing there. Hooks of the system's configuration belong to root's apt and are dropped.
work=$(mktemp -d "$tools/redis.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
cat >"$work/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Log "$work";
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
CONF
# apt-get update warns of a server out of reach and succeeds; the first complaint of all is the cause.
quietly() { "$@" >>"$work/log" 2>&1 || fail "$1 failed: $(grep -m1 '^[EW]:' "$work/log" || tail -n1 "$work/log")"; }
echo "fetching redis-server from Debian's packages into .tools"
quietly apt-get -c "$work/apt.conf" update
quietly apt-get -c "$work/apt.conf" install --yes --download-only --reinstall redis-server redis-tools
for deb in "$work"/cache/archives/*.deb; do
	quietly dpkg-deb -x "$deb" "$work/root"
done
rm -rf "$tools/redis"
mv "$work/root" "$tools/redis"

# The wrappers find their libraries from where they lie, so that the tree may be moved.
for program in redis-server redis-check-aof redis-cli; do
	cat >"$work/wrapper" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../redis
for d in "$root"/usr/lib/*-linux-* "$root"/lib/*-linux-*; do
	[ -d "$d" ] && LD_LIBRARY_PATH=$d${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/${0##*/}" "$@"
WRAPPER
	chmod 755 "$work/wrapper"
	mv "$work/wrapper" "$tools/bin/$program"
done
recent "$tools/bin/redis-server" || fail "the unpacked redis-server does not run: $("$tools/bin/redis-server" --version 2>&1 | tail -n1)"
echo "redis-server $("$tools/bin/redis-server" --version | sed -n 's/.* v=\([^ ]*\).*/\1/p') is ready in .tools/bin"
