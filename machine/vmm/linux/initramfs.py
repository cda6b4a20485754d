# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's initramfs: its own init, and what that is told to do (firmware/linux-init/main.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bridge.errors import UserError
from bridge.image import read_bytes
from firmware import locate

from . import cpio
from .modules import Module

MARK = b"ccabridge-init: "
# Init's own shell reads a script into 64 KiB.
MAX_SCRIPT = (1 << 16) - 2
_EXIT = re.compile(re.escape(MARK) + rb"exit (\d{1,3})\r?\n")
_TAG = re.compile(r"[!-~]{1,127}")
_CONFIG = "ccabridge"


def build(
    *,
    script: str | None = None,
    modules: Sequence[Module] = (),
    shares: Iterable[tuple[str, str]] = (),
    busybox: Path | None = None,
    compress: bool = False,
) -> bytes:
    """An initramfs, the same bytes for the same arguments.

    script: what is run (by busybox's shell when there is one, else by init's own), without it an interactive shell.
    modules: loaded in this order.  shares: (tag, folder) of 9p devices.  busybox: a static aarch64 one.
    compress: with gzip; off, since unpacking takes the guest longer than a larger file takes the host.
    """
    entries = [cpio.directory(name) for name in ("proc", "sys", "tmp", "root", "etc", "mnt")]
    entries += [
        cpio.node("dev/console", 5, 1),
        cpio.file("init", _program(locate("linux-init")), 0o755),
        cpio.symlink("bin/measure", "../init"),
    ]
    if busybox is not None:
        entries += [cpio.file("bin/busybox", _program(busybox), 0o755), cpio.symlink("bin/sh", "busybox")]
    if script is not None:
        entries.append(cpio.file(f"{_CONFIG}/script", _script(script)))
    if modules:
        paths = [f"{_CONFIG}/modules.d/{module.name}.ko" for module in modules]
        entries += [cpio.file(path, module.data) for path, module in zip(paths, modules, strict=True)]
        entries.append(cpio.file(f"{_CONFIG}/modules", "".join(f"/{path}\n" for path in paths).encode()))
    mounts = "".join(_mount(tag, folder) for tag, folder in shares)
    if mounts:
        entries.append(cpio.file(f"{_CONFIG}/mounts", mounts.encode()))
    data = cpio.archive(entries)
    if compress:
        import gzip

        data = gzip.compress(data, compresslevel=6, mtime=0)
    return data


def exit_status(console: bytes) -> int | None:
    """What init said last of how the script or the shell ended, from the bytes of the console; None when it did not."""
    found = _EXIT.findall(console)
    return int(found[-1]) if found else None


def _script(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise UserError("--exec: a script cannot contain a NUL")
    if len(data) >= MAX_SCRIPT:
        raise UserError(f"--exec: a script of {len(data)} bytes, at most {MAX_SCRIPT - 1} are allowed")
    return data if data.endswith(b"\n") else data + b"\n"


def _mount(tag: str, folder: str) -> str:
    if _TAG.fullmatch(tag) is None:
        raise UserError(f"9p tag `{tag}`: expected up to 127 printable characters without spaces")
    if not folder.startswith("/") or not folder.isprintable():
        raise UserError(f"9p tag `{tag}`: `{folder}` is not an absolute path in the realm")
    return f"{tag} {folder}\n"


def _program(path: Path) -> bytes:
    data = read_bytes(str(path))
    if data[:6] != b"\x7fELF\x02\x01" or data[18:20] != b"\xb7\0":
        raise UserError(f"{path}: not an aarch64 program")
    return data
