# Read by build.sh for WIFI=1: adds wpa_supplicant, the libraries that it names, and the board's firmware to $root.
# shellcheck shell=sh disable=SC2154

file=$(debs "$suite" "$arch" wpasupplicant)
dpkg-deb -x "$file" "$work/wifi"
packages="$packages $file"
# The libraries that it names are taken out of their packages.
libraries=$(grep '^z\{0,1\}lib' "$here/packages/$suite-$arch" | cut -d' ' -f1)
mkdir -p "$work/libraries" "$root/lib"
for library in $libraries; do
	file=$(debs "$suite" "$arch" "$library")
	dpkg-deb -x "$file" "$work/libraries"
	echo "$file" >>"$work/library-packages"
done
install -m 755 "$work/wifi/usr/sbin/wpa_supplicant" "$work/wifi/usr/bin/wpa_passphrase" "$root/bin/"

# take FILE: the libraries that FILE names, and those that they name.
take() {
	for wanted in $(readelf -dl "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p; s/.*program interpreter: .*\/\(.*\)\]/\1/p'); do
		[ ! -e "$root/lib/$wanted" ] || continue
		found=$(find "$work/libraries" -name "$wanted" | head -1)
		[ -n "$found" ] || fail "no package has the library $wanted, which Wi-Fi needs"
		cp -L "$found" "$root/lib/$wanted"
		take "$root/lib/$wanted"
	done
}
take "$root/bin/wpa_supplicant"
take "$root/bin/wpa_passphrase"
chmod 755 "$root"/lib/*.so.* "$root"/lib/ld-*
# The loader's name is fixed in the program: /lib/ld-linux.so.3, /lib/ld-linux-armhf.so.3 or /lib/ld-linux-aarch64.so.1.
packages="$packages $(while read -r file; do
	for each in "$root"/lib/*.so.*; do
		if dpkg-deb -c "$file" | grep "/$(basename "$each")" >/dev/null; then echo "$file" && break; fi
	done
done <"$work/library-packages")"

for package in firmware-brcm80211 wireless-regdb; do
	file=$(debs "$suite" "$arch" "$package")
	dpkg-deb -x "$file" "$work/wifi"
	packages="$packages $file"
done
mkdir -p "$root/lib/firmware/brcm"
for chip in $wifi_firmware; do
	for each in "$work/wifi/usr/lib/firmware/brcm/$chip".bin "$work/wifi/usr/lib/firmware/brcm/$chip".clm_blob \
		"$work/wifi/usr/lib/firmware/brcm/$chip".raspberrypi,*; do
		[ ! -e "$each" ] || cp -L "$each" "$root/lib/firmware/brcm/"
	done
	[ -e "$root/lib/firmware/brcm/$chip.bin" ] || fail "firmware-brcm80211 has no $chip (boards/$board.toml)"
done
for each in db db.p7s; do cp -L "$work/wifi/usr/lib/firmware/regulatory.$each-debian" "$root/lib/firmware/regulatory.$each"; done
# Its licence wants to be kept with it.
cp "$work/wifi/usr/share/doc/firmware-brcm80211/copyright" "$boot/LICENCE.wifi"
cp -R "$here/wifi/." "$root/"
