# SPDX-License-Identifier: GPL-2.0-or-later
"""Two traces side by side: where they first part, and where they meet again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
    if not logs:
        one, other = list(left.items), list(right.items)
    else:
        one, other = _loggable(left.items), _loggable(right.items)
        if not left.log:
            one, gone = _as_logged(one, other)
            notes += _left_out(left.path, right.path, gone)
        if not right.log:
            other, gone = _as_logged(other, one)
            notes += _left_out(right.path, left.path, gone)
    key = _key(by, logs)
    keys, others = [key(item) for item in one], [key(item) for item in other]
    at = next((i for i, (a, b) in enumerate(zip(keys, others, strict=False)) if a != b), min(len(keys), len(others)))
    same = at == len(keys) == len(others)
    return same, _report(left, right, one, other, keys, others, at, notes)


def _left_out(path: Path, log: Path, names: list[str]) -> list[str]:
    return [f"left out of {path}, since {log} does not log them: {', '.join(names)}"] if names else []


def _report(
    left: Recorded, right: Recorded, one: list[Item], other: list[Item], keys: list[str], others: list[str], at: int,
    notes: list[str],
) -> Iterator[str]:  # fmt: skip
    yield from notes
    if at == len(one) == len(other):
        yield f"the same {at:,} events"
        return
    yield f"the first {at:,} events are the same; then:"
    for item in one[max(at - CONTEXT, 0) : at]:
        yield f"  {_line(left, item)}"
    again = _again(keys, others, at)
    rows, more = again if again is not None else (min(at + 1, len(one)), min(at + 1, len(other)))
    for sign, recorded, items, end in (("<", left, one, rows), (">", right, other, more)):
        shown = items[at : min(end, at + CONTEXT)]
        if at == len(items):
            yield f"{sign} {recorded.path} ends here"
        for item in shown:
            yield f"{sign} {_line(recorded, item)}"
        if end - at > CONTEXT:
            yield f"{sign} … and {end - at - CONTEXT:,} more"
    if again is not None and (rows < len(one) or more < len(other)):
        yield f"they agree again after {rows - at:,} of {left.path} and {more - at:,} of {right.path}"


def _line(recorded: Recorded, item: Item) -> str:
    where = f"line {item.insns}" if recorded.log else time_text(item.insns, recorded.rate).strip()
    return f"{where} {line_of(item)}"


def _again(keys: list[str], others: list[str], at: int) -> tuple[int, int] | None:
    """The nearest places after a divergence from which RUN events are the same."""
    for total in range(1, WINDOW):
        for skip in range(total + 1):
            i, j = at + skip, at + total - skip
            ours, theirs = keys[i : i + RUN], others[j : j + RUN]
            if len(ours) == RUN and ours == theirs:
                return i, j
    return None
