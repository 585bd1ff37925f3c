"""facts.py BOARD: prints what boards/BOARD.toml says of the image as assignments for a shell. Lists become words."""

import os
import re
import shlex
import sys
import tomllib

UNITS = {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}


def number(text):
    digits, unit = re.fullmatch(r"(\d+) ?(|KiB|MiB|GiB)", str(text)).groups()
    return int(digits) << UNITS[unit]


board = sys.argv[1]
path = os.path.join(os.environ.get("RILL_BOARDS", "boards"), f"{board}.toml")
try:
    with open(path, "rb") as file:
        profile = tomllib.load(file)
except (OSError, tomllib.TOMLDecodeError) as error:
    sys.exit(f"image: {path}: {error}")
if "image" not in profile:
    sys.exit(f"image: {path} has no [image]: there is none for {board}")
image = profile["image"]
wifi = image.get("wifi", {})


def fact(name, value):
    print(f"{name}={shlex.quote(' '.join(value) if isinstance(value, list) else str(value))}")


try:
    fact("target", profile["target"])
    # A board that cannot be known by its device tree is told which it is.
    fact("server_options", "" if profile["models"] else f"--board {board}")
    for key in ("arch", "suite", "kernel", "firmware", "device_trees", "modules", "console", "kernel_arguments"):
        fact(key, image[key])
    fact("firmware_settings", "\n".join(image["firmware_settings"]))
    for key in ("boot_bytes", "state_bytes"):
        fact(key.replace("bytes", "mib"), number(image[key]) >> 20)
    fact("compressed_bytes", number(image.get("compressed_bytes", 0)))
    fact("wifi_firmware", wifi.get("firmware", []))
    fact("wifi_modules", wifi.get("modules", []))
except KeyError as missing:
    sys.exit(f"image: {path} lacks the key {missing}")
