# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine's shared state and its cores, as Python objects over the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bridge.memory import PhysicalMemory
from bridge.pas import PAS
from bridge.plugin import ffi, lib

NEVER = (1 << 64) - 1
BUFFER = 4096


class EngineError(Exception):
    """The engine refused something it should not: a model bug."""


def sysreg(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    """The 16-bit encoding of a system register: op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]."""
    return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


class Block(NamedTuple):
    """Code that has run `runs` times: `size` bytes from the VA `pc` on, in the context `id`."""

    id: int
    pc: int
    size: int
    runs: int


class Board:
    """What all cores share: RAM, the GPT's registers and virtual time (retired instructions)."""

    def __init__(self, memory: PhysicalMemory, *, cntfrq: int, rate: int) -> None:
        self.memory = memory
        self.handle: Any = ffi.gc(lib.cca_machine_new(cntfrq, rate), lib.cca_machine_free)
        self._buffers: list[Any] = []
        self.pps_bits = 0  # width of the protected physical address space; 0 without a GPT
        self._bad = ffi.new("uint64_t *")
        self._buffer = ffi.new("char[]", BUFFER)
        for region in memory:
            buffer = ffi.from_buffer(region.mapping)
            if lib.cca_machine_add_ram(self.handle, region.base, region.size, buffer) != 0:
                raise EngineError(f"RAM region {region.name} at {region.base:#x} does not fit")
            self._buffers.append(buffer)

    def set_gpt(self, base: int, *, pps_bits: int, l0_bits: int, pgs_bits: int) -> None:
        """Turns the granule protection check on: GPTBR_EL3 and GPCCR_EL3."""
        self.pps_bits = pps_bits
        lib.cca_machine_set_gpt(self.handle, base, pps_bits, l0_bits, pgs_bits)

    @property
    def insns(self) -> int:
        return int(lib.cca_insns(self.handle))

    @property
    def ticks(self) -> int:
        """The system counter."""
        return int(lib.cca_ticks(self.handle))

    def set_limit(self, insns: int) -> None:
        """Stop with LIMIT once so many instructions have been retired; 0 for no limit."""
        lib.cca_set_limit(self.handle, insns)

    def skip_to(self, insns: int) -> None:
        """Time goes on to this instruction count, if that is ahead."""
        lib.cca_skip_to(self.handle, insns)

    def end_turn_at(self, insns: int) -> None:
        """Runs of any core end with SLICE once the machine has retired so many instructions; NEVER for no bound."""
        lib.cca_set_turn(self.handle, insns)

    def granule_changed(self, pa: int) -> None:
        """The GPI of a granule changed: no core may keep a translation to it."""
        lib.cca_granule_changed(self.handle, pa)

    def memory_written(self, pa: int, size: int) -> None:
        """Memory changed behind the cores' back: no core may keep code translated from it."""
        lib.cca_memory_written(self.handle, pa, size)

    def zero(self, pa: int, size: int) -> None:
        if lib.cca_memory_zero(self.handle, pa, size) != 0:
            raise EngineError(f"wiping {pa:#x}: not RAM")

    def stop_at(self, insns: int) -> None:
        """Whatever runs stops with DEBUG once, before it retires more than so many instructions; NEVER for not."""
        lib.cca_debug_at(self.handle, insns)

    def stop_next(self) -> None:
        """Whichever core runs next stops with DEBUG before its first instruction."""
        lib.cca_debug_break(self.handle)

    def stop_on_gpf(self, on: bool) -> None:
        lib.cca_debug_gpf(self.handle, on)

    def watch(self, number: int, space: int, first: int, last: int, *, read: bool, write: bool) -> None:
        """Accesses to [first, last] stop with DEBUG before they are made.  space: the plugin's CCA_WATCH_*."""
        access = (1 if read else 0) | (2 if write else 0)
        if lib.cca_debug_watch(self.handle, number, space, first, last, access, 0xFFFF) != 0:
            raise EngineError("too many watchpoints")

    def unwatch(self, number: int) -> None:
        lib.cca_debug_unwatch(self.handle, number)

    def covered(self) -> list[Block]:
        """The blocks that covered cores have run, by id and address."""
        count = lib.cca_covered_blocks(self.handle, ffi.NULL, 0)
        rows = ffi.new("struct cca_covered[]", count)
        lib.cca_covered_blocks(self.handle, rows, count)
        return sorted(Block(row.id, row.pc, row.size, row.count) for row in rows)

    @property
    def uncounted(self) -> int:
        """Runs of blocks that there was no room for."""
        return int(lib.cca_coverage_lost(self.handle))

    def read_as(self, pas: PAS, pa: int, size: int) -> bytes | None:
        """Memory as a world may read it; None where the granule protection check or the bus refuses."""
        buffer = self._buffer if size <= BUFFER else ffi.new("char[]", size)
        if lib.cca_read(self.handle, pa, size, pas, buffer, self._bad):
            return None
        data: bytes = ffi.unpack(buffer, size)
        return data

    def write_as(self, pas: PAS, pa: int, data: bytes) -> bool:
        """Writes as a world may; False, with nothing written, where it may not."""
        return not lib.cca_write(self.handle, pa, len(data), pas, data, self._bad)

    @property
    def bad(self) -> int:
        """The address that the last refused `read_as` or `write_as` was refused at."""
        return int(self._bad[0])

    def refused(self, pa: int, size: int, pas: PAS) -> int | None:
        """The first address of [pa, pa + size) that `pas` may not access or that is not RAM; None when all may."""
        if lib.cca_check(self.handle, pa, size, pas, self._bad):
            return int(self._bad[0])
        return None


class Core:
    """One execution context: an engine, its registers, its translations.

    `run` returns the exit reason as an int (see `bridge.exits.Reason`); `exit` is the plugin's exit structure.
    """

    __slots__ = ("_events", "_scratch", "board", "exit", "handle", "name", "pas")

    def __init__(
        self,
        board: Board,
        name: str,
        *,
        pas: PAS,
        el: int,
        mpidr: int,
        pa_bits: int,
        seed: int,
        stage2: bool = False,
        vttbr: int = 0,
        vtcr: int = 0,
        hcr: int = 0,
        hafdbs: int = 0,
        semihosting: bool = False,
        irq_exits: bool = False,
        pmu: int | None = None,
        pmu_trapped: bool = False,
        tcg_megabytes: int = 64,
        pe: int = 0,
    ) -> None:
        config = ffi.new("struct cca_core_config *")
        config.pas = pas
        config.el = el
        config.mpidr = mpidr
        config.pa_bits = pa_bits
        config.seed = seed
        config.stage2 = stage2
        config.vttbr = vttbr
        config.vtcr = vtcr
        config.hcr = hcr
        config.hafdbs = hafdbs
        config.semihosting = semihosting
        config.irq_exits = irq_exits
        if pmu is not None:
            config.pmu = lib.CCA_PMU_PRESENT
            config.pmu_counters = pmu
        elif pmu_trapped:
            config.pmu = lib.CCA_PMU_TRAPPED
        config.tcg_megabytes = tcg_megabytes
        config.pe = pe
        self.board = board
        self.name = name
        self.pas = pas
        self.handle: Any = lib.cca_core_new(board.handle, config)
        if self.handle == ffi.NULL:
            raise EngineError("out of memory")
        error = ffi.string(lib.cca_core_error(self.handle)).decode()
        if error:
            lib.cca_core_free(self.handle)
            raise EngineError(f"{name}: {error}")
        self.exit: Any = lib.cca_core_exit(self.handle)
        self._scratch = ffi.new("uint64_t[31]")
        self._events = ffi.new("struct cca_event[256]")

    def close(self) -> None:
        """Frees the engine; the core must not be used afterwards."""
        if self.handle != ffi.NULL:
            lib.cca_core_free(self.handle)
            self.handle = ffi.NULL

    def run(self, slice_insns: int = NEVER) -> int:
        return int(lib.cca_run(self.handle, slice_insns))

    def get_x(self, first: int, count: int) -> list[int]:
        lib.cca_get_x(self.handle, first, count, self._scratch)
        values: list[int] = ffi.unpack(self._scratch, count)
        return values

    def set_x(self, first: int, values: Sequence[int]) -> None:
        lib.cca_set_x(self.handle, first, len(values), values)

    @property
    def pc(self) -> int:
        return int(lib.cca_get_pc(self.handle))

    @pc.setter
    def pc(self, value: int) -> None:
        lib.cca_set_pc(self.handle, value & NEVER)  # the instruction after the last address is the first

    @property
    def sp(self) -> int:
        return int(lib.cca_get_sp(self.handle))

    @sp.setter
    def sp(self, value: int) -> None:
        lib.cca_set_sp(self.handle, value & NEVER)

    @property
    def pstate(self) -> int:
        return int(lib.cca_get_pstate(self.handle))

    @pstate.setter
    def pstate(self, value: int) -> None:
        lib.cca_set_pstate(self.handle, value)

    def get_sysreg(self, encoding: int) -> int:
        return int(lib.cca_get_sysreg(self.handle, encoding))

    def set_sysreg(self, encoding: int, value: int) -> None:
        if lib.cca_set_sysreg(self.handle, encoding, value) != 0:
            raise EngineError(f"{self.name}: the engine has no system register {encoding:#06x}")

    def set_id(self, encoding: int, value: int) -> None:
        """What an ID register (op0=3, op1=0, CRn=0) reads as in this context."""
        lib.cca_set_id(self.handle, encoding, value)

    def translate(self, va: int, access: int = 0) -> tuple[int, int] | None:
        """(PA, PAS) of a VA in the current regime, or None where it faults.  access: 0 read, 1 write, 2 fetch."""
        out = ffi.new("uint64_t *"), ffi.new("uint32_t *"), ffi.new("uint32_t *"), ffi.new("uint32_t *")
        if not lib.cca_translate_va(self.handle, va & NEVER, access, *out):
            return None
        return int(out[0][0]), int(out[1][0])

    def cover(self, number: int) -> None:
        """From now on counts the blocks that run, under this id."""
        if lib.cca_cover(self.handle, number) != 0:
            raise EngineError(f"{self.name}: its blocks cannot be counted")

    def set_point(self, va: int, on: bool) -> None:
        """Stops with DEBUG before the instruction at a VA, in whichever address space."""
        if lib.cca_debug_point(self.handle, va, on) != 0:
            raise EngineError(f"{self.name}: too many breakpoints")

    def step(self, on: bool = True) -> None:
        """The next run stops with DEBUG after one instruction, or where the exception that it takes leads."""
        lib.cca_debug_step(self.handle, on)

    def timers(self) -> list[int]:
        """CTL (with ISTATUS) and CVAL of CNTP, then of CNTV."""
        lib.cca_get_timers(self.handle, self._scratch)
        values: list[int] = ffi.unpack(self._scratch, 4)
        return values

    def timers_asserted(self) -> int:
        """Timers that assert their interrupt: bit 0 CNTP, bit 1 CNTV."""
        return int(lib.cca_timers_asserted(self.handle))

    def inject(self, el: int, esr: int, far: int | None) -> None:
        """Takes a synchronous exception to `el` from the present PC and PSTATE."""
        lib.cca_inject(self.handle, el, esr, far is not None, far or 0)

    def events(self) -> list[tuple[int, int, int, int, int, int]]:
        """(kind, el, pc, a, b, insns) of the trace events since the last call; empty unless tracing."""
        count = lib.cca_events(self.handle, self._events, 256)
        return [(e.kind, e.el, e.pc, e.a, e.b, e.insns) for e in self._events[0:count]]

    def trace(self, on: bool) -> None:
        lib.cca_trace(self.handle, on)

    @property
    def insns(self) -> int:
        """Instructions retired by this context."""
        return int(lib.cca_core_insns(self.handle))
