"""drivers.py MODULES.ALIAS DTB...: prints the kernel modules that drive what the device trees describe. Both sides name
devices by `compatible`, which is how the kernel finds them, too (Devicetree specification, sections 2.3.1 and 5)."""

import struct
import sys

BEGIN_NODE, PROPERTY, END = 1, 3, 9
# What a server has no use for, and what a small board would spend its memory on.
UNUSED = ("snd", "v3d", "vchiq", "spi", "pwm", "hci", "bcm2835-v4l2", "bcm2835_v4l2")


def compatibles(path):
    with open(path, "rb") as file:
        tree = file.read()
    _, _, at, strings = struct.unpack(">4I", tree[:16])
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == BEGIN_NODE:
            at = (tree.index(b"\0", at) + 4) & ~3
        elif token == PROPERTY:
            length, name = struct.unpack_from(">2I", tree, at)
            at += 8
            if tree[strings + name : tree.index(b"\0", strings + name)] == b"compatible":
                yield from tree[at : at + length].rstrip(b"\0").decode().split("\0")
            at = (at + length + 3) & ~3
        elif token == END:
            return


wanted = {compatible for path in sys.argv[2:] for compatible in compatibles(path)}
found = set()
with open(sys.argv[1]) as aliases:
    for line in aliases:
        # alias of:N*T*Cbrcm,bcm2835-wdtC* bcm2835_wdt
        match line.split():
            case ["alias", pattern, module] if pattern.startswith("of:N*T*C"):
                if pattern.removeprefix("of:N*T*C").split("C*")[0] in wanted and not module.startswith(UNUSED):
                    found.add(module)
print("\n".join(sorted(found)))
