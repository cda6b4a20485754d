# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine's stops know of granules and measurements, as bytes: tens of thousands of records of a Linux boot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from machine.calls import CallRecord
from machine.snapshot.schema import VALUES, Damaged, Unsupported
from machine.stops import HISTORY, Change

_CALL = VALUES["rmm.abi.call:Call"]


def pack(history: dict[int, deque[Change]], measured: Iterable[CallRecord]) -> bytes:
    numbers: dict[int, int] = {}
    calls: list[CallRecord] = []

    def number(call: CallRecord) -> int:
        at = numbers.setdefault(id(call), len(calls))
        if at == len(calls):
            calls.append(call)
        return at

    changes = [
        (pa, one.insns, one.old, one.new, None if one.call is None else number(one.call))
        for pa, kept in history.items()
        for one in kept
    ]
    entered = [number(call) for call in measured]
    rows = [(one.insns, None if one.decl is None else _CALL.take(one.decl), *one[2:]) for one in calls]
    try:
        return msgspec.msgpack.encode((rows, changes, entered))
    except (TypeError, OverflowError) as error:
        raise Unsupported(f"the history of calls: {error}") from None


def unpack(data: bytes) -> tuple[dict[int, deque[Change]], list[CallRecord]]:
    """Damaged for what `pack` does not write."""
    if not data:
        return {}, []
    try:
        rows, changes, entered = msgspec.msgpack.decode(data)
        decls: dict[Any, Any] = {None: None}
        calls = []
        for insns, fid, args, result, condition, rec_pa, secure in rows:
            if fid not in decls:
                decls[fid] = _CALL.make(fid)
            calls.append(CallRecord(insns, decls[fid], tuple(args), tuple(result), condition, rec_pa, secure))
        history: dict[int, deque[Change]] = {}
        for pa, insns, old, new, call in changes:
            kept = history.setdefault(pa, deque(maxlen=HISTORY))
            kept.append(Change(insns, old, new, None if call is None else calls[call]))
        return history, [calls[at] for at in entered]
    except (msgspec.DecodeError, TypeError, ValueError, IndexError) as error:
        raise Damaged(f"its history: {error}") from None
