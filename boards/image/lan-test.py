#!/usr/bin/env python3
"""Boots two of a board's image in QEMU on a local network with a DHCP server, a time server, and a desktop that browses.

lan-test.py BOARD [--machine NAME] [--image FILE]

What they are called is asked from outside, by Avahi: the first is rill.local, the second rill-2.local, with DHCP and without.
A line is printed for each step."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import lan  # noqa: E402
from machine import Card, Machine, clip, need, until  # noqa: E402
from profiles import TOP, Failure, machine  # noqa: E402

NETWORK = "10.8.0"
HERE = f"{NETWORK}.1"
PATIENCE_S = 120


def tell(what, **facts):
    print(f"lan-test: {what}", *(f"{key}={value}" for key, value in facts.items()), flush=True)


def dhcp(directory):
    """Gives addresses, and says who knows the time."""
    return subprocess.Popen(
        ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={lan.SWITCH}", "--bind-interfaces",
            f"--dhcp-range={NETWORK}.50,{NETWORK}.99,1h", f"--dhcp-option=option:ntp-server,{HERE}", "--user=root",
            f"--dhcp-leasefile={directory}/leases", "--pid-file"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def time_server(directory):
    """Knows the time, and does not touch this machine's clock (-x)."""
    path = os.path.join(directory, "chrony.conf")
    with open(path, "w") as file:
        file.write(f"local stratum 3\nallow\ncmdport 0\nbindaddress {HERE}\npidfile {directory}/chronyd.pid\n")
    return subprocess.Popen(["chronyd", "-x", "-d", "-u", "root", "-f", path],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Network:
    """The desktop's view of it."""

    def __init__(self, listener):
        self.listener = listener

    def find(self, name, seconds=PATIENCE_S):
        return until(lambda: self.listener.resolve(name), seconds, f"{name} was not resolved", 0.02)

    def lists(self, *expected, seconds=30):
        found = lambda: [(instance, host, port) for instance, host, _, port in self.listener.browse()]
        until(lambda: found() == list(expected), seconds, f"browsing finds {found()}, not {list(expected)}")


def number(machine, command):
    """What a command prints on a line of its own. The shell repeats what was typed while it was busy."""
    said = machine.shell(command)
    return int(until(lambda: re.findall(r"^\d+$", said, re.M), 0.1, f"{command!r} printed {said!r}")[-1])


def clock(machine):
    """The machine's time becomes the time server's."""
    said = until(lambda: re.search(rf"the clock (?:was set|is right) by {HERE}[^\"]*", machine.shell("cat /run/rill.log")),
        PATIENCE_S, "the time server was not asked", 1)
    now = number(machine, "date +%s")
    need(abs(now - time.time()) < 5, f"the machine's time is {now}, not {time.time():.0f}")
    return said.group(0)


def memory(machine):
    text = machine.shell("for p in $(pidof appliance); do tr '\\0' ' ' </proc/$p/cmdline; grep VmRSS /proc/$p/status; done")
    found = re.search(r"appliance name .*VmRSS:\s+(\d+)", text)
    need(found, f"no responder runs: {text}")
    return int(found.group(1))


def replug(machine):
    """Pulls the cable, and puts it back."""
    if machine.profile["network"] == "usb-net":
        # QEMU's tells nothing of its cable; so the DHCP client is told what it would be told then.
        machine.shell("udhcpc=$(cat /run/net/*.pid); kill -USR2 $udhcpc; sleep 1; kill -USR1 $udhcpc")
        return
    machine.cable("off")
    # The system looks every 2 s.
    time.sleep(5)
    machine.cable("on")


def reached(machine, address, media, port=1935):
    machine.host, machine.port = address, port
    return machine.publish_and_play(media)


def test(profile, cards, media, network, services, directory):
    shell = "debug-shell"
    mac = "52:54:00:00:00:0"
    lan.tap("tap1")
    lan.tap("tap2")
    # A network of its own, without DHCP.
    lan.switch("upstairs")
    running = []
    try:
        first = Machine(profile, cards[0], shell, cable="tap1", mac=mac + "1")
        running.append(first)
        address = network.find("rill.local")
        took = time.monotonic() - first.begin
        need(address.startswith(NETWORK), f"rill.local is {address}")
        first.says("the name on the network is rill.local")
        first.says("Server: rtmp://rill.local/live")
        network.lists(("Rill", "rill.local", 1935))
        tell("rill.local", resolved_s=round(took, 1), address=address, frames=reached(first, address, media))
        tell("clock", said=repr(clock(first)))
        tell("memory of the responder", kib=memory(first))

        first.shell("kill -9 $(cat /run/server.pid)")
        until(first.answers, 60, "the server did not come back")
        network.lists(("Rill", "rill.local", 1935))
        need(number(first, "grep -c 'appliance: the name is' /run/rill.log") == 1, "the name was not kept")
        tell("the name stays while the server is started anew")

        taken = "the name on the network is rill-2.local, for another device has rill.local"
        second = Machine(profile, cards[1], shell, cable="tap2", mac=mac + "2")
        running.append(second)
        second.says(taken, PATIENCE_S)
        second.says("Server: rtmp://rill-2.local:1936/live")
        other = network.find("rill-2.local")
        need(network.find("rill.local") == address, "rill.local is no longer the first")
        network.lists(("Rill", "rill.local", 1935), ("Rill (2)", "rill-2.local", 1936))
        tell("rill-2.local, the second one", address=other, frames=reached(second, other, media, 1936))

        second.process.kill()
        lan.run("ip", "link", "set", "tap2", "master", "upstairs")
        second = Machine(profile, cards[1], shell, cable="tap2", mac=mac + "2")
        running[1] = second
        second.says("has the address 169.254.", PATIENCE_S)
        second.says("the name on the network is rill.local", PATIENCE_S)
        second.says("Server: rtmp://rill.local:1936/live")
        lan.run("ip", "link", "set", "tap2", "master", lan.SWITCH)
        # Which of two boards had the name first is unknown: the addresses decide (RFC 6762, section 9).
        loser = until(lambda: next((one for one in running if taken in one.text()), None), PATIENCE_S, "no board gave way")
        names = {first: "rill.local", second: "rill-2.local"}
        if loser is first:
            names = {first: "rill-2.local", second: "rill.local"}
        for machine, port in ((first, ""), (second, ":1936")):
            if machine is loser:
                machine.says(f"Server: rtmp://rill-2.local{port}/live")
            until(lambda: (network.find(names[machine]) or "").startswith(NETWORK), PATIENCE_S, "there is no address by DHCP")
        plain = names[first] == "rill.local"
        both = [("Rill", "rill.local", 1935 if plain else 1936), ("Rill (2)", "rill-2.local", 1936 if plain else 1935)]
        network.lists(*both)
        for machine, port in ((first, 1935), (second, 1936)):
            reached(machine, network.find(names[machine]), media, port)
        tell("a network of its own that joins later: the name is settled", first=names[first], second=names[second])

        services["dhcp"].terminate()
        services["dhcp"].wait()
        lan.run("ip", "address", "add", "169.254.7.7/16", "dev", lan.SWITCH)
        network.listener.run("ip", "address", "add", "169.254.7.8/16", "dev", "eth0")
        for machine in (first, second):
            replug(machine)
        for machine, port in ((first, 1935), (second, 1936)):
            name = names[machine]
            until(lambda: network.find(name).startswith("169.254."), PATIENCE_S, f"{name} is not link-local")
            frames = reached(machine, network.find(name), media, port)
            tell("without DHCP", name=name, address=network.find(name), frames=frames)
        services["dhcp"] = dhcp(directory)
        until(lambda: network.find(names[first]) == address, PATIENCE_S, f"{names[first]} is not {address} again")
        tell("with DHCP again", address=address)

        second.shell("(sleep 1; poweroff) & true")
        network.lists(both[0] if plain else both[1])
        tell("one that is switched off by a command says goodbye")
    except Failure as failure:
        consoles = "".join(f"\n--- console ---\n{machine.text()[-5000:]}" for machine in running)
        raise Failure(f"{failure}{consoles}") from None
    finally:
        for machine in running:
            machine.__exit__()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("board")
    parser.add_argument("--machine", help="one of the board's [[qemu]] tables by name; the first without it")
    parser.add_argument("--image")
    options = parser.parse_args()
    lan.isolate()
    lan.switch(address=f"{HERE}/24")
    image = options.image or os.path.join(TOP, "dist", f"rill-{options.board}.img")
    directory = tempfile.mkdtemp(prefix="rill-lan-")
    services = {}
    try:
        profile = machine(options.board, options.machine)
        need(os.path.exists(image), f"{image} is missing: make image BOARD={options.board}")
        cards = []
        for name in ("first", "second"):
            os.mkdir(os.path.join(directory, name))
            cards.append(Card(image, os.path.join(directory, name)))
        # Its owner wants another port; what is advertised has to be that.
        cards[1].write("rill.toml", '[server]\r\nlisten = ["0.0.0.0:1936"]\r\n')
        media = clip(directory)
        services = {"dhcp": dhcp(directory), "time": time_server(directory)}
        with lan.Avahi("listener", f"{NETWORK}.2/24") as listener:
            test(profile, cards, media, Network(listener), services, directory)
    except Failure as failure:
        print(f"lan-test: {options.board}: {failure}", file=sys.stderr)
        return 1
    finally:
        for service in services.values():
            service.kill()
            service.wait()
        shutil.rmtree(directory)
    return 0


sys.exit(main())
