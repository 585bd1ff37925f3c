#!/usr/bin/env python3
"""Boots the image of a board in QEMU, and does with it what its owner will.

boot-test.py BOARD [--machine NAME] [--image FILE] [--faults] [--within SECONDS]

The image, grown to the size of a card, is the machine's card; kernel, initramfs and device tree are taken out of it,
because QEMU's Raspberry Pis have no boot ROM. Real clients publish and play through a forwarded port; the plug is pulled
while one publishes; the machine is started with the same card and everything is done again. --faults also breaks what can
break: the settings, the server, the card's space, the cable. Prints a line of JSON for each start."""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CARD_MIB = 128
# The partition BOOT begins there (build.sh).
BOOT_AT = "@@1M"
START_S = 120
SHELL_S = 60


class Failure(Exception):
    pass


def need(condition, problem):
    if not condition:
        raise Failure(problem)


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    need(done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}")
    return done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition, seconds, problem, pause=0.1):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause)
    raise Failure(f"{problem} within {seconds} s")


class Card:
    """A card with the image on it, and the files that QEMU wants beside it."""

    def __init__(self, image, directory):
        self.directory = directory
        self.path = os.path.join(directory, "card.img")
        run("cp", "--sparse=always", image, self.path)
        os.truncate(self.path, CARD_MIB << 20)
        names = run("mdir", "-b", "-i", self.path + BOOT_AT, "::/").split()
        self.names = [name.removeprefix("::/") for name in names]
        self.kernel = self.take(next(name for name in self.names if re.fullmatch(r"kernel8?\.img", name)))
        self.initramfs = self.take("initrd.img")
        with open(self.take("cmdline.txt")) as file:
            self.arguments = file.read().split()

    def take(self, name):
        """Copies a file of BOOT out of the card."""
        run("mcopy", "-n", "-o", "-i", self.path + BOOT_AT, "::" + name, self.directory)
        return os.path.join(self.directory, name)

    def has(self, name):
        return name in run("mdir", "-b", "-i", self.path + BOOT_AT, "::/").replace("::/", "").split()

    def write(self, name, text):
        """Writes a file of BOOT, as its owner would with a PC."""
        path = os.path.join(self.directory, name)
        with open(path, "w", newline="") as file:
            file.write(text)
        run("mcopy", "-o", "-i", self.path + BOOT_AT, path, "::" + name)

    def check_state(self):
        """The file system of STATE is whole, once its journal was replayed, and fills the card."""
        with open(self.path, "rb") as file:
            record = file.read(512)
            start, sectors = (int.from_bytes(record[at : at + 4], "little") for at in (470, 474))
            need((start + sectors) * 512 == CARD_MIB << 20, f"STATE ends at sector {start + sectors}, not with the card")
            file.seek(start * 512)
            part = os.path.join(self.directory, "state.part")
            with open(part, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        # 1: there was something to do, which is the journal's replay.
        fsck = subprocess.run(["/sbin/e2fsck", "-fp", part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        need(fsck.returncode <= 1, f"e2fsck of STATE: {fsck.stdout}")
        blocks = int(re.search(r"Block count: +(\d+)", run("/sbin/dumpe2fs", "-h", part)).group(1))
        need(blocks * 4096 > (sectors * 512) * 0.95, f"the file system of STATE has {blocks} blocks of {sectors // 8}")
        os.unlink(part)


class Machine:
    """A machine that runs. Leaving the `with` pulls its plug."""

    def __init__(self, profile, card, words=""):
        self.profile, self.card, self.output = profile, card, b""
        self.port = free_port()
        self.monitor = os.path.join(card.directory, f"monitor-{self.port}")
        arguments = [word for word in card.arguments if not word.startswith("console=")]
        # QEMU's first serial port is the PL011, and none of its machines has HDMI.
        arguments += ["console=ttyAMA0,115200 no-hdmi", profile.get("kernel_arguments", ""), words]
        memory = str(profile["memory_bytes"]).replace("MiB", "M").replace("GiB", "G")
        command = [profile["program"], "-M", profile["machine"], "-m", memory, "-display", "none", "-no-reboot"]
        if "cpu" in profile:
            command += ["-cpu", profile["cpu"]]
        command += ["-serial", "stdio", "-monitor", f"unix:{self.monitor},server=on,wait=off"]
        command += ["-kernel", card.kernel, "-initrd", card.initramfs, "-append", " ".join(arguments)]
        if "device_tree" in profile:
            tree = card.take(profile["device_tree"] + ".dtb")
            for edit in profile.get("device_tree_edits", []):
                run("fdtput", "-t", "s", tree, *edit.split())
            command += ["-dtb", tree]
        if profile["card"] == "sd":
            command += ["-drive", f"if=sd,format=raw,file={card.path}"]
        else:
            command += ["-drive", f"if=none,id=card,format=raw,file={card.path}", "-device", "virtio-blk-device,drive=card"]
        command += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:1935"]
        command += ["-device", f"{profile['network']},netdev=net,id=nic"]
        self.begin = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def read(self):
        while part := os.read(self.process.stdout.fileno(), 65536):
            self.output += part

    def text(self):
        text = self.output.decode(errors="replace").replace("\r", "")
        return "".join(line for line in text.splitlines(keepends=True) if "Slirp: " not in line)

    def answers(self):
        """Whether an RTMP server answers a handshake (RTMP 1.0, section 5.2). The port alone is QEMU's own."""
        need(self.process.poll() is None, "QEMU has ended")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.settimeout(1)
                client.sendall(b"\x03" + bytes(1536))
                return client.recv(1) == b"\x03"
        except OSError:
            return False

    def started(self):
        """Waits until the server answers; how long it took since the power came, and how long QEMU computed, in seconds."""
        # QEMU's USB network does not bear packets before it is up: now and then the whole machine hangs.
        until(lambda: "has the address" in self.text(), START_S, "the machine got no address", 0.02)
        until(self.answers, START_S, "the server did not answer", 0.05)
        took = time.monotonic() - self.begin
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        computed = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return round(took, 1), round(computed, 1)

    def says(self, words, seconds=SHELL_S):
        until(lambda: words in self.text(), seconds, f"the console did not say {words!r}")

    def shell(self, command, seconds=SHELL_S):
        """Runs a command in the shell of the serial console (debug-shell); what it printed."""
        mark = f"{time.monotonic_ns()}"
        at = len(self.output)
        # The terminal echoes what is typed, so the mark is typed in two parts.
        self.process.stdin.write(f"{command}; echo end''{mark}\n".encode())
        self.process.stdin.flush()
        until(lambda: b"end" + mark.encode() in self.output[at:], seconds, f"{command!r} did not end")
        text = self.output[at:].decode(errors="replace").replace("\r", "")
        return text.split("\n", 1)[1].split("end" + mark)[0]

    def cable(self, state):
        until(lambda: os.path.exists(self.monitor), 10, "QEMU made no monitor")
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self.monitor)
            monitor.sendall(f"set_link nic {state}\n".encode())
            time.sleep(0.5)
            monitor.recv(65536)

    def publish(self, clip):
        url = f"rtmp://127.0.0.1:{self.port}/live/cam1"
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", url]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def play(self, seconds=3):
        """Plays for some seconds of video, and counts the frames that can be decoded."""
        url = f"rtmp://127.0.0.1:{self.port}/live/cam1"
        command = ["ffmpeg", "-v", "error", "-i", url, "-map", "0:v", "-t", str(seconds), "-f", "null", "-progress", "-", "-"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        frames = re.findall(r"^frame=(\d+)", done.stdout, re.M)
        need(done.returncode == 0 and frames, f"ffmpeg could not play: {done.stderr[-500:]}")
        return int(frames[-1])

    def publish_and_play(self, clip):
        with self.publish(clip) as publisher:
            try:
                frames = self.play()
                need(frames >= 60, f"3 s of 25 frames a second were {frames} frames")
                need(publisher.poll() is None, "the encoder was disconnected")
                return frames
            finally:
                publisher.kill()


def clip(directory):
    path = os.path.join(directory, "clip.flv")
    picture, sound = "testsrc2=size=320x180:rate=25", "sine=frequency=440:sample_rate=44100"
    run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", "10", "-c:v", "libx264",
        "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-b:v", "500k", "-c:a", "aac", "-f", "flv", path)
    return path


def report(machine, what, **facts):
    facts = {"board": machine.profile["board"], "machine": machine.profile["name"], "start": what, **facts}
    print(json.dumps(facts), flush=True)


def start(profile, card, media, what, words="", pull=True):
    """One start: the server answers, a stream is played, and the plug is pulled while somebody publishes."""
    with Machine(profile, card, words) as machine:
        try:
            took, computed = machine.started()
            frames = machine.publish_and_play(media)
            machine.says("Server: rtmp://")
            report(machine, what, answers_s=took, computed_s=computed, frames=frames)
            if pull:
                with machine.publish(media) as publisher:
                    machine.play(1)
                    machine.process.kill()
                    publisher.kill()
            return took
        except Failure as failure:
            raise Failure(f"{failure}\n--- console ---\n{machine.text()[-6000:]}") from None


def faults(profile, card, media):
    """Each fault ends in an appliance that works."""
    manifest = card.take("MANIFEST")
    shell = "debug-shell"

    def fault(what, words, body):
        with Machine(profile, card, words) as machine:
            try:
                begin = time.monotonic()
                body(machine)
                report(machine, what, ok=True, seconds=round(time.monotonic() - begin, 1))
            except Failure as failure:
                raise Failure(f"{what}: {failure}\n--- console ---\n{machine.text()[-6000:]}") from None

    def broken_settings(machine):
        machine.started()
        machine.says("rill.toml:3: live.merge_ms = 5000")
        machine.publish_and_play(media)

    # As Windows saves it: with a mark at the beginning, and its line ends.
    card.write("rill.toml", "\ufeff# mine\r\n[live]\r\nmerge_ms = 5000\r\n")
    fault("broken settings", shell, broken_settings)
    error = open(card.take("RILL-ERROR.txt"), newline="").read()
    need("rill.toml:3: live.merge_ms = 5000" in error and "\r\n" in error, f"RILL-ERROR.txt says {error!r}")
    need(open(manifest).read() == open(card.take("MANIFEST")).read(), "the MANIFEST of BOOT has changed")

    def mended_settings(machine):
        machine.started()
        until(lambda: not card.has("RILL-ERROR.txt"), 30, "RILL-ERROR.txt did not go")
        machine.publish_and_play(media)

    card.write("rill.toml", "\ufeff[live]\r\nmerge_ms = 50\r\n")
    fault("mended settings", shell, mended_settings)

    def crash_at_start(machine):
        # The address is valid, and not this machine's: the server ends as soon as it starts.
        machine.says("the server starts with its defaults", 120)
        machine.started()
        machine.publish_and_play(media)

    card.write("rill.toml", '[server]\r\nlisten = ["10.99.99.99:1935"]\r\n')
    fault("server that crashes at start", shell, crash_at_start)
    card.write("rill.toml", "")

    def stuck_server(machine):
        machine.started()
        machine.says("Nobody is live")
        machine.shell("kill -STOP $(cat /run/server.pid)")
        machine.says("the server does not answer; it is stopped", 120)
        until(machine.answers, 60, "the server did not come back")
        machine.publish_and_play(media)
        machine.shell("kill -KILL $(cat /run/server.pid)")
        until(machine.answers, 60, "the server did not come back from a crash")

    fault("stuck and crashed server", shell, stuck_server)

    def full_card(machine):
        machine.started()
        said = machine.shell("dd if=/dev/zero of=/state/fill bs=1M; df /state", 120)
        need("No space left" in said, f"STATE was not filled: {said}")
        machine.publish_and_play(media)

    fault("full STATE", shell, full_card)

    def full_at_start(machine):
        machine.started()
        machine.publish_and_play(media)
        machine.shell("rm /state/fill; sync", 120)

    fault("start with a full STATE", shell, full_at_start)

    def unplugged(machine):
        machine.started()
        machine.publish_and_play(media)
        machine.cable("off")
        until(lambda: not machine.answers(), 30, "the cable was not unplugged")
        time.sleep(5)
        machine.cable("on")
        until(machine.answers, 60, "the server was not reached again")
        machine.publish_and_play(media)

    fault("unplugged cable", shell, unplugged)

    def no_dhcp(machine):
        # QEMU answers DHCP whenever the cable is in; so it is out before the system asks.
        machine.cable("off")
        machine.says("~ #", 120)
        address = until(lambda: re.search(r"inet (169\.254\.\d+\.\d+)/16", machine.shell("ip address")), 60, "no address")
        machine.says(f"Server: rtmp://{address.group(1)}/live")
        machine.cable("on")
        until(machine.answers, 60, "the server was not reached when DHCP came")

    fault("no DHCP at first", shell, no_dhcp)


def every():
    """Tests each image that was built; 1 when one of them fails."""
    status = 0
    for name in sorted(os.listdir(os.path.join(TOP, "boards"))):
        board = name.removesuffix(".toml")
        if board == name or not os.path.exists(os.path.join(TOP, "dist", f"rill-{board}.img")):
            continue
        with open(os.path.join(TOP, "boards", name), "rb") as file:
            for machine in tomllib.load(file).get("qemu", []):
                if not re.search(rf"^{re.escape(machine['machine'])} ", run(machine["program"], "-M", "help"), re.M):
                    print(f"boot-test: {board}: this QEMU has no {machine['machine']}", file=sys.stderr)
                    continue
                status |= subprocess.run([__file__, board, "--machine", machine["name"]]).returncode
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("board", nargs="?")
    parser.add_argument("--all", action="store_true", help="every image in dist/ on every machine that this QEMU has")
    parser.add_argument("--machine", help="one of the board's [[qemu]] tables by name; the first without it")
    parser.add_argument("--image")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--within", type=float, help="seconds from power-on in which the server has to answer")
    options = parser.parse_args()
    if options.all:
        return every()
    if not options.board:
        parser.error("BOARD is missing")
    with open(os.path.join(TOP, "boards", f"{options.board}.toml"), "rb") as file:
        machines = tomllib.load(file).get("qemu", [])
    image = options.image or os.path.join(TOP, "dist", f"rill-{options.board}.img")
    directory = tempfile.mkdtemp(prefix="rill-boot-")
    try:
        known = [machine["name"] for machine in machines]
        wanted = options.machine or (known[0] if known else "")
        need(wanted in known, f"boards/{options.board}.toml has no [[qemu]] named {wanted!r}; there are: {' '.join(known)}")
        need(os.path.exists(image), f"{image} is missing: make image BOARD={options.board}")
        profile = {**machines[known.index(wanted)], "board": options.board}
        media = clip(directory)
        card = Card(image, directory)
        first = start(profile, card, media, "first")
        card.check_state()
        start(profile, card, media, "after the plug was pulled")
        card.check_state()
        if options.faults:
            faults(profile, card, media)
            card.check_state()
        within = options.within
        need(not within or first <= within, f"the server answered after {first} s; at most {within} s are allowed")
    except Failure as failure:
        print(f"boot-test: {options.board}: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory)
    return 0


sys.exit(main())
