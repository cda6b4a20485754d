# SPDX-License-Identifier: GPL-2.0-or-later
"""Arm watchdog SP805 (DDI 0270): an interrupt the first time that its counter reaches 0, a reset the second time."""

from __future__ import annotations

from enum import IntEnum

from .device import Clock, Line, Reset, Wire
from .registers import ID, U32, Registers, identification, primecell
from .ticks import Ticks

UNLOCK = 0x1ACC_E551
INTEN = 1 << 0
RESEN = 1 << 1

_IDS = primecell(0x805, revision=1)


class Reg(IntEnum):
    """Offsets (DDI 0270, 3.2)."""

    LOAD = 0x000
    VALUE = 0x004
    CONTROL = 0x008
    INTCLR = 0x00C
    RIS = 0x010
    MIS = 0x014
    LOCK = 0xC00


class Sp805(Registers):
    """One watchdog.  hz: WDOGCLK; line: WDOGINT; reset: WDOGRES."""

    def __init__(self, clock: Clock, hz: int, line: Line, bark: Reset, name: str = "watchdog") -> None:
        self._ticks = Ticks(clock, hz, self._zero)
        self._wire = Wire(line)
        self._bark = bark
        self._name = name
        self.reset()

    def reset(self) -> None:
        self._load = U32
        self._control = 0
        self._raw = False
        self._locked = False
        # The count was `_load` at tick `_start`; it stands at `_held` while the counter does not run.
        self._start = 0
        self._held: int | None = U32
        self._ticks.wait(None)
        self._wire.set(False)

    def load(self, offset: int) -> int:
        match offset:
            case Reg.LOAD:
                return self._load
            case Reg.VALUE:
                return self._value()
            case Reg.CONTROL:
                return self._control
            case Reg.RIS:
                return int(self._raw)
            case Reg.MIS:
                return int(self._wire.level)
            case Reg.LOCK:
                return int(self._locked)
        return identification(_IDS, offset) if offset >= ID else 0

    def store(self, offset: int, value: int) -> None:
        if offset == Reg.LOCK:
            self._locked = value != UNLOCK
            return
        if self._locked:
            return
        match offset:
            case Reg.LOAD:
                self._load = value
                self._restart()
            case Reg.CONTROL:
                self._set_control(value & (INTEN | RESEN))
            case Reg.INTCLR:
                self._raw = False
                self._restart()
        self._wire.set(self._raw and bool(self._control & INTEN))

    def _value(self) -> int:
        if self._held is not None:
            return self._held
        return self._load - (self._ticks.now - self._start) % (self._load + 1)

    def _set_control(self, value: int) -> None:
        old, held = self._control, self._value()
        self._control = value
        if not value & INTEN:
            # INTEN enables the counter as well as the interrupt (3.2.3).
            self._held = held
            self._ticks.wait(None)
        elif not old & INTEN:
            self._restart()
        elif value != old:
            self._await()

    def _restart(self) -> None:
        """The counter starts from the load value; a counter that is off takes it when it is enabled."""
        if self._control & INTEN:
            self._held = None
            self._start = self._ticks.now
            self._await()
        else:
            self._held = self._load

    def _await(self) -> None:
        """The next time at 0 that changes something: once the interrupt is up only a reset is left."""
        if self._raw and not self._control & RESEN:
            self._ticks.wait(None)
            return
        since, period = self._ticks.now - self._start, self._load + 1
        rounds = since // period
        if since % period >= self._load and since:
            rounds += 1
        self._ticks.wait(self._start + rounds * period + self._load)

    def _zero(self) -> None:
        if not self._raw:
            self._raw = True
            self._wire.set(True)
            self._await()
        else:
            self._held = 0
            self._bark(f"{self._name}: not serviced after its interrupt")
