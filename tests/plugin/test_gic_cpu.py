# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU interface, ICC_* (IHI 0069, chapter 4 and 12.2)."""

from __future__ import annotations

import pytest

from tests.plugin._gic import (
    AP0R0,
    AP1R0,
    ASGI1R,
    BPR0,
    BPR1,
    CTLR,
    CTLR_D,
    CTLR_EL3,
    DIR,
    DIST,
    EL3,
    EOIR0,
    EOIR1,
    HPPIR0,
    HPPIR1,
    IAR0,
    IAR1,
    ICENABLER,
    IGRPEN0,
    IGRPEN1,
    IGRPEN1_EL3,
    IROUTER,
    ISACTIVER,
    ISENABLER,
    ISPENDR,
    NONE,
    NS,
    NSACR,
    PMR,
    REDIST,
    RPR,
    SECURE,
    SGI0R,
    SGI1R,
    SGI_BASE,
    SRE,
    SRE_EL2,
    SRE_EL3,
    Gic,
    Undefined,
)

IRQ, FIQ = 1, 2


def armed(intid: int = 40, priority: int = 0xA0, *, group: int = 2, pe: int = 0, gic: Gic | None = None) -> Gic:
    """Enabled and pending by software."""
    gic = gic or Gic.booted()
    gic.group(intid, group, pe)
    gic.priority(intid, priority, pe)
    gic.poke(ISENABLER, intid, pe)
    gic.poke(ISPENDR, intid, pe)
    return gic


def test_acknowledge__pending_becomes_active_and_eoi_ends_it() -> None:
    """4.1.2: inactive, pending, active; ICC_IAR1_EL1 acknowledges, ICC_EOIR1_EL1 drops and deactivates."""
    gic = armed()
    assert gic.lines() == IRQ
    assert gic.get(0, HPPIR1) == 40
    assert gic.get(0, IAR1) == 40
    assert (gic.bit(ISPENDR, 40), gic.bit(ISACTIVER, 40)) == (0, 1)
    assert gic.lines() == 0
    assert gic.get(0, RPR) == 0x40  # 0xA0 as the Non-secure state sees it
    assert gic.get(0, IAR1) == NONE
    gic.set(0, EOIR1, 40)
    assert gic.bit(ISACTIVER, 40) == 0
    assert gic.get(0, RPR) == 0xFF


def test_acknowledge__nothing_pending_is_1023() -> None:
    gic = Gic.booted()
    assert [gic.get(0, IAR1), gic.get(0, HPPIR1)] == [NONE, NONE]
    gic.set(0, EOIR1, NONE)
    gic.set(0, EOIR1, 40)
    assert gic.get(0, RPR) == 0xFF


def test_level__is_active_and_pending_while_the_line_is_up() -> None:
    """4.1.2: a level-sensitive interrupt whose line stays asserted becomes active and pending."""
    gic = Gic.booted()
    gic.poke(ISENABLER, 40)
    gic.line(40, 1)
    assert gic.get(0, IAR1) == 40
    assert (gic.bit(ISPENDR, 40), gic.bit(ISACTIVER, 40)) == (1, 1)
    assert gic.lines() == 0
    gic.set(0, EOIR1, 40)
    assert gic.lines() == IRQ
    assert gic.get(0, IAR1) == 40
    gic.line(40, 0)
    gic.set(0, EOIR1, 40)
    assert gic.lines() == 0


def test_edge__is_taken_once_and_a_new_edge_while_active_pends_again() -> None:
    gic = Gic.booted()
    gic.edge(40)
    gic.poke(ISENABLER, 40)
    gic.line(40, 1)
    assert gic.get(0, IAR1) == 40
    gic.line(40, 0)
    gic.line(40, 1)
    assert (gic.bit(ISPENDR, 40), gic.bit(ISACTIVER, 40)) == (1, 1)
    gic.set(0, EOIR1, 40)
    assert gic.get(0, IAR1) == 40
    gic.set(0, EOIR1, 40)
    assert gic.get(0, IAR1) == NONE


def test_pending__is_kept_while_disabled() -> None:
    gic = armed()
    gic.poke(ICENABLER, 40)
    assert gic.lines() == 0
    assert gic.bit(ISPENDR, 40) == 1
    gic.poke(ISENABLER, 40)
    assert gic.lines() == IRQ


@pytest.mark.parametrize("what", ["distributor", "interface"])
def test_group_enables__both_are_needed(what: str) -> None:
    """4.6.2: GICD_CTLR.EnableGrp1NS and ICC_IGRPEN1_EL1.Enable."""
    gic = armed()
    if what == "distributor":
        gic.write(DIST + CTLR_D, 0)
    else:
        gic.set(0, IGRPEN1, 0)
    assert gic.lines() == 0
    assert gic.get(0, IAR1) == NONE


def test_priority__highest_first_and_lowest_intid_among_equals() -> None:
    gic = armed(50, 0xA0)
    for intid, priority in ((44, 0xA0), (60, 0x90), (45, 0xA0)):
        armed(intid, priority, gic=gic)
    order = []
    for _ in range(4):
        order.append(gic.get(0, IAR1))
        gic.set(0, EOIR1, order[-1])
    assert order == [60, 44, 45, 50]


def test_pmr__only_what_is_higher_is_signalled_but_hppir_shows_it() -> None:
    """4.8.4: signalled when the priority is higher than ICC_PMR_EL1; 12.2 ICC_HPPIR1_EL1 does not look at it."""
    gic = armed(40, 0xA0)
    gic.set(0, PMR, 0x40)  # 0xA0
    assert gic.lines() == 0
    assert gic.get(0, IAR1) == NONE
    assert gic.get(0, HPPIR1) == 40
    gic.set(0, PMR, 0x50)
    assert gic.lines() == IRQ


def test_pmr__non_secure_view() -> None:
    """4.8.6: Non-secure accesses are shifted, and have no effect while PMR holds a Secure priority."""
    gic = Gic.booted()
    gic.set(0, PMR, 0xFF, SECURE)
    assert gic.get(0, PMR, SECURE) == 0xF8
    gic.set(0, PMR, 0x21)
    assert gic.get(0, PMR, SECURE) == 0x90
    assert gic.get(0, PMR) == 0x20
    gic.set(0, PMR, 0x00)
    assert gic.get(0, PMR, SECURE) == 0x80
    gic.set(0, PMR, 0x78, SECURE)
    assert gic.get(0, PMR) == 0
    gic.set(0, PMR, 0xF0)
    assert gic.get(0, PMR, SECURE) == 0x78


def test_preemption__by_a_higher_group_priority_nests() -> None:
    """4.8.5 Preemption: running priority, and priority drop in reverse order."""
    gic = armed(40, 0xC0)
    assert gic.get(0, IAR1) == 40
    armed(41, 0xC0, gic=gic)
    assert gic.get(0, IAR1) == NONE
    armed(42, 0xA0, gic=gic)
    assert gic.lines() == IRQ
    assert gic.get(0, IAR1) == 42
    assert gic.get(0, RPR, SECURE) == 0xA0
    gic.set(0, EOIR1, 42)
    assert gic.get(0, RPR, SECURE) == 0xC0
    assert gic.get(0, IAR1) == NONE
    gic.set(0, EOIR1, 40)
    assert gic.get(0, IAR1) == 41


def test_binary_point__subpriorities_do_not_preempt() -> None:
    """4.8.3: Non-secure BPR1 = 5 has group priority [7:5], so 0xC0 and 0xD8 are one level; 0xA0 is another."""
    gic = Gic.booted()
    gic.set(0, BPR1, 5)
    armed(40, 0xD8, gic=gic)
    assert gic.get(0, IAR1) == 40
    assert gic.get(0, RPR, SECURE) == 0xC0
    armed(41, 0xC0, gic=gic)
    assert gic.lines() == 0
    armed(42, 0xA0, gic=gic)
    assert gic.get(0, IAR1) == 42


def test_binary_point__minima() -> None:
    """12.2 ICC_BPR: with 5 priority bits BPR0 and Secure BPR1 are 2 at least, Non-secure BPR1 3."""
    gic = Gic.booted()
    gic.set(0, BPR1, 0)
    gic.set(0, BPR1, 1, SECURE)
    gic.set(0, BPR0, 0, EL3)
    assert [gic.get(0, BPR1), gic.get(0, BPR1, SECURE), gic.get(0, BPR0, EL3)] == [3, 2, 2]
    gic.set(0, BPR1, 7)
    assert gic.get(0, BPR1) == 7
    assert gic.get(0, BPR1, SECURE) == 2


def test_cbpr__bpr0_serves_the_non_secure_group_too() -> None:
    """12.2: with CBPR_EL1NS, Non-secure reads give BPR0 + 1 saturated at 7 and writes are ignored."""
    gic = Gic.booted()
    gic.set(0, CTLR_EL3, 1 << 1, EL3)
    gic.set(0, BPR0, 4, EL3)
    assert gic.get(0, BPR1) == 5
    gic.set(0, BPR1, 3)
    assert gic.get(0, BPR1) == 5
    gic.set(0, BPR0, 7, EL3)
    assert gic.get(0, BPR1) == 7
    gic.set(0, BPR0, 4, EL3)
    armed(40, 0xD8, gic=gic)
    gic.get(0, IAR1)
    assert gic.get(0, RPR, SECURE) == 0xC0


def test_eoimode__drop_and_deactivate_are_two_steps() -> None:
    """4.1.2 and 12.2 ICC_DIR_EL1; ICC_CTLR_EL1.EOImode."""
    gic = armed()
    gic.set(0, CTLR, 2)
    assert gic.get(0, CTLR) & 3 == 2
    gic.get(0, IAR1)
    gic.set(0, EOIR1, 40)
    assert gic.get(0, RPR) == 0xFF
    assert gic.bit(ISACTIVER, 40) == 1
    gic.set(0, DIR, 40)
    assert gic.bit(ISACTIVER, 40) == 0


def test_dir__without_eoimode_has_no_effect() -> None:
    gic = armed()
    gic.get(0, IAR1)
    gic.set(0, DIR, 40)
    assert gic.bit(ISACTIVER, 40) == 1


def test_ctlr__fixed_fields() -> None:
    """12.2 ICC_CTLR_EL1: PRIbits 4, IDbits 0, SEIS 0, A3V, RSS; CBPR and PMHE are EL3's with DS = 0."""
    gic = Gic.booted()
    gic.set(0, CTLR, 0xFFFF_FFFF)
    assert gic.get(0, CTLR) == 1 << 18 | 1 << 15 | 4 << 8 | 2


@pytest.mark.parametrize(("group", "normal", "secure"), [(0, FIQ, FIQ), (1, FIQ, IRQ), (2, IRQ, FIQ)])
def test_signals__by_group_and_security_state(group: int, normal: int, secure: int) -> None:
    """4.6.2, table "Interrupt grouping: signal by current Security state", with EL3 in AArch64."""
    gic = armed(40, 0x80, group=group)
    assert gic.lines() == normal
    assert gic.lines(secure=True) == secure


def test_groups__each_state_acknowledges_its_own() -> None:
    gic = armed(40, 0x20, group=1)
    armed(41, 0x90, gic=gic)
    assert gic.get(0, IAR1) == NONE  # the highest pending one is not the Normal world's
    assert gic.get(0, HPPIR1) == NONE
    assert gic.get(0, HPPIR1, SECURE) == 40
    assert gic.get(0, IAR1, SECURE) == 40
    assert gic.get(0, RPR, SECURE) == 0x20
    assert gic.get(0, RPR) == 0  # 4.8.6: a Secure running priority reads 0
    gic.set(0, EOIR1, 40)
    assert gic.get(0, RPR, SECURE) == 0x20  # not the Normal world's to drop
    gic.set(0, EOIR1, 40, SECURE)
    assert gic.get(0, IAR1) == 41


def test_group0__is_el3s_and_special_intids_tell_it_of_the_others() -> None:
    """12.2 ICC_IAR0_EL1 at EL3: 1020 for Secure Group 1, 1021 for Non-secure Group 1, neither acknowledged."""
    gic = armed(40, 0xA0)
    assert gic.get(0, IAR0, EL3) == 1021
    armed(41, 0x80, group=1, gic=gic)
    assert gic.get(0, IAR0, EL3) == 1020
    armed(42, 0x08, group=0, gic=gic)
    assert gic.get(0, HPPIR0, EL3) == 42
    assert gic.get(0, IAR0, EL3) == 42
    assert [gic.bit(ISACTIVER, n) for n in (40, 41, 42)] == [0, 0, 1]
    gic.set(0, EOIR0, 42, EL3)
    assert gic.bit(ISACTIVER, 42) == 0


@pytest.mark.parametrize("encoding", [IAR0, HPPIR0, BPR0, AP0R0, IGRPEN0])
@pytest.mark.parametrize("state", [NS, SECURE])
def test_group0_registers__below_el3_are_el3s_with_scr_fiq(encoding: int, state: int) -> None:
    """12.2 and the like: a trap to EL3 when SCR_EL3.FIQ = 1."""
    with pytest.raises(Undefined):
        Gic.booted().get(0, encoding, state)


@pytest.mark.parametrize("encoding", [EOIR1, DIR, SGI1R, ASGI1R, SGI0R])
def test_write_only_registers__cannot_be_read(encoding: int) -> None:
    with pytest.raises(Undefined):
        Gic.booted().get(0, encoding)


@pytest.mark.parametrize("encoding", [IAR1, HPPIR1, RPR])
def test_read_only_registers__cannot_be_written(encoding: int) -> None:
    with pytest.raises(Undefined):
        Gic.booted().set(0, encoding, 0)


def test_sre__is_fixed_but_for_the_enables() -> None:
    """12.2 ICC_SRE: SRE, DFB and DIB are RAO/WI; Enable is the higher level's choice."""
    gic = Gic.booted()
    gic.set(0, SRE, 0)
    gic.set(0, SRE_EL2, 0)
    assert [gic.get(0, SRE), gic.get(0, SRE_EL2), gic.get(0, SRE_EL3, EL3)] == [7, 7, 15]
    gic.set(0, SRE_EL3, 7, EL3)
    with pytest.raises(Undefined):
        gic.get(0, SRE_EL2)


def test_igrpen1_el3__holds_both_enables() -> None:
    gic = Gic.booted()
    assert gic.get(0, IGRPEN1_EL3, EL3) == 3
    gic.set(0, IGRPEN1_EL3, 2, EL3)
    assert gic.get(0, IGRPEN1) == 0
    assert gic.get(0, IGRPEN1, SECURE) == 1


def test_active_priorities__of_secure_levels_are_not_the_normal_worlds() -> None:
    """4.8.2: software of the Normal world cannot raise the running priority above Secure interrupts."""
    gic = Gic.booted()
    gic.set(0, AP1R0, 0xFFFF_FFFF)
    assert gic.get(0, AP1R0) == 0xFFFF_0000
    armed(40, 0x40, group=1, gic=gic)
    assert gic.lines() == FIQ


def test_active_priorities__one_bit_per_level() -> None:
    gic = armed(40, 0x90)
    gic.get(0, IAR1)
    assert gic.get(0, AP1R0) == 1 << (0x90 >> 3)
    assert gic.get(0, AP1R0, SECURE) == 0


def sgi(intid: int, targets: int, *, aff: int = 0, rs: int = 0, irm: int = 0) -> int:
    """ICC_SGI1R_EL1 (12.2); aff: Aff3.Aff2.Aff1 as 24 bits."""
    aff1, aff2, aff3 = aff & 0xFF, aff >> 8 & 0xFF, aff >> 16
    return aff3 << 48 | rs << 44 | irm << 40 | aff2 << 32 | intid << 24 | aff1 << 16 | targets


def pended(gic: Gic, intid: int) -> list[int]:
    return [gic.bit(ISPENDR, intid, pe) for pe in gic.pes]


def test_sgi1r__target_list_affinity_and_range_selector() -> None:
    gic = Gic.booted(mpidr=(0x000, 0x001, 0x010, 0x101, 0x1_0000_0001, 0x10001))
    for value, expected in (
        (sgi(1, 0b11), [1, 1, 0, 0, 0, 0]),
        (sgi(2, 0b1, rs=1), [0, 0, 1, 0, 0, 0]),
        (sgi(3, 0b10, aff=1), [0, 0, 0, 1, 0, 0]),
        (sgi(4, 0b10, aff=0x1_0000), [0, 0, 0, 0, 1, 0]),
        (sgi(5, 0b10, aff=0x100), [0, 0, 0, 0, 0, 1]),
        (sgi(6, 0b11, irm=1), [1, 0, 1, 1, 1, 1]),
        (sgi(7, 0), [0, 0, 0, 0, 0, 0]),
    ):
        gic.set(1, SGI1R, value)
        assert pended(gic, value >> 24 & 15) == expected


@pytest.mark.parametrize(
    ("register", "state", "group", "nsacr", "sent"),
    [
        (SGI1R, NS, 2, 0, 1),
        (SGI1R, NS, 1, 3, 0),
        (SGI0R, NS, 0, 0, 0),
        (SGI0R, NS, 0, 1, 1),
        (SGI0R, NS, 2, 3, 0),
        (ASGI1R, NS, 1, 1, 0),
        (ASGI1R, NS, 1, 2, 1),
        (SGI1R, SECURE, 1, 0, 1),
        (SGI1R, SECURE, 0, 0, 1),
        (SGI1R, SECURE, 2, 0, 0),
        (ASGI1R, SECURE, 2, 0, 1),
        (SGI0R, SECURE, 0, 0, 1),
    ],
)
def test_sgi__is_forwarded_by_group_and_nsacr(register: int, state: int, group: int, nsacr: int, sent: int) -> None:
    """12.1, table "Use of control registers for SGI forwarding"."""
    gic = Gic.booted()
    gic.group(5, group, 1)
    gic.write(REDIST + gic.stride + SGI_BASE + NSACR, nsacr << 10, secure=True)
    gic.set(0, register, sgi(5, 0b10), state)
    assert pended(gic, 5) == [0, sent]


def test_spi__goes_to_the_pe_that_irouter_names() -> None:
    """12.9 GICD_IROUTER."""
    gic = armed(40)
    assert [gic.lines(pe) for pe in (0, 1)] == [IRQ, 0]
    gic.write(DIST + IROUTER + 40 * 8, 1, 8)
    assert [gic.lines(pe) for pe in (0, 1)] == [0, IRQ]
    gic.write(DIST + IROUTER + 40 * 8, 7, 8)
    assert [gic.lines(pe) for pe in (0, 1)] == [0, 0]


def test_spi__one_of_n_reaches_exactly_one() -> None:
    gic = armed(40)
    gic.write(DIST + IROUTER + 40 * 8, 1 << 31, 8)
    assert [gic.lines(pe) for pe in (0, 1)] == [IRQ, 0]
    gic.set(0, IGRPEN1, 0)
    assert [gic.lines(pe) for pe in (0, 1)] == [0, IRQ]
    assert gic.get(1, IAR1) == 40


def test_ppi__is_each_pes_own() -> None:
    gic = armed(27, pe=1)
    assert [gic.lines(pe) for pe in (0, 1)] == [0, IRQ]
    assert gic.get(0, IAR1) == NONE
    assert gic.get(1, IAR1) == 27


def test_power__the_cpu_interface_is_lost_and_the_redistributor_is_kept() -> None:
    gic = armed(20)
    gic.get(0, IAR1)
    gic.lib.gic_power(gic.gic, 0, False)
    assert gic.lines() == 0
    gic.lib.gic_power(gic.gic, 0, True)
    assert gic.get(0, RPR) == 0xFF
    assert gic.get(0, IGRPEN1) == 0
    assert (gic.bit(ISENABLER, 20), gic.bit(ISACTIVER, 20)) == (1, 1)
