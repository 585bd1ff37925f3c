#!/bin/sh
# Builds, checks and tests the static binary of a board. What is known of boards stands in boards/*.toml.
#
#   boards/cross.sh deps             installs what the Debian way needs, where that can be done
#   boards/cross.sh build BOARD      builds dist/rill-BOARD and checks it
#   boards/cross.sh appliance BOARD  builds dist/appliance-BOARD, which images hold beside it
#   boards/cross.sh tools BOARD      prints the way and the versions of compiler and linker that build takes
#   boards/cross.sh test BOARD       publishes and plays with real clients against that binary, under qemu-user
#
# Three ways lead to the binary; the first that works here is taken, or the one that CROSS names:
#
#   cross     the crate of that name, when a container engine answers
#   debian    Debian's rustc and sources of std, std built for size, linked by zig: the smallest binary
#   rustup    a rustup target, linked by zig
set -eu
cd "$(dirname "$0")/.."

# The whole server, scripts, the web side and recordings included, has to fit beside a kernel on the smallest image. Scripts and RTMP
# alone were held to 2 MiB, all of it before diagnosis and the tables for programs to 2.5, before relays, TLS and what administrators
# do over HTTP to 2.56. What servers say to each other in TLS, the public authorities, hooks, edges and programmes came since. The
# machine outliner would take another 100 kB off: with it a script's date was wrong on ARMv6 (the sample reject-with-object).
size_limit=3407872
tools=$PWD/target/cross-tools
# The second is where pip puts programs that go to the user's own.
PATH=$tools/bin:$PATH:$(python3 -m site --user-base 2>/dev/null || echo "$HOME/.local")/bin

fail() {
	echo "cross: $*" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# fact KEY: the string that boards/$board.toml gives for KEY, before its first table.
fact() {
	value=$(sed -n "/^\[/q; s/^$1 *= *\"\([^\"]*\)\".*/\1/p" "boards/$board.toml")
	[ -n "$value" ] || fail "boards/$board.toml says no $1"
	echo "$value"
}

# A client without its engine is common, and a dead engine hangs.
engine() {
	for client in docker podman; do
		if has $client && timeout 10 $client info >/dev/null 2>&1; then return 0; fi
	done
	return 1
}

zig() { has cargo-zigbuild && { has zig || python3 -m ziglang version >/dev/null 2>&1; }; }

# Says where PyPI's libclang is. For 32-bit boards bindgen makes the bindings of QuickJS, and reads its headers with that.
libclang() {
	for python in "$tools/bin/python" python3; do
		if "$python" -c 'import clang.native; print(clang.native.__path__[0])' 2>/dev/null; then return; fi
	done
	return 1
}

# Whether rustup has the target, or can get it.
rustup_target() {
	has rustup || return 1
	rustup target list --installed 2>/dev/null | grep -qx "$target" || timeout 120 rustup target add "$target" >/dev/null 2>&1
}

debian_rust() { [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; }

way() {
	if [ -n "${CROSS:-}" ]; then echo "$CROSS"
	elif has cross && engine; then echo cross
	elif zig && debian_rust; then echo debian
	elif zig && rustup_target; then echo rustup
	else
		fail "nothing here builds for $target. Any one of these is enough:
  a container engine, and cargo install cross
  rustup target add $target, and pip install $zig_packages
  on Debian: make cross-deps"
	fi
}

# The versions that the sizes were measured with.
zig_packages="cargo-zigbuild==0.24.0 ziglang==0.17.1 libclang==18.1.1"

deps() {
	tests/deps.sh cross
	if zig && libclang >/dev/null; then return; fi
	# A virtual environment of the checkout, so that nothing is left on the machine. Where Python comes without the
	# means to make one, the packages go to the user's own.
	# shellcheck disable=SC2086
	if python3 -m venv "$tools" >/dev/null 2>&1; then
		"$tools/bin/pip" install --quiet --disable-pip-version-check $zig_packages
	else
		rm -rf "$tools"
		python3 -m pip install --quiet --user $zig_packages 2>/dev/null ||
			python3 -m pip install --quiet --user --break-system-packages $zig_packages
	fi
	zig || fail "cargo-zigbuild and zig were installed and do not run"
	libclang >/dev/null || fail "libclang was installed and is not there"
}

# build BINARY DIRECTORY: BINARY of the package that DIRECTORY belongs to.
build() {
	binary=$1
	target=$(fact target)
	way=$(way)
	echo "cross: $board is $target, built by $way"
	begin=$(date +%s)
	# Profiles that are embedded are watched; one that is new is not yet.
	[ "boards/$board.toml" -ot build.rs ] || touch build.rs
	# Without it bindgen looks where distributions put theirs.
	if [ -z "${LIBCLANG_PATH:-}" ] && LIBCLANG_PATH=$(libclang); then export LIBCLANG_PATH; fi
	# Two compilers that share a target directory would build everything anew at each change between them.
	directory=$(realpath -m "${CARGO_TARGET_DIR:-target}")
	# So would two targets that are built side by side, if they did not wait for each other.
	if [ "$way" = debian ]; then directory=$PWD/target/debian/$target; fi
	# Panic messages contain the path of the sources. The same commit must give the same file in any directory of any user.
	flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/rill"
	# A panic aborts, so nobody reads how a stack is unwound: 30 kB and more.
	flags="$flags -Cforce-unwind-tables=no"
	# Opt-level "z" inlines next to nothing, but what is marked for it, as much of std is, it takes if it is many times as large.
	flags="$flags -Cllvm-args=-inlinehint-threshold=20"
	# SHA-256 is for handshakes alone.
	flags="$flags --cfg=sha2_backend_soft=\"compact\""
	# The last is why `.cargo/config.toml` has flags, too, which these take the place of.
	export CFLAGS="-fno-unwind-tables -fno-asynchronous-unwind-tables -D__SANITIZE_ADDRESS__"
	# Zig names its headers by a relative path when they lie below the working directory. bindgen needs them from another,
	# so zig is started where nothing lies below.
	case $way in
	cross) (cd "$2" && cross build --profile board --bin "$binary" --target "$target" --target-dir "$directory") ;;
	rustup)
		(cd "$2" && RUSTFLAGS=$flags cargo zigbuild --profile board --bin "$binary" --target "$target" --target-dir "$directory")
		;;
	debian)
		# The start files of C are zig's, since Debian has none for musl. rustup's shims come first in many PATHs and
		# are another version. RUSTC_BOOTSTRAP is what building std takes outside of a nightly.
		(
			zigbuild=$(command -v cargo-zigbuild)
			export PATH="${zigbuild%/*}:/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
			export RUSTFLAGS="-Clink-self-contained=no -Zfmt-debug=shallow $flags"
			cd "$2" && /usr/bin/cargo zigbuild --profile board --bin "$binary" --target "$target" --target-dir "$directory" \
				-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
		)
		;;
	*) fail "CROSS=$way: must be cross, rustup or debian" ;;
	esac
	# std as it comes, which these ways link, is not built for size: 160 to 170 kB more.
	if [ "$way" != debian ]; then size_limit=$((size_limit + 262144)); fi
	mkdir -p dist
	cp "$directory/$target/board/$binary" "dist/$binary-$board"
	echo "cross: built in $(($(date +%s) - begin)) s"
	check "dist/$binary-$board"
}

# Errors that only show on the board: a loader or library that it lacks, or instructions that it lacks.
check() {
	has readelf || fail "readelf is missing (Debian: binutils)"
	if readelf -lW "$1" | grep -q INTERP || readelf -dW "$1" | grep -q NEEDED; then fail "$1 is not static"; fi
	case $target in
	arm-*) wanted='Tag_CPU_arch: v6\(K\|KZ\|T2\)\{0,1\}$' ;;
	armv7*) wanted='Tag_CPU_arch: v7$' ;;
	*) wanted="Machine: *$(echo "${target%%-*}" | sed 's/aarch64/AArch64/; s/x86_64/.*X86-64/')" ;;
	esac
	if ! readelf -hAW "$1" | grep -q "$wanted"; then
		readelf -hAW "$1" | grep -E 'Machine:|Tag_CPU_arch:' >&2
		fail "$1 is not for $target"
	fi
	size=$(wc -c <"$1")
	echo "cross: $1 is static, for $target, $size bytes of $size_limit"
	[ "$size" -le $size_limit ] || fail "$1 is larger than $size_limit bytes"
}

tools() {
	target=$(fact target)
	way=$(way)
	compiler=rustc
	[ "$way" != debian ] || compiler=/usr/bin/rustc
	echo "way: $way"
	$compiler --version
	[ "$way" != cross ] || { cross --version 2>/dev/null | head -n 1; return; }
	cargo-zigbuild --version
	echo "zig $("$tools/bin/python" -m ziglang version 2>/dev/null || python3 -m ziglang version 2>/dev/null || zig version)"
}

# The server starts itself once more where there are scripts, so the kernel has to know what runs it. What was not registered
# before is not afterwards; a container's kernel may refuse, and then tests with scripts fail.
register() {
	binfmt=/proc/sys/fs/binfmt_misc
	if "$binary" -V >/dev/null 2>&1; then return; fi
	[ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt
	case $arch in
	arm) class='\x01' machine='\x28' ;;
	*) class='\x02' machine='\xb7' ;;
	esac
	zeros='\x00\x00\x00\x00\x00\x00\x00\x00'
	ones='\xff\xff\xff\xff\xff\xff\xff\xff'
	printf '%s' ":rill-test:M::\x7fELF$class\x01\x01\x00$zeros\x02\x00$machine\x00:\xff\xff\xff\xff\xff\xff\xff\x00$ones\xfe\xff\xff\xff:$(command -v "$qemu"):F" >$binfmt/register
	trap 'echo -1 >$binfmt/rill-test' EXIT
}

try() {
	target=$(fact target)
	binary=$PWD/dist/rill-$board
	[ -x "$binary" ] || fail "$binary is missing: make cross BOARD=$board"
	case $target in
	arm*) arch=arm ;;
	*) arch=${target%%-*} ;;
	esac
	for qemu in qemu-$arch-static qemu-$arch; do
		if has "$qemu"; then break; fi
	done
	has "$qemu" || fail "qemu-$arch-static is missing (Debian: qemu-user-static)"
	# Without a CPU, QEMU takes one that knows everything, and hides a binary for another board.
	runner="$qemu -cpu $(fact cpu)"
	$runner "$binary" -V
	register
	RILL_BIN=$binary RILL_RUNNER=$runner cargo test --test clients
}

action=${1:-}
board=${2:-}
case $action in
deps) deps ;;
build | appliance | tools | test)
	[ -f "boards/$board.toml" ] || fail "no board '$board': BOARD is one of $(cd boards && echo *.toml | sed 's/\.toml//g')"
	case $action in
	build) build rill boards ;;
	appliance) build appliance boards/appliance ;;
	tools) tools ;;
	test) try ;;
	esac
	;;
*) fail "usage: boards/cross.sh deps | build BOARD | appliance BOARD | tools BOARD | test BOARD" ;;
esac
