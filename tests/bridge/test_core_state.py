# SPDX-License-Identifier: GPL-2.0-or-later
"""A context's state as bytes: what has no name in the engine's register interface comes along, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.core import Core, sysreg
from bridge.exits import DebugReason, Reason
from bridge.plugin import ffi, lib
from machine.recs import let_sve
from tests.bridge.a64 import mov
from tests.bridge.boards import CODE, DATA, SMC, Bench

CPACR = sysreg(3, 0, 1, 0, 2)
ZCR_EL1, ZCR_EL2 = sysreg(3, 0, 1, 2, 0), sysreg(3, 4, 1, 2, 0)
CPTR_EL2 = sysreg(3, 4, 1, 1, 2)
LDXR_X0_X1 = 0xC85F7C20
STXR_W2_X3_X1 = 0xC8027C23  # stxr w2, x3, [x1]
CLREX = 0xD5033F5F
PTRUE_P0_B_VL8 = 0x2518E100  # ptrue p0.b, vl8
INDEX_Z5_B = 0x04224025 | 0  # index z5.b, #1, #2
STR_P0_X4 = 0xE5800080  # str p0, [x4]
STR_Z5_X5 = 0xE58040A5  # str z5, [x5]


def state(core: Core) -> bytes:
    buffer = ffi.new("uint8_t[]", lib.cca_core_state_size())
    assert lib.cca_core_save(core.handle, buffer) == 0
    data: bytes = ffi.buffer(buffer)[:]
    return data


@contextmanager
def stopped(words: list[int], after: int) -> Iterator[tuple[Bench, Core]]:
    """A core before the instruction `after` of a program that ends by SMC."""
    bench = Bench()
    try:
        core = bench.core(el=1)
        let_sve(core)
        core.set_sysreg(CPACR, 3 << 20 | 3 << 16)
        core.set_sysreg(CPTR_EL2, 0x32FF)
        core.set_sysreg(ZCR_EL1, 15)
        core.set_sysreg(ZCR_EL2, 15)
        bench.code([*words, SMC])
        core.pc = CODE
        bench.board.stop_at(after)
        assert Reason(core.run()) is Reason.DEBUG
        assert DebugReason(core.exit.debug) is DebugReason.COUNT
        yield bench, core
    finally:
        bench.close()


def continued(words: list[int], content: bytes) -> tuple[Bench, Core]:
    """Another machine with the same program, and a core with that state."""
    bench = Bench()
    bench.code([*words, SMC])
    core = bench.core(el=1)
    assert lib.cca_core_restore(core.handle, content, len(content)) == 0
    return bench, core


@pytest.mark.parametrize(("clear", "failed"), [(False, 0), (True, 1)])
def test_state__has_the_exclusive_monitor(clear: bool, failed: int) -> None:
    """DDI 0487 B2.9: a store-exclusive passes only while the monitor that its load set is."""
    words = [*mov(1, DATA), LDXR_X0_X1, *([CLREX] if clear else []), *mov(3, 7), STXR_W2_X3_X1]
    with stopped(words, len(words) - 1) as (_, core):
        content = state(core)
    bench, core = continued(words, content)
    try:
        assert Reason(core.run()) is Reason.SMC
        assert core.get_x(2, 1) == [failed]
        assert bench.memory.read64(DATA) == (0 if failed else 7)
    finally:
        bench.close()


def test_state__has_vectors_and_predicates_in_full() -> None:
    """DDI 0487 C8.2: PTRUE VL8 sets 8 of the byte predicates, INDEX 1, 3, 5 … in every byte of the vector."""
    words = [PTRUE_P0_B_VL8, INDEX_Z5_B, *mov(4, DATA), *mov(5, DATA + 0x1000), STR_P0_X4, STR_Z5_X5]
    with stopped(words, len(words) - 2) as (_, core):
        content = state(core)
    bench, core = continued(words, content)
    try:
        assert Reason(core.run()) is Reason.SMC
        assert bench.memory.read(DATA, 32) == bytes([0xFF] + [0] * 31)
        vector = bench.memory.read(DATA + 0x1000, 256)
        assert vector == bytes((1 + 2 * i) & 0xFF for i in range(256))
    finally:
        bench.close()


def test_state__goes_on_inside_a_block_as_it_was() -> None:
    words = [*mov(6, 5), *mov(7, 6), *mov(8, 7)]
    with stopped(words, 2) as (_, core):
        content = state(core)
        assert core.get_x(6, 3) == [5, 6, 0]
    bench, core = continued(words, content)
    try:
        assert Reason(core.run()) is Reason.SMC
        assert core.get_x(6, 3) == [5, 6, 7]
        assert core.insns == len(words) + 1
    finally:
        bench.close()


def test_restore__refuses_what_is_no_state() -> None:
    with stopped([*mov(1, 1)], 0) as (bench, core):
        content = state(core)
        fresh = bench.core(el=1)
        for size in (0, 1, len(content) - 1):
            assert lib.cca_core_restore(fresh.handle, content, size) == -1
        assert ffi.string(lib.cca_core_error(fresh.handle)) == b"its state is of another size"
        for at in range(1500):  # bools and counts among them
            assert lib.cca_core_restore(fresh.handle, content[:at] + b"\xff" + content[at + 1 :], len(content)) in (
                0,
                -1,
            )
        assert lib.cca_core_restore(fresh.handle, bytes(len(content)), len(content)) == -1
        assert lib.cca_core_restore(fresh.handle, b"\xff" * len(content), len(content)) == -1
        assert lib.cca_core_restore(fresh.handle, content, len(content)) == 0
        assert Reason(fresh.run()) is Reason.SMC
