# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded traces: JSON Lines of ours, or the log of a TF-RMM, as events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bridge.errors import UserError
from machine.calls import CallRecord
from machine.events import NORMAL, REALM
from machine.traces import jsonl
from machine.traces.item import Item
from rmm.abi import by_name, calls_by_fid, types
from rmm.abi.call import Call, Value
from rmm.abi.values import RmiStatus, RmiStatusLater, RsiStatus, Values, members

LOG_RATE = 1_000_000_000  # a log has no times: the line's number stands for them
_LONGEST_LOG_LINE = 4096
_LOOKED_AT = 100_000  # lines before a file is taken to be no log
_HEX = r"[0-9a-fA-F]{1,16}"
_LOG = re.compile(
    rf"(?P<name>SMC_RMI_[A-Z0-9_]+|SMC_RSI_[A-Z0-9_]+|PSCI_[0-9a-f]{{8}})(?P<args>(?:\s+{_HEX})*)"
    rf"\s+>\s+(?P<status>R[MS]I_[A-Z0-9_]+|{_HEX})(?P<outs>(?:\s+{_HEX})*)\s*$"
)
_MOST_WORDS = 18


class Recorded(NamedTuple):
    """rate: instructions a second.  machine: its file's name.  log: it is TF-RMM's, which has no times, and not every
    call.
    """

    path: Path
    rate: int
    machine: str
    log: bool
    items: Iterator[Item]


def read(path: Path) -> Recorded:
    """A recorded trace; UserError where a file is none, now or while its events are read."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if start.startswith((b'{"displayTimeUnit', b'{"traceEvents')):
        raise UserError(f"{path}: a Chrome trace is for Perfetto; record a .jsonl file for this")
    if start.lstrip().startswith(b"{") or not start:
        header, items = jsonl.read(path)
        return Recorded(path, header.rate, header.machine, False, items)
    items = _log_items(path)
    first = next(items, None)
    if first is None:
        raise UserError(f"{path}: neither a trace of ccabridge (JSON Lines) nor a log of TF-RMM")
    return Recorded(path, LOG_RATE, "", True, _after(first, items))


def _after(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def _log_items(path: Path) -> Iterator[Item]:
    found = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for number in range(1, 1 << 62):
            line = file.readline(_LONGEST_LOG_LINE)
            if not line or (not found and number > _LOOKED_AT):
                return
            match = _LOG.search(line)
            if match is not None:
                found = True
                yield _log_item(number, match)


def _log_item(number: int, match: re.Match[str]) -> Item:
    name = match["name"].removeprefix("SMC_")
    args = tuple(int(word, 16) for word in match["args"].split())
    outs = [int(word, 16) for word in match["outs"].split()]
    if name.startswith("PSCI"):
        decl = calls_by_fid().get(int(name[5:], 16)) or _undeclared(name, len(args))
    else:
        decl = by_name(name) or _undeclared(name, len(args))
    if decl.words != len(args):
        decl = _undeclared(decl.name, len(args)) if decl.interface != "PSCI" else decl
        args = (*args, *(0,) * decl.words)[: decl.words]
    status, _, named = match["status"].partition("_")
    if named:
        x0 = _statuses(status).get(named, 0xFF)
        if (
            status == "RMI"
            and outs
            and (x0 == RmiStatus.ERROR_RTT or (x0 == RmiStatus.ERROR_REALM and "ENTER" in name))
        ):
            x0 |= (outs.pop(0) & 0xFF) << 8
    else:
        x0 = int(status, 16)
    rmi = name.startswith("RMI")
    decoded = decl.decode((0, *args))
    call = CallRecord(number, decl, decoded, (x0, *outs[:_MOST_WORDS]), None, None if rmi else 0)
    return Item(number, decl.name.lower(), NORMAL if rmi else REALM, call=call)


@cache
def _statuses(interface: str) -> dict[str, int]:
    groups: tuple[type[Values], ...] = (RmiStatusLater, RmiStatus) if interface == "RMI" else (RsiStatus,)
    return {name: value for group in groups for name, value in members(group).items()}


@cache
def _undeclared(name: str, words: int) -> Call:
    """A call that this version does not declare, or declares with other inputs: its words have numbers for names."""
    inputs = [Value(f"x{at}", types.U64) for at in range(1, words + 1)]
    return Call(0, name, inputs=inputs, outputs=[Value(f"out{at}", types.U64) for at in range(1, 5)])
