# SPDX-License-Identifier: GPL-2.0-or-later
"""The mutants: each failure condition of each call of the RMM, made wrong in each of these ways.

drop: it is never tested.  negate: it is tested the other way round.  swap: it comes after its successor.
status: it answers another status (a REC exit becomes a status).  index: bits [15:8] of its RMI status are others.
outputs: what it gives although the call fails is zero.

A late condition is found by the call's effect, not by a test of its own, so there is none to negate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rmm.abi import psci, rmi, rsi
from rmm.abi.call import Call, Condition
from rmm.abi.values import El3Status, PsciStatus, RmiStatus, RsiStatus

NO_LEVEL = 9  # an index that no walk and no realm state has
OTHER = {  # two statuses of each interface: what one does not answer, the other must
    "RMI": (RmiStatus.ERROR_REALM, RmiStatus.ERROR_REC),
    "RSI": (RsiStatus.ERROR_STATE, RsiStatus.ERROR_INPUT),
    "PSCI": (PsciStatus.INTERNAL_FAILURE, PsciStatus.DENIED),
    "RMM": (El3Status.BAD_ADDR, El3Status.INVAL),  # tests/machine/test_attestation.py
}


class Mutant(NamedTuple):
    """One wrong declaration.  what: the kind and the condition, for "swap" its successor too."""

    call: Call
    what: str
    conditions: tuple[Condition, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.call.name, self.what

    def __str__(self) -> str:
        return f"{self.call.name}: {self.what}"

    def amend(self, decl: Call) -> Call:
        """What an Rmm is to bind instead of `decl`."""
        return decl.with_conditions(self.conditions) if decl is self.call else decl


def answering(condition: Condition, index: int | str, gives: tuple[str, ...]) -> Condition:
    """The same condition with another index or other outputs."""
    return Condition(condition.name, condition.status, condition.doc, index=index, gives=gives, late=condition.late)


def mutants(call: Call) -> Iterator[Mutant]:
    """Every mutant of a call, condition by condition."""
    conditions = call.conditions
    for i, this in enumerate(conditions):
        before, after = conditions[:i], conditions[i + 1 :]
        yield Mutant(call, f"drop {this.name}", (*before, *after))
        if not this.late:
            negated = this.amended(negated=True)
            yield Mutant(call, f"negate {this.name}", (*before, negated, *after))
        if after:
            swapped = (*before, after[0], this, *after[1:])
            yield Mutant(call, f"swap {this.name} {after[0].name}", swapped)
        first, second = OTHER[call.interface]
        status = this.amended(status=second if this.status == first else first)
        yield Mutant(call, f"status {this.name}", (*before, status, *after))
        if call.interface == "RMI":
            index = answering(this, NO_LEVEL, this.gives)
            yield Mutant(call, f"index {this.name}", (*before, index, *after))
        if this.gives:
            silent = answering(this, this.index, ())
            yield Mutant(call, f"outputs {this.name}", (*before, silent, *after))


EVERY = tuple(mutant for call in (*rmi.CALLS, *rsi.CALLS, *psci.CALLS) for mutant in mutants(call))


def sample(step: int, calls: Sequence[str]) -> list[int]:
    """Numbers of every `step`-th mutant and of all mutants of `calls`."""
    return [n for n, mutant in enumerate(EVERY) if n % step == 0 or mutant.call.name in calls]
