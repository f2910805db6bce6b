#!/bin/sh
# install.sh DIR: puts the peers of package-lock.json into DIR/node_modules, and programs of Debian into DIR/bin, unless they
# are there already. Others of the system are only looked for.
set -eu
[ $# -eq 1 ] || { echo "usage: install.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)

for c in node npm; do
	command -v $c >/dev/null || { echo "the peers need node 18 or newer with npm (on Debian 12: apt install nodejs npm)" >&2; exit 1; }
done
command -v openssl >/dev/null || { echo "the peers need openssl 3 (on Debian 12: apt install openssl)" >&2; exit 1; }
mkdir -p "$1"
dir=$(cd "$1" && pwd -P) # npm takes a link for another package
# need NAME PACKAGES PROGRAMS: the first program tells whether they are there.
need() {
	first=${3%% *}
	command -v "$first" >/dev/null || [ -x "$dir/bin/$first" ] || sh "$here/../debian.sh" "$dir" "$1" "$2" "$3" ||
		{ echo "the peers need $first (on Debian 12: apt install $2)" >&2; exit 1; }
}
need xml libxml2-utils xmllint
need mosquitto mosquitto "mosquitto mosquitto_passwd"
need wireshark "tshark wireshark-common" "tshark text2pcap"
need kannel kannel "bearerbox smsbox"
need osmocom osmo-msc osmo-msc
[ "$dir/nosctp.so" -nt "$here/nosctp.c" ] || cc -shared -fPIC -o "$dir/nosctp.so" "$here/nosctp.c" ||
	{ echo "the peers need a C compiler (on Debian 12: apt install gcc libc6-dev)" >&2; exit 1; }
# The lock is copied last: where it is, the packages are whole.
if cmp -s "$here/package-lock.json" "$dir/installed.json"; then exit 0; fi
rm -f "$dir/installed.json"
cp "$here/package.json" "$here/package-lock.json" "$dir/"
npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error
cp "$here/package-lock.json" "$dir/installed.json"
