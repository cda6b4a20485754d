# SPDX-License-Identifier: GPL-2.0-or-later
"""RMI commands as classes: conditions in order, then the effect.  Compiled to one closure each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Sequence

from rmm.abi.call import Call, Condition

if TYPE_CHECKING:
    from rmm.rmm import Rmm

SUCCESS, INPUT, REALM, REC, RTT = 0, 1, 2, 3, 4
Result = tuple[int, ...]
Fails = Callable[[Any], Any]


class Cond:
    """name, status, and the predicate that is true when the call must fail.

    index: "" for 0, else the attribute of the command that holds bits [15:8].
    """

    __slots__ = ("fails", "index", "name", "status")

    def __init__(self, name: str, status: int, fails: Fails, index: str = "") -> None:
        self.name = name
        self.status = status
        self.fails = fails
        self.index = index


class Command:
    """One RMI call in progress: its inputs as attributes, and what its conditions found out on the way."""

    call: ClassVar[Call]
    conditions: ClassVar[tuple[Cond, ...]]
    rmm: Rmm

    def effect(self) -> Result:
        """X1.. of a successful call."""
        raise NotImplementedError

    def outputs_on_failure(self, condition: Cond) -> Result:
        return ()


def compile_command(cls: type[Command], rmm: Rmm) -> Callable[[Sequence[int]], Result]:
    names = [name for name, _ in cls.call.inputs]
    types = [t for _, t in cls.call.inputs]
    signed = [i for i, t in enumerate(types) if t.signed]
    conditions = cls.conditions
    observer = rmm.observer
    decl = cls.call
    n = len(names) + 1

    def handler(x: Sequence[int]) -> Result:
        c = cls()
        c.rmm = rmm
        args = list(x[1:n])
        for i in signed:
            args[i] = types[i].decode(args[i])
        for name, value in zip(names, args):
            setattr(c, name, value)
        failed: str | None = None
        for cond in conditions:
            if cond.fails(c):
                failed = cond.name
                status = cond.status
                if cond.index:
                    status |= (getattr(c, cond.index) & 0xFF) << 8
                out = (status, *c.outputs_on_failure(cond))
                break
        else:
            out = (0, *c.effect())
            if len(out) > 0 and out[0] == 0 and getattr(c, "late", None):
                failed, status = c.late  # type: ignore[attr-defined]
                out = (status, *out[1:])
        result = out + (0, 0, 0, 0)[: 4 - len(out)] if len(out) < 4 else out
        if len(result) == 4:
            result += (x[4] if len(x) > 4 else 0,)
        if observer is not None:
            observer.call(decl, tuple(args), result, failed, None)
        return result

    return handler
