"""16550 UART, against National Semiconductor's PC16550D data sheet (section 8) and what Linux' 8250 driver asks."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices import ns16550 as u
from machine.devices.ns16550 import Ns16550

from .clockwork import ACCESSES, Lamp, abuse


class Bench:
    def __init__(self, reg_shift: int = 0) -> None:
        self.sent = b""
        self.line = Lamp()
        self.uart = Ns16550(self._take, self.line, reg_shift=reg_shift)

    def _take(self, data: bytes) -> None:
        self.sent += data

    def __getitem__(self, register: int) -> int:
        return self.uart.read(register, 1)

    def __setitem__(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_transmit__and_transmitter_is_empty(bench: Bench) -> None:
    for byte in b"hi":
        assert bench[u.LSR] & 0x60 == 0x60
        bench[u.RBR_THR] = byte
    assert bench.sent == b"hi"


def test_divisor__stands_behind_dlab(bench: Bench) -> None:
    bench[u.LCR] = 0x83
    bench[0], bench[1] = 0x01, 0x02
    assert (bench[0], bench[1]) == (0x01, 0x02) and bench.sent == b""
    bench[u.LCR] = 0x03
    bench[0] = 0x41
    assert bench.sent == b"A" and bench[u.IER] == 0


def test_scratch__holds_8_bits(bench: Bench) -> None:
    bench.uart.write(u.SCR, 4, 0x1A5)
    assert bench[u.SCR] == 0xA5


def test_iir__no_interrupt_at_reset(bench: Bench) -> None:
    assert bench[u.IIR_FCR] == 0x01 and not bench.line.lit


def test_fcr__iir_shows_the_fifos(bench: Bench) -> None:
    bench[u.IIR_FCR] = 0x01
    assert bench[u.IIR_FCR] == 0xC1, "a 16550A"
    bench[u.IIR_FCR] = 0x00
    assert bench[u.IIR_FCR] == 0x01


def test_thre__rises_when_enabled_falls_when_read(bench: Bench) -> None:
    """The driver's test: enabling ETBEI with an empty transmitter must interrupt, again and again."""
    for _ in range(2):
        bench[u.IER] = 0x02
        assert bench.line.lit and bench[u.IIR_FCR] & 0xF == 0x02
        assert not bench.line.lit and bench[u.IIR_FCR] & 0xF == 0x01
        bench[u.IER] = 0x00
    bench[u.IER] = 0x02
    bench[u.IIR_FCR]
    bench[u.RBR_THR] = 0x41
    assert bench.line.lit, "sent at once: empty again"


def test_receive__trigger_and_timeout(bench: Bench) -> None:
    bench[u.IIR_FCR] = 0x81
    bench[u.IER] = 0x01
    assert bench.uart.feed(b"abc") == 3
    assert bench.line.lit and bench[u.IIR_FCR] & 0xF == 0x0C
    bench.uart.feed(b"defgh")
    assert bench[u.IIR_FCR] & 0xF == 0x04, "8 bytes: the trigger level"
    assert bytes(bench[u.RBR_THR] for _ in range(8)) == b"abcdefgh"
    assert not bench.line.lit and not bench[u.LSR] & 0x01


def test_receive__16_bytes_with_fifos_1_without(bench: Bench) -> None:
    assert bench.uart.feed(b"x" * 20) == 1 and bench[u.LSR] & 0x01
    bench[u.IIR_FCR] = 0x01
    assert not bench[u.LSR] & 0x01, "turning the FIFOs on empties them"
    assert bench.uart.feed(b"x" * 20) == 16


def test_fcr__clears_the_receiver(bench: Bench) -> None:
    bench[u.IIR_FCR] = 0x01
    bench.uart.feed(b"xyz")
    bench[u.IIR_FCR] = 0x03
    assert not bench[u.LSR] & 0x01


def test_drained__tells_that_there_is_room(bench: Bench) -> None:
    told: list[int] = []
    bench.uart.drained = lambda: told.append(1)
    bench.uart.feed(b"a")
    bench[u.RBR_THR]
    assert told == [1]


def test_loopback__data_and_modem_lines(bench: Bench) -> None:
    bench[u.MCR] = 0x10
    assert bench[u.MSR] & 0xF0 == 0
    bench[u.MCR] = 0x1A
    assert bench[u.MSR] & 0xF0 == 0x90, "RTS to CTS, OUT2 to DCD: how the driver looks for a UART"
    bench[u.RBR_THR] = 0x41
    bench[u.RBR_THR] = 0x42
    assert bench.sent == b"" and bench[u.RBR_THR] == 0x41
    assert bench[u.LSR] & 0x02, "the second byte overran"
    assert not bench[u.LSR] & 0x02, "reading it clears it"


def test_overrun__is_the_first_in_line(bench: Bench) -> None:
    bench[u.MCR] = 0x10
    bench[u.IER] = 0x07
    bench[u.RBR_THR] = 0x41
    bench[u.RBR_THR] = 0x42
    causes = [bench[u.IIR_FCR] & 0xF]
    bench[u.LSR]
    causes.append(bench[u.IIR_FCR] & 0xF)
    bench[u.RBR_THR]
    causes.append(bench[u.IIR_FCR] & 0xF)
    assert causes == [0x06, 0x04, 0x02]
    assert not bench.line.lit


def test_msr__changes_interrupt_until_read(bench: Bench) -> None:
    bench[u.IER] = 0x08
    bench[u.MCR] = 0x10
    assert bench.line.lit and bench[u.IIR_FCR] & 0xF == 0x00
    assert bench[u.MSR] == 0x0B, "CTS, DSR and DCD have gone"
    assert not bench.line.lit and bench[u.MSR] == 0x00


def test_reg_shift__registers_are_words() -> None:
    bench = Bench(reg_shift=2)
    bench.uart.write(0, 4, 0x41)
    assert bench.sent == b"A" and bench.uart.read(5 << 2, 4) == 0x60
    assert bench.uart.read(5, 1) == 0, "between registers there is nothing"
    assert bench.uart.read(8 << 2, 4) == 0


def test_reset(bench: Bench) -> None:
    bench[u.IER] = 0x02
    bench[u.SCR] = 1
    bench.uart.reset()
    assert not bench.line.lit and bench[u.IER] == 0 and bench[u.SCR] == 0


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    for shift in range(4):
        bench = Bench(shift)
        abuse(bench.uart, None, accesses)
        bench.uart.feed(b"x" * 100)
