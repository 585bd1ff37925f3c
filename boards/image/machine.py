"""Machines of QEMU that run the image of a board, and the cards that they run from.

The image, grown to the size of a card, is the machine's card; kernel, initramfs and device tree are taken out of it,
because QEMU's Raspberry Pis have no boot ROM."""

import gzip
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

from profiles import TOP, Failure, qemu

HERE = os.path.dirname(os.path.abspath(__file__))
CARD_MIB = 128
# The partition BOOT begins there (build.sh).
BOOT_AT = "@@1M"
START_S = 120
SHELL_S = 60


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


def machines(board):
    """The board's [[qemu]] tables, as far as this QEMU has the machine."""
    known = []
    for table in qemu(board):
        if re.search(rf"^{re.escape(table['machine'])} ", run(table["program"], "-M", "help"), re.M):
            known.append(table)
        else:
            print(f"boot-test: {board}: this QEMU has no {table['machine']}", file=sys.stderr)
    return known


class Card:
    """A card with the image on it, and the files that QEMU wants beside it."""

    def __init__(self, image, directory):
        need(os.path.exists(image), f"{image} is missing: make image")
        self.directory = directory
        self.path = os.path.join(directory, "card.img")
        # What its server has shown, if that was seen.
        self.certificate = None
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

    def take_state(self, name):
        """Copies a folder of STATE out of the card."""
        part, out = self.state_part(), os.path.join(self.directory, "state")
        os.makedirs(out)
        self.replay(part)
        run("/sbin/debugfs", "-R", f"rdump /{name} {out}", part)
        os.unlink(part)
        return os.path.join(out, name)

    def state_part(self):
        """Copies the partition STATE out of the card, which it fills."""
        with open(self.path, "rb") as file:
            record = file.read(512)
            start, sectors = (int.from_bytes(record[at : at + 4], "little") for at in (470, 474))
            need((start + sectors) * 512 == CARD_MIB << 20, f"STATE ends at sector {start + sectors}, not with the card")
            file.seek(start * 512)
            part = os.path.join(self.directory, "state.part")
            with open(part, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        return part

    @staticmethod
    def replay(part):
        # 1: there was something to do, which is the journal's replay.
        fsck = subprocess.run(["/sbin/e2fsck", "-fp", part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        need(fsck.returncode <= 1, f"e2fsck of STATE: {fsck.stdout}")

    def check_state(self):
        """The file system of STATE is whole, once its journal was replayed, and fills the card."""
        part = self.state_part()
        self.replay(part)
        blocks = int(re.search(r"Block count: +(\d+)", run("/sbin/dumpe2fs", "-h", part)).group(1))
        most = os.path.getsize(part) // 4096
        need(blocks > most * 0.95, f"the file system of STATE has {blocks} blocks of {most}")
        os.unlink(part)


class Machine:
    """A machine that runs. Leaving the `with` pulls its plug.

    `profile` is a [[qemu]] table of the board, `words` are put behind the kernel's arguments and `devices` behind
    QEMU's. Its network is QEMU's own, with the ports of the server, and of its page without and in TLS, forwarded to this
    machine, or the tap `cable` with its end of the wire's address `mac`; then `host` and `port` have to be set to where the
    server is."""

    def __init__(self, profile, card, words="", devices=(), cable=None, mac="52:54:00:12:34:56"):
        self.profile, self.card, self.output = profile, card, b""
        self.host, self.port, self.page, self.secure_page = "127.0.0.1", free_port(), free_port(), free_port()
        self.monitor = os.path.join(card.directory, f"monitor-{self.port}")
        arguments = [word for word in card.arguments if not word.startswith("console=")]
        # QEMU's first serial port is the PL011, and none of its machines has HDMI.
        arguments += ["console=ttyAMA0,115200 no-hdmi", profile.get("kernel_arguments", ""), words]
        memory = f"{profile.bytes('memory_bytes') >> 20}M"
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
        forwarded = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:1935,hostfwd=tcp:127.0.0.1:{self.page}-:80"
        forwarded += f",hostfwd=tcp:127.0.0.1:{self.secure_page}-:8443"
        command += ["-netdev", f"tap,id=net,ifname={cable},script=no,downscript=no" if cable else forwarded]
        command += ["-device", f"{profile['network']},netdev=net,id=nic,mac={mac}"]
        command += devices
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
            with socket.create_connection((self.host, self.port), 1) as client:
                client.settimeout(1)
                client.sendall(b"\x03" + bytes(1536))
                return client.recv(1) == b"\x03"
        except OSError:
            return False

    def has_page(self):
        """Asks for the page, where a browser looks for it, and for what is live."""
        def get(path):
            asked = urllib.request.Request(f"http://{self.host}:{self.page}{path}", headers={"Accept-Encoding": "gzip"})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.headers["Content-Type"], answer.read()

        kind, page = get("/")
        need(kind.startswith("text/html") and gzip.decompress(page).startswith(b"<!doctype html>"), f"the page is {page[:200]!r}")
        kind, status = get("/api/status")
        need(kind == "application/json" and "streams" in json.loads(status), f"what is live is {status!r}")

    def certificate(self):
        """The certificate that the server shows, when it has also answered in TLS. It signs itself, so it is its own authority."""
        # On a machine that is busy with other tests a handshake may take longer than the server waits for one.
        return until(self.shown_in_tls, SHELL_S, "the server did not answer over TLS", pause=1)

    def shown_in_tls(self):
        try:
            shown = ssl.get_server_certificate((self.host, self.secure_page), timeout=20)
            trusting = ssl.create_default_context(cadata=shown)
            with socket.create_connection((self.host, self.secure_page), 20) as plain:
                with trusting.wrap_socket(plain, server_hostname="rill.local") as secured:
                    secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: rill.local\r\nConnection: close\r\n\r\n")
                    return shown if secured.recv(4096).startswith(b"HTTP/1.1 200 ") else None
        except OSError:
            return None

    def started(self):
        """Waits until the server answers; how long it took since the power came, and how long QEMU waited for a processor of
        this machine meanwhile, in seconds."""
        # QEMU's USB network does not bear packets before it is up: now and then the whole machine hangs.
        until(lambda: "has the address" in self.text(), START_S, "the machine got no address", 0.02)
        until(self.answers, START_S, "the server did not answer", 0.05)
        took = time.monotonic() - self.begin
        waited = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as file:
                # Nanoseconds on a processor, and waiting for one.
                waited = max(waited, int(file.read().split()[1]) / 1e9)
        return round(took, 1), round(waited, 1)

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
        self.command(f"set_link nic {state}")

    def command(self, line):
        """Gives QEMU's monitor a command."""
        until(lambda: os.path.exists(self.monitor), 10, "QEMU made no monitor")
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self.monitor)
            monitor.settimeout(30)
            prompt, said = b"(qemu) ", b""
            # A connection that is closed before the command was done takes it along.
            while prompt not in said:
                said += monitor.recv(65536)
            monitor.sendall(f"{line}\n".encode())
            said = b""
            while b"\n" + prompt not in said:
                said += monitor.recv(65536)

    def publish(self, clip, stream="cam1"):
        url = f"rtmp://{self.host}:{self.port}/live/{stream}"
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", url]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def play(self, seconds=3):
        """Plays for some seconds of video, and counts the frames that can be decoded."""
        url = f"rtmp://{self.host}:{self.port}/live/cam1"
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
