"""A clock that tests wind by hand, and what hostile software does to any device."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from machine.devices import Device

MS = 1_000_000
SECOND = 1_000_000_000


class HandAlarm:
    def __init__(self, at: int, action: Callable[[], None]) -> None:
        self.at = at
        self.action = action
        self.live = True

    def cancel(self) -> None:
        self.live = False


class HandClock:
    """Virtual time in nanoseconds that `pass_` moves on; alarms run at their own instants, in order."""

    def __init__(self) -> None:
        self.ns = 0
        self._alarms: list[HandAlarm] = []

    def after(self, ns: int, action: Callable[[], None]) -> HandAlarm:
        assert ns >= 0
        alarm = HandAlarm(self.ns + max(ns, 1), action)
        self._alarms.append(alarm)
        return alarm

    def pass_(self, ns: int) -> None:
        end = self.ns + ns
        while due := [alarm for alarm in self._alarms if alarm.live and alarm.at <= end]:
            alarm = min(due, key=lambda a: a.at)
            self._alarms.remove(alarm)
            self.ns = alarm.at
            alarm.action()
        self._alarms = [alarm for alarm in self._alarms if alarm.live]
        self.ns = end

    @property
    def pending(self) -> int:
        return sum(alarm.live for alarm in self._alarms)


class Lamp:
    """An interrupt line, lit while it is asserted; it must hear of changes only."""

    def __init__(self) -> None:
        self.lit = False
        self.changes = 0

    def __call__(self, level: bool) -> None:
        assert level != self.lit, "a line is told of changes only"
        self.lit = level
        self.changes += 1


ACCESSES = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(st.integers(0, 4095), st.integers(0, 31).map(lambda n: 4 * n), st.integers(0xFC0, 0xFFF)),
        st.sampled_from([1, 2, 4, 8]),
        st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, 255), st.just((1 << 64) - 1)),
        st.integers(0, 3 * SECOND),
    ),
    max_size=60,
)


def abuse(device: Device, clock: HandClock | None, accesses: list[tuple[bool, int, int, int, int]]) -> None:
    """Any accesses with any time between them: no exception, and values of the width that was asked for."""
    for write, offset, size, value, wait in accesses:
        if write:
            device.write(offset, size, value & ((1 << 8 * size) - 1))
        else:
            assert 0 <= device.read(offset, size) < 1 << 8 * size
        if clock is not None:
            clock.pass_(wait)
            assert clock.pending <= 16
