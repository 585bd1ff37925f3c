#!/usr/bin/env python3
"""run.py RILL [--players N] [--seconds S]: one event on several boards, in network namespaces of its own. Two origins have the same
stream, three edges fetch it from the first that has it, and N players watch at each edge (100), over HTTP. What an origin sends is counted on
its cable; then an origin is killed, the cable of the other is pulled, and an edge is killed, and it is printed for how long players waited."""

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time

# Nothing is left in the checkout.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../boards/image"))

from lan import SWITCH, Host, isolate, switch
from machine import run, until

BITRATE = 300_000
EDGES = 3
# Players that are woken for each byte; others read in pieces of this many, so that their number costs the test little.
PRECISE, PIECE = 10, 8192
# What may pass until the last player sees something again, in seconds: three times what is expected at most, of a busy machine.
BARS = {"an origin is killed": 8, "the cable of an origin is pulled": 20, "an edge is killed": 8}


class Board(Host):
    """A host with a server whose application has this file."""

    def __init__(self, name, address, rill, app, directory):
        super().__init__(name)
        self.plug()
        self.address(f"{address}/24")
        self.ip, self.rill, self.root = address, rill, os.path.join(directory, name)
        os.makedirs(os.path.join(self.root, "applications/live"))
        with open(os.path.join(self.root, "applications/live/app.toml"), "w") as file:
            file.write(app)
        self.serve()

    def serve(self):
        settings = ["server.listen=0.0.0.0:1935", "server.http=0.0.0.0:8080", "limits.connections=1000", "limits.connections_per_address=0"]
        with open(os.path.join(self.root, "log"), "a") as log:
            words = [word for setting in settings for word in ("--set", setting)]
            self.server = self.start(self.rill, "serve", "--root", self.root, *words, stdout=log, stderr=log)

    def kill(self):
        # The command that enters the namespace becomes the server.
        self.server.kill()
        self.server.wait()

    def sent(self):
        return json.loads(self.run("ip", "-json", "-statistics", "link", "show", "eth0"))[0]["stats64"]["tx"]["bytes"]

    def pushes(self):
        return self.run(self.rill, "ctl", "--root", self.root, "push", "list").strip()

    def log(self):
        with open(os.path.join(self.root, "log")) as file:
            return file.read()


class Player:
    """Plays over HTTP, at another edge when its own goes away, and knows for how long nothing came at most."""

    def __init__(self, audience, edge, is_precise):
        self.audience, self.edge, self.is_precise = audience, edge, is_precise
        self.socket, self.bytes, self.latest, self.longest = None, 0, time.monotonic(), 0.0
        self.join()

    def join(self):
        if self.socket:
            self.audience.selector.unregister(self.socket)
            self.socket.close()
        self.socket = socket.socket()
        if not self.is_precise:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, PIECE)
        self.socket.setblocking(False)
        self.socket.connect_ex((self.audience.edges[self.edge], 8080))
        self.asked = False
        self.audience.selector.register(self.socket, selectors.EVENT_WRITE, self)

    def ready(self, now):
        if not self.asked:
            try:
                self.socket.send(b"GET /live/cam.flv HTTP/1.1\r\nHost: edge\r\n\r\n")
            except OSError:
                return self.go_on()
            self.asked = True
            return self.audience.selector.modify(self.socket, selectors.EVENT_READ, self)
        try:
            count = len(self.socket.recv(1 << 17))
        except OSError:
            count = 0
        if count == 0:
            return self.go_on()
        self.longest = max(self.longest, now - self.latest)
        self.latest, self.bytes = now, self.bytes + count

    def go_on(self):
        self.edge = (self.edge + 1) % len(self.audience.edges)
        self.join()


class Audience:
    def __init__(self, edges, players):
        self.selector, self.edges = selectors.DefaultSelector(), edges
        self.players = [Player(self, n % len(edges), n // len(edges) < PRECISE) for n in range(players * len(edges))]

    def watch(self, seconds):
        """Players watch for so long. Returns how long each was sent nothing at most, and how many bytes it got."""
        begin = time.monotonic()
        for player in self.players:
            player.longest, player.latest, player.bytes = 0.0, begin, 0
        while (left := begin + seconds - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                key.data.ready(time.monotonic())
        now = time.monotonic()
        waits = sorted(max(player.longest, now - player.latest) for player in self.players)
        return waits, [player.bytes for player in self.players]


def publish(encoder, origin):
    url = f"rtmp://{origin.ip}/live/cam"
    return encoder.start(
        *"ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=44100".split(),
        *"-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -b:v 240k -minrate 240k -maxrate 240k -bufsize 120k".split(),
        *"-nal-hrd cbr -pix_fmt yuv420p -c:a aac -b:a 48k -f flv".split(),
        url,
    )


def tell(what, waits):
    some = f"median {statistics.median(waits):.2f} s, most {waits[-1]:.2f} s"
    print(f"edges: {what}: {len(waits)} players wait: {some}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rill")
    parser.add_argument("--players", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    rill = os.path.abspath(options.rill)
    isolate()
    switch(address="10.77.0.254/24")
    # Else it has that of a cable, and another one when that is pulled.
    run("ip", "link", "set", SWITCH, "address", "02:00:00:00:77:fe")
    with tempfile.TemporaryDirectory(prefix="rill-edges-") as directory:
        try:
            event(rill, options, directory)
        except BaseException:
            for name in sorted(os.listdir(directory)):
                with open(os.path.join(directory, name, "log")) as file:
                    print(f"--- {name}\n" + "".join(file.readlines()[-60:]), file=sys.stderr)
            raise


def event(rill, options, directory):
    hosts, encoders = [], []

    def board(name, last, app):
        hosts.append(Board(name, f"10.77.0.{last}", rill, app, directory))
        return hosts[-1]

    try:
        origins = [board(f"origin{n}", n, "") for n in (1, 2)]
        urls = ", ".join(f'"rtmp://{origin.ip}/live"' for origin in origins)
        edges = [board(f"edge{n}", 10 + n, f"[edge]\norigins = [{urls}]\n") for n in range(1, EDGES + 1)]
        encoder = Host("encoder")
        hosts.append(encoder)
        encoder.plug()
        encoder.address("10.77.0.20/24")
        for each in [*origins, *edges]:
            until(lambda: "listen" in each.log(), 20, f"{each.name} does not start:\n{each.log()}", 0.1)
        encoders += [publish(encoder, origin) for origin in origins]
        until(lambda: all("publish start" in origin.log() for origin in origins), 30, "nothing is published", 0.1)
        # It stands where the switch does.
        audience = Audience([edge.ip for edge in edges], options.players)
        waits, _ = audience.watch(5)
        tell("the first picture", waits)

        before = [origin.sent() for origin in origins]
        waits, got = audience.watch(options.seconds)
        sent = [origin.sent() - start for origin, start in zip(origins, before)]
        one = statistics.median(got)
        print(f"edges: {len(got)} players are sent {sum(got)} bytes by {EDGES} edges, and those {sent[0]} by the first origin", flush=True)
        assert min(got) > 0.7 * one, f"a player is sent {min(got)} bytes, and others {one}"
        # A player over HTTP is sent a little more of each frame than an edge over RTMP, and cables have frames of their own.
        assert 0.8 * EDGES < sent[0] / one < 1.4 * EDGES, f"the stream, {one} bytes, is sent {sent[0] / one:.2f} times to {EDGES} edges"
        assert sent[1] < one / 4, f"the second origin sends {sent[1]} bytes"

        def broken(what, seconds, do):
            until(lambda: all(" running " in edge.pushes() for edge in edges if edge.server.poll() is None), 20, f"no edge runs: {edges[0].pushes()}", 0.2)
            audience.watch(2)
            do()
            waits, _ = audience.watch(seconds)
            tell(what, waits)
            assert waits[-1] < BARS[what], f"{what}: somebody waits for {waits[-1]:.1f} s"

        broken("an origin is killed", options.seconds, origins[0].kill)
        # The next one to fail over to.
        encoders[0].kill()
        origins[0].serve()
        until(lambda: origins[0].log().count(" publish start ") == 1, 5, "it starts again", 0.1)
        time.sleep(1)
        encoders.append(publish(encoder, origins[0]))
        until(lambda: origins[0].log().count(" publish start ") == 2, 20, "nothing is published anew", 0.1)
        broken("the cable of an origin is pulled", options.seconds + 6, origins[1].unplug)
        broken("an edge is killed", options.seconds, edges[0].kill)
        for edge in edges[1:]:
            assert "Unpublish" not in edge.log() and "panicked" not in edge.log(), edge.log()
        print("edges: all is well", flush=True)
    finally:
        # ffmpeg would go on writing to whoever does not answer.
        for process in encoders:
            process.kill()
        for host in reversed(hosts):
            host.stop()


if __name__ == "__main__":
    main()
