# SPDX-License-Identifier: GPL-2.0-or-later
"""The live trace: one line an event, decoded from the declarations, selected by glob."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.exits import EventKind
from bridge.pas import PAS
from machine.calls import CallRecord

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.machine import Machine

ROUTES = {"rmi": "NS→Root→Realm", "rmm": "RMM→Root"}
WORLDS = {"RMI": "NS→Root→Realm", "RSI": "Realm→RMM", "PSCI": "→", "SMC": "→"}


class Tracer:
    """Writes the events whose name matches one of the globs.  Names are lower case: `rmi_rec_enter`, `gpf`."""

    def __init__(self, machine: Machine, globs: list[str], output: Callable[[str], object]) -> None:
        self._machine = machine
        self._globs = globs
        self._output = output
        self._wanted: dict[str, bool] = {}

    def _selects(self, name: str) -> bool:
        wanted = self._wanted.get(name)
        if wanted is None:
            wanted = self._wanted[name] = any(fnmatchcase(name, glob) for glob in self._globs)
        return wanted

    def _line(self, insns: int, depth: int, text: str) -> None:
        ns = insns * 1_000_000_000 // self._machine.config.clock.rate
        self._output(f"{ns // 1_000_000_000:4d}.{ns % 1_000_000_000:09d} {'    ' * depth}{text}\n")

    def call(self, record: CallRecord) -> None:
        name, text = describe(record)
        if self._selects(name):
            inside = record.secure or record.rec_pa is not None
            if record.secure:
                route = "Secure→Root"
            elif inside:
                route = "Realm→RMM"
            else:
                route = ROUTES.get(name.partition("_")[0], "NS→Root")
            self._line(record.insns, 1 if inside else 0, f"[{route}] {text}")

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        if self._selects(name):
            self._line(insns, depth, f"{name}: {text}")

    def plugin_event(self, core: Core, event: tuple[int, int, int, int, int, int]) -> None:
        kind, el, pc, a, b, insns = event
        depth = 0 if core.pas is PAS.NON_SECURE else 1
        where = f"{core.name} EL{el} at {self._machine.symbols.symbolise(core, pc)}"
        if kind == EventKind.UNKNOWN_SYSREG:
            from bridge.arch.sysregs import sysreg_name

            verb = "read of" if b else "write to"
            self.event("sysreg", insns, f"{verb} {sysreg_name(a)}, which is not there: UNDEF; {where}", depth)
        elif kind == EventKind.GPF:
            gpi = self._machine.gpt.get(a).text
            self.event("gpf", insns, f"PA {a:#x} is {gpi}, reached at VA {b:#x} by {where}", depth)
        else:
            from bridge.arch.esr import decode_esr

            self.event("exception", insns, f"to EL{el}: {decode_esr(a)} FAR={b:#x}; {where}", depth)


def describe(record: CallRecord) -> tuple[str, str]:
    """(event name, decoded line) of a call."""
    from rmm.abi.text import render

    if record.decl is None:
        args = ", ".join(f"{value:#x}" for value in record.args[1:4])
        return "smc_unknown", f"SMC {record.args[0]:#010x}({args}) = -1 [unknown function id]"
    if record.decl.interface in ("FFA", "SIP"):
        from machine.ffa.text import render
    return record.decl.name.lower(), render(record.decl, record.args, record.result, record.condition)
