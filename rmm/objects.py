# SPDX-License-Identifier: GPL-2.0-or-later
"""Realms and RECs as the RMM keeps them."""

from __future__ import annotations

from rmm.protocols import RecContext, Stage2


class Realm:
    def __init__(self, rd: int, s2: Stage2, num_start: int, algorithm: int, rim: bytes, rpv: bytes, *, sve: int | None, pmu: int | None, vmid: int) -> None:
        self.rd = rd
        self.s2 = s2
        self.num_start = num_start
        self.algorithm = algorithm
        self.rim = rim
        self.rem = [bytes(len(rim)) for _ in range(4)]
        self.rpv = rpv
        self.sve = sve
        self.pmu = pmu
        self.vmid = vmid
        self.state = 0
        self.recs = 0  # RD refcount
        self.rec_count = 0
        self.rec_by_index: dict[int, Rec] = {}

    @property
    def ipa_size(self) -> int:
        return 1 << self.s2.ipa_width

    @property
    def par(self) -> int:
        return 1 << self.s2.ipa_width - 1


class Rec:
    def __init__(self, pa: int, realm: Realm, index: int, mpidr: int, aux: list[int], context: RecContext, runnable: bool) -> None:
        self.pa = pa
        self.realm = realm
        self.rd = realm.rd
        self.index = index
        self.mpidr = mpidr
        self.aux = aux
        self.context = context
        self.runnable = runnable
        self.running = False
        self.psci: tuple[int, tuple[int, ...]] | None = None
        self.host_call: int | None = None
        self.ripas_base = 0
        self.ripas_top = 0
        self.ripas_addr = 0
        self.ripas_value = 0
        self.ripas_destroyed = False
        self.last_abort: tuple[int, bool, int] | None = None  # (esr, emulatable, ipa)
        self.last_timers = (False, False)


def index_of_rec_mpidr(mpidr: int) -> int | None:
    if mpidr & ~0xFFFF_FF0F:
        return None
    return mpidr & 0xF | (mpidr >> 8 & 0xFF) << 4 | (mpidr >> 16 & 0xFF) << 12 | (mpidr >> 24 & 0xFF) << 20


def index_of_mpidr(mpidr: int) -> int:
    return mpidr & 0xF | (mpidr >> 8 & 0xFF) << 4 | (mpidr >> 16 & 0xFF) << 12 | (mpidr >> 32 & 0xFF) << 20


def mpidr_of_index(index: int) -> int:
    return 1 << 31 | index & 0xF | (index >> 4 & 0xFF) << 8 | (index >> 12 & 0xFF) << 16 | (index >> 20 & 0xFF) << 32
