#!/usr/bin/env python3
"""tls.py RILL: what TLS costs (`make bench`). A hundred players of a stream over RTMPS beside as many over RTMP, in turn, in processor
time of the server for what they received, beside what `openssl speed` says of the same cipher; a hundred players over RTMP, alone and
beside fifty handshakes a second that are begun and left; and relays in each direction, beside players.

The server is RILL, players are this program: they read, and look at nothing."""

import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

# Nothing is left in the checkout.
sys.dont_write_bytecode = True

from recordings import AHEAD, find, free_port

PLAYERS, BITRATE, ROUNDS, SECONDS = 100, "2M", 3, 8
HELLOS = 50
# Streams that are sent on and fetched at once, so that one of them can be seen.
RELAYED = 16
# What a flood of hellos may add to the 99th of a hundred latencies, in milliseconds: no more than a handshake.
BAR_MS = 5


def median(values):
    return sorted(values)[len(values) // 2]


def string(text):
    return b"\x02" + len(text).to_bytes(2, "big") + text.encode()


def number(value):
    return b"\x00" + struct.pack(">d", value)


def message(kind, stream, body):
    """One chunk of a message (RTMP 1.0, section 5.3.1.2.1)."""
    return b"\x03\0\0\0" + len(body).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little") + body


def play(name):
    """What a player says: chunks of 64 KiB, an application, a stream, and its name."""
    app = string("app")[1:] + string("live") + string("tcUrl")[1:] + string("rtmp://localhost/live") + b"\0\0\x09"
    said = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\xff\xff"
    said += message(0x14, 0, string("connect") + number(1) + b"\x03" + app)
    said += message(0x14, 0, string("createStream") + number(2) + b"\x05")
    return said + message(0x14, 1, string("play") + number(0) + b"\x05" + string(name))


class Players:
    """So many of a stream, on one thread."""

    def __init__(self, port, trusting, count, name):
        self.bytes, self.stops, self.sockets = 0, False, {}
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", port))
            one = trusting.wrap_socket(plain, server_hostname="localhost") if trusting else plain
            one.sendall(b"\x03" + bytes(1536))
            greeting = b""
            while len(greeting) < 3073:
                greeting += one.recv(3073 - len(greeting))
            one.sendall(bytes(1536) + play(name))
            one.setblocking(False)
            self.sockets[one.fileno()] = one
        self.cipher = one.cipher()[0] if trusting else None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        poll = select.epoll()
        for at in self.sockets:
            poll.register(at, select.EPOLLIN)
        while not self.stops:
            for at, _ in poll.poll(0.1):
                try:
                    while more := len(self.sockets[at].recv(1 << 16)):
                        self.bytes += more
                    raise SystemExit("the server ended a player")
                except (BlockingIOError, ssl.SSLWantReadError):
                    pass

    def end(self):
        self.stops = True
        self.thread.join(5)
        for one in self.sockets.values():
            one.close()


class Hellos:
    """Handshakes that are begun at their times, and left when the server has answered."""

    def __init__(self, port, a_second):
        self.port, self.every, self.count, self.stops = port, 1 / a_second, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            hello.do_handshake()
        except ssl.SSLWantReadError:
            hello = outgoing.read()
        due, open_ones = time.monotonic(), []
        while not self.stops:
            time.sleep(max(0.0, due - time.monotonic()))
            one = socket.create_connection(("127.0.0.1", self.port))
            one.sendall(hello)
            open_ones.append(one)
            # Answered meanwhile, or rested for.
            if len(open_ones) > HELLOS:
                first = open_ones.pop(0)
                first.setblocking(False)
                try:
                    self.count += len(first.recv(1)) > 0
                except OSError:
                    pass
                first.close()
            due += self.every

    def end(self):
        self.stops = True
        self.thread.join(5)


class Server:
    def __init__(self, rill, root, live=""):
        self.root = root
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run([rill, "init", "--tls", root], check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(root, "applications/live/app.toml"), "w") as file:
            file.write(live)
        self.rtmp, self.rtmps = free_port(), free_port()
        sets = ["server.http=127.0.0.1:0", f"server.tls.listen=127.0.0.1:{self.rtmps}", "server.tls.http=127.0.0.1:0"]
        sets += ["limits.connections_per_address=0", "live.merge_ms=0"]
        command = [rill, "serve", "--board", "host", "--root", root, "--listen", f"127.0.0.1:{self.rtmp}", "--log", "warn"]
        command += [word for one in sets for word in ("--set", one)]
        self.process = subprocess.Popen(AHEAD + command, stdout=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.rtmps)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.root)


def publishing(rill, port, seconds, streams=1, players=0):
    load = [rill, "bench", f"rtmp://127.0.0.1:{port}/live/cam", "--streams", str(streams), "--players", str(players), "--bitrate", BITRATE]
    load += ["--duration", str(seconds), "--json"]
    return subprocess.Popen(AHEAD + load, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def cost(rill, root, is_secure):
    """Seconds of the server's processor for a gigabyte that players received, and their cipher."""
    with Server(rill, root) as server:
        bench = publishing(rill, server.rtmp, SECONDS + 20)
        time.sleep(1)
        trusting = None
        if is_secure:
            trusting = ssl.create_default_context(cafile=os.path.join(root, "tls/certificate.pem"))
        players = Players(server.rtmps if is_secure else server.rtmp, trusting, PLAYERS, "cam")
        time.sleep(1)
        begin_s, begin = server.cpu_s(), players.bytes
        time.sleep(SECONDS)
        took_s, had = server.cpu_s() - begin_s, players.bytes - begin
        players.end()
        bench.kill()
        bench.wait()
        return took_s / had * 1e9, players.cipher


def openssl_s(cipher):
    """Seconds that openssl takes to encrypt a gigabyte, in pieces as long as a record."""
    name = "chacha20-poly1305" if "CHACHA" in cipher else "aes-128-gcm"
    said = subprocess.run(
        ["openssl", "speed", "-evp", name, "-seconds", "2", "-bytes", "16384", "-mr"], check=True, capture_output=True, text=True
    ).stdout
    # The last field is bytes a second.
    rate = float(re.search(r"^\+F:.*:([\d.]+)$", said, re.M).group(1))
    return 1e9 / rate, name


def flooded_ms(rill, root, hellos):
    """The 99th of a hundred latencies of players, and how many handshakes a second were answered beside them."""
    with Server(rill, root) as server:
        bench = publishing(rill, server.rtmp, SECONDS, players=PLAYERS)
        flood, begin = Hellos(server.rtmps, hellos) if hellos else None, time.monotonic()
        said, _ = bench.communicate()
        answered = flood.count / (time.monotonic() - begin) if flood else 0
        if flood:
            flood.end()
        return find(json.loads(said), "latency")["p99_us"] / 1000, answered


def relayed(rill, root):
    """Processor time of the server for some streams: alone, with a player each, with each sent on, and with each fetched instead of
    published here, in seconds."""
    found = {}
    with Server(rill, root + "-far") as far:
        url = f"rtmp://127.0.0.1:{far.rtmp}/live/"
        pull = "".join(f'[[pull]]\nname = "cam-{n}"\nurl = "{url}cam-{n}"\nwhen = "always"\n' for n in range(1, RELAYED + 1))
        for what, text in [("alone", ""), ("player", ""), ("push", f'[[push]]\nurl = "{url}"\n'), ("pull", pull)]:
            with Server(rill, root, text) as near:
                source = far if what == "pull" else near
                bench = publishing(rill, source.rtmp, SECONDS + 20, RELAYED)
                # A pull that found nobody comes back after a second.
                time.sleep(4)
                count = RELAYED if what == "player" else 0
                players = [Players(near.rtmp, None, 1, f"cam-{n}") for n in range(1, count + 1)]
                begin_s = near.cpu_s()
                time.sleep(SECONDS)
                found[what] = near.cpu_s() - begin_s
                for one in players:
                    one.end()
                bench.kill()
                bench.wait()
    return found


def main():
    rill = os.path.abspath(sys.argv[1])
    root = os.path.join(os.path.dirname(os.path.dirname(rill)), "tls-bench")
    print(f"load {os.getloadavg()[0]:.1f}; {PLAYERS} players of {BITRATE}bit/s, {ROUNDS} rounds of {SECONDS} s in turn, medians")
    costs = {False: [], True: []}
    for _ in range(ROUNDS):
        for is_secure in costs:
            took_s, cipher = cost(rill, root, is_secure)
            costs[is_secure].append(took_s)
    plain, secured = median(costs[False]), median(costs[True])
    speed_s, name = openssl_s(cipher)
    print(f"RTMP {plain:.2f} s/GB, RTMPS {secured:.2f} s/GB (x {secured / plain:.2f}) with {cipher}")
    print(f"openssl speed {name}: {speed_s:.2f} s/GB, of the {secured - plain:.2f} s that RTMPS takes more", flush=True)
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(flooded_ms(rill, root, 0)[0])
        beside.append(flooded_ms(rill, root, HELLOS))
    p99, flooded = median(alone), median([one for one, _ in beside])
    answered = median([count for _, count in beside])
    print(f"p99 of {PLAYERS} players {p99:.2f} ms, beside {HELLOS} hellos a second {flooded:.2f} ms, {answered:.0f} a second answered", flush=True)
    rounds = [relayed(rill, root) for _ in range(ROUNDS)]
    alone, player, push, pull = (median([one[what] for one in rounds]) for what in ("alone", "player", "push", "pull"))
    print(
        f"{RELAYED} streams {alone:.2f} s; a player each takes {player - alone:.2f} s more, each sent on {push - alone:.2f} s more; "
        f"all fetched instead {pull:.2f} s"
    )
    # Machines are slow.
    sys.exit(flooded - p99 > 3 * BAR_MS)


if __name__ == "__main__":
    main()
