"""Controllers of Arm's Base FVP: the power controller as TF-A's fvp_pwrc drives it, system registers per DUI 0447."""

from __future__ import annotations

import pytest
from hypothesis import given

from machine.devices.fvp_power import FvpPower
from machine.devices.fvp_sysregs import FvpSysregs
from machine.devices.sp810 import Sp810

from .clockwork import ACCESSES, SECOND, HandClock, abuse

PPOFFR, PPONR, PCOFFR, PWKUPR, PSYSR = 0x00, 0x04, 0x08, 0x0C, 0x10


class Pes:
    """Two clusters of two."""

    affinities = (0x0, 0x100, 0x1_0000, 0x1_0100)

    def __init__(self) -> None:
        self.running = {0x0}
        self.asked: list[tuple[str, int]] = []

    def is_on(self, affinity: int) -> bool:
        return affinity in self.running

    def on(self, affinity: int) -> None:
        self.asked.append(("on", affinity))

    def off(self, affinity: int) -> None:
        self.asked.append(("off", affinity))


@pytest.fixture
def pes() -> Pes:
    return Pes()


@pytest.fixture
def power(pes: Pes) -> FvpPower:
    return FvpPower(pes)


def psysr(power: FvpPower, affinity: int) -> int:
    power.write(PSYSR, 4, affinity)
    return power.read(PSYSR, 4)


def test_psysr__levels_that_are_on(power: FvpPower, pes: Pes) -> None:
    assert psysr(power, 0x0) == 0xE000_0000
    assert psysr(power, 0x100) == 0x8000_0000, "its cluster is on, itself not"
    assert psysr(power, 0x1_0000) == 0
    pes.running.add(0x1_0000)
    assert psysr(power, 0x1_0000) == 0xE000_0000


def test_psysr__no_such_pe(power: FvpPower) -> None:
    assert psysr(power, 0x200) == 0xFFFF_FFFF
    assert FvpPower(Pes()).read(PSYSR, 4) == 0xFFFF_FFFF, "nobody has been asked for"


def test_pponr__asks_and_is_the_reason_of_the_wake_up(power: FvpPower, pes: Pes) -> None:
    power.write(PPONR, 4, 0x100)
    assert pes.asked == [("on", 0x100)]
    pes.running.add(0x100)
    assert psysr(power, 0x100) >> 24 & 3 == 2
    assert psysr(power, 0x0) >> 24 & 3 == 0, "cold"


def test_ppoffr__is_pending_until_the_pe_is_off(power: FvpPower, pes: Pes) -> None:
    power.write(PPOFFR, 4, 0x0)
    power.write(PCOFFR, 4, 0x0)
    assert pes.asked == [("off", 0x0)] and psysr(power, 0x0) & 0x0C00_0000 == 0x0C00_0000
    power.write(PPONR, 4, 0x0)
    assert psysr(power, 0x0) & 0x0C00_0000 == 0, "PPONR takes it back"
    power.write(PPOFFR, 4, 0x0)
    pes.running.clear()
    assert psysr(power, 0x0) == 0


def test_pwkupr__wake_enable(power: FvpPower) -> None:
    power.write(PWKUPR, 4, 0x8000_0000)
    assert psysr(power, 0x0) & 1 << 28
    power.write(PWKUPR, 4, 0x0)
    assert not psysr(power, 0x0) & 1 << 28


def test_unknown_pe__nobody_is_asked(power: FvpPower, pes: Pes) -> None:
    for register in (PPOFFR, PPONR, PCOFFR, PWKUPR):
        power.write(register, 4, 0xFF_FFFF)
    assert pes.asked == []


def test_reset__is_the_reason_of_the_wake_up(power: FvpPower) -> None:
    power.reset()
    assert psysr(power, 0x0) >> 24 & 3 == 1


@given(accesses=ACCESSES)
def test_power__any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    abuse(FvpPower(Pes()), None, accesses)


class Board:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.said: list[str] = []
        self.registers = FvpSysregs(self.clock, lambda why: self.said.append(f"reset: {why}"), self._off)

    def _off(self, why: str) -> None:
        self.said.append(f"off: {why}")

    def __getitem__(self, offset: int) -> int:
        return self.registers.read(offset, 4)

    def __setitem__(self, offset: int, value: int) -> None:
        self.registers.write(offset, 4, value)


@pytest.fixture
def board() -> Board:
    return Board()


def test_sys_id__base_fvp_revc(board: Board) -> None:
    assert board[0x000] == 0x2020_1100
    board[0x000] = 0
    assert board[0x000] == 0x2020_1100


def test_counters__100_hz_and_24_mhz(board: Board) -> None:
    board.clock.pass_(2 * SECOND)
    assert board[0x024] == 200 and board[0x05C] == 48_000_000
    board.clock.pass_(200 * SECOND)
    assert board[0x05C] == 202 * 24_000_000 % (1 << 32)


def test_leds_and_switches(board: Board) -> None:
    board[0x008] = 0x1A5
    assert board[0x008] == 0xA5
    board[0x004] = 0x12
    assert board[0x004] == 0x12


@pytest.mark.parametrize(("base", "kept"), [(0x030, False), (0x038, True)])
def test_flags__set_and_clear_and_nvflags_stay(board: Board, base: int, kept: bool) -> None:
    board[base] = 0xF0
    board[base] = 0x0F
    board[base + 4] = 0x81
    assert board[base] == 0x7E
    board.registers.reset()
    assert board[base] == (0x7E if kept else 0)


def test_cfgctrl__shutdown_and_reboot_as_tf_a_does(board: Board) -> None:
    board[0x0A4] = 1 << 31 | 1 << 30 | 8 << 20
    board[0x0A4] = 1 << 31 | 1 << 30 | 9 << 20
    assert board.said == ["off: shut down by SYS_CFGCTRL", "reset: reset by SYS_CFGCTRL"]


def test_cfgctrl__oscillator_holds_its_frequency(board: Board) -> None:
    board[0x0A0] = 63_500_000
    board[0x0A4] = 1 << 31 | 1 << 30 | 1 << 20 | 1
    assert board[0x0A8] == 1 and board[0x0A4] >> 31 == 0
    board[0x0A0] = 0
    board[0x0A4] = 1 << 31 | 1 << 20 | 1
    assert board[0x0A0] == 63_500_000
    board[0x0A4] = 1 << 31 | 1 << 20 | 2
    assert board[0x0A0] == 24_000_000, "another one"


def test_cfgctrl__unknown_function_is_an_error(board: Board) -> None:
    board[0x0A4] = 1 << 31 | 4 << 20
    assert board[0x0A8] == 0b11 and board.said == []
    board[0x0A8] = 0
    assert board[0x0A8] == 0


def test_cfgctrl__without_start_nothing_happens(board: Board) -> None:
    board[0x0A4] = 1 << 30 | 8 << 20
    assert board.said == [] and board[0x0A8] == 0


@given(accesses=ACCESSES)
def test_sysregs__any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    board = Board()
    abuse(board.registers, board.clock, accesses)


def test_sp810__timer_clock_overrides_are_kept() -> None:
    controller = Sp810()
    controller.write(0x000, 4, 1 << 16 | 1 << 15)
    assert controller.read(0x000, 4) & 0x1_8000 == 0x1_8000
    controller.write(0x000, 4, 4)
    assert controller.read(0x000, 4) == 4 | 4 << 3, "NORMAL mode is reached at once"
    controller.reset()
    assert controller.read(0x000, 4) & 7 == 1
    assert [controller.read(0xFE0 + 4 * n, 4) for n in range(3)] == [0x10, 0x18, 0x04]


@given(accesses=ACCESSES)
def test_sp810__any_access(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    abuse(Sp810(), None, accesses)
