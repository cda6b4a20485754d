"""Stage 2 of EL1&0 (Arm ARM D8.2, D8.4, D8.5) and its Realm rules (rmm-abi.md §11.1, §11.2, §13.4)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.plugin._units import (
    FETCH,
    NO_GPC,
    NO_UPDATE,
    NS,
    READ,
    REALM,
    S1_ONLY,
    WRITE,
    Fault,
    Mapped,
    Memory,
    R,
    Tables,
    Unit,
    W,
    X,
)

DRAM = 0x4000_0000
OUTPUT = 0x5000_0000
IPA = 0x12_3456_7000
DELTA = 0x40_0000_0000  # tables of stage 1 sit at PA + DELTA in the IPA space

PAGE, BLOCK, AF = 3, 1, 1 << 10
S2R, S2W, S2RW = 1 << 6, 1 << 7, 3 << 6
WB = 0xF << 2
DBM, XN0, XN1, NS_BIT = 1 << 51, 1 << 53, 1 << 54, 1 << 55
LEAF = PAGE | AF | S2RW | WB
BLOCK_LEAF = BLOCK | AF | S2RW | WB

SL0 = {2: 0, 1: 1, 0: 2, 3: 3}
HA, HD, DS, SL2 = 1 << 21, 1 << 22, 1 << 32, 1 << 33


def vtcr(ia_bits: int, start: int, extra: int = 0) -> int:
    return (64 - ia_bits) | (0 if start < 0 else SL0[start]) << 6 | 5 << 16 | extra


@dataclass
class S2:
    memory: Memory
    unit: Unit
    tables: Tables


def s2(ia_bits: int = 40, start: int = 1, *, realm: bool = False, extra: int = 0, pa_bits: int = 48) -> S2:
    """Stage 1 off, stage 2 on."""
    memory = Memory((DRAM, 1 << 20))
    unit = Unit(memory)
    tables = Tables(memory, start, ia_bits)
    unit.mmu.s2_enabled, unit.mmu.pa_bits = 1, pa_bits
    unit.mmu.vttbr, unit.mmu.vtcr = tables.base, vtcr(ia_bits, start, extra)
    if realm:
        unit.mmu.realm, unit.mmu.pas = 1, REALM
    return S2(memory, unit, tables)


@dataclass
class Both:
    memory: Memory
    unit: Unit
    low: Tables
    tables: Tables


def both(*, realm: bool = False) -> Both:
    """Stage 1 (39 bits, tables at IPA = PA + DELTA) over stage 2 that maps the whole RAM there."""
    s = s2(realm=realm)
    low = Tables(s.memory, 1, 39, delta=DELTA)
    mmu = s.unit.mmu
    mmu.sctlr_el1, mmu.tcr_el1, mmu.ttbr0_el1 = 1, 25 | 5 << 32, low.base
    for offset in range(0, 1 << 20, 4096):
        s.tables.set(DRAM + DELTA + offset, (DRAM + offset) | LEAF)
    return Both(s.memory, s.unit, low, s.tables)


VA = 0x7654_3000


def test_s2__page_maps_ipa_to_pa() -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | LEAF)
    out = s.unit.mapped(IPA + 0x123)
    assert (out.pa, out.ipa, out.page, out.s2_level, out.s2_memattr) == (
        OUTPUT + 0x123,
        IPA + 0x123,
        4096,
        3,
        0xF,
    )


def test_s2__el2_is_not_translated() -> None:
    s = s2()
    assert s.unit.mapped(IPA, el=2).pa == IPA


@pytest.mark.parametrize(("level", "size"), [(1, 1 << 30), (2, 2 << 20)])
def test_s2__blocks(level: int, size: int) -> None:
    s = s2()
    s.tables.set(size * 3, 0x8000_0000 | BLOCK_LEAF, level)
    out = s.unit.mapped(size * 4 - 8)
    assert (out.pa, out.page, out.s2_level) == (0x8000_0000 + size - 8, size, level)


@pytest.mark.parametrize(
    ("ia_bits", "start"),
    # rmm-abi.md §11.2: 32..34 at level 2, 32..43 at level 1, 40..48 at level 0; level 3 for small spaces
    [
        (32, 2),
        (33, 2),
        (34, 2),
        (32, 1),
        (39, 1),
        (40, 1),
        (41, 1),
        (42, 1),
        (43, 1),
        (40, 0),
        (48, 0),
        (16, 3),
    ],
)
def test_s2__start_levels_and_concatenated_tables(ia_bits: int, start: int) -> None:
    s = s2(ia_bits, start)
    last = (1 << ia_bits) - 4096
    s.tables.set(last, OUTPUT | LEAF)
    assert s.unit.mapped(last + 8).pa == OUTPUT + 8
    fault = s.unit.stage2(last + 4096)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.stage, fault.level, fault.ipa) == ("translation", 2, 0, last + 4096)


@pytest.mark.parametrize(("ia_bits", "start"), [(35, 2), (44, 1), (39, 0), (30, 1)])
def test_s2__t0sz_inconsistent_with_sl0_is_a_level0_translation_fault(ia_bits: int, start: int) -> None:
    s = s2()
    s.unit.mmu.vtcr = vtcr(ia_bits, start)
    fault = s.unit.fault(0)
    assert (fault.kind, fault.stage, fault.fsc) == ("translation", 2, 0x04)


def test_s2__level0_start_needs_a_44_bit_pa() -> None:
    s = s2(40, 0, pa_bits=42)
    s.tables.set(0, OUTPUT | LEAF)
    assert s.unit.fault(0).fsc == 0x04
    s.unit.mmu.pa_bits = 44
    assert s.unit.mapped(0).pa == OUTPUT


def test_s2__level_minus_1_start_with_ds() -> None:
    s = s2(52, -1, extra=DS | SL2, pa_bits=52)
    s.unit.mmu.vtcr |= 7 << 16
    ipa = (1 << 52) - 4096
    s.unit.mmu.sctlr_el1 = 0
    s.tables.set(ipa, OUTPUT | 1 << 9 | LEAF)
    assert s.unit.mapped(ipa).pa == OUTPUT | 2 << 50
    fault = s.unit.fault(0)
    assert (fault.level, fault.fsc) == (-1, 0x2B)


def test_s2__ipa_beyond_t0sz_is_a_level0_translation_fault() -> None:
    s = s2(40, 1)
    fault = s.unit.fault(1 << 40)
    assert (fault.kind, fault.stage, fault.level, fault.fsc, fault.ipa) == (
        "translation",
        2,
        0,
        0x04,
        1 << 40,
    )


@pytest.mark.parametrize("level", [1, 2, 3])
def test_s2__invalid_entry_carries_level_and_ipa(level: int) -> None:
    s = s2()
    s.tables.set(IPA, 0x20, level)
    fault = s.unit.fault(IPA + 0xABC)
    assert (fault.kind, fault.stage, fault.fsc, fault.s1ptw, fault.ipa) == (
        "translation",
        2,
        0x04 + level,
        0,
        IPA + 0xABC,
    )


@pytest.mark.parametrize("desc", [0x04, 0x24, 0x44, 0x40, NS_BIT])
def test_s2__rmm_states_without_a_valid_bit_are_translation_faults(desc: int) -> None:
    s = s2(realm=True)
    s.tables.set(IPA, OUTPUT | desc)
    assert s.unit.fault(IPA).fsc == 0x07


@pytest.mark.parametrize(("s2ap", "rights"), [(0, X), (S2R, R | X), (S2W, W | X), (S2RW, R | W | X)])
def test_s2__s2ap_rights(s2ap: int, rights: int) -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | PAGE | AF | s2ap)
    assert s.unit.prot(IPA) == rights


@pytest.mark.parametrize(("xn", "at_el1", "at_el0"), [(0, X, X), (XN0, 0, X), (XN1, 0, 0), (XN1 | XN0, X, 0)])
def test_s2__xn_by_exception_level(xn: int, at_el1: int, at_el0: int) -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | LEAF | xn)
    assert s.unit.prot(IPA, el=1) == R | W | at_el1
    assert s.unit.prot(IPA, el=0) == R | W | at_el0


def test_s2__permission_fault_carries_level_and_ipa() -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | PAGE | AF | S2R)
    fault = s.unit.fault(IPA + 4, WRITE)
    assert (fault.kind, fault.stage, fault.fsc, fault.ipa) == ("permission", 2, 0x0F, IPA + 4)


def test_s2__access_flag_clear_faults() -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | PAGE | S2RW)
    fault = s.unit.fault(IPA)
    assert (fault.kind, fault.stage, fault.fsc) == ("access-flag", 2, 0x0B)


def test_s2__output_beyond_ps_is_an_address_size_fault() -> None:
    s = s2()
    s.unit.mmu.vtcr &= ~(7 << 16)
    s.tables.set(IPA, 1 << 32 | LEAF)
    fault = s.unit.fault(IPA)
    assert (fault.kind, fault.stage, fault.fsc) == ("address-size", 2, 0x03)
    s.unit.mmu.vttbr = 1 << 32
    assert s.unit.fault(IPA).fsc == 0x00


def test_s2__vmid_and_cnp_of_vttbr_are_ignored() -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | LEAF)
    s.unit.mmu.vttbr = s.tables.base | 0x1234 << 48 | 1
    assert s.unit.mapped(IPA).pa == OUTPUT


def test_s2__table_without_ram_is_an_external_abort_on_walk() -> None:
    s = s2()
    s.tables.set(IPA, 0x9000_0000 | 3, 1)
    fault = s.unit.fault(IPA)
    assert (fault.kind, fault.stage, fault.on_walk, fault.level, fault.fsc) == ("external", 2, 1, 2, 0x16)


def test_s2__big_endian_tables_follow_sctlr_el2() -> None:
    s = s2()
    s.tables.big = True
    s.tables.set(IPA, OUTPUT | LEAF)
    s.unit.mmu.sctlr_el2 = 1 << 25
    assert s.unit.mapped(IPA).pa == OUTPUT


@pytest.mark.parametrize(("tg0", "page_bits", "ia_bits", "start", "sl0"), [(2, 14, 40, 1, 2), (1, 16, 40, 2, 1)])
def test_s2__granule_sizes(tg0: int, page_bits: int, ia_bits: int, start: int, sl0: int) -> None:
    memory = Memory((DRAM, 4 << 20))
    unit, tables = Unit(memory), Tables(memory, start, ia_bits, page_bits)
    unit.mmu.s2_enabled, unit.mmu.vttbr = 1, tables.base
    unit.mmu.vtcr = (64 - ia_bits) | sl0 << 6 | tg0 << 14 | 5 << 16
    tables.set(0xFF_0000_0000, OUTPUT | LEAF)
    out = unit.mapped(0xFF_0000_0123)
    assert (out.pa, out.page) == (OUTPUT + 0x123, 1 << page_bits)


# --- both stages


def test_s1s2__walk_goes_through_stage_2() -> None:
    s = both()
    s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(IPA, OUTPUT | LEAF)
    out = s.unit.mapped(VA + 0x10)
    assert (out.pa, out.ipa, out.s1_level, out.s2_level) == (OUTPUT + 0x10, IPA + 0x10, 3, 3)


def test_s1s2__page_is_the_smaller_leaf() -> None:
    s = both()
    s.low.set(0, 0x12_0000_0000 | BLOCK | AF, 1)
    s.tables.set(0x12_0000_0000, 0x8000_0000 | BLOCK_LEAF, 2)
    assert s.unit.mapped(0x1000).page == 2 << 20


def test_s1s2__rights_are_those_of_both_stages() -> None:
    s = both()
    s.low.set(VA, IPA | PAGE | AF | 1 << 7)
    s.tables.set(IPA, OUTPUT | LEAF | XN1)
    assert s.unit.prot(VA) == R
    s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(IPA, OUTPUT | PAGE | AF | S2R)
    assert s.unit.prot(VA) == R | X


def test_s1s2__stage_1_fault_comes_first() -> None:
    s = both()
    s.low.set(VA, IPA | PAGE | AF)
    assert s.unit.fault(VA, el=0).stage == 1
    assert s.unit.fault(VA, el=1).stage == 2


@pytest.mark.parametrize("level", [1, 2, 3])
def test_s1ptw__fault_carries_the_table_ipa_and_stage_2_level(level: int) -> None:
    s = both()
    place = s.low.set(VA, IPA | PAGE | AF)
    place = s.low.entry(VA, level)
    s.tables.set(place + DELTA, 0)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.s1ptw, fault.fsc, fault.ipa) == (
        "translation",
        2,
        1,
        0x07,
        place + DELTA,
    )


def test_s1ptw__table_must_be_readable() -> None:
    s = both()
    place = s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(place + DELTA, place & ~4095 | PAGE | AF | S2W)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.s1ptw, fault.fsc) == ("permission", 2, 1, 0x0F)


def test_s1ptw__read_only_tables_are_fine() -> None:
    s = both()
    place = s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(place + DELTA, place & ~4095 | PAGE | AF | S2R | XN1)
    s.tables.set(IPA, OUTPUT | LEAF)
    assert s.unit.mapped(VA).pa == OUTPUT


@pytest.mark.parametrize(
    ("fwb", "memattr", "device"), [(0, 0x1, True), (0, 0x5, False), (1, 0x1, True), (1, 0x6, False)]
)
def test_s1ptw__hcr_ptw_refuses_tables_in_device_memory(fwb: int, memattr: int, device: bool) -> None:
    s = both()
    place = s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(place + DELTA, place & ~4095 | PAGE | AF | S2RW | memattr << 2)
    s.tables.set(IPA, OUTPUT | LEAF)
    assert s.unit.mapped(VA).pa == OUTPUT
    s.unit.mmu.hcr_el2 = 1 << 2 | fwb << 46
    if device:
        fault = s.unit.fault(VA)
        assert (fault.kind, fault.s1ptw, fault.fsc) == ("permission", 1, 0x0F)
    else:
        assert s.unit.mapped(VA).pa == OUTPUT


def test_s1s2__fault_of_the_access_itself_is_not_s1ptw() -> None:
    s = both()
    s.low.set(VA, IPA | PAGE | AF)
    fault = s.unit.fault(VA + 0x18)
    assert (fault.stage, fault.s1ptw, fault.ipa) == (2, 0, IPA + 0x18)


def test_s1s2__neighbouring_tables_do_not_mix() -> None:
    """The last-level table kept between the look-ups of one walk belongs to its own 2 MiB alone."""
    s = both()
    s.low.set(VA, (IPA + (2 << 20)) | PAGE | AF)
    s.tables.set(IPA, OUTPUT | LEAF)
    s.tables.set(IPA + (2 << 20), (OUTPUT + 0x1000) | LEAF)
    assert s.unit.mapped(VA).pa == OUTPUT + 0x1000


@pytest.mark.parametrize("step", [-(2 << 20), 2 << 20, 512 << 21, 1 << 30])
def test_s1s2__the_page_next_to_its_tables_is_walked_anew(step: int) -> None:
    s = both()
    ipa = (DRAM + DELTA + step) & ~0x1F_FFFF
    s.low.set(VA, ipa | PAGE | AF)
    fault = s.unit.fault(VA)
    assert (fault.stage, fault.s1ptw, fault.ipa) == (2, 0, ipa)
    s.tables.set(ipa, OUTPUT | LEAF)
    assert s.unit.mapped(VA).pa == OUTPUT


@pytest.mark.parametrize(
    ("tg0", "page_bits", "ia_bits", "sl0", "start", "needs"),
    [(2, 14, 40, 2, 1, 42), (1, 16, 43, 2, 1, 44), (0, 12, 44, 2, 0, 44)],
)
def test_s2__high_start_levels_need_a_large_pa(
    tg0: int, page_bits: int, ia_bits: int, sl0: int, start: int, needs: int
) -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, start, ia_bits, page_bits)
    unit.mmu.s2_enabled, unit.mmu.vttbr = 1, tables.base
    unit.mmu.vtcr = (64 - ia_bits) | sl0 << 6 | tg0 << 14 | 5 << 16
    tables.set(0, OUTPUT | LEAF)
    unit.mmu.pa_bits = needs
    assert unit.mapped(0).pa == OUTPUT
    unit.mmu.pa_bits = needs - 2
    assert unit.fault(0).fsc == 0x04


@pytest.mark.parametrize(("tg0", "sl0"), [(1, 3), (2, 3)])
def test_s2__reserved_start_levels_of_16k_and_64k(tg0: int, sl0: int) -> None:
    s = s2()
    s.unit.mmu.vtcr = 24 | sl0 << 6 | tg0 << 14 | 5 << 16
    assert s.unit.fault(0).fsc == 0x04


@pytest.mark.parametrize("sl0", [1, 2, 3])
def test_s2__sl2_goes_with_sl0_0_only(sl0: int) -> None:
    s = s2(52, -1, extra=DS | SL2 | sl0 << 6 | 7 << 16, pa_bits=52)
    assert s.unit.fault(0).fsc == 0x04


def test_s2__ds_and_sl2_mean_nothing_below_a_52_bit_pa() -> None:
    s = s2(extra=DS | SL2)
    s.tables.set(IPA, OUTPUT | LEAF | 3 << 8)
    assert s.unit.mapped(IPA).pa == OUTPUT


@pytest.mark.parametrize("level", [1, 2])
def test_s1s2__tables_may_lie_in_stage_2_blocks(level: int) -> None:
    s = s2()
    low = Tables(s.memory, 1, 39, delta=DELTA)
    mmu = s.unit.mmu
    mmu.sctlr_el1, mmu.tcr_el1, mmu.ttbr0_el1 = 1, 25 | 5 << 32, low.base
    s.tables.set(DRAM + DELTA, DRAM | BLOCK_LEAF, level)
    low.set(VA, (DRAM + DELTA + 0x8000) | PAGE | AF)
    out = s.unit.mapped(VA)
    assert (out.pa, out.s1_level, out.s2_level) == (DRAM + 0x8000, 3, level)


def test_s2__level0_block_is_reserved_without_ds() -> None:
    s = s2(40, 0)
    s.tables.set(0, BLOCK_LEAF, 0)
    assert s.unit.fault(0).fsc == 0x04


# --- AT


def test_at__stage_1_only_answers_the_ipa() -> None:
    s = both()
    s.low.set(VA, IPA | PAGE | AF)
    out = s.unit.mapped(VA + 4, flags=S1_ONLY | NO_UPDATE)
    assert (out.pa, out.ipa, out.s2_level) == (IPA + 4, IPA + 4, -2)


def test_at__stage_1_only_still_walks_through_stage_2() -> None:
    s = both()
    place = s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(place + DELTA, 0)
    assert s.unit.fault(VA, flags=S1_ONLY).s1ptw == 1


def test_stage2__alone_takes_an_ipa() -> None:
    s = both()
    s.tables.set(IPA, OUTPUT | PAGE | AF | S2R)
    out = s.unit.stage2(IPA + 4)
    assert isinstance(out, Mapped)
    assert (out.pa, out.ipa, out.prot) == (OUTPUT + 4, IPA + 4, R | X)
    fault = s.unit.stage2(IPA, WRITE)
    assert isinstance(fault, Fault)
    assert (fault.stage, fault.fsc, fault.ipa) == (2, 0x0F, IPA)


def test_stage2__off_is_identity() -> None:
    s = s2()
    s.unit.mmu.s2_enabled = 0
    out = s.unit.stage2(IPA, flags=NO_GPC)
    assert isinstance(out, Mapped)
    assert (out.pa, out.s2_level) == (IPA, -2)


# --- Realm state


def test_realm__ns_bit_picks_the_output_pas() -> None:
    s = s2(realm=True)
    s.tables.set(IPA, OUTPUT | LEAF)
    assert s.unit.mapped(IPA).pas == REALM
    s.tables.set(IPA, OUTPUT | LEAF | NS_BIT)
    assert s.unit.mapped(IPA).pas == NS


def test_realm__ns_bit_means_nothing_to_the_normal_world() -> None:
    s = s2()
    s.tables.set(IPA, OUTPUT | LEAF | NS_BIT)
    assert s.unit.mapped(IPA, FETCH).pas == NS
    s.tables.set(IPA, OUTPUT | LEAF)
    assert s.unit.mapped(IPA).pas == NS


@pytest.mark.parametrize("el", [0, 1])
def test_realm__fetch_from_ns_pas_is_a_stage_2_permission_fault(el: int) -> None:
    s = s2(realm=True)
    s.tables.set(IPA, OUTPUT | LEAF | NS_BIT)
    fault = s.unit.fault(IPA, FETCH, el=el)
    assert (fault.kind, fault.stage, fault.fsc, fault.ipa) == ("permission", 2, 0x0F, IPA)
    assert s.unit.prot(IPA, el=el) == R | W


@pytest.mark.parametrize("level", [1, 2, 3])
def test_realm__stage_1_table_in_ns_pas_is_a_stage_2_permission_fault(level: int) -> None:
    s = both(realm=True)
    s.low.set(VA, IPA | PAGE | AF)
    s.tables.set(IPA, OUTPUT | LEAF)
    assert s.unit.mapped(VA).pas == REALM
    place = s.low.entry(VA, level)
    s.tables.set(place + DELTA, place & ~4095 | LEAF | NS_BIT)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.s1ptw, fault.fsc, fault.ipa) == (
        "permission",
        2,
        1,
        0x0F,
        place + DELTA,
    )


# --- hardware management of the access flag and dirty state


def test_s2_hafdbs__ha_sets_the_access_flag() -> None:
    s = s2(extra=HA)
    s.unit.mmu.hafdbs = 1
    place = s.tables.set(IPA, OUTPUT | PAGE | S2RW)
    assert s.unit.mapped(IPA).pa == OUTPUT
    assert s.memory.read64(place) == OUTPUT | PAGE | S2RW | AF


@pytest.mark.parametrize(("extra", "hafdbs"), [(0, 2), (HD, 2), (HA, 0)])
def test_s2_hafdbs__needs_the_machine_and_vtcr_ha(extra: int, hafdbs: int) -> None:
    s = s2(extra=extra)
    s.unit.mmu.hafdbs = hafdbs
    s.tables.set(IPA, OUTPUT | PAGE | S2RW)
    assert s.unit.fault(IPA).fsc == 0x0B


def test_s2_hafdbs__dbm_sets_write_permission_on_the_first_write() -> None:
    s = s2(extra=HA | HD)
    s.unit.mmu.hafdbs = 2
    place = s.tables.set(IPA, OUTPUT | PAGE | AF | S2R | DBM)
    assert s.unit.mapped(IPA, READ).prot == R | X
    assert s.unit.mapped(IPA, WRITE).prot == R | W | X
    assert s.memory.read64(place) == OUTPUT | PAGE | AF | S2RW | DBM


def test_s2_hafdbs__no_update_flag_reads_without_writing() -> None:
    s = s2(extra=HA | HD)
    s.unit.mmu.hafdbs = 2
    place = s.tables.set(IPA, OUTPUT | PAGE | S2R | DBM)
    assert s.unit.mapped(IPA, WRITE, flags=NO_UPDATE).pa == OUTPUT
    assert s.memory.read64(place) == OUTPUT | PAGE | S2R | DBM


def test_s1s2_hafdbs__descriptor_update_needs_stage_2_write_permission() -> None:
    s = both()
    s.unit.mmu.hafdbs = 1
    s.unit.mmu.tcr_el1 |= 1 << 39
    place = s.low.set(VA, IPA | PAGE)
    s.tables.set(IPA, OUTPUT | LEAF)
    s.tables.set(place + DELTA, place & ~4095 | PAGE | AF | S2R)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.s1ptw, fault.fsc, fault.ipa) == (
        "permission",
        2,
        1,
        0x0F,
        place + DELTA,
    )
    assert s.memory.read64(place) == IPA | PAGE
    s.tables.set(place + DELTA, place & ~4095 | LEAF)
    assert s.unit.mapped(VA).pa == OUTPUT
    assert s.memory.read64(place) == IPA | PAGE | AF


def test_s1s2_hafdbs__writing_a_stage_1_descriptor_makes_its_page_dirty() -> None:
    s = both()
    s.unit.mmu.hafdbs = 2
    s.unit.mmu.vtcr |= HA | HD
    s.unit.mmu.tcr_el1 |= 1 << 39
    place = s.low.set(VA, IPA | PAGE)
    s.tables.set(IPA, OUTPUT | LEAF)
    leaf = s.tables.set(place + DELTA, place & ~4095 | PAGE | AF | S2R | DBM)
    assert s.unit.mapped(VA).pa == OUTPUT
    assert s.memory.read64(leaf) & S2W
