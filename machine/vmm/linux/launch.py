# SPDX-License-Identifier: GPL-2.0-or-later
"""All that a Linux realm is started with: what goes where in its RAM, and where it begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.errors import UserError

from . import command_line
from .cache import cached_kernel
from .dtb import Tree, check, completed, parse_tree
from .fdt import Board, generate
from .image import Kernel
from .placement import MAX_DTB, Placement, mib, place, whole_mib

# What Debian's kernels need until init runs, besides kernel, device tree and initrd: 6.18 about 20 MiB, 7.3 up to 28.
HEADROOM = 28 << 20


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel with its device tree and initrd, placed.

    The first vCPU starts at `where.entry` with X0 = `where.dtb` and X1 to X3 zero (Linux, booting.rst).
    ram: bytes that the kernel may take for its own; least: with fewer it hardly gets to init.
    """

    kernel: Kernel
    where: Placement
    dtb: bytes
    initrd: bytes | None
    ram: int
    least: int

    def contents(self) -> Iterator[tuple[str, int, bytes]]:
        """(what, IPA, bytes), ascending; memory that is not named begins as zeros, the kernel's .bss too."""
        yield "kernel", self.where.kernel, self.kernel.data
        yield "dtb", self.where.dtb, self.dtb
        if self.initrd is not None and self.where.initrd is not None:
            yield "initrd", self.where.initrd[0], self.initrd


def prepare(
    board: Board,
    kernel: Kernel,
    *,
    initrd: tuple[str, bytes] | None = None,
    dtb: Tree | None = None,
    reserved: int = 0,
) -> Launch:
    """Places a kernel, an initrd (its path and content) and a device tree: a given one, or that of the board.

    reserved: bytes at the start of RAM that are a boot loader's, a multiple of 2 MiB.
    UserError when they do not fit, when the device tree lies, or when the kernel cannot be a realm.
    """
    if kernel.release is not None and not kernel.knows_rsi:
        raise UserError(
            f"{kernel.path}: Linux {kernel.release} was built without support for realms (RSI, 6.13 or later)"
        )
    size = None if initrd is None else (initrd[0], len(initrd[1]))
    where = place(kernel, board.ram_base + reserved, board.ram_size - reserved, dtb_size=MAX_DTB, initrd=size)
    end = (where.dtb + MAX_DTB if where.initrd is None else where.initrd[1]) - board.ram_base
    ram, limit = board.ram_size, command_line.limit(board.bootargs)
    if limit is not None:
        word, size_limit = limit
        ram = min(ram, size_limit)
        if ram < end:
            raise UserError(
                f"`{word}`: kernel, device tree and initrd end at {mib(end)} of RAM: "
                f"give at least mem={whole_mib(end + HEADROOM)}M, or leave it out"
            )
    if dtb is None:
        data = generate(replace(board, initrd=where.initrd))
    else:
        data = completed(dtb, bootargs=board.bootargs or None, initrd=where.initrd)
        check(parse_tree(dtb.path, data), board)
    return Launch(kernel, where, data, None if initrd is None else initrd[1], ram, end + HEADROOM)


def default_kernel() -> Path:
    """The Image that was fetched; UserError says how to get one."""
    cached = cached_kernel()
    if cached is None:
        raise UserError("no kernel: give one with -k, or fetch one with `ccabridge fetch-kernel`")
    return cached.image
