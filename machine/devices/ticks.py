# SPDX-License-Identifier: GPL-2.0-or-later
"""Counting and waiting in the ticks of a device's own clock."""

from __future__ import annotations

from collections.abc import Callable

from .device import Alarm, Clock

SECOND = 1_000_000_000


class Ticks:
    """A clock of `hz` ticks a second that has run since power-on, and at most one wait on it."""

    __slots__ = ("_action", "_alarm", "_at", "_clock", "hz")

    def __init__(self, clock: Clock, hz: int, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action = action
        self._alarm: Alarm | None = None
        self._at = 0
        self.hz = hz

    @property
    def now(self) -> int:
        return self._clock.ns * self.hz // SECOND

    def wait(self, at: int | None) -> None:
        """Runs the action when the count has reached `at`, in place of an earlier wait; None: not at all."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if at is not None:
            self._at = at
            self._alarm = self._clock.after(max(-(-at * SECOND // self.hz) - self._clock.ns, 0), self._due)

    def _due(self) -> None:
        self._alarm = None
        if self.now < self._at:
            # The clock's nanoseconds are rounded down.
            self.wait(self._at)
        else:
            self._action()
