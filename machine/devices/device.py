# SPDX-License-Identifier: GPL-2.0-or-later
"""The shapes around a memory-mapped device: the device, its interrupt line, its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

Line = Callable[[bool], None]
"""The level of one interrupt line.  A device calls it when the level changes, and only then."""

Reset = Callable[[str], None]
"""Asks for a reset of the machine (or for its end), with the reason in a few words."""


class Device(Protocol):
    """A device that occupies `size` bytes (whole 4K pages) of the physical address map.

    offset: bytes from its base, below `size`; the machine never lets an access cross the end.
    size: 1, 2, 4 or 8 bytes.  value: unsigned, below 2^(8 * size).
    """

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> int: ...

    def write(self, offset: int, size: int, value: int) -> None: ...


@runtime_checkable
class Resettable(Protocol):
    """What a reset of the machine reaches.  Non-volatile content stays, lines fall, alarms are cancelled."""

    def reset(self) -> None: ...


class Alarm(Protocol):
    """Something that a clock will do."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Virtual time."""

    @property
    def ns(self) -> int:
        """Nanoseconds since power-on."""
        ...

    def after(self, ns: int, action: Callable[[], None]) -> Alarm:
        """Runs `action` once when `ns` nanoseconds have passed."""
        ...


class Power(Protocol):
    """Power of the machine's PEs, which are named by their affinity (Aff2.Aff1.Aff0, as in MPIDR_EL1[23:0])."""

    @property
    def affinities(self) -> Sequence[int]: ...

    def is_on(self, affinity: int) -> bool: ...

    def on(self, affinity: int) -> None: ...

    def off(self, affinity: int) -> None:
        """At the PE's next WFI."""
        ...


def unwired(_level: bool) -> None:
    """The line of a device whose interrupt goes nowhere."""


class Wire:
    """One interrupt line and the level that it has."""

    __slots__ = ("_line", "level")

    def __init__(self, line: Line) -> None:
        self._line = line
        self.level = False

    def set(self, level: bool) -> None:
        if level != self.level:
            self.level = level
            self._line(level)
