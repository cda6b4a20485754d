# SPDX-License-Identifier: GPL-2.0-or-later
"""Where kernel, device tree and initrd go in a realm's RAM.

Linux, Documentation/arch/arm64/booting.rst: the kernel stands text_offset above a multiple of 2 MiB; the device tree is
at most 2 MiB, at a multiple of 8, and is mapped with 2 MiB blocks; kernel and initrd lie within 32 GiB.  The kernel is
put first in RAM, the device tree into the next 2 MiB of its own, and the initrd after it: all tables that describe them
are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.errors import UserError

from .image import ALIGNMENT, Kernel

MAX_DTB = 2 << 20
_SPAN = 32 << 30
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Placement:
    """IPAs.  kernel: where `Kernel.data` starts; entry: the first instruction; initrd: (base, end), or None."""

    kernel: int
    kernel_end: int
    entry: int
    dtb: int
    initrd: tuple[int, int] | None


def place(
    kernel: Kernel, ram_base: int, ram_size: int, *, dtb_size: int = MAX_DTB, initrd: tuple[str, int] | None = None
) -> Placement:
    """Places all that a kernel is started with; initrd: (path, bytes).  UserError when RAM is too small for it."""
    if ram_base % ALIGNMENT:
        raise UserError(f"RAM at {ram_base:#x}: a kernel needs it at a multiple of {ALIGNMENT:#x}")
    if dtb_size > MAX_DTB:
        raise UserError(f"a device tree of {dtb_size} bytes: at most {MAX_DTB} are allowed")
    end = ram_base + ram_size
    kernel_end = ram_base + kernel.end
    dtb = _up(kernel_end, ALIGNMENT)
    if dtb + dtb_size > end:
        needed = dtb + MAX_DTB - ram_base
        raise UserError(
            f"{kernel.path}: needs {mib(kernel.end)} of memory and 2 MiB for a device tree, of {mib(ram_size)}: "
            f"give at least -m {whole_mib(needed)}M"
        )
    where = None
    if initrd is not None:
        path, size = initrd
        if size <= 0:
            raise UserError(f"{path}: empty file")
        base = dtb + MAX_DTB
        if base + size > end:
            room = max(0, end - base)
            raise UserError(
                f"{path}: an initrd of {mib(size)}; after the kernel {mib(room)} of {mib(ram_size)} of RAM is free: "
                f"give at least -m {whole_mib(base + size - ram_base)}M"
            )
        if base + size - ram_base > _SPAN:
            raise UserError(f"{path}: an initrd of {mib(size)} does not end within 32 GiB of the kernel")
        where = (base, base + size)
    return Placement(ram_base + kernel.text_offset, kernel_end, ram_base + kernel.entry, dtb, where)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def mib(size: int) -> str:
    """For a message: 40.8 MiB."""
    return f"{size / (1 << 20):.1f} MiB".replace(".0 ", " ")


def whole_mib(size: int) -> int:
    """Mebibytes that have room for `size` bytes."""
    return _up(size, 1 << 20) >> 20
