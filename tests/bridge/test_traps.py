# SPDX-License-Identifier: GPL-2.0-or-later
"""What EL2 traps of EL0 and EL1 (DDI 0487: HCR_EL2, CPTR_EL2, MDCR_EL2, CNTHCTL_EL2; ESR_ELx for the syndromes)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from tests.bridge.boards import CODE, DATA, ELR, SMC, SPSR, Bench
from tests.bridge.guests import (
    CPACR_EL1,
    CPTR_EL2,
    ERET,
    HCR_EL2,
    HVC,
    ISB,
    MDCR_EL2,
    NOP,
    RW,
    SVC,
    TGE,
    VECTORS_EL2,
    WFE,
    WFI,
    Guest,
    mrs,
    msr,
)

MIDR, MPIDR, REVIDR = sysreg(3, 0, 0, 0, 0), sysreg(3, 0, 0, 0, 5), sysreg(3, 0, 0, 0, 6)
PFR0, UNNAMED_ID = sysreg(3, 0, 0, 4, 0), sysreg(3, 0, 0, 7, 7)
CTR, ACTLR, SCTLR, TTBR0, CONTEXTIDR = (
    sysreg(3, 3, 0, 0, 1),
    sysreg(3, 0, 1, 0, 1),
    sysreg(3, 0, 1, 0, 0),
    sysreg(3, 0, 2, 0, 0),
    sysreg(3, 0, 13, 0, 1),
)
CNTPCT, CNTVCT, CNTP_CTL, CNTV_CTL = (
    sysreg(3, 3, 14, 0, 1),
    sysreg(3, 3, 14, 0, 2),
    sysreg(3, 3, 14, 2, 1),
    sysreg(3, 3, 14, 3, 1),
)
CNTKCTL, CNTHCTL = sysreg(3, 0, 14, 1, 0), sysreg(3, 4, 14, 1, 0)
MDSCR, OSLAR, OSLSR, OSDLR, MDRAR, PMCR = (
    sysreg(2, 0, 0, 2, 2),
    sysreg(2, 0, 1, 0, 4),
    sysreg(2, 0, 1, 1, 4),
    sysreg(2, 0, 1, 3, 4),
    sysreg(2, 0, 1, 0, 0),
    sysreg(3, 3, 9, 12, 0),
)
FMOV_D0_D0, LDR_Q0_X1, ADD_V, MRS_FPCR = 0x1E604000, 0x3DC00020, 0x4E208400, 0xD53B4400
IL = 1 << 25
FP_TRAP = 0x07 << 26 | IL | 1 << 24 | 0xE << 20


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def trap_syndrome(word: int) -> int:
    """EC 0x18 of an MRS, MSR or SYS word: op0, op2, op1, CRn, Rt, CRm, direction."""
    op0, op1, crn, crm, op2 = word >> 19 & 3, word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7
    return (
        0x18 << 26 | IL | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 31) << 5 | crm << 1 | word >> 21 & 1
    )


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (18, mrs(PFR0, 0)),  # TID3
        (18, mrs(UNNAMED_ID, 0)),
        (16, mrs(REVIDR, 0)),  # TID1
        (17, mrs(CTR, 0)),  # TID2
        (21, mrs(ACTLR, 0)),  # TACR
        (26, msr(SCTLR, 0)),  # TVM
        (26, msr(CONTEXTIDR, 0)),
        (30, mrs(TTBR0, 0)),  # TRVM
        (25, 0xD508871F),  # TTLB: tlbi vmalle1
        (20, mrs(sysreg(3, 0, 15, 2, 0), 0)),  # TIDCP
        (20, msr(sysreg(3, 0, 11, 0, 0), 3)),
        (28, 0xD50B7420),  # TDZ: dc zva, x0
        (24, 0xD50B7520),  # TPU: ic ivau, x0
        (23, 0xD50B7E20),  # TPC: dc civac, x0
        (22, 0xD5087640),  # TSW: dc isw, x0
    ],
)
def test_hcr_bit__traps_with_its_syndrome_and_only_when_set(bench: Bench, bit: int, word: int) -> None:
    guest = Guest(bench, hcr=1 << bit)
    assert guest.run([word], x=[DATA] * 31) is Reason.SMC
    assert guest.taken(2, 0x400)
    assert guest.esr() == trap_syndrome(word)
    assert guest.elr() == CODE
    guest.core.set_sysreg(HCR_EL2, RW)
    guest.run([word], x=[DATA] * 31)
    assert not guest.taken(2, 0x400)


def test_tid3__leaves_el2_and_what_is_not_in_its_group(bench: Bench) -> None:
    guest = Guest(bench, hcr=1 << 18)
    guest.run([mrs(PFR0, 0)], el=2)
    assert guest.ended
    guest.run([mrs(MIDR, 0), mrs(MPIDR, 1)])
    assert guest.ended


def test_midr_and_mpidr__of_a_guest_are_the_hosts_to_choose(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_id(MIDR, 0x410FD034)
    guest.run([mrs(MIDR, 0), mrs(MPIDR, 1)])
    assert guest.core.get_x(0, 2) == [0x410FD034, 0x8000_0000]  # they start as the PE's own
    guest.run([msr(sysreg(3, 4, 0, 0, 0), 0), msr(sysreg(3, 4, 0, 0, 5), 1)], el=2, x=[0x1234, 0x8000_0103])
    guest.run([mrs(MIDR, 0), mrs(MPIDR, 1)])
    assert guest.core.get_x(0, 2) == [0x1234, 0x8000_0103]
    guest.run([mrs(MIDR, 0), mrs(MPIDR, 1)], el=2)
    assert guest.core.get_x(0, 2) == [0x410FD034, 0x8000_0000]


def test_hvc_and_smc__from_el1(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.run([HVC | 5 << 5])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x16 << 26 | IL | 5
    assert guest.elr() == CODE + 4
    guest.core.set_sysreg(HCR_EL2, RW | 1 << 19)  # TSC
    guest.run([SMC])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x17 << 26 | IL
    assert guest.elr() == CODE
    guest.core.set_sysreg(HCR_EL2, RW)
    guest.run([HVC], el=0)
    assert guest.taken(1, 0x400)
    assert guest.esr(1) == IL


def test_twi_and_twe__trap_with_their_ti(bench: Bench) -> None:
    guest = Guest(bench, hcr=1 << 13 | 1 << 14)
    guest.run([NOP, WFI])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x01 << 26 | IL | 1 << 24 | 0xE << 20
    guest.run([NOP, NOP, WFE])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x01 << 26 | IL | 1 << 24 | 0xE << 20 | 1
    assert guest.elr() == CODE + 8
    guest.run([WFE], el=2)
    assert guest.ended


@pytest.mark.parametrize(
    ("word", "ec"), [(SVC, 0x15), (0, 0), (0xD4200120, 0x3C), (0xF9400020, 0x24), (mrs(CNTPCT, 0), 0x18)]
)
def test_tge__takes_el0s_exceptions_to_el2(bench: Bench, word: int, ec: int) -> None:
    guest = Guest(bench, hcr=TGE)
    guest.core.set_sysreg(CNTKCTL, 0)
    bench.delegate(DATA)
    guest.run([word], el=0, x=[0, DATA])
    assert guest.taken(2, 0x400)
    assert guest.esr() >> 26 == ec
    assert guest.spsr() == 0x3C0


def test_smc_at_el0__is_undefined(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.run([SMC], el=0)
    assert guest.taken(1, 0x400)
    assert guest.esr(1) == IL


# Returns


def returns(guest: Guest, spsr: int, *, el: int) -> None:
    """ERET at `el` to CODE + 0x100."""
    guest.bench.code([NOP, SMC], CODE + 0x100)
    guest.core.set_x(0, [spsr, CODE + 0x100])
    guest.run([msr(SPSR[el], 0), msr(ELR[el], 1), ERET], el=el)


@pytest.mark.parametrize(("el", "spsr"), [(2, 0x3C9), (2, 0x3C5), (2, 0x3C4), (1, 0x3C5)])
def test_eret__to_its_own_or_a_lower_level(bench: Bench, el: int, spsr: int) -> None:
    guest = Guest(bench, hcr=0)
    returns(guest, spsr, el=el)
    assert guest.core.exit.pc == CODE + 0x108
    assert guest.core.pstate == spsr


@pytest.mark.parametrize(
    ("el", "spsr", "hcr"),
    [
        (1, 0x3C9, 0),  # to a higher level
        (1, 0x3C8, 0),
        (2, 0x3CD, 0),  # EL3
        (2, 0x3C1, 0),  # EL0h is no mode
        (2, 0x3C2, 0),
        (1, 0x3C5 | 1 << 20, 0),  # SPSR.IL: legal, into the Illegal Execution state
        (2, 0x3C5, TGE),  # with TGE there is no EL1
    ],
)
def test_illegal_return__is_an_illegal_execution_state_exception(bench: Bench, el: int, spsr: int, hcr: int) -> None:
    """DDI 0487 D1.4.5: PSTATE.IL is set, and the first instruction at the target takes EC 0x0E."""
    guest = Guest(bench, hcr=hcr)
    returns(guest, spsr, el=el)
    assert guest.taken(el, 0x200)
    assert guest.esr(el) == 0x0E << 26 | IL
    assert guest.elr(el) == CODE + 0x100
    assert guest.spsr(el) >> 20 & 1 == 1
    assert guest.core.pstate >> 20 & 1 == 0
    guest.run([NOP], el=el)
    assert guest.ended


# SIMD&FP


@pytest.mark.parametrize("word", [FMOV_D0_D0, LDR_Q0_X1, ADD_V, MRS_FPCR, 0x6D000400, 0x0C407000, 0x1C000020])
def test_fpen__traps_simd_and_fp_of_el1(bench: Bench, word: int) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CPACR_EL1, 0)
    guest.run([NOP, NOP, word], x=[DATA] * 31)
    assert guest.taken(1, 0x200)
    assert guest.esr(1) == FP_TRAP
    assert guest.elr(1) == CODE + 8
    guest.core.set_sysreg(CPACR_EL1, 3 << 20)
    guest.run([NOP, NOP, word], x=[DATA] * 31)
    assert guest.ended


def test_fpen__1_traps_el0_alone(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CPACR_EL1, 1 << 20)
    guest.run([FMOV_D0_D0])
    assert guest.ended
    guest.run([FMOV_D0_D0], el=0)
    assert guest.taken(1, 0x400)
    assert guest.esr(1) == FP_TRAP


@pytest.mark.parametrize("el", [0, 1, 2])
def test_tfp__traps_to_el2(bench: Bench, el: int) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CPTR_EL2, 1 << 10)
    guest.run([NOP, FMOV_D0_D0], el=el)
    assert guest.taken(2, 0x200 if el == 2 else 0x400)
    assert guest.esr() == FP_TRAP
    assert guest.elr() == CODE + 4


def test_fp_trap__costs_no_instruction_and_no_time(bench: Bench) -> None:
    """What stands before the trapping instruction is run and counted once, what stands after it is not."""
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CPACR_EL1, 0)
    guest.run([0x91000400, 0x91000400, FMOV_D0_D0, 0x91000400], x=[0])  # add x0, x0, #1
    assert guest.core.get_x(0, 1) == [2]
    assert bench.board.insns == 3  # two ADDs and the vector's SMC


def test_fp_trap__disarmed_by_the_handler_goes_on(bench: Bench) -> None:
    """Lazy FP, as KVM does it: the first use traps, the handler lets it in and returns."""
    guest = Guest(bench, hcr=0)
    handler = [msr(CPTR_EL2, 3), ISB, 0x910004A5, ERET]  # add x5, x5, #1
    bench.code(handler, VECTORS_EL2 + 0x400)
    guest.core.set_sysreg(CPTR_EL2, 1 << 10)
    bench.code([NOP, 0x9E670000, 0x9E660002, SMC], CODE)  # fmov d0, x0 ; fmov x2, d0
    guest.core.pstate = 0x3C5
    guest.core.set_x(0, [0x1234, 0, 0, 0, 0, 0])
    guest.core.pc = CODE
    assert Reason(guest.core.run(1000)) is Reason.SMC
    assert guest.core.exit.pc == CODE + 16
    assert guest.core.get_x(2, 4) == [0x1234, 0, 0, 1]


def test_fp_trap__in_a_loop_that_ran_before(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    loop = [0xF1000400, 0x1E604000, 0x54FFFFC1]  # subs x0, x0, #1 ; fmov d0, d0 ; b.ne -8
    guest.run(loop, x=[1000])
    assert guest.ended
    guest.core.set_sysreg(CPACR_EL1, 0)
    guest.run(loop, x=[1000])
    assert guest.taken(1, 0x200)
    assert guest.core.get_x(0, 1) == [999]
    assert guest.elr(1) == CODE + 4


def test_tcpac__traps_cpacr(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CPTR_EL2, 1 << 31)
    guest.run([mrs(CPACR_EL1, 0)])
    assert guest.taken(2, 0x400)
    assert guest.esr() == trap_syndrome(mrs(CPACR_EL1, 0))


# Debug, PMU, timers


@pytest.mark.parametrize(
    ("bit", "word"),
    [(9, mrs(MDSCR, 0)), (10, msr(OSLAR, 0)), (11, mrs(MDRAR, 0)), (6, mrs(PMCR, 0))],
)
def test_mdcr_bit__traps(bench: Bench, bit: int, word: int) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(MDCR_EL2, 1 << bit)
    guest.run([word], x=[0])
    assert guest.taken(2, 0x400)
    assert guest.esr() == trap_syndrome(word)


def test_tde__takes_brk_to_el2(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.run([0xD4200120])
    assert guest.taken(1, 0x200)
    guest.core.set_sysreg(MDCR_EL2, 1 << 8)
    guest.run([0xD4200120])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x3C << 26 | IL | 9


@pytest.mark.parametrize(
    ("el", "cnthctl", "word", "trapped"),
    [
        (1, 0, mrs(CNTPCT, 0), True),  # EL1PCTEN
        (1, 1, mrs(CNTPCT, 0), False),
        (1, 2, mrs(CNTPCT, 0), True),
        (1, 0, mrs(CNTVCT, 0), False),
        (1, 1, mrs(CNTP_CTL, 0), True),  # EL1PCEN
        (1, 2, mrs(CNTP_CTL, 0), False),
        (1, 2, msr(CNTP_CTL, 0), False),
        (1, 0, mrs(CNTV_CTL, 0), False),
        (0, 0, mrs(CNTPCT, 0), True),
        (0, 2, mrs(CNTPCT, 0), True),
        (0, 1, mrs(CNTPCT, 0), False),
        (0, 0, mrs(CNTVCT, 0), False),
    ],
)
def test_cnthctl__traps_the_physical_counter_and_timer(
    bench: Bench, el: int, cnthctl: int, word: int, trapped: bool
) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CNTHCTL, cnthctl)
    guest.core.set_sysreg(CNTKCTL, 0x3FF)
    guest.run([word, SVC], el=el, x=[0])
    assert guest.taken(2, 0x400) is trapped
    if trapped:
        assert guest.esr() == trap_syndrome(word)
    else:
        assert guest.core.get_x(0, 1)[0] < 1000  # virtual time, not the host's
    assert guest.core.get_sysreg(CNTHCTL) == cnthctl


def test_cntkctl__refusal_of_el0_goes_to_el1_first(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(CNTHCTL, 0)
    guest.core.set_sysreg(CNTKCTL, 0)
    guest.run([mrs(CNTPCT, 0)], el=0)
    assert guest.taken(1, 0x400)
    assert guest.esr(1) == trap_syndrome(mrs(CNTPCT, 0))


def test_os_lock__reads_back(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    guest.run(
        [msr(OSLAR, 3), mrs(OSLSR, 0), msr(OSLAR, 4), mrs(OSLSR, 1), msr(MDSCR, 5), mrs(MDSCR, 2)],
        x=[0, 0, 0, 1, 0, 1 << 12],
    )
    assert guest.ended
    locked, unlocked, mdscr = guest.core.get_x(0, 3)
    assert (locked & 2, unlocked & 2) == (2, 0)  # OSLK
    assert mdscr == 1 << 12


@pytest.mark.parametrize(("word", "esr"), [(0xDAC10000, 0x09 << 26 | IL), (mrs(sysreg(3, 0, 2, 1, 0), 0), None)])
def test_api_and_apk__trap_pointer_authentication(bench: Bench, word: int, esr: int | None) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(SCTLR, guest.core.get_sysreg(SCTLR) | 1 << 31)  # EnIA
    guest.run([word])
    assert guest.taken(2, 0x400)
    assert guest.esr() == (trap_syndrome(word) if esr is None else esr)
    guest.core.set_sysreg(HCR_EL2, RW | 3 << 40)
    guest.run([word])
    assert guest.ended
