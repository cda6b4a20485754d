# SPDX-License-Identifier: GPL-2.0-or-later
"""16550 UART, as Linux' 8250 driver and kvmtool know it: 8-bit registers, 16-byte FIFOs.  Bytes take no time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from .device import Line, Wire, unwired

Sink = Callable[[bytes], None]

RBR_THR: Final = 0
IER: Final = 1
IIR_FCR: Final = 2
LCR: Final = 3
MCR: Final = 4
LSR: Final = 5
MSR: Final = 6
SCR: Final = 7

IER_RDA: Final = 1 << 0
IER_THRE: Final = 1 << 1
IER_RLS: Final = 1 << 2
IER_MSR: Final = 1 << 3

IIR_NONE: Final = 0x1
IIR_MSR: Final = 0x0
IIR_THRE: Final = 0x2
IIR_RDA: Final = 0x4
IIR_RLS: Final = 0x6
IIR_TIMEOUT: Final = 0xC
IIR_FIFOS: Final = 0xC0

FCR_ENABLE: Final = 1 << 0
FCR_CLEAR_RX: Final = 1 << 1

LCR_DLAB: Final = 1 << 7
MCR_LOOP: Final = 1 << 4

LSR_DR: Final = 1 << 0
LSR_OE: Final = 1 << 1
LSR_THRE: Final = 1 << 5
LSR_TEMT: Final = 1 << 6

# CTS, DSR and DCD: somebody listens.
_CONNECTED: Final = 0xB0
_FIFO_DEPTH: Final = 16
_TRIGGERS: Final = (1, 4, 8, 14)


class Ns16550:
    """One UART.  reg_shift: log2 of the distance between registers, in bytes."""

    size = 4096

    def __init__(self, sink: Sink, line: Line = unwired, *, reg_shift: int = 0) -> None:
        self._sink = sink
        self._wire = Wire(line)
        self._shift = reg_shift
        # Called when the FIFO has room again: whoever feeds it may go on.
        self.drained: Callable[[], object] | None = None
        self.reset()

    def reset(self) -> None:
        self._divisor = [0x0C, 0x00]
        self._ier = self._lcr = self._mcr = self._scr = 0
        self._fcr = 0
        self._receive: deque[int] = deque()
        self._overrun = False
        # Transmitter empty, not yet reported by IIR.
        self._thre = False
        self._modem = _CONNECTED
        self._wire.set(False)

    def feed(self, data: bytes) -> int:
        """Bytes that arrive on the receive line; returns how many were taken, 0 once the FIFO is full."""
        taken = data[: max(self._depth() - len(self._receive), 0)]
        self._receive.extend(taken)
        self._update()
        return len(taken)

    def read(self, offset: int, size: int) -> int:
        register = offset >> self._shift
        if offset & ((1 << self._shift) - 1) or register > SCR:
            return 0
        return self._read(register)

    def write(self, offset: int, size: int, value: int) -> None:
        register = offset >> self._shift
        if offset & ((1 << self._shift) - 1) or register > SCR:
            return
        self._write(register, value & 0xFF)
        self._update()

    def _depth(self) -> int:
        return _FIFO_DEPTH if self._fcr & FCR_ENABLE else 1

    def _trigger(self) -> int:
        return _TRIGGERS[self._fcr >> 6] if self._fcr & FCR_ENABLE else 1

    def _update(self) -> None:
        self._wire.set(self._cause() != IIR_NONE)

    def _cause(self) -> int:
        """IIR[3:0]: the pending interrupt of the highest priority."""
        ier = self._ier
        if self._overrun and ier & IER_RLS:
            return IIR_RLS
        if self._receive and ier & IER_RDA:
            # No time passes on the line: the time-out comes at once below the trigger level.
            return IIR_RDA if len(self._receive) >= self._trigger() else IIR_TIMEOUT
        if self._thre and ier & IER_THRE:
            return IIR_THRE
        if self._modem & 0x0F and ier & IER_MSR:
            return IIR_MSR
        return IIR_NONE

    def _read(self, register: int) -> int:
        if register == RBR_THR:
            return self._divisor[0] if self._lcr & LCR_DLAB else self._take()
        if register == IER:
            return self._divisor[1] if self._lcr & LCR_DLAB else self._ier
        if register == IIR_FCR:
            cause = self._cause()
            if cause == IIR_THRE:
                self._thre = False
                self._update()
            return cause | (IIR_FIFOS if self._fcr & FCR_ENABLE else 0)
        if register == LCR:
            return self._lcr
        if register == MCR:
            return self._mcr
        if register == LSR:
            value = LSR_THRE | LSR_TEMT | (LSR_DR if self._receive else 0) | (LSR_OE if self._overrun else 0)
            self._overrun = False
            self._update()
            return value
        if register == MSR:
            value = self._modem
            self._modem &= 0xF0
            self._update()
            return value
        return self._scr

    def _take(self) -> int:
        if not self._receive:
            return 0
        value = self._receive.popleft()
        self._update()
        if self.drained is not None:
            self.drained()
        return value

    @property
    def listens(self) -> bool:
        """Whether a driver is there that received bytes would interrupt."""
        return bool(self._ier & IER_RDA)

    def _write(self, register: int, value: int) -> None:
        if register == RBR_THR:
            if self._lcr & LCR_DLAB:
                self._divisor[0] = value
                return
            if not self._mcr & MCR_LOOP:
                self._sink(bytes((value,)))
            elif len(self._receive) < self._depth():
                self._receive.append(value)
            else:
                self._overrun = True
            self._thre = True
        elif register == IER:
            if self._lcr & LCR_DLAB:
                self._divisor[1] = value
                return
            if value & ~self._ier & IER_THRE:
                # Enabling it while the transmitter is empty raises it.
                self._thre = True
            self._ier = value & 0x0F
        elif register == IIR_FCR:
            if (value ^ self._fcr) & FCR_ENABLE or value & FCR_CLEAR_RX:
                self._receive.clear()
            self._fcr = value & 0xC9 if value & FCR_ENABLE else 0
        elif register == LCR:
            self._lcr = value
        elif register == MCR:
            self._mcr = value & 0x1F
            self._set_modem()
        elif register == SCR:
            self._scr = value

    def _set_modem(self) -> None:
        """MSR[7:4] follow the inputs, or in loopback the outputs; MSR[3:0] note what has changed."""
        mcr, inputs = self._mcr, _CONNECTED
        if mcr & MCR_LOOP:
            # RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
            inputs = (mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4
        old = self._modem
        changed = (inputs ^ old) >> 4 & 0xB
        # RI is noted when it ends.
        changed |= 0x4 if old & ~inputs & 0x40 else 0
        self._modem = inputs | old & 0x0F | changed
