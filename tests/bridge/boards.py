"""A bare board with one core, for tests of the plugin: no machine file, no RMM."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bridge.core import Board, Core, sysreg
from bridge.exits import Reason
from bridge.memory import PhysicalMemory, Region
from bridge.pas import PAS
from machine.gpt import GranuleProtectionTable

DRAM = 0x8000_0000
DRAM_SIZE = 0x100_0000
ROOT = 0x0400_0000
ROOT_SIZE = 0x40_0000
CODE = DRAM
DATA = DRAM + 0x10_0000
TABLES = DRAM + 0x20_0000
VECTORS = DRAM + 0x30_0000
UART = 0x0900_0000

SMC = 0xD4000003
VBAR = {1: sysreg(3, 0, 12, 0, 0), 2: sysreg(3, 4, 12, 0, 0)}
ESR = {1: sysreg(3, 0, 5, 2, 0), 2: sysreg(3, 4, 5, 2, 0)}
FAR = {1: sysreg(3, 0, 6, 0, 0), 2: sysreg(3, 4, 6, 0, 0)}
ELR = {1: sysreg(3, 0, 4, 0, 1), 2: sysreg(3, 4, 4, 0, 1)}
SPSR = {1: sysreg(3, 0, 4, 0, 0), 2: sysreg(3, 4, 4, 0, 0)}


class Bench:
    """One board with RAM and a GPT; cores on demand.  devices: (base, size, GPI) of more device memory."""

    def __init__(
        self, *, cntfrq: int = 1_000_000_000, rate: int = 1_000_000_000, devices: Sequence[tuple[int, int, int]] = ()
    ) -> None:
        self.dram = Region("dram", DRAM, DRAM_SIZE, PAS.NON_SECURE)
        self.root = Region("root", ROOT, ROOT_SIZE, PAS.ROOT)
        self.memory = PhysicalMemory([self.dram, self.root])
        self.board = Board(self.memory, cntfrq=cntfrq, rate=rate)
        self.gpt = GranuleProtectionTable(
            self.root.bytes,
            ROOT,
            [
                (DRAM, DRAM_SIZE, PAS.NON_SECURE),
                (ROOT, ROOT_SIZE, PAS.ROOT),
                (UART, 0x1000, PAS.NON_SECURE),
                (0x0A00_0000, 0x1000, PAS.NON_SECURE),
                *devices,
            ],
        )
        self.board.set_gpt(self.gpt.l0_base, pps_bits=40, l0_bits=30, pgs_bits=12)
        self.cores: list[Core] = []

    def core(self, *, el: int = 2, pas: PAS = PAS.NON_SECURE, seed: int = 1, **options: int) -> Core:
        core = Core(self.board, "test", pas=pas, el=el, mpidr=0x8000_0000, pa_bits=48, seed=seed, **options)
        self.cores.append(core)
        # every vector: SMC, so that a taken exception is an exit
        for offset in range(0, 0x800, 0x80):
            self.memory.write(VECTORS + offset, struct.pack("<I", SMC))
        for level in (1, 2):
            core.set_sysreg(VBAR[level], VECTORS)
        return core

    def code(self, words: Sequence[int], at: int = CODE) -> None:
        self.memory.write(at, struct.pack(f"<{len(words)}I", *words))
        self.board.memory_written(at, 4 * len(words))

    def run(self, core: Core, words: Sequence[int], at: int = CODE, slice_insns: int = 100_000) -> Reason:
        """Runs `words`, followed by an SMC, from `at`."""
        self.code([*words, SMC], at)
        core.pc = at
        return Reason(core.run(slice_insns))

    def delegate(self, pa: int) -> None:
        self.gpt.set(pa, PAS.REALM)
        self.board.granule_changed(pa)

    def close(self) -> None:
        for core in self.cores:
            core.close()
