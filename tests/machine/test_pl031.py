"""Real time clock PL031, against DDI 0224."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.pl031 import Pl031, Reg

from .clockwork import ACCESSES, SECOND, HandClock, Lamp, abuse

EPOCH = 1_767_225_600


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.line = Lamp()
        self.rtc = Pl031(self.clock, EPOCH, self.line)

    def __getitem__(self, register: int) -> int:
        return self.rtc.read(register, 4)

    def __setitem__(self, register: int, value: int) -> None:
        self.rtc.write(register, 4, value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_data__seconds_of_virtual_time_from_the_epoch(bench: Bench) -> None:
    assert bench[Reg.DR] == EPOCH and bench[Reg.CR] == 1
    bench.clock.pass_(5 * SECOND - 1)
    assert bench[Reg.DR] == EPOCH + 4
    bench.clock.pass_(1)
    assert bench[Reg.DR] == EPOCH + 5


def test_load__sets_the_clock_and_reads_back(bench: Bench) -> None:
    bench.clock.pass_(10 * SECOND)
    bench[Reg.LR] = 100
    assert bench[Reg.DR] == 100 and bench[Reg.LR] == 100
    bench.clock.pass_(3 * SECOND)
    assert bench[Reg.DR] == 103


def test_match__interrupts_when_masked_in(bench: Bench) -> None:
    bench[Reg.IMSC] = 1
    bench[Reg.MR] = EPOCH + 3
    bench.clock.pass_(3 * SECOND - 1)
    assert not bench.line.lit
    bench.clock.pass_(1)
    assert bench.line.lit and bench[Reg.RIS] == 1 and bench[Reg.MIS] == 1
    bench[Reg.ICR] = 1
    assert not bench.line.lit and bench[Reg.RIS] == 0


def test_match__raw_without_the_mask(bench: Bench) -> None:
    bench[Reg.MR] = EPOCH + 1
    bench.clock.pass_(SECOND)
    assert bench[Reg.RIS] == 1 and bench[Reg.MIS] == 0 and not bench.line.lit
    bench[Reg.IMSC] = 1
    assert bench.line.lit


def test_count__wraps_at_32_bits(bench: Bench) -> None:
    bench[Reg.LR] = 0xFFFF_FFFF
    bench[Reg.MR] = 0
    bench[Reg.IMSC] = 1
    bench.clock.pass_(SECOND)
    assert bench[Reg.DR] == 0 and bench.line.lit


def test_identification__3_3(bench: Bench) -> None:
    assert [bench[0xFE0 + 4 * n] for n in range(8)] == [0x31, 0x10, 0x04, 0x00, 0x0D, 0xF0, 0x05, 0xB1]


def test_reset__the_clock_goes_on(bench: Bench) -> None:
    bench[Reg.LR] = 1000
    bench[Reg.MR] = 1001
    bench[Reg.IMSC] = 1
    bench.clock.pass_(SECOND)
    bench.rtc.reset()
    assert not bench.line.lit and bench[Reg.IMSC] == 0 and bench[Reg.MR] == 0
    assert bench[Reg.DR] == 1001, "its supply is a battery"


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    abuse(bench.rtc, bench.clock, accesses)
