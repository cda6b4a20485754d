# SPDX-License-Identifier: GPL-2.0-or-later
"""Two traces side by side: where they first part, and where they meet again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

from machine.traces.item import Item, status_name
from machine.traces.reading import Recorded
from machine.traces.text import line_of, tf_rmm_line, time_text

BY = ("all", "status", "name")
CONTEXT = 3
WINDOW = 300  # events after the divergence among which the traces may meet again
RUN = 3  # events that have to agree for that

Key = Callable[[Item], str]


def _status(item: Item) -> str:
    status = None if item.call is None else status_name(item.call)
    return f"{item.name} {'' if status is None else status.name}"


def _log_key(item: Item) -> str:
    line = None if item.call is None else tf_rmm_line(item.call)
    return "" if line is None else " ".join(line.split())


def _key(by: str, logs: bool) -> Key:
    if by == "name":
        return lambda item: item.name
    if by == "status":
        return _status
    return _log_key if logs else line_of


def _loggable(items: Iterator[Item]) -> list[Item]:
    return [item for item in items if _log_key(item)]


def _failed(item: Item) -> bool:
    return item.call is not None and bool(item.call.result) and item.call.result[0] != 0


def _as_logged(items: list[Item], log: list[Item]) -> tuple[list[Item], list[str]]:
    """What a log that has only some calls, and of some only failures, could have of these; and what is left out."""
    named = {item.name for item in log}
    succeed = {item.name for item in log if not _failed(item)}
    kept: list[Item] = []
    left: set[str] = set()
    for item in items:
        if item.name in succeed or (item.name in named and _failed(item)):
            kept.append(item)
        else:
            left.add(item.name)
    return kept, sorted(left)


def diff(left: Recorded, right: Recorded, by: str = "all") -> tuple[bool, Iterator[str]]:
    """Whether two traces agree, and lines that say where they do not.

    Times are not compared.  With a log of TF-RMM, only calls are that such a log has.
    """
    notes: list[str] = []
    logs = left.log or right.log
    one, other = left.items, right.items
    if logs:
        ours, theirs = _loggable(one), _loggable(other)
        if not left.log:
            ours, gone = _as_logged(ours, theirs)
            notes += _left_out(left.path, right.path, gone)
        if not right.log:
            theirs, gone = _as_logged(theirs, ours)
            notes += _left_out(right.path, left.path, gone)
        one, other = iter(ours), iter(theirs)
    parting = _part(one, other, _key(by, logs))
    return parting.same, _report(left, right, parting, notes)


def _left_out(path: Path, log: Path, names: list[str]) -> list[str]:
    return [f"left out of {path}, since {log} does not log them: {', '.join(names)}"] if names else []


class _Parting(NamedTuple):
    """at: how many events are the same; before: the last of them; ours, theirs: what follows, WINDOW of each."""

    at: int
    before: list[Item]
    ours: list[Item]
    theirs: list[Item]
    again: tuple[int, int] | None  # how far behind the parting they meet

    @property
    def same(self) -> bool:
        return not self.ours and not self.theirs


def _part(one: Iterator[Item], other: Iterator[Item], key: Key) -> _Parting:
    before: deque[Item] = deque(maxlen=CONTEXT)
    for at in count():
        pair = [*islice(one, 1)], [*islice(other, 1)]
        if not pair[0] or not pair[1] or key(pair[0][0]) != key(pair[1][0]):
            ours = [*pair[0], *islice(one, WINDOW)]
            theirs = [*pair[1], *islice(other, WINDOW)]
            again = _again([key(item) for item in ours], [key(item) for item in theirs])
            return _Parting(at, list(before), ours, theirs, again)
        before += pair[0]
    raise AssertionError("count() does not end")


def _report(left: Recorded, right: Recorded, parting: _Parting, notes: list[str]) -> Iterator[str]:
    yield from notes
    if parting.same:
        yield f"the same {parting.at:,} events"
        return
    yield f"the first {parting.at:,} events are the same; then:"
    for item in parting.before:
        yield f"  {_line(left, item)}"
    lengths = parting.again or (min(1, len(parting.ours)), min(1, len(parting.theirs)))
    for sign, recorded, items, length in (
        ("<", left, parting.ours, lengths[0]),
        (">", right, parting.theirs, lengths[1]),
    ):
        if not items:
            yield f"{sign} {recorded.path} ends here"
        for item in items[: min(length, CONTEXT)]:
            yield f"{sign} {_line(recorded, item)}"
        if length > CONTEXT:
            yield f"{sign} … and {length - CONTEXT:,} more"
    if parting.again is not None:
        yield f"they agree again after {lengths[0]:,} of {left.path} and {lengths[1]:,} of {right.path}"


def _line(recorded: Recorded, item: Item) -> str:
    where = f"line {item.insns}" if recorded.log else time_text(item.insns, recorded.rate).strip()
    return f"{where} {line_of(item)}"


def _again(keys: list[str], others: list[str]) -> tuple[int, int] | None:
    """The nearest places from which RUN events are the same."""
    for total in range(1, WINDOW):
        for skip in range(total + 1):
            ours, theirs = keys[skip : skip + RUN], others[total - skip : total - skip + RUN]
            if len(ours) == RUN and ours == theirs:
                return skip, total - skip
    return None
