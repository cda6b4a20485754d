# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as lines: `RMI_GRANULE_DELEGATE(addr=0x88300001) = ERROR_INPUT [gran_align]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rmm.abi.call import STATUSES, UNKNOWN, Call, Value
from rmm.abi.values import RmiStatus, RmiStatusLater, RsiStatusLater, name_of

if TYPE_CHECKING:
    from rmm.abi.types import Type

_LATER = {"RMI": RmiStatusLater, "RSI": RsiStatusLater}


def value_text(type_: Type, value: int) -> str:
    """One input or output as its type is written: hex addresses, decimal numbers, names."""
    if type_.values is not None:
        name = name_of(type_.values, value)
        if name is not None:
            return name
    if type_.kind == "number":
        return str(value) if -4096 < value < 1 << 20 else f"{value:#x}"
    if type_.kind == "revision":
        return f"{value >> 16}.{value & 0xFFFF}" if value < 1 << 31 else f"{value:#x}"
    return f"{value:#x}" if value >= 0 else str(value)


def _words_text(value: Value, words: Sequence[int]) -> str:
    if value.count == 1:
        return value_text(value.type, words[0])
    return b"".join((word & (1 << 64) - 1).to_bytes(8, "little") for word in words).hex()


def arguments_text(decl: Call, args: Sequence[int]) -> str:
    """`rd=0x88300000, ipa=0x80000000, level=2`."""
    parts = []
    at = 0
    for value in decl.inputs:
        words = args[at : at + value.count]
        at += value.count
        if words:
            parts.append(f"{value.name}={_words_text(value, words)}")
    return ", ".join(parts)


def status_text(interface: str, x0: int) -> str:
    """X0 of an interface's result: `SUCCESS`, `ERROR_RTT(2)`, `-1`."""
    if x0 == UNKNOWN and interface in ("RMI", "RSI"):
        return "-1"
    statuses = STATUSES.get(interface, RmiStatus)
    if interface == "RMI":
        status, index = x0 & 0xFF, x0 >> 8
        name = name_of(statuses, status) or name_of(RmiStatusLater, status)
        if name is None or index > 0xFF:
            return f"{x0:#x}"
        shown = f"({index - 256 if index > 127 else index})" if status == RmiStatus.ERROR_RTT or index else ""
        return name + shown
    signed = x0 - (1 << 64) if x0 >> 63 else x0
    later = _LATER.get(interface)
    return name_of(statuses, signed) or (later and name_of(later, signed)) or f"{signed:#x}"


def _outputs_text(decl: Call, result: Sequence[int], names: Sequence[str]) -> str:
    parts = []
    at = 1
    for value in decl.outputs:
        words = result[at : at + value.count]
        at += value.count
        if value.name in names and len(words) == value.count:
            decoded = [value.type.decode(word) for word in words]
            parts.append(f"{value.name}={_words_text(value, decoded)}")
    return "".join(f" {part}" for part in parts)


def render(decl: Call, args: Sequence[int], result: Sequence[int], condition: str | None) -> str:
    """One finished call.

    args: the declared inputs, word by word.  result: X0 upwards; empty for a call that made the REC exit.
    condition: the name of the condition that failed, or None.
    """
    head = f"{decl.name}({arguments_text(decl, args)})"
    tail = "" if condition is None else f" [{condition}]"
    if not result:
        return f"{head} -> host{tail}"
    x0 = result[0]
    if not decl.supported or (condition is not None and condition not in decl.by_condition):
        return f"{head} = {'-1' if x0 == UNKNOWN else status_text(decl.interface, x0)}{tail}"
    if not decl.status and condition is None:
        return f"{head} = {value_text(decl.outputs[0].type, x0)}"
    failed = None if condition is None else decl.by_condition[condition]
    names = [value.name for value in decl.outputs] if failed is None else failed.gives
    return f"{head} = {status_text(decl.interface, x0)}{_outputs_text(decl, result, names)}{tail}"
