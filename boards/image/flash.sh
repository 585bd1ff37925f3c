#!/bin/sh
# Writes a board's image to a card: shows what will be overwritten, asks, writes, and reads it back.
#
#   boards/image/flash.sh BOARD DEV      WIFI=1 takes the image with Wi-Fi
#
# It refuses whatever does not look like a card: what is mounted or in use, what is not removable, what is too small for the
# image, and what is larger than most cards are (LARGEST_GIB=1024 allows more). FLASH_TEST=1 lets a plain file be the card,
# which is how this is tested.
set -eu
cd "$(dirname "$0")/../.."
board=${1:?usage: boards/image/flash.sh BOARD DEV}
device=${2:?usage: boards/image/flash.sh BOARD DEV}
# Beyond, a disk is more likely than a card.
largest=${LARGEST_GIB:-256}
name=rill-$board
[ "${WIFI:-0}" = 0 ] || name=$name-wifi
image=dist/$name.img.zst
PATH=$PATH:/usr/sbin:/sbin

fail() {
	echo "flash: $*" >&2
	exit 1
}

# Fails when the device, or one of its partitions, is in use.
unused() {
	for each in "$system" "$system/$short"*; do
		[ -e "$each/dev" ] || continue
		part=/dev/${each##*/}
		if grep -q "^$part " /proc/mounts || awk -v d="$(cat "$each/dev")" '$3 == d { found = 1 } END { exit !found }' /proc/self/mountinfo; then
			fail "$part is mounted: unmount it first"
		fi
		! grep -q "^$part " /proc/swaps || fail "$part is swap"
		[ -z "$(ls -A "$each/holders" 2>/dev/null)" ] || fail "$part is in use by $(ls "$each/holders")"
	done
}

command -v zstd >/dev/null 2>&1 || fail "zstd is missing"
[ -e "$image" ] || fail "$image is missing: make image BOARD=$board"
# The image itself, as it was built, says what it should be.
wanted=$(sed -n "s/  $name\.img\$//p" "dist/$name.img.sha256")
[ "$(zstd -qdc "$image" | sha256sum | cut -d' ' -f1)" = "$wanted" ] || fail "$image is damaged: make image BOARD=$board"
needed=$(zstd -qdc "$image" | wc -c)

[ -e "$device" ] || fail "there is no $device"
device=$(realpath "$device")
if [ -n "${FLASH_TEST:-}" ] && [ -f "$device" ]; then
	bytes=$(stat -c %s "$device")
	what="a file"
else
	[ -b "$device" ] || fail "$device is no block device"
	short=${device##*/}
	system=/sys/class/block/$short
	[ -d "$system" ] || fail "$device is unknown to the kernel"
	if [ -e "$system/partition" ]; then
		fail "$device is a partition; the card is /dev/$(basename "$(realpath "$system/..")")"
	fi
	unused
	bytes=$(($(cat "$system/size") * 512))
	# Card readers that are built in are not removable by the kernel's word, though their cards are.
	if [ "$(cat "$system/removable")" != 1 ] && [ "$(cat "$system/device/type" 2>/dev/null)" != SD ]; then
		fail "$device is not removable: it is no card"
	fi
	[ "$(cat "$system/ro")" = 0 ] || fail "$device is write-protected: see the switch at the card's side"
	what="$(cat "$system/device/vendor" "$system/device/model" "$system/device/name" 2>/dev/null | tr -s ' \n' ' ')"
fi
mib() { echo "$(($1 >> 20)) MiB"; }
[ "$bytes" -ge "$needed" ] || fail "$device has $(mib "$bytes"), and the image needs $(mib "$needed")"
[ $((bytes >> 30)) -le "$largest" ] ||
	fail "$device has $(mib "$bytes"), more than most cards, and is left alone (LARGEST_GIB=$(((bytes >> 30) + 1)) if it is one)"

echo "$name.img, $(mib "$needed"), goes to $device: $what, $(mib "$bytes"). It holds now:"
holds=$(lsblk -o NAME,SIZE,FSTYPE,LABEL "$device" 2>/dev/null || sfdisk -l "$device" 2>/dev/null | grep "^$device" || :)
echo "${holds:-nothing that is known}" | sed 's/^/  /'
printf 'ALL OF IT WILL BE LOST. Type yes to go on: '
read -r answer || answer=
[ "$answer" = yes ] || fail "nothing was written"
# Meanwhile a desktop may have mounted it.
[ -f "$device" ] || unused

# What dd writes past the system's cache, the progress is true of.
direct=oflag=direct
if [ -f "$device" ]; then direct=; fi
# shellcheck disable=SC2086
zstd -qdc "$image" | dd of="$device" bs=1M iflag=fullblock conv=notrunc,fsync status=progress $direct
echo "Reading it back ..."
[ -f "$device" ] || blockdev --flushbufs "$device"
[ "$(head -c "$needed" "$device" | sha256sum | cut -d' ' -f1)" = "$wanted" ] ||
	fail "$device does not hold what was written: the card or its reader is broken"
[ -f "$device" ] || blockdev --rereadpt "$device" 2>/dev/null || :
echo "Done. Settings are in rill.toml on its partition BOOT. Put the card in the board, and switch it on."
