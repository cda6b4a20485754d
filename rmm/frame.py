# SPDX-License-Identifier: GPL-2.0-or-later
"""How a declared call becomes a function: its conditions in order, then its effect.

A handler module supplies one check for each declared condition (True: the condition holds, the call fails) and
one effect.  Order, statuses, RTT indices and outputs come from the declaration alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from rmm.abi.call import Call, Condition

if TYPE_CHECKING:
    from types import CodeType

    from rmm.exits import Exit
    from rmm.realm import Params, Realm
    from rmm.rec import Rec, RecParams
    from rmm.rmm import Rmm

MASK64 = (1 << 64) - 1


class Panic(Exception):
    """The RMM cannot go on: something outside broke a promise that it relies on."""


class Frame:
    """One call in progress: its inputs under their declared names, and what the checks have found so far."""

    rmm: Rmm
    x: Sequence[int]  # X0..X7 (RMI) or X0..X10 (RSI, PSCI)
    late: str | None = None  # the late condition that an effect has met
    exit: Exit | None = None  # how the REC leaves although a condition answers its call
    finish: Callable[[Frame, tuple[int, ...] | None], Result]  # of a preempted REC_ENTER

    # inputs
    addr: int
    base: int
    calling_rec: int
    context_id: int
    data: int
    desc: int
    entry_point: int
    fid: int
    flags: int
    index: int
    ipa: int
    level: int
    lowest_level: int
    offset: int
    params: int
    power_state: int
    rd: int
    rec: int
    req: int
    ripas: int
    rtt: int
    run: int
    size: int
    src: int
    status: int
    target: int
    target_rec: int
    top: int

    # found by checks
    realm: Realm
    vcpu: Rec  # the REC that `rec` names, or that makes the RSI call
    caller: Rec
    target_vcpu: Rec
    host_data: bytes  # what was read from the host
    realm_params: Params
    rec_params: RecParams
    enter: bytes  # RmiRecEnter
    flags_in: int  # its flags
    gic: tuple[int, ...]  # its gicv3_hcr and gicv3_lrs
    aux: tuple[int, ...]
    walk_level: int
    entry_pa: int
    entry: int
    page: int  # PA of the realm's page that an RSI call names
    folded: int
    lower: int
    higher: int
    len: int


# Whether a call fails: a function, or an expression over the frame `f`, which costs no call.
Check = Callable[[Frame], Any] | str
Effect = Callable[[Frame], "tuple[int, ...] | None"]
RsiEffect = Callable[[Frame], "tuple[int, ...] | Exit | None"]
Result = tuple[int, int, int, int, int]
# What REC_ENTER returns while its REC is preempted; `Rmm.resume` goes on.  It is empty, and no result is.
PAUSED: Result = cast("Result", ())


def _index(condition: Condition) -> Callable[[Frame], int] | None:
    """Bits [15:8] of the status where the call decides them; None where they are constant."""
    match condition.index:
        case "walk":
            return lambda f: (f.walk_level & 0xFF) << 8
        case "level":
            return lambda f: (f.level & 0xFF) << 8
        case "level-1":
            return lambda f: (f.level - 1 & 0xFF) << 8
    return None


def _failure(decl: Call, condition: Condition) -> Callable[[Frame], Result]:
    """From a failed call to X0..X4; X4 is the caller's (§1.2)."""
    if condition.status is None:
        raise ValueError(f"{decl.name}.{condition.name} has no status")
    constant = condition.status | (condition.index << 8 if isinstance(condition.index, int) else 0)
    index = _index(condition)
    if not condition.gives:
        if index is None:
            return lambda f: (constant, 0, 0, 0, f.x[4])
        return lambda f: (constant | index(f), 0, 0, 0, f.x[4])
    given = [value.name if value.name in condition.gives else None for value in decl.outputs]

    def fail(f: Frame) -> Result:
        out = [0 if name is None else getattr(f, name) for name in given] + [0, 0, 0]
        return constant | (index(f) if index is not None else 0), out[0], out[1], out[2], f.x[4]

    return fail


def _conditions(decl: Call, checks: Mapping[str, Check], names: dict[str, Any]) -> Iterator[tuple[Condition, str]]:
    """The declared conditions with the expression that is true where they fail; KeyError when a check is missing.

    names: what the expressions need is added.
    """
    for i, condition in enumerate(c for c in decl.conditions if not c.late):
        source = checks[condition.name]
        if not isinstance(source, str):
            names[f"check{i}"], source = source, f"check{i}(f)"
        yield condition, f"not ({source})" if condition.negated else source


@cache
def _compiled(source: str, name: str) -> CodeType:
    return compile(source, f"<{name}>", "exec")


def _made(lines: Sequence[str], decl: Call, names: dict[str, Any]) -> Any:
    """The function `call` of these lines.

    Unrolled once for each call: loops over inputs and conditions would cost more than the conditions.
    """
    exec(_compiled("\n".join(lines), decl.name), names)
    return names["call"]


def bind_rmi(rmm: Rmm, decl: Call, checks: Mapping[str, Check], effect: Effect) -> Callable[[Sequence[int]], Result]:
    """The function that serves an RMI command: X0..X7 to X0..X4."""
    late = {c.name: _failure(decl, c) for c in decl.conditions if c.late}
    pad = (0,) * (3 - len(decl.outputs))

    def finish(f: Frame, out: tuple[int, ...] | None) -> Result:
        failed = f.late
        if failed is not None and failed in late:
            result = late[failed](f)
        else:
            failed = None
            result = (0, 0, 0, 0, f.x[4]) if out is None else (0, *out) if len(out) == 4 else (0, *out, *pad, f.x[4])  # type: ignore[assignment]
        if rmm.observer is not None:
            rmm.observer.call(decl, decl.decode(f.x), result, failed, None)
        return result

    def done(f: Frame) -> Result:
        out = effect(f)
        if out is PAUSED:
            f.finish = finish
            rmm.paused = f
            return PAUSED
        return finish(f, out)

    def refused(f: Frame, fail: Callable[[Frame], Result], condition: str) -> Result:
        result = fail(f)
        if rmm.observer is not None:
            rmm.observer.call(decl, decl.decode(f.x), result, condition, None)
        return result

    names: dict[str, Any] = {"Frame": Frame, "rmm": rmm, "done": done, "refused": refused}
    lines = ["def call(x):", " f = Frame()", " f.rmm = rmm", " f.x = x"]
    for i, value in enumerate(decl.inputs, 1):
        word = f"x[{i}] - (x[{i}] >> 63 << 64)" if value.type.signed else f"x[{i}]"
        lines.append(f" f.{value.name} = {word}")
    for i, (condition, source) in enumerate(_conditions(decl, checks, names)):
        names[f"fail{i}"] = _failure(decl, condition)
        lines.append(f" if {source}: return refused(f, fail{i}, {condition.name!r})")
    lines.append(" return done(f)")
    call: Callable[[Sequence[int]], Result] = _made(lines, decl, names)
    call.finish = finish  # type: ignore[attr-defined]
    return call


RecCall = Callable[["Rec", Sequence[int]], "Exit | None"]


def bind_realm(
    rmm: Rmm,
    decl: Call,
    checks: Mapping[str, Check],
    effect: RsiEffect,
    abort: Callable[[Frame], Exit],
) -> RecCall:
    """The function that serves a call of a realm's: sets the REC's registers, or says how the REC exits.

    A completed call overwrites X0..X3 and as many more as it has outputs; X4 keeps the caller's value (§1.3).
    `abort` is the exit for a condition without a status.
    """
    given = {c.name: [v.name if v.name in c.gives else None for v in decl.outputs] for c in decl.conditions if c.gives}
    late = {c.name: c for c in decl.conditions if c.late}

    def answer(f: Frame, condition: Condition) -> tuple[int, ...]:
        assert condition.status is not None
        values = tuple(0 if name is None else getattr(f, name) for name in given.get(condition.name, ()))
        return (condition.status & MASK64, *values, 0, 0, 0)[: max(4, 1 + len(values))]

    def refused(f: Frame, condition: Condition) -> Exit | None:
        if condition.status is None:
            return finish(f, abort(f), (), condition.name)
        return finish(f, f.exit, answer(f, condition), condition.name)

    def done(f: Frame) -> Exit | None:
        out = effect(f)
        if f.late in late:
            return finish(f, None if isinstance(out, tuple) else out, answer(f, late[f.late]), f.late)
        if out is None:
            return finish(f, None, (0, 0, 0, 0), None)
        if isinstance(out, tuple):
            words = ((0, *out) if decl.status else out) + (0,) * (3 - len(out) if decl.status else 4 - len(out))
            return finish(f, None, words, None)
        return finish(f, out, (), None)

    def finish(f: Frame, out: Exit | None, result: tuple[int, ...], failed: str | None) -> Exit | None:
        rec = f.vcpu
        if result:
            rec.context.set_x(0, result)
        if rmm.observer is not None:
            rmm.observer.call(decl, decl.decode(f.x), result, failed, rec.pa)
        return out

    names: dict[str, Any] = {"Frame": Frame, "rmm": rmm, "done": done, "refused": refused}
    lines = ["def call(rec, x):", " f = Frame()", " f.rmm = rmm", " f.x = x", " f.vcpu = rec", " f.realm = rec.realm"]
    at = 1
    for value in decl.inputs:
        if value.count == 1:
            lines.append(f" f.{value.name} = x[{at}]")
        at += value.count
    for i, (condition, source) in enumerate(_conditions(decl, checks, names)):
        names[f"condition{i}"] = condition
        lines.append(f" if {source}: return refused(f, condition{i})")
    lines.append(" return done(f)")
    bound: RecCall = _made(lines, decl, names)
    return bound
