# SPDX-License-Identifier: GPL-2.0-or-later
"""System registers of the Versatile Express motherboard (DUI 0447, chapter 4), as Arm's Base FVP has them."""

from __future__ import annotations

from enum import IntEnum

from .device import Clock, Reset
from .registers import U32, Registers


class Reg(IntEnum):
    """Offsets (DUI 0447, 4.2)."""

    ID = 0x000
    SW = 0x004
    LED = 0x008
    HZ100 = 0x024
    FLAGS = 0x030
    FLAGSCLR = 0x034
    NVFLAGS = 0x038
    NVFLAGSCLR = 0x03C
    MCI = 0x048
    FLASH = 0x04C
    CFGSW = 0x058
    MHZ24 = 0x05C
    MISC = 0x060
    DMA = 0x064
    PROCID0 = 0x084
    PROCID1 = 0x088
    CFGDATA = 0x0A0
    CFGCTRL = 0x0A4
    CFGSTAT = 0x0A8


CFG_START = 1 << 31
CFG_WRITE = 1 << 30
CFG_COMPLETE = 1 << 0
CFG_ERROR = 1 << 1

FUNC_OSC = 1
FUNC_RESET = 5
FUNC_MUXFPGA = 7
FUNC_SHUTDOWN = 8
FUNC_REBOOT = 9
FUNC_DVIMODE = 11

# Base FVP, Rev C: revision 2, HBI 0x020, GICv3 memory map, model.
SYS_ID = 0x2020_1100
# A Cortex-A tile on site 1, none on site 2.
_PROCID0 = 0x1400_0237
_PROCID1 = 0xFF00_0000

_STORED: dict[int, int] = {Reg.SW: 0xFF, Reg.LED: 0xFF, Reg.FLASH: 0x1, Reg.CFGSW: 0xFF, Reg.DMA: U32, Reg.CFGDATA: U32}
# (function, site, device) that hold what is written to them: oscillators of the motherboard and of site 1.
_SETTINGS = {
    **{(FUNC_OSC, 0, device): 24_000_000 for device in range(6)},
    **{(FUNC_OSC, 1, device): 24_000_000 for device in range(6)},
    (FUNC_MUXFPGA, 0, 0): 0,
    (FUNC_DVIMODE, 0, 0): 0,
}


class FvpSysregs(Registers):
    """The register block.  bark resets the machine, off ends it; NVFLAGS stay over a reset."""

    def __init__(self, clock: Clock, bark: Reset, off: Reset, ident: int = SYS_ID) -> None:
        self._clock = clock
        self._bark = bark
        self._off = off
        self._id = ident
        self._nvflags = 0
        self.reset()

    def reset(self) -> None:
        self._stored = dict.fromkeys(_STORED, 0)
        self._flags = 0
        self._settings = dict(_SETTINGS)
        self._control = 0
        self._status = 0

    def load(self, offset: int) -> int:
        match offset:
            case Reg.ID:
                return self._id
            case Reg.HZ100:
                return self._clock.ns // 10_000_000 & U32
            case Reg.FLAGS:
                return self._flags
            case Reg.NVFLAGS:
                return self._nvflags
            case Reg.MHZ24:
                return self._clock.ns * 24 // 1000 & U32
            case Reg.PROCID0:
                return _PROCID0
            case Reg.PROCID1:
                return _PROCID1
            case Reg.CFGCTRL:
                return self._control
            case Reg.CFGSTAT:
                return self._status
        # MCI and MISC read as 0: no card, no tile on site 2.
        return self._stored.get(offset, 0)

    def store(self, offset: int, value: int) -> None:
        match offset:
            case Reg.FLAGS:
                self._flags |= value
            case Reg.FLAGSCLR:
                self._flags &= ~value
            case Reg.NVFLAGS:
                self._nvflags |= value
            case Reg.NVFLAGSCLR:
                self._nvflags &= ~value
            case Reg.CFGCTRL:
                self._configure(value)
            case Reg.CFGSTAT:
                self._status = value & (CFG_COMPLETE | CFG_ERROR)
            case _ if offset in _STORED:
                self._stored[offset] = value & _STORED[offset]

    def _configure(self, value: int) -> None:
        """One transfer to the configuration controller, done at once (DUI 0447, 4.2.20)."""
        self._control = value & ~CFG_START
        if not value & CFG_START:
            return
        function, site, device = value >> 20 & 0x3F, value >> 16 & 3, value & 0xFFF
        write = bool(value & CFG_WRITE)
        self._status = CFG_COMPLETE
        setting = (function, site, device)
        if setting in self._settings:
            if write:
                self._settings[setting] = self._stored[Reg.CFGDATA]
            else:
                self._stored[Reg.CFGDATA] = self._settings[setting]
        elif write and function == FUNC_SHUTDOWN:
            self._off("shut down by SYS_CFGCTRL")
        elif write and function in (FUNC_REBOOT, FUNC_RESET):
            self._bark("reset by SYS_CFGCTRL")
        else:
            self._status |= CFG_ERROR
