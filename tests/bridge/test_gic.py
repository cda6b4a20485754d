# SPDX-License-Identifier: GPL-2.0-or-later
"""The GIC as devices, the root firmware, the RMM and a debugger use it (bridge.gic)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import EngineError
from bridge.gic import MAX_LIST_REGISTERS, Gic, Interrupt
from bridge.plugin import lib
from tests.bridge.boards import Bench
from tests.bridge.test_interrupts import DIST, REDIST, Wired
from tests.plugin._gic import HPPIR0, IAR0, IAR1, IROUTER, ISENABLER


@pytest.fixture
def board() -> Iterator[Wired]:
    board = Wired()
    yield board
    board.close()


def test_inspection__shows_what_a_debugger_asks_for(board: Wired) -> None:
    assert board.gic.interrupts() == []
    board.enable(40)
    board.priority(40, 0xA0)
    board.gic.write(DIST + IROUTER + 40 * 8, 1, 8)
    board.gic.set_line(41, True)
    assert board.gic.interrupts(1) == [
        Interrupt(40, 2, True, False, False, False, False, 0xA0, 1),
        Interrupt(41, 2, False, True, False, False, True, 0x80, 0),
    ]


def test_inspection__private_interrupts_are_of_one_pe(board: Wired) -> None:
    board.gic.set_ppi(1, 20, True)
    assert [irq.intid for irq in board.gic.interrupts(0)] == []
    assert [irq.intid for irq in board.gic.interrupts(1)] == [20]


def test_el3__acknowledges_group_0_by_the_systems_registers(board: Wired) -> None:
    board.enable(40)
    board.group(40, 0)
    board.gic.set_line(40, True)
    assert board.gic.read_icc(0, HPPIR0) == 40
    assert board.gic.read_icc(0, IAR0) == 40
    assert board.gic.interrupt(40).active
    assert board.gic.read_icc(1, IAR0) == 1023
    assert board.gic.read_icc(0, 0xFFFF) is None
    assert not board.gic.write_icc(0, IAR1, 0)


def test_reset__is_what_hardware_leaves(board: Wired) -> None:
    board.enable(40)
    board.gic.set_line(40, True)
    board.gic.reset()
    assert board.gic.interrupts() == []
    assert board.gic.interrupt(40).group == 0
    assert board.gic.read(DIST) == 0x30
    assert board.gic.read(REDIST + 0x14) == 6


def test_virtual_interface__is_loaded_and_saved(board: Wired) -> None:
    core = board.core()
    lrs = [1 << 62 | n for n in range(4)]
    board.gic.load_virtual(core, 0xF8000001, lrs)
    state = board.gic.virtual(core)
    assert (state.hcr, state.lrs[:5], len(state.lrs)) == (0xF8000001, (*lrs, 0), MAX_LIST_REGISTERS)
    board.gic.load_virtual(core, 0, [])
    assert not any(board.gic.virtual(core).lrs)


def test_frames__where_the_machine_must_map_them(board: Wired) -> None:
    assert board.gic.frames == ((DIST, 0x1_0000), (REDIST, 0x4_0000))
    assert board.gic.read(DIST - 4) is None
    assert not board.gic.write(REDIST + 0x4_0000, 0)


@pytest.mark.parametrize("intid", [0, 31, 32 + 96, 1023])
def test_set_line__of_no_spi(board: Wired, intid: int) -> None:
    with pytest.raises(IndexError, match=str(intid)):
        board.gic.set_line(intid, True)


@pytest.mark.parametrize(("pe", "intid"), [(0, 15), (0, 32), (2, 20)])
def test_set_ppi__of_no_ppi(board: Wired, pe: int, intid: int) -> None:
    with pytest.raises(IndexError):
        board.gic.set_ppi(pe, intid, True)


def test_configuration__that_cannot_be_is_refused() -> None:
    bench = Bench()
    for options in ({"dist": 0x1000, "redist": REDIST}, {"dist": DIST, "redist": DIST}):
        with pytest.raises(EngineError):
            Gic(bench.board, (0,), **options)
    with pytest.raises(EngineError, match="8 are the most"):
        Gic(bench.board, range(9), dist=DIST, redist=REDIST)
    Gic(bench.board, (0,), dist=DIST, redist=REDIST)
    with pytest.raises(EngineError):  # one is there
        Gic(bench.board, (0,), dist=DIST, redist=REDIST)
    with pytest.raises(EngineError, match="index 1"):
        bench.core(pe=1)
    bench.close()


def test_core__that_goes_takes_its_timers_lines_along(board: Wired) -> None:
    """A PE that is turned off leaves no timer of its own asserted."""
    from tests.bridge.a64 import put
    from tests.bridge.test_interrupts import CNTHP_CTL, CNTHP_CVAL

    core = board.host(26, pstate=0x3C9)
    board.run(core, [*put(CNTHP_CVAL, 0), *put(CNTHP_CTL, 1)])
    assert board.gic.interrupt(26).pending
    board.cores.remove(core)
    core.close()
    assert not board.gic.interrupt(26).pending
    assert board.gic.interrupt(26).enabled


def test_realm_context__moves_between_pes_and_the_host_does_not(board: Wired) -> None:
    from tests.bridge.test_interrupts import make_realm

    host = board.host()
    realm = make_realm(board)
    board.enable(20, 1)
    board.host(pe=1)
    board.gic.set_ppi(1, 20, True)
    assert lib.cca_irq_lines(realm.handle) == 0
    assert lib.cca_set_pe(realm.handle, 1) == 0
    assert lib.cca_irq_lines(realm.handle) == 1
    assert lib.cca_set_pe(realm.handle, 2) == -1
    assert lib.cca_set_pe(host.handle, 1) == -1


def test_enables__are_seen_by_code_and_debugger_alike(board: Wired) -> None:
    board.enable(33)
    assert board.gic.read(DIST + ISENABLER + 4) == 2
    assert board.gic.interrupt(33).enabled


def test_hold_secure__keeps_secure_interrupts_from_a_pe_and_no_others(board: Wired) -> None:
    """IHI 0069, 4.6.2: which of two pending ones is signalled; what firmware holds back stays pending."""
    core = board.host()
    board.enable(40)
    board.enable(41)
    board.group(40, 0)
    board.priority(40, 0x10)
    board.gic.set_line(40, True)
    board.gic.set_line(41, True)
    assert lib.cca_irq_lines(core.handle) == 2, "FIQ: Group 0 has the higher priority"
    board.gic.hold_secure(0, True)
    assert lib.cca_irq_lines(core.handle) == 1, "IRQ: the Non-secure one is what is left"
    assert board.gic.interrupt(40).pending
    board.gic.hold_secure(0, False)
    assert lib.cca_irq_lines(core.handle) == 2
    with pytest.raises(IndexError):
        board.gic.hold_secure(8, True)
