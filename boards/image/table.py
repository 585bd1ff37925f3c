#!/usr/bin/env python3
"""Builds every image, boots each on every machine that this QEMU has, and writes the README's table of sizes and times."""

import json
import os
import re
import subprocess
import sys

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from machine import HERE, machines, need  # noqa: E402
from profiles import TOP, Failure, boards, profile  # noqa: E402

README = os.path.join(TOP, "README.md")
HEAD = """\
| board | image | compressed | with Wi-Fi | answers in QEMU after |
|---|---|---|---|---|
"""


def image_mb(board, wifi):
    """Builds an image; its compressed size in millions of bytes."""
    subprocess.run(["make", "-s", "image", f"BOARD={board}"], cwd=TOP, check=True, env={**os.environ, "WIFI": str(int(wifi))})
    path = os.path.join(TOP, "dist", f"rill-{board}{'-wifi' if wifi else ''}.img.zst")
    return f"{os.path.getsize(path) / 1e6:.1f} MB"


def answers(machine):
    """How long after power-on the server answers on the machine, by the whole boot test."""
    command = [os.path.join(HERE, "boot-test.py"), machine["board"], "--machine", machine["name"]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    sys.stderr.write(done.stdout)
    if done.returncode != 0:
        return f"fails (`{machine['name']}`)"
    first = json.loads(done.stdout.splitlines()[-2])
    # What else this machine had to do is not the board's time.
    return f"{first['answers_s'] - first['waited_s']:.0f} s (`{machine['name']}`)"


def row(board):
    facts = profile(board)
    # What it is made of stands in brackets.
    name = facts["description"].split(" (")[0]
    plain, with_wifi = image_mb(board, False), image_mb(board, True) if "wifi" in facts["image"] else ""
    times = ", ".join(answers(machine) for machine in machines(board))
    line = f"| {name} | `{board}` | {plain} | {with_wifi} | {times} |\n"
    sys.stderr.write(line)
    return line


def main():
    try:
        rows = [row(board) for board in boards()]
    except (Failure, subprocess.CalledProcessError) as failure:
        sys.exit(f"boards: {failure}")
    with open(README) as file:
        text = file.read()
    new, count = re.subn(re.escape(HEAD) + r"(\|.*\n)*", lambda _: HEAD + "".join(rows), text)
    need(count == 1, "README.md has no such table")
    with open(README, "w") as file:
        file.write(new)


main()
