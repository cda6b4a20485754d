# SPDX-License-Identifier: GPL-2.0-or-later
"""The performance monitors on virtual time (DDI 0487 D11, D23.5: PMUv3p7): a cycle is a retired instruction."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from bridge.core import Core, sysreg
from bridge.exits import EventKind, Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, ELR, ESR, SPSR, VECTORS, Bench

PMCR, PMCNTENSET, PMCNTENCLR, PMOVSCLR = (sysreg(3, 3, 9, 12, n) for n in range(4))
PMSWINC, PMSELR, PMCEID0, PMCEID1 = (sysreg(3, 3, 9, 12, n) for n in range(4, 8))
PMCCNTR, PMXEVTYPER, PMXEVCNTR = (sysreg(3, 3, 9, 13, n) for n in range(3))
PMUSERENR, PMOVSSET = sysreg(3, 3, 9, 14, 0), sysreg(3, 3, 9, 14, 3)
PMINTENSET, PMINTENCLR, PMMIR = (sysreg(3, 0, 9, 14, n) for n in (1, 2, 6))
PMCCFILTR = sysreg(3, 3, 14, 15, 7)
MDCR_EL2 = sysreg(3, 4, 1, 1, 1)

E, P, C, DP, LC, LP, FZO = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7, 1 << 9
CYCLE = 1 << 31
SW_INCR, INST_RETIRED, CPU_CYCLES, CHAIN = 0x00, 0x08, 0x11, 0x1E
NOT_EL1, NOT_EL0, IN_EL2, RLK, RLU = 1 << 31, 1 << 30, 1 << 27, 1 << 22, 1 << 21  # PMEVTYPER.{P, U, NSH, RLK, RLU}
UNDEFINED = 1 << 25  # EC 0, IL

NOP = 0xD503201F
ERET = 0xD69F03E0
SVC = 0xD4000001
WFI = 0xD503207F
BACK = 0x17FFFFFF  # b .-4
HERE = 0x14000000  # b .
EL0T, EL1H, EL2H = 0x3C0, 0x3C5, 0x3C9


def counter(n: int) -> int:
    return sysreg(3, 3, 14, 8 | n >> 3, n & 7)


def event_type(n: int) -> int:
    return sysreg(3, 3, 14, 12 | n >> 3, n & 7)


def mrs(encoding: int, rt: int) -> int:
    return 0xD5200000 | (encoding & 0xFFFF) << 5 | rt


def msr(encoding: int, rt: int) -> int:
    return 0xD5000000 | (encoding & 0xFFFF) << 5 | rt


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def realm(bench: Bench, pmu: int = 6) -> Core:
    """A context at EL1 whose interrupts end a run, as those of a REC do."""
    return bench.core(el=1, irq_exits=True, pmu=pmu)


def write(core: Core, values: dict[int, int]) -> None:
    for encoding, value in values.items():
        core.set_sysreg(encoding, value)


def started(core: Core) -> Core:
    """Cycle counter and event counter 0 (instructions) on."""
    write(core, {PMCNTENSET: CYCLE | 1, event_type(0): INST_RETIRED, PMCR: E | LC})
    return core


# Counting


def test_counters__are_exact_within_a_block_and_over_blocks(bench: Bench) -> None:
    core = started(realm(bench))
    branch = 0x14000001  # to the next instruction: a new block
    bench.run(core, [NOP] * 5 + [mrs(PMCCNTR, 0), mrs(counter(0), 1), branch, NOP, mrs(PMCCNTR, 2), mrs(PMXEVCNTR, 3)])
    assert core.get_x(0, 4) == [5, 6, 9, 10]


def test_counters__count_from_the_instruction_after_their_start(bench: Bench) -> None:
    core = realm(bench)
    write(core, {PMCNTENSET: CYCLE})
    core.set_x(0, [E | LC, CYCLE])
    bench.run(core, [NOP, NOP, msr(PMCR, 0), NOP, NOP, msr(PMCNTENCLR, 1), NOP, NOP, mrs(PMCCNTR, 2)])
    assert core.get_x(2, 1) == [3]  # the MSR itself, and two NOPs


def test_counters__count_nothing_unless_enabled_twice(bench: Bench) -> None:
    core = realm(bench)
    write(core, {PMCNTENSET: CYCLE | 1, event_type(0): INST_RETIRED, event_type(1): INST_RETIRED})
    bench.run(core, [NOP] * 9)
    assert [core.get_sysreg(r) for r in (PMCCNTR, counter(0))] == [0, 0]
    write(core, {PMCR: E | LC})
    bench.run(core, [NOP] * 9)
    assert [core.get_sysreg(r) for r in (PMCCNTR, counter(0), counter(1))] == [10, 10, 0]


def test_counters__are_of_their_own_context(bench: Bench) -> None:
    core, other = started(realm(bench)), realm(bench)
    bench.run(core, [NOP] * 3)
    bench.run(other, [NOP] * 100)
    bench.run(core, [NOP] * 3)
    assert core.get_sysreg(PMCCNTR) == 8
    assert bench.board.insns == 109


def test_unknown_event__never_happens(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {event_type(0): 0x0003})  # L1D_CACHE_REFILL
    bench.run(core, [NOP] * 5)
    assert core.get_sysreg(counter(0)) == 0


def test_fault__instructions_that_did_not_run_are_not_counted(bench: Bench) -> None:
    core = started(realm(bench))
    bench.run(core, [NOP, NOP, 0x00000000, NOP, NOP])  # UDF; then the vector's SMC
    assert core.get_sysreg(PMCCNTR) == 3


# PMCR_EL0


def test_pmcr__n_and_fixed_bits(bench: Bench) -> None:
    core = realm(bench, pmu=5)
    core.set_x(1, [(1 << 64) - 1])
    bench.run(core, [mrs(PMCR, 0), msr(PMCR, 1), mrs(PMCR, 1)])
    assert core.get_x(0, 2) == [5 << 11 | LC, 5 << 11 | FZO | LP | LC | DP | E]  # no AArch32: LC RES1, D RES0


def test_pmcr__p_and_c_reset_what_they_name(bench: Bench) -> None:
    core = realm(bench)
    seven = {counter(0): 7, counter(5): 7, PMCCNTR: 7, PMOVSSET: 1}
    write(core, {**seven, PMCR: P})
    assert [core.get_sysreg(r) for r in seven] == [0, 0, 7, 1]
    write(core, {**seven, PMCR: C})
    assert [core.get_sysreg(r) for r in seven] == [7, 7, 0, 1]


def test_pmceid__tells_what_is_counted(bench: Bench) -> None:
    core = realm(bench)
    bench.run(core, [mrs(PMCEID0, 0), mrs(PMCEID1, 1), mrs(PMMIR, 2)])
    assert core.get_x(0, 3) == [1 << SW_INCR | 1 << INST_RETIRED | 1 << CPU_CYCLES | 1 << CHAIN, 1 << 28 | 3 << 3, 0]
    assert realm(bench, pmu=1).get_sysreg(PMCEID0) >> CHAIN & 1 == 0  # there is no pair


def test_pmsel__picks_the_counter_and_31_the_cycle_filter(bench: Bench) -> None:
    core = realm(bench)
    core.set_x(0, [3, 0x11, 99, 31, NOT_EL0 | 0x11])
    code = [msr(PMSELR, 0), msr(PMXEVTYPER, 1), msr(PMXEVCNTR, 2), msr(PMSELR, 3), msr(PMXEVTYPER, 4)]
    bench.run(core, [*code, mrs(event_type(3), 5), mrs(counter(3), 6), mrs(PMCCFILTR, 7)])
    assert core.get_x(5, 3) == [0x11, 99, NOT_EL0]


def test_counter_that_is_not_there__reads_zero_and_ignores_writes(bench: Bench) -> None:
    core = realm(bench, pmu=2)
    core.set_x(0, [0xFFFFFFFF, 2])
    for register in (counter(2), counter(30), event_type(2), event_type(30)):
        bench.run(core, [msr(register, 0), mrs(register, 3)])
        assert core.get_x(3, 1) == [0], hex(register)
    for register in (PMCNTENSET, PMINTENSET, PMOVSSET):
        bench.run(core, [msr(register, 0), mrs(register, 3)])
        assert core.get_x(3, 1) == [CYCLE | 3], hex(register)


@pytest.mark.parametrize("register", [PMCEID0, PMCEID1, PMMIR])
def test_read_only_register__written_is_undefined(bench: Bench, register: int) -> None:
    core = realm(bench)
    bench.run(core, [msr(register, 0)])
    assert core.get_sysreg(ESR[1]) == UNDEFINED


def test_pmswinc__read_is_undefined(bench: Bench) -> None:
    core = realm(bench)
    bench.run(core, [mrs(PMSWINC, 0)])
    assert core.get_sysreg(ESR[1]) == UNDEFINED


# Overflow


@pytest.mark.parametrize(
    ("flags", "start", "wraps"), [(0, 0xFFFF_FFFD, 1), (LP, 0xFFFF_FFFD, 0), (LP, (1 << 64) - 3, 1)]
)
def test_overflow__of_an_event_counter_is_at_32_bits_or_with_lp_at_64(
    bench: Bench, flags: int, start: int, wraps: int
) -> None:
    core = started(realm(bench))
    write(core, {PMCR: E | flags, counter(0): start})
    bench.run(core, [NOP, NOP, mrs(PMOVSSET, 0), mrs(PMOVSSET, 1), mrs(counter(0), 2)])
    assert core.get_x(0, 3) == [0, wraps, start + 4 & (1 << 64) - 1]


def test_overflow__of_the_cycle_counter_is_at_64_bits(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {PMCCNTR: 0xFFFF_FFFF})
    bench.run(core, [NOP])
    assert core.get_sysreg(PMOVSSET) == 0
    write(core, {PMCCNTR: (1 << 64) - 2})
    bench.run(core, [NOP, mrs(PMOVSSET, 0), mrs(PMOVSCLR, 1), mrs(PMCCNTR, 2)])
    assert core.get_x(0, 3) == [0, CYCLE, 1]


def test_chain__counts_the_overflows_of_the_even_counter(bench: Bench) -> None:
    core = realm(bench)
    types = {event_type(2): INST_RETIRED, event_type(3): CHAIN}
    write(core, {**types, counter(2): 0xFFFF_FFFE, counter(3): 0xFFFF_FFFF, PMCNTENSET: 0xC, PMCR: E})
    bench.run(core, [NOP] * 3)
    assert [core.get_sysreg(r) for r in (counter(2), counter(3), PMOVSSET)] == [0x1_0000_0002, 0x1_0000_0000, 0xC]


def test_chain__never_happens_with_lp(bench: Bench) -> None:
    core = realm(bench)
    types = {event_type(2): INST_RETIRED, event_type(3): CHAIN}
    write(core, {**types, counter(2): (1 << 64) - 2, PMCNTENSET: 0xC, PMCR: E | LP})
    bench.run(core, [NOP] * 3)
    assert [core.get_sysreg(r) for r in (counter(3), PMOVSSET)] == [0, 4]


def test_fzo__freezes_the_event_counters_and_with_dp_the_cycle_counter(bench: Bench) -> None:
    for flags, cycles in ((FZO, 10), (FZO | DP, 4)):
        core = realm(bench)
        on = {event_type(0): INST_RETIRED, event_type(1): CPU_CYCLES, PMCNTENSET: CYCLE | 3}
        write(core, {**on, counter(0): 0xFFFF_FFFC, PMCR: E | flags})
        bench.run(core, [NOP] * 9)
        assert [core.get_sysreg(r) for r in (counter(0), counter(1), PMCCNTR)] == [0x1_0000_0000, 4, cycles]


def test_fzo__looks_at_event_counters_only(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {PMOVSSET: CYCLE, PMCR: E | FZO})
    bench.run(core, [NOP] * 4)
    assert core.get_sysreg(counter(0)) == 5


def test_swinc__is_filtered_as_events_are(bench: Bench) -> None:
    core = realm(bench)
    write(core, {event_type(0): NOT_EL1 | SW_INCR, event_type(1): NOT_EL0 | SW_INCR, PMCNTENSET: 3, PMCR: E})
    core.set_x(0, [3])
    bench.run(core, [msr(PMSWINC, 0)])
    assert [core.get_sysreg(counter(n)) for n in (0, 1)] == [0, 1]


def test_swinc__adds_to_the_counters_of_that_event_only(bench: Bench) -> None:
    core = realm(bench)
    write(core, {event_type(0): SW_INCR, event_type(1): SW_INCR, event_type(2): 0x3, PMCNTENSET: 0x5, PMCR: E})
    write(core, {counter(0): 0xFFFF_FFFF})
    core.set_x(0, [0x7])
    bench.run(core, [msr(PMSWINC, 0), msr(PMSWINC, 0)])
    assert [core.get_sysreg(r) for r in (counter(0), counter(1), counter(2), PMOVSSET)] == [0x1_0000_0001, 0, 0, 1]


# The interrupt


def test_interrupt__ends_the_run_at_the_overflow_once(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {counter(0): (1 << 32) - 1000, PMINTENSET: 1})
    bench.code([NOP, BACK])
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.TIMER
    assert 1000 <= bench.board.insns <= 1002  # a block has two instructions
    assert lib.cca_pmu_overflow(core.handle) == 1
    assert Reason(core.run(10_000)) is Reason.SLICE
    write(core, {PMOVSCLR: 1, counter(0): (1 << 32) - 500})
    assert lib.cca_pmu_overflow(core.handle) == 0
    assert Reason(core.run(10_000)) is Reason.TIMER


def test_interrupt__of_a_context_that_is_not_alone(bench: Bench) -> None:
    bench.run(bench.core(el=1), [NOP] * 700)
    core = started(realm(bench))
    write(core, {counter(0): (1 << 32) - 1000, PMINTENSET: 1})
    bench.code([NOP, BACK])
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.TIMER
    assert 1000 <= core.insns <= 1002


def test_interrupt__of_a_counter_that_is_off_is_no_overflow_for_the_host(bench: Bench) -> None:
    core = realm(bench)
    write(core, {PMOVSSET: 1, PMINTENSET: 1, PMCR: E})
    assert Reason(bench.run(core, [NOP])) is Reason.TIMER
    assert lib.cca_pmu_overflow(core.handle) == 0  # PMCNTENSET: rmm-abi.md §7.4
    write(core, {PMCNTENSET: 1})
    assert lib.cca_pmu_overflow(core.handle) == 1
    write(core, {PMCR: 0})
    assert lib.cca_pmu_overflow(core.handle) == 0


def test_interrupt__of_el2s_own_counter_needs_hpme(bench: Bench) -> None:
    for hpme, reason in ((0, Reason.SMC), (1 << 7, Reason.TIMER)):
        core = bench.core(el=2, irq_exits=True, pmu=6)
        write(core, {MDCR_EL2: 4 | hpme, PMOVSSET: 1 << 4, PMINTENSET: 1 << 4, PMCR: E})
        assert bench.run(core, [NOP]) is reason


def test_interrupt__masked_ends_no_run(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {counter(0): (1 << 32) - 1000})
    bench.code([NOP, BACK])
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.SLICE
    assert core.get_sysreg(PMOVSSET) == 1
    assert lib.cca_pmu_overflow(core.handle) == 0


def test_interrupt__of_a_software_overflow_comes_at_once(bench: Bench) -> None:
    core = realm(bench)
    write(core, {PMCR: E, PMCNTENSET: 1, PMINTENSET: 1})
    core.set_x(0, [1])
    bench.code([msr(PMOVSSET, 0), HERE])
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.TIMER
    assert core.pc == CODE + 4


def test_interrupt__of_a_chain(bench: Bench) -> None:
    core = realm(bench)
    types = {event_type(0): INST_RETIRED, event_type(1): CHAIN}
    write(core, {**types, counter(0): (1 << 32) - 100, counter(1): 0xFFFF_FFFF})
    write(core, {PMCNTENSET: 3, PMINTENSET: 2, PMCR: E})
    bench.code([NOP, BACK])
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.TIMER
    assert 100 <= bench.board.insns <= 102


def test_interrupt__is_not_missed_when_wfi_waits_for_a_timer(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {counter(0): (1 << 32) - 2, PMINTENSET: 1})
    assert bench.run(core, [NOP, NOP, NOP, WFI]) is Reason.TIMER


# Exception levels


def levels(bench: Bench, core: Core, filters: int) -> tuple[int, int]:
    """Counter 0 and the cycle counter after 2 instructions at EL1, 5 at EL0 (SVC included) and 3 at EL1."""
    write(core, {PMCNTENSET: CYCLE | 1, event_type(0): filters | INST_RETIRED, PMCCFILTR: filters, PMCR: E})
    bench.code([NOP, ERET])
    bench.code([NOP, NOP, NOP, NOP, SVC], CODE + 0x100)
    core.set_sysreg(ELR[1], CODE + 0x100)
    core.set_sysreg(SPSR[1], EL0T)
    bench.code([NOP, NOP, 0xD4000003], VECTORS + 0x400)
    core.pc = CODE
    assert Reason(core.run(1000)) is Reason.SMC
    return core.get_sysreg(counter(0)), core.get_sysreg(PMCCNTR)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (0, 10),
        (NOT_EL0, 5),
        (NOT_EL1, 5),
        (NOT_EL1 | NOT_EL0, 0),
        (NOT_EL1 | NOT_EL0 | 1 << 28, 5),  # NSU: EL0 of the Non-secure state
        (NOT_EL1 | NOT_EL0 | 1 << 29, 5),  # NSK: EL1
        (1 << 29, 5),
        (RLK | RLU, 10),  # of another state
    ],
)
def test_filter__counts_at_its_exception_levels_exactly(bench: Bench, filters: int, count: int) -> None:
    assert levels(bench, realm(bench), filters) == (count, count)


@pytest.mark.parametrize(
    ("filters", "count"),
    [(0, 10), (NOT_EL0, 5), (NOT_EL1, 5), (NOT_EL0 | RLU, 10), (NOT_EL1 | RLK, 10), (RLK, 5), (RLU, 5), (3 << 28, 10)],
)
def test_filter__of_the_realm_state(bench: Bench, filters: int, count: int) -> None:
    core = bench.core(el=1, pas=PAS.REALM, irq_exits=True, pmu=6)
    bench.delegate(CODE)
    bench.delegate(VECTORS)
    assert levels(bench, core, filters) == (count, count)


def test_filter__return_into_the_block_that_is_left(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {PMCCFILTR: NOT_EL0})
    bench.code([NOP, NOP, ERET])
    core.set_sysreg(ELR[1], CODE + 4)
    core.set_sysreg(SPSR[1], EL0T)
    core.pc = CODE
    assert Reason(core.run(1000)) is Reason.SMC  # of the vector: ERET is undefined at EL0
    assert core.get_sysreg(PMCCNTR) == 3 + 1


@pytest.mark.parametrize(("filters", "chained"), [(NOT_EL1, 1), (NOT_EL0, 0)])
def test_filter__of_a_chain_alone(bench: Bench, filters: int, chained: int) -> None:
    core = realm(bench)
    write(core, {event_type(0): INST_RETIRED, event_type(1): filters | CHAIN, counter(0): (1 << 32) - 4})
    write(core, {PMCNTENSET: 3, PMCR: E})
    bench.code([NOP, ERET])
    bench.code([NOP, NOP, NOP, NOP, SVC], CODE + 0x100)
    core.set_sysreg(ELR[1], CODE + 0x100)
    core.set_sysreg(SPSR[1], EL0T)
    core.pc = CODE
    assert Reason(core.run(1000)) is Reason.SMC
    assert [core.get_sysreg(r) for r in (counter(1), PMOVSSET)] == [chained, 1]


def test_filter__changed_at_run_time_is_exact(bench: Bench) -> None:
    core = started(realm(bench))
    core.set_x(0, [NOT_EL1 | INST_RETIRED, INST_RETIRED])
    bench.run(core, [NOP, NOP, msr(event_type(0), 0), NOP, NOP, msr(event_type(0), 1), NOP, mrs(counter(0), 2)])
    assert core.get_x(2, 1) == [2 + 2]  # the second MSR counts, as it is what ends the filter


def test_filter__overflow_ends_the_run_at_the_level_that_counts(bench: Bench) -> None:
    core = realm(bench)
    write(core, {PMCNTENSET: 1, event_type(0): NOT_EL1 | INST_RETIRED, PMINTENSET: 1, PMCR: E})
    write(core, {counter(0): (1 << 32) - 50})
    bench.code([0xF1000400, 0x54FFFFE1, ERET])  # subs x0, x0, #1; b.ne .-4; eret
    bench.code([NOP, BACK], CODE + 0x100)
    core.set_x(0, [1000])
    core.set_sysreg(ELR[1], CODE + 0x100)
    core.set_sysreg(SPSR[1], EL0T)
    core.pc = CODE
    assert Reason(core.run(10_000)) is Reason.TIMER
    assert 2001 + 50 <= bench.board.insns <= 2001 + 52
    assert core.pstate >> 2 & 3 == 0


def test_wfi__is_still_seen_while_levels_are_told_apart(bench: Bench) -> None:
    core = started(realm(bench))
    write(core, {PMCCFILTR: NOT_EL0})
    assert bench.run(core, [NOP, WFI]) is Reason.WFI


# EL0


def at_el0(bench: Bench, user: int, words: list[int]) -> Core:
    core = realm(bench)
    write(core, {PMUSERENR: user})
    core.pstate = EL0T
    bench.run(core, words)
    return core


def trap_syndrome(word: int) -> int:
    op0, op1, crn, crm = word >> 19 & 3, word >> 16 & 7, word >> 12 & 15, word >> 8 & 15
    return (
        0x18 << 26 | 1 << 25 | op0 << 20 | (word >> 5 & 7) << 17 | op1 << 14 | crn << 10 | crm << 1 | (word >> 21 & 1)
    )


EL0_ACCESS = [  # word, the bits of PMUSERENR_EL0 any one of which lets it in
    (mrs(PMCR, 0), 1),
    (msr(PMCR, 0), 1),
    (mrs(PMCNTENSET, 0), 1),
    (msr(PMOVSCLR, 0), 1),
    (mrs(PMCEID0, 0), 1),
    (msr(PMSWINC, 0), 1 | 2),
    (mrs(PMCCNTR, 0), 1 | 4),
    (msr(PMCCNTR, 0), 1),
    (mrs(PMSELR, 0), 1 | 8),
    (msr(PMSELR, 0), 1 | 8),
    (mrs(PMXEVCNTR, 0), 1 | 8),
    (msr(PMXEVCNTR, 0), 1),
    (mrs(PMXEVTYPER, 0), 1),
    (mrs(counter(0), 0), 1 | 8),
    (msr(counter(0), 0), 1),
    (mrs(counter(5), 0), 1 | 8),  # one that the engine does not have
    (msr(counter(5), 0), 1),
    (mrs(event_type(5), 0), 1),
    (mrs(PMCCFILTR, 0), 1),
    (mrs(PMUSERENR, 0), 0xF),
]


@pytest.mark.parametrize(("word", "needs"), EL0_ACCESS)
def test_el0__is_let_in_by_pmuserenr_or_traps_to_el1(bench: Bench, word: int, needs: int) -> None:
    always = word == mrs(PMUSERENR, 0)
    for user in (0, 1, 2, 4, 8):
        core = at_el0(bench, user, [word, SVC])
        esr = core.get_sysreg(ESR[1])
        assert esr == (0x15 << 26 | 1 << 25 if user & needs or always else trap_syndrome(word)), user


def test_el0__reads_pmuserenr_whatever_it_is(bench: Bench) -> None:
    for user in (0, 8, 15):
        assert at_el0(bench, user, [mrs(PMUSERENR, 3), SVC]).get_x(3, 1) == [user]


def test_el0__pmuserenr_and_the_interrupt_enables_are_undefined(bench: Bench) -> None:
    for word in (msr(PMUSERENR, 0), mrs(PMINTENSET, 0), msr(PMINTENCLR, 0), mrs(PMMIR, 0)):
        core = at_el0(bench, 0xF, [word])
        assert core.get_sysreg(ESR[1]) == UNDEFINED


# EL2 and its guests


def test_el2__counts_only_where_nsh_says_so(bench: Bench) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {PMCNTENSET: CYCLE | 1, event_type(0): INST_RETIRED | IN_EL2, PMCR: E})
    bench.run(core, [NOP] * 4)
    assert [core.get_sysreg(r) for r in (counter(0), PMCCNTR)] == [5, 0]
    assert core.get_sysreg(MDCR_EL2) & 31 == 6


def test_el2__hpmn_keeps_counters_from_el1(bench: Bench) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {MDCR_EL2: 4, counter(5): 9, PMCNTENSET: 0x3F})
    core.set_x(0, [0x3F])
    core.pstate = EL1H
    bench.run(core, [mrs(PMCR, 0), mrs(PMCNTENSET, 1), mrs(counter(5), 2), mrs(counter(3), 3)])
    assert core.get_x(0, 4) == [4 << 11 | LC, 0xF, 0, 0]


def test_el2__hpme_runs_its_own_counters_and_p_of_el1_spares_them(bench: Bench) -> None:
    core = bench.core(el=2, pmu=6)
    on = {event_type(3): INST_RETIRED, event_type(4): INST_RETIRED, PMCNTENSET: 0x18}
    write(core, {**on, MDCR_EL2: 4 | 1 << 7})
    core.set_x(0, [P])
    core.pstate = EL1H
    bench.run(core, [NOP, msr(PMCR, 0), NOP])
    assert [core.get_sysreg(r) for r in (counter(3), counter(4))] == [0, 4]


def test_el2__mdcr_written_at_run_time(bench: Bench) -> None:
    core = bench.core(el=2, pmu=6)
    core.set_x(0, [3])
    bench.run(core, [msr(MDCR_EL2, 0), mrs(MDCR_EL2, 1), mrs(PMCR, 2)])
    assert core.get_x(1, 2) == [3, 6 << 11 | LC]
    core.pstate = EL1H
    bench.run(core, [mrs(PMCR, 2)])
    assert core.get_x(2, 1) == [3 << 11 | LC]


@pytest.mark.parametrize(
    ("mdcr", "pmcr", "counts"),
    [
        (4, 0, (5, 0, 5)),  # HPMN 4: counter 4 is EL2's and HPME is 0
        (4 | 1 << 7, 0, (5, 5, 5)),
        (4 | 1 << 7 | 1 << 17, 0, (0, 5, 5)),  # HPMD: not those of the first range
        (4 | 1 << 7 | 1 << 17, DP, (0, 5, 0)),
        (4 | 1 << 7 | 1 << 23, 0, (5, 5, 0)),  # HCCD
    ],
)
def test_el2__what_mdcr_prohibits(bench: Bench, mdcr: int, pmcr: int, counts: tuple[int, int, int]) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {event_type(n): INST_RETIRED | IN_EL2 for n in (0, 4)})
    write(core, {PMCCFILTR: IN_EL2, PMCNTENSET: CYCLE | 1 << 4 | 1, MDCR_EL2: mdcr, PMCR: E | pmcr})
    bench.run(core, [NOP] * 4)
    assert tuple(core.get_sysreg(r) for r in (counter(0), counter(4), PMCCNTR)) == counts


@pytest.mark.parametrize(("hlp", "frozen", "wraps"), [(0, 0, 1), (1 << 26, 0, 0), (0, 1 << 29, 1)])
def test_el2__hlp_and_hpmfzo_are_of_its_own_counters(bench: Bench, hlp: int, frozen: int, wraps: int) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {event_type(n): INST_RETIRED | IN_EL2 for n in (0, 4, 5)})
    write(core, {counter(4): 0xFFFF_FFFE, PMCNTENSET: 0x31, MDCR_EL2: 4 | 1 << 7 | hlp | frozen, PMCR: E})
    bench.run(core, [NOP] * 4)
    stopped = 2 if frozen else 5
    assert [core.get_sysreg(r) for r in (counter(0), counter(4), counter(5), PMOVSSET)] == [
        5,
        0xFFFF_FFFE + stopped,
        stopped,
        wraps << 4,
    ]


def test_el2__its_counter_does_not_chain_to_one_of_el1(bench: Bench) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {event_type(2): IN_EL2 | INST_RETIRED, event_type(3): IN_EL2 | CHAIN, counter(2): 0xFFFF_FFFE})
    write(core, {MDCR_EL2: 3 | 1 << 7, PMCNTENSET: 0xC, PMCR: E})
    bench.run(core, [NOP] * 4)
    assert [core.get_sysreg(r) for r in (counter(3), PMOVSSET)] == [0, 4]


def test_el2__tpmcr_traps_pmcr_alone(bench: Bench) -> None:
    for register, trapped in ((PMCR, True), (PMCCNTR, False)):
        core = bench.core(el=2, pmu=6)
        write(core, {MDCR_EL2: 6 | 1 << 5})
        core.pstate = EL1H
        bench.run(core, [mrs(register, 0)])
        assert (core.get_sysreg(ESR[2]) == trap_syndrome(mrs(register, 0))) is trapped


@pytest.mark.parametrize("register", [PMCR, counter(0), counter(5)])
def test_el2__tpm_traps_its_guests(bench: Bench, register: int) -> None:
    core = bench.core(el=2, pmu=6)
    write(core, {MDCR_EL2: 6 | 1 << 6})
    core.pstate = EL1H
    bench.run(core, [mrs(register, 0)])
    assert core.get_sysreg(ESR[2]) == trap_syndrome(mrs(register, 0))


# Where there is none

ALL = [PMCR, PMCNTENSET, PMOVSCLR, PMSELR, PMCEID0, PMCCNTR, PMXEVTYPER, PMXEVCNTR, PMUSERENR, PMINTENSET, PMCCFILTR]


@pytest.mark.parametrize("pstate", [EL0T, EL1H])
@pytest.mark.parametrize("register", [*ALL, counter(0), counter(9), event_type(0)])
def test_absent__registers_are_undefined_and_named(bench: Bench, register: int, pstate: int) -> None:
    core = bench.core(el=1)
    core.trace(True)
    core.pstate = pstate
    bench.run(core, [mrs(register, 0)])
    assert core.get_sysreg(ESR[1]) == UNDEFINED
    if pstate == EL1H:
        assert (EventKind.UNKNOWN_SYSREG, register) in [(event[0], event[3]) for event in core.events()]
    assert core.get_sysreg(register) == 0


def test_trapped__el2_answers_zero_and_ignores_writes(bench: Bench) -> None:
    core = bench.core(el=1, stage2=False, pmu_trapped=True)
    core.set_x(0, [0xFFFF_FFFF])
    for register in (*ALL, PMMIR, counter(0), counter(9), event_type(9)):
        words = [mrs(register, 1)] if register in (PMCEID0, PMMIR) else [msr(register, 0), mrs(register, 1)]
        core.set_x(1, [0xAA])
        assert bench.run(core, words) is Reason.SMC
        assert core.get_x(1, 1) == [0], hex(register)
        assert core.pc == CODE + 4 * len(words) + 4


def test_trapped__el0_traps_to_el1_first(bench: Bench) -> None:
    core = bench.core(el=1, pmu_trapped=True)
    core.pstate = EL0T
    for word in (mrs(PMCCNTR, 0), mrs(counter(9), 0)):
        core.pstate = EL0T
        bench.run(core, [word])
        assert core.get_sysreg(ESR[1]) == trap_syndrome(word)


# Against a model that goes instruction by instruction


class Model:
    """Counting at Non-secure EL1 as DDI 0487 J1.1 (PMUCycle, CountPMUEvents, IncrementEventCounter) has it."""

    def __init__(self, counters: int) -> None:
        self.n = counters
        self.count = [0] * 32
        self.type = [0] * 32
        self.pmcr = self.enabled = self.overflowed = 0

    def counts(self, i: int) -> bool:
        if not (self.pmcr & E and self.enabled >> i & 1) or self.type[i] & NOT_EL1:
            return False
        frozen = bool(self.pmcr & FZO and self.overflowed & (1 << self.n) - 1)
        return not (frozen and (i != 31 or self.pmcr & DP))

    def increment(self, i: int) -> None:
        wide = i == 31 or self.pmcr & LP
        self.count[i] = self.count[i] + 1 & (1 << 64) - 1
        if self.count[i] & (1 << (64 if wide else 32)) - 1:
            return
        self.overflowed |= 1 << i
        if i % 2 == 0 and not wide and i + 1 < self.n and self.type[i + 1] & 0xFFFF == CHAIN and self.counts(i + 1):
            self.increment(i + 1)

    def retire(self) -> None:
        events = [i for i in range(self.n) if self.type[i] & 0xFFFF in (INST_RETIRED, CPU_CYCLES)]
        for i in [i for i in (*events, 31) if self.counts(i)]:
            self.increment(i)

    def write(self, register: int, value: int) -> None:
        mask = CYCLE | (1 << self.n) - 1
        for i in range(self.n):
            if register == counter(i):
                self.count[i] = value
            elif register == event_type(i):
                self.type[i] = value
            elif register == PMCR and value & P:
                self.count[i] = 0
            elif register == PMSWINC and value >> i & 1 and self.type[i] & 0xFFFF == SW_INCR and self.counts(i):
                self.increment(i)
        if register == PMCR:
            self.pmcr = value
            self.count[31] = 0 if value & C else self.count[31]
        elif register == PMCCNTR:
            self.count[31] = value
        elif register == PMCCFILTR:
            self.type[31] = value & NOT_EL1
        elif register == PMCNTENSET:
            self.enabled |= value & mask
        elif register == PMCNTENCLR:
            self.enabled &= ~value
        elif register == PMOVSSET:
            self.overflowed |= value & mask
        elif register == PMOVSCLR:
            self.overflowed &= ~value

    def read(self, register: int) -> int:
        if register == PMCCNTR:
            return self.count[31]
        return self.overflowed if register == PMOVSSET else self.count[register & 31]


@pytest.mark.parametrize("seed", range(40))
def test_random_use__agrees_with_a_model_of_single_instructions(bench: Bench, seed: int) -> None:
    rnd = random.Random(seed)
    core, model = realm(bench, pmu=4), Model(4)
    values = [E, E | LP, E | FZO, E | FZO | DP | P, E | C, 0, 0xFFFF_FFFF, rnd.getrandbits(32), 0xFFFF_FFFA]
    values += [(1 << 64) - 5, 0xFFFF_FFFF_FFFF_FFF7, INST_RETIRED, CPU_CYCLES, CHAIN, NOT_EL1 | INST_RETIRED]
    numbers = {PMCR: range(6), PMCCNTR: range(8, 11), PMCCFILTR: (5, 14)}
    numbers |= {r: range(5, 8) for r in (PMCNTENSET, PMCNTENSET, PMCNTENCLR, PMOVSCLR, PMOVSSET, PMSWINC)}
    numbers |= {counter(i): range(8, 11) for i in range(4)} | {event_type(i): (5, 11, 12, 13, 14) for i in range(4)}
    words: list[int] = []
    expected: list[int] = []
    for register, value in ((PMCNTENSET, 6), (PMCR, 0)):
        words.append(msr(register, value))
        model.write(register, values[value])
        model.retire()
    for _ in range(600):
        kind = rnd.random()
        if kind < 0.5:
            words.append(NOP)
        elif kind < 0.75:
            register = rnd.choice(list(numbers))
            value = rnd.choice(list(numbers[register]))
            words.append(msr(register, value))
            model.write(register, values[value])
        else:
            register = rnd.choice((PMCCNTR, PMOVSSET, *(counter(i) for i in range(4))))
            words += [mrs(register, 19), 0xF8008693]  # str x19, [x20], #8
            expected.append(model.read(register))
            model.retire()
        model.retire()
    core.set_x(0, [*values, *[0] * (20 - len(values)), DATA])
    bench.run(core, words)
    assert list(struct.unpack(f"<{len(expected)}Q", bench.memory.read(DATA, 8 * len(expected)))) == expected
