# SPDX-License-Identifier: GPL-2.0-or-later
"""Random code under every regime ends, repeats, and reaches nothing that is not its own."""

from __future__ import annotations

import hashlib
import random

import pytest

from bridge.core import Core, sysreg
from bridge.exits import Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, DRAM, ELR, SPSR, TABLES, UART, VBAR, VECTORS, Bench
from tests.bridge.guests import CPACR_EL1, CPTR_EL2, E2H, ERET, HCR_EL2, RW, TGE, VM, Guest, mrs, msr

OWN = DRAM + 0x40_0000  # what the guest's stage 2 maps: 2 MiB, at its own address
OTHERS, OTHERS_SIZE = DRAM + 0x80_0000, 0x10_0000  # another world's
HOSTS, HOSTS_SIZE = DRAM + 0xA0_0000, 0x10_0000  # the host's own
HIGH = 0xFFFF_FF80_0000_0000
MDSCR, CNTHCTL, MDCR = sysreg(2, 0, 0, 2, 2), sysreg(3, 4, 14, 1, 0), sysreg(3, 4, 1, 1, 1)
VBAR_LOW = OWN + 0x10_0000
SHAPES = (
    (0xD500_0000, 24),
    (0xD510_0000, 20),
    (0xD518_0000, 19),
    (0xD538_0000, 19),
    (0xD400_0000, 24),
    (0xF800_0000, 24),
    (0x0800_0000, 30),
    (0x0C00_0000, 26),
    (0x1E20_0000, 21),
    (0x3D80_0000, 22),
    (0xA400_0000, 26),
    (0xD69F_03E0, 0),
    (0xD503_205F, 0),
    (0x1400_0000, 6),
)
WORDS, RUNS, SLICE, SEEDS = 500, 8, 3000, 40


def skipping(el: int) -> list[int]:
    """A vector that steps over the instruction that came here; X30 is lost."""
    return [mrs(ELR[el], 30), 0x910013DE, msr(ELR[el], 30), ERET]


def prepare(bench: Bench, kind: str, rnd: random.Random) -> Core:
    guest = Guest(bench, hcr=0)
    core = guest.core
    memory = bench.memory
    for pa in range(OTHERS, OTHERS + OTHERS_SIZE, 4096):
        bench.gpt.set(pa, PAS.REALM)
    memory.write(OTHERS, b"\xc3" * OTHERS_SIZE)
    memory.write(HOSTS, b"\xa5" * HOSTS_SIZE)
    hcr = RW | (rnd.getrandbits(64) if rnd.random() < 0.5 else 0)
    if kind == "guest":
        # the IPA of OWN only; its stage 2 tables lie with the host
        memory.write64(TABLES + 8 * (DRAM >> 30), (TABLES + 0x1000) | 3)
        memory.write64(TABLES + 0x1000 + 8 * (OWN >> 21 & 511), OWN | 0x7FD)
        hcr = (hcr | VM) & ~(TGE | 1 << 12)
        if rnd.random() < 0.5:
            hcr |= E2H
        else:
            hcr &= ~E2H
    elif kind == "host":
        hcr |= E2H | TGE
        leaf = 0x401 | rnd.choice((0, 1 << 6, 1 << 6 | 1 << 7))
        memory.write64(TABLES + 0x8000 + 8 * (DRAM >> 30), DRAM | leaf)
        memory.write64(TABLES + 0x9000, DRAM | leaf)
        for register, value in (
            (sysreg(3, 4, 2, 0, 0), TABLES + 0x8000),
            (sysreg(3, 4, 2, 0, 1), TABLES + 0x9000),
            (sysreg(3, 4, 10, 2, 0), 0xFF),
            (sysreg(3, 4, 2, 0, 2), 25 | 25 << 16 | 2 << 30 | 5 << 32),
            (sysreg(3, 4, 1, 0, 0), 0x30C5_0831),
        ):
            core.set_sysreg(register, value)
    for register, value in (
        (HCR_EL2, hcr),
        (CPTR_EL2, rnd.choice((0, 0x33FF, rnd.getrandbits(32)))),
        (CPACR_EL1, rnd.choice((0, 0x33_0000, rnd.getrandbits(32)))),
        (sysreg(3, 6, 1, 1, 2), rnd.choice((0, 1 << 8))),
        (MDSCR, rnd.choice((0, rnd.getrandbits(16)))),
        (MDCR, rnd.choice((0, rnd.getrandbits(12)))),
        (CNTHCTL, rnd.getrandbits(12)),
    ):
        core.set_sysreg(register, value)
    return core


def play(seed: int, kind: str) -> tuple[list[tuple[str, int, int]], list[int], str]:
    """(reason, PC, time) of each stop, X0..X30, a hash of memory."""
    rnd = random.Random(seed)
    bench = Bench()
    core = prepare(bench, kind, rnd)
    code_at = OWN if kind == "guest" else CODE
    level = rnd.choice((0, 1)) if kind == "guest" else rnd.choice((0, 2)) if kind == "host" else 2
    code = []
    for _ in range(WORDS):
        base, free = rnd.choice(SHAPES)
        code.append(rnd.getrandbits(32) if rnd.random() < 0.3 else base | (rnd.getrandbits(free) if free else 0))
    places = (
        rnd.getrandbits(64),
        OWN + rnd.getrandbits(21),
        DRAM + rnd.getrandbits(24),
        OTHERS - rnd.getrandbits(4),
        HOSTS + 8,
        HIGH + rnd.getrandbits(24),
        DATA,
        UART,
    )
    core.set_x(0, [rnd.choice(places) for _ in range(31)])
    root = bytes(bench.root.bytes[:0x6_0000])
    stops: list[tuple[str, int, int]] = []
    reason: Reason | None = None
    for _ in range(RUNS):
        if reason not in (Reason.SLICE, Reason.MMIO):
            for offset in range(0, 0x800, 0x80):
                bench.code(skipping(1), VBAR_LOW + offset)
                # what reaches the host of a guest ends the run; a host of its own goes on
                bench.code([0xD4000003] if kind == "guest" else skipping(2), VECTORS + 0x800 + offset)
            bench.code(code, code_at)
            core.set_sysreg(VBAR[1], VBAR_LOW)
            core.set_sysreg(VBAR[2], VECTORS + 0x800)
            for el in (1, 2):
                core.set_sysreg(SPSR[el], 0x3C0)
            core.pstate = {0: 0x3C0, 1: 0x3C5, 2: 0x3C9}[level]
            core.pc = code_at + 4 * rnd.randrange(WORDS)
        before = bench.board.insns
        reason = Reason(core.run(SLICE))
        stops.append((reason.name, core.pc, bench.board.insns))
        assert bench.board.insns - before <= 2 * SLICE
        assert reason not in (Reason.ENGINE, Reason.GPC), (hex(core.pc), core.exit.engine_error)
        if reason is Reason.ABORTED:
            break
        if reason is Reason.MMIO:
            assert kind != "guest"  # nothing maps the device
            lib.cca_mmio_done(core.handle, rnd.getrandbits(64))
    assert bytes(bench.root.bytes[:0x6_0000]) == root
    assert bench.memory.read(OTHERS, OTHERS_SIZE) == b"\xc3" * OTHERS_SIZE
    if kind == "guest":
        assert bench.memory.read(HOSTS, HOSTS_SIZE) == b"\xa5" * HOSTS_SIZE
        assert not any(bench.memory.read(DATA, 0x1000))
    result = stops, core.get_x(0, 31), hashlib.sha256(bench.dram.bytes).hexdigest()
    bench.close()
    return result


@pytest.mark.parametrize("kind", ["el2", "host", "guest"])
def test_random_code__stays_in_its_regime_and_repeats(kind: str) -> None:
    for seed in range(SEEDS):
        assert play(seed, kind) == play(seed, kind), seed
