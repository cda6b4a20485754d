"""Watchdog SP805, against DDI 0270."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.sp805 import INTEN, RESEN, UNLOCK, Reg, Sp805

from .clockwork import ACCESSES, SECOND, HandClock, Lamp, abuse

HZ = 32_768


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.line = Lamp()
        self.barks: list[str] = []
        self.dog = Sp805(self.clock, HZ, self.line, self.barks.append, "watchdog")

    def ticks(self, count: int) -> None:
        self.clock.pass_(-(-count * SECOND // HZ) - self.clock.ns % 1)

    def __getitem__(self, register: int) -> int:
        return self.dog.read(register, 4)

    def __setitem__(self, register: int, value: int) -> None:
        self.dog.write(register, 4, value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reset_values__3_2(bench: Bench) -> None:
    values = {register: bench[register] for register in Reg if register is not Reg.INTCLR}
    assert values == {
        Reg.LOAD: 0xFFFF_FFFF,
        Reg.VALUE: 0xFFFF_FFFF,
        Reg.CONTROL: 0,
        Reg.RIS: 0,
        Reg.MIS: 0,
        Reg.LOCK: 0,
    }


def test_identification__3_2_10(bench: Bench) -> None:
    assert [bench[0xFE0 + 4 * n] for n in range(8)] == [0x05, 0x18, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1]


def test_counter__stands_until_inten_then_runs_down_from_the_load(bench: Bench) -> None:
    bench[Reg.LOAD] = HZ
    bench.clock.pass_(SECOND)
    assert bench[Reg.VALUE] == HZ
    bench[Reg.CONTROL] = INTEN
    bench.clock.pass_(SECOND // 2)
    assert bench[Reg.VALUE] == HZ // 2


def test_first_zero__interrupt_second_zero__reset(bench: Bench) -> None:
    bench[Reg.LOAD] = HZ
    bench[Reg.CONTROL] = INTEN | RESEN
    bench.clock.pass_(SECOND - 1)
    assert not bench.line.lit
    bench.clock.pass_(1)
    assert bench.line.lit and bench[Reg.RIS] == 1 and bench[Reg.MIS] == 1 and bench.barks == []
    bench.clock.pass_(SECOND - 1)
    assert bench.barks == []
    bench.clock.pass_(SECOND)
    assert bench.barks == ["watchdog: not serviced after its interrupt"]
    assert bench.clock.pending == 0, "it barks once"


def test_intclr__clears_and_starts_again(bench: Bench) -> None:
    bench[Reg.LOAD] = HZ
    bench[Reg.CONTROL] = INTEN | RESEN
    for _ in range(5):
        bench.clock.pass_(SECOND + SECOND // 2)
        assert bench.line.lit
        bench[Reg.INTCLR] = 0
        assert not bench.line.lit and bench[Reg.VALUE] == HZ
    assert bench.barks == []


def test_without_resen__it_never_barks_and_goes_round(bench: Bench) -> None:
    bench[Reg.LOAD] = 9
    bench[Reg.CONTROL] = INTEN
    bench.clock.pass_(10 * SECOND)
    assert bench.line.lit and bench.line.changes == 1 and bench.barks == []
    assert bench[Reg.VALUE] == 9 - 10 * HZ % 10


def test_resen_later__barks_at_the_next_zero(bench: Bench) -> None:
    bench[Reg.LOAD] = HZ
    bench[Reg.CONTROL] = INTEN
    bench.clock.pass_(5 * SECOND)
    bench[Reg.CONTROL] = INTEN | RESEN
    assert bench.barks == []
    bench.clock.pass_(SECOND + SECOND // 1000)
    assert len(bench.barks) == 1


def test_lock__only_the_key_opens_it(bench: Bench) -> None:
    bench[Reg.LOCK] = 1
    assert bench[Reg.LOCK] == 1
    bench[Reg.LOAD] = 5
    bench[Reg.CONTROL] = INTEN
    assert bench[Reg.LOAD] == 0xFFFF_FFFF and bench[Reg.CONTROL] == 0
    bench[Reg.LOCK] = UNLOCK - 1
    assert bench[Reg.LOCK] == 1
    bench[Reg.LOCK] = 0x1ACC_E551
    bench[Reg.LOAD] = 5
    assert bench[Reg.LOCK] == 0 and bench[Reg.LOAD] == 5


def test_disabling__stops_the_counter_and_the_interrupt(bench: Bench) -> None:
    bench[Reg.LOAD] = HZ
    bench[Reg.CONTROL] = INTEN | RESEN
    bench.clock.pass_(SECOND // 4)
    bench[Reg.CONTROL] = 0
    bench.clock.pass_(10 * SECOND)
    assert bench[Reg.VALUE] == HZ - HZ // 4 and bench[Reg.RIS] == 0 and bench.clock.pending == 0
    bench[Reg.CONTROL] = INTEN
    assert bench[Reg.VALUE] == HZ, "enabling reloads (3.2.3)"


def test_reset__nothing_goes_on(bench: Bench) -> None:
    bench[Reg.LOAD] = 5
    bench[Reg.CONTROL] = INTEN | RESEN
    bench.clock.pass_(SECOND // HZ * 6)
    bench[Reg.LOCK] = 1
    bench.dog.reset()
    assert not bench.line.lit and bench.clock.pending == 0
    assert bench[Reg.LOCK] == 0 and bench[Reg.LOAD] == 0xFFFF_FFFF
    bench.clock.pass_(10 * SECOND)
    assert bench.barks == []


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    abuse(bench.dog, bench.clock, accesses)
