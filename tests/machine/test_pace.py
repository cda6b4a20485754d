"""Idle time with somebody at the keyboard: it passes as slowly as outside, and at once when nobody is there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from machine.config import load
from machine.devices.console import Console
from machine.devices.endpoints import Keyboard
from machine.devices.ns16550 import IER, IER_RDA, Ns16550
from machine.devices.pl011 import IMSC, INT_RX, Pl011
from machine.machine import Machine

MS = 1_000_000  # instructions: a virtual second has 10^9


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(load("hello-realm"), lambda _line: None)
    yield machine
    machine.close()


@pytest.fixture
def keyboard(machine: Machine) -> Iterator[int]:
    """The end of a pipe that somebody types into."""
    inner, outer = os.pipe()
    machine.attached.endpoints.open(Keyboard(Console("x", lambda _text: None), inner))
    yield outer
    for fd in (inner, outer):
        try:
            os.close(fd)
        except OSError:
            assert fd == outer, "only the writing end is closed by a test"


def skip(machine: Machine, milliseconds: int) -> tuple[float, float]:
    """(milliseconds of wall time, of virtual time) that one wait takes."""
    start, before = time.monotonic(), machine.board.insns
    assert machine.skip_time([before + milliseconds * MS])
    return (time.monotonic() - start) * 1e3, (machine.board.insns - before) / MS


def test_paced__a_wait_takes_its_time(machine: Machine, keyboard: int) -> None:
    machine.paced = True
    wall, virtual = skip(machine, 50)
    assert wall >= 49
    assert virtual == 50


def test_paced__long_waits_are_taken_in_pieces(machine: Machine, keyboard: int) -> None:
    """Ctrl-C and the time limit are looked at in between."""
    machine.paced = True
    wall, virtual = skip(machine, 3_600_000)
    assert wall < 5_000
    assert 99 <= virtual < 5_000


def test_paced__input_ends_a_wait(machine: Machine, keyboard: int) -> None:
    machine.paced = True
    os.write(keyboard, b"x")
    _, virtual = skip(machine, 90)
    assert virtual < 90


def test_paced__what_was_overslept_is_not_slept_again(machine: Machine, keyboard: int) -> None:
    machine.paced = True
    start = time.monotonic()
    virtual = sum(skip(machine, 4)[1] for _ in range(100))
    assert virtual == 400
    assert time.monotonic() - start >= 0.39


def test_end_of_input__time_jumps_again(machine: Machine, keyboard: int) -> None:
    machine.paced = True
    os.close(keyboard)
    machine.attached.poll()
    wall, virtual = skip(machine, 3_600_000)
    assert (wall < 1_000, virtual) == (True, 3_600_000)


def test_not_paced__time_jumps_though_input_may_come(machine: Machine, keyboard: int) -> None:
    wall, virtual = skip(machine, 3_600_000)
    assert (wall < 1_000, virtual) == (True, 3_600_000)


def test_uarts__listen_once_a_driver_has_their_receive_interrupt() -> None:
    """16550: IER bit 0 (ERBFI); PL011: UARTIMSC.RXIM (DDI 0183, 3.3.10)."""
    serial, pl011 = Ns16550(lambda _data: None), Pl011(lambda _data: None)
    assert not serial.listens
    assert not pl011.listens
    serial.write(IER, 1, IER_RDA)
    pl011.write(IMSC, 4, INT_RX)
    assert serial.listens
    assert pl011.listens
