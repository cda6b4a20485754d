# SPDX-License-Identifier: GPL-2.0-or-later
"""Which blocks ran, and how often: hand-written programs on a bare board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import Block, EngineError
from bridge.exits import Reason
from tests.bridge.boards import CODE, UART, VECTORS, Bench
from tests.bridge.guests import LDR_X0_X1, NOP, SVC

# mov x2, #5 ; loop: nop ; subs x2, x2, #1 ; b.ne loop ; nop
LOOP = (0xD28000A2, NOP, 0xF1000442, 0x54FFFFC1, NOP)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_blocks__are_counted_from_where_they_are_entered(bench: Bench) -> None:
    """A block ends at a branch: the first pass goes on from the MOV, four come back to the loop, then the SMC."""
    core = bench.core()
    core.cover(7)
    assert bench.run(core, LOOP) is Reason.SMC
    assert bench.board.covered() == [
        Block(7, CODE, 16, 1),
        Block(7, CODE + 4, 12, 4),
        Block(7, CODE + 16, 8, 1),
    ]
    assert bench.board.uncounted == 0
    assert sum(block.size // 4 * block.runs for block in bench.board.covered()) == bench.board.insns


def test_time__is_the_same_without_and_nothing_is_counted_then(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, LOOP)
    assert bench.board.covered() == []
    before = bench.board.insns
    core.cover(0)
    bench.run(core, LOOP)
    assert bench.board.insns == 2 * before


def test_block_that_faults__counts_up_to_the_instruction_that_was_begun(bench: Bench) -> None:
    core = bench.core()
    core.cover(0)
    core.set_x(1, [0x7000_0000])  # nobody's: a granule protection fault (DDI 0487 D9)
    assert bench.run(core, [NOP, LDR_X0_X1, NOP, NOP]) is Reason.SMC
    assert bench.board.covered() == [Block(0, CODE, 8, 1), Block(0, VECTORS + 0x200, 4, 1)]


def test_device_access__goes_on_behind_its_instruction(bench: Bench) -> None:
    core = bench.core()
    core.cover(0)
    core.set_x(1, [UART])
    assert bench.run(core, [NOP, LDR_X0_X1, NOP]) is Reason.MMIO
    from bridge.plugin import lib

    lib.cca_mmio_done(core.handle, 1)
    assert core.run() == Reason.SMC
    assert bench.board.covered() == [Block(0, CODE, 8, 1), Block(0, CODE + 8, 8, 1)]


def test_turn_that_ends_before_a_block__does_not_count_it_twice(bench: Bench) -> None:
    core = bench.core()
    core.cover(0)
    assert bench.run(core, LOOP, slice_insns=1) is Reason.SLICE
    while core.run(1) == Reason.SLICE:
        pass
    assert [(block.pc - CODE, block.runs) for block in bench.board.covered()] == [(0, 1), (4, 4), (16, 1)]


def test_stop_of_a_debugger__counts_nothing_that_did_not_run(bench: Bench) -> None:
    core = bench.core()
    core.cover(0)
    core.set_point(CODE + 8, True)
    reason = bench.run(core, LOOP)
    while reason == Reason.DEBUG:
        reason = Reason(core.run())
    assert reason is Reason.SMC
    counted: dict[int, int] = {}
    for block in bench.board.covered():
        for at in range(block.pc, block.pc + block.size, 4):
            counted[at - CODE] = counted.get(at - CODE, 0) + block.runs
    assert counted == {0: 1, 4: 5, 8: 5, 12: 5, 16: 1, 20: 1}


def test_exceptions__count_the_call_and_its_vector(bench: Bench) -> None:
    core = bench.core(el=1)
    core.cover(0)
    bench.run(core, [NOP, SVC, NOP])
    assert bench.board.covered() == [Block(0, CODE, 8, 1), Block(0, VECTORS + 0x200, 4, 1)]


def test_contexts__are_counted_apart_and_outlive_their_core(bench: Bench) -> None:
    for number in (1, 2):
        core = bench.core()
        core.cover(number)
        bench.run(core, [NOP])
        core.close()
    bench.cores.clear()
    assert bench.board.covered() == [Block(1, CODE, 8, 1), Block(2, CODE, 8, 1)]


def test_core_that_is_covered__is_not_covered_again(bench: Bench) -> None:
    core = bench.core()
    core.cover(0)
    with pytest.raises(EngineError):
        core.cover(1)


def test_many_blocks__are_all_kept(bench: Bench) -> None:
    """Twenty thousand blocks of one branch each: b .+4."""
    core = bench.core()
    core.cover(0)
    assert bench.run(core, [0x14000001] * 20_000) is Reason.SMC
    blocks = bench.board.covered()
    assert blocks == [Block(0, CODE + 4 * n, 4, 1) for n in range(20_001)]
