#!/bin/sh
# Installs h11 and websockets, Python's second opinion on heads of HTTP and a client of WebSockets, and schemathesis, which asks what an
# OpenAPI file describes, into a virtual environment.
#
#   tests/support/python-web.sh [DIRECTORY]        default: target/tools/python-web
#
# The interpreter that has them is DIRECTORY/bin/python. Does nothing when it is there. Needs python3 with venv (Debian: python3-venv)
# and, the first time, the network.
set -eu

h11_version=0.16.0
websockets_version=15.0.1
schemathesis_version=4.32.5
cd "$(dirname "$0")/../.."
directory=${1:-target/tools/python-web}
works() { "$directory/bin/python" -c 'import h11, websockets, schemathesis' >/dev/null 2>&1; }
! works || exit 0

# A virtual environment cannot be moved, so a half-made one is made anew.
rm -rf "$directory"
trap 'exit 1' HUP INT TERM
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --disable-pip-version-check \
	"h11==$h11_version" "websockets==$websockets_version" "schemathesis==$schemathesis_version"
works || {
	echo "python-web: was installed and does not run" >&2
	exit 1
}
