# SPDX-License-Identifier: GPL-2.0-or-later
"""What Perfetto's importer asks of Chrome trace-event JSON ("Trace Event Format", Google, 2016)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

Thread = tuple[int, int]


class Found(NamedTuple):
    """What a file has: process and thread names, slices by thread as (start, end, name) in ns, flows by name."""

    processes: dict[int, str]
    threads: dict[Thread, str]
    slices: dict[Thread, list[tuple[int, int, str]]]
    flows: dict[str, int]


def _ns(microseconds: float) -> int:
    assert microseconds >= 0
    return round(microseconds * 1000)


def check(data: dict[str, Any]) -> Found:
    """AssertionError where a rule of the format is broken."""
    assert data["displayTimeUnit"] in ("ms", "ns")
    found = Found({}, {}, defaultdict(list), defaultdict(int))
    open_flows: dict[int, dict[str, Any]] = {}
    for row in data["traceEvents"]:
        thread = (row["pid"], row["tid"])
        assert all(type(number) is int for number in thread)
        match row["ph"]:
            case "M":
                names = {"process_name": found.processes, "thread_name": found.threads}[row["name"]]
                names[row["pid"] if row["name"] == "process_name" else thread] = row["args"]["name"]  # type: ignore
                continue
            case "X":
                start = _ns(row["ts"])
                found.slices[thread].append((start, start + _ns(row["dur"]), row["name"]))
            case "i":
                assert row["s"] in "tpg"
            case "s":
                assert row["id"] not in open_flows, "ids of flows are unique"
                open_flows[row["id"]] = row
            case "f":
                begun = open_flows[row["id"]]
                assert row["bp"] == "e", "binds to the slice around it"
                assert (begun["name"], begun["cat"], begun["ts"]) == (row["name"], row["cat"], row["ts"])
                assert begun["pid"] != row["pid"], "flows lead to another world"
                found.flows[row["name"]] += 1
            case "B":
                pass
            case other:
                raise AssertionError(f"phase {other}")
        assert thread in found.threads, f"{thread} has a name before it has events"
        assert row["pid"] in found.processes
    for rows in found.slices.values():
        _nested(rows)
    for row in data["traceEvents"]:
        if row["ph"] in "sf":
            at = _ns(row["ts"])
            assert any(s <= at <= e for s, e, _ in found.slices[row["pid"], row["tid"]]), f"no slice around {row}"
    return found


def _nested(rows: list[tuple[int, int, str]]) -> None:
    stack: list[tuple[int, int, str]] = []
    for row in sorted(rows, key=lambda row: (row[0], -row[1])):
        while stack and stack[-1][1] <= row[0]:
            stack.pop()
        assert not stack or row[1] <= stack[-1][1], f"{row} ends after {stack[-1]}, in which it began"
        stack.append(row)
