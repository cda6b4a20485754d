# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls as text."""

from __future__ import annotations

from rmm.abi.call import Call
from rmm.abi.values import PsciStatus, RmiStatus, RsiStatus, name_of


def number(type_: object, value: int) -> str:
    values = getattr(type_, "values", None)
    if values is not None:
        return name_of(values, value) or f"{value:#x}"
    return str(value) if getattr(type_, "kind", "") == "number" else f"{value:#x}"


def status(call: Call, x0: int) -> str:
    if call.interface == "RMI":
        name = name_of(RmiStatus, x0 & 0xFF) or f"{x0:#x}"
        return f"{name}({x0 >> 8})" if name == "ERROR_RTT" else name
    if call.interface == "RSI":
        return name_of(RsiStatus, x0) or f"{x0:#x}"
    signed = x0 - (1 << 64) if x0 >> 63 else x0
    return name_of(PsciStatus, signed) or f"{x0:#x}"


def render(call: Call, args: tuple[int, ...], result: tuple[int, ...], condition: str | None) -> str:
    inputs = ", ".join(f"{name}={number(t, v)}" for (name, t), v in zip(call.inputs, args))
    text = f"{call.name}({inputs}) = {status(call, result[0])}"
    if condition is not None:
        return f"{text} [{condition}]"
    outs = ", ".join(f"{name}={number(t, v)}" for (name, t), v in zip(call.outputs, result[1:]))
    return f"{text} {{{outs}}}" if outs else text
