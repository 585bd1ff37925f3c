# Read by build.sh and lock-packages.sh. Debian's packages of any architecture and suite.
# shellcheck shell=sh disable=SC2154

# The archive that the machine's own apt uses, unless DEBIAN_MIRROR names one.
mirror() {
	found=${DEBIAN_MIRROR:-$(APT_CONFIG='' apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null |
		grep -v security | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')}
	echo "${found:-http://deb.debian.org/debian}" | sed 's,/*$,,'
}

# The archive as it was on a day. It still has what Debian has replaced by something newer.
SNAPSHOT=https://snapshot.debian.org/archive/debian

# debs SUITE ARCH NAME...: prints the paths of the packages' files, which are fetched once. Which file it is, is locked.
debs() {
	list=$here/packages/$1-$2
	shift 2
	mkdir -p "$cache/packages"
	day=$(sed -n 's/^# snapshot //p' "$list")
	for package in "$@"; do
		entry=$(grep "^$package " "$list") ||
			{ echo "image: $list does not name $package: make image-packages" >&2; return 1; }
		path=$(echo "$entry" | cut -d' ' -f2) sum=$(echo "$entry" | cut -d' ' -f3)
		file=$cache/packages/$(basename "$path")
		if ! echo "$sum  $file" | sha256sum --check --status 2>/dev/null; then
			rm -f "$file.new"
			for from in "$(mirror)" "$SNAPSHOT/$day"; do
				! /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="" -o Acquire::Retries=3 download-file \
					"$from/$path" "$file.new" "SHA256:$sum" >&2 || break
			done
			[ -e "$file.new" ] || { echo "image: $path cannot be fetched" >&2; return 1; }
			mv "$file.new" "$file"
		fi
		echo "$file"
	done
}
