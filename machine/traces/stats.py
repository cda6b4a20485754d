# SPDX-License-Identifier: GPL-2.0-or-later
"""What a trace adds up to: counts, statuses, exits by reason, latencies in virtual time, the slowest calls."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from machine.traces.item import Item, nanoseconds, status_name
from machine.traces.text import line_of, time_text

SLOWEST = 10


class Stats:
    """Sums over the events of one trace.  rate: instructions a second.

    The latency of RMI_REC_ENTER is how long its REC ran; that of a realm's call that makes its REC exit, how long the
    host took until it let the REC run again.  Other calls are answered in no virtual time.
    """

    def __init__(self, items: Iterable[Item], rate: int, slowest: int = SLOWEST) -> None:
        self.rate = rate
        self.count = 0
        self.first = self.last = 0
        self.events: Counter[str] = Counter()
        self.statuses: dict[str, Counter[str]] = {}
        self.conditions: Counter[tuple[str, str]] = Counter()
        self.reasons: Counter[str] = Counter()
        self.times: dict[str, list[int]] = {}  # by call: number, sum and longest, in instructions
        self._slow: list[tuple[int, int, str, int]] = []
        self._most = slowest
        self._waiting: dict[int, Item] = {}
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """One more event."""
        if not self.count:
            self.first = item.insns
        self.count += 1
        self.last = item.insns
        self.events[item.name] += 1
        if item.name == "rec_exit":
            self.reasons[str(item.fields["reason"])] += 1
        elif item.name == "rec_enter":
            asked = self._waiting.pop(item.fields["rec_pa"], None)
            if asked is not None:
                self._took(asked, item.insns - asked.insns)
        if item.call is not None:
            self._call(item)
            if not item.call.result and item.call.rec_pa is not None:
                self._waiting[item.call.rec_pa] = item

    def _call(self, item: Item) -> None:
        assert item.call is not None
        status = status_name(item.call)
        if status is not None:
            self.statuses.setdefault(item.name, Counter())[status.name] += 1
        if item.call.condition is not None:
            self.conditions[item.name, item.call.condition] += 1
        if item.start is not None:
            self._took(item, item.insns - item.start)

    def _took(self, item: Item, insns: int) -> None:
        entry = self.times.setdefault(item.name, [0, 0, 0])
        entry[0] += 1
        entry[1] += insns
        entry[2] = max(entry[2], insns)
        row = (insns, -self.count, line_of(item), item.insns)
        if len(self._slow) < self._most:
            heapq.heappush(self._slow, row)
        elif self._slow and row > self._slow[0]:
            heapq.heapreplace(self._slow, row)

    @property
    def slowest(self) -> list[tuple[int, str, int]]:
        """(instructions, line, when) of the slowest calls, slowest first."""
        return [(insns, line, at) for insns, _, line, at in sorted(self._slow, reverse=True)]

    def lines(self) -> Iterator[str]:
        """For a person."""
        span = nanoseconds(self.last - self.first, self.rate)
        yield f"{self.count:,} events in {span / 1e6:.3f} ms of virtual time"
        yield ""
        yield f"{'count':>10}  event"
        for name, count in _by_count(self.events):
            found = self.statuses.get(name)
            text = "" if found is None else ": " + ", ".join(f"{n:,} {s}" for s, n in _by_count(found))
            yield f"{count:>10,}  {name}{text}"
        if self.conditions:
            yield from ("", f"{'count':>10}  failed condition")
            for (name, condition), count in sorted(self.conditions.items(), key=lambda row: (-row[1], row[0])):
                yield f"{count:>10,}  {name} [{condition}]"
        if self.reasons:
            yield from ("", f"{'count':>10}  exit to the host")
            for reason, count in _by_count(self.reasons):
                yield f"{count:>10,}  {reason}"
        if self.times:
            yield from ("", f"{'count':>10}  {'mean us':>12}  {'longest us':>12}  latency of")
            for name, (count, total, longest) in sorted(self.times.items()):
                mean = self._us(total) / count
                yield f"{count:>10,}  {mean:>12.3f}  {self._us(longest):>12.3f}  {name}"
            yield from ("", f"{'us':>14}  slowest calls")
            for insns, line, at in self.slowest:
                yield f"{self._us(insns):>14.3f}  {time_text(at, self.rate).strip()} {line}"

    def _us(self, insns: int) -> float:
        return nanoseconds(insns, self.rate) / 1000

    def as_dict(self) -> dict[str, Any]:
        """For a program; times in ns."""
        rate = self.rate
        return {
            "events": self.count,
            "virtual_ns": nanoseconds(self.last - self.first, rate),
            "counts": dict(_by_count(self.events)),
            "statuses": {name: dict(_by_count(found)) for name, found in sorted(self.statuses.items())},
            "conditions": {f"{name} {condition}": n for (name, condition), n in sorted(self.conditions.items())},
            "exits": dict(_by_count(self.reasons)),
            "latencies": {
                name: {"count": n, "mean_ns": nanoseconds(total, rate) // n, "longest_ns": nanoseconds(longest, rate)}
                for name, (n, total, longest) in sorted(self.times.items())
            },
            "slowest": [
                {"ns": nanoseconds(insns, rate), "at_ns": nanoseconds(at, rate), "call": line}
                for insns, line, at in self.slowest
            ],
        }


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))
