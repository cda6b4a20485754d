# SPDX-License-Identifier: GPL-2.0-or-later
"""Time in a fixed number of columns, whose width doubles as a run goes on: what is kept does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterator

COLUMNS = 480


class Columns:
    """The axis: column n holds the instructions from n * width on.  Whatever is drawn over it registers itself."""

    def __init__(self) -> None:
        self.width = 1
        self._series: list[Sums | Steps] = []

    def add(self, series: Sums | Steps) -> None:
        self._series.append(series)

    def at(self, insns: int) -> int:
        """The column of an instruction count, after making room for it."""
        while insns >= self.width * COLUMNS:
            self.width *= 2
            for series in self._series:
                series.halve()
        return insns // self.width


class Sums:
    """A number a column that adds up: calls, instructions spent."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.values = [0] * COLUMNS
        columns.add(self)

    def halve(self) -> None:
        pairs = [sum(self.values[at : at + 2]) for at in range(0, COLUMNS, 2)]
        self.values = pairs + [0] * (COLUMNS - len(pairs))

    def count(self, insns: int) -> None:
        at = self._columns.at(insns)
        self.values[at] += 1

    def span(self, start: int, end: int) -> None:
        """The instructions from `start` up to `end`."""
        last = self._columns.at(end)
        width = self._columns.width
        for at in range(start // width, last + 1):
            self.values[at] += max(0, min(end, (at + 1) * width) - max(start, at * width))


class Steps:
    """A number that holds until it changes; a column keeps the last and the highest of its own."""

    def __init__(self, columns: Columns, start: int = 0) -> None:
        self._columns = columns
        self._start = start
        self.changes: dict[int, tuple[int, int]] = {}
        self.now = self.most = start
        columns.add(self)

    def halve(self) -> None:
        old, self.changes = self.changes, {}
        for at, (last, most) in old.items():
            before = self.changes.get(at // 2)
            self.changes[at // 2] = (last, most if before is None else max(most, before[1]))

    def change(self, insns: int, by: int) -> None:
        at = self._columns.at(insns)
        self.now += by
        self.most = max(self.most, self.now)
        before = self.changes.get(at)
        self.changes[at] = (self.now, self.now if before is None else max(self.now, before[1]))

    def values(self) -> Iterator[tuple[int, int, int]]:
        """(column, last, highest) where something changed, ascending."""
        for at in sorted(self.changes):
            yield at, *self.changes[at]
