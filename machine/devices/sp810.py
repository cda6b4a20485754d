# SPDX-License-Identifier: GPL-2.0-or-later
"""Arm system controller SP810 (DDI 0254): the registers that choose clocks for timers hold what is written."""

from __future__ import annotations

from enum import IntEnum

from .registers import ID, U32, Registers, identification, primecell

_IDS = primecell(0x810, revision=0)


class Reg(IntEnum):
    """Offsets (DDI 0254, 3.2)."""

    CTRL = 0x000
    SYSSTAT = 0x004
    IMCTRL = 0x008
    IMSTAT = 0x00C
    XTALCTRL = 0x010
    PLLCTRL = 0x014
    PLLFCTRL = 0x018
    PERCTRL0 = 0x01C


_MODE = 0x7
# Mode status (SCCTRL[6:3]) of the mode that is asked for: DOZE, SLOW, NORMAL.
_STATUS = {0: 0x0, 1: 0x1, 2: 0x2, 3: 0x2, 4: 0x4, 5: 0x4, 6: 0x4, 7: 0x4}
_STORED: dict[int, int] = {
    Reg.CTRL: 0x00FF_FF87,
    Reg.IMCTRL: 0xFF,
    Reg.XTALCTRL: 0x7_FFF8,
    Reg.PLLCTRL: 0x7FF_FFFF,
    Reg.PLLFCTRL: U32,
}


class Sp810(Registers):
    """The controller.  Mode changes take effect at once; no clock changes its rate."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._stored = dict.fromkeys(_STORED, 0)
        self._stored[Reg.CTRL] = 1

    def load(self, offset: int) -> int:
        if offset == Reg.CTRL:
            control = self._stored[Reg.CTRL]
            return control | _STATUS[control & _MODE] << 3
        if offset >= ID:
            return identification(_IDS, offset)
        return self._stored.get(offset, 0)

    def store(self, offset: int, value: int) -> None:
        if offset in _STORED:
            self._stored[offset] = value & _STORED[offset]
