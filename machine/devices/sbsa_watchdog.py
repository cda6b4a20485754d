# SPDX-License-Identifier: GPL-2.0-or-later
"""Generic watchdog of the Base System Architecture (DEN0094, appendix; formerly SBSA, DEN0029), revision 1.

Two frames: the control frame, and the refresh frame that may be given to other software.
"""

from __future__ import annotations

from enum import IntEnum

from .device import Clock, Line, Reset, Wire
from .registers import U32, Registers
from .ticks import Ticks

EN = 1 << 0
WS0 = 1 << 1
WS1 = 1 << 2

# W_IIDR: architecture version 1 (48-bit offset), implementer Arm (JEP106 0x43B).
IIDR = 0x0001_043B
_IIDR_OFFSET = 0xFCC

_U64 = (1 << 64) - 1


class Reg(IntEnum):
    """Offsets in the control frame."""

    WCS = 0x000
    WOR = 0x008
    WOR_HIGH = 0x00C
    WCV = 0x010
    WCV_HIGH = 0x014


WRR = 0x000
"""The only register of the refresh frame."""


class SbsaWatchdog(Registers):
    """The control frame.  hz: the system counter's frequency; line: WS0; bark: what WS1 resets."""

    def __init__(self, clock: Clock, hz: int, line: Line, bark: Reset, name: str = "watchdog") -> None:
        self._ticks = Ticks(clock, hz, self._timeout)
        self._wire = Wire(line)
        self._bark = bark
        self._name = name
        self.reset()

    def reset(self) -> None:
        self._enabled = False
        self._ws1 = False
        self._offset = 0
        self._compare = 0
        self._ticks.wait(None)
        self._wire.set(False)

    def load(self, offset: int) -> int:
        match offset:
            case Reg.WCS:
                return (EN if self._enabled else 0) | (WS0 if self._wire.level else 0) | (WS1 if self._ws1 else 0)
            case Reg.WOR:
                return self._offset & U32
            case Reg.WOR_HIGH:
                return self._offset >> 32
            case Reg.WCV:
                return self._compare & U32
            case Reg.WCV_HIGH:
                return self._compare >> 32
        return IIDR if offset == _IIDR_OFFSET else 0

    def store(self, offset: int, value: int) -> None:
        match offset:
            case Reg.WCS:
                self._enabled = bool(value & EN)
                self.refresh()
            case Reg.WOR:
                self._offset = self._offset & ~U32 | value
                self.refresh()
            case Reg.WOR_HIGH:
                self._offset = self._offset & U32 | (value & 0xFFFF) << 32
                self.refresh()
            case Reg.WCV:
                self._compare = self._compare & ~U32 | value
                self._await()
            case Reg.WCV_HIGH:
                self._compare = self._compare & U32 | value << 32
                self._await()

    def refresh(self) -> None:
        """An explicit refresh: a write of WCS, WOR or the refresh frame's WRR."""
        self._ws1 = False
        self._wire.set(False)
        self._compare = (self._ticks.now + self._offset) & _U64
        self._await()

    def _await(self) -> None:
        # A time-out is "counter greater than compare value".
        self._ticks.wait(self._compare + 1 if self._enabled and not self._ws1 else None)

    def _timeout(self) -> None:
        if not self._wire.level:
            self._compare = (self._ticks.now + self._offset) & _U64
            self._wire.set(True)
            self._await()
        else:
            self._ws1 = True
            self._bark(f"{self._name}: WS1, not refreshed after WS0")


class RefreshFrame(Registers):
    """The refresh frame of a watchdog."""

    def __init__(self, watchdog: SbsaWatchdog) -> None:
        self._watchdog = watchdog

    def load(self, offset: int) -> int:
        return IIDR if offset == _IIDR_OFFSET else 0

    def store(self, offset: int, value: int) -> None:
        if offset == WRR:
            self._watchdog.refresh()
