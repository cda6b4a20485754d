# SPDX-License-Identifier: GPL-2.0-or-later
"""PL011 registers, named as in DDI 0183."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.devices import Device, pl011
from machine.devices.pl011 import Pl011


class Line:
    """A UART and what it sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.levels: list[bool] = []
        self.uart = Pl011(self._take, self.levels.append)

    def _take(self, data: bytes) -> None:
        self.sent += data

    def interrupt(self) -> bool:
        """UARTINTR; the line hears of changes only."""
        assert all(a != b for a, b in zip(self.levels, self.levels[1:], strict=False))
        return bool(self.levels) and self.levels[-1]

    def enable_fifos(self) -> None:
        self.uart.write(pl011.LCR_H, 4, 0x70)


@pytest.fixture
def line() -> Line:
    return Line()


def test_device__protocol(line: Line) -> None:
    device: Device = line.uart
    assert device.size == 4096 and not line.interrupt()


def test_dr__transmits_the_low_byte(line: Line) -> None:
    for size, value in ((1, 0x41), (2, 0x42), (4, 0x43), (4, 0xFFFF_FF44)):
        line.uart.write(pl011.DR, size, value)
    assert line.sent == b"ABCD"


def test_fr__transmitter_empty_receiver_empty(line: Line) -> None:
    flags = line.uart.read(pl011.FR, 4)
    assert flags & pl011.FR_TXFE and flags & pl011.FR_RXFE
    assert not flags & (1 << 5 | 1 << 3 | pl011.FR_RXFF), "TXFF, BUSY and RXFF read as 0"


def test_receive__in_order_then_empty(line: Line) -> None:
    line.enable_fifos()
    assert line.uart.feed(b"hey") == 3
    assert not line.uart.read(pl011.FR, 4) & pl011.FR_RXFE
    assert bytes(line.uart.read(pl011.DR, 4) for _ in range(3)) == b"hey"
    assert line.uart.read(pl011.FR, 4) & pl011.FR_RXFE
    assert line.uart.read(pl011.DR, 4) == 0


def test_receive__depth_is_1_without_and_32_with_fifos(line: Line) -> None:
    assert line.uart.feed(b"x" * 40) == 1
    assert line.uart.read(pl011.FR, 4) & pl011.FR_RXFF
    line.enable_fifos()
    assert line.uart.feed(b"x" * 40) == 31
    assert line.uart.read(pl011.FR, 4) & pl011.FR_RXFF


def test_interrupt__receive_trigger_and_timeout(line: Line) -> None:
    line.enable_fifos()
    line.uart.write(pl011.IMSC, 4, pl011.INT_RX | pl011.INT_RT)
    line.uart.feed(b"a")
    assert line.interrupt() and line.uart.read(pl011.MIS, 4) == pl011.INT_RT
    line.uart.feed(b"b" * 15)
    assert line.uart.read(pl011.MIS, 4) == pl011.INT_RX | pl011.INT_RT, "IFLS resets to half full"
    line.uart.read(pl011.DR, 4)
    assert line.uart.read(pl011.MIS, 4) == pl011.INT_RT
    for _ in range(15):
        line.uart.read(pl011.DR, 4)
    assert not line.interrupt()


def test_interrupt__icr_clears_and_imsc_masks(line: Line) -> None:
    line.uart.write(pl011.DR, 4, 0x41)
    assert line.uart.read(pl011.RIS, 4) == pl011.INT_TX and not line.interrupt()
    line.uart.write(pl011.IMSC, 4, pl011.INT_TX)
    assert line.interrupt()
    line.uart.write(pl011.ICR, 4, pl011.INT_TX)
    assert not line.interrupt() and line.uart.read(pl011.ICR, 4) == 0


def test_loopback__transmitted_bytes_are_received(line: Line) -> None:
    line.uart.write(pl011.CR, 4, pl011.CR_UARTEN | pl011.CR_LBE | pl011.CR_TXE | pl011.CR_RXE)
    line.uart.write(pl011.DR, 4, 0x41)
    line.uart.write(pl011.DR, 4, 0x42)
    assert line.sent == b"" and line.uart.read(pl011.RSR, 4) == 8, "the second byte overruns"
    assert line.uart.read(pl011.DR, 4) == 0x41 | pl011.DR_OE
    line.uart.write(pl011.RSR, 4, 0)
    assert line.uart.read(pl011.RSR, 4) == 0


@pytest.mark.parametrize(
    ("register", "mask", "reset"),
    [
        (pl011.IBRD, 0xFFFF, 0),
        (pl011.FBRD, 0x3F, 0),
        (pl011.LCR_H, 0xFF, 0),
        (pl011.CR, 0xFF87, 0x300),
        (pl011.IFLS, 0x3F, 0x12),
        (pl011.IMSC, 0x7FF, 0),
        (pl011.DMACR, 0x7, 0),
    ],
)
def test_register__reset_and_writable_bits(line: Line, register: int, mask: int, reset: int) -> None:
    assert line.uart.read(register, 4) == reset
    line.uart.write(register, 4, 0xFFFF_FFFF)
    assert line.uart.read(register, 4) == mask


def test_identification(line: Line) -> None:
    ids = [line.uart.read(0xFE0 + 4 * i, 4) for i in range(8)]
    assert ids == [0x11, 0x10, 0x34, 0x00, 0x0D, 0xF0, 0x05, 0xB1]
    assert line.uart.read(0xFE4, 1) == 0x10 and line.uart.read(0xFE5, 1) == 0


def test_read_only_registers__ignore_writes(line: Line) -> None:
    for register in (pl011.FR, pl011.RIS, pl011.MIS, 0xFE0, 0x100):
        before = line.uart.read(register, 4)
        line.uart.write(register, 4, 0xFFFF)
        assert line.uart.read(register, 4) == before


@given(
    accesses=st.lists(
        st.tuples(st.booleans(), st.integers(0, 4095), st.sampled_from([1, 2, 4, 8]), st.integers(0, (1 << 64) - 1)),
        max_size=60,
    )
)
def test_any_access__stays_in_its_width(accesses: list[tuple[bool, int, int, int]]) -> None:
    line = Line()
    for write, offset, size, value in accesses:
        if write:
            line.uart.write(offset, size, value & ((1 << 8 * size) - 1))
        else:
            assert 0 <= line.uart.read(offset, size) < 1 << 8 * min(size, 4)
    line.uart.feed(b"x")


def test_drained__tells_that_there_is_room(line: Line) -> None:
    told: list[int] = []
    line.uart.drained = lambda: told.append(1)
    line.uart.feed(b"a")
    assert told == []
    line.uart.read(pl011.DR, 4)
    line.uart.read(pl011.DR, 4)
    assert told == [1], "an empty FIFO has not been drained"


@pytest.mark.parametrize(("select", "level"), [(0, 4), (1, 8), (2, 16), (3, 24), (4, 28), (7, 28)])
def test_ifls__receive_trigger_in_eighths_of_32(line: Line, select: int, level: int) -> None:
    """DDI 0183, 3.3.9."""
    line.enable_fifos()
    line.uart.write(pl011.IFLS, 4, select << 3)
    line.uart.feed(b"x" * (level - 1))
    assert not line.uart.read(pl011.RIS, 4) & pl011.INT_RX
    line.uart.feed(b"x")
    assert line.uart.read(pl011.RIS, 4) & pl011.INT_RX


def test_reset__as_at_power_on(line: Line) -> None:
    line.enable_fifos()
    line.uart.write(pl011.IMSC, 4, 0x7FF)
    line.uart.feed(b"abc")
    assert line.interrupt()
    line.uart.reset()
    assert not line.interrupt() and line.uart.read(pl011.FR, 4) & pl011.FR_RXFE
    assert line.uart.read(pl011.CR, 4) == 0x300 and line.uart.read(pl011.LCR_H, 4) == 0
