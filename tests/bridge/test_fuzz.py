"""Hostile guests on a bare board: each found a hang, or a way to the host's time or entropy, or shows there is none."""

from __future__ import annotations

import hashlib
import random
import struct

import pytest

from bridge.core import Core, sysreg
from bridge.exits import Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import (
    CODE,
    DATA,
    DRAM,
    DRAM_SIZE,
    ELR,
    ESR,
    FAR,
    SMC,
    SPSR,
    TABLES,
    UART,
    VBAR,
    VECTORS,
    Bench,
)

NOP, ERET, ISB, WFI = 0xD503201F, 0xD69F03E0, 0xD5033FDF, 0xD503207F
LDR_X0_X1 = 0xF9400020
ALL = (1 << 64) - 1
UNBACKED = 1 << 41  # beyond what the GPT protects, and nothing is there
OTHERS = DRAM + 0x80_0000  # memory of another world
OTHERS_SIZE = 0x10_0000
SENTINEL = 0x5E17
PSTATE = {"el2": 0x3C9, "el1": 0x3C5, "el0": 0x3C0}

HCR_EL2 = sysreg(3, 4, 1, 1, 0)
HCR_RW, HCR_TSC, HCR_E2H = 1 << 31, 1 << 19, 1 << 34
CNTV_CTL, CNTV_CVAL = sysreg(3, 3, 14, 3, 1), sysreg(3, 3, 14, 3, 2)
PMUSERENR, PMCR, PMCNTENSET = sysreg(3, 3, 9, 14, 0), sysreg(3, 3, 9, 12, 0), sysreg(3, 3, 9, 12, 1)
PMINTENSET, PMEVCNTR0 = sysreg(3, 0, 9, 14, 1), sysreg(3, 3, 14, 8, 0)
PMCCNTR, PMCCFILTR, PMEVTYPER0 = sysreg(3, 3, 9, 13, 0), sysreg(3, 3, 14, 15, 7), sysreg(3, 3, 14, 12, 0)
RNDR, RNDRRS = sysreg(3, 3, 2, 4, 0), sysreg(3, 3, 2, 4, 1)
ID_AA64ISAR0, ID_AA64MMFR1 = sysreg(3, 0, 0, 6, 0), sysreg(3, 0, 0, 7, 1)
CNTHV_TVAL, CNTKCTL, CNTHCTL = sysreg(3, 4, 14, 3, 0), sysreg(3, 0, 14, 1, 0), sysreg(3, 4, 14, 1, 0)


def mrs(encoding: int, rt: int) -> int:
    return 0xD520_0000 | encoding << 5 | rt


def msr(encoding: int, rt: int) -> int:
    return 0xD500_0000 | encoding << 5 | rt


def skipping(el: int) -> list[int]:
    """A vector that steps over the instruction that came here; X30 is lost."""
    return [mrs(ELR[el], 30), 0x910013DE, msr(ELR[el], 30), ERET]


def skip_all(bench: Bench, el: int) -> None:
    for offset in range(0, 0x800, 0x80):
        bench.code(skipping(el), VECTORS + offset)


def realm_core(bench: Bench) -> Core:
    """A core of a realm whose IPAs are the PAs of DRAM, less what belongs to others."""
    bench.memory.write64(TABLES + 8 * 2, (TABLES + 0x1000) | 3)
    for i in range(8):
        bench.memory.write64(TABLES + 0x1000 + 8 * i, (DRAM + i * 0x20_0000) | 0x7D9)
    for pa in range(DRAM, DRAM + DRAM_SIZE, 4096):
        bench.gpt.set(pa, PAS.REALM)
    vtcr = 1 << 31 | 5 << 16 | 1 << 6 | 31
    return bench.core(el=1, pas=PAS.REALM, stage2=1, vttbr=TABLES, vtcr=vtcr, irq_exits=1, pmu=6)


# Random code that goes on after each of its exceptions

SHAPES = (
    (0xD500_0000, 24),
    (0xD510_0000, 20),
    (0xD400_0000, 24),
    (0xF800_0000, 24),
    (0x0800_0000, 30),
    (0x0C00_0000, 26),
    (0x8400_0000, 26),
    (0xA400_0000, 26),
    (0xC400_0000, 26),
    (0xE400_0000, 26),
    (0xD69F_03E0, 0),
    (0x1400_0000, 6),
)
WORDS, RUNS, SLICE, SEEDS = 600, 8, 3000, 40


def prepare(bench: Bench, kind: str, rnd: random.Random) -> Core:
    core = realm_core(bench) if kind == "realm" else bench.core(el=2, pmu=6)
    for pa in range(OTHERS, OTHERS + OTHERS_SIZE, 4096):
        bench.gpt.set(pa, PAS.SECURE if kind == "realm" else PAS.REALM)
    bench.memory.write(OTHERS, b"\xc3" * OTHERS_SIZE)
    # SVE and FP on, for the widest accesses; the debug unit and the host's traps as they come
    for encoding, value in (
        (sysreg(3, 4, 1, 1, 2), rnd.choice((0, 0x33FF))),
        (sysreg(3, 0, 1, 0, 2), rnd.choice((0x33_0000, 0))),
        (sysreg(3, 4, 1, 2, 0), 15),
        (sysreg(2, 0, 0, 2, 2), rnd.choice((0, rnd.getrandbits(16)))),
        (PMUSERENR, rnd.getrandbits(4)),
        (PMINTENSET, 1),
        (PMEVCNTR0, (1 << 32) - 500),
        (PMEVTYPER0, rnd.getrandbits(32) & ~0xFFFF | 0x8),
        (PMCNTENSET, rnd.getrandbits(32)),
        (PMCR, rnd.getrandbits(10)),
    ):
        core.set_sysreg(encoding, value)
    if kind in ("el1", "el0"):
        core.set_sysreg(HCR_EL2, (rnd.getrandbits(44) | HCR_RW) & ~HCR_E2H if rnd.random() < 0.5 else HCR_RW)
        core.set_sysreg(VBAR[2], VECTORS + 0x800)
        for offset in range(0, 0x800, 0x80):
            bench.code(skipping(2), VECTORS + 0x800 + offset)
    return core


def play(seed: int, kind: str) -> tuple[list[tuple[str, int, int]], list[int], str]:
    """(reason, PC, time) of each stop, X0..X30, a hash of memory."""
    rnd = random.Random(seed)
    bench = Bench()
    core = prepare(bench, kind, rnd)
    el = 2 if kind == "el2" else 1
    pstate = rnd.choice((0x3C5, 0x3C0)) if kind == "realm" else PSTATE[kind]
    code = []
    for _ in range(WORDS):
        base, free = rnd.choice(SHAPES)
        code.append(rnd.getrandbits(32) if rnd.random() < 0.3 else base | (rnd.getrandbits(free) if free else 0))
    places = (
        rnd.getrandbits(64),
        DRAM + rnd.getrandbits(24),
        DATA,
        UART,
        OTHERS - rnd.getrandbits(4),
        OTHERS,
        UNBACKED,
    )
    core.set_x(0, [rnd.choice(places) for _ in range(31)])
    root = bytes(bench.root.bytes[:0x6_0000])
    stops: list[tuple[str, int, int]] = []
    reason: Reason | None = None
    for _ in range(RUNS):
        if reason not in (Reason.SMC, Reason.SLICE, Reason.TIMER, Reason.MMIO):
            skip_all(bench, el)
            bench.code(code)
            core.set_sysreg(VBAR[el], VECTORS)
            for level in (1, 2):
                core.set_sysreg(SPSR[level], 0x3C0)
            core.pstate = pstate
            core.pc = CODE + 4 * rnd.randrange(WORDS)
        before = bench.board.insns
        reason = Reason(core.run(SLICE))
        stops.append((reason.name, core.pc, bench.board.insns))
        assert bench.board.insns - before <= 2 * SLICE
        assert reason not in (Reason.ENGINE, Reason.GPC), (hex(core.pc), core.exit.engine_error)
        if reason is Reason.ABORTED:
            break
        if reason is Reason.MMIO:
            lib.cca_mmio_done(core.handle, rnd.getrandbits(64))
    assert bytes(bench.root.bytes[:0x6_0000]) == root
    assert bench.memory.read(OTHERS, OTHERS_SIZE) == b"\xc3" * OTHERS_SIZE
    result = stops, core.get_x(0, 31), hashlib.sha256(bench.dram.bytes).hexdigest()
    bench.close()
    return result


@pytest.mark.parametrize("kind", ["el2", "el1", "el0", "realm"])
def test_random_code__with_vectors_that_go_on__stays_in_its_world_and_repeats(kind: str) -> None:
    for seed in range(SEEDS):
        assert play(seed, kind) == play(seed, kind), seed


# Every system register


def opened(bench: Bench, el: int) -> Core:
    """A core at an EL that may read all counters that can be opened to it."""
    core = bench.core(el=2, pmu=6)
    for encoding, value in (
        (PMUSERENR, 0xF),
        (CNTKCTL, 0x3FF),
        (CNTHCTL, 0xFFF),
        (PMCR, 0x41),
        (PMEVTYPER0, 0x11),
        (PMCCFILTR, 1 << 27),
        (PMCNTENSET, 0x8000_001F),
    ):
        core.set_sysreg(encoding, value)
    core.pstate = PSTATE[f"el{el}"]
    return core


def read_all(el: int) -> dict[int, int]:
    """{encoding: value} of what MRS reads at an EL, op0 2 and 3; what is UNDEFINED keeps SENTINEL."""
    bench = Bench()
    core = opened(bench, el)
    skip_all(bench, 2 if el == 2 else 1)
    values: dict[int, int] = {}
    step = 512
    for first in range(0x8000, 0x1_0000, step):
        words = []
        for encoding in range(first, first + step):
            words += [0xD2800000 | SENTINEL << 5, mrs(encoding, 0), 0xF8008680]  # str x0, [x20], #8
        core.set_x(20, [DATA])
        bench.code([*words, 0x14000000], CODE)
        core.pc, core.pstate = CODE, PSTATE[f"el{el}"]
        assert Reason(core.run(20_000)) is Reason.SLICE
        assert core.get_x(20, 1) == [DATA + 8 * step]
        values.update(
            zip(range(first, first + step), struct.unpack(f"<{step}Q", bench.memory.read(DATA, 8 * step)), strict=True)
        )
    bench.close()
    return values


@pytest.mark.parametrize("el", [2, 1, 0])
def test_every_register__reads_the_same_in_two_runs(el: int) -> None:
    first, second = read_all(el), read_all(el)
    assert {e: (hex(first[e]), hex(second[e])) for e in first if first[e] != second[e]} == {}
    assert sum(value != SENTINEL for value in first.values()) > (20 if el == 0 else 200)


@pytest.mark.parametrize("el", [2, 1])
def test_every_register__takes_all_ones(el: int) -> None:
    there = [encoding for encoding, value in read_all(el).items() if value != SENTINEL]
    for encoding in there:
        bench = Bench()
        core = opened(bench, el)
        core.set_x(0, [ALL])
        bench.code([msr(encoding, 0), NOP, SMC])
        core.pc = CODE
        reason = Reason(core.run(200))
        assert reason in (Reason.SMC, Reason.AARCH32, Reason.LOOP), hex(encoding)
        assert bench.board.insns <= 200
        bench.close()


@pytest.mark.parametrize("el", [2, 1, 0])
def test_every_sys_operation__ends(el: int) -> None:
    bench = Bench()
    core = opened(bench, el)
    level = 2 if el == 2 else 1
    for first in range(0x4000, 0x8000, 1024):
        skip_all(bench, level)
        core.set_x(0, [DATA + 0x2_0000])
        bench.code([*(msr(encoding, 0) for encoding in range(first, first + 1024)), 0x14000000])
        core.pc, core.pstate = CODE, PSTATE[f"el{el}"]
        assert Reason(core.run(20_000)) is Reason.SLICE
        assert core.pc == CODE + 4 * 1024
    bench.close()


# The host's time and entropy


def twice(words: list[int], el: int = 2, hide_rndr: bool = False) -> list[int]:
    """X0..X3 after `words`, which must not differ between two machines."""
    runs = []
    for _ in range(2):
        bench = Bench()
        core = opened(bench, 2)
        if hide_rndr:
            core.set_id(ID_AA64ISAR0, core.get_sysreg(ID_AA64ISAR0) & ~(0xF << 60))
        core.pstate = PSTATE[f"el{el}"]
        bench.run(core, words)
        runs.append(core.get_x(0, 4))
        bench.close()
    assert runs[0] == runs[1]
    return runs[0]


def test_cnthv__counts_virtual_time() -> None:
    assert twice([NOP] * 10 + [mrs(CNTHV_TVAL, 0), mrs(CNTHV_TVAL, 1)])[0] >> 16 in (0, 0xFFFF)


def test_pmccntr__at_el0_is_virtual_time() -> None:
    assert twice([NOP] * 10 + [mrs(PMCCNTR, 0), mrs(PMCCNTR, 1)], el=0)[:2] == [10, 11]


def test_rndr__hidden_gives_no_number() -> None:
    flags = sysreg(3, 3, 4, 2, 0)
    assert twice([mrs(RNDR, 0), mrs(flags, 1), mrs(RNDRRS, 2), mrs(flags, 3)], hide_rndr=True) == [0, 1 << 30] * 2


# Runs that used not to end


def test_smc_trapped_by_the_host__goes_to_el2() -> None:
    bench = Bench()
    core = bench.core(el=2)
    core.set_sysreg(HCR_EL2, HCR_RW | HCR_TSC)
    core.pstate = PSTATE["el1"]
    assert bench.run(core, []) is Reason.SMC
    assert core.pc == VECTORS + 0x400 + 4
    assert core.get_sysreg(ELR[2]) == CODE
    assert core.get_sysreg(ESR[2]) >> 26 == 0x17
    assert bench.board.insns == 1
    bench.close()


def test_external_aborts_in_their_own_vector__are_a_loop() -> None:
    bench = Bench()
    core = bench.core(el=2)
    bench.code([LDR_X0_X1], VECTORS + 0x200)
    core.set_x(1, [UNBACKED])
    reason = bench.run(core, [LDR_X0_X1])
    for _ in range(100):
        if reason is not Reason.MMIO:
            break
        lib.cca_external_abort(core.handle)
        reason = Reason(core.run(1000))
    assert reason is Reason.LOOP
    bench.close()


def test_injected_exceptions_without_an_instruction_between__are_a_loop() -> None:
    bench = Bench()
    core = bench.core(el=1)
    core.set_sysreg(VBAR[1], UNBACKED)
    for _ in range(100):
        core.inject(1, 0x96000010, 0)
    assert Reason(core.run(1000)) is Reason.LOOP
    bench.close()


@pytest.mark.parametrize("cval", [ALL, ALL - 1, 1 << 63, (1 << 63) - 1, 1 << 62])
def test_wfi__for_a_timer_at_the_end_of_time__does_not_wrap_it(cval: int) -> None:
    bench = Bench()
    core = realm_core(bench)
    core.set_x(0, [cval, 1])
    bench.code([msr(CNTV_CVAL, 0), msr(CNTV_CTL, 1), WFI, *[NOP] * 20, SMC])
    core.pc = CODE
    times = []
    for _ in range(4):
        core.run(1000)
        times.append(bench.board.insns)
    assert times == sorted(times)
    bench.close()


def test_pc__wraps_at_the_end_of_the_address_space() -> None:
    bench = Bench()
    core = bench.core(el=2)
    core.pc = ALL - 3
    core.pc += 4
    assert core.pc == 0
    assert core.translate(ALL + 1) == core.translate(0)
    bench.close()


# Accesses that reach from one world into another

STORES = {
    "strb": (0x39000020, 1),
    "str x": (0xF9000020, 8),
    "str q": (0x3D800020, 16),
    "stp": (0xA9000020, 16),
    "stp q": (0xAD000020, 32),
    "st4": (0x4C000C20, 64),
    "stlr": (0xC89FFC20, 8),
    "stxr": (0xC8027C20, 8),
    "ldadd": (0xF8220020, 8),
    "casp": (0x48227C20, 16),
    "dc zva": (0xD50B7421, 64),
}


@pytest.mark.parametrize("name", STORES)
def test_store_over_the_border__leaves_the_other_world_alone(name: str) -> None:
    word, size = STORES[name]
    bench = Bench()
    core = bench.core(el=2)
    border = DATA + 0x1000
    bench.memory.write(border, b"\x5a" * 4096)
    bench.delegate(border)
    for reach in range(size + 1):
        core.pstate = PSTATE["el2"]
        core.set_x(0, [0x1111_1111_1111_1111, border - reach])
        bench.run(core, [word])
        assert bench.memory.read(border, 4096) == b"\x5a" * 4096
    bench.close()


@pytest.mark.parametrize("word", [0xF9400020, 0xA9400C22, 0xC87F0C22, 0x4C400C20, 0xF8E00022])
def test_load_over_the_border__returns_nothing_of_the_other_world(word: int) -> None:
    bench = Bench()
    core = bench.core(el=2)
    border = DATA + 0x1000
    bench.memory.write(border, b"\xee" * 4096)
    bench.delegate(border)
    for reach in range(65):
        core.pstate = PSTATE["el2"]
        core.set_x(0, [0] * 31)
        core.set_x(1, [border - reach])
        bench.run(core, [word, 0x9E66_0000 | 4, 0x9EAE_0000 | 5])  # fmov x4, d0 ; fmov x5, v0.d[1]
        assert not any(b"\xee\xee" in value.to_bytes(8, "little") for value in core.get_x(0, 31))
    bench.close()


def test_delegating_the_page_that_runs__faults_at_its_next_instruction() -> None:
    bench = Bench()
    core = bench.core(el=2)
    assert bench.run(core, [NOP, SMC, NOP, NOP]) is Reason.SMC
    bench.delegate(CODE)
    assert Reason(core.run(100)) is Reason.SMC
    assert core.get_sysreg(ESR[2]) == 0x8600_0028
    assert core.get_sysreg(FAR[2]) == CODE + 8
    bench.delegate(VECTORS)
    assert Reason(core.run(100)) is Reason.LOOP
    bench.close()


def test_eret__to_any_mode_never_leaves_the_normal_world_levels() -> None:
    for el in (2, 1):
        for mode in range(16):
            for flags in (0, 1 << 20, 1 << 21, 0xF << 28, 0xFFFF_FFE0):
                bench = Bench()
                core = bench.core(el=el)
                core.set_sysreg(SPSR[el], flags & ~0x10 | mode)
                core.set_sysreg(ELR[el], CODE + 0x100)
                bench.code([NOP, NOP, SMC], CODE + 0x100)
                assert bench.run(core, [ERET], slice_insns=50) is Reason.SMC
                assert core.pstate >> 2 & 3 <= el
                bench.close()
