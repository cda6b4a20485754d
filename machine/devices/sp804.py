# SPDX-License-Identifier: GPL-2.0-or-later
"""Arm dual timer SP804 (DDI 0271): two down-counters, one combined interrupt."""

from __future__ import annotations

from enum import IntEnum

from .device import Clock, Line, Wire
from .registers import ID, U32, Registers, identification, primecell
from .ticks import Ticks

ONE_SHOT = 1 << 0
SIZE_32 = 1 << 1
PRESCALE = 3 << 2
INT_ENABLE = 1 << 5
PERIODIC = 1 << 6
ENABLE = 1 << 7

_IDS = primecell(0x804, revision=1)
_DIVISORS = (1, 16, 256, 256)
_SECOND_TIMER = 0x20


class Reg(IntEnum):
    """Offsets in each timer's half (DDI 0271, 3.2)."""

    LOAD = 0x00
    VALUE = 0x04
    CONTROL = 0x08
    INTCLR = 0x0C
    RIS = 0x10
    MIS = 0x14
    BGLOAD = 0x18


class _Timer:
    """One of the two.  changed: called when the interrupt status may have changed."""

    def __init__(self, clock: Clock, hz: int, changed: Wire, other: list[_Timer]) -> None:
        self._ticks = Ticks(clock, hz, self._zero)
        self._wire = changed
        self._all = other
        self.reset()

    def reset(self) -> None:
        self._load = 0
        self._control = INT_ENABLE
        self.raw = False
        # The count was `_count` at (prescaled) tick `_start`.
        self._count = U32
        self._start = 0
        self._ticks.wait(None)

    @property
    def masked(self) -> bool:
        return self.raw and bool(self._control & INT_ENABLE)

    @property
    def _divisor(self) -> int:
        return _DIVISORS[(self._control & PRESCALE) >> 2]

    @property
    def _top(self) -> int:
        """What the counter goes on from after 0."""
        limit = U32 if self._control & SIZE_32 else 0xFFFF
        return self._load & limit if self._control & PERIODIC else limit

    def _value(self) -> int:
        if not self._control & ENABLE:
            return self._count
        passed = self._ticks.now // self._divisor - self._start
        if passed <= self._count:
            return self._count - passed
        if self._control & ONE_SHOT:
            return 0
        top = self._top
        return top - (passed - self._count - 1) % (top + 1)

    def load(self, offset: int) -> int:
        match offset:
            case Reg.LOAD | Reg.BGLOAD:
                return self._load
            case Reg.VALUE:
                return self._value()
            case Reg.CONTROL:
                return self._control
            case Reg.RIS:
                return int(self.raw)
            case Reg.MIS:
                return int(self.masked)
        return 0

    def store(self, offset: int, value: int) -> None:
        match offset:
            case Reg.LOAD:
                self._load = value
                self._go_from(value)
                if value == 0 and self._control & ENABLE:
                    self.raw = True
            case Reg.BGLOAD:
                count = self._value()
                self._load = value
                self._go_from(count)
            case Reg.CONTROL:
                count = self._value()
                self._control = value & 0xEF
                self._go_from(count)
            case Reg.INTCLR:
                self.raw = False
                self._await()
        self._wire.set(any(timer.masked for timer in self._all))

    def _go_from(self, count: int) -> None:
        # The size matters to a counter that runs; software may load before it chooses.
        narrow = self._control & (ENABLE | SIZE_32) == ENABLE
        self._count = count & 0xFFFF if narrow else count
        self._start = self._ticks.now // self._divisor
        self._await()

    def _await(self) -> None:
        """The next time at 0; none while an interrupt stands, which another one would not change."""
        if not self._control & ENABLE or self.raw:
            self._ticks.wait(None)
            return
        passed = self._ticks.now // self._divisor - self._start
        due: int | None = self._count
        if passed >= self._count:
            if self._control & ONE_SHOT:
                due = None
            else:
                period = self._top + 1
                due = self._count + ((passed - self._count) // period + 1) * period
        self._ticks.wait(None if due is None else (self._start + due) * self._divisor)

    def _zero(self) -> None:
        self.raw = True
        self._wire.set(any(timer.masked for timer in self._all))


class Sp804(Registers):
    """The pair.  hz: TIMCLK, without prescaling; line: TIMINTC."""

    def __init__(self, clock: Clock, hz: int, line: Line) -> None:
        self._wire = Wire(line)
        self._timers: list[_Timer] = []
        self._timers += (_Timer(clock, hz, self._wire, self._timers) for _ in range(2))

    def reset(self) -> None:
        for timer in self._timers:
            timer.reset()
        self._wire.set(False)

    def load(self, offset: int) -> int:
        if offset < 2 * _SECOND_TIMER:
            return self._timers[offset // _SECOND_TIMER].load(offset % _SECOND_TIMER)
        return identification(_IDS, offset) if offset >= ID else 0

    def store(self, offset: int, value: int) -> None:
        if offset < 2 * _SECOND_TIMER:
            self._timers[offset // _SECOND_TIMER].store(offset % _SECOND_TIMER, value)
