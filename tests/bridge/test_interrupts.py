# SPDX-License-Identifier: GPL-2.0-or-later
"""Cores that take the GIC's interrupts: real code over the registers of IHI 0069, routed by DDI 0487 D1.3.6."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import pytest

from bridge.core import NEVER, Core, sysreg
from bridge.exits import EventKind, Reason
from bridge.gic import Gic
from bridge.pas import GPI, PAS
from bridge.plugin import lib
from tests.bridge.a64 import (
    DAIFCLR_I,
    DAIFSET_I,
    ERET,
    HERE,
    NOP,
    WFI,
    add,
    b,
    ldr_w,
    mov,
    mrs,
    msr,
    put,
    store_w,
    str_x_post,
)
from tests.bridge.boards import CODE, DATA, ELR, ESR, SMC, SPSR, VBAR, VECTORS, Bench
from tests.plugin._gic import (
    CTLR,
    CTLR_D,
    DIR,
    EOIR1,
    HCR,
    IAR0,
    IAR1,
    IGROUPR,
    IGRPEN1,
    IGRPMODR,
    IPRIORITYR,
    ISENABLER,
    LR,
    MISR,
    NONE,
    PMR,
    RPR,
    SGI1R,
    SGI_BASE,
    SRE,
    SRE_EL2,
    VMCR,
)

DIST, REDIST = 0x0800_0000, 0x080A_0000
GUEST = CODE + 0x8000
HANDLED = DATA  # the handlers' log, by x20
HCR_EL2 = sysreg(3, 4, 1, 1, 0)
HCR_RW, HCR_IMO, HCR_FMO, HCR_AMO, HCR_TGE = 1 << 31, 1 << 4, 1 << 3, 1 << 5, 1 << 27
ISR = sysreg(3, 0, 12, 1, 0)
CNTP_CTL, CNTP_CVAL = sysreg(3, 3, 14, 2, 1), sysreg(3, 3, 14, 2, 2)
CNTV_CTL, CNTV_CVAL = sysreg(3, 3, 14, 3, 1), sysreg(3, 3, 14, 3, 2)
CNTV_TVAL, CNTVOFF = sysreg(3, 3, 14, 3, 0), sysreg(3, 4, 14, 0, 3)
CNTPS_CTL, CNTPS_CVAL = sysreg(3, 7, 14, 2, 1), sysreg(3, 7, 14, 2, 2)
CNTHP_CTL, CNTHP_CVAL = sysreg(3, 4, 14, 2, 1), sysreg(3, 4, 14, 2, 2)
EL2H, EL1H, EL0 = 9, 5, 0
MASKED = 0x3C0
IRQ_OWN, FIQ_OWN, SERROR_OWN, IRQ_LOWER, FIQ_LOWER = 0x280, 0x300, 0x380, 0x480, 0x500


class Wired(Bench):
    """A bench with a GIC of two PEs; `core` is a Normal-world core at EL2 whose interrupts are set up."""

    def __init__(self) -> None:
        super().__init__(devices=[(DIST, 0x1_0000, GPI.ANY), (REDIST, 0x4_0000, GPI.ANY)])
        self.gic = Gic(self.board, (0, 1), dist=DIST, redist=REDIST, list_registers=4)
        self.gic.handoff()
        self.gic.write(DIST + CTLR_D, 2, secure=False)
        for pe in (0, 1):
            self.gic.power(pe, True)

    def host(self, *enabled: int, pe: int = 0, pstate: int = EL2H, hcr: int = HCR_RW | HCR_IMO) -> Core:
        """These INTIDs enabled for a core of `pe`, groups open, PMR open, interrupts unmasked."""
        core = self.core(pe=pe)
        core.set_sysreg(HCR_EL2, hcr)
        for intid in enabled:
            self.enable(intid, pe)
        self.open(core)
        core.pstate = pstate
        core.set_x(20, [HANDLED])
        return core

    def enable(self, intid: int, pe: int = 0) -> None:
        base = REDIST + pe * 0x2_0000 + SGI_BASE if intid < 32 else DIST
        assert self.gic.write(base + ISENABLER + intid // 32 * 4, 1 << intid % 32)

    def priority(self, intid: int, value: int) -> None:
        assert self.gic.write((REDIST + SGI_BASE if intid < 32 else DIST) + IPRIORITYR + intid, value, 1)

    def group(self, intid: int, group: int) -> None:
        """0 or 1: Group 0 or Secure Group 1."""
        base = (REDIST + SGI_BASE if intid < 32 else DIST) + intid // 32 * 4
        bit = 1 << intid % 32
        old = self.gic.read(base + IGROUPR)
        assert old is not None
        self.gic.write(base + IGROUPR, old & ~bit)
        self.gic.write(base + IGRPMODR, bit * group)

    def open(self, core: Core) -> None:
        """By code of its own: ICC_PMR_EL1, ICC_IGRPEN1_EL1."""
        core.pstate = core.pstate | MASKED
        assert self.run(core, [*put(PMR, 0xF0), *put(IGRPEN1, 1)]) is Reason.SMC

    def vector(self, offset: int, words: Sequence[int]) -> None:
        self.code(words, VECTORS + offset)

    def log(self, count: int) -> list[int]:
        return list(struct.unpack(f"<{count}Q", self.memory.read(HANDLED, 8 * count)))


ACK_AND_LOG = [mrs(0, IAR1), str_x_post(0, 20), msr(EOIR1, 0), ERET]


@pytest.fixture
def board() -> Iterator[Wired]:
    board = Wired()
    yield board
    board.close()


def taken_at(core: Core, offset: int) -> bool:
    """The first instruction of the vector, an SMC, has run."""
    return int(core.exit.pc) == VECTORS + offset + 4


def test_sgi__to_oneself_is_taken_after_the_write(board: Wired) -> None:
    core = board.host(1)
    assert board.run(core, [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), NOP, NOP]) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 4 * len(mov(0, 1 << 24 | 1)) + 4
    assert core.get_sysreg(SPSR[2]) == EL2H
    assert core.pstate == EL2H | MASKED


def test_entry__leaves_esr_as_it_was(board: Wired) -> None:
    """DDI 0487, D1.3.5: an interrupt does not write ESR_ELx."""
    core = board.host(1)
    core.set_sysreg(ESR[2], 0x5A)
    board.run(core, [*mov(0, 1 << 24 | 1), msr(SGI1R, 0)])
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ESR[2]) == 0x5A


def test_sgi__is_handled_and_the_code_goes_on(board: Wired) -> None:
    core = board.host(1, 2)
    board.vector(IRQ_OWN, ACK_AND_LOG)
    words = [*mov(1, 1 << 24 | 1), msr(SGI1R, 1), NOP, *mov(1, 2 << 24 | 1), msr(SGI1R, 1), NOP, *mov(3, 7)]
    assert board.run(core, words) is Reason.SMC
    assert core.exit.pc == CODE + 4 * len(words) + 4
    assert board.log(3) == [1, 2, 0]
    assert core.get_x(3, 1) == [7]
    assert core.pstate == EL2H


def test_sgi__to_another_pe_waits_there(board: Wired) -> None:
    first, second = board.host(1), board.host(1, pe=1)
    words = [*mov(0, 1 << 24 | 2), msr(SGI1R, 0)]
    assert board.run(first, words) is Reason.SLICE, "the other PE may have waited for it"
    assert first.pc == CODE + 4 * len(words)
    assert (lib.cca_irq_lines(first.handle), lib.cca_irq_lines(second.handle)) == (0, 1)
    board.run(second, [NOP])
    assert taken_at(second, IRQ_OWN)
    assert second.get_sysreg(ELR[2]) == CODE


def test_sgi__to_another_pe_ends_the_turn_when_others_may_run(board: Wired) -> None:
    first = board.host(1)
    lib.cca_set_solo(first.handle, 0)
    words = [*mov(0, 1 << 24 | 2), msr(SGI1R, 0), NOP, NOP]
    assert board.run(first, words) is Reason.SLICE
    assert first.pc == CODE + 4 * len(words) - 8
    assert Reason(first.run()) is Reason.SMC


def test_spi__a_line_from_outside_is_taken_at_the_next_run(board: Wired) -> None:
    core = board.host(40)
    board.vector(IRQ_OWN, ACK_AND_LOG)
    board.code([HERE])
    core.pc = CODE
    assert Reason(core.run(1000)) is Reason.SLICE
    board.gic.set_line(40, True)
    assert Reason(core.run(8)) is Reason.SLICE
    board.gic.set_line(40, False)
    core.run(100)
    assert set(board.log(2)) == {40}
    assert core.get_sysreg(ELR[2]) == CODE


def test_mmio__is_answered_without_an_exit(board: Wired) -> None:
    core = board.host()
    words = [*store_w(DIST + ISENABLER + 4, 0x100), ldr_w(3, 10), *mov(10, DIST + IGROUPR + 4), ldr_w(4, 10)]
    assert board.run(core, words) is Reason.SMC
    assert core.get_x(3, 2) == [0x100, 0]
    assert board.gic.interrupt(40).enabled


def test_mmio__spi_pended_by_code_is_taken(board: Wired) -> None:
    core = board.host(40)
    assert board.run(core, [*store_w(DIST + 0x204, 1 << 8), NOP]) is Reason.SMC
    assert taken_at(core, IRQ_OWN)


def test_mmio__secure_code_has_the_secure_view(board: Wired) -> None:
    core = board.core(el=1, pas=PAS.SECURE)
    board.gpt.set(CODE, PAS.SECURE)
    board.gpt.set(VECTORS, PAS.SECURE)
    assert board.run(core, [*mov(10, DIST), ldr_w(3, 10)]) is Reason.SMC
    assert core.get_x(3, 1) == [0x37]  # ARE_S, ARE_NS, all three groups


def test_timer__cnthp_is_ppi_26_at_its_instruction(board: Wired) -> None:
    core = board.host(26)
    at = board.board.ticks + 500
    words = [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), HERE]
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 4 * len(words) - 4
    assert board.board.ticks == at + 1  # and the SMC of the vector
    assert [irq.intid for irq in board.gic.interrupts() if irq.pending] == [26]


@pytest.mark.parametrize("offset", [0, 5, 1 << 20, -(1 << 40), -(1 << 63)])
def test_timer__cntv_fires_whatever_the_offset(board: Wired, offset: int) -> None:
    """DDI 0487, D11.2.4: ((Counter - Offset) - CompareValue) is modulo 2^64, so that CNTVCT may be ahead or behind."""
    core = board.host(27)
    words = [*put(CNTVOFF, offset & (1 << 64) - 1), *put(CNTV_TVAL, 500), *put(CNTV_CTL, 1), WFI]
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert 500 <= board.board.ticks < 550


def test_timer__is_deasserted_where_the_count_wraps(board: Wired) -> None:
    """Asserted from the start with a count below zero; CNTVCT reaches zero, which is below CVAL, 300 ticks on."""
    core = board.host(27)
    board.code([*put(CNTVOFF, board.board.ticks + 300), *put(CNTV_CVAL, 1 << 63), *put(CNTV_CTL, 1), HERE])
    core.pc, core.pstate = CODE, 0x3C9
    levels = []
    for insns in (100, 400):
        core.run(insns)
        levels.append([irq.intid for irq in board.gic.interrupts() if irq.pending])
    assert levels == [[27], []]


def test_timer__pends_again_after_eoi_while_it_is_asserted(board: Wired) -> None:
    """DDI 0487, D11.2.4: the output is level sensitive; IHI 0069, 4.1.2."""
    core = board.host(30)
    board.vector(IRQ_OWN, [add(21, 21, 1), mrs(0, IAR1), str_x_post(0, 20), msr(EOIR1, 0), ERET])
    at = board.board.ticks + 100
    board.code([*put(CNTP_CVAL, at), *put(CNTP_CTL, 1), HERE])
    core.pc = CODE
    core.set_x(21, [0])
    assert Reason(core.run(200)) is Reason.SLICE
    (count,) = core.get_x(21, 1)
    assert count > 10
    assert board.log(3) == [30, 30, 30]
    core.run(5)  # whichever side of the handler it is on, CTL = 0 silences it
    board.vector(IRQ_OWN, [add(21, 21, 1), *put(CNTP_CTL, 0), mrs(0, IAR1), msr(EOIR1, 0), ERET])
    core.run(200)
    (before,) = core.get_x(21, 1)
    core.run(500)
    assert core.get_x(21, 1) == [before]
    assert lib.cca_irq_lines(core.handle) == 0


def test_wfi__skips_to_the_timer_and_takes_it(board: Wired) -> None:
    core = board.host(26)
    at = board.board.ticks + 50_000
    words = [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), WFI]
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 4 * len(words)
    assert board.board.ticks == at + 1


def test_wfi__wakes_on_a_masked_interrupt(board: Wired) -> None:
    """DDI 0487, D1.6.2: an interrupt wakes WFI whatever PSTATE masks."""
    core = board.host(26, pstate=EL2H | MASKED)
    at = board.board.ticks + 1000
    words = [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), WFI, mrs(0, ISR)]
    assert board.run(core, words) is Reason.SMC
    assert core.exit.pc == CODE + 4 * len(words) + 4
    assert core.get_x(0, 1) == [1 << 7]
    assert board.board.ticks == at + 2


def test_wfi__a_disabled_interrupt_does_not_wake(board: Wired) -> None:
    core = board.host()
    at = board.board.ticks + 1000
    assert board.run(core, [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), WFI]) is Reason.WFI


def test_wfi__leaves_to_the_scheduler_where_others_may_run(board: Wired) -> None:
    core = board.host(26)
    lib.cca_set_solo(core.handle, 0)
    at = board.board.ticks + 1000
    assert board.run(core, [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), WFI]) is Reason.WFI
    assert lib.cca_wake_at(core.handle) == at
    assert lib.cca_irq_lines(core.handle) == 0
    lib.cca_skip_to(board.board.handle, at)
    assert lib.cca_irq_lines(core.handle) == 1
    assert lib.cca_wake_at(core.handle) == NEVER
    assert Reason(core.run()) is Reason.SMC
    assert taken_at(core, IRQ_OWN)


def test_wake_at__of_a_pe_that_is_not_running(board: Wired) -> None:
    first, second = board.host(26), board.host(26, pe=1)
    lib.cca_set_solo(first.handle, 0)
    at = board.board.ticks + 300
    assert board.run(first, [*put(CNTHP_CVAL, at), *put(CNTHP_CTL, 1), WFI]) is Reason.WFI
    board.code([HERE], CODE + 0x1000)
    second.pc = CODE + 0x1000
    assert Reason(second.run(1000)) is Reason.SLICE
    assert lib.cca_irq_lines(second.handle) == 0
    assert lib.cca_irq_lines(first.handle) == 1
    first.run()
    assert taken_at(first, IRQ_OWN)


@pytest.mark.parametrize("slack", range(5))
def test_masked__msr_daifclr_takes_it_at_the_next_instruction(board: Wired, slack: int) -> None:
    core = board.host(1, pstate=EL2H | MASKED)
    head = [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), *[NOP] * slack]
    assert board.run(core, [*head, DAIFCLR_I, NOP, NOP]) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 4 * len(head) + 4
    assert core.get_sysreg(SPSR[2]) == EL2H | MASKED & ~0x80


def test_masked__msr_daif_by_register_takes_it_at_the_next_instruction(board: Wired) -> None:
    core = board.host(1, pstate=EL2H | MASKED)
    head = [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), NOP, *mov(1, 0x340)]
    assert board.run(core, [*head, msr(sysreg(3, 3, 4, 2, 1), 1), NOP, NOP]) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 4 * len(head) + 4


def test_masked__eret_takes_it_before_the_target_runs(board: Wired) -> None:
    core = board.host(1, pstate=EL2H | MASKED)
    words = [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), *put(ELR[2], CODE + 0x400), *put(SPSR[2], EL2H), ERET]
    board.code([NOP, SMC], CODE + 0x400)
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 0x400


def test_masked__instructions_are_counted_as_they_retire(board: Wired) -> None:
    core = board.host(1, pstate=EL2H | MASKED)
    words = [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), NOP, NOP, mrs(1, RPR), NOP, DAIFCLR_I, NOP]
    before = board.board.insns
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert board.board.insns - before == len(words) - 1 + 1  # all up to DAIFClr, and the vector's SMC


def test_unmask_and_mask__a_window_between_lets_it_in(board: Wired) -> None:
    core = board.host(1, pstate=EL2H | MASKED)
    board.vector(IRQ_OWN, ACK_AND_LOG)
    words = [*mov(1, 1 << 24 | 1), msr(SGI1R, 1), NOP, DAIFCLR_I, DAIFSET_I, NOP]
    assert board.run(core, words) is Reason.SMC
    assert board.log(2) == [1, 0]
    assert core.exit.pc == CODE + 4 * len(words) + 4


def test_preemption__a_higher_priority_nests_in_the_handler(board: Wired) -> None:
    core = board.host(1, 2)
    board.priority(1, 0xC0)
    board.priority(2, 0xA0)
    # the first level keeps ELR and SPSR in x22, x23 and opens the way for the second
    board.vector(
        IRQ_OWN,
        [
            mrs(0, IAR1),
            str_x_post(0, 20),
            0xF1000400 | 0 << 5 | 31,  # cmp x0, #1
            0x54000001 | 12 << 5,  # b.ne to the second level's end
            mrs(22, ELR[2]),
            mrs(23, SPSR[2]),
            *mov(1, 2 << 24 | 1),
            msr(SGI1R, 1),
            DAIFCLR_I,
            DAIFSET_I,
            msr(ELR[2], 22),
            msr(SPSR[2], 23),
            *mov(0, 1),
            b(1),
            msr(EOIR1, 0),
            ERET,
        ],
    )
    assert board.run(core, [*mov(1, 1 << 24 | 1), msr(SGI1R, 1), NOP, mrs(5, RPR)]) is Reason.SMC
    assert board.log(3) == [1, 2, 0]
    assert core.get_x(5, 1) == [0xFF]
    assert core.pstate == EL2H


def el1(board: Wired, core: Core, words: Sequence[int], *, pstate: int = EL1H, at: int = GUEST) -> Reason:
    """Runs a guest at EL1, or EL0, under the core's EL2."""
    board.code([*words, SMC], at)
    core.pstate = pstate
    core.pc = at
    return Reason(core.run(100_000))


@pytest.mark.parametrize("masks", [0, MASKED])
@pytest.mark.parametrize("route", [HCR_IMO, HCR_TGE])
def test_routing__to_el2_from_below_whatever_is_masked(board: Wired, masks: int, route: int) -> None:
    """DDI 0487, D1.3.6: an interrupt for EL2 cannot be masked below it."""
    core = board.host(40, hcr=HCR_RW | route)
    board.gic.set_line(40, True)
    level = EL1H if route == HCR_IMO else EL0
    assert el1(board, core, [NOP], pstate=level | masks) is Reason.SMC
    assert taken_at(core, IRQ_LOWER)
    assert core.pstate == EL2H | MASKED
    assert core.get_sysreg(ELR[2]) == GUEST


def test_routing__to_el1_obeys_its_mask_and_waits_at_el2(board: Wired) -> None:
    core = board.host(40, hcr=HCR_RW)
    board.gic.set_line(40, True)
    assert board.run(core, [NOP, NOP]) is Reason.SMC
    assert core.exit.pc == CODE + 12
    assert el1(board, core, [NOP], pstate=EL1H | MASKED) is Reason.SMC
    assert core.exit.pc == GUEST + 8
    assert el1(board, core, [NOP]) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.pstate >> 2 & 3 == 1
    assert core.get_sysreg(ELR[1]) == GUEST
    assert el1(board, core, [NOP], pstate=EL0) is Reason.SMC
    assert taken_at(core, IRQ_LOWER)


def test_routing__follows_a_write_of_hcr_el2(board: Wired) -> None:
    core = board.host(40, hcr=HCR_RW)
    board.gic.set_line(40, True)
    words = [NOP, *put(HCR_EL2, HCR_RW | HCR_IMO), NOP, NOP]
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert CODE + 4 * (len(words) - 2) <= core.get_sysreg(ELR[2]) <= CODE + 4 * len(words)


def lr(intid: int, *, state: int = 1, priority: int = 0x80, group: int = 1, eoi: int = 0) -> int:
    return state << 62 | group << 60 | priority << 48 | eoi << 41 | intid


def guest(board: Wired, core: Core, *lrs: int, hcr: int = 1) -> None:
    """List registers and an open virtual interface, by the host's own code."""
    words = [*put(HCR, hcr), *put(VMCR, 0xF8 << 24 | 3)]
    for n, value in enumerate(lrs):
        words += put(LR(n), value)
    core.pstate = EL2H | MASKED
    assert board.run(core, words) is Reason.SMC
    assert core.exit.pc == CODE + 4 * len(words) + 4


def test_guest__takes_a_virtual_irq_from_a_list_register(board: Wired) -> None:
    core = board.host(hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core, lr(77))
    board.vector(IRQ_OWN, ACK_AND_LOG)
    assert el1(board, core, [NOP, mrs(3, RPR), mrs(4, IAR1)], pstate=EL1H) is Reason.SMC
    assert core.exit.el == 1
    assert board.log(2) == [77, 0]
    assert core.get_x(3, 2) == [0xFF, NONE]
    assert board.gic.virtual(core).lrs[0] >> 62 == 0


def test_guest__masked_virtual_irq_waits_for_the_unmask(board: Wired) -> None:
    core = board.host(hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core, lr(77))
    assert el1(board, core, [NOP, mrs(2, ISR), DAIFCLR_I, NOP], pstate=EL1H | MASKED) is Reason.SMC
    assert taken_at(core, IRQ_OWN)
    assert core.exit.el == 1
    assert core.get_sysreg(ELR[1]) == GUEST + 12
    assert core.get_x(2, 1) == [1 << 7]


def test_guest__wfi_ends_for_a_virtual_interrupt_though_masked(board: Wired) -> None:
    core = board.host(hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core)
    assert el1(board, core, [WFI], pstate=EL1H | MASKED) is Reason.WFI
    guest(board, core, lr(77))
    assert el1(board, core, [WFI, NOP], pstate=EL1H | MASKED) is Reason.SMC
    assert core.exit.pc == GUEST + 12


def test_guest__hw_list_register_deactivates_the_timer_it_stands_for(board: Wired) -> None:
    """IHI 0069, 6.3: the host drops the priority only; the guest's EOI deactivates the physical timer interrupt."""
    core = board.host(27, hcr=HCR_RW | HCR_IMO | HCR_FMO)
    at = board.board.ticks + 200
    board.vector(IRQ_OWN, [mrs(0, IAR1), msr(EOIR1, 0), SMC])
    words = [*put(CTLR, 2), *put(CNTV_CVAL, at), *put(CNTV_CTL, 1), HERE]
    assert board.run(core, words) is Reason.SMC
    assert core.get_x(0, 1) == [27]
    assert board.gic.interrupt(27).active
    guest(board, core, lr(27) | 1 << 61 | 27 << 32)
    board.vector(IRQ_OWN, [*put(CNTV_CTL, 0), *ACK_AND_LOG])
    assert el1(board, core, [NOP, NOP]) is Reason.SMC
    assert core.exit.el == 1
    assert board.log(1) == [27]
    assert not board.gic.interrupt(27).active


def test_guest__group0_is_a_virtual_fiq(board: Wired) -> None:
    core = board.host(hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core, lr(77, group=0))
    assert el1(board, core, [NOP, NOP]) is Reason.SMC
    assert taken_at(core, FIQ_OWN)
    assert core.exit.el == 1


def test_guest__eoi_raises_the_maintenance_interrupt_at_el2(board: Wired) -> None:
    """IHI 0069, 6.5: LR.EOI; the interrupt is PPI 25 and goes where HCR_EL2.IMO says."""
    core = board.host(25, hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core, lr(77, eoi=1))
    board.vector(IRQ_OWN, ACK_AND_LOG)
    board.vector(IRQ_LOWER, [mrs(5, MISR), mrs(6, IAR1), SMC])
    assert el1(board, core, [NOP, NOP, NOP]) is Reason.SMC
    assert core.exit.el == 2
    assert core.get_x(5, 2) == [1, 25]
    assert board.log(1) == [77]


@pytest.mark.parametrize(
    ("hcr", "word"),
    [
        (1 | 1 << 10, msr(PMR, 1)),  # TC
        (1 | 1 << 11, mrs(1, IAR0)),  # TALL0
        (1 | 1 << 12, mrs(1, IAR1)),  # TALL1
        (1 | 1 << 14, msr(DIR, 1)),  # TDIR
        (1, msr(SGI1R, 1)),  # IMO
    ],
)
def test_guest__traps_to_el2_with_the_access_in_the_syndrome(board: Wired, hcr: int, word: int) -> None:
    """IHI 0069, 12.4 ICH_HCR_EL2 and 12.2 ICC_SGI1R_EL1; DDI 0487, ESR_ELx, EC 0x18."""
    core = board.host(hcr=HCR_RW | HCR_IMO | HCR_FMO)
    guest(board, core, hcr=hcr)
    assert el1(board, core, [NOP, word]) is Reason.SMC
    assert taken_at(core, 0x400)
    op0, op1, crn, crm, op2 = word >> 19 & 3, word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7
    iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 31) << 5 | crm << 1 | word >> 21 & 1
    assert core.get_sysreg(ESR[2]) == 0x18 << 26 | 1 << 25 | iss
    assert core.get_sysreg(ELR[2]) == GUEST + 4


def test_guest__sre_el1_traps_when_el2_keeps_it(board: Wired) -> None:
    core = board.host()
    assert board.run(core, [*put(SRE_EL2, 7), mrs(1, SRE)]) is Reason.SMC
    assert core.get_x(1, 1) == [7]
    assert el1(board, core, [mrs(1, SRE)]) is Reason.SMC
    assert taken_at(core, 0x400)
    assert core.get_sysreg(ESR[2]) >> 26 == 0x18


def test_guest__without_imo_has_the_physical_interface(board: Wired) -> None:
    core = board.host(40, hcr=HCR_RW)
    board.gic.set_line(40, True)
    assert el1(board, core, [mrs(1, IAR1), mrs(2, RPR)], pstate=EL1H | MASKED) is Reason.SMC
    assert core.get_x(1, 2) == [40, 0]


def test_el0__has_no_cpu_interface(board: Wired) -> None:
    core = board.host()
    assert el1(board, core, [mrs(1, IAR1)], pstate=EL0) is Reason.SMC
    assert taken_at(core, 0x400)
    assert core.get_sysreg(ESR[1]) >> 26 == 0


@pytest.mark.parametrize(
    ("bit", "route", "vector"), [(7, HCR_IMO, IRQ_OWN), (6, HCR_FMO, FIQ_OWN), (8, HCR_AMO, SERROR_OWN)]
)
def test_hcr_el2__vi_vf_and_vse_reach_the_guest(board: Wired, bit: int, route: int, vector: int) -> None:
    core = board.host(hcr=HCR_RW | route)
    core.pstate = EL2H | MASKED
    board.code([NOP, NOP, SMC], GUEST)
    words = [*put(HCR_EL2, HCR_RW | route | 1 << bit), *put(ELR[2], GUEST), *put(SPSR[2], EL1H), ERET]
    assert board.run(core, words) is Reason.SMC
    assert taken_at(core, vector)
    assert core.exit.el == 1
    assert core.get_sysreg(ELR[1]) == GUEST
    assert core.get_sysreg(HCR_EL2) >> 8 & 1 == 0


def test_serror__is_taken_when_unmasked_with_its_iss(board: Wired) -> None:
    core = board.host(hcr=HCR_RW | HCR_AMO, pstate=EL2H | MASKED)
    lib.cca_pend_serror(core.handle, 0x11)
    assert board.run(core, [NOP, 0xD50344FF, NOP]) is Reason.SMC  # msr daifclr, #4
    assert taken_at(core, SERROR_OWN)
    assert core.get_sysreg(ELR[2]) == CODE + 8
    assert core.get_sysreg(ESR[2]) == 0x2F << 26 | 1 << 25 | 0x11
    assert lib.cca_irq_lines(core.handle) == 0


@pytest.mark.parametrize("group", [0, 1])
def test_secure_interrupt__leaves_the_normal_world_for_el3(board: Wired, group: int) -> None:
    """With SCR_EL3.FIQ a FIQ goes to EL3 from anywhere below, masked or not."""
    core = board.host(40, pstate=EL2H | MASKED)
    board.group(40, group)
    board.gic.set_line(40, True)
    assert board.run(core, [NOP]) is Reason.FIQ
    assert core.exit.pc == CODE
    assert board.gic.read_icc(0, IAR0) == (40 if group == 0 else 1020)


def secure(board: Wired, words: Sequence[int], *, pstate: int = EL1H) -> Core:
    for page in range(16):
        board.gpt.set(CODE + 0x4000 + page * 0x1000, PAS.SECURE)
    board.gpt.set(VECTORS + 0x1000, PAS.SECURE)
    core = board.core(el=1, pas=PAS.SECURE)
    core.set_sysreg(VBAR[1], VECTORS + 0x1000)
    for offset in range(0, 0x800, 0x80):
        board.memory.write(VECTORS + 0x1000 + offset, struct.pack("<I", SMC))
    board.code([*words, SMC], CODE + 0x4000)
    core.pc = CODE + 0x4000
    core.pstate = pstate
    return core


def test_secure__takes_its_group1_as_irq(board: Wired) -> None:
    board.group(40, 1)
    board.enable(40)
    board.gic.set_line(40, True)
    core = secure(board, [NOP])
    assert Reason(core.run()) is Reason.SMC
    assert core.exit.pc == VECTORS + 0x1000 + IRQ_OWN + 4
    assert core.get_sysreg(ELR[1]) == CODE + 0x4000


def test_secure__leaves_for_normal_interrupts_and_group_0(board: Wired) -> None:
    host = board.host(40, 41)
    core = secure(board, [NOP], pstate=EL1H | MASKED)
    board.gic.set_line(40, True)
    assert Reason(core.run()) is Reason.IRQ
    assert core.exit.pc == CODE + 0x4000
    lib.cca_set_fiq_to_el1(core.handle, 1)
    assert Reason(core.run()) is Reason.SMC
    core.pc, core.pstate = CODE + 0x4000, EL1H
    assert Reason(core.run()) is Reason.SMC
    assert core.exit.pc == VECTORS + 0x1000 + FIQ_OWN + 4
    lib.cca_set_fiq_to_el1(core.handle, 0)
    board.gic.set_line(40, False)
    board.group(41, 0)
    board.gic.set_line(41, True)
    assert Reason(core.run()) is Reason.FIQ
    assert lib.cca_irq_lines(host.handle) == 2


def test_secure_timer__cntps_is_ppi_29(board: Wired) -> None:
    board.group(29, 1)
    board.enable(29)
    at = board.board.ticks + 400
    core = secure(board, [*put(PMR, 0xF8), *put(IGRPEN1, 1), *put(CNTPS_CVAL, at), *put(CNTPS_CTL, 1), WFI])
    assert Reason(core.run()) is Reason.SMC
    assert core.exit.pc == VECTORS + 0x1000 + IRQ_OWN + 4
    assert board.board.ticks == at + 1


def test_cntps__is_not_the_normal_worlds(board: Wired) -> None:
    core = board.host()
    board.run(core, [mrs(0, CNTPS_CTL)])
    assert taken_at(core, 0x200)
    assert core.get_sysreg(ESR[2]) == 1 << 25


REALM_CODE = CODE + 0x20_000


def make_realm(board: Wired, words: Sequence[int] = (HERE,)) -> Core:
    """A realm's context whose stage 2 maps its code at the same address (one level 1 block)."""
    table = DATA + 0x1_0000
    board.memory.write64(table + 8 * (CODE >> 30), CODE & ~0x3FFF_FFFF | 1 << 10 | 3 << 8 | 0b11 << 6 | 0xF << 2 | 1)
    for page in (table, REALM_CODE):
        board.gpt.set(page, PAS.REALM)
        board.board.granule_changed(page)
    board.code([*words], REALM_CODE)
    vtcr = 1 << 31 | 5 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 1 << 6 | 25
    core = board.core(el=1, pas=PAS.REALM, stage2=True, vttbr=table, vtcr=vtcr, hcr=0x4324_800C_043F, irq_exits=1)
    core.set_sysreg(VBAR[1], VECTORS)
    core.pc = REALM_CODE
    core.pstate = EL1H | MASKED
    return core


def test_realm__leaves_for_physical_interrupts(board: Wired) -> None:
    host = board.host(40, 41)
    core = make_realm(board)
    assert Reason(core.run(10)) is Reason.SLICE
    board.gic.set_line(40, True)
    assert Reason(core.run(10)) is Reason.IRQ
    board.gic.set_line(40, False)
    assert Reason(core.run(10)) is Reason.SLICE
    board.group(41, 0)
    board.gic.set_line(41, True)
    assert Reason(core.run(10)) is Reason.FIQ
    assert lib.cca_irq_lines(host.handle) == 2


def test_realm__leaves_when_the_hosts_timer_fires(board: Wired) -> None:
    host = board.host(30)
    at = board.board.ticks + 100
    host.pstate = EL2H | MASKED
    assert board.run(host, [*put(CNTP_CVAL, at), *put(CNTP_CTL, 1)]) is Reason.SMC
    core = make_realm(board)
    assert Reason(core.run()) is Reason.IRQ
    assert board.board.ticks == at
    host.pstate = EL2H
    board.run(host, [NOP], at=CODE + 0x2000)
    assert taken_at(host, IRQ_OWN)


def test_realm__takes_its_list_registers_and_saves_them(board: Wired) -> None:
    board.host()
    program = [*put(PMR, 0xF8), *put(IGRPEN1, 1), NOP, mrs(0, IAR1), msr(EOIR1, 0), mrs(1, IAR1), HERE]
    core = make_realm(board, program)
    board.gic.load_virtual(core, 1, [lr(77), lr(78, priority=0xA0)])
    assert Reason(core.run(40)) is Reason.SLICE
    assert core.get_x(0, 2) == [77, 78]
    state = board.gic.virtual(core)
    assert [value >> 62 for value in state.lrs[:3]] == [0, 2, 0]
    assert state.vmcr == 0xF8 << 24 | 2 << 21 | 3 << 18 | 1 << 3 | 1 << 1
    assert state.ap1r0 == 1 << (0xA0 >> 3)


def test_realm__sgis_and_dir_under_tdir_leave(board: Wired) -> None:
    board.host()
    core = make_realm(board, [msr(DIR, 1), msr(SGI1R, 1), HERE])
    board.gic.load_virtual(core, 1, [])
    assert Reason(core.run(40)) is Reason.SYSREG  # the DIR was the virtual interface's
    assert core.exit.pc == REALM_CODE + 4
    core.pc = REALM_CODE
    board.gic.load_virtual(core, 1 | 1 << 14, [])
    assert Reason(core.run(40)) is Reason.SYSREG
    assert core.exit.pc == REALM_CODE


def test_realm__its_maintenance_interrupt_makes_it_leave(board: Wired) -> None:
    board.host(25)
    core = make_realm(board)
    board.gic.load_virtual(core, 1 | 1 << 1, [])  # En, UIE: no list register is valid
    assert Reason(core.run(40)) is Reason.IRQ
    board.gic.load_virtual(core, 1, [])
    assert Reason(core.run(40)) is Reason.SLICE


def test_trace__names_interrupts_apart_from_exceptions(board: Wired) -> None:
    core = board.host(1)
    core.trace(True)
    board.run(core, [*mov(0, 1 << 24 | 1), msr(SGI1R, 0), NOP])
    assert [(e[0], e[1], e[3]) for e in core.events()] == [(EventKind.INTERRUPT, 2, 0x80)]


def test_without_a_gic__the_registers_are_undefined() -> None:
    bench = Bench()
    core = bench.core()
    for word in (mrs(0, IAR1), mrs(0, HCR), mrs(0, PMR)):
        assert bench.run(core, [word]) is Reason.SMC
        assert taken_at(core, 0x200)
    bench.close()
