# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the files that a machine file names are: `firmware:NAME`, `kernel:fetched`, or a path."""

from __future__ import annotations

from pathlib import Path

import firmware
from bridge.errors import ConfigError, did_you_mean

FIRMWARE = "firmware:"
FETCHED = "kernel:fetched"


def is_path(file: str) -> bool:
    """Whether `file` is a path, and no name of what is found elsewhere."""
    return not file.startswith(FIRMWARE) and file != FETCHED


def firmware_names() -> list[str]:
    """Names of the firmware that is built."""
    return sorted(path.stem for path in firmware.locate("any").parent.glob("*.elf"))


def locate(file: str, where: str) -> Path:
    """The path of `file`; ConfigError at `where` for firmware or a kernel that there is none of."""
    if file == FETCHED:
        from machine.vmm.linux.cache import cached_kernel

        kernel = cached_kernel()
        if kernel is None:
            raise ConfigError(f"{where}: no kernel: name a file, or fetch one with `ccabridge fetch-kernel`")
        return kernel.image
    if not file.startswith(FIRMWARE):
        return Path(file)
    name = file.removeprefix(FIRMWARE)
    path = firmware.locate(name)
    if "/" in name or "\0" in name or not path.is_file():
        hint = did_you_mean(name, firmware_names()) if firmware_names() else " (nothing is built: `make firmware`)"
        raise ConfigError(f"{where}: there is no firmware `{name}`{hint}")
    return path
