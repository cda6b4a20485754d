# SPDX-License-Identifier: GPL-2.0-or-later
"""cpio archives in the newc format that Linux unpacks (Documentation/driver-api/early-userspace/buffer-format.rst)."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_END = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: mode with its type as in stat(2), device (major, minor) of a device node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, permissions: int = 0o644) -> Entry:
    return Entry(name, stat.S_IFREG | permissions, data)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def node(name: str, major: int, minor: int) -> Entry:
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """All entries and the folders that they are in; the same bytes whatever their order, no time, root owns all."""
    by_name: dict[str, Entry] = {}
    for entry in entries:
        for parent in list(PurePosixPath(entry.name).parents)[:-1]:
            by_name.setdefault(str(parent), directory(str(parent)))
        by_name[entry.name] = entry
    out = bytearray()
    # A folder's name is a prefix of what is in it: by name it comes first.
    for number, name in enumerate(sorted(by_name), 1):
        _append(out, by_name[name], number)
    _append(out, Entry(_END, 0), 0)
    out += bytes(-len(out) % 512)
    return bytes(out)


def _append(out: bytearray, entry: Entry, inode: int) -> None:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    major, minor = entry.device
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, major, minor, len(name), 0)
    out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)
