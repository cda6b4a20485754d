# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagnoses of runs in which nothing happens any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.pas import PAS
from machine.end import STUCK
from machine.stuck import parked

if TYPE_CHECKING:
    from machine.diagnosis.case import Case

# CTL and CVAL of each in what Core.timers returns; its PPI (Arm BSA).
_TIMERS = ((2, "virtual timer (CNTV)", 27), (0, "physical timer (CNTP)", 30))
_FIRES = 5  # ENABLE, not IMASK, ISTATUS
_WAIT = 0xD503207F  # WFI


def _time(ns: int) -> str:
    return f"{ns / 1e6:,.3f} ms"


def lost_interrupt(case: Case) -> dict[str, str] | None:
    if not case.hangs:
        return None
    machine = case.machine
    late = (machine.board.insns - case.settled) * 1_000_000_000 // machine.config.clock.rate
    for rec in case.recs:
        core = case.core(rec)
        if core is None or not rec.runnable:
            continue
        values = core.timers()
        listed = {lr & 0xFFFF_FFFF for lr in machine.interrupts.virtual(core).lrs if lr >> 62}
        for at, timer, intid in _TIMERS:
            ctl, cval = values[at : at + 2]
            ago = (machine.board.ticks - cval) * 1_000_000_000 // machine.config.clock.cntfrq
            if ctl & 7 == _FIRES and intid not in listed and ago >= late:
                return {
                    "rec": case.name(rec),
                    "pc": case.where(core, core.pc),
                    "timer": timer,
                    "ago": _time(ago),
                    "intid": str(intid),
                }
    return None


def waits_for_nothing(case: Case) -> dict[str, str] | None:
    from bridge.core import NEVER
    from machine.inspect.code import read_virtual
    from machine.inspect.contexts import contexts

    machine, end = case.machine, case.end
    if end is None or end.kind != STUCK or not case.evidence.nothing_comes():
        return None
    for context in contexts(machine):
        core = context.core
        if core is None or core.wake_at != NEVER or core.irq_lines:
            continue
        if context.rec is not None and not (context.rec.runnable and case.evidence.rests(context.rec)):
            continue
        pc = core.pc - 4  # it goes on behind it
        word = read_virtual(machine, context, pc, 4)
        if word is not None and int.from_bytes(word, "little") == _WAIT:
            return {"who": context.title, "pc": case.where(core, pc)}
    return None


def spins(case: Case) -> dict[str, str] | None:
    core = case.end.core if case.end is not None and case.hangs else None
    if core is None or not parked(case.machine, core):
        return None
    masked = core.pstate >> 6 & 3 == 3 and core.pas is not PAS.REALM
    return {
        "who": core.name.replace("rec ", "REC ", 1),
        "pc": case.where(core, core.pc),
        "why": "with interrupts masked" if masked else "and no interrupt can come",
    }


def silent(case: Case) -> dict[str, str] | None:
    core = case.end.core if case.end is not None and case.hangs else None
    machine = case.machine
    quiet = machine.board.insns - case.evidence.active_at
    if core is None or machine.board.activity != case.evidence.activity or quiet <= 0:
        return None
    return {
        "who": core.name.replace("rec ", "REC ", 1),
        "time": _time(quiet * 1_000_000_000 // machine.config.clock.rate),
        "pc": case.where(core, core.pc),
    }
