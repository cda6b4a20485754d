# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries of the granule protection table (DDI 0615; rmm-abi.md §13.5)."""

from __future__ import annotations

from enum import IntEnum

from bridge.bitfields import Field, Register
from bridge.pas import GPI

GPI_MEANINGS = {
    GPI.NO_ACCESS: "no access by anybody",
    GPI.SYSTEM_AGENT: "system agents only; a PE's access faults",
    GPI.NON_SECURE_PROTECTED: "Non-secure protected: not for a PE's ordinary access",
    GPI.SECURE: "only accesses to the Secure physical address space",
    GPI.NON_SECURE: "only accesses to the Non-secure physical address space",
    GPI.ROOT: "only accesses to the Root physical address space",
    GPI.REALM: "only accesses to the Realm physical address space",
    GPI.NON_SECURE_ONLY: "Non-secure only",
    GPI.ANY: "accesses to any physical address space",
}


class Level0(IntEnum):
    """Type of a level 0 entry."""

    BLOCK = 1
    TABLE = 3


class Level1(IntEnum):
    """Bits [3:0] of a level 1 entry that is not sixteen GPIs."""

    CONTIGUOUS = 1


class Contig(IntEnum):
    """What a contiguous level 1 entry is alike over."""

    MB_2 = 1
    MB_32 = 2
    MB_512 = 3


class GptBlock(Register):
    """A level 0 entry that gives one GPI to all it covers."""

    GPI = Field(7, 4, doc="granule protection information", names=GPI)
    TYPE = Field(3, 0, doc="1 block", names=Level0)


class GptTable(Register):
    """A level 0 entry that points at a level 1 table."""

    ADDRESS = Field(51, 12, doc="PA of the level 1 table, bits 51:12")
    TYPE = Field(3, 0, doc="3 table", names=Level0)


class GptContiguous(Register):
    """A level 1 entry that is alike over 2 MiB, 32 MiB or 512 MiB."""

    CONTIG = Field(9, 8, doc="size", names=Contig)
    GPI = Field(7, 4, doc="granule protection information", names=GPI)
    TYPE = Field(3, 0, doc="1 contiguous", names=Level1)


class GptGranules(Register):
    """A level 1 entry of sixteen granules, 4 bits each, the lowest address in the lowest bits."""

    GPI15 = Field(63, 60, names=GPI)
    GPI14 = Field(59, 56, names=GPI)
    GPI13 = Field(55, 52, names=GPI)
    GPI12 = Field(51, 48, names=GPI)
    GPI11 = Field(47, 44, names=GPI)
    GPI10 = Field(43, 40, names=GPI)
    GPI9 = Field(39, 36, names=GPI)
    GPI8 = Field(35, 32, names=GPI)
    GPI7 = Field(31, 28, names=GPI)
    GPI6 = Field(27, 24, names=GPI)
    GPI5 = Field(23, 20, names=GPI)
    GPI4 = Field(19, 16, names=GPI)
    GPI3 = Field(15, 12, names=GPI)
    GPI2 = Field(11, 8, names=GPI)
    GPI1 = Field(7, 4, names=GPI)
    GPI0 = Field(3, 0, names=GPI)


def level0_entry(entry: int) -> Register:
    """A level 0 entry as the table or the block that its type says."""
    return GptTable(entry) if entry & 0xF == Level0.TABLE else GptBlock(entry)


def level1_entry(entry: int) -> Register:
    """A level 1 entry as contiguous or as sixteen granules; bits [3:0] = 1 are not a GPI."""
    return GptContiguous(entry) if entry & 0xF == Level1.CONTIGUOUS else GptGranules(entry)
