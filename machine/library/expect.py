# SPDX-License-Identifier: GPL-2.0-or-later
"""Which calls a test wants to have seen, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple

from bridge.errors import UserError, did_you_mean
from machine.events import calls, fields
from machine.traces.item import Item, values_of
from machine.traces.text import line_of

SHOWN = 12  # calls that a failure shows after the last one that was found


class Expected(NamedTuple):
    """One call.  name: a glob over events' names, in either case.  fields: what they are, names for enums."""

    name: str
    fields: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{name}={_shown(value)}" for name, value in self.fields.items())])

    def differences(self, item: Item, rate: int) -> list[str] | None:
        """What is not as expected of a call of that name; None where the name is another."""
        if not fnmatchcase(item.name, self.name.lower()):
            return None
        found = values_of(item, rate)
        return [
            f"{name} is {_shown(found.get(name))}, not {_shown(wanted)}"
            for name, wanted in self.fields.items()
            if not _same(found.get(name), wanted)
        ]


def call(name: str, status: str | None = None, **wanted: Any) -> Expected:
    """A call to look for: `call("rmi_rtt_create", "ERROR_RTT", level=3, condition="rtte_walk")`.

    Numbers are compared with inputs and outputs; names too, where they are of a closed set (`ripas="RAM"`).
    UserError for a name that no call has, or a field that no event has.
    """
    pattern = name.lower()
    if not any(fnmatchcase(known, pattern) for known in calls()) and not fnmatchcase("smc_unknown", pattern):
        raise UserError(f"{name}: no call has this name{did_you_mean(pattern, list(calls()))}")
    if status is not None:
        wanted["status"] = status
    for field in wanted:
        if field not in fields():
            raise UserError(f"{name}: no event has a field `{field}`{did_you_mean(field, list(fields()))}")
    return Expected(name, wanted)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return (found if isinstance(found, str) else getattr(found, "name", None)) == wanted
    return bool(found == wanted)


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(getattr(value, "name", None) or (value if 0 <= value < 10 else f"{value:#x}"))
    return str(value)


def _parsed(one: Expected | str) -> Expected:
    if isinstance(one, Expected):
        return one
    name, equals, status = one.partition("=")
    return call(name.strip(), status.strip() if equals else None)


def assert_calls(items: Sequence[Item], expected: Sequence[Expected | str], rate: int, dropped: int = 0) -> None:
    """AssertionError unless the calls contain the expected ones in this order, whatever else stands between them.

    expected: `call(...)`, or text: `rmi_data_*`, `rmi_rtt_create = ERROR_RTT`.
    """
    __tracebackhide__ = True  # pytest shows the test's own line
    wanted = [_parsed(one) for one in expected]
    at = 0
    found: list[int] = []
    for one in wanted:
        here = next((i for i in range(at, len(items)) if one.differences(items[i], rate) == []), None)
        if here is None:
            raise AssertionError("\n".join(_failure(items, wanted, found, at, rate, dropped)))
        found.append(here)
        at = here + 1


def _failure(
    items: Sequence[Item], wanted: Sequence[Expected], found: Sequence[int], at: int, rate: int, dropped: int
) -> Iterator[str]:
    missing = wanted[len(found)]
    yield "these calls were not made in this order:"
    for one, here in zip(wanted, found, strict=False):
        yield f"    {one}    call {here}"
    yield f"  > {missing}    not found"
    for one in wanted[len(found) + 1 :]:
        yield f"    {one}"
    close = [(i, wrong) for i in range(at, len(items)) if (wrong := missing.differences(items[i], rate))]
    if close:
        yield "closest:"
        for i, wrong in sorted(close, key=lambda row: len(row[1]))[:3]:
            yield f"    {i:6}  {line_of(items[i])}"
            yield f"            {'; '.join(wrong)}"
    before = [i for i in range(at) if missing.differences(items[i], rate) == []]
    if before:
        yield f"earlier, at {', '.join(f'call {i}' for i in before[:5])}, it was made"
    rest = items[at : at + SHOWN]
    yield f"calls from {at} of {len(items)}:" if rest else f"there are no calls after number {at - 1}"
    for i, item in enumerate(rest, at):
        yield f"    {i:6}  {line_of(item)}"
    if at + SHOWN < len(items):
        yield f"            ... and {len(items) - at - SHOWN} more"
    if dropped:
        yield f"the first {dropped} events are no longer known: make the session with a larger `keep`"
