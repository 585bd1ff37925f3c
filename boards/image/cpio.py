"""cpio.py DIR: writes DIR to standard output as the kernel reads an initramfs (newc, see the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst). Sorted, owned by root, with one time, so that the same files
give the same bytes; with the two device nodes that init needs, which only root could make in DIR."""

import os
import stat
import sys

TIME = int(os.environ["SOURCE_DATE_EPOCH"])
NODES = {"dev/console": (stat.S_IFCHR | 0o600, 5, 1), "dev/null": (stat.S_IFCHR | 0o666, 1, 3)}


def write(out, inode, name, mode, data=b"", device=(0, 0)):
    path = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, TIME, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))


def content(path, name):
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return stat.S_IFLNK | 0o777, os.readlink(path).encode()
    if stat.S_ISDIR(status.st_mode):
        return stat.S_IFDIR | (0o1777 if name == "tmp" else 0o755), b""
    with open(path, "rb") as file:
        return stat.S_IFREG | (0o755 if status.st_mode & 0o100 else 0o644), file.read()


def main(root, out):
    names = {"."}
    for directory, directories, files in os.walk(root):
        names.update(os.path.relpath(os.path.join(directory, name), root) for name in directories + files)
    inode = 1
    for name in sorted(names):
        write(out, inode, name, *content(os.path.join(root, name), name))
        inode += 1
    for name, (mode, *device) in NODES.items():
        write(out, inode, name, mode, device=device)
        inode += 1
    write(out, 0, "TRAILER!!!", 0)


main(sys.argv[1], sys.stdout.buffer)
