#!/bin/sh
# Installs what the browser tests take from npm, as package-lock.json pins it.
#
#   tests/browser/tools.sh [DIRECTORY]        default: target/tools/browser
#
# Does nothing when it is there. Needs node and npm and, the first time, the network.
set -eu

cd "$(dirname "$0")/../.."
directory=${1:-target/tools/browser}
! cmp -s tests/browser/package-lock.json "$directory/installed" || exit 0
mkdir -p "$directory"
cp tests/browser/package.json tests/browser/package-lock.json "$directory"
# Nothing here has to be built, and no package may run a program of its own.
npm ci --prefix "$directory" --no-audit --no-fund --ignore-scripts --loglevel=error
cp tests/browser/package-lock.json "$directory/installed"
