# SPDX-License-Identifier: GPL-2.0-or-later
"""The Realm Management Monitor: granules, realms, RECs, and the door through which the host calls."""

from __future__ import annotations

import struct
from array import array
from typing import Sequence

from rmm import rtt
from rmm.command import Result, compile_command
from rmm.features import Features
from rmm.objects import Realm, Rec
from rmm.observer import Observer
from rmm.protocols import Memory, Platform
from rmm.rmi import COMMANDS

UNKNOWN = (1 << 64) - 1
SVE_HINT = 1 << 16


class Rmm:
    def __init__(self, memory: Memory, platform: Platform, *, features: Features, dram: Sequence[tuple[int, int]], observer: Observer | None = None) -> None:
        self.memory = memory
        self.platform = platform
        self.features = features
        self.observer = observer
        self.vmids: set[int] = set()
        self.realms_by_pa: dict[int, Realm] = {}
        self.recs_by_pa: dict[int, Rec] = {}
        self._banks = [(base, base + size, bytearray(size >> 12), array("H", bytes(size >> 11))) for base, size in dram]
        self._handlers = {cls.call.fid: compile_command(cls, self) for cls in COMMANDS}
        from rmm.enter import compile_enter

        self._handlers[0xC400015C] = compile_enter(self)

    def rmi(self, x: Sequence[int]) -> Result:
        handler = self._handlers.get(x[0] & 0xFFFF_FFFF & ~SVE_HINT)
        if handler is None:
            if self.observer is not None:
                self.observer.call(None, (x[0] & 0xFFFF_FFFF, *x[1:4]), (UNKNOWN,), None, None)
            return (UNKNOWN, 0, 0, 0, x[4] if len(x) > 4 else 0)
        return handler(x)

    # -- granules
    def _bank(self, pa: int) -> tuple[bytearray, array[int], int] | None:
        for base, end, states, refs in self._banks:
            if base <= pa < end:
                return states, refs, pa - base >> 12
        return None

    def tracked(self, pa: int) -> bool:
        return self._bank(pa) is not None

    def state(self, pa: int) -> int:
        bank = self._bank(pa)
        return -1 if bank is None else bank[0][bank[2]]

    granule_state = state

    def set_state(self, pa: int, state: int) -> None:
        bank = self._bank(pa)
        assert bank is not None
        if self.observer is not None:
            self.observer.granule(pa, bank[0][bank[2]], state)
        bank[0][bank[2]] = state

    def refcount(self, pa: int) -> int:
        bank = self._bank(pa)
        assert bank is not None
        return bank[1][bank[2]]

    def add_ref(self, pa: int, n: int) -> None:
        bank = self._bank(pa)
        assert bank is not None
        bank[1][bank[2]] += n

    def release(self, pa: int) -> None:
        """Back to DELEGATED, wiped."""
        self.memory.zero(pa, 4096)
        bank = self._bank(pa)
        assert bank is not None
        bank[1][bank[2]] = 0
        self.set_state(pa, 1)

    def fill(self, pa: int, words: Sequence[int]) -> None:
        self.memory.write(pa, struct.pack("<512Q", *words))

    def table(self, pa: int) -> tuple[int, ...]:
        return struct.unpack("<512Q", self.memory.read(pa, 4096))

    # -- inspection
    def realms(self) -> list[Realm]:
        return list(self.realms_by_pa.values())

    def recs(self) -> list[Rec]:
        return list(self.recs_by_pa.values())

    def walk(self, rd: int, ipa: int) -> list[str]:
        realm = self.realms_by_pa[rd]
        if ipa >= realm.ipa_size:
            return []
        w = rtt.walk(self.memory, realm.s2, ipa, 3)
        hipas, ripas, ns = w.state
        name = ("UNASSIGNED", "ASSIGNED", "TABLE")[hipas] + ("_NS" if ns else f" RIPAS={('EMPTY', 'RAM', 'DESTROYED')[ripas]}")
        return [f"level {w.level}: HIPAS={name} (entry {w.entry:#x})"]
