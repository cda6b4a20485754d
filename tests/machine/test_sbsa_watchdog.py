"""Generic watchdog, against the Base System Architecture (DEN0094, appendix on the generic watchdog)."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.sbsa_watchdog import WRR, RefreshFrame, Reg, SbsaWatchdog

from .clockwork import ACCESSES, SECOND, HandClock, Lamp, abuse

HZ = 100_000_000


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.ws0 = Lamp()
        self.barks: list[str] = []
        self.dog = SbsaWatchdog(self.clock, HZ, self.ws0, self.barks.append, "dog")
        self.refresh = RefreshFrame(self.dog)

    def status(self) -> int:
        return self.dog.read(Reg.WCS, 4)

    def start(self, seconds: int) -> None:
        self.dog.write(Reg.WOR, 4, seconds * HZ & 0xFFFF_FFFF)
        self.dog.write(Reg.WOR_HIGH, 4, seconds * HZ >> 32)
        self.dog.write(Reg.WCS, 4, 1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_off__at_power_on(bench: Bench) -> None:
    assert bench.status() == 0
    bench.clock.pass_(100 * SECOND)
    assert bench.status() == 0 and not bench.ws0.lit


def test_two_stages__ws0_interrupts_ws1_resets(bench: Bench) -> None:
    bench.start(2)
    bench.clock.pass_(2 * SECOND)
    assert bench.status() == 0b001, "the time-out is `greater than`"
    bench.clock.pass_(10)
    assert bench.status() == 0b011 and bench.ws0.lit and bench.barks == []
    bench.clock.pass_(2 * SECOND + 20)
    assert bench.status() == 0b111 and bench.barks == ["dog: WS1, not refreshed after WS0"]
    bench.clock.pass_(100 * SECOND)
    assert len(bench.barks) == 1


@pytest.mark.parametrize("how", ["WRR", "WOR", "WCS"])
def test_explicit_refresh__by_any_of_three_registers(bench: Bench, how: str) -> None:
    bench.start(1)
    bench.clock.pass_(SECOND + 10)
    assert bench.ws0.lit
    if how == "WRR":
        bench.refresh.write(WRR, 4, 0)
    elif how == "WOR":
        bench.dog.write(Reg.WOR, 4, HZ)
    else:
        bench.dog.write(Reg.WCS, 4, 1)
    assert bench.status() == 0b001 and not bench.ws0.lit
    bench.clock.pass_(SECOND)
    assert bench.status() == 0b001
    bench.clock.pass_(10)
    assert bench.status() == 0b011


def test_disabled__neither_signal_comes(bench: Bench) -> None:
    bench.start(1)
    bench.clock.pass_(SECOND + 10)
    bench.dog.write(Reg.WCS, 4, 0)
    assert bench.status() == 0 and not bench.ws0.lit
    bench.clock.pass_(10 * SECOND)
    assert bench.barks == []


def test_offset__48_bits(bench: Bench) -> None:
    bench.dog.write(Reg.WOR, 8, (1 << 64) - 1)
    assert bench.dog.read(Reg.WOR, 8) == (1 << 48) - 1


def test_compare_value__is_the_counter_plus_the_offset(bench: Bench) -> None:
    bench.clock.pass_(3 * SECOND)
    bench.start(1)
    assert bench.dog.read(Reg.WCV, 8) == 4 * HZ


def test_compare_value__software_may_move_it(bench: Bench) -> None:
    bench.start(10)
    bench.dog.write(Reg.WCV, 8, HZ)
    bench.clock.pass_(SECOND + 10)
    assert bench.ws0.lit


def test_identification__architecture_version_1_of_arm(bench: Bench) -> None:
    for frame in (bench.dog, bench.refresh):
        assert frame.read(0xFCC, 4) == 0x0001_043B


def test_reset__it_is_off(bench: Bench) -> None:
    bench.start(1)
    bench.clock.pass_(SECOND + 10)
    bench.dog.reset()
    assert bench.status() == 0 and not bench.ws0.lit and bench.clock.pending == 0


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    abuse(bench.dog, bench.clock, accesses)
    abuse(bench.refresh, bench.clock, accesses)
