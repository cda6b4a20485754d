# SPDX-License-Identifier: GPL-2.0-or-later
"""What `explain` knows of FF-A and of the Secure world's calls to the monitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.cli.explain_abi import registers
from machine.ffa import abi, sip
from machine.ffa.abi import FfaCall, FfaStatus
from rmm.abi.call import Call
from rmm.abi.values import El3Status, members, name_of

_CALLS: tuple[Call, ...] = (*abi.CALLS, *sip.CALLS)


def _describe(call: Call) -> Iterator[str]:
    ids = f"{call.fid:#010x}" + (f", SMC32 {call.fid32:#010x}" if call.fid32 is not None else "")
    yield f"{call.name}  {ids}"
    if not call.supported:
        yield "  known by name only; the answer is FFA_ERROR with NOT_SUPPORTED"
        return
    yield f"  {call.doc}"
    if isinstance(call, FfaCall):
        yield f"  called by: {', '.join(call.callers) or 'nobody, it is a result'} (DEN0077A {call.section})"
    if call.inputs:
        yield from ("", "  inputs", *registers(call.inputs, 1))
    if call.outputs:
        yield from ("", "  outputs", *registers(call.outputs, 0 if call is abi.VERSION else 2))
    if call.conditions:
        statuses = FfaStatus if isinstance(call, FfaCall) else El3Status
        width = max(len(condition.name) for condition in call.conditions)
        yield from ("", "  fails when (the first that holds decides)")
        for number, condition in enumerate(call.conditions, 1):
            status = name_of(statuses, condition.status or 0)
            yield f"    {number:2} {condition.name:<{width}}  {status}: {condition.doc}"


def _describe_status(number: int) -> Iterator[str]:
    number &= 0xFFFF_FFFF
    signed = number - (1 << 32) if number >> 31 else number
    yield f"FfaStatus {signed}: {name_of(FfaStatus, signed) or 'no such value'}"
    answers = [
        (call.name, [condition.name for condition in call.conditions if condition.status == signed])
        for call in abi.CALLS
    ]
    if any(conditions for _, conditions in answers):
        yield "  answered by"
    yield from (f"    {name}: {', '.join(conditions)}" for name, conditions in answers if conditions)


def function_id(fid: int) -> Iterator[str] | None:
    """What an SMC with this function id is; None when it is none of these."""
    call = next((call for call in _CALLS if fid in (call.fid, call.fid32)), None)
    return None if call is None else _describe(call)


def names() -> list[str]:
    """Everything that `by_name` knows, as it is written."""
    return [*(call.name for call in _CALLS), *(f"FFA_{name}" for name in members(FfaStatus))]


def by_name(word: str) -> list[Iterator[str]]:
    """Explanations of all that has this name, in any case."""
    high = word.upper().removeprefix("SMC_")
    found = [_describe(call) for call in _CALLS if call.name == high]
    found += [_describe_status(number) for name, number in members(FfaStatus).items() if f"FFA_{name}" == high]
    return found


def decoders() -> dict[str, Callable[[int], Iterator[str]]]:
    """{kind of value: what explains a number of it}."""
    return {"ffa-status": _describe_status}
