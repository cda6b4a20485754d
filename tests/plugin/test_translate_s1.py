"""Stage 1 of EL1&0 and EL2, 4K granules (Arm ARM D8.2 to D8.5). Each test is one rule."""

from __future__ import annotations

import pytest

from tests.plugin._stage1 import (
    AF,
    AP_EL0,
    AP_RO,
    AP_TABLE0,
    AP_TABLE1,
    BLOCK_LEAF,
    CONTIGUOUS,
    DBM,
    DRAM,
    DS,
    EPD0,
    EPD1,
    HA,
    HD,
    HIGH,
    HPD0,
    HPD1,
    LEAF,
    LOW,
    NG,
    NS_TABLE,
    OUTPUT,
    PAGE,
    PXN,
    PXN_TABLE,
    SCTLR_I,
    SCTLR_M,
    TBI0,
    TBI1,
    TCR_39,
    UXN,
    UXN_TABLE,
    WXN,
    XN,
    el1,
    el2,
)
from tests.plugin._units import (
    FETCH,
    NO_UPDATE,
    NS,
    READ,
    REALM,
    SECURE,
    WRITE,
    Memory,
    R,
    Tables,
    Unit,
    W,
    X,
)

G, MB, KB = 1 << 30, 1 << 20, 1 << 10


def test_s1__page_maps_and_keeps_offset() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    out = s.unit.mapped(LOW + 0xABC)
    assert (out.pa, out.ipa, out.page, out.s1_level, out.s2_level, out.pas) == (
        OUTPUT + 0xABC,
        OUTPUT + 0xABC,
        4096,
        3,
        -2,
        NS,
    )


def test_s1__ttbr1_maps_upper_half() -> None:
    s = el1()
    s.high.set(HIGH, OUTPUT | LEAF)
    assert s.unit.mapped(HIGH + 8).pa == OUTPUT + 8


@pytest.mark.parametrize(("level", "size"), [(1, G), (2, 2 * MB)])
def test_s1__blocks_map_their_whole_size(level: int, size: int) -> None:
    s = el1()
    va = 0x12_4000_0000
    s.low.set(va, 0x8000_0000 | BLOCK_LEAF, level)
    out = s.unit.mapped(va + size - 16)
    assert (out.pa, out.page, out.s1_level) == (0x8000_0000 + size - 16, size, level)
    if level > 1:
        assert s.unit.fault(va + size).kind == "translation"


def test_s1__block_ignores_low_output_bits() -> None:
    s = el1()
    s.low.set(0, 0x8000_0000 | 0x1F_0000 | BLOCK_LEAF, 2)
    assert s.unit.mapped(0x12_3456).pa == 0x8012_3456


def test_s1__level0_block_is_reserved() -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, 0, 48)
    unit.mmu.sctlr_el1, unit.mmu.tcr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, 16 | 5 << 32, tables.base
    tables.set(0, BLOCK_LEAF, 0)
    assert unit.fault(0).fsc == 0x04


@pytest.mark.parametrize("level", [1, 2, 3])
def test_s1__invalid_entry_faults_at_its_level(level: int) -> None:
    s = el1()
    s.low.set(LOW, 0xFFFF_FFFC, level)
    fault = s.unit.fault(LOW)
    assert (fault.kind, fault.stage, fault.level, fault.fsc) == ("translation", 1, level, 0x04 + level)
    assert (fault.s1ptw, fault.on_walk) == (0, 0)


def test_s1__level3_block_encoding_is_reserved() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | AF | 1)
    assert s.unit.fault(LOW).fsc == 0x07


def test_s1__invalid_descriptor_is_never_cached() -> None:
    s = el1()
    assert s.unit.fault(LOW).fsc == 0x05
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.mapped(LOW).pa == OUTPUT


@pytest.mark.parametrize(
    ("tsz", "start"), [(16, 0), (24, 0), (25, 1), (33, 1), (34, 2), (39, 2), (42, 2), (43, 3), (48, 3)]
)
def test_s1__t0sz_gives_the_start_level(tsz: int, start: int) -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, start, 64 - tsz)
    unit.mmu.sctlr_el1, unit.mmu.tcr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, tsz | 5 << 32, tables.base
    top = (1 << (64 - tsz)) - 4096
    tables.set(top, OUTPUT | LEAF)
    assert unit.mapped(top + 4).pa == OUTPUT + 4
    assert unit.fault(top + 4096).fsc == 0x04


@pytest.mark.parametrize("tsz", [0, 15, 49, 63])
def test_s1__invalid_t0sz_is_a_level0_translation_fault(tsz: int) -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 & ~0x3F | tsz
    assert (s.unit.fault(0).kind, s.unit.fault(0).fsc) == ("translation", 0x04)


def test_s1__small_start_table_uses_baddr_bits_below_12() -> None:
    memory = Memory((DRAM, 1 << 20))
    memory.alloc(4096)
    unit, tables = Unit(memory), Tables(memory, 2, 25, root=DRAM + 0x180)
    unit.mmu.sctlr_el1, unit.mmu.tcr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, 39 | 5 << 32, DRAM + 0x180
    tables.set(0x1FF_F000, OUTPUT | LEAF)
    assert unit.mapped(0x1FF_F000).pa == OUTPUT


def test_s1__baddr_bits_below_the_table_size_are_ignored() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    s.unit.mmu.ttbr0_el1 = s.low.base | 0x7FE
    assert s.unit.mapped(LOW).pa == OUTPUT


def test_s1__asid_and_cnp_of_ttbr_are_ignored() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    s.unit.mmu.ttbr0_el1 = s.low.base | 0xBEEF << 48 | 1
    assert s.unit.mapped(LOW).pa == OUTPUT


@pytest.mark.parametrize(
    "va", [1 << 39, 1 << 54, 0x7F << 56, 0x00FF_FF00_0000_0000, 0xFFFF_FF00_0000_0000, 0x7FFF_FFC0_0000_0000]
)
def test_s1__non_canonical_address_is_a_level0_translation_fault(va: int) -> None:
    s = el1()
    s.low.set(va & (1 << 39) - 1, OUTPUT | LEAF)
    s.high.set(va & (1 << 39) - 1, OUTPUT | LEAF)
    fault = s.unit.fault(va)
    assert (fault.kind, fault.stage, fault.level, fault.fsc) == ("translation", 1, 0, 0x04)


@pytest.mark.parametrize("access", [READ, WRITE, FETCH])
def test_s1__tbi_ignores_the_top_byte_for_data_and_fetches(access: int) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    s.high.set(HIGH, OUTPUT | LEAF)
    low, high = LOW | 0x5A << 56, HIGH & ~(0xA5 << 56)
    assert s.unit.fault(low, access).fsc == s.unit.fault(high, access).fsc == 0x04
    s.unit.mmu.tcr_el1 = TCR_39 | TBI0
    assert s.unit.mapped(low, access).pa == OUTPUT
    assert s.unit.fault(high, access).fsc == 0x04
    s.unit.mmu.tcr_el1 = TCR_39 | TBI1
    assert s.unit.fault(low, access).fsc == 0x04
    assert s.unit.mapped(high, access).pa == OUTPUT


def test_s1__bit_55_picks_the_half_under_tbi() -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 | TBI0 | TBI1
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.mapped(LOW | 0xFF << 56).pa == OUTPUT
    assert s.unit.fault(LOW | 1 << 55).fsc == 0x04


@pytest.mark.parametrize(("bit", "low_ok", "high_ok"), [(EPD0, False, True), (EPD1, True, False)])
def test_s1__epd_forbids_walks_of_its_half(bit: int, low_ok: bool, high_ok: bool) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    s.high.set(HIGH, OUTPUT | LEAF)
    s.unit.mmu.tcr_el1 = TCR_39 | bit
    for va, ok in ((LOW, low_ok), (HIGH, high_ok)):
        if ok:
            assert s.unit.mapped(va).pa == OUTPUT
        else:
            assert s.unit.fault(va).fsc == 0x04


# --- permissions

EL1_RIGHTS = {0: R | W | X, AP_EL0: R | W, AP_RO: R | X, AP_RO | AP_EL0: R | X}
EL0_RIGHTS = {0: X, AP_EL0: R | W | X, AP_RO: X, AP_RO | AP_EL0: R | X}


@pytest.mark.parametrize("ap", EL1_RIGHTS)
def test_s1__ap_rights(ap: int) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | ap)
    assert s.unit.prot(LOW, el=1) == EL1_RIGHTS[ap]
    assert s.unit.prot(LOW, el=0) == EL0_RIGHTS[ap]


@pytest.mark.parametrize("access", [READ, WRITE])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_s1__permission_fault_reports_the_leaf_level(access: int, level: int) -> None:
    s = el1()
    s.low.set(LOW, 0x40_0000_0000 | (LEAF if level == 3 else BLOCK_LEAF), level)
    fault = s.unit.fault(LOW, access, el=0)
    assert (fault.kind, fault.stage, fault.level, fault.fsc) == ("permission", 1, level, 0x0C + level)


def test_s1__el0_writable_pages_are_never_executed_at_el1() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | AP_EL0)
    assert s.unit.fault(LOW, FETCH, el=1).fsc == 0x0F
    assert s.unit.mapped(LOW, FETCH, el=0).prot == R | W | X


def test_s1__pxn_and_uxn_forbid_execution_at_their_level() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | AP_RO | AP_EL0 | PXN)
    assert (s.unit.prot(LOW, el=1), s.unit.prot(LOW, el=0)) == (R, R | X)
    s.low.set(LOW, OUTPUT | LEAF | AP_RO | AP_EL0 | UXN)
    assert (s.unit.prot(LOW, el=1), s.unit.prot(LOW, el=0)) == (R | X, R)


def test_s1__wxn_makes_writable_pages_execute_never() -> None:
    s = el1()
    s.unit.mmu.sctlr_el1 |= WXN
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.prot(LOW, el=1) == R | W
    s.low.set(LOW, OUTPUT | LEAF | AP_EL0)
    assert s.unit.prot(LOW, el=0) == R | W
    s.low.set(LOW, OUTPUT | LEAF | AP_RO | AP_EL0)
    assert (s.unit.prot(LOW, el=1), s.unit.prot(LOW, el=0)) == (R | X, R | X)


def test_s1__wxn_leaves_el0_execution_of_what_only_el1_writes() -> None:
    s = el1()
    s.unit.mmu.sctlr_el1 |= WXN
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.prot(LOW, el=0) == X


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    ("bit", "el1_rights", "el0_rights"),
    [
        (0, R | W, R | W | X),
        (AP_TABLE1, R | X, R | X),
        (AP_TABLE0, R | W | X, X),
        (AP_TABLE1 | AP_TABLE0, R | X, X),
        (UXN_TABLE, R | W, R | W),
        (PXN_TABLE, R | W, R | W | X),
        (PXN_TABLE | AP_TABLE1, R, R | X),
    ],
)
def test_s1__table_attributes_limit_the_leaf(level: int, bit: int, el1_rights: int, el0_rights: int) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | AP_EL0)
    table = s.low.entry(LOW, level)
    s.memory.write64(table, s.memory.read64(table) | bit)
    assert (s.unit.prot(LOW, el=1), s.unit.prot(LOW, el=0)) == (el1_rights, el0_rights)


@pytest.mark.parametrize(("hpd", "va"), [(HPD0, LOW), (HPD1, HIGH)])
def test_s1__hpd_switches_table_attributes_off(hpd: int, va: int) -> None:
    s = el1()
    bits = AP_TABLE1 | AP_TABLE0 | UXN_TABLE | PXN_TABLE
    for tables, at in ((s.low, LOW), (s.high, HIGH)):
        tables.set(at, OUTPUT | LEAF | AP_EL0, table_bits=bits)
        assert s.unit.prot(at, el=1) == R
    s.unit.mmu.tcr_el1 = TCR_39 | hpd
    for at in (LOW, HIGH):
        assert s.unit.prot(at, el=1) == (R | W if at == va else R)


def test_s1__access_flag_clear_faults() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | PAGE)
    fault = s.unit.fault(LOW)
    assert (fault.kind, fault.level, fault.fsc) == ("access-flag", 3, 0x0B)


def test_s1__access_flag_fault_comes_before_permission_fault() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | PAGE | AP_RO)
    assert s.unit.fault(LOW, WRITE, el=0).fsc == 0x0B


def test_s1__address_size_fault_comes_before_access_flag_fault() -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 & ~(7 << 32)
    s.low.set(LOW, 0x1_0000_0000 | PAGE)
    assert s.unit.fault(LOW).fsc == 0x03


@pytest.mark.parametrize("ap", [AP_EL0, AP_EL0 | AP_RO])
def test_s1__pan_keeps_el1_data_off_el0_pages(ap: int) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | ap)
    s.unit.mmu.pan = 1
    assert s.unit.prot(LOW, el=1) & (R | W) == 0
    assert s.unit.prot(LOW, el=0) & R
    assert s.unit.fault(LOW, READ).fsc == 0x0F


def test_s1__pan_leaves_execution_alone() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | AP_EL0 | AP_RO)
    s.unit.mmu.pan = 1
    assert s.unit.mapped(LOW, FETCH).prot == X


def test_s1__pan_ignores_privileged_pages() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    s.unit.mmu.pan = 1
    assert s.unit.prot(LOW, el=1) == R | W | X


def test_s1__unprivileged_loads_have_el0_rights_whatever_pan_says() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.fault(LOW, READ, unpriv=True).fsc == 0x0F
    s.low.set(LOW, OUTPUT | LEAF | AP_EL0 | AP_RO)
    s.unit.mmu.pan = 1
    assert s.unit.mapped(LOW, READ, unpriv=True).prot == R | X
    assert s.unit.fault(LOW, WRITE, unpriv=True).fsc == 0x0F


# --- sizes, attributes, byte order


@pytest.mark.parametrize(("ips", "bits"), [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48)])
def test_s1__ips_limits_the_output_address(ips: int, bits: int) -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 & ~(7 << 32) | ips << 32
    s.low.set(LOW, ((1 << bits) - 4096) | LEAF)
    assert s.unit.mapped(LOW).pa == (1 << bits) - 4096
    if bits < 48:
        s.low.set(LOW, 1 << bits | LEAF)
        fault = s.unit.fault(LOW)
        assert (fault.kind, fault.level, fault.fsc) == ("address-size", 3, 0x03)


def test_s1__implemented_pa_size_limits_ips() -> None:
    s = el1()
    s.unit.mmu.pa_bits = 40
    s.low.set(LOW, 1 << 40 | LEAF)
    assert s.unit.fault(LOW).fsc == 0x03


@pytest.mark.parametrize("level", [1, 2])
def test_s1__table_address_beyond_ips_faults_at_its_level(level: int) -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 & ~(7 << 32)
    s.low.set(LOW, 1 << 32 | 3, level)
    assert s.unit.fault(LOW).fsc == level


def test_s1__ttbr_beyond_ips_is_a_level0_address_size_fault() -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 & ~(7 << 32)
    s.unit.mmu.ttbr0_el1 = 1 << 32
    fault = s.unit.fault(LOW)
    assert (fault.kind, fault.level, fault.fsc) == ("address-size", 0, 0x00)


def test_s1__table_without_ram_is_an_external_abort_on_walk() -> None:
    s = el1()
    s.low.set(LOW, 0x9000_0000 | 3, 2)
    fault = s.unit.fault(LOW)
    assert (fault.kind, fault.on_walk, fault.level, fault.fsc, fault.pa) == (
        "external",
        1,
        3,
        0x17,
        0x9000_0000 + (LOW >> 12 & 511) * 8,
    )


def test_s1__mair_attribute_shareability_and_ng_are_reported() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | 3 << 2 | 3 << 8 | NG)
    out = s.unit.mapped(LOW)
    assert (out.attr, out.sh, out.global_) == (0xFF, 3, 0)
    s.low.set(LOW, OUTPUT | LEAF | 1 << 2)
    out = s.unit.mapped(LOW)
    assert (out.attr, out.sh, out.global_) == (0x04, 0, 1)


def test_s1__contiguous_bit_changes_nothing() -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | CONTIGUOUS)
    out = s.unit.mapped(LOW + 4)
    assert (out.pa, out.page) == (OUTPUT + 4, 4096)
    assert s.unit.fault(LOW + 4096).kind == "translation"


def test_s1__big_endian_tables() -> None:
    s = el1(big=True)
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.mapped(LOW).pa == OUTPUT
    s.unit.mmu.sctlr_el1 = SCTLR_M
    assert s.unit.fault(LOW).fsc == 0x05


# --- MMU off


def test_s1__mmu_off_is_a_flat_device_map() -> None:
    s = el1()
    s.unit.mmu.sctlr_el1 = 0
    out = s.unit.mapped(0x1234_5678)
    assert (out.pa, out.attr, out.prot, out.s1_level, out.page) == (0x1234_5678, 0x00, R | W | X, -2, 4096)


def test_s1__mmu_off_fetch_attributes_follow_sctlr_i() -> None:
    s = el1()
    s.unit.mmu.sctlr_el1 = 0
    assert s.unit.mapped(0, FETCH).attr == 0x44
    s.unit.mmu.sctlr_el1 = SCTLR_I
    assert s.unit.mapped(0, FETCH).attr == 0xAA


@pytest.mark.parametrize("el", [0, 1, 2])
def test_s1__mmu_off_address_beyond_pa_size_is_a_level0_address_size_fault(el: int) -> None:
    s = el1()
    s.unit.mmu.sctlr_el1, s.unit.mmu.pa_bits = 0, 40
    assert s.unit.mapped((1 << 40) - 1, el=el).pa == (1 << 40) - 1
    for va in (1 << 40, 1 << 63):
        fault = s.unit.fault(va, el=el)
        assert (fault.kind, fault.stage, fault.level, fault.fsc) == ("address-size", 1, 0, 0x00)


def test_s1__mmu_off_still_ignores_the_top_byte_under_tbi() -> None:
    s = el1()
    s.unit.mmu.sctlr_el1, s.unit.mmu.tcr_el1 = 0, TBI0
    assert s.unit.mapped(0xAB << 56 | 0x1000).pa == 0x1000


@pytest.mark.parametrize(("bit", "attr"), [(1 << 12, 0xFF), (1 << 27, 0x00)])
def test_s1__hcr_dc_and_tge_switch_stage_1_of_el10_off(bit: int, attr: int) -> None:
    s = el1()
    s.unit.mmu.hcr_el2 = bit
    out = s.unit.mapped(0x7000)
    assert (out.pa, out.attr, out.s1_level) == (0x7000, attr, -2)


def test_s1__hcr_dc_leaves_el2_alone() -> None:
    unit, tables = el2()
    unit.mmu.hcr_el2 = 1 << 12
    tables.set(0x7000, OUTPUT | LEAF)
    assert unit.mapped(0x7000, el=2).pa == OUTPUT


# --- EL2


def test_s1_el2__page_maps_with_el2_registers() -> None:
    unit, tables = el2()
    unit.mmu.mair_el2 = 0xFF00
    tables.set(LOW, OUTPUT | LEAF | 1 << 2 | NG)
    out = unit.mapped(LOW, el=2)
    assert (out.pa, out.prot, out.attr, out.global_) == (OUTPUT, R | W | X, 0xFF, 1)


def test_s1_el2__ap1_and_pan_mean_nothing() -> None:
    unit, tables = el2()
    unit.mmu.pan = 1
    for ap1 in (0, AP_EL0):
        tables.set(LOW, OUTPUT | LEAF | ap1)
        assert unit.prot(LOW, el=2) == R | W | X


def test_s1_el2__xn_is_bit_54_and_bit_53_means_nothing() -> None:
    unit, tables = el2()
    tables.set(LOW, OUTPUT | LEAF | XN)
    assert unit.prot(LOW, el=2) == R | W
    tables.set(LOW, OUTPUT | LEAF | PXN)
    assert unit.prot(LOW, el=2) == R | W | X


def test_s1_el2__upper_half_does_not_exist() -> None:
    unit, tables = el2()
    tables.set(HIGH, OUTPUT | LEAF)
    assert unit.fault(HIGH, el=2).fsc == 0x04
    unit.mmu.tcr_el2 |= 1 << 20  # TBI
    assert unit.fault(HIGH, el=2).fsc == 0x04


def test_s1_el2__tbi_and_hpd() -> None:
    unit, tables = el2()
    tables.set(LOW, OUTPUT | LEAF, table_bits=AP_TABLE1 | UXN_TABLE)
    assert unit.prot(LOW, el=2) == R
    unit.mmu.tcr_el2 |= 1 << 20 | 1 << 24
    assert unit.prot(LOW | 0x77 << 56, el=2) == R | W | X


def test_s1_el2__wxn() -> None:
    unit, tables = el2()
    unit.mmu.sctlr_el2 |= WXN
    tables.set(LOW, OUTPUT | LEAF)
    assert unit.prot(LOW, el=2) == R | W


def test_s1_el2__ps_limits_the_output_address() -> None:
    unit, tables = el2()
    unit.mmu.tcr_el2 = 25 | 1 << 16
    tables.set(LOW, 1 << 36 | LEAF)
    assert unit.fault(LOW, el=2).fsc == 0x03
    unit.mmu.tcr_el2 = 25 | 2 << 16
    assert unit.mapped(LOW, el=2).pa == 1 << 36


def test_s1_el2__access_flag_clear_faults() -> None:
    unit, tables = el2()
    unit.mmu.hafdbs = 2
    tables.set(LOW, OUTPUT | PAGE)
    assert unit.fault(LOW, el=2).fsc == 0x0B


def test_s1_el2__52_bit_addresses_with_ds() -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, -1, 52)
    unit.mmu.pa_bits = 52
    unit.mmu.sctlr_el2, unit.mmu.ttbr0_el2 = SCTLR_M, tables.base
    unit.mmu.tcr_el2 = 12 | 6 << 16 | 1 << 32 | 2 << 12
    va = 0xF_FFFF_FFFF_F000
    tables.set(va, 0x3_0000_0000_0000 | 3 << 8 | LEAF)
    out = unit.mapped(va, el=2)
    assert (out.pa, out.sh) == (0xF_0000_0000_0000, 2)


@pytest.mark.parametrize("el", [1, 2])
def test_s1__ds_means_nothing_below_a_52_bit_pa(el: int) -> None:
    s = el1()
    s.low.set(LOW, OUTPUT | LEAF | 3 << 8)
    s.unit.mmu.tcr_el1 = TCR_39 | DS
    s.unit.mmu.sctlr_el2, s.unit.mmu.ttbr0_el2 = SCTLR_M, s.low.base
    s.unit.mmu.tcr_el2 = 25 | 5 << 16 | 1 << 32
    out = s.unit.mapped(LOW, el=el)
    assert (out.pa, out.sh) == (OUTPUT, 3)


@pytest.mark.parametrize("el", [1, 2])
def test_s1__a_52_bit_pa_without_ds_leaves_48_bit_descriptors(el: int) -> None:
    s = el1()
    s.unit.mmu.pa_bits = 52
    s.low.set(LOW, OUTPUT | 0x5000 | 3 << 8 | LEAF)
    s.unit.mmu.tcr_el1 = TCR_39 & ~(7 << 32) | 6 << 32
    s.unit.mmu.sctlr_el2, s.unit.mmu.ttbr0_el2, s.unit.mmu.tcr_el2 = SCTLR_M, s.low.base, 25 | 6 << 16
    out = s.unit.mapped(LOW, el=el)
    assert (out.pa, out.sh) == (OUTPUT | 0x5000, 3)


def test_s1__64k_descriptor_bits_15_12_mean_nothing_below_a_52_bit_pa() -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, 2, 42, 16)
    unit.mmu.sctlr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, tables.base
    unit.mmu.tcr_el1 = 22 | 1 << 14 | 5 << 32
    tables.set(0, OUTPUT | 0x5000 | LEAF)
    assert unit.mapped(0x4321).pa == OUTPUT + 0x4321


# --- security states


def test_s1__secure_state_ns_bit_picks_the_output_pas() -> None:
    s = el1()
    s.unit.mmu.pas = SECURE
    s.low.set(LOW, OUTPUT | LEAF)
    assert s.unit.mapped(LOW).pas == SECURE
    s.low.set(LOW, OUTPUT | LEAF | 1 << 5)
    assert s.unit.mapped(LOW).pas == NS


def test_s1__secure_state_ns_table_makes_everything_below_non_secure() -> None:
    s = el1()
    s.unit.mmu.pas = SECURE
    s.low.set(LOW, OUTPUT | LEAF, table_bits=NS_TABLE)
    assert s.unit.mapped(LOW).pas == NS


def test_s1__realm_el10_has_no_ns_bit() -> None:
    s = el1()
    s.unit.mmu.pas, s.unit.mmu.realm = REALM, 1
    s.low.set(LOW, OUTPUT | LEAF | 1 << 5, table_bits=NS_TABLE)
    assert s.unit.mapped(LOW).pas == REALM


def test_s1_el2__realm_el2_ns_bit_picks_the_output_pas() -> None:
    unit, tables = el2()
    unit.mmu.pas, unit.mmu.realm = REALM, 1
    tables.set(LOW, OUTPUT | LEAF | 1 << 5)
    assert unit.mapped(LOW, el=2).pas == NS


# --- other granules


@pytest.mark.parametrize(
    ("page_bits", "tg0", "tg1", "tsz", "start"),
    [(14, 2, 1, 17, 1), (14, 2, 1, 28, 2), (16, 1, 3, 22, 2), (16, 1, 3, 16, 1), (14, 2, 1, 16, 0)],
)
def test_s1__granule_sizes(page_bits: int, tg0: int, tg1: int, tsz: int, start: int) -> None:
    memory = Memory((DRAM, 4 << 20))
    unit = Unit(memory)
    low = Tables(memory, start, 64 - tsz, page_bits)
    unit.mmu.sctlr_el1, unit.mmu.ttbr0_el1, unit.mmu.ttbr1_el1 = SCTLR_M, low.base, low.base
    unit.mmu.tcr_el1 = tsz | tsz << 16 | tg0 << 14 | tg1 << 30 | 5 << 32
    low.set(0x10_0000, OUTPUT | LEAF)
    low.set(1 << low.shift(2), 1 << low.shift(2) | BLOCK_LEAF, 2)
    high = -1 << (64 - tsz) & (1 << 64) - 1
    for half in (0, high):
        out = unit.mapped(half + 0x10_0123)
        assert (out.pa, out.page) == (OUTPUT + 0x123, 1 << page_bits)
        out = unit.mapped(half + (1 << low.shift(2)) + 0x1_2345)
        assert (out.pa, out.page) == ((1 << low.shift(2)) + 0x1_2345, 1 << low.shift(2))


def test_s1__52_bit_addresses_with_ds() -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, -1, 52)
    unit.mmu.pa_bits = 52
    unit.mmu.sctlr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, tables.base
    unit.mmu.tcr_el1 = 12 | 6 << 32 | DS | 3 << 12
    va = 0xF_FFFF_FFFF_F000
    tables.set(va, 0x3_0000_0000_0000 | 3 << 8 | LEAF)
    out = unit.mapped(va + 1)
    assert (out.pa, out.sh) == (0xF_0000_0000_0001, 3)
    fault = unit.fault(0)
    assert (fault.level, fault.fsc) == (-1, 0x2B)


def test_s1__64k_52_bit_output_address() -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, 2, 42, 16)
    unit.mmu.pa_bits = 52
    unit.mmu.sctlr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, tables.base
    unit.mmu.tcr_el1 = 22 | 1 << 14 | 6 << 32
    tables.set(0, 0xABCD_0000_0000 | 0x5 << 12 | LEAF)
    assert unit.mapped(0x4321).pa == 0x5_ABCD_0000_4321


def test_s1__52_bit_table_address_is_split_over_ttbr() -> None:
    memory = Memory((0x5_0000_4000_0000, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, 3, 25, 16)
    unit.mmu.pa_bits = 52
    unit.mmu.sctlr_el1, unit.mmu.tcr_el1 = SCTLR_M, 39 | 1 << 14 | 6 << 32
    tables.set(0x1FF_0000, OUTPUT | LEAF)
    unit.mmu.ttbr0_el1 = tables.root & 0xFFFF_FFFF_FFFF | tables.root >> 48 << 2
    assert unit.mapped(0x1FF_0000).pa == OUTPUT


@pytest.mark.parametrize(
    ("page_bits", "tg0", "ds", "pa_bits", "allowed"),
    [
        (14, 2, DS, 52, True),
        (14, 2, 0, 52, False),
        (14, 2, DS, 48, False),
        (16, 1, 0, 52, True),
        (16, 1, 0, 48, False),
    ],
)
def test_s1__level1_blocks_of_16k_and_64k_need_52_bit_addresses(
    page_bits: int, tg0: int, ds: int, pa_bits: int, allowed: bool
) -> None:
    memory = Memory((DRAM, 1 << 20))
    unit, tables = Unit(memory), Tables(memory, 1, 47, page_bits)
    unit.mmu.pa_bits = pa_bits
    unit.mmu.sctlr_el1, unit.mmu.ttbr0_el1 = SCTLR_M, tables.base
    unit.mmu.tcr_el1 = 17 | tg0 << 14 | ds | (6 if pa_bits == 52 else 5) << 32
    tables.set(0, BLOCK_LEAF, 1)
    if allowed:
        assert unit.mapped(0x1234_5678).page == 1 << tables.shift(1)
    else:
        assert unit.fault(0x1234_5678).fsc == 0x05


# --- hardware management of the access flag and dirty state


def test_hafdbs__off_unless_the_machine_has_it() -> None:
    s = el1()
    s.unit.mmu.tcr_el1 = TCR_39 | HA | HD
    place = s.low.set(LOW, OUTPUT | PAGE | DBM | AP_RO)
    assert s.unit.fault(LOW).fsc == 0x0B
    assert s.memory.read64(place) == OUTPUT | PAGE | DBM | AP_RO


def test_hafdbs__ha_sets_the_access_flag() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA, 1
    place = s.low.set(LOW, OUTPUT | PAGE)
    assert s.unit.mapped(LOW).prot == R | W | X
    assert s.memory.read64(place) == OUTPUT | LEAF


def test_hafdbs__access_flag_stays_clear_when_the_access_is_refused() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA, 1
    place = s.low.set(LOW, OUTPUT | PAGE)
    assert s.unit.fault(LOW, el=0).fsc == 0x0F
    assert s.memory.read64(place) == OUTPUT | PAGE


def test_hafdbs__clean_page_withholds_w_until_written() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA | HD, 2
    place = s.low.set(LOW, OUTPUT | LEAF | DBM | AP_RO)
    assert s.unit.mapped(LOW, READ).prot == R | X
    assert s.memory.read64(place) & AP_RO
    assert s.unit.mapped(LOW, WRITE).prot == R | W | X
    assert s.memory.read64(place) == OUTPUT | LEAF | DBM
    assert s.unit.mapped(LOW, READ).prot == R | W | X


def test_hafdbs__dirty_state_needs_the_machine_and_tcr_hd() -> None:
    for tcr, hafdbs in ((HA | HD, 1), (HA, 2), (HD, 2)):
        s = el1()
        s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | tcr, hafdbs
        s.low.set(LOW, OUTPUT | LEAF | DBM | AP_RO)
        assert s.unit.fault(LOW, WRITE).fsc == 0x0F


def test_hafdbs__clean_pages_count_as_writable_for_wxn_and_pxn() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA | HD, 2
    s.low.set(LOW, OUTPUT | LEAF | DBM | AP_RO | AP_EL0)
    assert s.unit.fault(LOW, FETCH, el=1).fsc == 0x0F
    s.unit.mmu.sctlr_el1 |= WXN
    assert s.unit.fault(LOW, FETCH, el=0).fsc == 0x0F


def test_hafdbs__read_only_table_attribute_beats_dbm() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA | HD, 2
    place = s.low.set(LOW, OUTPUT | LEAF | DBM | AP_RO, table_bits=AP_TABLE1)
    assert s.unit.fault(LOW, WRITE).fsc == 0x0F
    assert s.memory.read64(place) & AP_RO


def test_hafdbs__no_update_flag_reads_without_writing() -> None:
    s = el1()
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA | HD, 2
    place = s.low.set(LOW, OUTPUT | PAGE | DBM | AP_RO)
    before = s.memory.read64(place)
    assert s.unit.mapped(LOW, WRITE, flags=NO_UPDATE).pa == OUTPUT
    assert s.memory.read64(place) == before


def test_hafdbs__big_endian_descriptors_are_updated_in_their_order() -> None:
    s = el1(big=True)
    s.unit.mmu.tcr_el1, s.unit.mmu.hafdbs = TCR_39 | HA, 1
    place = s.low.set(LOW, OUTPUT | PAGE)
    assert s.unit.mapped(LOW).pa == OUTPUT
    assert s.memory.read64(place).to_bytes(8, "little") == (OUTPUT | LEAF).to_bytes(8, "big")


def test_hafdbs__el2() -> None:
    unit, tables = el2()
    unit.mmu.tcr_el2 |= 1 << 21 | 1 << 22
    unit.mmu.hafdbs = 2
    place = tables.set(LOW, OUTPUT | PAGE | DBM | AP_RO)
    assert unit.mapped(LOW, WRITE, el=2).prot == R | W | X
    assert unit.memory.read64(place) == OUTPUT | LEAF | DBM


def test_hafdbs__el2_access_flag_alone() -> None:
    unit, tables = el2()
    unit.mmu.tcr_el2 |= 1 << 21
    unit.mmu.hafdbs = 1
    place = tables.set(LOW, OUTPUT | PAGE)
    assert unit.mapped(LOW, el=2).pa == OUTPUT
    assert unit.memory.read64(place) == OUTPUT | LEAF
