# SPDX-License-Identifier: GPL-2.0-or-later
"""A realm with Linux for the host firmware: its kernel, device tree and initrd, placed and staged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigError, UserError
from bridge.image import Image, Segment, read_bytes

from .files import locate

if TYPE_CHECKING:
    from machine.vmm.linux.launch import Launch

    from .loader import MachineConfig
    from .types import Realm

# What a boot loader, linked at the start of RAM, has for itself: a multiple of a kernel's alignment.
LOADER_ROOM = 2 << 20


def is_loader(path: Path, where: str) -> bool:
    """Whether a realm's image is an ELF, a boot loader that starts the kernel; kernels come in other forms."""
    try:
        return read_bytes(str(path))[:4] == b"\x7fELF"
    except UserError as error:
        raise ConfigError(f"{where}: {error}") from None


def launch(config: MachineConfig, realm: Realm, index: int) -> Launch:
    """All that a realm's Linux is started with; ConfigError at the key that is to blame.

    With `linux.kernel`, the realm's image is a boot loader at the start of RAM.
    """
    assert realm.linux is not None
    from machine.vmm.linux import layout
    from machine.vmm.linux.dtb import read_tree
    from machine.vmm.linux.fdt import Board
    from machine.vmm.linux.image import read_kernel
    from machine.vmm.linux.initramfs import build
    from machine.vmm.linux.launch import prepare

    linux = realm.linux

    @contextmanager
    def blame(*keys: str) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            at = config.source.where("realms", index, *keys)
            raise ConfigError(f"{at}: realms[{index}].{'.'.join(keys)}: {error}") from None

    keys = ("image",) if linux.kernel is None else ("linux", "kernel")
    path = locate(linux.kernel or realm.image, config.source.where("realms", index, *keys))
    board = Board(
        ram_base=realm.ram.base,
        ram_size=realm.ram.size,
        shared_bit=1 << realm.ipa_bits - 1,
        console=layout.UART,
        bootargs="console=ttyS0" if linux.cmdline is None else linux.cmdline,
    )
    tree = None
    if linux.dtb is not None:
        with blame("linux", "dtb"):
            tree = read_tree(linux.dtb)
    with blame("linux", "initrd"):
        name = linux.initrd or "initramfs"
        initrd = name, build(script=linux.script) if linux.initrd is None else read_bytes(linux.initrd)
    with blame(*keys):
        reserved = 0 if linux.kernel is None else LOADER_ROOM
        return prepare(board, read_kernel(path), initrd=initrd, dtb=tree, reserved=reserved)
    raise AssertionError("blame passes every exception on")


def kernel_image(launch: Launch) -> Image:
    """A placed kernel as the image of its realm; its .bss is no part of it."""
    where, data = launch.where, launch.kernel.data
    return Image(launch.kernel.path, "image", (Segment(where.kernel, memoryview(data), len(data)),), where.entry, True)
