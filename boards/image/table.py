#!/usr/bin/env python3
"""table.py [BOARD...]: builds the images of the boards, or of all, boots each on every machine that this QEMU has, and writes
its sizes and times into the table of docs/boards.md."""

import json
import os
import re
import subprocess
import sys

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from machine import HERE, machines, need  # noqa: E402
from profiles import TOP, Failure, boards, profile  # noqa: E402

PAGE = os.path.join(TOP, "docs", "boards.md")
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
    return f"| {name} | `{board}` | {plain} | {with_wifi} | {times} |\n"


def write(board, line):
    """Puts the board's row into the page, in place of what was measured before."""
    with open(PAGE) as file:
        text = file.read()
    at = text.find(HEAD)
    need(at >= 0, "docs/boards.md has no such table")
    at += len(HEAD)
    rows = re.match(r"(\|.*\n)*", text[at:]).group(0)
    others = [row for row in rows.splitlines(keepends=True) if f"| `{board}` |" not in row]
    table = sorted([*others, line], key=lambda row: row.split("|")[2])
    with open(PAGE, "w") as file:
        file.write(text[:at] + "".join(table) + text[at + len(rows) :])


def main():
    try:
        for board in sys.argv[1:] or boards():
            write(board, row(board))
    except (Failure, subprocess.CalledProcessError) as failure:
        sys.exit(f"boards: {failure}")


main()
