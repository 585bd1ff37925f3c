#!/usr/bin/env python3
"""The page and the player in real browsers, one after the other.

    tests/browser/run.py [--browsers chromium,firefox,webkit] [--server target/debug/rill] [--tries N] [CASE ...]

make browser-test installs what it needs, and runs all of it.

A CASE is a part of a test's name. Figures are printed; times fail at three times their bar alone, since machines are slow.
"""

import sys

# Nothing is left in the checkout.
sys.dont_write_bytecode = True

import argparse
import asyncio
import os
import time
import traceback

import files
import live
import others
import pretend
import recordings
import shots
from stage import BROWSERS, temporary


class Opener:
    """Makes browsers of one kind, each with a profile of its own."""

    def __init__(self, kind, directory):
        self.kind, self.directory, self.name, self.is_driven, self.count = kind, directory, kind.name, kind.is_driven, 0

    def __call__(self, url, *more):
        self.count += 1
        return self.kind(url, os.path.join(self.directory, f"{self.name}-{self.count}"), more)


def wanted(options, case):
    """Whether this case was asked for, and what it is called."""
    title = case.__name__.replace("_", " ")
    return not options.cases or any(part in title or part in case.__name__ for part in options.cases), title


async def run(options):
    failed = 0
    for case in files.CASES:
        is_wanted, title = wanted(options, case)
        if is_wanted:
            try:
                print(f"files: {title}: {case() or 'ok'}", flush=True)
            except Exception:
                failed += 1
                print(f"files: {title}: FAILED\n{traceback.format_exc()}", flush=True)
    for name in options.browsers.split(","):
        for case in pretend.CASES + live.CASES + recordings.CASES + others.CASES + shots.CASES:
            is_wanted, title = wanted(options, case)
            if not is_wanted:
                continue
            begin = time.monotonic()
            # WebKitGTK without a screen sometimes stands still before its first picture.
            for attempt in range(max(options.tries, 3 if name == "webkit" else 1)):
                with temporary() as directory:
                    try:
                        said = await asyncio.wait_for(case(Opener(BROWSERS[name], directory)), 90) or "ok"
                        said += f" (attempt {attempt + 1})" if attempt else ""
                        break
                    except Exception:
                        said = "FAILED\n" + traceback.format_exc()
                        print(f"{name}: {title}: attempt {attempt + 1}: {said}", flush=True)
            failed += said.startswith("FAILED")
            said = said.split("\n")[0]
            print(f"{name}: {title}: {said} ({time.monotonic() - begin:.1f} s)", flush=True)
        await BROWSERS[name].end()
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--browsers", default="chromium,firefox")
    parser.add_argument("--server", type=os.path.abspath, default=live.Server.binary)
    parser.add_argument("--tries", type=int, default=1, help="how often a case may begin, where the machine does something else besides")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    live.Server.binary = options.server
    failed = asyncio.run(run(options))
    print(f"browser tests: {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
