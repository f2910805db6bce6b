#!/bin/sh
# debian.sh TOOLS NAME PACKAGES PROGRAMS: unpacks Debian's packages under TOOLS/NAME, with what they need that the system
# lacks, and puts a wrapper for each program into TOOLS/bin. Without root, and without touching the system.
set -eu
[ $# -eq 4 ] || { echo "usage: debian.sh TOOLS NAME PACKAGES PROGRAMS" >&2; exit 2; }
name=$2 packages=$3 programs=$4

fail() {
	echo "debian.sh: $*" >&2
	exit 1
}

for c in apt-get dpkg-deb; do
	command -v $c >/dev/null || fail "no $c to unpack $name with"
done
mkdir -p "$1/bin" || fail "cannot write to $1"
tools=$(cd "$1" && pwd -P)

# A client of apt with lists and cache of its own: it reads which packages the system has, so that only missing ones
# are fetched, and changes nothing there. Hooks of the system's configuration belong to root's apt and are dropped.
work=$(mktemp -d "$tools/$name.XXXXXX")
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
echo "fetching $packages from Debian's packages into .tools"
quietly apt-get -c "$work/apt.conf" update
# shellcheck disable=SC2086 # packages and programs are lists
quietly apt-get -c "$work/apt.conf" install --yes --download-only --reinstall $packages
for deb in "$work"/cache/archives/*.deb; do
	quietly dpkg-deb -x "$deb" "$work/root"
done
rm -rf "${tools:?}/$name"
mv "$work/root" "$tools/$name"

# The wrappers find their libraries from where they lie, so that the tree may be moved.
for program in $programs; do
	cat >"$work/wrapper" <<WRAPPER
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/../$name
for d in "\$root"/usr/lib/*-linux-* "\$root"/lib/*-linux-*; do
	[ -d "\$d" ] && LD_LIBRARY_PATH=\$d\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "\$root"/usr/*bin/"\${0##*/}" "\$@"
WRAPPER
	chmod 755 "$work/wrapper"
	mv "$work/wrapper" "$tools/bin/$program"
done
