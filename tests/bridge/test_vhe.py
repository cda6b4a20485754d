# SPDX-License-Identifier: GPL-2.0-or-later
"""EL2 as a host, HCR_EL2.E2H and TGE (DDI 0487 D8.1 translation regimes, D13.1 register redirection)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from tests.bridge.boards import CODE, DATA, DRAM, SPSR, TABLES, Bench
from tests.bridge.guests import (
    CPACR_EL1,
    CPTR_EL2,
    E2H,
    HCR_EL2,
    ISB,
    LDR_X0_X1,
    NOP,
    RW,
    SCTLR_EL1,
    SCTLR_EL2,
    STR_X0_X1,
    SVC,
    TGE,
    VM,
    Guest,
    mrs,
    msr,
)

HOST = E2H | TGE
IL = 1 << 25
S1_LOW, S1_HIGH = DRAM + 0x40_0000, DRAM + 0x50_0000
HIGH = 0xFFFF_FF80_0000_0000  # a 39-bit VA of TTBR1
BLOCK, EL0, RO, PXN, UXN, NG = 0x401, 1 << 6, 1 << 7, 1 << 53, 1 << 54, 1 << 11
TTBR0_EL2, TTBR1_EL2, TCR_EL2, MAIR_EL2 = (
    sysreg(3, 4, 2, 0, 0),
    sysreg(3, 4, 2, 0, 1),
    sysreg(3, 4, 2, 0, 2),
    sysreg(3, 4, 10, 2, 0),
)
CNTHCTL, CNTKCTL = sysreg(3, 4, 14, 1, 0), sysreg(3, 0, 14, 1, 0)
CNTVCT, CNTPCT, CNTVOFF = sysreg(3, 3, 14, 0, 2), sysreg(3, 3, 14, 0, 1), sysreg(3, 4, 14, 0, 3)
SPAN = 1 << 23

REDIRECTED = {
    "SCTLR": ((3, 0, 1, 0, 0), (3, 4, 1, 0, 0), 0x30C5_0830),
    "TTBR0": ((3, 0, 2, 0, 0), (3, 4, 2, 0, 0), 0x8040_0000),
    "TTBR1": ((3, 0, 2, 0, 1), (3, 4, 2, 0, 1), 0x8050_0000),
    "TCR": ((3, 0, 2, 0, 2), (3, 4, 2, 0, 2), 0x5_0019_0019),
    "SPSR": ((3, 0, 4, 0, 0), (3, 4, 4, 0, 0), 0x3C0),
    "ELR": ((3, 0, 4, 0, 1), (3, 4, 4, 0, 1), 0x1234),
    "AFSR0": ((3, 0, 5, 1, 0), (3, 4, 5, 1, 0), 0),
    "ESR": ((3, 0, 5, 2, 0), (3, 4, 5, 2, 0), 0x5600_0000),
    "FAR": ((3, 0, 6, 0, 0), (3, 4, 6, 0, 0), 0x5678),
    "MAIR": ((3, 0, 10, 2, 0), (3, 4, 10, 2, 0), 0xFF44),
    "VBAR": ((3, 0, 12, 0, 0), (3, 4, 12, 0, 0), 0x8030_0800),
    "CONTEXTIDR": ((3, 0, 13, 0, 1), (3, 4, 13, 0, 1), 7),
    "CNTKCTL": ((3, 0, 14, 1, 0), (3, 4, 14, 1, 0), 0x303),
    "CPACR": ((3, 0, 1, 0, 2), (3, 4, 1, 1, 2), 3 << 20 | 3 << 16),
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def host(bench: Bench, *, hcr: int = HOST, leaf: int = BLOCK, low_leaf: int | None = None, **options: int) -> Guest:
    """EL2&0 on: DRAM by TTBR0 at its own address and by TTBR1 at HIGH, 1 GiB blocks, 39-bit halves."""
    guest = Guest(bench, hcr=hcr, **options)
    bench.memory.write64(S1_LOW + 8 * 2, DRAM | (leaf if low_leaf is None else low_leaf))
    bench.memory.write64(S1_HIGH, DRAM | leaf)
    for register, value in (
        (TTBR0_EL2, S1_LOW),
        (TTBR1_EL2, S1_HIGH),
        (MAIR_EL2, 0xFF),
        (TCR_EL2, 25 | 25 << 16 | 2 << 30 | 5 << 32),
        (SCTLR_EL2, 0x30C5_0831 | SPAN),
        (CPTR_EL2, 3 << 20),
    ):
        guest.core.set_sysreg(register, value)
    return guest


@pytest.mark.parametrize("name", REDIRECTED)
def test_el1_name_at_el2__is_the_register_of_el2(bench: Bench, name: str) -> None:
    el1, el2, value = REDIRECTED[name]
    guest = Guest(bench, hcr=HOST)
    before = guest.core.get_sysreg(sysreg(*el1))
    guest.run([msr(sysreg(*el1), 0), mrs(sysreg(*el2), 1), mrs(sysreg(*el1), 2)], el=2, x=[value])
    assert guest.core.exit.pc == CODE + 16
    assert guest.core.get_x(1, 2) == [value, value]
    assert guest.core.get_sysreg(sysreg(*el1)) == before


@pytest.mark.parametrize("name", REDIRECTED)
def test_el12_name__is_the_register_of_el1(bench: Bench, name: str) -> None:
    el1, el2, value = REDIRECTED[name]
    el12 = sysreg(3, 5, *el1[2:])
    guest = Guest(bench, hcr=HOST)
    before = guest.core.get_sysreg(sysreg(*el2))
    guest.run([msr(el12, 0), mrs(el12, 1)], el=2, x=[value])
    assert guest.core.exit.pc == CODE + 12
    assert guest.core.get_x(1, 1) == [value]
    assert guest.core.get_sysreg(sysreg(*el1)) == value
    assert guest.core.get_sysreg(sysreg(*el2)) == before
    guest.core.set_sysreg(HCR_EL2, RW)
    guest.run([mrs(el12, 1)], el=2)
    assert guest.taken(2, 0x200)  # without E2H there is no such name
    assert guest.esr() == IL


def test_el1_name_at_el1__is_not_redirected(bench: Bench) -> None:
    guest = Guest(bench, hcr=E2H)
    guest.core.set_sysreg(SCTLR_EL2, 0x30C5_0830)
    guest.core.set_sysreg(SPSR[1], 0x3C4)
    guest.run([mrs(sysreg(3, 0, 4, 0, 0), 0)])
    assert guest.core.get_x(0, 1) == [0x3C4]


def test_timers__of_el2_by_their_el0_names_and_of_el1_by_el02(bench: Bench) -> None:
    guest = Guest(bench, hcr=HOST)
    cntp, cntv = sysreg(3, 3, 14, 2, 2), sysreg(3, 3, 14, 3, 2)
    cnthp, cnthv = sysreg(3, 4, 14, 2, 2), sysreg(3, 4, 14, 3, 2)
    cntp02, cntv02 = sysreg(3, 5, 14, 2, 2), sysreg(3, 5, 14, 3, 2)
    words = [msr(cntp, 0), msr(cntv, 1), msr(cntp02, 2), msr(cntv02, 3)]
    words += [mrs(cnthp, 4), mrs(cnthv, 5), mrs(cntp, 6), mrs(cntv, 7), mrs(cntp02, 8), mrs(cntv02, 9)]
    guest.run(words, el=2, x=[11, 22, 33, 44])
    assert guest.core.get_x(4, 6) == [11, 22, 11, 22, 33, 44]
    guest.run([mrs(cntp, 0), mrs(cntv, 1)])
    assert guest.core.timers()[1::2] == [33, 44]


def test_cntvct__of_the_host_has_no_offset(bench: Bench) -> None:
    guest = Guest(bench, hcr=HOST)
    guest.core.set_sysreg(CNTHCTL, 3)
    guest.run([msr(CNTVOFF, 0)], el=2, x=[1 << 40])
    for el in (2, 0):
        guest.run([mrs(CNTPCT, 0), mrs(CNTVCT, 1), SVC], el=el, x=[0, 0])
        physical, virtual = guest.core.get_x(0, 2)
        assert virtual - physical == 1


@pytest.mark.parametrize("el", [0, 2])
@pytest.mark.parametrize("base", [DRAM, HIGH])
def test_el20__has_both_halves(bench: Bench, el: int, base: int) -> None:
    guest = host(bench, leaf=BLOCK | (EL0 | PXN if el == 0 else 0))
    if el == 0:  # EL0 only runs what EL2 does not: the vectors of EL2 stay outside of its blocks
        guest = host(bench, leaf=BLOCK | EL0 | RO)
    bench.memory.write64(DATA, 0x5150)
    guest.run([LDR_X0_X1, SVC], el=el, x=[0, base + (DATA - DRAM)])
    assert guest.core.get_x(0, 1) == [0x5150]
    assert guest.taken(2, 0x400 if el == 0 else 0x200)
    assert guest.esr() == 0x15 << 26 | IL


def test_svc_of_the_hosts_el0__arrives_at_the_lower_el_vector(bench: Bench) -> None:
    guest = host(bench, leaf=BLOCK | EL0 | RO)
    guest.run([NOP, SVC | 9 << 5], el=0)
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x15 << 26 | IL | 9
    assert guest.spsr() == 0x3C0


@pytest.mark.parametrize(
    ("el", "leaf", "word", "fsc"),
    [
        (2, BLOCK | RO, STR_X0_X1, 0x0D),
        (0, BLOCK | RO, LDR_X0_X1, 0x0D),
    ],
)
def test_permissions__are_those_of_two_levels(bench: Bench, el: int, leaf: int, word: int, fsc: int) -> None:
    guest = host(bench, leaf=leaf, low_leaf=BLOCK | EL0 | RO)
    guest.run([word], el=el, x=[0, HIGH + (DATA - DRAM)])
    assert guest.taken(2, 0x400 if el == 0 else 0x200)
    assert guest.esr() & 0x3F == fsc
    assert guest.far() == HIGH + (DATA - DRAM)


def test_pan__keeps_el2_off_el0s_memory(bench: Bench) -> None:
    guest = host(bench, low_leaf=BLOCK, leaf=BLOCK | EL0)
    bench.memory.write64(DATA, 7)
    va = HIGH + (DATA - DRAM)
    # msr pan, #0 ; ldr ; msr pan, #1 ; ldr
    guest.run([0xD500409F, LDR_X0_X1], el=2, x=[0, va])
    assert guest.core.get_x(0, 1) == [7]
    guest.run([0xD500409F, LDR_X0_X1, 0xD500419F, LDR_X0_X1], el=2, x=[0, va])
    assert guest.taken(2, 0x200)
    assert guest.elr() == CODE + 12
    assert guest.esr() & 0x3F == 0x0D
    # ldtr has EL0's rights, which may read
    guest.run([0xD500419F, 0xF8400820], el=2, x=[0, va])
    assert guest.core.exit.pc == CODE + 12
    assert guest.core.get_x(0, 1) == [7]


def test_ldtr__of_the_host_may_not_read_what_el0_may_not(bench: Bench) -> None:
    guest = host(bench)
    guest.run([0xF8400820], el=2, x=[0, DATA])
    assert guest.taken(2, 0x200)
    assert guest.esr() & 0x3F == 0x0D
    guest = host(bench, hcr=E2H)  # without TGE it is an ordinary load of EL2
    guest.run([0xF8400820], el=2, x=[0, DATA])
    assert guest.core.exit.pc == CODE + 8


@pytest.mark.parametrize(("span", "hcr", "pan"), [(0, HOST, 1), (SPAN, HOST, 0), (0, E2H, 0)])
def test_exception_to_the_host__sets_pan_as_span_says(bench: Bench, span: int, hcr: int, pan: int) -> None:
    guest = host(bench, hcr=hcr)
    guest.core.set_sysreg(SCTLR_EL2, 0x3045_0831 | span)
    guest.run([SVC], el=2)
    assert guest.core.pstate >> 22 & 1 == pan


def test_guest_of_a_host__has_its_stage_2_and_the_host_has_none(bench: Bench) -> None:
    guest = host(bench, hcr=E2H | VM)
    bench.memory.write64(TABLES + 0x1000 + 8 * 1, 0)  # IPA of the second 2 MiB block of DRAM
    bench.memory.write64(DRAM + 0x20_0000 + 0x8_0000, 9)
    address = DRAM + 0x20_0000 + 0x8_0000
    guest.run([LDR_X0_X1], el=1, x=[0, address])
    assert guest.taken(2, 0x400)
    assert guest.esr() & 0x3F == 0x06
    guest.core.set_sysreg(HCR_EL2, RW | HOST | VM)
    guest.run([LDR_X0_X1], el=2, x=[0, address])
    assert guest.core.get_x(0, 1) == [9]


def test_tlbi_vae1__of_the_host_is_of_its_own_regime(bench: Bench) -> None:
    """DDI 0487, TLBI VAE1: with E2H and TGE it is of EL2&0."""
    guest = host(bench)
    va = HIGH + (DATA - DRAM)
    guest.run([LDR_X0_X1], el=2, x=[0, va])
    bench.memory.write64(S1_HIGH, DRAM | BLOCK | RO)
    # tlbi vaae1is, x2 ; dsb ish ; isb ; str
    guest.run([0xD5088362, 0xD5033B9F, ISB, STR_X0_X1], el=2, x=[0, va, va >> 12 & (1 << 44) - 1])
    assert guest.taken(2, 0x200)
    assert guest.esr() & 0x7F == 1 << 6 | 0x0D


@pytest.mark.parametrize("word", [0xD50C8322, 0xD50C8722, 0xD50C871F])  # tlbi vae2is, vae2, alle2
def test_tlbi_of_el2__reaches_the_el20_regime(bench: Bench, word: int) -> None:
    guest = host(bench)
    va = HIGH + (DATA - DRAM)
    guest.run([LDR_X0_X1], el=2, x=[0, va])
    bench.memory.write64(S1_HIGH, DRAM | BLOCK | RO)
    guest.run([word, 0xD5033B9F, ISB, STR_X0_X1], el=2, x=[0, va, va >> 12 & (1 << 44) - 1])
    assert guest.taken(2, 0x200)


def test_asid_switch__sees_the_other_space(bench: Bench) -> None:
    guest = host(bench)
    other = DRAM + 0x60_0000
    bench.memory.write64(other + 8 * 2, DRAM | BLOCK)
    bench.memory.write64(S1_LOW + 8 * 1, DRAM | BLOCK | NG)
    va = 0x4000_0000 + (DATA - DRAM)
    bench.memory.write64(DATA, 3)
    guest.run([LDR_X0_X1], el=2, x=[0, va])
    assert guest.core.get_x(0, 1) == [3]
    guest.run([msr(TTBR0_EL2, 2), ISB, LDR_X0_X1], el=2, x=[0, va, other | 5 << 48])
    assert guest.taken(2, 0x200)
    assert guest.esr() & 0x3F == 0x05
    guest.core.set_sysreg(TTBR0_EL2, S1_LOW)
    guest.run([msr(sysreg(3, 0, 2, 0, 0), 2), ISB, LDR_X0_X1], el=2, x=[0, va, other | 6 << 48])
    assert guest.taken(2, 0x200)


@pytest.mark.parametrize(
    ("fpen", "el", "trapped"),
    [
        (0, 2, True),
        (1, 2, False),
        (3, 2, False),
        (0, 0, True),
        (1, 0, True),
        (3, 0, False),
    ],
)
def test_cptr__has_the_format_of_cpacr(bench: Bench, fpen: int, el: int, trapped: bool) -> None:
    guest = host(bench, leaf=BLOCK | EL0 | RO)
    guest.core.set_sysreg(CPTR_EL2, fpen << 20)
    guest.core.set_sysreg(CPACR_EL1, 0)  # of no account to the host
    guest.run([NOP, 0x1E604000, SVC], el=el)
    assert guest.esr() >> 26 == (0x07 if trapped else 0x15)


@pytest.mark.parametrize(
    ("zen", "el", "trapped"),
    [
        (0, 2, True),
        (1, 2, False),
        (3, 2, False),
        (0, 0, True),
        (1, 0, True),
        (3, 0, False),
    ],
)
def test_zen__traps_sve(bench: Bench, zen: int, el: int, trapped: bool) -> None:
    guest = host(bench, leaf=BLOCK | EL0 | RO)
    guest.core.set_sysreg(sysreg(3, 6, 1, 1, 2), 1 << 8)  # CPTR_EL3.EZ
    guest.core.set_sysreg(CPTR_EL2, 3 << 20 | zen << 16)
    guest.run([NOP, 0x04BF5020, SVC], el=el)  # rdvl x0, #1
    assert guest.esr() >> 26 == (0x19 if trapped else 0x15)


def test_cptr__keeps_its_bits_over_a_change_of_e2h(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    words = [msr(CPTR_EL2, 0), msr(HCR_EL2, 1), mrs(CPTR_EL2, 2), msr(CPTR_EL2, 3), msr(HCR_EL2, 4), mrs(CPTR_EL2, 5)]
    guest.run(words, el=2, x=[0x33FF & ~(1 << 10), RW | E2H, 0, 3 << 20 | 1 << 31, RW, 0])
    assert guest.core.exit.pc == CODE + 28
    assert guest.core.get_x(2, 1) == [0x33FF & ~(1 << 10)]
    assert guest.core.get_x(5, 1) == [3 << 20 | 1 << 31]


@pytest.mark.parametrize(
    ("cnthctl", "word", "trapped"),
    [
        (0, CNTVCT, True),
        (2, CNTVCT, False),
        (1, CNTVCT, True),
        (0, CNTPCT, True),
        (1, CNTPCT, False),
        (2, CNTPCT, True),
        (0, sysreg(3, 3, 14, 2, 1), True),
        (1 << 9, sysreg(3, 3, 14, 2, 1), False),
        (0, sysreg(3, 3, 14, 3, 1), True),
        (1 << 8, sysreg(3, 3, 14, 3, 1), False),
    ],
)
def test_cnthctl__of_the_host_rules_its_el0(bench: Bench, cnthctl: int, word: int, trapped: bool) -> None:
    guest = host(bench, leaf=BLOCK | EL0 | RO)
    guest.core.set_sysreg(CNTHCTL, cnthctl)
    guest.core.set_sysreg(CNTKCTL, 0x3FF)
    guest.run([mrs(word, 0), SVC], el=0, x=[0])
    assert guest.taken(2, 0x400)
    assert guest.esr() >> 26 == (0x18 if trapped else 0x15)
    assert guest.core.get_x(0, 1)[0] < 1000


@pytest.mark.parametrize(
    ("cnthctl", "word", "trapped"),
    [
        (0, CNTPCT, True),
        (1 << 10, CNTPCT, False),
        (0, CNTVCT, False),
        (0, sysreg(3, 3, 14, 2, 1), True),
        (1 << 11, sysreg(3, 3, 14, 2, 1), False),
    ],
)
def test_cnthctl__with_e2h_traps_a_guest(bench: Bench, cnthctl: int, word: int, trapped: bool) -> None:
    guest = Guest(bench, hcr=E2H)
    guest.core.set_sysreg(CNTHCTL, cnthctl)
    guest.run([mrs(word, 0)], el=1, x=[0])
    assert guest.taken(2, 0x400) is trapped
    assert guest.core.get_x(0, 1)[0] < 1000


def test_at_s1e1r__of_the_host_is_of_el20(bench: Bench) -> None:
    guest = host(bench)
    va = HIGH + (DATA - DRAM) + 0x123
    assert guest.run([0xD5087801, mrs(sysreg(3, 0, 7, 4, 0), 0)], el=2, x=[0, va]) is Reason.SMC
    par = guest.core.get_x(0, 1)[0]
    assert par & 1 == 0
    assert par & 0xF_FFFF_FFFF_F000 == DATA


def test_switching_to_the_host__in_running_code(bench: Bench) -> None:
    """EL2 without E2H turns into a host with its MMU on and uses its upper half, all by its own instructions."""
    guest = host(bench, hcr=0)
    guest.core.set_sysreg(SCTLR_EL2, 0x30C5_0830)
    bench.memory.write64(DATA, 0xAB)
    words = [msr(HCR_EL2, 0), ISB, msr(SCTLR_EL1, 2), ISB, 0xF9400023]  # ldr x3, [x1]
    guest.run(words, el=2, x=[RW | HOST, HIGH + (DATA - DRAM), 0x30C5_0831 | SPAN])
    assert guest.core.exit.pc == CODE + 24
    assert guest.core.get_x(3, 1) == [0xAB]
