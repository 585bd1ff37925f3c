#!/bin/sh
# Builds the image of a board's SD card: dist/rill-BOARD.img and the same compressed, for `make flash` and for any program
# that writes images. Neither root nor loop devices are needed. The same packages and the same binaries give the same bytes.
#
#   boards/image/build.sh BOARD      WIFI=1 adds the drivers and firmware of the board's Wi-Fi (dist/rill-BOARD-wifi.img)
#                                    LEVEL=1 compresses worse, in a third of the time
#
# The system is an initramfs: busybox, the server, and the kernel's modules for this board. A FAT partition BOOT holds it
# beside the firmware, the kernel, and the files that people edit; an ext4 partition STATE holds applications and recordings.
# The facts of the board are set by facts.py.
# shellcheck disable=SC2154
set -eu
cd "$(dirname "$0")/../.."
here=$PWD/boards/image
board=${1:?usage: boards/image/build.sh BOARD}
wifi=${WIFI:-0}
# The time of every file. Anything would do, but a clock that is never set should not be far from right.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1792000000}" TZ=UTC LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
cache=${IMAGE_CACHE:-$PWD/target/image}
name=rill-$board
[ "$wifi" = 0 ] || name=$name-wifi
out=$PWD/dist/$name.img
server=$PWD/dist/rill-$board
appliance=$PWD/dist/appliance-$board

fail() {
	echo "image: $*" >&2
	exit 1
}

tests/deps.sh image
facts=$(python3 "$here/facts.py" "$board")
eval "$facts"
for binary in "$server" "$appliance"; do [ -x "$binary" ] || fail "$binary is missing: make cross BOARD=$board"; done
# shellcheck source=boards/image/debs.sh
. "$here/debs.sh"
mkdir -p "$cache" dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernel_files=$work/kernel root=$work/root boot=$work/boot
mkdir -p "$kernel_files" "$work/firmware" "$work/busybox" "$work/wifi" "$root" "$boot" "$work/state"

# The packages.
packages=$(debs "$suite" "$arch" "$kernel")
dpkg-deb -x "$packages" "$kernel_files"
# From 7.x on, Debian's kernels are split.
for package in $(dpkg-deb -f "$packages" Depends | grep -o 'linux-\(binary\|modules\|base\)-[0-9][^ ,]*'); do
	file=$(debs "$suite" "$arch" "$package")
	dpkg-deb -x "$file" "$kernel_files"
	packages="$packages $file"
done
file=$(debs "$suite" "$arch" busybox-static)
dpkg-deb -x "$file" "$work/busybox"
packages="$packages $file"
if [ -n "$firmware" ]; then
	file=$(debs "$suite" "$arch" raspi-firmware)
	dpkg-deb -x "$file" "$work/firmware"
	packages="$packages $file"
fi
# Where modules and device trees are differs between the two layouts.
if [ -d "$kernel_files/usr/lib/modules" ]; then prefix=$kernel_files/usr; else prefix=$kernel_files; fi
version=$(ls "$prefix/lib/modules")
tree=$prefix/lib/modules/$version
device_tree_files=$kernel_files/usr/lib/linux-image-$version
[ -d "$device_tree_files" ] || device_tree_files=$tree/dtb
linux=$(find "$kernel_files/boot" "$tree" -maxdepth 1 -name 'vmlinuz*' 2>/dev/null | head -1)
[ -n "$linux" ] || fail "$kernel holds no vmlinuz where it is known to be"

# The initramfs.
cp -R "$here/rootfs/." "$root/"
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/state" "$root/lib/modules/$version"
ln -s bin "$root/sbin"
ln -s bin/init "$root/init"
ln -s /run/resolv.conf "$root/etc/resolv.conf"
cp "$(find "$work/busybox" -path '*bin/busybox' -type f)" "$root/bin/busybox"
for applet in $(cat "$here/applets"); do ln -s busybox "$root/bin/$applet"; done
install -m 755 "$server" "$root/bin/rill"
install -m 755 "$appliance" "$root/bin/appliance"
echo "$SOURCE_DATE_EPOCH" >"$root/etc/epoch"
echo "$server_options" >"$root/etc/server.options"

# Its modules: what the device trees describe, and what the board's profile names because no device tree does.
mkdir -p "$work/depmod/lib"
ln -s "$prefix/lib/modules" "$work/depmod/lib/modules"
depmod -b "$work/depmod" "$version"
trees=$(for each in $device_trees; do
	# A profile may give a pattern.
	# shellcheck disable=SC2086
	ls "$device_tree_files/"$each.dtb
done)
described=
# shellcheck disable=SC2086
[ -z "$trees" ] || described=$(python3 "$here/drivers.py" "$tree/modules.alias" $trees)
[ "$wifi" = 0 ] || modules="$modules $wifi_modules"
for module in $modules $described; do
	modprobe -d "$work/depmod" -S "$version" -D --ignore-install "$module" 2>/dev/null ||
		fail "the kernel $version has no module $module (boards/$board.toml)"
done >"$work/loads"
sed -n 's/^insmod \([^ ]*\).*/\1/p' "$work/loads" | sort -u >"$work/modules"
while read -r module; do
	target_directory=$root/lib/modules/$version/kernel/$(basename "$(dirname "$module")")
	mkdir -p "$target_directory"
	file=$(basename "$module")
	# Once, all together, is smaller than each by itself.
	case $file in
	*.xz) xz -dc "$module" >"$target_directory/${file%.xz}" ;;
	*.zst) zstd -qdc "$module" >"$target_directory/${file%.zst}" ;;
	*) cp "$module" "$target_directory/" ;;
	esac
done <"$work/modules"
cp "$tree/modules.order" "$tree/modules.builtin" "$root/lib/modules/$version/" 2>/dev/null || :
depmod -b "$root" "$version" 2>/dev/null
# The screen can wait until the server is there (rootfs/etc/init.d/screen): no event of the kernel loads its drivers.
sed -i '/ \(vc4\|i2c_[a-z0-9]*\)$/d' "$root/lib/modules/$version/modules.alias"
# busybox reads the others.
(cd "$root/lib/modules/$version" && rm -f ./*.bin modules.order modules.devname modules.symbols modules.builtin*)

# Wi-Fi: wpa_supplicant, the libraries that it names, and the firmware.
if [ "$wifi" != 0 ]; then
	[ -n "$wifi_firmware" ] || fail "boards/$board.toml has no [image.wifi]"
	# shellcheck source=boards/image/wifi.sh
	. "$here/wifi.sh"
fi

python3 "$here/cpio.py" "$root" >"$work/initramfs"
zstd -q -${LEVEL:-19} -T1 "$work/initramfs" -o "$boot/initrd.img"

# The partition BOOT.
case $arch in
# A Raspberry Pi's firmware unpacks it; the kernel of this architecture cannot do so itself.
arm64) kernel_name=kernel8.img && gzip -9n <"$linux" >"$boot/$kernel_name" ;;
*) kernel_name=kernel.img && cp "$linux" "$boot/$kernel_name" ;;
esac
for each in $trees; do cp "$each" "$boot/"; done
for each in $firmware; do cp "$work/firmware/usr/lib/raspi-firmware/$each" "$boot/"; done
if [ -n "$firmware" ]; then
	# Its licence wants to be kept with it.
	sed -n '/^License: Proprietary_1/,/^$/p' "$work/firmware/usr/share/doc/raspi-firmware/copyright" >"$boot/LICENCE.broadcom"
fi
# The last console is /dev/console, where the debug shell is. The font can be read from across a room. The kernel's tests of its
# ciphers take half a second of the start.
echo "fbcon=font:TER16x32 console=tty1${kernel_arguments:+ $kernel_arguments} console=$console,115200 quiet loglevel=3 panic=10 cryptomgr.notests" \
	>"$boot/cmdline.txt"
if [ -n "$trees" ]; then
	cat >"$boot/config.txt" <<-END
		kernel=$kernel_name
		initramfs initrd.img followkernel
		upstream_kernel=1
		enable_uart=1
		disable_splash=1
		boot_delay=0
		gpu_mem=16
		$firmware_settings
	END
fi
# Windows' old Notepad needs its own line ends.
sed "s/@streams@/$streams/; s/@ring_bytes@/$ring_bytes/; s/\$/\r/" "$here/rill.toml" >"$boot/rill.toml"
[ "$wifi" = 0 ] || sed 's/$/\r/' "$here/wifi.txt" >"$boot/wifi.txt"
{
	echo "board $board, $target, Linux $version"
	# shellcheck disable=SC2086
	for file in $packages; do dpkg-deb -W --showformat='${Package} ${Version} ${Architecture}\n' "$file"; done
	(cd "$root/bin" && sha256sum rill appliance)
	(cd "$boot" && sha256sum -- *)
} >"$work/MANIFEST"
mv "$work/MANIFEST" "$boot/MANIFEST"
find "$boot" "$work/state" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
used=$(du -s -B1M --apparent-size "$boot" | cut -f1)
[ "$used" -lt "$boot_mib" ] || fail "the files of BOOT take $used MiB, of $boot_mib (image.boot_bytes in boards/$board.toml)"
truncate -s "${boot_mib}M" "$work/boot.part"
# Windows takes FAT32 of fewer than 65 525 clusters for FAT16.
if [ "$boot_mib" -ge 40 ]; then fat=32 type=c; else fat=16 type=e; fi
mkfs.vfat --invariant -F $fat -n BOOT "$work/boot.part" >/dev/null
(cd "$boot" && MTOOLS_SKIP_CHECK=1 mcopy -m -i "$work/boot.part" -- * ::)

# The partition STATE. The feature list is what can be resized while mounted, up to 256 GiB.
truncate -s "${state_mib}M" "$work/state.part"
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -i 65536 -m 0 -J size=4 -L STATE \
	-U 5ca1ab1e-0000-4000-8000-000000000001 -O ^64bit,^metadata_csum_seed \
	-E hash_seed=5ca1ab1e-0000-4000-8000-000000000002,resize=67108864,lazy_itable_init=0,root_owner=990:990,nodiscard \
	-d "$work/state" "$work/state.part"

# The card: a master boot record, and the partitions from 1 MiB on.
image=$work/image
truncate -s "$((1 + boot_mib + state_mib))M" "$image"
printf 'label: dos\nlabel-id: 0x5ca1ab1e\nstart=1MiB, size=%sMiB, type=%s, bootable\nstart=%sMiB, size=%sMiB, type=83\n' \
	"$boot_mib" $type $((1 + boot_mib)) "$state_mib" | sfdisk -q "$image"
dd if="$work/boot.part" of="$image" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/state.part" of="$image" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
cp --sparse=always "$image" "$out"
zstd -q -${LEVEL:-19} -T0 -f "$out" -o "$out.zst"
(cd dist && sha256sum "$name.img" "$name.img.zst") >"$out.sha256"
size() { stat -c %s "$1"; }
if [ "$compressed_bytes" != 0 ] && [ "$wifi" = 0 ] && [ -z "${LEVEL:-}" ]; then
	[ "$(size "$out.zst")" -le "$compressed_bytes" ] ||
		fail "$out.zst has $(size "$out.zst") bytes, of $compressed_bytes (image.compressed_bytes in boards/$board.toml)"
fi
echo "image: $name.img.zst $(size "$out.zst") bytes, $name.img $(size "$out"), initramfs $(size "$boot/initrd.img")," \
	"kernel $(size "$boot/$kernel_name"), $(wc -l <"$work/modules") modules"
echo "image: $(cut -c1-16 "$out.sha256" | head -1)"
