"""Random instructions at NS-EL2, NS-EL1 and in a realm: nothing crashes, nothing hangs, nothing leaks, runs repeat."""

from __future__ import annotations

import random

import pytest

from bridge.core import Core
from bridge.exits import Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, DRAM, DRAM_SIZE, TABLES, UART, Bench

WORDS = 400
RUNS = 40
SLICE = 3000
SEEDS = 60
# Encodings where the plugin has most to do: system instructions, exceptions, loads and stores, ERET, WFI, WFE.
SHAPES = (
    (0xD500_0000, 24),
    (0xD400_0000, 24),
    (0xF800_0000, 24),
    (0x0800_0000, 30),
    (0xD69F_03E0, 0),
    (0xD503_205F, 5),
)


def words(rnd: random.Random) -> list[int]:
    out = []
    for _ in range(WORDS):
        base, free = rnd.choice(SHAPES)
        out.append(rnd.getrandbits(32) if rnd.random() < 0.5 else base | (rnd.getrandbits(free) if free else 0))
    return out


def context(bench: Bench, kind: str) -> Core:
    if kind != "realm":
        return bench.core(el=2 if kind == "NS-EL2" else 1)
    bench.memory.write64(TABLES + 8 * 2, (TABLES + 0x1000) | 3)
    for i in range(8):
        bench.memory.write64(TABLES + 0x1000 + 8 * i, (DRAM + i * 0x20_0000) | 0x7D9)
    for pa in range(DRAM, DRAM + DRAM_SIZE, 4096):
        bench.gpt.set(pa, PAS.REALM)
    vtcr = 1 << 31 | 5 << 16 | 1 << 6 | 31
    return bench.core(el=1, pas=PAS.REALM, stage2=1, vttbr=TABLES, vtcr=vtcr, irq_exits=1)


def play(seed: int, kind: str) -> tuple[list[tuple[str, int, int]], list[int], int]:
    """(reason, PC, time) of each stop, X0..X30, PSTATE."""
    rnd = random.Random(seed)
    bench = Bench()
    core = context(bench, kind)
    root = bytes(bench.root.bytes[:0x6_0000])
    bench.code(words(rnd))
    choices = (rnd.getrandbits(64), DRAM + rnd.getrandbits(24), DATA + rnd.getrandbits(12), UART, 0, (1 << 64) - 1)
    core.set_x(0, [rnd.choice(choices) for _ in range(31)])
    core.pc = CODE
    stops = []
    for _ in range(RUNS):
        before = bench.board.insns
        reason = Reason(core.run(SLICE))
        assert bench.board.insns - before <= 2 * SLICE
        stops.append((reason.name, core.pc, bench.board.insns))
        if reason is Reason.ABORTED:
            break
        if reason is Reason.MMIO:
            if rnd.random() < 0.7:
                lib.cca_mmio_done(core.handle, rnd.getrandbits(64))
            else:
                lib.cca_external_abort(core.handle)
        elif reason not in (Reason.SMC, Reason.SLICE, Reason.TIMER):
            core.pc = CODE + 4 * rnd.randrange(WORDS)
            core.pstate = 0x3C9 if kind == "NS-EL2" else 0x3C5
    assert bytes(bench.root.bytes[:0x6_0000]) == root
    result = stops, core.get_x(0, 31), core.pstate
    bench.close()
    return result


@pytest.mark.parametrize("kind", ["NS-EL2", "NS-EL1", "realm"])
def test_random_code__ends_in_its_slice_leaves_root_alone_and_repeats(kind: str) -> None:
    for seed in range(SEEDS):
        assert play(seed, kind) == play(seed, kind), seed
