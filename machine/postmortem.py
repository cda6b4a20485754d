# SPDX-License-Identifier: GPL-2.0-or-later
"""What to say of a machine that has stopped: where, why, and what led there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bridge.arch.disassembly import disassemble
from bridge.arch.esr import decode_esr
from bridge.core import Core, sysreg
from bridge.exits import Reason
from machine.calls import Happened
from machine.trace import describe
from machine.traces.text import time_text

if TYPE_CHECKING:
    from machine.end import End
    from machine.machine import Machine

FETCH = 2
ESR = {1: sysreg(3, 0, 5, 2, 0), 2: sysreg(3, 4, 5, 2, 0)}
FAR = {1: sysreg(3, 0, 6, 0, 0), 2: sysreg(3, 4, 6, 0, 0)}


def report(machine: Machine, end: End) -> Iterator[str]:
    """Lines for a person: world, EL, PC with symbol, syndrome, addresses and their state, the last calls."""
    yield f"ccabridge: stopped: {end.reason}"
    core = end.core
    exits = [*machine.last_exits()]
    # The Python VMM has no core: what it could not answer is what one of its vCPUs does.
    cores = [core] if core is not None else [other for other in machine.cores if exits]
    for core in cores:
        yield from _where(machine, core)
    yield from machine.unclaimed.report(machine.symbols)
    if exits:
        yield "  last exits:"
        for text in exits:
            yield f"    {text}"
    last = _last(machine)
    if last:
        yield "  last calls and events:"
        for text in last:
            yield f"    {text}"
    if end.__cause__ is not None:
        import traceback

        frame = traceback.extract_tb(end.__cause__.__traceback__)[-1]
        yield f"  in {frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"


def _last(machine: Machine) -> list[str]:
    rate = machine.config.clock.rate
    lines = [(e.insns, e.text if isinstance(e, Happened) else describe(e)[1]) for e in machine.calls.last]
    return [f"{time_text(insns, rate).strip()} {line}" for insns, line in lines]


def _where(machine: Machine, core: Core) -> Iterator[str]:
    el = core.pstate >> 2 & 3
    yield f"  in: {core.name}, EL{el}"
    yield f"  PC: {machine.symbols.symbolise(core, core.pc)}{_instruction(machine, core)}"
    esr, far = _syndrome(core, el)
    if esr:
        yield f"  ESR: {esr:#x} {decode_esr(esr)}"
        yield f"  FAR: {far:#x}{_address(machine, core, far)}"


def _instruction(machine: Machine, core: Core) -> str:
    """The instruction at the PC, disassembled; registers that the disassembler does not know by our names."""
    at = core.translate(core.pc, FETCH)
    if at is None or core.pc & 3 or not machine.memory.is_ram(at[0], 4):
        return ""
    word = machine.memory.read(at[0], 4)
    return f": {disassemble(int.from_bytes(word, 'little'), core.pc)}"


def _syndrome(core: Core, el: int) -> tuple[int, int]:
    """Of the exit itself where it carries one, else what the exception level last took."""
    exit_ = core.exit
    if exit_.reason in (Reason.LOOP, Reason.S2_FAULT):
        return int(exit_.esr), int(exit_.far)
    level = max(el, 1)
    return core.get_sysreg(ESR[level]), core.get_sysreg(FAR[level])


def _address(machine: Machine, core: Core, va: int) -> str:
    at = core.translate(va)
    if at is None:
        return _realm_state(machine, core)
    pa, _ = at
    return f" PA {pa:#x} ({machine.gpt.get(pa).text})"


def _realm_state(machine: Machine, core: Core) -> str:
    """HIPAS and RIPAS at the IPA of a stage-2 fault."""
    exit_ = core.exit
    if exit_.reason != Reason.S2_FAULT:
        return ""
    for rec in machine.rmm.recs():
        if getattr(rec.context, "_core", None) is core:
            steps = machine.rmm.walk(rec.rd, exit_.ipa)
            return f" IPA {exit_.ipa:#x}: {steps[-1]}" if steps else f" IPA {exit_.ipa:#x}"
    return f" IPA {exit_.ipa:#x}"


def as_dict(machine: Machine, end: End) -> dict[str, Any]:
    """The same for a program (`--json`)."""
    out: dict[str, Any] = {
        "end": end.kind,
        "code": end.code,
        "reason": end.reason,
        "instructions": machine.board.insns,
        "virtual_ns": machine.virtual_ns,
        "calls": dict(sorted(machine.calls.counts.items())),
    }
    core = end.core
    if core is not None:
        el = core.pstate >> 2 & 3
        esr, far = _syndrome(core, el)
        out["context"] = {
            "name": core.name,
            "el": el,
            "pc": f"{core.pc:#x}",
            "esr": f"{esr:#x}",
            "far": f"{far:#x}",
        }
    out["unclaimed"] = [touch.describe(machine.symbols) for touch in machine.unclaimed.touches]
    exits = [*machine.last_exits()]
    if exits:
        out["last_exits"] = exits
    out["last_calls"] = [describe(record)[1] for record in machine.calls.ring]
    out["last_events"] = _last(machine)
    return out
