# Read by build.sh. Debian's packages of any architecture and suite, through an apt of our own: neither the sources nor the
# packages of the machine are touched, and every signature is checked.
# shellcheck shell=sh

# The archive that the machine's own apt uses, unless DEBIAN_MIRROR names one.
mirror() {
	found=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null |
		grep -v security | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')}
	echo "${found:-http://deb.debian.org/debian}"
}

# debs SUITE ARCH PACKAGE...: prints the paths of the packages' files, which are fetched once. A package without content,
# like linux-image-arm64, stands for the one that it depends on.
debs() {
	suite_=$1 arch_=$2
	shift 2
	apt=$cache/apt/$suite_-$arch_
	export APT_CONFIG=$apt/apt.conf
	mkdir -p "$apt/etc/apt.conf.d" "$apt/etc/preferences.d" "$apt/state/lists/partial" "$apt/cache/archives/partial"
	# What is newest is asked twice a day.
	if [ ! -e "$apt/fresh" ] || [ -n "$(find "$apt/fresh" -mmin +720)" ]; then
		: >"$apt/status"
		from=$(APT_CONFIG='' mirror)
		for each in $(echo "${suite_%-backports} $suite_" | tr ' ' '\n' | sort -u); do
			echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from $each main non-free-firmware"
		done >"$apt/etc/sources.list"
		cat >"$apt/apt.conf" <<-END
			APT::Architecture "$arch_"; APT::Architectures { "$arch_"; };
			APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3";
			Dir::Etc "$apt/etc"; Dir::Etc::parts "apt.conf.d"; Dir::Etc::trustedparts "/nonexistent";
			Dir::State "$apt/state"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
		END
		apt-get -qq update >&2
		touch "$apt/fresh"
	fi
	for package in "$@"; do
		case $package in linux-image-[a-z]*)
			real=$(apt-cache -t "$suite_" show --no-all-versions "$package" | sed -n 's/^Depends: //p' |
				grep -o 'linux-image-[0-9][^ ,]*' | head -1)
			package=${real:-$package}
			;;
		esac
		file=$(apt-get -qq -t "$suite_" download --print-uris "$package" | cut -d' ' -f2)
		[ -n "$file" ] || { echo "image: $suite_ has no package $package for $arch_" >&2; return 1; }
		[ -e "$apt/cache/$file" ] || (cd "$apt/cache" && apt-get -qq -t "$suite_" download "$package" >&2)
		echo "$apt/cache/$file"
	done
	unset APT_CONFIG
}
