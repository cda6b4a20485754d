# SPDX-License-Identifier: GPL-2.0-or-later
"""Realm translation tables in emulated memory, in the stage-2 format (rmm-abi.md §11)."""

from __future__ import annotations

from rmm.protocols import Memory, Stage2

EMPTY, RAM, DESTROYED = 0, 1, 2
UNASSIGNED, ASSIGNED, TABLE = 0, 1, 2
NS = 1 << 55
NS_LEAF = 0x00C0_0000_0000_0700
NS_HOST = 0xDC  # MemAttr[4:2], S2AP[7:6]
OA_MASK = 0x0000_FFFF_FFFF_F000
RAM_PAGE, RAM_BLOCK = 0x7DB, 0x7D9


def shift_of(level: int) -> int:
    return 12 + 9 * (3 - level)


def unassigned(ripas: int) -> int:
    return ripas << 5


def assigned(pa: int, ripas: int, level: int) -> int:
    if ripas == RAM:
        return pa | (RAM_PAGE if level == 3 else RAM_BLOCK)
    return pa | 4 | ripas << 5


def is_table(entry: int, level: int) -> bool:
    return level < 3 and entry & 3 == 3


def state_of(entry: int, level: int) -> tuple[int, int, bool]:
    """(HIPAS, RIPAS, is NS) of an entry."""
    if is_table(entry, level):
        return TABLE, EMPTY, False
    if entry & NS:
        return (ASSIGNED if entry & 1 else UNASSIGNED), EMPTY, True
    if entry & 1:
        return ASSIGNED, RAM, False
    return (ASSIGNED if entry & 4 else UNASSIGNED), entry >> 5 & 3, False


def live(entry: int, level: int) -> bool:
    return state_of(entry, level)[0] != UNASSIGNED


class Walk:
    """Where a walk ended: level, table PA, index, entry."""

    __slots__ = ("entry", "index", "level", "pa", "table")

    def __init__(self, level: int, table: int, index: int, entry: int) -> None:
        self.level = level
        self.table = table
        self.index = index
        self.pa = table + 8 * index
        self.entry = entry

    @property
    def state(self) -> tuple[int, int, bool]:
        return state_of(self.entry, self.level)


def walk(memory: Memory, s2: Stage2, ipa: int, to_level: int) -> Walk:
    level = s2.start_level
    index = ipa >> shift_of(level)
    table = s2.rtt_base + 4096 * (index >> 9)
    index &= 511
    while True:
        entry = memory.read64(table + 8 * index)
        if level >= to_level or not is_table(entry, level):
            return Walk(level, table, index, entry)
        table = entry & OA_MASK
        level += 1
        index = ipa >> shift_of(level) & 511


def next_live(memory: Memory, w: Walk, ipa: int) -> int:
    """§5.5"""
    if live(w.entry, w.level):
        return ipa
    size = 1 << shift_of(w.level)
    top = ipa & ~(size - 1)
    for index in range(w.index, 512):
        if index > w.index and live(memory.read64(w.table + 8 * index), w.level):
            break
        top += size
    return top
