#!/bin/sh
# Builds and checks Debian packages of the static binaries: those of the boards whose profile says `package`.
#
#   boards/package/deb.sh build [ARCH ...]    dist/rill_VERSION_ARCH.deb for each, or for all
#   boards/package/deb.sh pack ARCH BINARY    the same from a binary that is there
#   boards/package/deb.sh check [ARCH ...]    lintian on those, whether each is made twice alike, and what systemd, man
#                                             and shells say of unit, pages and completions
set -eu
cd "$(dirname "$0")/../.."

version=${DEB_VERSION:-$(sed -n '/^\[/{/^\[package\]/!q}; s/^version = "\(.*\)"/\1/p' Cargo.toml)}
# What is the same is to be packed the same: nothing of the time or the machine of the build gets in.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}"
export TZ=UTC LC_ALL=C.UTF-8 DPKG_DEB_THREADS_MAX=1
umask 022
maintainer="Rill maintainers <maintainers@rill.invalid>"
source=boards/package

fail() {
	echo "deb: $*" >&2
	exit 1
}

arches() { sed -n 's/^package = "\(.*\)"/\1/p' boards/*.toml | sort; }

# board ARCH: whose binary the package holds.
board() {
	found=$(grep -l "^package = \"$1\"" boards/*.toml) || fail "no board has package = \"$1\"; there are: $(arches | tr '\n' ' ')"
	basename "$found" .toml
}

# Manual pages, completions and the configuration file, in target/package. They are the same for every architecture.
files() {
	"${CARGO:-cargo}" run --quiet --example package-files -- target/package
}

# compressed SOURCE DESTINATION
compressed() {
	mkdir -p "${2%/*}"
	gzip -9n <"$1" >"$2"
}

pack() {
	arch=$1 binary=$2
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	chmod 755 "$root"
	install -D -m 755 "$binary" "$root/usr/bin/rill"
	install -D -m 755 $source/memory-limit "$root/usr/lib/rill/memory-limit"
	install -D -m 644 $source/rill.service "$root/usr/lib/systemd/system/rill.service"
	install -D -m 644 target/package/rill.toml "$root/etc/rill/rill.toml"
	install -D -m 644 target/package/rill.bash "$root/usr/share/bash-completion/completions/rill"
	install -D -m 644 target/package/_rill "$root/usr/share/zsh/vendor-completions/_rill"
	install -D -m 644 target/package/rill.fish "$root/usr/share/fish/vendor_completions.d/rill.fish"
	install -D -m 644 $source/copyright "$root/usr/share/doc/rill/copyright"
	install -D -m 644 $source/lintian-overrides "$root/usr/share/lintian/overrides/rill"
	compressed target/package/rill.1 "$root/usr/share/man/man1/rill.1.gz"
	compressed target/package/rill.toml.5 "$root/usr/share/man/man5/rill.toml.5.gz"
	compressed CHANGELOG.md "$root/usr/share/doc/rill/CHANGELOG.md.gz"
	printf 'rill (%s) unstable; urgency=medium\n\n  * What is new is in CHANGELOG.md.\n\n -- %s  %s\n' \
		"$version" "$maintainer" "$(date -R -d "@$SOURCE_DATE_EPOCH")" >"$root/changelog"
	compressed "$root/changelog" "$root/usr/share/doc/rill/changelog.gz"
	rm "$root/changelog"
	mkdir "$root/DEBIAN"
	for script in postinst prerm postrm; do install -m 755 "$source/$script" "$root/DEBIAN/"; done
	echo /etc/rill/rill.toml >"$root/DEBIAN/conffiles"
	(cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
	# What takes no account of the block size of this machine's file system.
	size=$(find "$root/usr" "$root/etc" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
	cat >"$root/DEBIAN/control" <<-END
		Package: rill
		Version: $version
		Architecture: $arch
		Maintainer: $maintainer
		Installed-Size: $size
		Depends: adduser
		Section: video
		Priority: optional
		Description: live-streaming server for small ARM boards
		 An encoder publishes over RTMP, any number of players on the LAN play it. One
		 thread, and memory that is obtained once at start and never grows.
		 .
		 The program is one static file. The armhf package runs on ARMv6, too: it suits
		 a Raspberry Pi Zero with Raspberry Pi OS.
	END
	chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/conffiles" "$root/DEBIAN/md5sums"
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	mkdir -p dist
	dpkg-deb --root-owner-group -Zxz --build "$root" "dist/rill_${version}_$arch.deb" >/dev/null
	rm -rf "$root"
	trap - EXIT
	echo "deb: dist/rill_${version}_$arch.deb, $(stat -c %s "dist/rill_${version}_$arch.deb") bytes"
}

build() {
	files
	for arch in "$@"; do
		board=$(board "$arch")
		# The C compiler is run anew whenever this is another one.
		(unset SOURCE_DATE_EPOCH && boards/cross.sh build "$board")
		pack "$arch" "dist/rill-$board"
	done
}

check() {
	for arch in "$@"; do
		package=dist/rill_${version}_$arch.deb
		[ -f "$package" ] || fail "$package is missing: make deb"
		# Twice from now: the package that is there may be of an older commit. xz alone takes longer than a second, so the
		# clock shows another time in between.
		pack "$arch" "dist/rill-$(board "$arch")" >/dev/null
		before=$(sha256sum <"$package")
		pack "$arch" "dist/rill-$(board "$arch")" >/dev/null
		[ "$before" = "$(sha256sum <"$package")" ] || fail "$package is another one when it is made again"
		# Only errors count. Warnings are shown.
		lintian --fail-on error "$package"
	done
	# The unit names files that exist only where the package is installed.
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	mkdir -p "$root/etc/systemd/system" "$root/usr/lib/systemd" "$root/usr/lib/rill" "$root/usr/bin" "$root/bin"
	cp $source/rill.service "$root/etc/systemd/system/"
	# What it is ordered by.
	cp -r /lib/systemd/system "$root/usr/lib/systemd/"
	for program in bin/sh usr/bin/rill usr/lib/rill/memory-limit; do install -m 755 /bin/true "$root/$program"; done
	said=$(systemd-analyze verify --man=no --root="$root" rill.service 2>&1) || fail "rill.service: $said"
	if echo "$said" | grep -q rill; then fail "rill.service: $said"; fi
	exposure=$(systemd-analyze security --offline=true --threshold=20 $source/rill.service) || fail "$exposure"
	echo "$exposure" | tail -n 1
	pages
}

# Whether manual pages are ones, and whether each shell takes its completion and completes.
pages() {
	cd target/package
	mandoc -T lint -W error rill.1 rill.toml.5
	completed=$(bash -c '. ./rill.bash; COMP_WORDS=(rill ctl disc) COMP_CWORD=2; _rill; echo "${COMPREPLY[@]}"')
	[ "$completed" = disconnect ] || fail "bash completes 'rill ctl disc' to '$completed'"
	completed=$(zsh -fc 'autoload -U compinit; compinit -u -D; . ./_rill; echo "${_comps[rill]}"')
	[ "$completed" = _rill ] || fail "zsh does not take the completion: '$completed'"
	completed=$(fish --no-config -c '. ./rill.fish; complete -C "rill ctl disc"' | cut -f 1)
	[ "$completed" = disconnect ] || fail "fish completes 'rill ctl disc' to '$completed'"
	echo "deb: manual pages and completions are right"
	cd ../..
}

action=${1:-}
[ $# -eq 0 ] || shift
case $action in
build)
	# One word for each.
	# shellcheck disable=SC2046
	[ $# -gt 0 ] || set -- $(arches)
	build "$@"
	;;
pack)
	[ $# -eq 2 ] || fail "usage: boards/package/deb.sh pack ARCH BINARY"
	files
	pack "$@"
	;;
check)
	# One word for each.
	# shellcheck disable=SC2046
	[ $# -gt 0 ] || set -- $(arches)
	check "$@"
	;;
*) fail "usage: boards/package/deb.sh build [ARCH ...] | pack ARCH BINARY | check [ARCH ...]" ;;
esac
