# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's run loop: PEs take turns in one thread, and what stops a context is answered.

A turn is a number of retired instructions of the whole machine, so that the order of everything is the same in
each run.  An exit that the RMM or the monitor answers does not end a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core import NEVER
from bridge.exits import Reason
from bridge.plugin import ffi, lib
from machine.end import STUCK, End
from machine.pe import Mode, Pe
from machine.recs import stop_of

if TYPE_CHECKING:
    from machine.machine import Machine

SMC = int(Reason.SMC)


class Turns:
    """Where the round of turns is: whose is next, whether nobody had one so far, whether that one has begun."""

    def __init__(self) -> None:
        self.at = 0
        self.idle = True
        self.midway = False


def run_machine(machine: Machine) -> None:
    """Runs the PEs until something raises End, Reset or Restored."""
    turns, pes = machine.turns, machine.pes
    while True:
        while turns.at < len(pes):
            pe = pes[turns.at]
            if not turns.midway:
                if pe.mode is Mode.OFF or (pe.waiting and not pe.wakes(machine.board.insns)):
                    turns.at += 1
                    continue
                turns.idle = False
                machine.begin_turn(pe)
            turns.midway = False
            _turn(machine, pe)
            if machine.interrupted:
                turns.midway = True
                machine.thaw()
            else:
                turns.at += 1
        edges = [pe.wake_at for pe in pes if pe.on] if turns.idle else []
        if turns.idle and (not edges or not machine.skip_time(edges)):
            raise _stuck(machine)
        turns.at, turns.idle = 0, True


def _stuck(machine: Machine) -> End:
    waiting = [pe for pe in machine.pes if pe.on]
    if not waiting:
        return End(STUCK, "every PE is off")
    pe = waiting[0]
    where, core = f"the {pe.mode.value.capitalize()}" if pe.mode is not Mode.REC else "a realm", pe.waiter
    if len(waiting) == 1:
        return End(STUCK, f"WFI in {where} and no interrupt can come", core=core)
    return End(STUCK, f"all {len(waiting)} PEs that are on wait, and no interrupt can come", core=core)


def _turn(machine: Machine, pe: Pe) -> None:
    pe.waiting = False
    if pe.resume_at is not None:
        machine.power_on(pe, *pe.resume_at)
    if pe.mode is Mode.REC:
        assert pe.entry is not None
        result = machine.rmm.resume(pe.entry)
        if not result:
            return
        pe.mode, pe.entry = Mode.NORMAL, None
        lib.cca_set_x(pe.normal.handle, 0, len(result), result)
    elif pe.mode is Mode.SECURE:
        assert machine.secure is not None
        registers = machine.secure.resume(pe)
        if pe.mode is Mode.SECURE:
            return
        pe.normal.set_x(0, registers)
    _run_normal(machine, pe)


def _run_normal(machine: Machine, pe: Pe) -> None:
    """Runs a PE's Normal world until its turn is over or it is no longer that world's."""
    core = pe.normal
    handle, exit_ = core.handle, core.exit
    lib.cca_set_solo(handle, machine.alone)
    smc = machine.monitor.normal
    run, resume, resume5, unpack = lib.cca_run, lib.cca_set_x, lib.cca_resume5, ffi.unpack
    machine.running = core
    reason = run(handle, NEVER)
    while True:
        if machine.tracing:
            machine.drain_events(core)
        if reason == SMC:
            result = smc(unpack(exit_.x, 8))
            if len(result) == 5:
                reason = resume5(handle, NEVER, *result)
            elif result:
                resume(handle, 0, len(result), result)
                reason = run(handle, NEVER)
            else:
                if machine.rmm.paused is not None:  # a REC runs here now
                    pe.mode, pe.entry = Mode.REC, machine.rmm.paused
                    machine.rmm.paused = None
                return
            continue
        match reason:
            case Reason.MMIO:
                machine.mmio(core)
            case Reason.MMIO_FORM if machine.mmio_form(core):
                pass
            case Reason.DEBUG:
                if machine.debug_stop(core):
                    return
            case Reason.SLICE:
                return
            case Reason.SEMIHOST:
                machine.semihosting.call(core)
            case Reason.WFI:
                machine.wait(core)
                return
            case Reason.FIQ:
                if not machine.secure_interrupt(core):
                    return
            case _:
                raise stop_of(core, reason)
        reason = run(handle, NEVER)
