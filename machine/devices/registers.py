# SPDX-License-Identifier: GPL-2.0-or-later
"""What devices made of 32-bit registers share."""

from __future__ import annotations

from typing import Final

U32: Final = 0xFFFF_FFFF

ID: Final = 0xFE0
"""Where the identification registers of a PrimeCell begin."""


class Registers:
    """A device of 32-bit registers: `load` and `store` get word-aligned offsets, and values of 32 bits.

    A 64-bit access is one to each word, the lower first.  Narrow reads take their byte lanes; narrow writes
    reach a register from its first byte only, zero-extended.  What is no register reads as 0 and ignores writes.
    """

    size = 4096

    def load(self, offset: int) -> int:
        raise NotImplementedError

    def store(self, offset: int, value: int) -> None:
        raise NotImplementedError

    def read(self, offset: int, size: int) -> int:
        word = offset & ~3
        value = self.load(word)
        if size == 8:
            return value | self.load(word + 4) << 32
        return value >> (offset & 3) * 8 & ((1 << size * 8) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        if offset & 3:
            return
        self.store(offset, value & U32)
        if size == 8:
            self.store(offset + 4, value >> 32)


def primecell(part: int, revision: int, configuration: int = 0) -> tuple[int, ...]:
    """PeriphID0 to 3 and PCellID0 to 3 of an Arm PrimeCell, as they stand from 0xFE0 on."""
    designer = 0x41
    return (
        part & 0xFF,
        part >> 8 | (designer & 0xF) << 4,
        designer >> 4 | revision << 4,
        configuration,
        *(0x0D, 0xF0, 0x05, 0xB1),
    )


def identification(ids: tuple[int, ...], offset: int) -> int:
    """The identification register at `offset`; 0 below ID and beyond the page."""
    index = (offset - ID) >> 2
    return ids[index] if 0 <= index < len(ids) else 0
