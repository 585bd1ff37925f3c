#!/usr/bin/env python3
"""Runs an image on hardware that QEMU's boards lack, and that the kernel or QEMU can simulate: Wi-Fi, the watchdog timer, the
screen, sensors, and Ethernet over a USB cable.

hardware-test.py [--board BOARD] [--image FILE] [--picture FILE] [PART...]

The image with Wi-Fi is booted as it is. Behind its initramfs lies a second archive, as the kernel allows, with what stands
for the hardware: further modules of the very package that the image's kernel is from, and scripts that load them. Prints
a line of JSON for each thing that was shown."""

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from machine import HERE, Card, Machine, clip, need, run, until  # noqa: E402
from profiles import TOP, Failure, machine, profile  # noqa: E402

CACHE = os.environ.get("IMAGE_CACHE", os.path.join(TOP, "target", "image"))
# Images have no driver for this one, so to them the machine is a board without a cable.
OUTSIDE = "e1000"
MODULES = ["mac80211_hwsim", "bridge", OUTSIDE, "i6300esb", "virtio-gpu", "dummy_hcd"]

# What the other end of the air or of the USB cable runs: an access point or a PC, in a network namespace of its own, bridged
# to QEMU's network. QEMU gives addresses there, and has the port that the test's clients connect to.
SCRIPTS = {
    # The image's own scripts are held until the other end is no longer theirs.
    "outside": f"""
        PATH=/bin
        kill -STOP $(pidof network)
        busybox unshare -n -m sh -c 'mount -t sysfs sysfs /sys && exec sleep 100000' &
        echo $! >/run/outside
        modprobe bridge
        modprobe {OUTSIDE}
        sleep 1
        for each in /sys/class/net/*; do
            case $(busybox readlink $each/device/driver) in */{OUTSIDE}) ip link set ${{each##*/}} netns $! ;; esac
        done
        /test/in /test/bridge
        """,
    "in": """exec /bin/busybox nsenter -t $(/bin/cat /run/outside) -n -m "$@" """,
    "bridge": """
        busybox brctl addbr br0
        for each in /sys/class/net/e*; do
            busybox brctl addif br0 ${each##*/}
            ip link set ${each##*/} up
        done
        ip link set lo up
        ip link set br0 up
        """,
    "air": """
        PATH=/bin
        /test/outside
        modprobe mac80211_hwsim radios=2
        sleep 1
        /test/iw phy phy1 set netns $(cat /run/outside)
        kill -CONT $(pidof network)
        """,
    # access-point SSID [PSK [wpa3]]: the name and the key in hexadecimal digits.
    "access-point": """
        PATH=/bin
        {
            echo 'network={'
            echo ' mode=2'
            echo ' frequency=2437'
            echo " ssid=$1"
            [ -z "$2" ] || printf '%s\\n' " psk=$2" ' proto=RSN' ' pairwise=CCMP'
            case $2:$3 in
            :) echo ' key_mgmt=NONE' ;;
            *:) echo ' key_mgmt=WPA-PSK' ;;
            *:wpa3) printf '%s\\n' ' key_mgmt=SAE' ' ieee80211w=2' ;;
            esac
            echo '}'
        } >/run/access-point.conf
        rm -f /run/access-point.log
        /test/in wpa_supplicant -B -D nl80211 -i wlan1 -b br0 -c /run/access-point.conf -P /run/access-point.pid \\
            -f /run/access-point.log
        until grep -q AP-ENABLED /run/access-point.log; do sleep 0.2; done
        /test/in busybox brctl addif br0 wlan1
        """,
    "no-access-point": """
        PATH=/bin
        kill $(cat /run/access-point.pid)
        # It takes the file with it.
        while [ -e /run/access-point.pid ]; do sleep 0.1; done
        """,
    "usb": """
        PATH=/bin
        /test/outside
        modprobe dummy_hcd
        kill -CONT $(pidof network)
        until [ -e /sys/class/net/usb1 ]; do sleep 0.2; done
        ip link set usb1 netns $(cat /run/outside)
        /test/in busybox brctl addif br0 usb1
        /test/in ip link set usb1 up
        """,
}


def package(name, version, arch):
    # The archive leaves out the epoch.
    path = os.path.join(CACHE, "packages", f"{name}_{version.split(':')[-1]}_{arch}.deb")
    need(os.path.exists(path), f"{path}, which the image was made from, is not there")
    return path


def further_modules(card, directory, root):
    """Adds MODULES to those of the image: the files that it lacks, and a modules.dep that knows them. Its modules.alias stays,
    so nothing but the scripts loads them."""
    with open(card.take("MANIFEST")) as file:
        lines = [line.split() for line in file]
    version = lines[0][-1]
    kernel = os.path.join(directory, "kernel")
    for line in lines:
        if len(line) == 3 and line[0].startswith("linux-"):
            run("dpkg-deb", "-x", package(*line), kernel)
    # Debian's kernels are packed in two ways.
    prefix = next(path for path in (kernel, kernel + "/usr") if os.path.isdir(path + "/lib/modules"))
    run("/sbin/depmod", "-b", prefix, version)
    archive = os.path.join(directory, "image.cpio")
    run("zstd", "-qdfo", archive, card.initramfs)
    with open(archive, "rb") as file:
        depends = subprocess.run(["cpio", "-i", "--quiet", "--to-stdout", f"lib/modules/{version}/modules.dep"], stdin=file,
            stdout=subprocess.PIPE, check=True).stdout.decode()
    os.unlink(archive)
    paths = {os.path.basename(path): path for path in re.findall(r"^(\S+):", depends, re.M)}
    directory = os.path.join(root, "lib/modules", version)
    os.makedirs(directory + "/test")
    for module in MODULES:
        order = re.findall(r"^insmod (\S+)", run("/sbin/modprobe", "-d", prefix, "-S", version, "-D", module), re.M)
        before = []
        for path in order:
            name, packed, _ = re.fullmatch(r"(.+\.ko)(\.(xz|zst))?", os.path.basename(path)).groups()
            if name not in paths:
                with open(f"{directory}/test/{name}", "wb") as file:
                    unpack = {".xz": "xz", ".zst": "zstd", None: "cat"}[packed]
                    subprocess.run([unpack, *(["-dc"] if packed else []), path], stdout=file, check=True)
                paths[name] = f"test/{name}"
                depends += f"{paths[name]}: {' '.join(reversed(before))}\n"
            before.append(paths[name])
    with open(directory + "/modules.dep", "w") as file:
        file.write(depends)


def prepare(card, directory, arch, suite):
    """Puts the second archive behind the card's initramfs."""
    root = os.path.join(directory, "root")
    os.makedirs(root + "/test")
    further_modules(card, directory, root)
    fetch = f". {HERE}/debs.sh; here={HERE} cache={CACHE}; debs {suite} {arch} iw"
    run("dpkg-deb", "-x", run("sh", "-euc", fetch).split()[-1], directory + "/iw")
    shutil.copy(glob.glob(directory + "/iw/usr/sbin/iw")[0], root + "/test/iw")
    for name, text in SCRIPTS.items():
        path = f"{root}/test/{name}"
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
    with open(card.initramfs, "ab") as file:
        # An archive that is not compressed begins at a multiple of four.
        file.write(bytes(-file.tell() % 512))
        file.flush()
        subprocess.run([sys.executable, HERE + "/cpio.py", root], stdout=file, check=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(int(time.time()))})


class Test:
    """What every part needs: the machine's profile, the card, what is published, and where a picture may be put."""

    def __init__(self, profile, card, media, picture):
        self.profile, self.card, self.media, self.picture = profile, card, media, picture

    def boot(self, part, body, network=None, devices=(), **facts):
        profile = self.profile.changed(network=network or self.profile["network"])
        with Machine(profile, self.card, "debug-shell", devices) as machine:
            begin = time.monotonic()
            try:
                machine.says("~ #", 120)
                body(machine)
            except (Failure, subprocess.TimeoutExpired) as failure:
                raise Failure(f"{part}: {failure}\n--- console ---\n{machine.text()[-6000:]}") from None
            print(json.dumps({"part": part, **facts, "seconds": round(time.monotonic() - begin, 1)}), flush=True)


def access_point(machine, name, password="", protocol=""):
    """Starts an access point. It is told the key that follows from the password (IEEE 802.11, annex J.4), or the password
    itself in hexadecimal digits, so that nothing here depends on how a file quotes it."""
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), name.encode(), 4096, 32).hex() if password else ""
    if protocol == "wpa3":
        key = f"'\"{password}\"'"
    machine.shell(f"/test/access-point {name.encode().hex()} {key} {protocol}", 120)


def wifi(test):
    def joins(name, password="", protocol="", and_then=None):
        def body(machine):
            machine.shell("/test/air")
            access_point(machine, name, password, protocol)
            machine.started()
            machine.publish_and_play(test.media)
            need("wifi.problem" not in machine.shell("ls /run"), "a problem is told though the network was joined")
            if and_then:
                and_then(machine)

        return body

    def comes_back(machine):
        machine.shell("/test/no-access-point")
        machine.says("The Wi-Fi Studio is not found", 120)
        need(not machine.answers(), "the server is reached without an access point")
        access_point(machine, "Studio", "eight8chars")
        until(machine.answers, 120, "the server was not reached when the access point was back")
        machine.publish_and_play(test.media)
        until(lambda: "wifi.problem" not in machine.shell("ls /run"), 10, "the problem is still told")
        # Its DHCP client is started anew, and nothing else.
        machine.shell("kill -KILL $(cat /run/net/wlan0.pid); sleep 8")
        said = machine.shell("ps | grep '[w]pa_supplicant.*-i wlan0'")
        need(len(said.splitlines()) == 1, f"not one wpa_supplicant is on the interface: {said!r}")
        until(machine.answers, 60, "the server was not reached when the DHCP client was started anew")

    test.card.write("wifi.txt", "name = Studio\r\npassword = eight8chars\r\ncountry = DE\r\n")
    test.boot("wifi", joins("Studio", "eight8chars", and_then=comes_back), OUTSIDE, shown="WPA2; access point goes and comes back")

    # As Windows saves it, and with whatever people think of.
    name, password = "Caf\u00e9  \"L\u00f6we\" #1=$(id)\\", "p\"\u00e4 ss\\wo  r'd#=;`id`%s"
    test.card.write("wifi.txt", f"\ufeff\tName={name}  \r\npassword =  {password}\t\r\n")
    test.boot("wifi", joins(name, password), OUTSIDE, shown="name and password with blanks, quotation marks and UTF-8; CRLF, BOM")

    test.card.write("wifi.txt", 'name = " open "\n')
    test.boot("wifi", joins(" open "), OUTSIDE, shown="open network whose name begins and ends with a blank")

    test.card.write("wifi.txt", "name = Studio\npassword = eight8chars\n")
    test.boot("wifi", joins("Studio", "eight8chars", "wpa3"), OUTSIDE, shown="WPA3")

    def wrong_password(machine):
        machine.shell("/test/air")
        access_point(machine, "Studio", "another one")
        machine.says("! The Wi-Fi Studio refuses the password in wifi.txt", 120)
        machine.shell("/test/no-access-point")
        access_point(machine, "Studio", "eight8chars")
        machine.started()
        machine.publish_and_play(test.media)

    test.boot("wifi", wrong_password, OUTSIDE, shown="a wrong password is told; joined when it is right")

    def no_settings(machine):
        machine.shell("/test/air")
        machine.says("No network: plug in a cable, or fill in wifi.txt on the card")
        need(machine.shell("pidof wpa_supplicant").strip() == "", "wpa_supplicant runs for nothing")
        for settings, problem in (
            ("name = x\\npassword = short", "wifi.txt: the password has 5 characters: must be 8 to 63"),
            (f"name = {'x' * 33}", "wifi.txt: the network's name has 33 bytes: must be at most 32"),
            ("name = x\\ncountry = Germany", "wifi.txt: country = Germany: must be two capital letters"),
        ):
            machine.shell(f"printf '{settings}\\n' >/run/settings/wifi.txt; /etc/init.d/wifi wlan0")
            machine.says("! " + problem)

    run("mdel", "-i", test.card.path + "@@1M", "::wifi.txt")
    test.boot("wifi", no_settings, OUTSIDE, shown="no wifi.txt; settings that cannot be right are told")


def watchdog(test):
    def restarts(machine, command):
        times = machine.text().count("has the address")
        machine.process.stdin.write(command + b"\n")
        machine.process.stdin.flush()
        until(lambda: machine.text().count("has the address") > times, 120, "the machine was not restarted")
        until(machine.answers, 60, "the server did not come back")
        machine.publish_and_play(test.media)

    def body(machine):
        machine.started()
        machine.shell("modprobe i6300esb")
        until(lambda: machine.shell("pidof watchdog").strip(), 10, "no process feeds the watchdog")
        # Fed, it does nothing.
        time.sleep(40)
        need(machine.text().count("has the address") == 1, "the machine was restarted though everything runs")
        restarts(machine, b"kill -STOP $(pidof watchdog)")

    # Behind -no-reboot of the other tests.
    again = ("-action", "reboot=reset")
    test.boot("watchdog", body, devices=("-device", "i6300esb", *again), shown="processes that hang are ended by the timer")

    def panic(machine):
        machine.started()
        restarts(machine, b"echo c >/proc/sysrq-trigger")

    test.boot("watchdog", panic, devices=again, shown="a panic of the kernel restarts the machine")


def screen(test):
    def text(machine):
        """What stands on the screen, line by line. The serial console's own lines may stand among them."""
        columns = int(machine.shell("xxd -p -s 1 -l 1 /dev/vcsa1").split()[-1], 16)
        return machine.shell(f"busybox fold -w {columns} /dev/vcs1 | sed 's/ *$//'").split("\n")

    def picture(machine):
        path = os.path.join(test.card.directory, "screen.ppm")
        machine.command(f"screendump {path}")
        until(lambda: os.path.exists(path) and os.path.getsize(path), 10, "QEMU made no picture")
        time.sleep(0.3)
        with open(path, "rb") as file:
            return file.read()

    def body(machine):
        machine.started()
        machine.shell("modprobe virtio-gpu")
        until(lambda: "Nobody is live" in text(machine), 30, "the screen does not say that nobody is live")
        with machine.publish(test.media) as publisher:
            url = f"rtmp://127.0.0.1:{machine.port}/live/cam1"
            viewers = [subprocess.Popen(["ffmpeg", "-v", "quiet", "-i", url, "-c", "copy", "-f", "null", "-"], stdin=subprocess.DEVNULL)
                for _ in range(2)]
            try:
                until(lambda: any("2 watching" in line for line in text(machine)), 30, "the screen does not say who watches")
                lines = text(machine)
                for wanted in (r"Rill \d+\.\d+\.\d+ on linux,dummy-virt", r"OBS    Server: rtmp://10\.0\.2\.15/live   Stream Key: cam1",
                    r"Watch  http://10\.0\.2\.15/   \(any browser\)", r"VLC    rtmp://10\.0\.2\.15/live/cam1", r"Live now:", r'  live "cam1": 2 watching, \d+ kbit/s'):
                    need(any(re.fullmatch(wanted, line) for line in lines), f"the screen has no line {wanted}: {lines}")
                # Two looks between the changes, which are 5 s apart: a cursor would blink.
                until(lambda: picture(machine) == picture(machine), 20, "the screen is never still", 0)
                # Beyond its 30 lines nothing may be written, nor anything but this be left on it.
                need(lines[0].startswith("Rill "), f"the screen begins with {lines[0]!r}")
                last = max(at for at, line in enumerate(lines) if line)
                need(re.match(r"  live ", lines[last]) or lines[last].startswith("Temperature"), f"the screen ends with {lines[last]!r}")
                if test.picture:
                    with open(os.path.join(test.card.directory, "still.ppm"), "wb") as file:
                        file.write(picture(machine))
                    run("ffmpeg", "-v", "error", "-y", "-i", file.name, test.picture)
            finally:
                for viewer in viewers:
                    viewer.kill()
                    viewer.wait()
                publisher.kill()
        until(lambda: "Nobody is live" in text(machine), 30, "the screen does not say that nobody is live any more")

    test.boot("screen", body, devices=("-device", "virtio-gpu-pci"), shown="name, address, what is live and who watches, on tty1")


def sensors(test):
    """Files where the kernel's drivers have theirs: bcm2835_thermal and bcm2711_thermal, and raspberrypi-hwmon."""

    def body(machine):
        machine.started()
        machine.says("Nobody is live")
        machine.shell("for each in thermal hwmon; do mount -t tmpfs none /sys/class/$each; done")
        machine.shell("cd /sys/class; mkdir thermal/thermal_zone0 hwmon/hwmon0 hwmon/hwmon1; cd")
        machine.shell("echo 48312 >/sys/class/thermal/thermal_zone0/temp; echo 0 >/sys/class/hwmon/hwmon1/in0_lcrit_alarm; rm /run/wifi.problem")
        machine.shell("echo 1 >/sys/class/hwmon/hwmon1/in0_lcrit_alarm")
        machine.says("Temperature: 48 C\nUNDER-VOLTAGE: use a better power supply or a shorter cable")
        machine.shell("echo 0 >/sys/class/hwmon/hwmon1/in0_lcrit_alarm; echo 84999 >/sys/class/thermal/thermal_zone0/temp")
        machine.says("Temperature: 84 C - too hot, the processor is slowed down\n")

    test.boot("sensors", body, shown="temperature and under-voltage")


def usb(test):
    def body(machine):
        # Without an answer from outside there is no DHCP.
        machine.cable("off")
        machine.shell("/test/usb", 120)
        address = until(lambda: re.search(r"inet (169\.254\.\d+\.\d+)/16", machine.shell("ip address show dev usb0")), 60,
            "usb0 has no address")
        machine.shell("/test/in ip address add 169.254.255.1/16 dev br0")
        # RTMP 1.0, section 5.2: the server answers with its version, which is 3.
        hello = f"(printf '\\003'; head -c 1536 /dev/zero; sleep 3) | /test/in busybox nc {address.group(1)} 1935 | head -c 1 | xxd -p"
        said = machine.shell(hello)
        need(re.search("^03$", said, re.M), f"no RTMP server answers at {address.group(1)}: {said}")
        machine.says(f"Server: rtmp://{address.group(1)}/live")
        machine.cable("on")
        machine.started()
        machine.publish_and_play(test.media)

    test.boot("usb", body, OUTSIDE, shown="a PC reaches the server by its link-local address, and by DHCP")


PARTS = {"wifi": wifi, "watchdog": watchdog, "screen": screen, "sensors": sensors, "usb": usb}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all without one: {' '.join(PARTS)}")
    parser.add_argument("--board", default="rpi-64")
    parser.add_argument("--image", help="dist/rill-BOARD-wifi.img without it")
    parser.add_argument("--picture", help="PNG file for what the screen shows")
    options = parser.parse_args()
    image = options.image or os.path.join(TOP, "dist", f"rill-{options.board}-wifi.img")
    directory = tempfile.mkdtemp(prefix="rill-hardware-")
    try:
        board, virt = profile(options.board), machine(options.board, "virt")
        need(os.path.exists(image), f"{image} is missing: make image BOARD={options.board} WIFI=1")
        need(set(options.parts) <= set(PARTS), f"the parts are: {' '.join(PARTS)}")
        card = Card(image, directory)
        prepare(card, directory, board["image"]["arch"], board["image"]["suite"])
        test = Test(virt, card, clip(directory), options.picture)
        for part in options.parts or PARTS:
            PARTS[part](test)
    except Failure as failure:
        print(f"hardware-test: {options.board}: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
