# SPDX-License-Identifier: GPL-2.0-or-later
"""Checked machines, kept so that a start needs no YAML parser: its import takes longer than a small realm.

An entry holds the text of every file that it was made from, and counts only while each of them reads the same.
It lives in `$XDG_CACHE_HOME/ccabridge/machines`; `CCABRIDGE_CACHE=off` does without.  Whatever is wrong with
one, the machine is read from its files instead.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Mapping, Sequence

import msgspec

from .scalars import dec_hook
from .types import MachineFile

MAX_ENTRIES = 64


class Entry(msgspec.Struct):
    """inputs: content of each file read, None for one that was looked for in vain.  made_by: see `maker`."""

    made_by: str
    asked: list[str]
    inputs: dict[str, bytes | None]
    machine: MachineFile


def recall(asked: Sequence[str]) -> Entry | None:
    """The entry for what is `asked` (name, overrides, …) when it still holds."""
    folder = directory()
    if folder is None:
        return None
    try:
        with open(_file(folder, asked), "rb") as file:
            entry = msgspec.json.decode(file.read(), type=Entry, dec_hook=dec_hook)
    except (OSError, msgspec.MsgspecError):
        return None
    if entry.made_by != maker() or entry.asked != list(asked):
        return None
    return entry if all(_content(path) == data for path, data in entry.inputs.items()) else None


def keep(asked: Sequence[str], inputs: Mapping[str, bytes | None], machine: MachineFile) -> None:
    """Stores a checked machine; a cache that cannot be written is no error."""
    folder = directory()
    if folder is None:
        return
    entry = Entry(maker(), list(asked), dict(inputs), machine)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _prune(folder)
        target = _file(folder, asked)
        draft = f"{target}.{os.getpid()}"
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(entry, enc_hook=int))
        os.replace(draft, target)


def directory() -> str | None:
    """The folder of the entries, or None when there is to be no cache."""
    if os.environ.get("CCABRIDGE_CACHE", "") == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "ccabridge", "machines") if os.path.isabs(base) else None


def maker() -> str:
    """Names the code that checked an entry: a change to it makes all entries void."""
    here = os.path.dirname(__file__)
    with os.scandir(here) as files:
        sources = sorted((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files if f.name.endswith(".py"))
    return f"{here} {zlib.crc32(repr(sources).encode()):08x}"


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _file(folder: str, asked: Sequence[str]) -> str:
    return os.path.join(folder, f"{zlib.crc32(repr(list(asked)).encode()):08x}.json")


def _prune(folder: str) -> None:
    with os.scandir(folder) as files:
        entries = sorted((f.stat().st_mtime_ns, f.path) for f in files)
    for _, path in entries[: max(len(entries) - MAX_ENTRIES + 1, 0)]:
        os.unlink(path)
