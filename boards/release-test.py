#!/usr/bin/env python3
"""Tests release.py in a scratch checkout with a `make` and a `cross.sh` that build nothing: what it refuses, and that the
release has every artefact of every board, right sums, a right manifest and the changelog's section."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "image"))
from profiles import TOP, boards, names, profile  # noqa: E402

CHANGELOG = """\
# Changelog

## [Unreleased]

- **Next**: something.

## [1.2.3] - 2026-11-27

### Added

- **This**: a thing, see [the page](docs/x.md).

## [1.2.2]

- **Before**: another.

[1.2.3]: https://example.invalid/1.2.3
"""
# Writes down what it was asked for and leaves the files that the real one would.
MAKE = """\
#!/bin/sh
[ "$1" = --no-print-directory ] && shift
echo "$*" >>"$MADE"
mkdir -p dist
for word in "$@"; do
	case $word in BOARD=*) board=${word#*=} ;; WIFI=1) wifi=-wifi ;; ARCHES=*) arch=${word#*=} ;; esac
done
[ "$1" != "${BREAK:-}" ] || exit 1
[ -z "${COMMIT:-}" ] || git commit -q --allow-empty -m meanwhile
case $1 in
image) echo "$board" >"dist/rill-$board"; echo "image $board $wifi" >"dist/rill-$board$wifi.img.zst" ;;
cross) echo "$board" >"dist/rill-$board" ;;
deb) echo "$arch" >"dist/rill_1.2.3_$arch.deb" ;;
esac
"""


def need(condition, message):
    if not condition:
        sys.exit(f"release-test: {message}")


class Checkout:
    """A repository with the script, the profiles, and a changelog."""

    def __init__(self, top):
        self.top, self.tools = os.path.join(top, "checkout"), os.path.join(top, "tools")
        self.made = os.path.join(top, "made")
        for directory in ("boards/image", "boards/openwrt"):
            os.makedirs(os.path.join(self.top, directory))
        os.makedirs(self.tools)
        for name in ("release.py", "image/profiles.py", "openwrt/rill.init", *(f"{board}.toml" for board in names())):
            shutil.copy(os.path.join(TOP, "boards", name), os.path.join(self.top, "boards", name))
        self.write("boards/cross.sh", "#!/bin/sh\necho \"way: $CROSS\"\necho rustc 1.0\n", executable=True)
        self.write("Cargo.toml", '[package]\nname = "rill"\nversion = "1.2.3"\n')
        self.write("CHANGELOG.md", CHANGELOG)
        self.write(".gitignore", "/dist\n")
        self.write(os.path.join(self.tools, "make"), MAKE, executable=True)
        self.git("init", "-q")
        self.commit()

    def write(self, name, text, executable=False):
        path = os.path.join(self.top, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755 if executable else 0o644)

    def read(self, name):
        with open(os.path.join(self.top, name)) as file:
            return file.read()

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], cwd=self.top, env=self.environment(), check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "test")

    def environment(self, **more):
        who = {f"GIT_{role}_{what}": "test@example.invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        kept = {key: value for key, value in os.environ.items() if key not in ("CROSS", "MAKEFLAGS") and not key.startswith("GIT_")}
        path = f"{self.tools}:{os.environ['PATH']}"
        return {**kept, **who, "PATH": path, "MADE": self.made, "GIT_CONFIG_GLOBAL": os.devnull, **more}

    def release(self, *arguments, **more):
        """Runs it: its status, what it said, and what `make` was asked for."""
        open(self.made, "w").close()
        script = os.path.join(self.top, "boards/release.py")
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run([script, *arguments], env=self.environment(**more), **both)
        with open(self.made) as file:
            return done.returncode, done.stdout, file.read().splitlines()

    def refuses(self, why, *arguments, builds=False, **more):
        status, said, made = self.release(*arguments, **more)
        need(status == 1 and why in said, f"expected a refusal with {why!r}, and it said: {said}")
        need(builds or not made, f"it built before it refused: {made}")
        left = [name for name in os.listdir(os.path.join(self.top, "dist")) if name.startswith("release-")] if builds else []
        need(not left, f"it left {left}")


def refusals(checkout):
    checkout.write("Cargo.toml", '[package]\nname = "rill"\nversion = "1.2.4"\n')
    checkout.refuses("the checkout has changes that are not committed:\n M Cargo.toml")
    checkout.commit()
    checkout.refuses("CHANGELOG.md has no section [1.2.4]")
    # No version but the whole of it counts.
    checkout.write("Cargo.toml", '[package]\nname = "rill"\nversion = "1.2"\n')
    checkout.commit()
    checkout.refuses("CHANGELOG.md has no section [1.2]")
    checkout.write("Cargo.toml", '[package]\nname = "rill"\nversion = "1.2.3"\n')
    checkout.write("CHANGELOG.md", CHANGELOG.replace("### Added\n\n- **This**: a thing, see [the page](docs/x.md).\n", ""))
    checkout.commit()
    checkout.refuses("CHANGELOG.md says nothing under [1.2.3]")
    checkout.write("CHANGELOG.md", CHANGELOG)
    checkout.commit()
    checkout.refuses("there is no board 'toaster'", "toaster")
    checkout.write("notes", "")
    checkout.refuses("?? notes")
    os.remove(os.path.join(checkout.top, "notes"))
    checkout.refuses("make --no-print-directory deb ARCHES=amd64 failed", "host", builds=True, BREAK="deb")
    checkout.refuses("there is a new commit since the build began", "host", builds=True, COMMIT="1")


def whole(checkout):
    status, said, made = checkout.release()
    need(status == 0, said)
    need(len(made) == len(set(made)) and made[0] == "cross-deps", f"made: {made}")
    directory = os.path.join(checkout.top, "dist/release-1.2.3")
    manifest = json.loads(checkout.read("dist/release-1.2.3/manifest.json"))
    listed = {file["name"]: file for file in manifest["files"]}
    need(sorted([*listed, "SHA256SUMS", "manifest.json"]) == sorted(os.listdir(directory)), "the manifest lists what is there")
    sums = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=directory)
    need(sums.returncode == 0, "sums are wrong")
    summed = dict(line.split("  ")[::-1] for line in checkout.read("dist/release-1.2.3/SHA256SUMS").splitlines())
    need(sorted(summed) == sorted([*listed, "manifest.json"]), "a file has no sum")
    for name, file in listed.items():
        size = os.path.getsize(os.path.join(directory, name))
        need((file["sha256"], file["bytes"]) == (summed[name], size), f"the manifest is wrong about {name}: {file}")
        need(file["what"], f"nothing is said of {name}")
    for board in names():
        need(listed[f"rill-1.2.3-{board}"]["kind"] == "binary", board)
    for board in boards():
        need(listed[f"rill-1.2.3-{board}.img.zst"]["board"] == board, board)
        need((f"rill-1.2.3-{board}-wifi.img.zst" in listed) == ("wifi" in profile(board)["image"]), board)
    wifi = checkout.read("dist/release-1.2.3/rill-1.2.3-rpi-64-wifi.img.zst")
    need(wifi == "image rpi-64 -wifi\n", f"the image with Wi-Fi is not that: {wifi}")
    for arch in ("amd64", "arm64", "armhf"):
        need(listed[f"rill_1.2.3_{arch}.deb"]["arch"] == arch, arch)
    need(listed["rill-1.2.3-openwrt-armv7.init"]["kind"] == "service", "no procd script")
    facts = [manifest[key] for key in ("version", "released", "complete", "commit", "toolchain")]
    need(facts == ["1.2.3", True, True, checkout.git("rev-parse", "HEAD"), ["way: debian", "rustc 1.0"]], f"{facts}")
    changes = checkout.read("dist/release-1.2.3/CHANGES-1.2.3.md")
    need(changes == "# Rill 1.2.3\n\n### Added\n\n- **This**: a thing, see [the page](docs/x.md).\n", changes)
    before = checkout.read("dist/release-1.2.3/SHA256SUMS")
    checkout.release()
    need(checkout.read("dist/release-1.2.3/SHA256SUMS") == before, "a second release of the same files is another one")


def trial(checkout):
    checkout.write("Cargo.toml", '[package]\nname = "rill"\nversion = "1.2.3"\n# next\n')
    checkout.write("CHANGELOG.md", CHANGELOG.replace("## [1.2.3] - 2026-11-27\n", ""))
    checkout.commit()
    status, said, made = checkout.release("--allow-unreleased", "host", "virt-64")
    need(status == 0 and "only of host virt-64" in said, said)
    need(made == ["cross-deps", "cross BOARD=host", "deb ARCHES=amd64", "image BOARD=virt-64"], f"made: {made}")
    manifest = json.loads(checkout.read("dist/release-1.2.3-unreleased/manifest.json"))
    need((manifest["released"], manifest["complete"]) == (False, False), f"{manifest}")
    changes = checkout.read("dist/release-1.2.3-unreleased/CHANGES-1.2.3.md")
    need(changes.startswith("# Rill 1.2.3 (unreleased)\n\n- **Next**"), changes)


def main():
    with tempfile.TemporaryDirectory() as top:
        checkout = Checkout(top)
        refusals(checkout)
        whole(checkout)
        trial(checkout)
    print("release-test: refusals, sums, manifest and changes are right")


main()
