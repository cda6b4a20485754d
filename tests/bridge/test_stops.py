# SPDX-License-Identifier: GPL-2.0-or-later
"""A debugger's stops: exact, and unseen by what is debugged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import Core
from bridge.exits import DebugReason, Reason
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, SMC, UART, VECTORS, Bench
from tests.bridge.guests import LDR_X0_X1, NOP, STR_W0_X1, STR_X0_X1, SVC

ADD = 0x91000400  # add x0, x0, #1
B_SELF = 0x14000000
CNTVCT = 0xD53BE040  # mrs x0, cntvct_el0


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def start(bench: Bench, words: list[int], **options: int) -> Core:
    core = bench.core(**options)
    bench.code([*words, SMC])
    core.pc = CODE
    return core


def stops(core: Core) -> tuple[Reason, list[tuple[int, DebugReason]]]:
    """The first exit that is not the debugger's, and (PC, reasons) of all before."""
    seen = []
    while True:
        reason = Reason(core.run())
        if reason is not Reason.DEBUG:
            return reason, seen
        seen.append((core.pc, DebugReason(core.exit.debug)))


def test_point__before_the_instruction_once(bench: Bench) -> None:
    core = start(bench, [ADD] * 10)
    core.set_point(CODE + 12, True)
    assert Reason(core.run()) is Reason.DEBUG
    assert (core.pc, core.get_x(0, 1), bench.board.insns) == (CODE + 12, [3], 3)
    assert stops(core) == (Reason.SMC, [])
    assert (core.get_x(0, 1), bench.board.insns) == ([10], 11)


def test_point__each_time_round_a_loop_and_not_after_its_removal(bench: Bench) -> None:
    core = start(bench, [0xD28000A1, 0xF1000421, 0x54FFFFE1])  # mov x1, #5; 1: subs x1, x1, #1; b.ne 1b
    core.set_point(CODE + 4, True)
    assert Reason(core.run()) is Reason.DEBUG
    assert Reason(core.run()) is Reason.DEBUG
    assert core.get_x(1, 1) == [4]
    core.set_point(CODE + 4, False)
    assert stops(core) == (Reason.SMC, [])


def test_point__in_code_that_has_run_already(bench: Bench) -> None:
    core = start(bench, [ADD] * 4)
    assert stops(core)[0] is Reason.SMC
    core.set_point(CODE + 8, True)
    core.pc = CODE
    assert stops(core)[1] == [(CODE + 8, DebugReason.BREAK)]


def test_count__stops_at_the_very_instruction(bench: Bench) -> None:
    core = start(bench, [ADD] * 700)
    for at in (1, 2, 300, 511, 512, 513, 699):
        bench.board.stop_at(at)
        assert Reason(core.run()) is Reason.DEBUG
        assert DebugReason(core.exit.debug) is DebugReason.COUNT
        assert (bench.board.insns, core.pc, core.get_x(0, 1)) == (at, CODE + 4 * at, [at])
    assert stops(core) == (Reason.SMC, [])


def test_step__one_instruction(bench: Bench) -> None:
    core = start(bench, [ADD, 0x14000002, ADD, ADD])  # add; b +8
    visited = []
    for _ in range(3):
        core.step()
        assert Reason(core.run()) is Reason.DEBUG
        visited.append(core.pc)
    assert visited == [CODE + 4, CODE + 12, CODE + 16]
    assert bench.board.insns == 3


def test_step__a_branch_to_itself(bench: Bench) -> None:
    core = start(bench, [B_SELF])
    for done in (1, 2, 3):
        core.step()
        assert Reason(core.run()) is Reason.DEBUG
        assert (core.pc, bench.board.insns) == (CODE, done)


def test_step__into_the_vector(bench: Bench) -> None:
    core = start(bench, [SVC], el=1)
    core.step()
    assert Reason(core.run()) is Reason.DEBUG
    assert core.pc == VECTORS + 0x200  # current EL with SP_ELx, synchronous (DDI 0487 D1.3.1.3)


def test_step__over_a_device_access(bench: Bench) -> None:
    core = start(bench, [STR_W0_X1, ADD])
    core.set_x(0, [7, UART])
    core.step()
    assert Reason(core.run()) is Reason.MMIO
    lib.cca_mmio_done(core.handle, 0)
    assert Reason(core.run()) is Reason.DEBUG
    assert (core.pc, core.get_x(0, 1)) == (CODE + 4, [7])


@pytest.mark.parametrize("every", [1, 3, 7])
def test_stops__leave_the_counter_and_the_timer_alone(every: int) -> None:
    """CNTVCT_EL0, and the instruction at which a turn ends, in straight code longer than a block."""

    def run(stop: bool) -> tuple[list[int], int, int]:
        bench = Bench()
        core = start(bench, [*[NOP] * 530, CNTVCT, *[NOP] * 300, B_SELF])
        bench.board.end_turn_at(701)
        if stop:
            bench.board.stop_at(every)
        while (reason := Reason(core.run())) is Reason.DEBUG:
            bench.board.stop_at(bench.board.insns + every)
        assert reason is Reason.SLICE
        out = core.get_x(0, 1), core.pc, bench.board.insns
        bench.close()
        return out

    plain = run(False)
    assert plain[0] == [530]
    assert run(True) == plain


@pytest.mark.parametrize(
    ("word", "read", "write", "hit"),
    [(LDR_X0_X1, True, False, True), (LDR_X0_X1, False, True, False), (STR_X0_X1, False, True, True)],
)
def test_watch__before_the_access(bench: Bench, word: int, read: bool, write: bool, hit: bool) -> None:
    core = start(bench, [ADD, word, ADD])
    core.set_x(0, [5, DATA])
    bench.board.watch(3, lib.CCA_WATCH_VA, DATA + 4, DATA + 7, read=read, write=write)
    reason, seen = stops(core)
    assert reason is Reason.SMC
    assert seen == ([(CODE + 4, DebugReason.WATCH)] if hit else [])
    assert bench.board.insns == 4
    if hit:
        assert (core.exit.watch, core.exit.far) == (3, DATA + 4)


def test_watch__a_neighbour_in_the_page_passes_and_counts_stay(bench: Bench) -> None:
    core = start(bench, [STR_X0_X1, ADD, LDR_X0_X1, ADD])
    core.set_x(0, [5, DATA])
    bench.board.watch(1, lib.CCA_WATCH_PA, DATA + 8, DATA + 8, read=True, write=True)
    assert stops(core) == (Reason.SMC, [])
    assert (bench.board.insns, core.get_x(0, 1)) == (5, [6])
    bench.board.unwatch(1)


def test_asked__stops_before_anything_runs(bench: Bench) -> None:
    core = start(bench, [ADD])
    bench.board.stop_next()
    assert stops(core) == (Reason.SMC, [(CODE, DebugReason.ASKED)])


def test_points__are_refused_when_there_are_too_many(bench: Bench) -> None:
    from bridge.core import EngineError

    core = start(bench, [ADD])
    with pytest.raises(EngineError, match="too many breakpoints"):
        for n in range(257):
            core.set_point(DATA + 4 * n, True)
    for n in range(256):
        core.set_point(DATA + 4 * n, False)
    assert stops(core) == (Reason.SMC, [])
