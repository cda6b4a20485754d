# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of an interface: one declaration, many consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmm.abi.types import Type


class Condition:
    """A named way to fail.  status: the member of the interface's status set; index: what bits [15:8] hold."""

    __slots__ = ("doc", "index", "name", "status")

    def __init__(self, name: str, status: str, index: str = "", doc: str = "") -> None:
        self.name = name
        self.status = status
        self.index = index
        self.doc = doc


class Call:
    """inputs and outputs: (name, type) of X1..; conditions: in the order in which they are looked at."""

    __slots__ = ("conditions", "fid", "inputs", "interface", "name", "outputs", "section", "since")

    def __init__(
        self,
        fid: int,
        name: str,
        inputs: tuple[tuple[str, Type], ...] = (),
        outputs: tuple[tuple[str, Type], ...] = (),
        conditions: tuple[Condition, ...] = (),
        *,
        section: str = "",
        since: str = "1.0",
    ) -> None:
        self.fid = fid
        self.name = name
        self.interface = name.split("_")[0]
        self.inputs = inputs
        self.outputs = outputs
        self.conditions = conditions
        self.section = section
        self.since = since
