# SPDX-License-Identifier: GPL-2.0-or-later
"""The distributor's and the redistributors' frames (IHI 0069, 12.8 to 12.11)."""

from __future__ import annotations

import pytest

from tests.plugin._gic import (
    CTLR_D,
    DIST,
    ICACTIVER,
    ICENABLER,
    ICFGR,
    ICPENDR,
    IGROUPR,
    IPRIORITYR,
    IROUTER,
    ISACTIVER,
    ISENABLER,
    ISPENDR,
    NSACR,
    PIDR2,
    REDIST,
    SGI_BASE,
    STRIDE,
    TYPER_D,
    TYPER_R,
    WAKER,
    Gic,
)


def test_gicd_ctlr__are_is_fixed_and_each_state_has_its_view() -> None:
    """12.9 GICD_CTLR with DS = 0: ARE_S and ARE_NS are RAO/WI, DS and RWP read 0."""
    gic = Gic()
    assert gic.read(DIST + CTLR_D, secure=True) == 0x30
    gic.write(DIST + CTLR_D, 0xFFFF_FFFF, secure=True)
    assert gic.read(DIST + CTLR_D, secure=True) == 0xB7  # E1NWF and the three enables
    assert gic.read(DIST + CTLR_D) == 0x12  # ARE_NS and EnableGrp1A; EnableGrp1 is RES0
    gic.write(DIST + CTLR_D, 0)
    assert gic.read(DIST + CTLR_D) == 0x10
    assert gic.read(DIST + CTLR_D, secure=True) == 0xB5


@pytest.mark.parametrize(("spis", "lines"), [(0, 0), (1, 1), (32, 1), (33, 2), (988, 31)])
def test_gicd_typer__itlinesnumber(spis: int, lines: int) -> None:
    """12.9 GICD_TYPER: 32(N+1) INTIDs; two Security states; RSS; A3V; no LPIs."""
    value = Gic(spis=spis).read(DIST + TYPER_D)
    assert value & 0x1F == lines
    assert value >> 10 & 1 == 1
    assert value >> 16 & 3 == 0
    assert value >> 24 & 7 == 0b101


def test_pidr2__archrev_3() -> None:
    """12.9 GICD_PIDR2 and 12.11 GICR_PIDR2: ArchRev 0x3 is GICv3."""
    gic = Gic()
    assert [gic.read(base + PIDR2) >> 4 & 15 for base in (DIST, REDIST, REDIST + STRIDE)] == [3, 3, 3]


def test_gicr_typer__affinity_number_and_last() -> None:
    """12.11 GICR_TYPER: Affinity_Value [63:32], Processor_Number [23:8], Last [4]; PLPIS 0."""
    gic = Gic(mpidr=(0x8000_0000, 0x12_8103_0201))
    assert gic.read(REDIST + TYPER_R, 8) == 0
    second = REDIST + STRIDE + TYPER_R
    assert gic.read(second, 8) == 0x1203_0201_0000_0110
    assert (gic.read(second), gic.read(second + 4)) == (0x110, 0x1203_0201)


def test_stride__frames_beyond_the_two_are_reserved() -> None:
    gic = Gic(stride=0x4_0000)
    assert gic.read(REDIST + 0x2_0000 + PIDR2) == 0
    assert gic.read(REDIST + 0x4_0000 + PIDR2) >> 4 == 3


def test_waker__is_secure_and_children_follow() -> None:
    """12.11 GICR_WAKER: ProcessorSleep [1], ChildrenAsleep [2]; RAZ/WI to Non-secure accesses."""
    gic = Gic()
    assert gic.read(REDIST + WAKER, secure=True) == 6
    gic.write(REDIST + WAKER, 0)
    assert gic.read(REDIST + WAKER) == 0
    assert gic.read(REDIST + WAKER, secure=True) == 6
    gic.write(REDIST + WAKER, 0, secure=True)
    assert gic.read(REDIST + WAKER, secure=True) == 0


def test_waker__a_sleeping_redistributor_signals_nothing() -> None:
    gic = Gic.booted()
    gic.poke(ISENABLER, 20)
    gic.poke(ISPENDR, 20)
    assert gic.lines() == 1
    gic.write(REDIST + WAKER, 2, secure=True)
    assert gic.lines() == 0
    gic.write(REDIST + WAKER, 0, secure=True)
    assert gic.lines() == 1


def test_enable_and_pending__set_and_clear_by_ones() -> None:
    """12.9, the set and clear registers: writing 0 has no effect."""
    gic = Gic.booted()
    for setter, clearer in ((ISENABLER, ICENABLER), (ISPENDR, ICPENDR), (ISACTIVER, ICACTIVER)):
        for intid in (3, 40):
            pa_set, pa_clear = gic.bank(setter, intid), gic.bank(clearer, intid)
            bit = 1 << intid % 32
            before = gic.read(pa_set) & ~bit
            gic.write(pa_set, bit)
            assert gic.read(pa_set) == gic.read(pa_clear) == before | bit
            gic.write(pa_set, 0)
            gic.write(pa_clear, 0)
            assert gic.read(pa_set) == before | bit
            gic.write(pa_clear, bit)
            assert gic.read(pa_set) == before


def test_distributor__sgis_and_ppis_are_raz_wi_with_affinity_routing() -> None:
    """12.9: when affinity routing is enabled, GICD_ISENABLER0 is RES0 and GICR_ISENABLER0 has the function."""
    gic = Gic.booted()
    for register in (ISENABLER, ISPENDR, IGROUPR):
        gic.write(DIST + register, 0xFFFF_FFFF, secure=True)
        assert gic.read(DIST + register, secure=True) == 0
    gic.write(DIST + IPRIORITYR, 0xFFFF_FFFF, secure=True)
    assert gic.read(DIST + IPRIORITYR, secure=True) == 0


def test_spis__beyond_the_last_are_raz_wi() -> None:
    gic = Gic.booted(spis=40)
    gic.write(DIST + ISENABLER + 8, 0xFFFF_FFFF, secure=True)
    assert gic.read(DIST + ISENABLER + 8, secure=True) == 0xFF
    gic.write(DIST + ISENABLER + 12, 0xFFFF_FFFF, secure=True)
    assert gic.read(DIST + ISENABLER + 12, secure=True) == 0
    gic.write(DIST + IPRIORITYR + 72, 0xA0A0_A0A0, secure=True)
    assert gic.read(DIST + IPRIORITYR + 72, secure=True) == 0
    gic.write(DIST + IROUTER + 72 * 8, 1, 8, secure=True)
    assert gic.read(DIST + IROUTER + 72 * 8, 8, secure=True) == 0


def test_non_secure__sees_nothing_of_secure_interrupts() -> None:
    """4.6: registers of Secure interrupts are RAZ/WI to Non-secure accesses; IGROUPR altogether."""
    gic = Gic.booted()
    gic.group(40, 1)
    gic.group(41, 0)
    for register in (ISENABLER, ISPENDR, ISACTIVER):
        gic.write(DIST + register + 4, 0x0000_0300)
        assert gic.read(DIST + register + 4, secure=True) == 0
        gic.write(DIST + register + 4, 0x0000_0700, secure=True)
        assert gic.read(DIST + register + 4) == 0x400
    assert gic.read(DIST + IGROUPR + 4) == 0
    gic.priority(40, 0x40)
    gic.priority(40, 0x90, secure=False)
    assert gic.read(DIST + IPRIORITYR + 40, 1, secure=True) == 0x40
    assert gic.read(DIST + IPRIORITYR + 40, 4) & 0xFFFF == 0
    gic.write(DIST + ICFGR + 8, 0xFFFF_FFFF)
    assert gic.read(DIST + ICFGR + 8, secure=True) == 0xAAA0_AAAA
    gic.write(DIST + IROUTER + 40 * 8, 1, 8)
    assert gic.read(DIST + IROUTER + 40 * 8, 8, secure=True) == 0


def test_priority__non_secure_view_is_shifted() -> None:
    """4.8.6 Software accesses of interrupt priority: writes give 0b1:value>>1, reads priority<<1; 5 bits."""
    gic = Gic.booted()
    gic.priority(40, 0x50, secure=False)
    assert gic.read(DIST + IPRIORITYR + 40, 1, secure=True) == 0xA8
    assert gic.read(DIST + IPRIORITYR + 40, 1) == 0x50
    gic.priority(40, 0xFF)
    assert gic.read(DIST + IPRIORITYR + 40, 1, secure=True) == 0xF8
    assert gic.read(DIST + IPRIORITYR + 40, 1) == 0xF0
    gic.priority(40, 0x08)  # a Secure priority of a Non-secure interrupt
    assert gic.read(DIST + IPRIORITYR + 40, 1) == 0x10


def test_priority__words_hold_four() -> None:
    gic = Gic.booted()
    gic.write(DIST + IPRIORITYR + 44, 0xF8A0_4008, secure=True)
    assert [gic.read(DIST + IPRIORITYR + n, 1, secure=True) for n in range(44, 48)] == [0x08, 0x40, 0xA0, 0xF8]
    assert gic.read(DIST + IPRIORITYR + 44, secure=True) == 0xF8A0_4008


def test_nsacr__lets_the_normal_world_pend_clear_and_route() -> None:
    """12.9 GICD_NSACR: 1 set-pending, 2 and clear-pending, 3 and IROUTER; Secure only."""
    gic = Gic.booted()
    gic.group(40, 1)
    field = DIST + NSACR + 8  # INTIDs 32 to 47
    gic.write(field, 3 << 16)
    assert gic.read(field, secure=True) == 0
    seen = []
    for level in range(4):
        gic.write(field, level << 16, secure=True)
        assert gic.read(field) == 0
        gic.poke(ISPENDR, 40, secure=False)
        pended = gic.bit(ISPENDR, 40)
        gic.poke(ISPENDR, 40)
        gic.poke(ICPENDR, 40, secure=False)
        cleared = 1 - gic.bit(ISPENDR, 40)
        gic.write(DIST + IROUTER + 40 * 8, level, 8)
        routed = gic.read(DIST + IROUTER + 40 * 8, 8, secure=True)
        seen.append((pended, cleared, routed))
        gic.poke(ICPENDR, 40)
    assert seen == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 3)]


def test_icfgr__sgis_are_edge_whatever_is_written() -> None:
    """12.11 GICR_ICFGR0: SGIs are always edge-triggered."""
    gic = Gic.booted()
    frame = REDIST + SGI_BASE + ICFGR
    gic.write(frame, 0, secure=True)
    assert gic.read(frame, secure=True) == 0xAAAA_AAAA
    gic.write(frame + 4, 0xFFFF_FFFF, secure=True)
    assert gic.read(frame + 4, secure=True) == 0xAAAA_AAAA


def test_irouter__doubleword_and_halves() -> None:
    """12.9 GICD_IROUTER<n>: Aff3 [39:32], Interrupt_Routing_Mode [31], Aff2..0; 64-bit, or 32-bit halves."""
    gic = Gic.booted()
    pa = DIST + IROUTER + 50 * 8
    gic.write(pa, 0xFFFF_FFFF_FFFF_FFFF, 8)
    assert gic.read(pa, 8) == 0xFF_80FF_FFFF
    gic.write(pa, 0x0000_0102)
    gic.write(pa + 4, 0x3)
    assert gic.read(pa, 8) == 0x3_0000_0102
    assert (gic.read(pa), gic.read(pa + 4)) == (0x102, 3)


@pytest.mark.parametrize("size", [1, 2, 8])
def test_other_access_sizes__are_raz_wi(size: int) -> None:
    """12.1: word registers take words; a byte access is for IPRIORITYR alone."""
    gic = Gic.booted()
    gic.write(DIST + ISENABLER + 4, 0xFF, size, secure=True)
    assert gic.read(DIST + ISENABLER + 4, secure=True) == 0
    gic.write(DIST + ISENABLER + 4, 0xFF, secure=True)
    assert gic.read(DIST + ISENABLER + 4, size, secure=True) == 0


def test_every_offset__answers_in_both_views_and_all_sizes() -> None:
    """No access leaves the model's arrays, whatever a guest addresses (build with CCA_SANITIZE for the proof)."""
    gic = Gic.booted(spis=37)
    for base, length in ((DIST, 0x1_0000), (REDIST, 0x2_0000)):
        for size in (1, 2, 4, 8):
            for offset in range(0, length, size if size > 2 else 16):
                for secure in (False, True):
                    gic.write(base + offset, 0xFFFF_FFFF_FFFF_FFFF, size, secure=secure)
                    assert gic.read(base + offset, size, secure=secure) < 1 << 8 * size


@pytest.mark.parametrize(
    "options",
    [
        {"mpidr": ()},
        {"mpidr": tuple(range(9))},
        {"mpidr": (1, 0x8000_0001)},
        {"spis": 989},
        {"list_registers": 0},
        {"list_registers": 17},
        {"stride": 0x1_0000},
        {"stride": 0x2_8000},
    ],
)
def test_configuration__that_cannot_be_is_refused(options: dict[str, int]) -> None:
    with pytest.raises((ValueError, IndexError)):
        Gic(**options)  # type: ignore[arg-type]
