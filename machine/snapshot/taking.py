# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots asked for beforehand: `--snapshot-at PLACE FILE`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from machine.snapshot.file import save
from machine.stops import Stop, Stops

if TYPE_CHECKING:
    from machine.machine import Machine


def silent(_stop: Stop) -> None:
    """Nobody debugs: the run goes on."""


class Taking:
    """Stops of its own among a debugger's, each of which writes a file once.  say: told of each."""

    def __init__(self, machine: Machine, stops: Stops, say: Callable[[str], object]) -> None:
        self._machine = machine
        self._stops = stops
        self._say = say
        self._then = stops.front
        self._files: dict[int, str] = {}
        stops.front = self.front

    def at(self, place: str, path: str) -> None:
        """UserError for a place that is none."""
        self._files[self._stops.add(place).number] = path

    def missed(self) -> list[str]:
        """Files that the run did not get to."""
        return list(self._files.values())

    def front(self, stop: Stop) -> None:
        places = self._stops.breakpoints
        due = [number for number in self._files if places[number].hits]
        own = {f"breakpoint {number} ({places[number].text})" for number in due}
        paths = [self._files.pop(number) for number in due]
        for number in due:
            self._stops.remove(number)
        others = [text for text in stop.text.split("; ") if text.partition("): ")[0].rstrip(")") + ")" not in own]
        if not paths:
            self._then(stop)
            return

        def take() -> None:
            for path in paths:
                size = save(self._machine, path)
                self._say(f"snapshot at {self._machine.board.insns:,} instructions: {path}, {size / 1e6:.1f} MB")
            if others:
                self._then(stop)

        self._machine.freeze(take)
