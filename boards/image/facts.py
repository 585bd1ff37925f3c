"""facts.py BOARD: prints what boards/BOARD.toml says of the image as assignments for a shell. Lists become words."""

import shlex
import sys

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from profiles import Failure, profile  # noqa: E402


def facts(board):
    facts = profile(board)
    if "image" not in facts:
        raise Failure(f"boards/{board}.toml has no [image]: there is none for {board}")
    image, limits = facts["image"], facts["limits"]
    # As people are shown them in rill.toml.
    yield "streams", limits["streams"]
    yield "ring_bytes", limits["ring_bytes"]
    yield "target", facts["target"]
    # A board that cannot be known by its device tree is told which it is.
    yield "server_options", "" if facts["models"] else f"--board {board}"
    for key in ("arch", "suite", "kernel", "firmware", "device_trees", "modules", "console", "kernel_arguments"):
        yield key, image[key]
    yield "firmware_settings", "\n".join(image["firmware_settings"])
    for key in ("boot_bytes", "state_bytes"):
        yield key.replace("bytes", "mib"), image.bytes(key) >> 20
    yield "compressed_bytes", image.bytes("compressed_bytes") if "compressed_bytes" in image else 0
    for key in ("firmware", "modules"):
        yield f"wifi_{key}", image["wifi"][key] if "wifi" in image else []


try:
    found = list(facts(sys.argv[1]))
except Failure as failure:
    sys.exit(f"image: {failure}")
for name, value in found:
    print(f"{name}={shlex.quote(' '.join(value) if isinstance(value, list) else str(value))}")
