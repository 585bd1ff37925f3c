#!/bin/sh
# Installs the programs that tests, measurement, cross builds, packages or images run, or says which are missing.
#
#   tests/deps.sh test|browser|webkit|obs|http|bench|figure|cross|deb|image|boot|hardware|lan ...
#
# Each line of the table is: what needs it, how to see that it is there, its Debian package.
set -eu

table() {
	cat <<'END'
test  cc                            gcc
test  ffmpeg                        ffmpeg
test  python:pip                    python3-pip
test  python:venv                   python3-venv
test  python:ensurepip              python3-venv
test  file:Python.h                 python3-dev
test  file:librtmp/rtmp.h           librtmp-dev
test  ffprobe                       ffmpeg
test  rtmpdump                      rtmpdump
test  nginx                         nginx
test  node                          nodejs
test  npm                           npm
test  curl                          curl
test  stunnel4|stunnel              stunnel4
test  gst:souphttpsrc               gstreamer1.0-plugins-good
test  mpv                           mpv
test  ffplay                        ffmpeg
test  vlc                           vlc-bin
test  file:libavio_plugin.so        vlc-plugin-base
test  ip                            iproute2
test  tc                            iproute2
test  unshare                       util-linux
test  gst-launch-1.0                gstreamer1.0-tools
test  gst:videotestsrc              gstreamer1.0-plugins-base
test  gst:flvmux                    gstreamer1.0-plugins-good
test  gst:rtmp2sink                 gstreamer1.0-plugins-bad
test  gst:x264enc                   gstreamer1.0-plugins-ugly
test  gst:avenc_aac                 gstreamer1.0-libav
browser chromium|google-chrome      chromium
browser firefox-esr|firefox         firefox-esr
browser python3                     python3
browser ffmpeg                      ffmpeg
browser node                        nodejs
browser npm                         npm
browser file:DejaVuSans.ttf         fonts-dejavu-core
obs    obs                          obs-studio
obs    xvfb-run                     xvfb
obs    xauth                        xauth
obs    openssl                      openssl
obs    unshare                      util-linux
webkit xvfb-run                     xvfb
webkit file:MiniBrowser             webkit2gtk-driver
webkit gst:qtdemux                  gstreamer1.0-plugins-good
webkit gst:h264parse                gstreamer1.0-plugins-bad
webkit gst:avdec_h264               gstreamer1.0-libav
http  slowhttptest                  slowhttptest
http  wrk                           wrk
http  node                          nodejs
http  npm                           npm
bench nginx                         nginx
test  file:ngx_rtmp_module.so       libnginx-mod-rtmp
bench file:ngx_rtmp_module.so       libnginx-mod-rtmp
figure valgrind                     valgrind
cross qemu-arm-static|qemu-arm      qemu-user-static
cross readelf                       binutils
cross python:venv                   python3-venv
cross python:ensurepip              python3-venv
cross file:rustlib-src              rust-web-src
cross /usr/bin/rustc                rustc-web
cross /usr/bin/cargo                cargo-web
image mcopy                         mtools
image mkfs.vfat                     dosfstools
image mke2fs                        e2fsprogs
image sfdisk                        fdisk
image depmod                        kmod
image xz                            xz-utils
image zstd                          zstd
image python3                       python3
image readelf                       binutils
boot  qemu-system-arm               qemu-system-arm
boot  qemu-system-aarch64           qemu-system-arm
boot  mcopy                         mtools
boot  e2fsck                        e2fsprogs
boot  ffmpeg                        ffmpeg
boot  fdtput                        device-tree-compiler
hardware cpio                       cpio
hardware depmod                     kmod
hardware zstd                       zstd
hardware xz                         xz-utils
lan   ip                            iproute2
lan   unshare                       util-linux
lan   dbus-daemon                   dbus-daemon
lan   avahi-daemon                  avahi-daemon
lan   avahi-browse                  avahi-utils
lan   dnsmasq                       dnsmasq-base
lan   chronyd                       chrony
deb   lintian                       lintian
deb   systemd-analyze               systemd
deb   mandoc                        mandoc
deb   bash                          bash
deb   zsh                           zsh
deb   fish                          fish
deb   mmdebstrap                    mmdebstrap
deb   arch-test                     arch-test
deb   strace                        strace
deb   ip                            iproute2
deb   ffmpeg                        ffmpeg
deb   ffprobe                       ffmpeg
deb   qemu-aarch64-static           qemu-user-static
END
}

present() {
	case $1 in
	gst:*) gst-inspect-1.0 --exists "${1#gst:}" </dev/null >/dev/null 2>&1 ;;
	python:*) python3 -c "import ${1#python:}" >/dev/null 2>&1 ;;
	file:ngx_rtmp_module.so) ls /usr/lib/nginx/modules/ngx_rtmp_module.so /usr/share/nginx/modules/ngx_rtmp_module.so >/dev/null 2>&1 ;;
	file:Python.h) [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] ;;
	file:DejaVuSans.ttf) [ -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] ;;
	file:libavio_plugin.so) ls /usr/lib/*/vlc/plugins/access/libavio_plugin.so /usr/lib/vlc/plugins/access/libavio_plugin.so 2>/dev/null | grep -q . ;;
	file:MiniBrowser) ls /usr/lib/*/webkit2gtk-4.*/MiniBrowser >/dev/null 2>&1 ;;
	file:librtmp/rtmp.h) echo '#include <librtmp/rtmp.h>' | cc -E - >/dev/null 2>&1 ;;
	file:rustlib-src) [ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ] ;;
	*'|'*) present "${1%%|*}" || present "${1#*|}" ;;
	*) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] ;;
	esac
}

# missing WHAT...: the packages that are not there, in one line.
missing() {
	for what in "$@"; do
		table | while read -r for_what check package; do
			if [ "$for_what" = "$what" ] && ! present "$check"; then echo "$package"; fi
		done
	done | sort -u | tr '\n' ' '
}

list=$(missing "$@")
[ -n "$list" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	# Without a terminal nobody can type a password.
	if ! [ -t 0 ]; then as_root="sudo -n"; fi
fi

if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || command -v sudo >/dev/null 2>&1; }; then
	echo "deps: installing $list"
	export DEBIAN_FRONTEND=noninteractive
	# A failure is told below, by what is then still missing.
	# shellcheck disable=SC2086
	$as_root apt-get update -qq || true
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $list >/dev/null || true
	list=$(missing "$@")
	[ -n "$list" ] || exit 0
fi

echo "deps: these are missing and could not be installed; the names are Debian's packages: $list" >&2
exit 1
