#!/usr/bin/env python3
"""Boots the image of a board in QEMU, and does with it what its owner will.

boot-test.py BOARD [--machine NAME] [--image FILE] [--faults] [--within SECONDS]

Real clients publish and play through a forwarded port; the plug is pulled while one publishes; the machine is started with
the same card and everything is done again. --faults also breaks what can break: the settings, the server, the card's
space, the cable. Prints a line of JSON for each start."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from machine import TOP, Card, Failure, Machine, clip, need, run, until  # noqa: E402


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
        until(lambda: re.search(r"inet (169\.254\.\d+\.\d+)/16", machine.shell("ip address")), 60, "no address")
        machine.says("No network: plug in a cable")
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
