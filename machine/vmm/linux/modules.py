# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules: those asked for and those they need, in the order that they can be loaded in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import UserError, did_you_mean
from bridge.image import read_bytes

from . import compressed

# What a realm uses: attestation reports (with configfs and tsm_report), and devices.
ATTESTATION = ("arm-cca-guest",)
DEVICES = ("virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng", "virtio_console")
SHARES = ("9p", "9pnet_virtio")

_SUFFIX = re.compile(r"\.ko(\.(xz|gz|zst))?$")
# modinfo(8): `name=value` texts, each with a 0 after it.
_INFO = re.compile(rb"(?:(?<=\0)|^)(depends|vermagic)=([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class Module:
    """name: with underscores, as lsmod prints it.  data: the uncompressed ELF.  release: of the kernel it is for."""

    name: str
    data: bytes
    depends: tuple[str, ...]
    release: str


def canonical(name: str) -> str:
    """The name of a module or of its file, as the kernel has it."""
    return _SUFFIX.sub("", name).replace("-", "_")


def read_module(path: Path) -> Module:
    """Reads one *.ko, *.ko.xz, *.ko.gz or *.ko.zst."""
    data = read_bytes(str(path))
    if compressed.kind(data) is not None:
        data = compressed.decompress(str(path), data)
    if data[:4] != b"\x7fELF" or data[18:20] != b"\xb7\0":
        raise UserError(f"{path}: not an aarch64 kernel module")
    info = {match[1]: match[2].decode("ascii", "backslashreplace") for match in _INFO.finditer(data)}
    if b"vermagic" not in info:
        raise UserError(f"{path}: not a kernel module: it does not say which kernel it is for")
    depends = tuple(canonical(name) for name in info.get(b"depends", "").split(",") if name)
    return Module(canonical(path.name), data, depends, info[b"vermagic"].split(" ")[0])


def resolve(folder: Path, names: Iterable[str], *, optional: Iterable[str] = (), release: str | None) -> list[Module]:
    """The modules `names` below a folder, or files where one has a `/`, after all that they depend on.

    optional: taken where they are there: a kernel may have them built in.  release: what the kernel is; a module for
    another one is an error.
    """
    files = {canonical(path.name): path for path in sorted(folder.rglob("*.ko*")) if _SUFFIX.search(path.name)}
    done: dict[str, Module] = {}

    def add(path: Path, needed_by: tuple[str, ...]) -> None:
        name = canonical(path.name)
        if name in done:
            return
        if name in needed_by:
            raise UserError(f"{path}: module {name} depends on itself, through {', '.join(needed_by)}")
        module = read_module(path)
        if release is not None and module.release != release:
            raise UserError(f"{path}: a module for Linux {module.release}; the kernel is {release}")
        for other in module.depends:
            if other not in files:
                raise UserError(f"{path}: depends on module {other}, which is not in {folder}")
            add(files[other], (*needed_by, name))
        done[name] = module

    for name in names:
        if "/" in name:
            add(Path(name), ())
        elif canonical(name) in files:
            add(files[canonical(name)], ())
        else:
            raise UserError(f"{folder}: there is no module `{name}`{did_you_mean(canonical(name), list(files))}")
    for name in optional:
        if canonical(name) in files:
            add(files[canonical(name)], ())
    return list(done.values())
