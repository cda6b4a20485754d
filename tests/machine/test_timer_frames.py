"""Memory-mapped generic timer, against the Arm ARM (DDI 0487, chapter I2)."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.timer_frames import Control, CounterControl, CounterRead, Frame, Lines, TimerControl, TimerFrame

from .clockwork import ACCESSES, SECOND, HandClock, Lamp, abuse

HZ = 100_000_000


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.physical, self.virtual, other = Lamp(), Lamp(), Lamp()
        self.frame = TimerFrame(self.clock, HZ, Lines(self.physical, self.virtual))
        self.second = TimerFrame(self.clock, HZ, Lines(other, Lamp()))
        self.control = TimerControl(HZ, (self.frame, self.second))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_counters__run_at_the_frequency(bench: Bench) -> None:
    bench.clock.pass_(3 * SECOND)
    assert bench.frame.read(Frame.CNTPCT, 8) == 3 * HZ
    assert bench.frame.read(Frame.CNTVCT, 8) == 3 * HZ
    assert bench.frame.read(Frame.CNTFRQ, 4) == HZ and bench.control.read(Control.CNTFRQ, 4) == HZ


def test_counter__read_as_two_words(bench: Bench) -> None:
    bench.clock.pass_(50 * SECOND)
    low, high = bench.frame.read(Frame.CNTPCT, 4), bench.frame.read(Frame.CNTPCT + 4, 4)
    assert high << 32 | low == 50 * HZ and high == 1


def test_cnttidr__two_frames_with_virtual_timers(bench: Bench) -> None:
    assert bench.control.read(Control.CNTTIDR, 4) == 0x33


@pytest.mark.parametrize(
    ("cval", "ctl", "name"),
    [(Frame.CNTP_CVAL, Frame.CNTP_CTL, "physical"), (Frame.CNTV_CVAL, Frame.CNTV_CTL, "virtual")],
)
def test_compare__interrupts_when_the_count_reaches_it(bench: Bench, cval: Frame, ctl: Frame, name: str) -> None:
    line: Lamp = getattr(bench, name)
    bench.frame.write(cval, 8, HZ)
    bench.frame.write(ctl, 4, 1)
    assert bench.frame.read(ctl, 4) == 1
    bench.clock.pass_(SECOND - 10)
    assert not line.lit
    bench.clock.pass_(10)
    assert line.lit and bench.frame.read(ctl, 4) == 0b101
    bench.frame.write(ctl, 4, 0b11)
    assert not line.lit and bench.frame.read(ctl, 4) == 0b111, "IMASK hides the interrupt, not ISTATUS"
    bench.frame.write(ctl, 4, 1)
    assert line.lit
    bench.frame.write(cval, 8, 2 * HZ)
    assert not line.lit, "the line is a level"
    bench.frame.write(ctl, 4, 0)
    assert bench.frame.read(ctl, 4) == 0


def test_tval__is_signed_and_relative(bench: Bench) -> None:
    bench.clock.pass_(SECOND)
    bench.frame.write(Frame.CNTP_TVAL, 4, HZ)
    assert bench.frame.read(Frame.CNTP_CVAL, 8) == 2 * HZ
    bench.clock.pass_(SECOND // 2)
    assert bench.frame.read(Frame.CNTP_TVAL, 4) == HZ // 2
    bench.frame.write(Frame.CNTP_TVAL, 4, 0xFFFF_FFFF)
    bench.frame.write(Frame.CNTP_CTL, 4, 1)
    assert bench.physical.lit
    assert bench.frame.read(Frame.CNTP_TVAL, 4) == 0xFFFF_FFFF


def test_cntvoff__moves_the_virtual_count_and_timer(bench: Bench) -> None:
    bench.clock.pass_(5 * SECOND)
    bench.frame.write(Frame.CNTV_CVAL, 8, 2 * HZ)
    bench.frame.write(Frame.CNTV_CTL, 4, 1)
    assert bench.virtual.lit
    bench.control.write(Control.CNTVOFF, 8, 4 * HZ)
    assert not bench.virtual.lit and bench.frame.read(Frame.CNTVCT, 8) == HZ
    assert bench.frame.read(Frame.CNTVOFF, 8) == 4 * HZ
    assert bench.second.read(Frame.CNTVOFF, 8) == 0
    bench.clock.pass_(SECOND)
    assert bench.virtual.lit


@pytest.mark.parametrize(
    ("bit", "register"),
    [
        (0, Frame.CNTPCT),
        (1, Frame.CNTVCT),
        (2, Frame.CNTFRQ),
        (3, Frame.CNTVOFF),
        (4, Frame.CNTV_CVAL),
        (5, Frame.CNTP_CVAL),
    ],
)
def test_cntacr__closes_registers_one_by_one(bench: Bench, bit: int, register: Frame) -> None:
    bench.clock.pass_(SECOND)
    bench.control.write(Control.CNTVOFF, 8, 7)
    bench.frame.write(Frame.CNTP_CVAL, 8, 5)
    bench.frame.write(Frame.CNTV_CVAL, 8, 5)
    assert bench.frame.read(register, 4) != 0
    bench.control.write(Control.CNTACR, 4, 0x3F & ~(1 << bit))
    assert bench.frame.read(register, 4) == 0
    bench.frame.write(register, 4, 9)
    bench.control.write(Control.CNTACR, 4, 0x3F)
    assert bench.frame.read(register, 4) not in (0, 9)


def test_cntacr__is_open_at_reset_and_of_each_frame(bench: Bench) -> None:
    assert bench.control.read(Control.CNTACR, 4) == 0x3F
    bench.control.write(Control.CNTACR + 4, 4, 0)
    assert bench.control.read(Control.CNTACR, 4) == 0x3F and bench.second.read(Frame.CNTFRQ, 4) == 0
    assert bench.control.read(Control.CNTACR + 8, 4) == 0, "there is no third frame"


def test_compare_far_beyond__never_comes(bench: Bench) -> None:
    bench.frame.write(Frame.CNTP_CVAL, 8, (1 << 64) - 1)
    bench.frame.write(Frame.CNTP_CTL, 4, 1)
    bench.clock.pass_(1_000_000 * SECOND)
    assert not bench.physical.lit


def test_counter_frames__cannot_be_stopped() -> None:
    clock = HandClock()
    control = CounterControl(clock, HZ)
    read = CounterRead(control)
    assert control.read(0x020, 4) == HZ, "CNTFID0"
    control.write(0x000, 4, 0)
    control.write(0x008, 8, 0)
    clock.pass_(50 * SECOND)
    assert control.read(0x000, 4) & 1 == 1
    assert control.read(0x008, 8) == 50 * HZ == read.read(0, 8)
    assert read.read(0x020, 4) == 0


def test_reset(bench: Bench) -> None:
    bench.frame.write(Frame.CNTP_CTL, 4, 1)
    assert bench.physical.lit
    bench.control.write(Control.CNTACR, 4, 0)
    bench.control.reset()
    assert not bench.physical.lit and bench.control.read(Control.CNTACR, 4) == 0x3F


@given(accesses=ACCESSES)
def test_any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    abuse(bench.frame, bench.clock, accesses)
    abuse(bench.control, bench.clock, accesses)
    counter = CounterControl(bench.clock, HZ)
    abuse(counter, bench.clock, accesses)
    abuse(CounterRead(counter), bench.clock, accesses)
