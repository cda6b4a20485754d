# SPDX-License-Identifier: GPL-2.0-or-later
"""The Secure world on a core: the service at S-EL1, the memory and granules that the SPMC works on, and the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.core import Core
from bridge.cpu import MPIDR_ENCODING
from bridge.exits import Reason
from bridge.memory import GRANULE_SIZE, BusError
from bridge.pas import GPI, PAS
from bridge.plugin import ffi, lib
from machine.end import MODEL_BUG, STUCK, End
from machine.ffa.partition import State
from machine.ffa.world import Enter, Leave, Registers, Reply, SecureWorld
from machine.pe import Mode, Pe
from machine.recs import let_sve, stop_of

if TYPE_CHECKING:
    from machine.machine import Machine

NAME = "secure service"
MPIDR_RES1 = 1 << 31


class SecureRoot:
    """machine.ffa.world.Root on a machine."""

    def __init__(self, machine: Machine) -> None:
        self._board = machine.board
        self._memory = machine.memory
        self._gpt = machine.gpt
        self._calls = machine.calls

    def accessible(self, pas: PAS, pa: int, size: int) -> bool:
        return self._memory.is_ram(pa, size) and self._board.refused(pa, size, pas) is None

    def write(self, pas: PAS, pa: int, data: bytes) -> bool:
        return self._board.write_as(pas, pa, data)

    def owner(self, pa: int) -> GPI | None:
        return self._gpt.get(pa) if self._memory.is_ram(pa) else None

    def boot_secure(self, pa: int) -> bool:
        try:
            return self._memory.region(pa).pas is PAS.SECURE
        except BusError:
            return False

    def take(self, pa: int) -> None:
        self._transition(pa, PAS.SECURE)

    def give_back(self, pa: int) -> None:
        self._board.zero(pa, GRANULE_SIZE)
        self._transition(pa, PAS.NON_SECURE)

    def _transition(self, pa: int, to: PAS) -> None:
        status = self._gpt.transition(pa, PAS.SECURE, to)
        if status != 0:
            raise End(MODEL_BUG, f"the GPT refuses to make {pa:#x} {to.text}: {status}")
        self._calls.gpt(pa, PAS.SECURE, to, status)
        self._board.granule_changed(pa)


def secure_core(machine: Machine, entry: int) -> Core:
    """The service's execution context: S-EL1, MMU off, at `entry`; X0 = 0."""
    cpu = machine.config.cpu
    core = Core(
        machine.board,
        NAME,
        pas=PAS.SECURE,
        el=1,
        mpidr=MPIDR_RES1 | cpu.affinities[0],
        pa_bits=cpu.pa_bits,
        seed=cpu.seed ^ entry,
        hafdbs=machine.hafdbs,
        tcg_megabytes=32,
    )
    machine.present_ids(core)
    if cpu.features.sve:
        let_sve(core)
    core.pc = entry
    machine.add_core(core)
    return core


class SecureService:
    """The state machine, and the core that it switches to."""

    def __init__(self, machine: Machine, entry: int, uuid: bytes) -> None:
        self._machine = machine
        self.world = SecureWorld(uuid, SecureRoot(machine), machine.calls)
        self.core = secure_core(machine, entry)
        self._held: set[int] = set()  # PEs whose Secure interrupts wait for the service
        self.booting: bool | None = None  # not yet: None; over: False

    def boot(self) -> None:
        """The service initialises, before the Normal world runs."""
        machine, core = self._machine, self.core
        if self.booting is None:
            core.set_x(0, self.world.boot().regs)
            self.booting = True
        turns = machine.turns
        while self.booting:
            if not turns.midway:
                machine.begin_slice(alone=True)
            turns.midway = False
            self.booting = self._run() is None
            if machine.interrupted:
                turns.midway = True
                machine.thaw()
            elif machine.pe.waiting:
                machine.pe.waiting = False
                if not machine.skip_time([machine.pe.wake_at]):
                    raise End(STUCK, "WFI in the Secure world and no interrupt can come", core=core)

    def smc(self, pe: Pe, x: Sequence[int]) -> Registers:
        """An FF-A call of a PE's Normal world: X0..X7 in, X0 upwards out; nothing while the service runs there."""
        outcome = self.world.from_normal(pe.index, x)
        return outcome.regs if isinstance(outcome, Reply) else self._enter(pe, outcome)

    def interrupt(self, pe: Pe) -> bool:
        """A Secure interrupt while a PE is in the Normal world; False where nobody will ever take it.

        A service that is blocked, preempted or runs on another PE takes it later: until then it is held back.
        """
        outcome = self.world.interrupt(pe.index)
        if outcome is not None:
            self._enter(pe, outcome)
        elif self.world.partition.state is State.ABORTED:
            return False
        else:
            self._hold(pe, True)
        return True

    def _hold(self, pe: Pe, on: bool) -> None:
        gic = self._machine.gic
        if gic is not None and on is not (pe.index in self._held):
            gic.hold_secure(pe.index, on)
            self._held ^= {pe.index}

    def _enter(self, pe: Pe, outcome: Enter) -> Registers:
        core = self.core
        core.set_x(0, outcome.regs)
        core.set_id(MPIDR_ENCODING, MPIDR_RES1 | pe.mpidr)
        lib.cca_set_pe(core.handle, pe.index)
        lib.cca_set_fiq_to_el1(core.handle, False)
        pe.mode = Mode.SECURE
        self._hold(pe, False)
        return self.resume(pe)

    def resume(self, pe: Pe) -> Registers:
        """Runs the service on a PE until it leaves, or the turn is over."""
        left = self._run()
        if left is None:
            return ()
        pe.mode = Mode.NORMAL
        if self._held and self.world.partition.state is State.WAITING:
            for other in self._machine.pes:
                self._hold(other, False)
        return left.regs

    def _run(self) -> Leave | None:
        core, machine = self.core, self._machine
        exit_ = core.exit
        machine.running = core
        lib.cca_set_solo(core.handle, machine.alone)
        try:
            while True:
                reason = core.run()
                if machine.tracing:
                    machine.drain_events(core)
                match reason:
                    case Reason.SMC:
                        outcome = self.world.from_secure(ffi.unpack(exit_.x, 8))
                        if isinstance(outcome, Leave):
                            return outcome
                        core.set_x(0, outcome.regs)
                    case Reason.MMIO:
                        machine.mmio(core)
                    case Reason.MMIO_FORM if machine.mmio_form(core):
                        pass
                    case Reason.DEBUG:
                        if machine.debug_stop(core):
                            return None
                    case Reason.SLICE:
                        return None
                    case Reason.WFI:
                        machine.wait(core)
                        return None
                    case Reason.IRQ | Reason.FIQ:
                        preempted = self.world.preempt() if reason == Reason.IRQ else None
                        if preempted is not None:
                            return preempted
                        # It may not be left now, or nobody at EL3 would handle it: it pends until the service asks.
                        lib.cca_set_fiq_to_el1(core.handle, True)
                    case _:
                        raise stop_of(core, reason)
        finally:
            machine.running = machine.pe.core
