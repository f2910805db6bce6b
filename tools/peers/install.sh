#!/bin/sh
# install.sh DIR: puts the peers of package-lock.json into DIR/node_modules, xmllint and mosquitto into DIR/bin, unless they
# are there already. Others of the system are only looked for.
set -eu
[ $# -eq 1 ] || { echo "usage: install.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)

for c in node npm; do
	command -v $c >/dev/null || { echo "the peers need node 18 or newer with npm (on Debian 12: apt install nodejs npm)" >&2; exit 1; }
done
command -v openssl >/dev/null || { echo "the peers need openssl 3 (on Debian 12: apt install openssl)" >&2; exit 1; }
mkdir -p "$1"
command -v xmllint >/dev/null || [ -x "$1/bin/xmllint" ] || sh "$here/../debian.sh" "$1" xml libxml2-utils xmllint ||
	{ echo "the peers need xmllint (on Debian 12: apt install libxml2-utils)" >&2; exit 1; }
command -v mosquitto >/dev/null || [ -x "$1/bin/mosquitto" ] ||
	sh "$here/../debian.sh" "$1" mosquitto mosquitto "mosquitto mosquitto_passwd" ||
	{ echo "the peers need mosquitto (on Debian 12: apt install mosquitto)" >&2; exit 1; }
# The lock is copied last: where it is, the packages are whole.
if cmp -s "$here/package-lock.json" "$1/installed.json"; then exit 0; fi
rm -f "$1/installed.json"
cp "$here/package.json" "$here/package-lock.json" "$1/"
npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error
cp "$here/package-lock.json" "$1/installed.json"
