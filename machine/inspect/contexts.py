# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be looked at as a thread: the Normal world of each PE, the Secure service, each REC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bridge.arch.sysregs import find
from bridge.errors import UserError
from machine.pe import Mode
from machine.recs import PSTATE_EL1H_MASKED, RecCore

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.machine import Machine
    from rmm.rec import Rec


class Context(NamedTuple):
    """core: None for a REC that has not run, whose registers are those it was created with."""

    key: tuple[str, int]  # ("pe", index), ("secure", 0), ("rec", PA): stays the same while it lives
    name: str
    core: Core | None
    rec: Rec | None = None

    @property
    def el(self) -> int:
        return 1 if self.core is None else self.core.pstate >> 2 & 3

    @property
    def title(self) -> str:
        """`Realm R-EL1, REC 0 of realm 0x94000000`."""
        return f"{self.name.partition(':')[0]}{self.el}, {self.name.partition(':')[2]}"

    def general(self) -> tuple[list[int], int, int, int]:
        """X0..X30, SP, PC and PSTATE."""
        if self.core is not None:
            core = self.core
            return core.get_x(0, 31), core.sp, core.pc, core.pstate
        assert self.rec is not None
        init = rec_core(self.rec).init
        gprs = list(init.gprs)
        return gprs + [0] * (31 - len(gprs)), 0, init.pc, PSTATE_EL1H_MASKED


def rec_core(rec: Rec) -> RecCore:
    """A REC's context on this machine."""
    context = rec.context
    assert isinstance(context, RecCore)
    return context


def contexts(machine: Machine) -> list[Context]:
    """All of them, PEs first."""
    out = [
        Context(("pe", pe.index), f"Normal NS-EL:PE {pe.index}", pe.core) for pe in machine.pes if pe.core is not None
    ]
    if machine.secure is not None:
        out.append(Context(("secure", 0), "Secure S-EL:the service", machine.secure.core))
    for rec in machine.rmm.recs():
        name = f"Realm R-EL:REC {rec.index} of realm {rec.rd:#x}"
        out.append(Context(("rec", rec.pa), name, rec_core(rec).present, rec))
    return out


def context_of(machine: Machine, core: Core | None) -> Context | None:
    """The one that runs on a core."""
    return next((context for context in contexts(machine) if core is not None and context.core is core), None)


def current(machine: Machine) -> Context | None:
    """The one whose turn it is: where a PE runs a REC, that REC, also where the run was left in its middle."""
    if machine.pe.mode in (Mode.REC, Mode.OFF):  # off: the host is the Python VMM
        for one in contexts(machine):
            if one.rec is not None and one.rec.running and rec_core(one.rec).pe == machine.pe.index:
                return one
    return context_of(machine, machine.running)


def select(machine: Machine, words: Sequence[str]) -> Context:
    """`pe 0`, `secure`, `rec 1`; UserError where there is none."""
    kind, number = words[0].lower(), int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
    every = contexts(machine)
    for one in every:
        if one.key[0] == kind and (one.rec.index if one.rec is not None else one.key[1]) == number:
            return one
    raise UserError(f"no {kind} {number}: " + "; ".join(one.title for one in every))


def register(core: Core, name: str) -> int:
    """A system register by name; KeyError for an unknown one."""
    encoding = find(name)
    if encoding is None:
        raise KeyError(name)
    return core.get_sysreg(encoding)
