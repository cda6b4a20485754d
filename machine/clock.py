# SPDX-License-Identifier: GPL-2.0-or-later
"""Alarms on virtual time: what devices wait for, in an order that every run repeats."""

from __future__ import annotations

import heapq
from collections.abc import Callable

SECOND = 1_000_000_000

# Instruction counts from here on are never reached; the plugin's deadlines are 64 bits wide.
NEVER = 1 << 62


class Alarm:
    """One action to come.  Cancelling it twice, or after it ran, does nothing."""

    __slots__ = ("_queue", "action")

    def __init__(self, queue: Alarms, action: Callable[[], None]) -> None:
        self._queue = queue
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self._queue.dropped()


class Alarms:
    """The clock of a machine's devices.  now_insns: instructions retired so far; rate: instructions a second.

    Alarms that are due at the same instruction run in the order in which they were set.
    """

    def __init__(self, now_insns: Callable[[], int], rate: int) -> None:
        self._now = now_insns
        self._rate = rate
        self._heap: list[tuple[int, int, Alarm]] = []
        self._sequence = 0
        self._dead = 0

    @property
    def ns(self) -> int:
        """Virtual time, in nanoseconds since power-on."""
        return self._now() * SECOND // self._rate

    def after(self, ns: int, action: Callable[[], None]) -> Alarm:
        """Runs `action` once, at the first instruction boundary at which `ns` nanoseconds have passed.

        That is one instruction from now at the earliest, so that no device can hold the machine at one point.
        """
        now = self._now()
        alarm = Alarm(self, action)
        # (ns + the time now), rounded up to an instruction; the time now is itself rounded down.
        at = -(-(now * SECOND // self._rate + ns) * self._rate // SECOND)
        self._sequence += 1
        heapq.heappush(self._heap, (min(max(at, now + 1), NEVER), self._sequence, alarm))
        return alarm

    def next_at(self) -> int | None:
        """The instruction count at which `run_due` has something to do, or None."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
            self._dead -= 1
        return heap[0][0] if heap and heap[0][0] < NEVER else None

    def run_due(self) -> None:
        """Runs all that is due now."""
        now = self._now()
        heap = self._heap
        while heap and heap[0][0] <= now:
            alarm = heapq.heappop(heap)[2]
            action, alarm.action = alarm.action, None
            if action is None:
                self._dead -= 1
            else:
                action()

    def dropped(self) -> None:
        """An alarm was cancelled.  A guest that sets one timer over and over must not fill the host's memory."""
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._dead = 0
