#!/bin/sh
# Installs Python's bindings of librtmp, a client that calls remote methods, into a virtual environment.
#
#   tests/support/python-librtmp.sh [DIRECTORY]        default: target/tools/python-librtmp
#
# The interpreter that has them is DIRECTORY/bin/python. Does nothing when it is there. PyPI has the sources alone: needs
# python3 with venv and headers, a C compiler and librtmp (Debian: python3-venv, python3-dev, gcc, librtmp-dev) and, the
# first time, the network.
set -eu

version=0.3.0
cffi_version=2.1.1 # in it the bindings are written; later ones may drop what a package of 2015 uses
cd "$(dirname "$0")/../.."
directory=${1:-target/tools/python-librtmp}
works() { "$directory/bin/python" -c 'import librtmp' >/dev/null 2>&1; }
! works || exit 0

# A virtual environment cannot be moved, so a half-made one is made anew.
rm -rf "$directory"
trap 'exit 1' HUP INT TERM
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --disable-pip-version-check "cffi==$cffi_version" "python-librtmp==$version"
works || {
	echo "python-librtmp: was installed and does not run" >&2
	exit 1
}
"$directory/bin/python" -c 'import librtmp; print("python-librtmp", librtmp.__version__)'
