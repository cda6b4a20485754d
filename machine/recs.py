# SPDX-License-Identifier: GPL-2.0-or-later
"""RECs on cores: what the RMM asks of a PE (rmm.protocols.RecContext), done by a `bridge.Core`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bridge.core import NEVER, Board, Core, EngineError, sysreg
from bridge.exits import Reason
from bridge.pas import PAS
from bridge.plugin import ffi, lib
from machine.end import MODEL_BUG, TIMEOUT, UNHANDLED, End
from machine.stuck import Fault
from rmm.protocols import ExitKind, Gic, HostFault, RecContext, RecExit, RecInit, Stage2, Timers
from rmm.rmm import REALM_WORDS

if TYPE_CHECKING:
    from machine.machine import Machine

SCTLR_EL1 = sysreg(3, 0, 1, 0, 0)
MDSCR_EL1 = sysreg(2, 0, 0, 2, 2)
CPTR_EL2 = sysreg(3, 4, 1, 1, 2)
CPTR_EL3 = sysreg(3, 6, 1, 1, 2)
ZCR_EL2 = sysreg(3, 4, 1, 2, 0)
ZCR_EL3 = sysreg(3, 6, 1, 2, 0)
CPTR_RES1 = 0x32FF
CPTR_TZ = 1 << 8
CPTR_EZ = 1 << 8
ZCR_LONGEST = 15
SCTLR_RESET = 0x00C5_0878  # rmm-abi.md §7.6
SCTLR_EE = 1 << 25
PMCR_EL0 = sysreg(3, 3, 9, 12, 0)
PMCR_RESET = 0x66  # LC, DP, C, P: rmm-abi.md §7.6
PSTATE_EL1H_MASKED = 0x3C5
HCR_REALM = 0x4324_800C_043F  # rmm-abi.md §6.7
_NO_LRS = (0,) * 16

SMC = int(Reason.SMC)
_ASSERTED = ((False, False), (False, True), (True, False), (True, True))  # by cca_timers_asserted: (CNTV, CNTP)
_KINDS = {
    int(Reason.HVC): ExitKind.HVC,
    int(Reason.SYSREG): ExitKind.SYSREG,
    int(Reason.WFX_TRAP): ExitKind.WFX,
    int(Reason.TIMER): ExitKind.IRQ,
    int(Reason.IRQ): ExitKind.IRQ,
    int(Reason.FIQ): ExitKind.FIQ,
    int(Reason.UNDEF_EL2): ExitKind.UNDEF,
}


def vtcr(stage2: Stage2) -> int:
    """VTCR_EL2 of a realm (rmm-abi.md §11.1): 4K granule, T0SZ, SL0 (SL2 and DS with LPA2), NSA, RES1."""
    sl0 = {-1: 0, 0: 2, 1: 1, 2: 0, 3: 3}[stage2.start_level]
    ps = 6 if stage2.lpa2 else 5
    value = 1 << 31 | 1 << 30 | 1 << 19 | ps << 16 | 3 << 12 | 1 << 10 | 1 << 8 | sl0 << 6 | (64 - stage2.ipa_width)
    if stage2.lpa2:
        value |= 1 << 32
    if stage2.start_level == -1:
        value |= 1 << 33
    return value


def let_sve(core: Core) -> None:
    """What EL3 firmware does for PEs with SVE: CPTR_EL3.EZ, and all vector lengths."""
    core.set_sysreg(CPTR_EL3, CPTR_EZ)
    core.set_sysreg(ZCR_EL3, ZCR_LONGEST)


class RecCore:
    """One REC.  Its engine is made when it first runs: a realm of many RECs costs nothing until they do."""

    def __init__(self, machine: Machine, init: RecInit) -> None:
        self.wire(machine)
        self.init = init
        self.name = f"rec {init.index} of realm {init.rd_pa:#x}"
        self._gic = Gic()
        self._gic_loaded = False
        self._trap_wfi = False
        self._pe = 0
        self._solo = True
        self.fault = Fault()
        # A run was interrupted where it stood: what was asserted when it began.
        self._midway: tuple[bool, bool] | None = None
        self._asserted = (False, False)

    def wire(self, machine: Machine) -> None:
        """As in a machine in which it has not run yet."""
        self.machine = machine
        self._core: Core | None = None

    @property
    def core(self) -> Core:
        if self._core is None:
            try:
                self._core = self._create()
            except EngineError as error:
                raise End(UNHANDLED, f"{self.name} cannot run: {error}", core=self.machine.running) from None
        return self._core

    @property
    def present(self) -> Core | None:
        """The core, if it has one already."""
        return self._core

    def _create(self) -> Core:
        init, machine = self.init, self.machine
        core = Core(
            machine.board,
            self.name,
            pas=PAS.REALM,
            el=1,
            mpidr=init.mpidr,
            pa_bits=machine.config.cpu.pa_bits,
            seed=machine.config.cpu.seed ^ init.rec_pa,
            stage2=True,
            vttbr=init.stage2.vmid << 48 | init.stage2.rtt_base,
            vtcr=vtcr(init.stage2),
            hcr=HCR_REALM,
            hafdbs=machine.hafdbs,
            irq_exits=True,
            pmu=init.pmu_counters,
            pmu_trapped=machine.config.cpu.features.pmu,
            tcg_megabytes=64,
        )
        machine.present_ids(core, realm=init)
        core.set_sysreg(SCTLR_EL1, SCTLR_RESET)
        core.set_sysreg(MDSCR_EL1, 1 << 12)
        if init.sve_vq is None:
            core.set_sysreg(CPTR_EL2, CPTR_RES1 | CPTR_TZ)
        else:
            let_sve(core)
            core.set_sysreg(CPTR_EL2, CPTR_RES1)
            core.set_sysreg(ZCR_EL2, init.sve_vq)
        core.set_sysreg(PMCR_EL0, PMCR_RESET)
        core.set_x(0, init.gprs)
        core.pc = init.pc
        core.trace(machine.tracing)
        machine.add_core(core)
        return core

    def close(self) -> None:
        if self._core is not None:
            self.machine.remove_core(self._core)
            self._core.close()
            self._core = None

    @property
    def pc(self) -> int:
        return self.core.pc

    @pc.setter
    def pc(self, value: int) -> None:
        lib.cca_set_pc((self._core or self.core).handle, value & NEVER)
        self.fault.clear()

    @property
    def pe(self) -> int:
        """Index of the PE that it ran on last; -1 for one that has not run."""
        return self._pe

    def run(self, *, trap_wfi: bool, trap_wfe: bool) -> RecExit | None:
        core = self._core or self.core
        machine = self.machine
        handle, exit_ = core.handle, core.exit
        if trap_wfi is not self._trap_wfi:
            self._trap_wfi = trap_wfi
            lib.cca_trap_wfi(handle, trap_wfi)
        machine.running = core
        if self._pe != machine.pe.index:
            self._pe = machine.pe.index
            lib.cca_set_pe(handle, self._pe)
        if self._solo is not machine.alone:
            self._solo = machine.alone
            lib.cca_set_solo(handle, self._solo)
        if self._midway is not None:
            self._midway = None
        elif machine.pe.kicked:
            machine.pe.kicked = False
            return RecExit(ExitKind.IRQ, core.pc)
        try:
            while True:
                reason = lib.cca_run(handle, NEVER)
                if machine.tracing:
                    machine.drain_events(core)
                if reason == SMC:
                    return RecExit(ExitKind.SMC, exit_.pc, exit_.el, x=ffi.unpack(exit_.x, REALM_WORDS))
                if reason == Reason.S2_FAULT:
                    machine.evidence.fault(self, core, exit_)
                    if machine.stops is not None:
                        machine.stops.stage2_fault(core)
                    kind = ExitKind.INSTRUCTION_ABORT if exit_.esr >> 26 & 0x3F == 0x20 else ExitKind.DATA_ABORT
                    return RecExit(kind, exit_.pc, exit_.el, exit_.esr, exit_.far, exit_.hpfar, exit_.value)
                known = _KINDS.get(reason)
                if known is not None:
                    if known is ExitKind.WFX:
                        machine.evidence.waited(self, core)
                    if known is ExitKind.HVC:  # the engine has stepped over it; the RMM is told of the instruction
                        core.pc = exit_.pc = exit_.pc - 4 & NEVER
                    return RecExit(known, exit_.pc, exit_.el, exit_.esr, value=exit_.value)
                if reason == Reason.MMIO:
                    machine.mmio(core)
                elif reason == Reason.MMIO_FORM and machine.mmio_form(core):
                    continue
                elif reason == Reason.DEBUG:
                    if machine.debug_stop(core):
                        self._midway = self._asserted
                        return None
                elif reason == Reason.SLICE:
                    return None
                elif reason == Reason.WFI:
                    machine.wait(core)
                    return None
                else:
                    raise stop_of(core, reason)
        finally:
            machine.running = machine.pe.core

    def get_x(self, first: int, count: int) -> Sequence[int]:
        return self.core.get_x(first, count)

    def set_x(self, first: int, values: Sequence[int]) -> None:
        lib.cca_set_x((self._core or self.core).handle, first, len(values), values)

    def inject(self, esr: int, far: int | None) -> None:
        self.core.inject(1, esr, far)

    def cpu_on(self, pc: int, context_id: int, big_endian: bool) -> None:
        core = self.core
        core.pstate = PSTATE_EL1H_MASKED
        core.set_sysreg(SCTLR_EL1, SCTLR_RESET | (SCTLR_EE if big_endian else 0))
        core.set_x(0, [context_id])
        core.pc = pc

    def big_endian(self) -> bool:
        return bool(self.core.get_sysreg(SCTLR_EL1) & SCTLR_EE)

    def timers(self) -> Timers:
        return Timers(*(self._core or self.core).timers())

    def timer_asserted(self) -> tuple[bool, bool]:
        if self._midway is not None:
            return self._midway
        self._asserted = _ASSERTED[lib.cca_timers_asserted((self._core or self.core).handle)]
        return self._asserted

    def gic(self) -> Gic:
        """The virtual CPU interface: read anew only when the realm may have changed it."""
        if self._gic_loaded or lib.cca_gic_touched((self._core or self.core).handle):
            self._gic_loaded = False
            state = self.machine.interrupts.virtual(self.core)
            self._gic = Gic(state.hcr, state.lrs, state.misr, state.vmcr)
        return self._gic

    def load_gic(self, hcr: int, lrs: Sequence[int]) -> None:
        gic, lrs = self._gic, (*lrs, *_NO_LRS[len(lrs) :])
        if gic.hcr != hcr or gic.lrs != lrs:
            self._gic = Gic(hcr, lrs, gic.misr, gic.vmcr)
            self._gic_loaded = True
            self.machine.interrupts.load_virtual(self.core, hcr, lrs)

    def pmu_overflow(self) -> bool:
        return self.init.pmu_counters is not None and bool(lib.cca_pmu_overflow(self.core.handle))

    def irq_pending(self) -> bool:
        """Of the GIC's; list registers do not count."""
        return self.machine.pe.kicked or bool(lib.cca_irq_lines(self.core.handle) & 1)


def stop_of(core: Core, reason: int) -> End:
    """The end that an exit means which nobody can handle."""
    exit_: Any = core.exit
    match reason:
        case Reason.LIMIT:
            return End(TIMEOUT, "the limit of virtual time or instructions (limits:) is reached", core=core)
        case Reason.AARCH32:
            text = f"a return to AArch32 is asked for (SPSR {exit_.esr:#x}): this machine runs AArch64 only"
        case Reason.ABORTED:
            text = "the engine cannot translate an instruction near here, and gave up"
        case Reason.LOOP:
            text = "exceptions nest without an instruction between them: is VBAR set, and its vector mapped?"
        case Reason.GPC if exit_.pa >> core.board.pps_bits:
            # An address size fault of the check, which is EL3's (rmm-abi.md §13.8); firmware there has no answer to it.
            text = (
                f"GPC exception: PA {exit_.pa:#x} is beyond the protected address space of {core.board.pps_bits} bits "
                "(gpt.pps), where only the Normal world has memory"
            )
        case Reason.GPC:
            return End(MODEL_BUG, f"granule protection check: no valid GPT entry for PA {exit_.pa:#x}", core=core)
        case Reason.MMIO_FORM:
            text = (
                f"access to the device at PA {exit_.pa:#x} by an instruction that devices do not take "
                f"(word {exit_.insn:#010x}): use loads and stores of general-purpose registers"
            )
        case Reason.ENGINE:
            return End(MODEL_BUG, f"the engine stopped by itself (error {exit_.engine_error})", core=core)
        case _:
            return End(MODEL_BUG, f"exit {Reason(reason).name} is not expected here", core=core)
    return End(UNHANDLED, text, core=core)


class RootPlatform:
    """The RMM's way to the Root world: GPT transitions, TLB maintenance, and PEs for RECs."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.recs: list[RecCore] = []

    def delegate(self, pa: int) -> int:
        machine = self.machine
        status = machine.gpt.transition(pa, PAS.REALM, PAS.REALM)
        machine.calls.gpt(pa, PAS.REALM, PAS.REALM, status)
        if status == 0:
            machine.board.granule_changed(pa)
        return status

    def undelegate(self, pa: int) -> int:
        machine = self.machine
        status = machine.gpt.transition(pa, PAS.REALM, PAS.NON_SECURE)
        machine.calls.gpt(pa, PAS.REALM, PAS.NON_SECURE, status)
        if status == 0:
            machine.board.granule_changed(pa)
        return status

    def invalidate_ipa(self, stage2: Stage2, ipa: int, size: int) -> None:
        for rec in self.recs:
            if rec.init.stage2.vmid == stage2.vmid and rec._core is not None:
                lib.cca_flush(rec._core.handle)

    def create_rec(self, init: RecInit) -> RecCore:
        rec = RecCore(self.machine, init)
        self.recs.append(rec)
        return rec

    def destroy_rec(self, rec: RecContext) -> None:
        for at, own in enumerate(self.recs):
            if own is rec:
                self.machine.evidence.destroyed(self.machine.rmm.rec_at[own.init.rec_pa])
                del self.recs[at]
                own.close()
                return


class RmmMemory:
    """Memory as R-EL2 reaches it: Realm PAS directly, the host's through the granule protection check."""

    def __init__(self, board: Board) -> None:
        self.board = board
        memory = board.memory
        self.read = memory.read
        self.read64 = memory.read64
        self.write64 = memory.write64
        self._write = memory.write
        self._read_as = board.read_as
        self._write_as = board.write_as
        self._handle = board.handle

    def write(self, pa: int, data: bytes) -> None:
        self._write(pa, data)
        lib.cca_memory_written(self._handle, pa, len(data))

    def zero(self, pa: int, size: int) -> None:
        self.board.zero(pa, size)

    def host_read(self, pa: int, size: int) -> bytes:
        data = self._read_as(PAS.NON_SECURE, pa, size)
        if data is None:
            raise HostFault(self.board.bad)
        return data

    def host_write(self, pa: int, data: bytes) -> None:
        if not self._write_as(PAS.NON_SECURE, pa, data):
            raise HostFault(self.board.bad)
