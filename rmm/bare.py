# SPDX-License-Identifier: GPL-2.0-or-later
"""The least machine that an RMM runs on: flat memory, a set for the GPT, RECs that follow a script.

For rule tests, recorded sequences and measurements of speed, where no instruction is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from rmm.protocols import ExitKind, Gic, HostFault, RecContext, RecExit, RecInit, Stage2, Timers

PAGE = 0x1000
OK, BAD_ADDR, BAD_PAS = 0, -2, -3
VBAR_EL1H_SYNC = 0x200

Act = Callable[["ScriptedRec"], "RecExit | None"]


class BareMemory:
    """`size` bytes at `base`, zero at first.  realm: pages in the Realm PAS; closed: pages that no host may touch."""

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.data = bytearray(size)
        self.realm: set[int] = set()
        self.closed: set[int] = set()

    def _at(self, pa: int, size: int) -> int:
        at = pa - self.base
        if at < 0 or at + size > len(self.data):
            raise IndexError(f"the RMM reaches for PA {pa:#x}+{size:#x}, where there is no memory")
        return at

    def read(self, pa: int, size: int) -> bytes:
        at = self._at(pa, size)
        return bytes(self.data[at : at + size])

    def write(self, pa: int, data: bytes) -> None:
        at = self._at(pa, len(data))
        self.data[at : at + len(data)] = data

    def zero(self, pa: int, size: int) -> None:
        self.write(pa, bytes(size))

    def read64(self, pa: int) -> int:
        at = self._at(pa, 8)
        return int.from_bytes(self.data[at : at + 8], "little")

    def write64(self, pa: int, value: int) -> None:
        at = self._at(pa, 8)
        self.data[at : at + 8] = value.to_bytes(8, "little")

    def _check(self, pa: int, size: int) -> None:
        for page in range(pa & -PAGE, pa + size, PAGE):
            outside = not self.base <= page < self.base + len(self.data)
            if outside or page in self.realm or page in self.closed:
                raise HostFault(page)

    def host_read(self, pa: int, size: int) -> bytes:
        self._check(pa, size)
        return self.read(pa, size)

    def host_write(self, pa: int, data: bytes) -> None:
        self._check(pa, len(data))
        self.write(pa, data)


class ScriptedRec:
    """A PE that does what `script` says, one act for each run, and leaves by FIQ when there is nothing left to do.

    entries: (X0..X4, PC) each time the realm would run.  injected: (ESR, FAR) of exceptions taken to EL1.
    """

    def __init__(self, init: RecInit) -> None:
        self.init = init
        self.pc = init.pc
        self.x = [*init.gprs, *(0,) * (31 - len(init.gprs))]
        self.el = 1
        self.script: deque[Act] = deque()
        self.entries: list[tuple[int, ...]] = []
        self.traps: list[tuple[bool, bool]] = []
        self.injected: list[tuple[int, int | None]] = []
        self.present_timers = Timers()
        self.asserted = (False, False)
        self.present_gic = Gic()
        self.overflow = False
        self.is_big_endian = False
        self.irqs = 0  # how many looks for a pending interrupt find one

    def run(self, *, trap_wfi: bool, trap_wfe: bool) -> RecExit | None:
        self.entries.append((*self.x[:5], self.pc))
        self.traps.append((trap_wfi, trap_wfe))
        if not self.script:
            return RecExit(ExitKind.FIQ, self.pc, self.el)
        return self.script.popleft()(self)

    def get_x(self, first: int, count: int) -> Sequence[int]:
        return self.x[first : first + count]

    def set_x(self, first: int, values: Sequence[int]) -> None:
        self.x[first : first + len(values)] = values

    def inject(self, esr: int, far: int | None) -> None:
        self.injected.append((esr, far))
        self.pc = VBAR_EL1H_SYNC
        self.el = 1

    def cpu_on(self, pc: int, context_id: int, big_endian: bool) -> None:
        self.pc = pc
        self.x[0] = context_id
        self.is_big_endian = big_endian
        self.el = 1

    def big_endian(self) -> bool:
        return self.is_big_endian

    def timers(self) -> Timers:
        return self.present_timers

    def timer_asserted(self) -> tuple[bool, bool]:
        return self.asserted

    def gic(self) -> Gic:
        return self.present_gic

    def load_gic(self, hcr: int, lrs: Sequence[int]) -> None:
        self.present_gic = Gic(hcr, (*lrs, *(0,) * (16 - len(lrs))), self.present_gic.misr, self.present_gic.vmcr)

    def pmu_overflow(self) -> bool:
        return self.overflow

    def irq_pending(self) -> bool:
        found = self.irqs > 0
        self.irqs -= found
        return found


class BarePlatform:
    """The Root world over a BareMemory.  refused: pages that the monitor will not delegate."""

    def __init__(self, memory: BareMemory) -> None:
        self.memory = memory
        self.refused: set[int] = set()
        self.recs: list[ScriptedRec] = []
        self.invalidated: list[tuple[Stage2, int, int]] = []

    def delegate(self, pa: int) -> int:
        if pa & PAGE - 1 or not self.memory.base <= pa < self.memory.base + len(self.memory.data):
            return BAD_ADDR
        if pa in self.refused or pa in self.memory.closed or pa in self.memory.realm:
            return BAD_PAS
        self.memory.realm.add(pa)
        return OK

    def undelegate(self, pa: int) -> int:
        if pa not in self.memory.realm:
            return BAD_PAS
        self.memory.realm.remove(pa)
        return OK

    def invalidate_ipa(self, stage2: Stage2, ipa: int, size: int) -> None:
        self.invalidated.append((stage2, ipa, size))

    def create_rec(self, init: RecInit) -> ScriptedRec:
        rec = ScriptedRec(init)
        self.recs.append(rec)
        return rec

    def destroy_rec(self, rec: RecContext) -> None:
        self.recs = [other for other in self.recs if other is not rec]


# What a realm may do, as acts of a script.


def smc(*registers: int) -> Act:
    """SMC with X0.. set; registers that are not named keep their values."""

    def act(rec: ScriptedRec) -> RecExit:
        rec.x[: len(registers)] = registers
        rec.pc += 4
        return RecExit(ExitKind.SMC, rec.pc, rec.el, x=tuple(rec.x[:18]))

    return act


_KINDS = {
    0x01: ExitKind.WFX,
    0x16: ExitKind.HVC,
    0x18: ExitKind.SYSREG,
    0x19: ExitKind.UNDEF,
    0x1D: ExitKind.UNDEF,
    0x20: ExitKind.INSTRUCTION_ABORT,
    0x24: ExitKind.DATA_ABORT,
}


def exception(esr: int, far: int = 0, hpfar: int = 0, el: int = 1) -> Act:
    """A synchronous exception to EL2 with a given syndrome."""

    def act(rec: ScriptedRec) -> RecExit:
        rec.el = el
        kind = _KINDS[esr >> 26 & 0x3F]
        register = (esr >> 5 if kind == ExitKind.SYSREG else esr >> 16) & 31
        value = 0 if register == 31 else rec.x[register]
        return RecExit(kind, rec.pc, el, esr, far, hpfar, value)

    return act


def interrupt(kind: ExitKind, esr: int = 0) -> Act:
    """IRQ, FIQ, or SERROR with its syndrome."""
    return lambda rec: RecExit(kind, rec.pc, rec.el, esr)


def preempted(rec: ScriptedRec) -> None:
    """The PE's turn is over; the realm notices nothing."""
