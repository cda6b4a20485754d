# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual CPU interface: ICH_* and ICV_* (IHI 0069, chapter 6 and 12.4)."""

from __future__ import annotations

import pytest

from tests.plugin._gic import (
    AP1R0,
    BPR0,
    BPR1,
    CTLR,
    DIR,
    EISR,
    ELRSR,
    EOIR0,
    EOIR1,
    HCR,
    HPPIR1,
    IAR0,
    IAR1,
    ICH_AP1R0,
    IGRPEN0,
    IGRPEN1,
    ISACTIVER,
    LR,
    MISR,
    NONE,
    PMR,
    RPR,
    VMCR,
    VTR,
    Gic,
    Undefined,
)

EN, UIE, LRENPIE, NPIE = (1 << n for n in range(4))
IRQ, FIQ = 1, 2
PENDING, ACTIVE = 1, 2


def lr(
    intid: int, state: int = PENDING, *, priority: int = 0xA0, group: int = 1, hw: int | None = None, eoi: int = 0
) -> int:
    """ICH_LR<n>_EL2 (12.4)."""
    value = state << 62 | group << 60 | priority << 48 | eoi << 41 | intid
    return value if hw is None else value | 1 << 61 | hw << 32


def guest(*lrs: int, hcr: int = EN) -> Gic:
    """A guest that takes both groups at any priority."""
    gic = Gic.booted()
    gic.ich(HCR, hcr)
    gic.icv(IGRPEN0, 1)
    gic.icv(IGRPEN1, 1)
    gic.icv(PMR, 0xFF)
    for n, value in enumerate(lrs):
        gic.ich(LR(n), value)
    return gic


def state(gic: Gic, n: int = 0) -> int:
    return gic.ich(LR(n)) >> 62


def test_vtr__says_what_there_is() -> None:
    """12.4 ICH_VTR_EL2: ListRegs, TDS, nV4, A3V, PREbits, PRIbits."""
    assert Gic(list_registers=4).ich(VTR) == 4 << 29 | 4 << 26 | 1 << 21 | 1 << 20 | 1 << 19 | 3
    assert Gic(list_registers=16).ich(VTR) & 0x1F == 15


def test_list_registers__beyond_the_last_are_undefined() -> None:
    gic = Gic(list_registers=9)
    gic.ich(LR(8), lr(40))
    assert gic.ich(LR(8)) == lr(40)
    with pytest.raises(Undefined):
        gic.ich(LR(9))


def test_acknowledge_and_eoi__move_the_list_register() -> None:
    gic = guest(lr(40, priority=0x80))
    assert gic.virtual_lines() == IRQ
    assert gic.icv(HPPIR1) == 40
    assert gic.icv(IAR1) == 40
    assert state(gic) == ACTIVE
    assert gic.virtual_lines() == 0
    assert gic.icv(RPR) == 0x80  # no Non-secure shift in a virtual machine
    assert gic.ich(ICH_AP1R0) == 1 << 16 == gic.icv(AP1R0)
    gic.icv(EOIR1, 40)
    assert state(gic) == 0
    assert gic.icv(RPR) == 0xFF


def test_group0__is_a_virtual_fiq() -> None:
    gic = guest(lr(40, group=0))
    assert gic.virtual_lines() == FIQ
    assert gic.icv(IAR1) == NONE
    assert gic.icv(IAR0) == 40
    gic.icv(EOIR1, 40)
    assert state(gic) == ACTIVE
    gic.icv(EOIR0, 40)
    assert state(gic) == 0


@pytest.mark.parametrize("off", [{"hcr": 0}, {"group": 0}, {"pmr": 0xA0}])
def test_signal__needs_en_the_group_and_the_mask(off: dict[str, int]) -> None:
    gic = guest(lr(40), hcr=off.get("hcr", EN))
    gic.icv(IGRPEN1, off.get("group", 1))
    gic.icv(PMR, off.get("pmr", 0xFF))
    assert gic.virtual_lines() == 0
    assert gic.icv(IAR1) == NONE
    assert state(gic) == PENDING


def test_priority__highest_then_lowest_intid() -> None:
    gic = guest(lr(50), lr(44), lr(60, priority=0x50), lr(45))
    order = []
    for _ in range(4):
        order.append(gic.icv(IAR1))
        gic.icv(EOIR1, order[-1])
    assert order == [60, 44, 45, 50]


def test_active_and_pending__is_pending_again_after_eoi() -> None:
    """6.3: a list register in state 0b11 is not signalled; deactivation leaves it pending."""
    gic = guest(lr(40, PENDING | ACTIVE))
    assert gic.virtual_lines() == 0
    gic.ich(ICH_AP1R0, 1 << 20)
    gic.icv(EOIR1, 40)
    assert state(gic) == PENDING
    assert gic.virtual_lines() == IRQ


def test_preemption__nests_and_the_binary_point_counts() -> None:
    gic = guest(lr(40, priority=0xD8))
    gic.icv(BPR1, 5)
    assert gic.icv(IAR1) == 40
    gic.ich(LR(1), lr(41, priority=0xC0))
    assert gic.virtual_lines() == 0
    gic.ich(LR(2), lr(42, priority=0xA0))
    assert gic.icv(IAR1) == 42
    assert gic.icv(RPR) == 0xA0
    gic.icv(EOIR1, 42)
    assert gic.icv(RPR) == 0xC0


def test_eoimode__leaves_deactivation_to_dir() -> None:
    gic = guest(lr(40))
    gic.icv(CTLR, 2)
    gic.icv(IAR1)
    gic.icv(EOIR1, 40)
    assert state(gic) == ACTIVE
    assert gic.icv(RPR) == 0xFF
    gic.icv(DIR, 40)
    assert state(gic) == 0


def test_vmcr__is_what_the_guest_set() -> None:
    """12.4 ICH_VMCR_EL2: VPMR [31:24], VBPR0 [23:21], VBPR1 [20:18], VEOIM [9], VCBPR [4], VFIQEn [3], VENG."""
    gic = guest()
    gic.icv(PMR, 0xB7)
    gic.icv(BPR0, 4)
    gic.icv(BPR1, 6)
    gic.icv(CTLR, 2)
    assert gic.ich(VMCR) == 0xB0 << 24 | 4 << 21 | 6 << 18 | 1 << 9 | 1 << 3 | 3
    gic.ich(VMCR, 0)
    assert gic.ich(VMCR) == 2 << 21 | 3 << 18 | 1 << 3  # the minima of 5 bits of priority
    assert gic.icv(PMR) == 0


def test_cbpr__reads_bpr0_plus_one() -> None:
    gic = guest()
    gic.icv(BPR0, 4)
    gic.icv(CTLR, 1)
    gic.icv(BPR1, 3)
    assert gic.icv(BPR1) == 5


def test_eoicount__counts_ends_of_interrupts_without_a_list_register() -> None:
    """12.4 ICH_HCR_EL2.EOIcount [31:27]; the maintenance interrupt LRENP."""
    gic = guest(hcr=EN | LRENPIE)
    gic.icv(EOIR1, 40)
    assert gic.ich(HCR) >> 27 == 0  # nothing was active
    for n in (1, 2):
        gic.ich(ICH_AP1R0, 1 << 20)
        gic.icv(EOIR1, 40)
        assert gic.ich(HCR) >> 27 == n
    assert gic.ich(MISR) == 1 << 2
    assert gic.maintenance()


def test_maintenance__eoi_of_a_list_register_that_asks() -> None:
    """6.5: MISR.EOI and EISR while an LR has State 0, HW 0 and EOI 1; ELRSR leaves it out."""
    gic = guest(lr(40, eoi=1), lr(41))
    assert (gic.ich(EISR), gic.ich(ELRSR), gic.maintenance()) == (0, 0b1100, False)
    gic.icv(IAR1)
    gic.icv(EOIR1, 40)
    assert (gic.ich(EISR), gic.ich(ELRSR), gic.ich(MISR)) == (1, 0b1100, 1)
    assert gic.maintenance()
    gic.ich(HCR, 0)
    assert not gic.maintenance()
    assert gic.ich(MISR) == 1
    gic.ich(HCR, EN)
    gic.ich(LR(0), 0)
    assert not gic.maintenance()


def test_maintenance__underflow_and_no_pending() -> None:
    gic = guest(lr(40), lr(41, ACTIVE), hcr=EN | UIE | NPIE)
    assert gic.ich(MISR) == 0
    gic.ich(LR(1), 0)
    assert gic.ich(MISR) == 1 << 1
    gic.icv(IAR1)
    assert gic.ich(MISR) == 1 << 1 | 1 << 3


@pytest.mark.parametrize(("register", "enabled"), [(IGRPEN0, 4), (IGRPEN1, 6)])
def test_maintenance__group_enables(register: int, enabled: int) -> None:
    gic = guest(hcr=EN | 0xF0)
    gic.icv(register, 1)
    assert gic.ich(MISR) >> enabled & 3 == 1
    gic.icv(register, 0)
    assert gic.ich(MISR) >> enabled & 3 == 2


def test_hw__eoi_deactivates_the_physical_interrupt() -> None:
    """6.3: with LR.HW the virtual deactivation is one of pINTID too; EOI is not reported."""
    gic = guest(lr(40, hw=50))
    gic.poke(ISACTIVER, 50)
    gic.icv(IAR1)
    gic.icv(EOIR1, 40)
    assert gic.bit(ISACTIVER, 50) == 0
    assert (gic.ich(EISR), gic.ich(ELRSR)) == (0, 0b1111)


def test_hw__cannot_reach_a_secure_interrupt() -> None:
    gic = guest(lr(40, hw=50))
    gic.group(50, 1)
    gic.poke(ISACTIVER, 50)
    gic.icv(IAR1)
    gic.icv(EOIR1, 40)
    assert gic.bit(ISACTIVER, 50) == 1


def test_hw__a_wild_pintid_reaches_nothing() -> None:
    gic = guest(lr(40, hw=0x1FFF), lr(41, hw=1020))
    for intid in (40, 41):
        assert gic.icv(IAR1) == intid
        gic.icv(EOIR1, intid)
    assert [state(gic, n) for n in (0, 1)] == [0, 0]


@pytest.mark.parametrize("intid", [1020, 1023, 8191])
def test_special_intids__in_a_list_register_are_no_interrupt(intid: int) -> None:
    gic = guest(lr(intid))
    assert gic.icv(IAR1) == NONE
    assert state(gic) == 0


def test_lpi__has_no_active_state() -> None:
    """6.3: an LPI's list register becomes invalid when it is acknowledged."""
    gic = guest(lr(8192))
    assert gic.icv(IAR1) == 8192
    assert state(gic) == 0
    gic.icv(EOIR1, 8192)
    assert gic.icv(RPR) == 0xFF
    assert gic.ich(HCR) >> 27 == 0
