# SPDX-License-Identifier: GPL-2.0-or-later
"""Self-hosted debug: software step, breakpoints, watchpoints (DDI 0487 D2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, ELR, SPSR, UART, Bench
from tests.bridge.guests import (
    ERET,
    ISB,
    LDR_X0_X1,
    MDCR_EL2,
    NOP,
    STR_W0_X1,
    STR_X0_X1,
    SVC,
    TGE,
    Guest,
    msr,
)

IL = 1 << 25
MDSCR = sysreg(2, 0, 0, 2, 2)
SS, KDE, MDE, TDE = 1 << 0, 1 << 13, 1 << 15, 1 << 8
SPSR_SS = 1 << 21
UNMASK_D = 0xD50348FF  # msr daifclr, #8
BOTH, LOADS, STORES = 3 << 3, 1 << 3, 2 << 3
PAC_EL1, PAC_EL0, HMC = 1 << 1, 2 << 1, 1 << 13


def wvr(n: int) -> int:
    return sysreg(2, 0, 0, n, 6)


def wcr(n: int) -> int:
    return sysreg(2, 0, 0, n, 7)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


# Software step


@pytest.mark.parametrize(
    ("level", "spsr", "mdcr", "taken_to", "ec"),
    [
        (1, 0, 0, 1, 0x32),  # EL1 steps its EL0
        (2, 0x3C5, TDE, 2, 0x32),  # EL2 steps its guest
        (1, 0xC5, 0, 1, 0x33),  # EL1 steps itself, KDE
    ],
)
def test_step__runs_one_instruction(bench: Bench, level: int, spsr: int, mdcr: int, taken_to: int, ec: int) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(MDCR_EL2, mdcr)
    guest.core.set_sysreg(MDSCR, SS | KDE)
    bench.code([0x91000400] * 4, CODE + 0x100)  # add x0, x0, #1
    guest.core.set_sysreg(SPSR[level], spsr | SPSR_SS)
    guest.core.set_sysreg(ELR[level], CODE + 0x100)
    guest.run([ERET], el=level, x=[0])
    assert guest.taken(taken_to, 0x200 if ec == 0x33 else 0x400)
    assert guest.core.get_x(0, 1) == [1]
    assert guest.esr(taken_to) & ~(1 << 24) == ec << 26 | IL | 0x22
    assert guest.elr(taken_to) == CODE + 0x104


def test_step__over_a_device_access(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(MDSCR, SS)
    bench.code([STR_W0_X1, 0x91000400, 0x91000400], CODE + 0x100)
    guest.core.set_sysreg(SPSR[1], SPSR_SS)
    guest.core.set_sysreg(ELR[1], CODE + 0x100)
    assert guest.run([ERET], x=[7, UART]) is Reason.MMIO
    lib.cca_mmio_done(guest.core.handle, 0)
    guest.core.run(100)
    assert guest.taken(1, 0x400)
    assert guest.esr(1) >> 26 == 0x32
    assert guest.elr(1) == CODE + 0x104


def test_step__of_an_svc_is_the_svc(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(MDSCR, SS)
    bench.code([SVC], CODE + 0x100)
    guest.core.set_sysreg(SPSR[1], SPSR_SS)
    guest.core.set_sysreg(ELR[1], CODE + 0x100)
    guest.run([ERET])
    assert guest.taken(1, 0x400)
    assert guest.esr(1) >> 26 == 0x15
    assert guest.spsr(1) & SPSR_SS == 0  # it was stepped


# Breakpoints


@pytest.mark.parametrize(
    ("el", "mdcr", "hcr", "level", "ec"),
    [
        (1, 0, 0, 1, 0x31),
        (1, TDE, 0, 2, 0x30),
        (0, 0, 0, 1, 0x30),
        (0, 0, TGE, 2, 0x30),
    ],
)
def test_breakpoint__goes_where_tde_and_tge_say(
    bench: Bench, el: int, mdcr: int, hcr: int, level: int, ec: int
) -> None:
    guest = Guest(bench, hcr=hcr)
    core = guest.core
    core.set_sysreg(MDCR_EL2, mdcr)
    at = CODE + 0x20
    setup = [msr(sysreg(2, 0, 0, 0, 4), 0), msr(sysreg(2, 0, 0, 0, 5), 1), msr(MDSCR, 2)]
    guest.run(setup, el=2, x=[at, 1 | 3 << 1 | 0xF << 5, MDE | KDE])
    bench.code([NOP] * 10, CODE)
    core.pstate = {1: 0x1C5, 0: 0x1C0}[el]
    core.pc = CODE
    assert Reason(core.run(100)) is Reason.SMC
    assert guest.taken(level, 0x200 if ec == 0x31 else 0x400)
    assert guest.esr(level) == ec << 26 | IL | 0x22
    assert guest.elr(level) == at


# Watchpoints


def watch(guest: Guest, address: int, control: int, *, n: int = 0) -> None:
    """DBGWVR and DBGWCR by a guest's own instructions; MDE and KDE on."""
    words = [msr(wvr(n), 0), msr(wcr(n), 1), msr(MDSCR, 2)]
    guest.run(words, el=2, x=[address, control | 1, MDE | KDE])


def bas(first: int, count: int) -> int:
    return ((1 << count) - 1 << first) << 5


@pytest.mark.parametrize(
    ("word", "control", "wnr"),
    [
        (LDR_X0_X1, BOTH | bas(0, 8), 0),
        (STR_X0_X1, BOTH | bas(0, 8), 1),
        (STR_X0_X1, STORES | bas(7, 1), 1),
        (LDR_X0_X1, LOADS | bas(3, 2), 0),
        (0xF8010C20, BOTH | bas(0, 8), 1),  # str x0, [x1, #16]!
        (0x3DC00020, BOTH | bas(0, 8), 0),  # ldr q0, [x1]
        (0xF8200020, STORES | bas(0, 8), 1),  # ldadd x0, x0, [x1]
    ],
)
def test_watchpoint__fires_before_the_access(bench: Bench, word: int, control: int, wnr: int) -> None:
    guest = Guest(bench, hcr=0)
    address = DATA + (16 if word == 0xF8010C20 else 0)
    bench.memory.write64(address, 5)
    watch(guest, address, control | PAC_EL1)
    guest.run([UNMASK_D, ISB, NOP, word], x=[9, DATA])
    assert guest.taken(1, 0x200)
    assert guest.esr(1) == 0x35 << 26 | IL | wnr << 6 | 0x22
    assert guest.elr(1) == CODE + 12
    assert address <= guest.far(1) < address + 8
    assert bench.memory.read64(address) == 5
    assert guest.core.get_x(0, 2) == [9, DATA]


@pytest.mark.parametrize(
    ("word", "control", "offset"),
    [
        (LDR_X0_X1, STORES | bas(0, 8) | PAC_EL1, 0),
        (STR_X0_X1, LOADS | bas(0, 8) | PAC_EL1, 0),
        (LDR_X0_X1, BOTH | bas(0, 8) | PAC_EL0, 0),  # another level
        (LDR_X0_X1, BOTH | bas(0, 8) | PAC_EL1, 8),  # the doubleword beside it
        (0x39400020, BOTH | bas(1, 1) | PAC_EL1, 0),  # ldrb w0, [x1]: the byte beside it
        (LDR_X0_X1, BOTH | bas(0, 8) | PAC_EL1 | 1 << 20, 0),  # linked
    ],
)
def test_watchpoint__lets_others_by_with_their_effect(bench: Bench, word: int, control: int, offset: int) -> None:
    guest = Guest(bench, hcr=0)
    bench.memory.write64(DATA + offset, 5)
    watch(guest, DATA, control)
    guest.run([UNMASK_D, ISB, word, NOP, word], x=[9, DATA + offset])
    assert guest.ended
    if word == STR_X0_X1:
        assert bench.memory.read64(DATA + offset) == 9
    else:
        assert guest.core.get_x(0, 1) == [5]
    assert guest.core.exit.pc == CODE + 24


def test_watchpoint__masked_by_pstate_d_and_off_without_mde(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    watch(guest, DATA, BOTH | bas(0, 8) | PAC_EL1)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.ended
    guest.core.set_sysreg(MDSCR, 0)
    guest.run([msr(MDSCR, 31), UNMASK_D, LDR_X0_X1], x=[0, DATA])
    assert guest.ended


def test_watchpoint__covers_a_range_by_mask(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    watch(guest, DATA, BOTH | bas(0, 8) | PAC_EL1 | 12 << 24)  # 4 KiB
    guest.run([UNMASK_D, ISB, LDR_X0_X1], x=[0, DATA + 0xFF8])
    assert guest.taken(1, 0x200)
    guest.run([UNMASK_D, ISB, LDR_X0_X1], x=[0, DATA + 0x1000])
    assert guest.ended


def test_watchpoint__in_a_loop_leaves_time_as_it_is(bench: Bench) -> None:
    """A watched page slows the run down and changes nothing else."""

    def once(watched: bool) -> tuple[int, int]:
        board = Bench()
        guest = Guest(board, hcr=0)
        watch(guest, DATA, (BOTH | bas(0, 8) | PAC_EL1) if watched else PAC_EL0)
        before = board.board.insns
        # ldr x0, [x1, #8] ; add x0, x0, #1 ; str x0, [x1, #8] ; subs x2, x2, #1 ; b.ne
        guest.run([UNMASK_D, 0xF9400420, 0x91000400, 0xF9000420, 0xF1000442, 0x54FFFF81], x=[0, DATA, 50])
        result = board.board.insns - before, board.memory.read64(DATA + 8)
        board.close()
        return result

    assert once(True) == once(False) == (1 + 5 * 50 + 1, 50)


def test_watchpoint__of_el0_goes_to_el1_and_with_tde_to_el2(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    watch(guest, DATA, BOTH | bas(0, 8) | PAC_EL0)
    guest.run([LDR_X0_X1], el=0, x=[0, DATA])
    assert guest.taken(1, 0x400)
    assert guest.esr(1) == 0x34 << 26 | IL | 0x22
    guest.core.set_sysreg(MDCR_EL2, TDE)
    guest.run([LDR_X0_X1], el=0, x=[0, DATA])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x34 << 26 | IL | 0x22


def test_watchpoint__on_a_device(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    watch(guest, UART, BOTH | bas(0, 4) | PAC_EL1)
    assert guest.run([UNMASK_D, ISB, STR_W0_X1], x=[0, UART]) is Reason.SMC
    assert guest.taken(1, 0x200)
    assert guest.run([UNMASK_D, ISB, STR_W0_X1], x=[0, UART + 8]) is Reason.MMIO


def test_watchpoint__beside_a_fault(bench: Bench) -> None:
    """A pair over two pages, the first watched elsewhere, the second out of reach: the fault is taken, once."""
    guest = Guest(bench, hcr=0)
    watch(guest, DATA, BOTH | bas(0, 8) | PAC_EL1)
    bench.delegate(DATA + 0x1000)
    guest.run([UNMASK_D, ISB, 0xA9400820], x=[0, DATA + 0xFF8])  # ldp x0, x2, [x1]
    assert guest.taken(1, 0x200)
    assert guest.esr(1) == 0x9600_0028
    assert guest.far(1) == DATA + 0x1000
