#!/bin/sh
# Writes boards/image/packages/SUITE-ARCH: which of Debian's packages the images are made of, one a line:
#
#   NAME PATH-IN-THE-ARCHIVE SHA256
#
# below a line that says by which day's archive that is (snapshot.debian.org has every day's).
#
# Images are made of these files and no others, so that the same commit makes the same image, on any day and by any mirror.
# This is how they become newer ones. An apt of our own asks Debian's index, whose signature it checks; neither the sources
# nor the packages of the machine are touched.
# shellcheck disable=SC2154
set -eu
cd "$(dirname "$0")/../.."
here=$PWD/boards/image
cache=${IMAGE_CACHE:-$PWD/target/image}/index
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=boards/image/debs.sh
. "$here/debs.sh"

# index SUITE ARCH: makes apt speak of that.
index() {
	apt=$cache/$1-$2
	mkdir -p "$apt/etc/apt.conf.d" "$apt/etc/preferences.d" "$apt/state/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	from=$(mirror)
	for each in $(echo "${1%-backports} $1" | tr ' ' '\n' | sort -u); do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from $each main non-free-firmware"
	done >"$apt/etc/sources.list"
	cat >"$apt/apt.conf" <<-END
		APT::Architecture "$2"; APT::Architectures { "$2"; };
		APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3";
		Dir::Etc "$apt/etc"; Dir::Etc::parts "apt.conf.d"; Dir::Etc::trustedparts "/nonexistent";
		Dir::State "$apt/state"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
	END
	export APT_CONFIG="$apt/apt.conf"
	# A mirror that is being renewed has an index that does not fit its signature. What is locked stays as it is then.
	apt-get -qq update || { echo "image: the index of $1 for $2 cannot be had from $from now; try later, or another DEBIAN_MIRROR" >&2; exit 1; }
}

show() { apt-cache -t "$1" show --no-all-versions "$2" 2>/dev/null; }

# lock SUITE NAME [PACKAGE]: prints the line of NAME, which PACKAGE stands for.
lock() {
	said=$(show "$1" "${3:-$2}")
	[ -n "$said" ] || { echo "image: $1 has no package ${3:-$2}" >&2; return 1; }
	echo "$2 $(echo "$said" | sed -n 's/^Filename: //p') $(echo "$said" | sed -n 's/^SHA256: //p')"
}

for profile in boards/*.toml; do
	grep -q '^\[image\]' "$profile" || continue
	facts=$(python3 "$here/facts.py" "$(basename "$profile" .toml)")
	eval "$facts"
	[ -e "$work/$suite-$arch" ] || { index "$suite" "$arch" && : >"$work/$suite-$arch"; }
	export APT_CONFIG="$cache/$suite-$arch/apt.conf"
	{
		# Without content, it stands for the one that it depends on.
		real=$(show "$suite" "$kernel" | sed -n 's/^Depends: //p' | grep -o 'linux-image-[0-9][^ ,]*' | head -1)
		lock "$suite" "$kernel" "$real"
		# From 7.x on, Debian's kernels are split.
		for part in $(show "$suite" "$real" | sed -n 's/^Depends: //p' | grep -o 'linux-\(binary\|modules\|base\)-[0-9][^ ,]*'); do
			lock "$suite" "$part"
		done
		lock "$suite" busybox-static
		[ -z "$firmware" ] || lock "$suite" raspi-firmware
		if [ -n "$wifi_firmware" ]; then
			# iw is not in the image, but tests it.
			for package in wpasupplicant firmware-brcm80211 wireless-regdb iw; do lock "$suite" "$package"; done
			# Which of these libraries the program names is seen when the image is made.
			for library in $(apt-cache -t "$suite" depends --recurse --no-recommends --no-suggests --no-conflicts \
				--no-breaks --no-replaces --no-enhances wpasupplicant | grep '^z\{0,1\}lib' | sort -u); do
				[ -z "$(show "$suite" "$library")" ] || lock "$suite" "$library"
			done
		fi
	} >>"$work/$suite-$arch"
done
for list in "$work"/*; do
	LC_ALL=C sort -u -o "$list" "$list"
	released=$(sed -n 's/^Date: //p' "$cache/$(basename "$list")"/state/lists/*Release |
		while read -r each; do date -u -d "$each" +%s; done | sort -n | tail -1)
	# A day later it is there for certain.
	{ date -u -d "@$((released + 86400))" '+# snapshot %Y%m%dT000000Z' && cat "$list"; } \
		>"$here/packages/$(basename "$list")"
	echo "image: boards/image/packages/$(basename "$list"): $(wc -l <"$list") packages"
done
