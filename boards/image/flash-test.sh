#!/bin/sh
# Tests flash.sh with files and, as root, with loop devices: what it refuses, and that it writes what it should.
set -eu
cd "$(dirname "$0")/../.."
board=flash-test
work=$(mktemp -d)
loop=
trap 'umount "$work/mounted" 2>/dev/null || :; [ -z "$loop" ] || losetup -d "$loop"; rm -rf "$work" dist/rill-$board.*' EXIT
mkdir -p dist
head -c 3145728 /dev/urandom >dist/rill-$board.img
zstd -qf dist/rill-$board.img -o dist/rill-$board.img.zst
(cd dist && sha256sum rill-$board.img rill-$board.img.zst >rill-$board.img.sha256)

passed=0
# flash ANSWER DEVICE, its output in $said
flash() { said=$(echo "$1" | FLASH_TEST=1 boards/image/flash.sh $board "$2" 2>&1); }
refuses() { # WHY ANSWER DEVICE
	if flash "$2" "$3"; then echo "flash-test: $3 was not refused" >&2 && exit 1; fi
	case $said in *"$1"*) passed=$((passed + 1)) ;; *) echo "flash-test: expected '$1', and it said: $said" >&2 && exit 1 ;; esac
}

head -c 4194304 /dev/zero >"$work/card"
refuses "nothing was written" no "$work/card"
[ "$(tr -d '\0' <"$work/card" | wc -c)" = 0 ] || { echo "flash-test: it was written" >&2; exit 1; }
flash yes "$work/card" || { echo "flash-test: $said" >&2; exit 1; }
head -c 3145728 "$work/card" | cmp - dist/rill-$board.img
[ "$(tail -c 1048576 "$work/card" | tr -d '\0' | wc -c)" = 0 ] || { echo "flash-test: more was written" >&2; exit 1; }
head -c 1048576 /dev/zero >"$work/small"
refuses "the image needs" yes "$work/small"
truncate -s 300G "$work/large"
refuses "more than most cards" yes "$work/large"
refuses "there is no" yes "$work/nothing"
refuses "is no block device" yes /dev/null
# The machine's own disk.
own=$(findmnt -no SOURCE / 2>/dev/null || :)
case $own in /dev/*) if [ -b "$own" ]; then refuses " is " yes "$own"; fi ;; esac
if [ "$(id -u)" = 0 ] && loop=$(losetup -f --show "$work/card" 2>/dev/null); then
	refuses "is not removable" yes "$loop"
	PATH=$PATH:/sbin mke2fs -q -F "$loop"
	mkdir "$work/mounted"
	mount "$loop" "$work/mounted"
	refuses "is mounted" yes "$loop"
	umount "$work/mounted"
else
	loop=
	echo "flash-test: without loop devices, nothing that is mounted or not removable was tried" >&2
fi
printf '\0' | dd of=dist/rill-$board.img.zst bs=1 seek=5000 conv=notrunc status=none
refuses "is damaged" yes "$work/card"
echo "flash-test: $passed refusals, and what was written is what was meant"
