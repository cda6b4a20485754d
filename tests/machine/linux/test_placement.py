# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel, device tree and initrd in RAM: Linux, Documentation/arch/arm64/booting.rst."""

from __future__ import annotations

import pytest

from bridge.errors import UserError
from machine.vmm.linux.image import Kernel
from machine.vmm.linux.placement import place

MIB = 1 << 20
RAM = 0x8000_0000


def kernel(size: int, text_offset: int = 0) -> Kernel:
    return Kernel("Image", "Image", b"", text_offset, size, text_offset, 4096, True)


def test_place__each_in_two_megabytes_of_its_own() -> None:
    where = place(kernel(0x2650000), RAM, 256 * MIB, dtb_size=3000, initrd=("initrd", 5 * MIB))
    assert (where.kernel, where.kernel_end, where.entry) == (0x8000_0000, 0x8265_0000, 0x8000_0000)
    assert where.dtb == 0x8280_0000
    assert where.initrd == (0x82A0_0000, 0x82F0_0000)


def test_place__text_offset_stands_above_the_aligned_address() -> None:
    where = place(kernel(2 * MIB - 0x80000, 0x80000), RAM, 64 * MIB)
    assert (where.kernel, where.entry, where.kernel_end, where.dtb) == (
        RAM + 0x80000,
        RAM + 0x80000,
        RAM + 2 * MIB,
        RAM + 2 * MIB,
    )


def test_place__too_little_memory_says_how_much_is_needed() -> None:
    for size in (32, 40):
        with pytest.raises(UserError, match=r"Image: needs 38\.3 MiB of memory.*give at least -m 42M"):
            place(kernel(0x2650000), RAM, size * MIB)
    assert place(kernel(0x2650000), RAM, 42 * MIB).dtb == 0x8280_0000


def test_place__initrd_too_large_says_how_much_is_needed() -> None:
    with pytest.raises(
        UserError, match=r"big\.cpio: an initrd of 100 MiB; after the kernel 86 MiB of 128 MiB.*-m 142M"
    ):
        place(kernel(0x2650000), RAM, 128 * MIB, initrd=("big.cpio", 100 * MIB))
    assert place(kernel(0x2650000), RAM, 142 * MIB, initrd=("big.cpio", 100 * MIB)).initrd == (
        RAM + 42 * MIB,
        RAM + 142 * MIB,
    )


def test_place__initrd_must_end_within_32_gib_of_the_kernel() -> None:
    with pytest.raises(UserError, match="within 32 GiB"):
        place(kernel(MIB), RAM, 64 << 30, initrd=("huge", 32 << 30))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ram_base": RAM + MIB}, "multiple of 0x200000"),
        ({"dtb_size": 2 * MIB + 1}, "at most 2097152"),
        ({"initrd": ("x", 0)}, "x: empty file"),
    ],
)
def test_place__wrong(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        place(kernel(MIB), **({"ram_base": RAM, "ram_size": 64 * MIB} | arguments))  # type: ignore[arg-type]
