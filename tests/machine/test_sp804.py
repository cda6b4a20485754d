"""Dual timer SP804, against DDI 0271."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.sp804 import Reg, Sp804

from .clockwork import ACCESSES, SECOND, HandClock, Lamp, abuse

HZ = 1_000_000
TICK = SECOND // HZ
SECOND_TIMER = 0x20


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.line = Lamp()
        self.pair = Sp804(self.clock, HZ, self.line)

    def ticks(self, count: int) -> None:
        self.clock.pass_(count * TICK)

    def __getitem__(self, register: int) -> int:
        return self.pair.read(register, 4)

    def __setitem__(self, register: int, value: int) -> None:
        self.pair.write(register, 4, value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reset_values__3_2(bench: Bench) -> None:
    for timer in (0, SECOND_TIMER):
        assert bench[timer + Reg.LOAD] == 0
        assert bench[timer + Reg.VALUE] == 0xFFFF_FFFF
        assert bench[timer + Reg.CONTROL] == 0x20, "interrupt enabled, timer off"
        assert bench[timer + Reg.RIS] == bench[timer + Reg.MIS] == 0


def test_identification__3_2_9(bench: Bench) -> None:
    assert [bench[0xFE0 + 4 * n] for n in range(8)] == [0x04, 0x18, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1]


def test_free_running__as_a_delay_timer_uses_it(bench: Bench) -> None:
    bench[Reg.CONTROL] = 0
    bench[Reg.LOAD] = 0xFFFF_FFFF
    bench[Reg.CONTROL] = 0x82
    bench.ticks(1000)
    assert bench[Reg.VALUE] == 0xFFFF_FFFF - 1000
    assert not bench.line.lit


def test_free_running__16_bits_wrap_to_ffff(bench: Bench) -> None:
    bench[Reg.LOAD] = 10
    bench[Reg.CONTROL] = 0x80
    bench.ticks(11)
    assert bench[Reg.VALUE] == 0xFFFF


def test_periodic__reloads_and_interrupts_each_time(bench: Bench) -> None:
    bench[Reg.LOAD] = 99
    bench[Reg.CONTROL] = 0xE2
    for _ in range(3):
        bench.ticks(99)
        assert bench.line.lit and bench[Reg.VALUE] == 0
        bench[Reg.INTCLR] = 1
        assert not bench.line.lit
        bench.ticks(1)
        assert bench[Reg.VALUE] == 99


def test_one_shot__stops_at_0(bench: Bench) -> None:
    bench[Reg.LOAD] = 50
    bench[Reg.CONTROL] = 0xA3
    bench.ticks(50)
    assert bench.line.lit
    bench[Reg.INTCLR] = 1
    bench.ticks(1_000_000)
    assert bench[Reg.VALUE] == 0 and bench[Reg.RIS] == 0
    bench[Reg.LOAD] = 5
    bench.ticks(5)
    assert bench.line.lit, "a new load starts it again"


@pytest.mark.parametrize(("bits", "factor"), [(0b00, 1), (0b01, 16), (0b10, 256)])
def test_prescaler(bench: Bench, bits: int, factor: int) -> None:
    bench[Reg.LOAD] = 100
    bench[Reg.CONTROL] = 0x80 | 0x40 | 0x02 | bits << 2
    bench.ticks(10 * factor)
    assert bench[Reg.VALUE] == 90


def test_interrupt_enable__masks_and_keeps_the_raw_status(bench: Bench) -> None:
    bench[Reg.LOAD] = 5
    bench[Reg.CONTROL] = 0xC2
    bench.ticks(6)
    assert bench[Reg.RIS] == 1 and bench[Reg.MIS] == 0 and not bench.line.lit
    bench[Reg.CONTROL] = 0xE2
    assert bench.line.lit


def test_background_load__is_for_the_next_round(bench: Bench) -> None:
    bench[Reg.LOAD] = 10
    bench[Reg.CONTROL] = 0xE2
    bench.ticks(4)
    bench[Reg.BGLOAD] = 100
    assert bench[Reg.VALUE] == 6 and bench[Reg.LOAD] == 100
    bench.ticks(7)
    assert bench[Reg.VALUE] == 100


def test_timers__are_two_on_one_line(bench: Bench) -> None:
    for timer, load in ((0, 10), (SECOND_TIMER, 20)):
        bench[timer + Reg.LOAD] = load
        bench[timer + Reg.CONTROL] = 0xA3
    bench.ticks(20)
    bench[Reg.INTCLR] = 1
    assert bench.line.lit and bench[SECOND_TIMER + Reg.MIS] == 1 and bench[Reg.MIS] == 0
    bench[SECOND_TIMER + Reg.INTCLR] = 1
    assert not bench.line.lit


def test_stopped__keeps_its_value(bench: Bench) -> None:
    bench[Reg.LOAD] = 1000
    bench[Reg.CONTROL] = 0xC2
    bench.ticks(100)
    bench[Reg.CONTROL] = 0x42
    bench.ticks(100)
    assert bench[Reg.VALUE] == 900
    bench[Reg.CONTROL] = 0xC2
    bench.ticks(100)
    assert bench[Reg.VALUE] == 800


def test_reset(bench: Bench) -> None:
    bench[Reg.LOAD] = 1
    bench[Reg.CONTROL] = 0xE2
    bench.ticks(5)
    bench.pair.reset()
    assert not bench.line.lit and bench.clock.pending == 0 and bench[Reg.CONTROL] == 0x20


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    abuse(bench.pair, bench.clock, accesses)
