# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest at EL1 of a host at NS-EL2, on a bare board: both in one core, as on a PE."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.core import Core, sysreg
from bridge.exits import Reason
from tests.bridge.boards import CODE, DRAM, ELR, ESR, FAR, SMC, SPSR, TABLES, VBAR, VECTORS, Bench

NOP, ERET, ISB, WFI, WFE = 0xD503201F, 0xD69F03E0, 0xD5033FDF, 0xD503207F, 0xD503205F
LDR_X0_X1, STR_X0_X1, LDR_W0_X1, STR_W0_X1 = 0xF9400020, 0xF9000020, 0xB9400020, 0xB9000020
HVC, SVC = 0xD4000002, 0xD4000001

HCR_EL2 = sysreg(3, 4, 1, 1, 0)
HPFAR_EL2 = sysreg(3, 4, 6, 0, 4)
VTTBR_EL2, VTCR_EL2 = sysreg(3, 4, 2, 1, 0), sysreg(3, 4, 2, 1, 2)
SCTLR_EL1, SCTLR_EL2 = sysreg(3, 0, 1, 0, 0), sysreg(3, 4, 1, 0, 0)
CPACR_EL1, CPTR_EL2, MDCR_EL2 = sysreg(3, 0, 1, 0, 2), sysreg(3, 4, 1, 1, 2), sysreg(3, 4, 1, 1, 1)
TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1 = (
    sysreg(3, 0, 2, 0, 0),
    sysreg(3, 0, 2, 0, 1),
    sysreg(3, 0, 2, 0, 2),
    sysreg(3, 0, 10, 2, 0),
)
RW, VM, DC, TGE, E2H, TEA, GPF = 1 << 31, 1 << 0, 1 << 12, 1 << 27, 1 << 34, 1 << 37, 1 << 48

VECTORS_EL2 = VECTORS + 0x800
PSTATE = {2: 0x3C9, 1: 0x3C5, 0: 0x3C0}
EL1_WINDOW = 0x4000_0000  # the IPA of DRAM in the guest's stage 2
S2_NORMAL = 0x7FD  # AF, inner shareable, S2AP read-write, Normal write-back; block
S2_READ_ONLY = S2_NORMAL & ~(1 << 7)
VTCR_4K = 1 << 31 | 5 << 16 | 1 << 6 | 31  # 4K granule, 33-bit IPA, level 1 start


def mrs(encoding: int, rt: int) -> int:
    return 0xD520_0000 | encoding << 5 | rt


def msr(encoding: int, rt: int) -> int:
    return 0xD500_0000 | encoding << 5 | rt


class Guest:
    """A core whose EL1&0 lies under a stage 2 that maps DRAM one to one, unless told otherwise."""

    def __init__(self, bench: Bench, *, hcr: int = VM, **options: int) -> None:
        self.bench = bench
        self.core: Core = bench.core(el=2, **options)
        self.core.set_sysreg(VBAR[2], VECTORS_EL2)
        for offset in range(0, 0x800, 0x80):
            bench.code([SMC], VECTORS_EL2 + offset)
        if hcr & (VM | DC):
            self.map_blocks()
        self.core.set_sysreg(VTCR_EL2, VTCR_4K)
        self.core.set_sysreg(VTTBR_EL2, TABLES)
        self.core.set_sysreg(HCR_EL2, hcr | RW)

    def map_blocks(self, attributes: int = S2_NORMAL) -> None:
        """Level 1 at TABLES, level 2 at TABLES + 0x1000: 2 MiB blocks of DRAM."""
        memory = self.bench.memory
        memory.write64(TABLES + 8 * (DRAM >> 30), (TABLES + 0x1000) | 3)
        for i in range(8):
            memory.write64(TABLES + 0x1000 + 8 * i, (DRAM + i * 0x20_0000) | attributes)

    def run(
        self, words: Sequence[int], *, el: int = 1, x: Sequence[int] = (), at: int = CODE, slice_insns: int = 10_000
    ) -> Reason:
        self.bench.code([*words, SMC], at)
        self.core.pstate = PSTATE[el]
        if x:
            self.core.set_x(0, x)
        self.core.pc = at
        return Reason(self.core.run(slice_insns))

    def taken(self, level: int, offset: int) -> bool:
        """The last run ended at the SMC in `level`'s vector at `offset`."""
        base = VECTORS_EL2 if level == 2 else VECTORS
        return self.core.pstate >> 2 & 3 == level and self.core.exit.pc == base + offset + 4

    @property
    def ended(self) -> bool:
        """The code ran to the SMC behind it."""
        return CODE <= self.core.exit.pc < VECTORS

    def esr(self, level: int = 2) -> int:
        return self.core.get_sysreg(ESR[level])

    def far(self, level: int = 2) -> int:
        return self.core.get_sysreg(FAR[level])

    def elr(self, level: int = 2) -> int:
        return self.core.get_sysreg(ELR[level])

    def spsr(self, level: int = 2) -> int:
        return self.core.get_sysreg(SPSR[level])
