# SPDX-License-Identifier: GPL-2.0-or-later
"""RTT walks for people: what stands in each entry on the way to an IPA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm.abi.values import Hipas, Ripas, name_of
from rmm.stage2 import NS, PAGE_LEVEL, describe, is_table, walk

if TYPE_CHECKING:
    from rmm.protocols import Memory
    from rmm.realm import Realm


class Step:
    """One entry of a walk.  hipas: with _NS for the unprotected half.  ripas: None there, and for a TABLE."""

    __slots__ = ("entry", "entry_pa", "hipas", "level", "pa", "ripas")

    def __init__(self, level: int, entry_pa: int, entry: int, hipas: str, ripas: str | None, pa: int) -> None:
        self.level = level
        self.entry_pa = entry_pa
        self.entry = entry
        self.hipas = hipas
        self.ripas = ripas
        self.pa = pa

    def __str__(self) -> str:
        ripas = "" if self.ripas is None else f" RIPAS {self.ripas}"
        target = "" if self.hipas.startswith("UNASSIGNED") else f" PA {self.pa:#x}"
        return f"level {self.level} at {self.entry_pa:#x}: {self.entry:#018x} HIPAS {self.hipas}{ripas}{target}"

    __repr__ = __str__


def steps(memory: Memory, realm: Realm, ipa: int) -> list[Step]:
    """Every entry from the start level to where the walk stops."""
    if not 0 <= ipa < realm.ipa_end:
        return []
    out: list[Step] = []
    for to_level in range(realm.stage2.start_level, PAGE_LEVEL + 1):
        level, entry_pa, entry = walk(memory, realm, ipa, to_level)
        hipas, desc, ripas = describe(realm, level, entry)
        table = is_table(entry, level)
        unprotected = bool(entry & NS) and not table
        name = str(name_of(Hipas, hipas)) + ("_NS" if unprotected else "")
        shown = None if table or unprotected else name_of(Ripas, ripas)
        out.append(Step(level, entry_pa, entry, name, shown, desc & ~0xFFF))
        if not table:
            break
    return out
