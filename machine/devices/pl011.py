# SPDX-License-Identifier: GPL-2.0-or-later
"""Arm PrimeCell UART PL011 (DDI 0183, r1p5): registers, FIFOs, interrupts.  Bytes take no time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from .device import Line, Wire, unwired
from .registers import ID, identification, primecell

Sink = Callable[[bytes], None]

DR: Final = 0x000
RSR: Final = 0x004
FR: Final = 0x018
ILPR: Final = 0x020
IBRD: Final = 0x024
FBRD: Final = 0x028
LCR_H: Final = 0x02C
CR: Final = 0x030
IFLS: Final = 0x034
IMSC: Final = 0x038
RIS: Final = 0x03C
MIS: Final = 0x040
ICR: Final = 0x044
DMACR: Final = 0x048

FR_CTS: Final = 1 << 0
FR_RXFE: Final = 1 << 4
FR_RXFF: Final = 1 << 6
FR_TXFE: Final = 1 << 7

LCR_FEN: Final = 1 << 4
CR_UARTEN: Final = 1 << 0
CR_LBE: Final = 1 << 7
CR_TXE: Final = 1 << 8
CR_RXE: Final = 1 << 9

INT_RX: Final = 1 << 4
INT_TX: Final = 1 << 5
INT_RT: Final = 1 << 6
INT_OE: Final = 1 << 10
_INT_ALL: Final = 0x7FF

DR_OE: Final = 1 << 11

_FIFO_DEPTH: Final = 32
_IDS: Final = primecell(0x011, revision=3)  # r1p5
# UARTIFLS: the trigger level for each of its five values, in eighths of the FIFO
_LEVELS: Final = (1, 2, 4, 6, 7)

# Bits that hold what is written, of the registers that are no more than that.
_STORED: Final = {
    ILPR: 0xFF,
    IBRD: 0xFFFF,
    FBRD: 0x3F,
    LCR_H: 0xFF,
    CR: 0xFF87,
    IFLS: 0x3F,
    IMSC: _INT_ALL,
    DMACR: 0x7,
}


class Pl011:
    """One UART.  `sink` gets what it transmits; `feed` is the other end of its receive line, UARTINTR is `line`.

    As on the boards that firmware is written for, a byte written to DR goes out whether or not UARTEN and TXE
    are set, and the transmitter is always empty.
    """

    size = 4096

    def __init__(self, sink: Sink, line: Line = unwired) -> None:
        self._sink = sink
        self._wire = Wire(line)
        # Called when the FIFO has room again: whoever feeds it may go on.
        self.drained: Callable[[], object] | None = None
        self.reset()

    def reset(self) -> None:
        self._stored = dict.fromkeys(_STORED, 0)
        self._stored[CR] = CR_TXE | CR_RXE
        self._stored[IFLS] = 0x12
        self._receive: deque[int] = deque()
        self._overrun = False
        self._raw = INT_TX
        self._wire.set(False)

    @property
    def listens(self) -> bool:
        """Whether a driver is there that received bytes would interrupt."""
        return bool(self._stored[IMSC] & (INT_RX | INT_RT))

    def feed(self, data: bytes) -> int:
        """Bytes that arrive on the receive line; returns how many were taken, 0 once the FIFO is full."""
        taken = 0
        for byte in data:
            if len(self._receive) >= self._depth():
                break
            self._arrive(byte)
            taken += 1
        self._update()
        return taken

    def read(self, offset: int, size: int) -> int:
        register, shift = offset & ~3, (offset & 3) * 8
        return self._read(register) >> shift & ((1 << min(size, 4) * 8) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        # Registers are 16 bits wide at the most; narrower writes reach the low byte lane, others are ignored.
        if offset & 3 == 0:
            self._write(offset, value & 0xFFFF if size > 1 else value & 0xFF)

    def _update(self) -> None:
        level = self._raw & self._stored[IMSC] != 0
        if level != self._wire.level:
            self._wire.set(level)

    def _depth(self) -> int:
        return _FIFO_DEPTH if self._stored[LCR_H] & LCR_FEN else 1

    def _trigger(self) -> int:
        if not self._stored[LCR_H] & LCR_FEN:
            return 1
        select = self._stored[IFLS] >> 3 & 7
        return _LEVELS[min(select, 4)] * _FIFO_DEPTH // 8

    def _arrive(self, byte: int) -> None:
        if len(self._receive) >= self._depth():
            self._overrun = True
            self._raw |= INT_OE
            return
        self._receive.append(byte)
        # No time passes on the line: the receive time-out fires at once below the trigger level.
        self._raw |= INT_RX if len(self._receive) >= self._trigger() else INT_RT

    def _read(self, register: int) -> int:
        if register == DR:
            return self._take()
        if register == RSR:
            return 8 if self._overrun else 0
        if register == FR:
            flags = FR_TXFE | FR_CTS
            if not self._receive:
                flags |= FR_RXFE
            if len(self._receive) >= self._depth():
                flags |= FR_RXFF
            return flags
        if register == RIS:
            return self._raw
        if register == MIS:
            return self._raw & self._stored[IMSC]
        if register >= ID:
            return identification(_IDS, register)
        return self._stored.get(register, 0)

    def _take(self) -> int:
        if not self._receive:
            return 0
        value = self._receive.popleft()
        if self._overrun:
            value |= DR_OE
            self._overrun = False
        if len(self._receive) < self._trigger():
            self._raw &= ~INT_RX
        if not self._receive:
            self._raw &= ~INT_RT
        self._update()
        if self.drained is not None:
            self.drained()
        return value

    def _write(self, register: int, value: int) -> None:
        if register == DR:
            if self._stored[CR] & CR_LBE:
                self._arrive(value & 0xFF)
            else:
                self._sink(bytes((value & 0xFF,)))
            self._raw |= INT_TX
            if not self._stored[IMSC]:
                return
        elif register == RSR:
            self._overrun = False
        elif register == ICR:
            self._raw &= ~value
        elif register in self._stored:
            self._stored[register] = value & _STORED[register]
            if register == LCR_H and not value & LCR_FEN:
                # Turning the FIFOs off flushes them.
                while len(self._receive) > 1:
                    self._receive.pop()
        self._update()
