# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory-mapped generic timer (DDI 0487, chapter I2): CNTCTLBase, its CNTBaseN frames, and the counter's own frames."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from .device import Clock, Line, Wire
from .registers import U32, Registers
from .ticks import Ticks

_U64 = (1 << 64) - 1

CTL_ENABLE = 1 << 0
CTL_IMASK = 1 << 1
CTL_ISTATUS = 1 << 2

# CNTACR<n>: what software may reach in frame n.
RPCT = 1 << 0
RVCT = 1 << 1
RFRQ = 1 << 2
RVOFF = 1 << 3
RWVT = 1 << 4
RWPT = 1 << 5
_ALL_ACCESS = 0x3F


class Control(IntEnum):
    """Offsets in CNTCTLBase (I2.3.1)."""

    CNTFRQ = 0x000
    CNTNSAR = 0x004
    CNTTIDR = 0x008
    CNTACR = 0x040
    CNTVOFF = 0x080


class Frame(IntEnum):
    """Offsets in CNTBaseN (I2.3.2)."""

    CNTPCT = 0x000
    CNTVCT = 0x008
    CNTFRQ = 0x010
    CNTVOFF = 0x018
    CNTP_CVAL = 0x020
    CNTP_TVAL = 0x028
    CNTP_CTL = 0x02C
    CNTV_CVAL = 0x030
    CNTV_TVAL = 0x038
    CNTV_CTL = 0x03C


class _Timer:
    """One timer of a frame.  Its own count is the physical one less `offset`."""

    def __init__(self, clock: Clock, hz: int, line: Line) -> None:
        self._ticks = Ticks(clock, hz, self.update)
        self._wire = Wire(line)
        self.reset()

    def reset(self) -> None:
        self.offset = 0
        self.compare = 0
        self._control = 0
        self._ticks.wait(None)
        self._wire.set(False)

    @property
    def count(self) -> int:
        return (self._ticks.now - self.offset) & _U64

    @property
    def control(self) -> int:
        met = self._control & CTL_ENABLE and self.count >= self.compare
        return self._control | (CTL_ISTATUS if met else 0)

    @control.setter
    def control(self, value: int) -> None:
        self._control = value & (CTL_ENABLE | CTL_IMASK)
        self.update()

    @property
    def value(self) -> int:
        return (self.compare - self.count) & U32

    @value.setter
    def value(self, value: int) -> None:
        signed = value - (1 << 32) if value >> 31 else value
        self.compare = (self.count + signed) & _U64
        self.update()

    def update(self) -> None:
        now = self._ticks.now
        count = (now - self.offset) & _U64
        met = count >= self.compare
        self._wire.set(met and self._control & (CTL_ENABLE | CTL_IMASK) == CTL_ENABLE)
        waits = not met and self._control & (CTL_ENABLE | CTL_IMASK) == CTL_ENABLE
        self._ticks.wait(now + self.compare - count if waits else None)


class Lines(NamedTuple):
    """The interrupt lines of one frame."""

    physical: Line
    virtual: Line


class TimerFrame(Registers):
    """CNTBaseN: a physical and a virtual timer."""

    def __init__(self, clock: Clock, hz: int, lines: Lines) -> None:
        self.physical = _Timer(clock, hz, lines.physical)
        self.virtual = _Timer(clock, hz, lines.virtual)
        self._hz = hz
        self.reset()

    def reset(self) -> None:
        # Firmware that runs before this machine's first instruction has opened the frames.
        self.access = _ALL_ACCESS
        self.frequency = self._hz
        self.physical.reset()
        self.virtual.reset()

    def load(self, offset: int) -> int:
        register, shift = offset & ~7, (offset & 4) * 8
        match register:
            case Frame.CNTPCT:
                return self.physical.count >> shift & U32 if self.access & RPCT else 0
            case Frame.CNTVCT:
                return self.virtual.count >> shift & U32 if self.access & RVCT else 0
            case Frame.CNTFRQ:
                readable = self.access & RFRQ and not shift
                return self.frequency if readable else 0
            case Frame.CNTVOFF:
                return self.virtual.offset >> shift & U32 if self.access & RVOFF else 0
        if register in (Frame.CNTP_CVAL, Frame.CNTP_TVAL):
            return _load(self.physical, offset - Frame.CNTP_CVAL) if self.access & RWPT else 0
        if register in (Frame.CNTV_CVAL, Frame.CNTV_TVAL):
            return _load(self.virtual, offset - Frame.CNTV_CVAL) if self.access & RWVT else 0
        return 0

    def store(self, offset: int, value: int) -> None:
        register = offset & ~7
        if register in (Frame.CNTP_CVAL, Frame.CNTP_TVAL) and self.access & RWPT:
            _store(self.physical, offset - Frame.CNTP_CVAL, value)
        elif register in (Frame.CNTV_CVAL, Frame.CNTV_TVAL) and self.access & RWVT:
            _store(self.virtual, offset - Frame.CNTV_CVAL, value)
        elif offset == Frame.CNTFRQ and self.access & RFRQ:
            # Read-only in the architecture; on the FVP firmware has to write it.
            self.frequency = value


def _load(timer: _Timer, offset: int) -> int:
    """Of CVAL (64 bits), TVAL and CTL, which stand in this order for either timer."""
    match offset:
        case 0:
            return timer.compare & U32
        case 4:
            return timer.compare >> 32
        case 8:
            return timer.value
    return timer.control


def _store(timer: _Timer, offset: int, value: int) -> None:
    match offset:
        case 0:
            timer.compare = timer.compare & ~U32 | value
            timer.update()
        case 4:
            timer.compare = timer.compare & U32 | value << 32
            timer.update()
        case 8:
            timer.value = value
        case _:
            timer.control = value


class TimerControl(Registers):
    """CNTCTLBase.  frames: CNTBase0 and on."""

    def __init__(self, hz: int, frames: Sequence[TimerFrame]) -> None:
        self._hz = hz
        self._frames = frames
        self.reset()

    def reset(self) -> None:
        self._frequency = self._hz
        self._nonsecure = (1 << len(self._frames)) - 1
        for frame in self._frames:
            frame.reset()

    def load(self, offset: int) -> int:
        match offset:
            case Control.CNTFRQ:
                return self._frequency
            case Control.CNTNSAR:
                return self._nonsecure
            case Control.CNTTIDR:
                # Implemented, with a virtual timer, without a second view.
                return sum(0x3 << 4 * n for n in range(len(self._frames)))
        if (frame := self._frame(offset, Control.CNTACR, 4)) is not None:
            return frame.access
        if (frame := self._frame(offset, Control.CNTVOFF, 8)) is not None:
            return frame.virtual.offset >> (offset & 4) * 8 & U32
        return 0

    def store(self, offset: int, value: int) -> None:
        if offset == Control.CNTFRQ:
            self._frequency = value
        elif offset == Control.CNTNSAR:
            self._nonsecure = value & ((1 << len(self._frames)) - 1)
        elif (frame := self._frame(offset, Control.CNTACR, 4)) is not None:
            frame.access = value & _ALL_ACCESS
        elif (frame := self._frame(offset, Control.CNTVOFF, 8)) is not None:
            timer = frame.virtual
            timer.offset = timer.offset & U32 | value << 32 if offset & 4 else timer.offset & ~U32 | value
            timer.update()

    def _frame(self, offset: int, first: int, stride: int) -> TimerFrame | None:
        index = (offset - first) // stride
        return self._frames[index] if 0 <= index < min(len(self._frames), 8) else None


class Counter(IntEnum):
    """Offsets in CNTControlBase (I2.2.1); CNTReadBase has CNTCV alone, at 0."""

    CNTCR = 0x000
    CNTSR = 0x004
    CNTCV = 0x008
    CNTFID0 = 0x020


class CounterControl(Registers):
    """CNTControlBase.  The counter runs from power-on and cannot be stopped or set: all PEs read it as virtual time."""

    def __init__(self, clock: Clock, hz: int) -> None:
        self._ticks = Ticks(clock, hz, self.reset)
        self.reset()

    def reset(self) -> None:
        self._control = 1

    def load(self, offset: int) -> int:
        match offset:
            case Counter.CNTCR:
                return self._control
            case Counter.CNTSR:
                # Frequency mode 0 is selected, not halted.
                return 1 << 8
            case Counter.CNTCV:
                return self._ticks.now & U32
            case 0x00C:
                return self._ticks.now >> 32 & U32
            case Counter.CNTFID0:
                return self._ticks.hz
        return 0

    def store(self, offset: int, value: int) -> None:
        if offset == Counter.CNTCR:
            # EN stays 1, HDBG is kept.
            self._control = 1 | value & 2


class CounterRead(Registers):
    """CNTReadBase."""

    def __init__(self, control: CounterControl) -> None:
        self._control = control

    def load(self, offset: int) -> int:
        return self._control.load(Counter.CNTCV + offset) if offset < 8 else 0

    def store(self, offset: int, value: int) -> None:
        """Read-only."""
