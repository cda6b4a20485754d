# SPDX-License-Identifier: GPL-2.0-or-later
"""The files and folders that the `vmm:` block names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping

import msgspec

from bridge.errors import ConfigError

from .files import FIRMWARE, locate
from .types import Vmm

Path = tuple[str | int, ...]
Where = Callable[..., str]
_FILES = ("kernel", "initrd", "dtb", "symbols")


def vmm_inputs(vmm: Vmm) -> Iterator[tuple[Path, str]]:
    """(key, file or folder) of all that is read."""
    for key in _FILES:
        value = getattr(vmm, key)
        if value is not None:
            yield ("vmm", key), value
    for index, disk in enumerate(vmm.disks):
        yield ("vmm", "disks", index, "file"), disk.file
    for index, share in enumerate(vmm.shares):
        yield ("vmm", "shares", index, "folder"), share.folder


def vmm_outputs(vmm: Vmm) -> Iterator[tuple[Path, str]]:
    """(key, file) of all that a run writes anew."""
    if vmm.dump_dtb is not None:
        yield ("vmm", "dump_dtb"), vmm.dump_dtb
    if vmm.net is not None and vmm.net.capture is not None:
        yield ("vmm", "net", "capture"), vmm.net.capture


def vmm_paths(vmm: Vmm) -> Iterator[tuple[Path, str]]:
    """(key, path) of both."""
    yield from vmm_inputs(vmm)
    yield from vmm_outputs(vmm)


def with_paths(vmm: Vmm, paths: Mapping[Path, str]) -> Vmm:
    """`vmm` with other paths, by the keys that `vmm_paths` gives."""
    replace = msgspec.structs.replace
    changes: dict[str, object] = {str(path[1]): value for path, value in paths.items() if len(path) == 2}
    changes["disks"] = [replace(disk, file=paths["vmm", "disks", i, "file"]) for i, disk in enumerate(vmm.disks)]
    changes["shares"] = [
        replace(share, folder=paths["vmm", "shares", i, "folder"]) for i, share in enumerate(vmm.shares)
    ]
    if vmm.net is not None and ("vmm", "net", "capture") in paths:
        changes["net"] = replace(vmm.net, capture=paths["vmm", "net", "capture"])
    return replace(vmm, **changes)


def check_vmm_files(vmm: Vmm, where: Where) -> None:
    """ConfigError at the first key whose file or folder cannot be opened as what it is for."""
    for path, value in vmm_inputs(vmm):
        if path[1] == "kernel" and value.startswith(FIRMWARE):
            locate(value, f"{where(*path)}: vmm.kernel")
            continue
        folder = path[1] == "shares"
        try:
            mode = os.stat(value).st_mode
            right = stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)
            reason = None if right else "not a folder" if folder else "not a file"
            if reason is None and not os.access(value, os.R_OK):
                reason = os.strerror(errno.EACCES)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if reason is not None:
            key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
            raise ConfigError(f"{where(*path)}: {key}: {value}: {reason}")
