#!/bin/sh
# Installs Node-Media-Server, which tests/clients has for a far end, as its package-lock.json pins it.
#
#   tests/support/node-media-server.sh [DIRECTORY]        default: target/tools/node-media-server
#
# Does nothing when it is there. Needs node and npm and, the first time, the network.
set -eu

cd "$(dirname "$0")/../.."
pinned=tests/support/node-media-server
directory=${1:-target/tools/node-media-server}
! cmp -s "$pinned/package-lock.json" "$directory/installed" || exit 0
mkdir -p "$directory"
cp "$pinned/package.json" "$pinned/package-lock.json" "$directory"
# Nothing here has to be built, and no package may run a program of its own.
npm ci --prefix "$directory" --no-audit --no-fund --ignore-scripts --loglevel=error
cp "$pinned/package-lock.json" "$directory/installed"
