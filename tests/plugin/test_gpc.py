"""Granule protection check by the real GPT (rmm-abi.md §13.6, §13.8; Arm ARM D9)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.plugin._units import (
    FETCH,
    GPI_ANY,
    GPI_NONE,
    NO_GPC,
    NS,
    READ,
    REALM,
    ROOT_PAS,
    S1_ONLY,
    SECURE,
    WRITE,
    Gpt,
    Memory,
    Tables,
    Unit,
)

DRAM = 0x4000_0000
TARGET = DRAM + 0x6_5000
PASES = [SECURE, NS, ROOT_PAS, REALM]


@dataclass
class Protected:
    memory: Memory
    unit: Unit
    gpt: Gpt


def protected(*, default: int = NS, pps: int = 32, l0: int = 30, pgs: int = 12, ram: int = 1 << 20) -> Protected:
    memory = Memory((DRAM, ram))
    return Protected(memory, Unit(memory), Gpt(memory, default=default, pps=pps, l0=l0, pgs=pgs))


@pytest.mark.parametrize("pas", PASES)
@pytest.mark.parametrize("gpi", [GPI_NONE, *PASES, GPI_ANY])
def test_gpc__access_passes_when_gpi_is_any_or_its_own_pas(gpi: int, pas: int) -> None:
    p = protected()
    p.gpt.set(TARGET, gpi)
    seen, fault = p.unit.gpc(TARGET + 0xFFF, pas)
    assert seen == gpi
    if gpi in (pas, GPI_ANY):
        assert fault is None
    else:
        assert fault is not None
        assert (fault.kind, fault.fsc, fault.pa, fault.gpc_level) == ("gpf", 0x28, TARGET + 0xFFF, 1)


@pytest.mark.parametrize("gpi", [0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0xC, 0xD, 0xE])
def test_gpc__reserved_gpi_is_a_walk_fault(gpi: int) -> None:
    p = protected()
    p.gpt.set(TARGET, gpi)  # granule 5 of its entry, so that GPI 1 is no contiguous descriptor
    _, fault = p.unit.gpc(TARGET, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 1)


def test_gpc__one_granule_is_one_gpi() -> None:
    p = protected()
    p.gpt.set(TARGET, REALM)
    assert p.unit.gpc(TARGET - 1, NS)[1] is None
    assert p.unit.gpc(TARGET, NS)[1] is not None
    assert p.unit.gpc(TARGET + 0x1000, NS)[1] is None


@pytest.mark.parametrize("pgs", [12, 14, 16])
def test_gpc__granule_size(pgs: int) -> None:
    p = protected(pgs=pgs)
    at = DRAM + (5 << pgs)
    p.gpt.set(at, REALM)
    assert p.unit.gpc(at, REALM) == (REALM, None)
    assert p.unit.gpc(at + (1 << pgs) - 1, REALM)[0] == REALM
    assert p.unit.gpc(at - 1, NS) == (NS, None)
    assert p.unit.gpc(at + (1 << pgs), NS) == (NS, None)


@pytest.mark.parametrize(("l0", "pps"), [(30, 32), (30, 36), (34, 36), (34, 32), (36, 40), (39, 42)])
def test_gpc__level0_region_sizes(l0: int, pps: int) -> None:
    p = protected(l0=l0, pps=pps, pgs=16, ram=8 << 20)
    p.gpt.set(TARGET & ~0xFFFF, REALM)
    assert p.unit.gpc(TARGET, REALM) == (REALM, None)
    assert p.unit.gpc(DRAM, NS) == (NS, None)
    if pps > l0:
        p.memory.write64(p.gpt.level0((1 << pps) - 1), SECURE << 4 | 1)
        assert p.unit.gpc((1 << pps) - 1, SECURE) == (SECURE, None)


def test_gpc__level0_block() -> None:
    p = protected()
    p.memory.write64(p.gpt.level0(0x8000_0000), SECURE << 4 | 1)
    assert p.unit.gpc(0xBFFF_FFFF, SECURE) == (SECURE, None)
    _, fault = p.unit.gpc(0x8000_0000, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpf", 0)


@pytest.mark.parametrize("entry", [0x0, 0x2, 0xF4, NS << 4 | 1 | 1 << 8, 3 | 1 << 4, 3 | 1 << 52, 3 | 1 << 63])
def test_gpc__invalid_level0_entry_is_a_walk_fault(entry: int) -> None:
    p = protected()
    p.memory.write64(p.gpt.level0(TARGET), entry)
    _, fault = p.unit.gpc(TARGET, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 0)


@pytest.mark.parametrize("contig", [1, 2, 3])
def test_gpc__contiguous_level1_descriptor(contig: int) -> None:
    p = protected()
    p.memory.write64(p.gpt.level1(TARGET), contig << 8 | REALM << 4 | 1)
    assert p.unit.gpc(TARGET, REALM) == (REALM, None)
    assert p.unit.gpc(TARGET & ~0xFFFF, NS)[1] is not None


@pytest.mark.parametrize("entry", [REALM << 4 | 1, 1 << 8 | REALM << 4 | 1 | 1 << 10, 1 << 8 | 0x2 << 4 | 1])
def test_gpc__malformed_contiguous_descriptor_is_a_walk_fault(entry: int) -> None:
    p = protected()
    p.memory.write64(p.gpt.level1(TARGET), entry)
    _, fault = p.unit.gpc(TARGET, REALM)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 1)


def test_gpc__beyond_pps_only_ns_passes() -> None:
    p = protected()
    assert p.unit.gpc(1 << 32, NS) == (NS, None)
    _, fault = p.unit.gpc(1 << 32, REALM)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 0)


def test_gpc__disabled_passes_everything() -> None:
    p = protected(default=GPI_NONE)
    p.memory.mem.gpc.enabled = 0
    assert p.unit.gpc(TARGET, NS)[1] is None


@pytest.mark.parametrize(("field", "value"), [("pps_bits", 33), ("l0_bits", 31), ("pgs_bits", 13), ("l0_bits", 255)])
def test_gpc__invalid_configuration_is_a_level0_walk_fault(field: str, value: int) -> None:
    p = protected()
    setattr(p.memory.mem.gpc, field, value)
    _, fault = p.unit.gpc(TARGET, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 0)


@pytest.mark.parametrize("level", [0, 1])
def test_gpc__table_without_ram_is_a_walk_fault(level: int) -> None:
    p = protected()
    if level:
        p.memory.write64(p.gpt.level0(TARGET), 0x9000_0000 | 3)
    else:
        p.memory.mem.gpc.base = 0x9000_0000
    _, fault = p.unit.gpc(TARGET, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", level)


def test_gpc__level1_table_backed_in_part_is_walked_as_far_as_it_goes() -> None:
    p = protected()
    table = DRAM + 0xE_0000  # 128 KiB, of which the RAM holds the first half
    p.memory.write64(p.gpt.level0(TARGET), table | 3)
    p.memory.fill(table, b"\x99" * 0x1_0000)
    p.memory.mem.regions[0].size = 0xF_0000
    assert p.unit.gpc(DRAM, NS) == (NS, None)
    _, fault = p.unit.gpc(0x7FFF_F000, NS)
    assert fault is not None
    assert (fault.kind, fault.gpc_level) == ("gpc-walk", 1)


# --- inside a translation

PAGE, AF, S2RW = 3, 1 << 10, 3 << 6
VA = 0x12_3456_7000
IPA = 0x7654_3000
DELTA = 0x40_0000_0000


@dataclass
class Stages:
    memory: Memory
    unit: Unit
    gpt: Gpt
    low: Tables
    s2: Tables


def stages(*, s2: bool, pas: int = NS) -> Stages:
    """Stage 1 maps VA to IPA, stage 2 IPA to TARGET; with stage 2 off, VA to TARGET."""
    p = protected(default=pas)
    s2_tables = Tables(p.memory, 1, 40)
    low = Tables(p.memory, 1, 39, delta=DELTA if s2 else 0)
    mmu = p.unit.mmu
    mmu.sctlr_el1, mmu.tcr_el1, mmu.ttbr0_el1 = 1, 25 | 5 << 32, low.base
    mmu.pas, mmu.realm = pas, pas == REALM
    if s2:
        mmu.s2_enabled, mmu.vttbr, mmu.vtcr = 1, s2_tables.base, 24 | 1 << 6 | 5 << 16
        for offset in range(0, 1 << 20, 4096):
            s2_tables.set(DRAM + DELTA + offset, (DRAM + offset) | PAGE | AF | S2RW)
        s2_tables.set(IPA, TARGET | PAGE | AF | S2RW)
    low.set(VA, (IPA if s2 else TARGET) | PAGE | AF)
    return Stages(p.memory, p.unit, p.gpt, low, s2_tables)


@pytest.mark.parametrize("access", [READ, WRITE, FETCH])
@pytest.mark.parametrize("s2", [False, True])
def test_gpf__on_the_access_is_fsc_0x28(access: int, s2: bool) -> None:
    s = stages(s2=s2)
    assert s.unit.mapped(VA + 8, access).pa == TARGET + 8
    s.gpt.set(TARGET, REALM)
    fault = s.unit.fault(VA + 8, access)
    assert (fault.kind, fault.fsc, fault.on_walk, fault.s1ptw, fault.pa) == ("gpf", 0x28, 0, 0, TARGET + 8)
    assert fault.ipa == (IPA if s2 else TARGET) + 8


def test_gpf__with_the_mmu_off() -> None:
    s = stages(s2=False)
    s.unit.mmu.sctlr_el1 = 0
    s.gpt.set(TARGET, REALM)
    for el in (0, 1, 2):
        assert s.unit.fault(TARGET, el=el).fsc == 0x28


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("s2", [False, True])
def test_gpf__on_stage1_walk_reports_level(level: int, s2: bool) -> None:
    s = stages(s2=s2)
    place = s.low.entry(VA, level)
    s.gpt.set(place, REALM)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.level, fault.fsc, fault.on_walk, fault.s1ptw, fault.pa) == (
        "gpf",
        1,
        level,
        0x24 + level,
        1,
        0,
        place,
    )


@pytest.mark.parametrize("level", [1, 2, 3])
def test_gpf__on_stage2_walk_reports_level(level: int) -> None:
    s = stages(s2=True)
    place = s.s2.entry(IPA, level)
    shared = s.s2.entry(DRAM + DELTA, level) & ~4095 == place & ~4095
    s.gpt.set(place, REALM)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.fsc, fault.on_walk) == ("gpf", 2, 0x24 + level, 1)
    assert fault.s1ptw == shared
    if not shared:
        assert (fault.pa, fault.ipa) == (place, IPA)


def test_gpf__in_stage_2_of_a_stage_1_walk_is_s1ptw() -> None:
    s = stages(s2=True)
    table_ipa = s.low.entry(VA, 1) + DELTA
    place = s.s2.entry(table_ipa, 3)
    s.gpt.set(place, REALM)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.stage, fault.s1ptw, fault.fsc, fault.pa, fault.ipa) == (
        "gpf",
        2,
        1,
        0x27,
        place,
        table_ipa,
    )


def test_gpf__on_a_level_minus_1_walk_is_0x23() -> None:
    p = protected()
    tables = Tables(p.memory, -1, 52)
    tables.set(0, TARGET | PAGE | AF)
    mmu = p.unit.mmu
    mmu.pa_bits, mmu.sctlr_el1, mmu.ttbr0_el1, mmu.tcr_el1 = 52, 1, tables.base, 12 | 6 << 32 | 1 << 59
    p.gpt.set(tables.root, REALM)
    assert p.unit.fault(0).fsc == 0x23


def test_gpf__comes_after_permission_faults() -> None:
    s = stages(s2=True)
    s.gpt.set(TARGET, REALM)
    assert s.unit.fault(VA, el=0).kind == "permission"
    s.s2.set(IPA, TARGET | PAGE | AF | 1 << 6)
    assert (s.unit.fault(VA, WRITE).kind, s.unit.fault(VA, READ).kind) == ("permission", "gpf")


def test_gpf__realm_access_to_ns_granule_and_back() -> None:
    s = stages(s2=True, pas=REALM)
    assert s.unit.mapped(VA).pas == REALM
    s.gpt.set(TARGET, NS)
    assert s.unit.fault(VA).fsc == 0x28
    s.s2.set(IPA, TARGET | PAGE | AF | S2RW | 1 << 55)
    assert s.unit.mapped(VA).pas == NS
    s.gpt.set(TARGET, REALM)
    assert s.unit.fault(VA).fsc == 0x28


def test_gpf__no_descriptor_is_updated_in_a_refused_granule() -> None:
    s = stages(s2=False)
    s.unit.mmu.hafdbs = 1
    s.unit.mmu.tcr_el1 |= 1 << 39
    place = s.low.set(VA, TARGET | PAGE)
    s.gpt.set(place, REALM)
    assert s.unit.fault(VA).fsc == 0x27
    assert s.memory.read64(place) == TARGET | PAGE


@pytest.mark.parametrize("region", [0, 2, 3])
def test_gpf__each_level0_region_has_its_own_tables(region: int) -> None:
    """The level 1 table kept between the checks of one walk belongs to its own region alone."""
    s = stages(s2=False)
    target = region << 30 | TARGET & 0x3FFF_F000
    s.low.set(VA, target | PAGE | AF)
    s.memory.write64(s.gpt.level0(target), REALM << 4 | 1)
    fault = s.unit.fault(VA)
    assert (fault.fsc, fault.pa, fault.gpc_level) == (0x28, target, 0)
    s.memory.write64(s.gpt.level0(target), NS << 4 | 1)
    assert s.unit.mapped(VA).pa == target


def test_gpf__secure_tables_below_ns_table_are_fetched_from_ns_pas() -> None:
    s = stages(s2=False, pas=SECURE)
    assert s.unit.mapped(VA).pas == SECURE
    s.gpt.set(s.low.entry(VA, 2), NS)
    assert s.unit.fault(VA).fsc == 0x26
    first = s.low.entry(VA, 1)
    s.memory.write64(first, s.memory.read64(first) | 1 << 63)
    assert s.unit.fault(VA).fsc == 0x27
    s.gpt.set(s.low.entry(VA, 3), NS)
    s.gpt.set(TARGET, NS)
    assert s.unit.mapped(VA).pas == NS


def test_gpc_walk__in_a_translation_is_told_apart() -> None:
    s = stages(s2=False)
    s.memory.write64(s.gpt.level0(TARGET), 0)
    fault = s.unit.fault(VA)
    assert (fault.kind, fault.on_walk, fault.gpc_level, fault.fsc) == ("gpc-walk", 1, 0, 0x25)


def test_at__stage_1_only_checks_the_walk_and_not_the_output() -> None:
    s = stages(s2=False)
    s.gpt.set(TARGET, REALM)
    assert s.unit.mapped(VA, flags=S1_ONLY).pa == TARGET
    place = s.low.entry(VA, 3)
    s.gpt.set(place, REALM)
    assert s.unit.fault(VA, flags=S1_ONLY).fsc == 0x27


def test_at__no_gpc_flag_looks_through() -> None:
    s = stages(s2=True)
    s.gpt.set(TARGET, REALM)
    s.gpt.set(s.low.entry(VA, 3), ROOT_PAS)
    s.gpt.set(s.s2.entry(IPA, 3), GPI_NONE)
    assert s.unit.mapped(VA, flags=NO_GPC).pa == TARGET
