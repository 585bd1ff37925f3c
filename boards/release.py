#!/usr/bin/env python3
"""release.py [--allow-unreleased] [BOARD...]: builds every artefact of this checkout's version and puts them into
dist/release-VERSION, with SHA256SUMS, manifest.json and the changelog's section (CHANGES-VERSION.md).

Artefacts are the static binary of each board, the Debian packages, the images with and without Wi-Fi, and OpenWrt's procd
script. With BOARDs only theirs are built, and the manifest says that the release is not complete.

It refuses a checkout with changes, and a version (Cargo.toml) without a section in CHANGELOG.md. --allow-unreleased takes the
section "Unreleased" for a trial, which goes to dist/release-VERSION-unreleased."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "image"))
from profiles import TOP, Failure, names, profile  # noqa: E402

# As cross.sh's targets begin.
ARCHES = {"arm": "ARMv6", "armv7": "ARMv7", "aarch64": "ARMv8", "x86_64": "x86-64"}
UNRELEASED = "Unreleased"


def need(condition, message):
    if not condition:
        raise Failure(message)


def output(*command):
    return subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip()


def path(*parts):
    return os.path.join(TOP, *parts)


def version():
    with open(path("Cargo.toml"), "rb") as file:
        return tomllib.load(file)["package"]["version"]


def commit():
    """The commit that the checkout is at, if it is that commit and nothing more."""
    changes = output("git", "status", "--porcelain")
    need(not changes, f"the checkout has changes that are not committed:\n{changes}")
    return output("git", "rev-parse", "HEAD")


def changes(text, heading):
    """The body of the section `## [heading]` or `## heading` of a changelog, without the links at its end; `None` if there is
    no such section."""
    found = re.search(rf"^## \[?{re.escape(heading)}\]?(?: [^\n]*)?$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found and re.sub(r"^\[[^\]]+\]: [^\n]*\n?", "", found.group(1), flags=re.MULTILINE).strip()


def section(release, allow_unreleased):
    """The heading and text of the changelog's section about a version."""
    with open(path("CHANGELOG.md")) as file:
        text = file.read()
    heading = release
    if changes(text, release) is None:
        need(
            allow_unreleased,
            f"CHANGELOG.md has no section [{release}]: name it so, or make a trial of [{UNRELEASED}] with ALLOW_UNRELEASED=1",
        )
        heading = UNRELEASED
    body = changes(text, heading)
    need(body, f"CHANGELOG.md says nothing under [{heading}]")
    return heading, f"# Rill {release}{' (unreleased)' if heading == UNRELEASED else ''}\n\n{body}\n"


def artefacts(release, boards):
    """What a release of these boards is made of: how it is made, the file that comes of it below the checkout, its name in the
    release, and what the manifest says of it."""
    for board in boards:
        facts = profile(board)
        arch = ARCHES.get(facts["target"].split("-")[0], facts["target"])
        about = {"board": board, "arch": arch}
        binary = {**about, "kind": "binary", "what": f"static binary: {facts['description']}"}
        has_image = "image" in facts
        command = ["image" if has_image else "cross", f"BOARD={board}"]
        yield command, f"dist/rill-{board}", f"rill-{release}-{board}", binary
        if has_image:
            for suffix, wifi in [("", ""), *([("-wifi", "1")] if "wifi" in facts["image"] else [])]:
                what = f"image of an SD card{' with Wi-Fi' if wifi else ''}, zstd: {facts['description']}"
                name = f"{board}{suffix}.img.zst"
                made = [*command, *(["WIFI=1"] if wifi else [])]
                yield made, f"dist/rill-{name}", f"rill-{release}-{name}", {**about, "kind": "image", "what": what}
        if "package" in facts:
            package = facts["package"]
            name = f"rill_{release}_{package}.deb"
            about = {"board": board, "arch": package, "kind": "package", "what": f"Debian package for {package}"}
            yield ["deb", f"ARCHES={package}"], f"dist/{name}", name, about
        if board.startswith("openwrt-"):
            about = {"board": board, "arch": "all", "kind": "service", "what": "procd script of OpenWrt: /etc/init.d/rill"}
            yield None, "boards/openwrt/rill.init", f"rill-{release}-{board}.init", about


def build(made):
    """Runs each `make` once, in the order of the artefacts. Sizes and bytes are those of one way of building, compressed as
    they are shipped."""
    environment = {key: value for key, value in os.environ.items() if key not in ("LEVEL", "WIFI", "DEB_VERSION", "BOARD")}
    environment.setdefault("CROSS", "debian")
    # A make that runs this has options of its own.
    for key in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
        environment.pop(key, None)
    done = []
    for command in [["cross-deps"], *(command for command, *_ in made if command)]:
        if command not in done:
            print(f"release: make {' '.join(command)}", flush=True)
            subprocess.run(["make", "--no-print-directory", *command], cwd=TOP, check=True, env=environment)
            done.append(command)
    return output("env", f"CROSS={environment['CROSS']}", path("boards/cross.sh"), "tools", made[0][3]["board"])


def entry(file, about):
    """What the manifest says of a file."""
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"name": os.path.basename(file), "bytes": os.path.getsize(file), "sha256": digest, **about}


def write(directory, name, text):
    with open(os.path.join(directory, name), "w") as file:
        file.write(text)
    return os.path.join(directory, name)


def release(arguments):
    number, head = version(), commit()
    heading, text = section(number, arguments.allow_unreleased)
    boards = arguments.boards or names()
    made = list(artefacts(number, boards))
    toolchain = build(made)
    need(commit() == head, "there is a new commit since the build began")

    name = f"release-{number}{'-unreleased' if heading == UNRELEASED else ''}"
    # Whole or not at all: a release is renamed into its place.
    whole, directory = path("dist", name), path("dist", f"{name}.part")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    files = []
    for command, source, target, about in made:
        need(os.path.isfile(path(source)), f"make {' '.join(command or [])} left no {source}")
        shutil.copyfile(path(source), os.path.join(directory, target))
        if about["kind"] in ("binary", "service"):
            os.chmod(os.path.join(directory, target), 0o755)
        files.append(entry(os.path.join(directory, target), about))
    about = {"board": None, "arch": None, "kind": "changes", "what": f"changelog of {number}"}
    files.append(entry(write(directory, f"CHANGES-{number}.md", text), about))
    files.sort(key=lambda file: file["name"])
    manifest = {
        "version": number,
        "released": heading != UNRELEASED,
        "complete": sorted(boards) == names(),
        "commit": head,
        "toolchain": toolchain.splitlines(),
        "files": files,
    }
    listed = entry(write(directory, "manifest.json", json.dumps(manifest, indent=1) + "\n"), {})
    sums = sorted([*files, listed], key=lambda file: file["name"])
    write(directory, "SHA256SUMS", "".join(f"{file['sha256']}  {file['name']}\n" for file in sums))
    shutil.rmtree(whole, ignore_errors=True)
    os.rename(directory, whole)
    part = "" if manifest["complete"] else f", only of {' '.join(boards)}"
    print(f"release: dist/{name}: {len(sums) + 1} files, {sum(file['bytes'] for file in sums)} bytes{part}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allow-unreleased", action="store_true", help="for a trial, take the changelog's section Unreleased")
    parser.add_argument("boards", nargs="*", metavar="BOARD", help="build only the artefacts of these boards")
    try:
        release(parser.parse_args())
    except Failure as failure:
        sys.exit(f"release: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"release: {' '.join(failure.cmd)} failed")


main()
