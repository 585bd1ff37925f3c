#!/usr/bin/env python3
"""statistics.py RILL: what programs that watch the server cost its viewers (`make bench`): how late live pictures are at a hundred
players, alone, beside 2000 requests a second of /stat, and beside one client that asks for /metrics again and again; without merging, and
with a window that widens as the loop fills (live.merge_ms). And how long a part of /metrics holds up the loop when every table is full.

The server and the load that it bears are both RILL. Requests are sent at their times whatever the server does, over eight connections."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

# Nothing is left in the checkout.
sys.dont_write_bytecode = True

from recordings import AHEAD, find, free_port

PLAYERS, BITRATE, SECONDS, REQUESTS, CONNECTIONS = 100, "2M", 15, 2000, 8
# As many as there may be, each with players.
FULL_STREAMS, FULL_PLAYERS, FULL_BITRATE = 64, 15, "100k"
FULL = [f"limits.streams={FULL_STREAMS}", "limits.ring_bytes=2MiB", f"limits.connections={FULL_STREAMS * (FULL_PLAYERS + 1) + 16}"]
# What /stat may add to the 99th of a hundred latencies, in milliseconds.
BAR_MS = 2
# For how long a part of /metrics may hold up the loop, in milliseconds.
BAR_PART_MS = 1


class Asker:
    """Asks for a path over one connection, at most so often a second, and counts the answers."""

    def __init__(self, port, path, a_second):
        self.every, self.count, self.latest, self.stops = 1 / a_second, 0, 0.0, False
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        due, rest = time.monotonic(), b""
        while not self.stops:
            time.sleep(max(0.0, due - time.monotonic()))
            self.socket.sendall(self.request)
            # Chunks, the last of which is empty.
            while (end := rest.find(b"\r\n0\r\n\r\n")) < 0:
                more = self.socket.recv(1 << 18)
                if not more:
                    raise SystemExit("the server ended a connection")
                rest += more
            rest = rest[end + 7 :]
            self.count += 1
            self.latest = max(self.latest, time.monotonic() - due)
            due += self.every

    def end(self):
        self.stops = True
        self.thread.join(5)


def longest_answer_ms(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as metrics:
        lines = metrics.read().decode().splitlines()
    return 1000 * float(next(line.split()[1] for line in lines if line.startswith("rill_http_longest_answer_seconds ")))


def measure(rill, root, merge, askers, streams=1, players=PLAYERS, bitrate=BITRATE):
    rtmp, http = free_port(), free_port()
    sets = [f"server.http=127.0.0.1:{http}", "limits.connections_per_address=0", f"live.merge_ms={merge}"]
    sets += FULL if streams > 1 else []
    command = [rill, "serve", "--board", "host", "--root", root, "--listen", f"127.0.0.1:{rtmp}", "--log", "warn"]
    server = subprocess.Popen(AHEAD + command + [word for one in sets for word in ("--set", one)], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        load = [rill, "bench", f"rtmp://127.0.0.1:{rtmp}/live", "--streams", str(streams), "--players", str(players), "--bitrate", bitrate]
        load += ["--duration", str(SECONDS), "--json"]
        bench = subprocess.Popen(AHEAD + load, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        asking = [Asker(http, path, a_second) for path, a_second in askers]
        begin = time.monotonic()
        said, _ = bench.communicate()
        seconds = time.monotonic() - begin
        for asker in asking:
            asker.end()
        answered = sum(asker.count for asker in asking) / seconds, max([asker.latest for asker in asking], default=0)
        return find(json.loads(said), "latency"), *answered, longest_answer_ms(http)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def main():
    rill = os.path.abspath(sys.argv[1])
    root = os.path.join(os.path.dirname(os.path.dirname(rill)), "statistics")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(os.path.join(root, "applications/live"))
    print(f"a stream of {BITRATE}bit/s with {PLAYERS} players, {SECONDS} s")
    try:
        p99 = {}
        for merge, what, askers in [
            ("0", "alone", []),
            ("0", "/stat", [("/stat", REQUESTS / CONNECTIONS)] * CONNECTIONS),
            ("0", "/metrics", [("/metrics", 1e9)]),
            ("auto", "alone", []),
            ("auto", "/stat", [("/stat", REQUESTS / CONNECTIONS)] * CONNECTIONS),
        ]:
            latency, rate, latest, longest_ms = measure(rill, root, merge, askers)
            p99[merge, what] = latency["p99_us"] / 1000
            print(
                f"merge_ms {merge:4} {what:8} p50 {latency['p50_us'] / 1000:6.2f} ms, p99 {p99[merge, what]:6.2f} ms, "
                f"{rate:6.0f} requests a second, answered within {latest * 1000:.1f} ms, parts within {longest_ms:.2f} ms",
                flush=True,
            )
        more = {merge: p99[merge, "/stat"] - p99[merge, "alone"] for merge in ("0", "auto")}
        print(f"/stat adds {more['0']:.2f} ms to the p99 without merging, {more['auto']:.2f} ms with auto, and {BAR_MS} is the bar")
        _, rate, _, longest_ms = measure(rill, root, "auto", [("/metrics", 1e9)], FULL_STREAMS, FULL_PLAYERS, FULL_BITRATE)
        print(
            f"{FULL_STREAMS} streams with {FULL_PLAYERS} players each: {rate:.0f} times a second /metrics, "
            f"parts within {longest_ms:.2f} ms, and {BAR_PART_MS} is the bar"
        )
        # Machines are slow.
        sys.exit(max(more.values()) > 3 * BAR_MS or longest_ms > 3 * BAR_PART_MS)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
