# SPDX-License-Identifier: GPL-2.0-or-later
"""Events made by hand."""

from __future__ import annotations

from typing import Any

from machine.calls import CallRecord
from machine.events import NORMAL, REALM
from machine.traces.item import Item
from rmm.abi import by_name

RD, REC = 0x8800_0000, 0x8840_0000


def call(
    insns: int,
    name: str,
    args: tuple[int, ...],
    result: tuple[int, ...] = (0,),
    condition: str | None = None,
    rec_pa: int | None = None,
    **more: Any,
) -> Item:
    decl = by_name(name)
    assert decl is not None
    world = NORMAL if rec_pa is None else REALM
    record = CallRecord(insns, decl, args, result, condition, rec_pa)
    return Item(insns, name.lower(), world, call=record, **more)


def own(insns: int, name: str, world: str = REALM, **fields: Any) -> Item:
    return Item(insns, name, world, fields=fields)
