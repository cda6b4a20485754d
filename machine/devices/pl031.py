# SPDX-License-Identifier: GPL-2.0-or-later
"""Arm real time clock PL031 (DDI 0224), on virtual time."""

from __future__ import annotations

from enum import IntEnum

from .device import Clock, Line, Wire
from .registers import ID, U32, Registers, identification, primecell
from .ticks import Ticks

_IDS = primecell(0x031, revision=0)


class Reg(IntEnum):
    """Offsets (DDI 0224, 3.2)."""

    DR = 0x000
    MR = 0x004
    LR = 0x008
    CR = 0x00C
    IMSC = 0x010
    RIS = 0x014
    MIS = 0x018
    ICR = 0x01C


class Pl031(Registers):
    """One clock.  epoch: its count at power-on, in seconds since 1970; it runs from there, and over a reset."""

    def __init__(self, clock: Clock, epoch: int, line: Line) -> None:
        self._seconds = Ticks(clock, 1, self._match)
        self._wire = Wire(line)
        self._offset = epoch
        self.reset()

    def reset(self) -> None:
        self._compare = 0
        self._loaded = self._now()
        self._mask = False
        self._raw = False
        self._seconds.wait(None)
        self._wire.set(False)

    def load(self, offset: int) -> int:
        match offset:
            case Reg.DR:
                return self._now()
            case Reg.MR:
                return self._compare
            case Reg.LR:
                return self._loaded
            case Reg.CR:
                return 1
            case Reg.IMSC:
                return int(self._mask)
            case Reg.RIS:
                return int(self._raw)
            case Reg.MIS:
                return int(self._wire.level)
        return identification(_IDS, offset) if offset >= ID else 0

    def store(self, offset: int, value: int) -> None:
        match offset:
            case Reg.MR:
                self._compare = value
                self._await()
            case Reg.LR:
                self._loaded = value
                self._offset = value - self._seconds.now
                self._await()
            case Reg.IMSC:
                self._mask = bool(value & 1)
            case Reg.ICR:
                if value & 1:
                    self._raw = False
        self._wire.set(self._raw and self._mask)

    def _now(self) -> int:
        return (self._seconds.now + self._offset) & U32

    def _await(self) -> None:
        """The interrupt comes when the count becomes equal to the match register."""
        away = (self._compare - self._now()) & U32
        if away == 0:
            self._raw = True
        self._seconds.wait(self._seconds.now + (away or 1 << 32))

    def _match(self) -> None:
        self._raw = True
        self._wire.set(self._mask)
        self._await()
