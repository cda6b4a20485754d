# SPDX-License-Identifier: GPL-2.0-or-later
"""One event that happened, live or out of a file, and its values by field name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from machine.calls import CallRecord
from machine.events import NORMAL
from rmm.abi.call import STATUSES, UNKNOWN, Call
from rmm.abi.text import status_text
from rmm.abi.values import El3Status, RmiStatus, RmiStatusLater, name_of

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Delta(NamedTuple):
    """A granule that a call moved.  what: "granule" (the RMM's state) or "gpt" (the PAS)."""

    what: str
    pa: int
    old: str
    new: str

    @property
    def text(self) -> str:
        return f"{self.what} {self.pa:#x} {self.old} → {self.new}"


class Item(NamedTuple):
    """One event.

    call: of a call; fields: of anything else, by declared name, and `text`.  start: instructions retired when a call
    was made, where that is not `insns`.
    """

    insns: int
    name: str
    world: str = NORMAL
    pe: int = 0
    rec: int | None = None
    realm: int | None = None
    call: CallRecord | None = None
    fields: Mapping[str, Any] = NOTHING
    start: int | None = None
    pc: int | None = None
    symbol: str | None = None
    deltas: tuple[Delta, ...] = ()


class Sink(Protocol):
    """What takes the selected events, in order."""

    def put(self, item: Item) -> None: ...
    def close(self) -> None: ...


class Named(int):
    """A number of a closed set, with its name."""

    name: str

    def __new__(cls, value: int, name: str) -> Named:
        self = super().__new__(cls, value)
        self.name = name
        return self


def status_name(call: CallRecord) -> Named | None:
    """The status that a call ended with, or None where X0 is no status."""
    decl, result = call.decl, call.result
    if decl is None or not result:
        return None
    x0 = result[0]
    if decl.interface in ("FFA", "SIP"):
        return _ffa_status(decl, result)
    if x0 == UNKNOWN and decl.interface in ("RMI", "RSI"):
        return Named(-1, "NOT_SUPPORTED")
    if not decl.status and call.condition is None:
        return None
    if decl.interface == "RMI":
        status = x0 & 0xFF
        return Named(status, name_of(RmiStatus, status) or name_of(RmiStatusLater, status) or f"{x0:#x}")
    signed = x0 - (1 << 64) if x0 >> 63 else x0
    return Named(signed, name_of(STATUSES[decl.interface], signed) or status_text(decl.interface, x0))


def _ffa_status(decl: Call, result: Sequence[int]) -> Named | None:
    """FFA_SUCCESS is SUCCESS, FFA_ERROR its status; any other call that completes this one is itself."""
    from machine.ffa.abi import ERROR, SUCCESS, VERSION, FfaStatus, calls_by_fid

    x0 = result[0]
    if decl.interface == "SIP" or decl is VERSION:
        signed = x0 - (1 << 64) if x0 >> 63 else x0
        name = name_of(El3Status if decl.interface == "SIP" else FfaStatus, signed)
        return None if name is None else Named(signed, name)
    if x0 == ERROR.fid and len(result) > 2:
        word = result[2] & 0xFFFF_FFFF
        signed = word - (1 << 32) if word >> 31 else word
        return Named(signed, name_of(FfaStatus, signed) or str(signed))
    if x0 in SUCCESS.fids:
        return Named(0, "SUCCESS")
    other = calls_by_fid().get(x0)
    return Named(x0, f"{x0:#x}" if other is None else other.name)


def inputs(call: CallRecord) -> dict[str, Any]:
    """Inputs by name: a number, or a list of words."""
    return {} if call.decl is None else _by_name(call.decl.inputs, call.args)


def outputs(call: CallRecord) -> dict[str, Any]:
    """The outputs that the result defines, by name."""
    decl, result = call.decl, call.result
    if decl is None or not result or decl.interface in ("FFA", "SIP"):
        return {}
    if not decl.status:
        return _by_name(decl.outputs[:1], result[:1]) if call.condition is None else {}
    failed = decl.by_condition.get(call.condition) if call.condition is not None else None
    if call.condition is not None and failed is None:
        return {}
    given = _by_name(decl.outputs, result[1:])
    return given if failed is None else {name: given[name] for name in failed.gives if name in given}


def _by_name(values: Any, words: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    at = 0
    for value in values:
        mine = words[at : at + value.count]
        at += value.count
        if len(mine) != value.count:
            break
        if value.count > 1:
            out[value.name] = list(mine)
            continue
        number = value.type.decode(mine[0])
        name = None if value.type.values is None else name_of(value.type.values, number)
        out[value.name] = number if name is None else Named(number, name)
    return out


def values_of(item: Item, rate: int) -> dict[str, Any]:
    """Every field that the event has, for a filter; of one name the common ones win, `arg.NAME` is the call's own."""
    out: dict[str, Any] = {}
    call = item.call
    if call is not None:
        for name, value in (*inputs(call).items(), *outputs(call).items()):
            out[name] = out[f"arg.{name}"] = value
        if call.decl is not None and call.decl.interface == "RMI" and call.result and call.result[0] != UNKNOWN:
            out.setdefault("index", call.result[0] >> 8 & 0xFF)
        out["status"] = status_name(call)
        out["x0"] = call.result[0] if call.result else None
        out["condition"] = call.condition
        out["duration"] = nanoseconds(item.insns - (item.insns if item.start is None else item.start), rate)
    else:
        for name, value in item.fields.items():
            out[name] = out[f"arg.{name}"] = value
    out.update(
        event=item.name,
        insns=item.insns,
        time=nanoseconds(item.insns, rate),
        world=item.world,
        pe=item.pe,
        rec=item.rec,
        realm=item.realm,
        pc=item.pc,
        symbol=item.symbol,
    )
    return out


def nanoseconds(insns: int, rate: int) -> int:
    """Virtual time of a number of instructions, at `rate` of them a second."""
    return insns * 1_000_000_000 // rate
