"""Reads boards/*.toml, for the scripts beside it. That there is no other key than those that are known, and that each is of
its kind, the server's build checks (src/board/profile.rs). Here a key that is missing is an error that names it."""

import os
import re
import tomllib

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}


class Failure(Exception):
    pass


class Table(dict):
    """A table of a profile. `file` is its profile, `path` what stands before a key's name in messages."""

    def __init__(self, table, file, path=""):
        super().__init__(table)
        self.file, self.path = file, path
        for key, value in self.items():
            if isinstance(value, dict):
                self[key] = Table(value, file, f"{path}{key}.")
            elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
                self[key] = [Table(item, file, f"{path}{key}.") for item in value]

    def __missing__(self, key):
        raise Failure(f"{self.file}: {self.path}{key} is missing")

    def changed(self, **values):
        """The same table with other values."""
        return Table({**self, **values}, self.file, self.path)

    def bytes(self, key):
        """The size that stands under a key: "10000000", or "6MiB"."""
        size = re.fullmatch(r"([0-9]+)\s*(|KiB|MiB|GiB)", self[key]) if isinstance(self[key], str) else None
        if not size:
            raise Failure(f'{self.file}: {self.path}{key} must be bytes, like "4MiB"')
        return int(size.group(1)) << UNITS[size.group(2)]


def profile(board):
    file = f"boards/{board}.toml"
    try:
        with open(os.path.join(TOP, file), "rb") as opened:
            return Table(tomllib.load(opened), file)
    except FileNotFoundError:
        raise Failure(f"there is no board {board!r}; there are: {' '.join(names())}") from None
    except (OSError, ValueError) as error:
        raise Failure(f"{file}: {error}") from None


def names():
    """Every board that has a profile."""
    return sorted(name.removesuffix(".toml") for name in os.listdir(os.path.join(TOP, "boards")) if name.endswith(".toml"))


def boards():
    """The boards that have an image."""
    return [name for name in names() if "image" in profile(name)]


def qemu(board):
    """The board's [[qemu]] tables, each with the board's name."""
    return [table.changed(board=board) for table in profile(board).get("qemu", [])]


def machine(board, name=None):
    """The board's [[qemu]] table of that name; the first one without."""
    tables = qemu(board)
    known = [table["name"] for table in tables]
    wanted = name or (known[0] if known else "")
    if wanted not in known:
        raise Failure(f"boards/{board}.toml has no [[qemu]] named {wanted!r}; there are: {' '.join(known)}")
    return tables[known.index(wanted)]
