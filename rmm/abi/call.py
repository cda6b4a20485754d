# SPDX-License-Identifier: GPL-2.0-or-later
"""The declaration of a call: function id, inputs, outputs, and the ordered, named conditions under which it fails."""

from __future__ import annotations

from collections.abc import Sequence

from rmm.abi import values
from rmm.abi.types import Type
from rmm.abi.values import Values

UNKNOWN = (1 << 64) - 1  # X0 of a function id that nobody implements (§1.2)
STATUSES: dict[str, type[Values]] = {
    "RMI": values.RmiStatus,
    "RSI": values.RsiStatus,
    "PSCI": values.PsciStatus,
    "SMCCC": values.PsciStatus,
    "RMM": values.El3Status,
}


class Value:
    """An input or output: `count` consecutive registers of one type."""

    __slots__ = ("count", "doc", "name", "type")

    def __init__(self, name: str, type: Type, count: int = 1, doc: str = "") -> None:
        self.name = name
        self.type = type
        self.count = count
        self.doc = doc


class Condition:
    """One reason to fail, tested in the order of declaration.

    status: the interface's status; None when the call is not completed at all but makes the REC exit.
    index: bits [15:8] of an RMI status: a number, or "walk" (where the walk stopped), "level", "level-1".
    gives: outputs that are defined although the call fails.
    late: found only after the call has had effects, which stay.
    negated: tested the other way round (to test the tests).
    """

    __slots__ = ("doc", "gives", "index", "late", "name", "negated", "status")

    def __init__(
        self,
        name: str,
        status: int | None,
        doc: str,
        *,
        index: int | str = 0,
        gives: tuple[str, ...] = (),
        late: bool = False,
        negated: bool = False,
    ) -> None:
        self.name = name
        self.status = status
        self.doc = doc
        self.index = index
        self.gives = gives
        self.late = late
        self.negated = negated

    def amended(self, *, status: int | None = None, negated: bool = False) -> Condition:
        """The same condition answered otherwise, or negated (to test the tests)."""
        return Condition(
            self.name,
            self.status if status is None else status,
            self.doc,
            index=self.index,
            gives=self.gives,
            late=self.late,
            negated=negated,
        )


class Call:
    """One command of an interface.

    inputs: X1 upwards.  outputs: X1 upwards, after the status in X0; `status` False: X0 is a bare value.
    fid32: the SMC32 twin, where there is one.  supported: False for calls of later revisions, known by name only.
    footprint: what a successful call may change.  section: of rmm-abi.md.
    """

    __slots__ = (
        "_signed",
        "by_condition",
        "conditions",
        "doc",
        "fid",
        "fid32",
        "footprint",
        "inputs",
        "interface",
        "name",
        "outputs",
        "section",
        "short",
        "since",
        "status",
        "supported",
        "words",
    )

    def __init__(
        self,
        fid: int,
        name: str,
        *,
        inputs: Sequence[Value] = (),
        outputs: Sequence[Value] = (),
        conditions: Sequence[Condition] = (),
        footprint: Sequence[str] = (),
        since: str = "1.0",
        section: str = "",
        doc: str = "",
        fid32: int | None = None,
        status: bool = True,
        supported: bool = True,
    ) -> None:
        self.fid = fid
        self.name = name
        self.interface, _, self.short = name.partition("_")
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.conditions = tuple(conditions)
        self.footprint = tuple(footprint)
        self.since = since
        self.section = section
        self.doc = doc
        self.fid32 = fid32
        self.status = status
        self.supported = supported
        self.words = sum(value.count for value in inputs)  # input registers
        self._signed = any(value.type.signed for value in inputs)
        self.by_condition = {condition.name: condition for condition in self.conditions}
        if len(self.by_condition) != len(self.conditions):
            raise ValueError(f"{name}: two conditions of one name")

    def decode(self, x: Sequence[int]) -> tuple[int, ...]:
        """The declared inputs, word by word, out of the registers X0.. of a call."""
        if not self._signed:
            return tuple(x[1 : 1 + self.words])
        out: list[int] = []
        at = 1
        for value in self.inputs:
            out += [value.type.decode(word) for word in x[at : at + value.count]]
            at += value.count
        return tuple(out)

    def outputs_on(self, status: int) -> tuple[str, ...]:
        """Names of the outputs that are defined when the call ends with `status`."""
        if status == 0:
            return tuple(value.name for value in self.outputs)
        given = {name for condition in self.conditions if condition.status == status for name in condition.gives}
        return tuple(value.name for value in self.outputs if value.name in given)

    def with_conditions(self, conditions: Sequence[Condition]) -> Call:
        """The same call with other conditions (to test the tests)."""
        return Call(
            self.fid,
            self.name,
            inputs=self.inputs,
            outputs=self.outputs,
            conditions=conditions,
            footprint=self.footprint,
            since=self.since,
            section=self.section,
            doc=self.doc,
            fid32=self.fid32,
            status=self.status,
            supported=self.supported,
        )
