#!/usr/bin/env python3
"""Runs `appliance name` on a network of namespaces with Avahi, which resolves, browses, and wants the same name.

name-test.py APPLIANCE"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "image"))
import lan  # noqa: E402
from machine import Failure, need, until  # noqa: E402


class Board(lan.Host):
    """A host that holds a name."""

    def __init__(self, name, program, address=None, plugged=True, more=()):
        super().__init__(name)
        self.file = os.path.join(tempfile.gettempdir(), name)
        self.program, self.more = program, more
        if address:
            self.address(address)
        if plugged:
            self.plug()

    def hold(self):
        self.process = self.start(self.program, "name", "rill", self.file, "rtmp=1935", "http=80", *self.more, stdout=subprocess.DEVNULL)

    def held(self):
        try:
            with open(self.file) as file:
                return file.read().strip()
        except FileNotFoundError:
            return None

    def settles(self, names=("rill.local",)):
        return until(lambda: self.held() in names and self.held(), 15, f"{self.name} holds {self.held()}, not {names}")

    def memory(self):
        # nsenter has become the program.
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def boards(count, program, **options):
    return [Board(f"board{at}", program, f"10.7.0.{at + 1}/24", **options) for at in range(count)]


def tell(what, **facts):
    print(f"name-test: {what}", *(f"{key}={value}" for key, value in facts.items()), flush=True)


def alone(program):
    with lan.Avahi("listener", "10.7.0.100/24") as listener, boards(1, program)[0] as board:
        begin = time.monotonic()
        board.hold()
        until(lambda: listener.resolve("rill.local") == "10.7.0.1", 10, "rill.local was not resolved", 0.05)
        took = time.monotonic() - begin
        board.settles()
        want = [("Rill", "rill.local", "10.7.0.1", 1935)]
        until(lambda: listener.browse() == want, 10, f"browsing finds {listener.browse()}")
        page = [("Rill", "rill.local", "10.7.0.1", 80)]
        need(listener.browse("_http._tcp") == page, f"browsing finds {listener.browse('_http._tcp')}")
        need(listener.browse("_services._dns-sd._udp") == [], "the list of types has instances")
        need(listener.resolve("rill.local", "-6") is None, "an IPv6 address, where the server does not listen")
        tell("alone: resolved, browsed", resolved_s=round(took, 1), memory_kib=board.memory())
        # A resolver that is no responder asks from another port, once, and wants the answer there.
        reply = listener.start("python3", "-c", PLAIN, stdout=-1)
        answer = reply.communicate(timeout=10)[0].decode().strip()
        need(answer == "10.7.0.1", f"a plain client got {answer!r}")
        tell("a plain DNS client is answered")
        board.address("10.7.0.55/24")
        until(lambda: listener.resolve("rill.local") == "10.7.0.55", 5, "the new address was not noticed", 0.05)
        need(listener.browse()[0][2] == "10.7.0.55", f"browsing finds {listener.browse()}")
        tell("an address that changes is noticed")
        board.process.send_signal(signal.SIGTERM)
        need(board.process.wait(5) == 0, "it did not end well")
        need(board.held() is None, "the file was left behind")
        # A goodbye lives for 1 s (RFC 6762, section 10.1); without one it would be 75 minutes.
        until(lambda: listener.browse() == [], 5, "the goodbye was not heard")
        tell("a goodbye is said at the end")


PLAIN = """
import socket, struct
query = struct.pack(">6H", 4711, 0, 1, 0, 0, 0) + b"\\4rill\\5local\\0" + struct.pack(">2H", 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.7.0.100"))
    client.sendto(query, ("224.0.0.251", 5353))
    answer, sender = client.recvfrom(9000)
    at = len(query) + 12
    assert answer[:2] == query[:2] and answer[12:len(query)] == query[12:] and sender[1] == 5353, answer
    kind, family, lifetime, length = struct.unpack(">2HIH", answer[at:at + 10])
    assert (kind, family, lifetime, length) == (1, 1, 10, 4), answer
    print(socket.inet_ntoa(answer[at + 10:at + 14]))
"""


def by_ipv6(program):
    with lan.Avahi("listener", "10.7.0.100/24") as listener:
        for address in ("10.7.0.1/24", None):
            with Board("board", program, address, more=["ipv6"]) as board:
                board.hold()
                found = until(lambda: listener.resolve("rill.local", "-6"), 10, "no IPv6 address")
                need(found.startswith("fe80:"), f"the IPv6 address is {found}")
                board.process.send_signal(signal.SIGTERM)
                until(lambda: not listener.resolve("rill.local", "-6"), 10, "the goodbye was not heard")
    tell("by IPv6, and by IPv6 alone")


def taken(program):
    with lan.Avahi("listener", "10.7.0.100/24", host_name="Rill") as other, boards(1, program)[0] as board:
        begin = time.monotonic()
        board.hold()
        board.settles(["rill-2.local"])
        took = time.monotonic() - begin
        until(lambda: other.resolve("rill-2.local") == "10.7.0.1", 10, "rill-2.local was not resolved")
        need(other.resolve("rill.local") == "10.7.0.100", "rill.local is no longer the other's")
        want = [("Rill (2)", "rill-2.local", "10.7.0.1", 1935)]
        until(lambda: other.browse() == want, 10, f"browsing finds {other.browse()}")
        tell("a name that Avahi has is left to it", held_s=round(took, 1))


def kept(program):
    with boards(1, program)[0] as board:
        board.hold()
        board.settles()
        with lan.Avahi("listener", "10.7.0.100/24", host_name="rill") as other:
            until(lambda: "Host name conflict, retrying with rill-2" in other.said(), 10, f"Avahi says {other.said()}")
            until(lambda: other.resolve("rill.local") == "10.7.0.1", 10, "rill.local is no longer ours")
            need(board.held() == "rill.local", f"it holds {board.held()}")
        tell("a name that Avahi wants is kept")


def together(program):
    with lan.Avahi("listener", "10.7.0.100/24") as listener:
        for _ in range(4):
            one, two = pair = boards(2, program)
            with one, two:
                for board in pair:
                    board.hold()
                until(lambda: {one.held(), two.held()} == {"rill.local", "rill-2.local"}, 15, "the name was not shared out")
                first, second = sorted(pair, key=lambda board: board.held() != "rill.local")
                addresses = {board: f"10.7.0.{int(board.name[-1]) + 1}" for board in pair}
                want = [("Rill", "rill.local", addresses[first], 1935), ("Rill (2)", "rill-2.local", addresses[second], 1935)]
                until(lambda: listener.browse() == want, 10, f"browsing finds {listener.browse()}, not {want}")
                time.sleep(3)
                need((first.held(), second.held()) == ("rill.local", "rill-2.local"), "the names did not stay")
                for board in pair:
                    board.process.send_signal(signal.SIGTERM)
                    board.process.wait(5)
                until(lambda: listener.browse() == [], 5, "the goodbyes were not heard")
    tell("of two that start together, one has the name and the other the next")


def cable_later(program):
    with lan.Avahi("listener", "10.7.0.100/24") as listener, boards(1, program, plugged=False)[0] as board:
        board.hold()
        time.sleep(2)
        need(board.held() is None, "a name is held without a network")
        begin = time.monotonic()
        board.plug()
        until(lambda: listener.resolve("rill.local") == "10.7.0.1", 10, "it was not resolved", 0.05)
        took = time.monotonic() - begin
        board.settles()
        board.unplug()
        until(lambda: board.held() is None, 5, "a name is held without a network")
        board.plug()
        board.settles()
    tell("a cable that comes later", resolved_s=round(took, 1))


def networks_become_one(program):
    lan.switch("upstairs")
    one, two = pair = boards(2, program, plugged=False)
    with one, two:
        one.plug()
        two.plug("upstairs")
        for board in pair:
            board.hold()
        for board in pair:
            board.settles()
        # Neither board's own cable moves.
        lan.run("ip", "link", "add", "stairs", "type", "veth", "peer", "name", "stairs1")
        lan.run("ip", "link", "set", "stairs", "master", lan.SWITCH, "up")
        lan.run("ip", "link", "set", "stairs1", "master", "upstairs", "up")
        with lan.Avahi("listener", "10.7.0.100/24") as listener:
            # The first who asks brings it to light.
            listener.resolve("rill.local")
            until(lambda: {one.held(), two.held()} == {"rill.local", "rill-2.local"}, 20, "the name was not shared out")
            until(lambda: len(listener.browse()) == 2, 10, f"browsing finds {listener.browse()}")
    tell("two networks that become one")


def main():
    lan.isolate()
    lan.switch()
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="rill-name-") as directory:
        tempfile.tempdir = directory
        try:
            for test in (alone, by_ipv6, taken, kept, together, cable_later, networks_become_one):
                test(program)
        except Failure as failure:
            print(f"name-test: {test.__name__}: {failure}", file=sys.stderr)
            return 1
    return 0


sys.exit(main())
