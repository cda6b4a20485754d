# SPDX-License-Identifier: GPL-2.0-or-later
"""FF-A and SiP calls as lines: `FFA_RUN(target=0x8001 vcpu 0) = ERROR BUSY [target_running]`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from machine.ffa.abi import ERROR, SUCCESS, VERSION, FfaCall, FfaStatus, calls_by_fid
from rmm.abi.call import Call, Value
from rmm.abi.text import value_text
from rmm.abi.values import El3Status, Values, name_of


def _signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> bits - 1 else word


def _status(values: type[Values], status: int) -> str:
    return name_of(values, status) or str(status)


def _value(value: Value, words: Sequence[int]) -> str:
    match value.type.role:
        case "endpoints":
            return f"sender={words[0] >> 16 & 0xFFFF:#x}, receiver={words[0] & 0xFFFF:#x}"
        case "vcpu":
            return f"{value.name}={words[0] >> 16 & 0xFFFF:#x} vcpu {words[0] & 0xFFFF}"
        case "status":
            return f"{value.name}={_status(FfaStatus, _signed(words[0], 32))}"
        case "uuid":
            raw = b"".join((word & 0xFFFF_FFFF).to_bytes(4, "little") for word in words)
            return f"{value.name}={uuid.UUID(bytes=raw)}"
        case "fid":
            decl = calls_by_fid().get(words[0])
            return f"{value.name}={words[0]:#x}" if decl is None else f"{value.name}={decl.name}"
    if value.count > 1:
        return f"{value.name}=[{', '.join(f'{word:#x}' for word in words)}]"
    return f"{value.name}={value_text(value.type, value.type.decode(words[0]))}"


def _values(values: Sequence[Value], words: Sequence[int], joint: str) -> str:
    parts = []
    at = 0
    for value in values:
        if len(words) >= at + value.count:
            parts.append(_value(value, words[at : at + value.count]))
        at += value.count
    return joint.join(parts)


def _result(decl: FfaCall, result: Sequence[int]) -> str:
    x0 = result[0]
    if decl is VERSION:
        return f"{x0 >> 16}.{x0 & 0xFFFF}" if x0 < 1 << 31 else _status(FfaStatus, _signed(x0, 64))
    if x0 == ERROR.fid:
        return f"ERROR {_status(FfaStatus, _signed(result[2], 32))}"
    if x0 in SUCCESS.fids:
        return f"SUCCESS {_values(decl.outputs, result[2:], ' ')}".rstrip()
    other = calls_by_fid().get(x0)
    return f"{x0:#x}" if other is None else f"{other.name}({_values(other.inputs, result[1:], ', ')})"


def render(decl: Call, args: Sequence[int], result: Sequence[int], condition: str | None) -> str:
    """One call of either world.

    args: the declared inputs, word by word.  result: X0 upwards; empty for a call of the partition that gives the PE
    to the Normal world.  condition: the name of the condition that failed, or None.
    """
    head = f"{decl.name}({_values(decl.inputs, args, ', ')})"
    tail = "" if condition is None else f" [{condition}]"
    if not result:
        return f"{head} -> Normal"
    if isinstance(decl, FfaCall):
        return f"{head} = {_result(decl, result)}{tail}"
    return f"{head} = {_status(El3Status, _signed(result[0], 64))}{tail}"
