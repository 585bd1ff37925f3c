#!/usr/bin/env bash
# Builds and runs the fuzz targets with the toolchain that builds the server. `fuzz.sh run [TARGET...]` runs each for
# FUZZ_SECONDS (60); what it finds goes to fuzz/found, what fails to fuzz/artifacts. `fuzz.sh keep [TARGET...]` adds to
# fuzz/corpus what of it reaches new code and is short.
set -euo pipefail
cd "$(dirname "$0")"

# cargo-fuzz calls the compiler with the coverage that libFuzzer needs. Without a sanitizer it needs no nightly one: Rust
# finds what a sanitizer would, but for `unsafe`, of which the targets reach little beside the script engine.
VERSION=0.13.1
TARGET_DIR=../target/fuzz
# Longer inputs are found all the same, but do not help.
KEEP_BYTES=600

what=${1:-run}
shift || true
if [ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $VERSION" ]; then
	cargo install --quiet --locked --version "$VERSION" cargo-fuzz
fi
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
cargo fuzz build --sanitizer none --target-dir "$TARGET_DIR"
binaries=$TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release

status=0
for target in "${targets[@]}"; do
	mkdir -p "found/$target" "artifacts/$target"
	case $what in
	run)
		echo "=== $target"
		# The first directory is the one that is written to.
		"$binaries/$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=20 -max_len=4096 -print_final_stats=1 \
			-artifact_prefix="artifacts/$target/" "found/$target" "corpus/$target" >"found/$target.log" 2>&1 || status=1
		grep -v -e '^#' -e '^INFO:' "found/$target.log"
		;;
	keep)
		merged=$(mktemp -d)
		find "found/$target" -type f -size "+${KEEP_BYTES}c" -delete
		cp "corpus/$target"/* "$merged"
		# Edges, not how often each is passed: a corpus that is run with every test is short.
		"$binaries/$target" -merge=1 -use_counters=0 "$merged" "found/$target" 2>/dev/null
		cp --update=none "$merged"/* "corpus/$target"
		rm -r "$merged"
		echo "$target: $(ls "corpus/$target" | wc -l) inputs"
		;;
	*)
		echo "usage: fuzz.sh run|keep [TARGET...]" >&2
		exit 2
		;;
	esac
done
exit $status
