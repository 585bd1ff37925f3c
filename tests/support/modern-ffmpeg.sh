#!/bin/sh
# Fetches a recent static ffmpeg, which speaks Enhanced RTMP, from PyPI: the wheel of imageio-ffmpeg carries one.
#
#   tests/support/modern-ffmpeg.sh [FILE]        default: target/tools/ffmpeg
#
# Does nothing when the file is there. Needs python3 with pip (Debian: python3-pip) and, the first time, the network.
set -eu

version=0.8.1
cd "$(dirname "$0")/../.."
file=${1:-target/tools/ffmpeg}
[ ! -x "$file" ] || exit 0

directory=$(dirname "$file")
mkdir -p "$directory"
work=$(mktemp -d "$directory/wheel.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
	"imageio-ffmpeg==$version"
python3 -m zipfile -e "$work"/*.whl "$work"
mv "$work"/imageio_ffmpeg/binaries/ffmpeg-* "$work/ffmpeg"
chmod 755 "$work/ffmpeg"
"$work/ffmpeg" -hide_banner -version | head -n 1
# Last, so that a half-fetched one is never taken for the real one.
mv "$work/ffmpeg" "$file"
