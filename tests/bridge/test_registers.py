# SPDX-License-Identifier: GPL-2.0-or-later
"""Fields of system registers and of the granule protection table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arch import registers, sysregs
from bridge.arch.gpt import GptBlock, GptContiguous, GptGranules, GptTable, level0_entry, level1_entry
from bridge.arch.registers import GpccrEl3, HcrEl2, SctlrEl1, SctlrEl2, TcrEl1, VtcrEl2
from bridge.bitfields import Register
from bridge.pas import GPI

WORDS = st.integers(0, (1 << 64) - 1)
LAYOUTS = sorted({layout.__name__: layout for name in registers.names() if (layout := registers.named(name))}.items())


@pytest.mark.parametrize("name", registers.names())
def test_named__is_a_system_register_of_the_table(name: str) -> None:
    assert registers.named(name.lower()) is registers.named(name)
    assert sysregs.find(name) is not None or name in ("PSTATE", "SPSR")


def test_named__unknown_is_none() -> None:
    assert registers.named("SCTLR_EL9") is None


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
@given(value=WORDS)
def test_fields_and_reserved_bits__make_up_the_whole_word(name: str, layout: type[Register], value: int) -> None:
    word = layout(value)
    rebuilt = sum(field.put(field.get(value)) for field in layout.fields.values())
    assert rebuilt | word.reserved() == value
    assert layout.of(**word.as_dict()).value == rebuilt
    assert str(word)


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_every_field__has_a_meaning(name: str, layout: type[Register]) -> None:
    if layout is registers.named("PSTATE"):
        return  # named by the letters that every description of the architecture uses
    unsaid = [field for field, declared in layout.fields.items() if not declared.doc and not field.startswith("Aff")]
    assert unsaid == []


def test_sctlr_el1__reset_value_of_linux_turns_the_mmu_on() -> None:
    value = SctlrEl1(0x30D0_0805)
    assert (value.M, value.A, value.C, value.SPAN, value.EOS) == (1, 0, 1, 1, 1)
    assert value.problems() == []


def test_sctlr_el2__res1_bits_are_declared() -> None:
    ones = SctlrEl2(0x30C5_0830)
    assert (ones.RES1_29_28, ones.RES1_23, ones.EIS, ones.RES1_18, ones.RES1_16, ones.RES1_5_4) == (3, 1, 1, 1, 1, 3)
    assert ones.M == 0
    assert ones.problems() == []


def test_tcr_el1__upper_and_lower_granules_are_encoded_differently() -> None:
    value = TcrEl1.of(TG0=0, TG1=2, T0SZ=16, T1SZ=16, IPS=5)
    assert "TG1=KB_4(0x2)" in str(value) and "TG0=KB_4(0x0)" in str(value)
    assert TcrEl1(0).problems() == ["TG1: 0x0 is reserved"]


def test_hcr_el2__bits_of_a_realm() -> None:
    value = HcrEl2(1 << 46 | 1 << 31 | 1 << 19 | 1)
    assert (value.FWB, value.RW, value.TSC, value.VM, value.E2H) == (1, 1, 1, 1, 0)


def test_vtcr_el2__start_level_and_size() -> None:
    value = VtcrEl2(0x8002_3558 | 1 << 6)
    assert (value.T0SZ, value.SL0, value.RES1_31) == (24, 1, 1)


def test_gpccr_el3__reserved_level_0_size_is_named() -> None:
    assert GpccrEl3.of(GPC=1, L0GPTSZ=6, PPS=5).problems() == []
    assert GpccrEl3.of(L0GPTSZ=5).problems() == ["L0GPTSZ: 0x5 is reserved"]


def test_gpt_level_0__block_and_table() -> None:
    block, table = level0_entry(0x91), level0_entry(0x4_0003)
    assert isinstance(block, GptBlock) and isinstance(table, GptTable)
    assert (block.GPI, block.problems()) == (GPI.NON_SECURE, [])
    assert (table.ADDRESS << 12, table.problems()) == (0x4_0000, [])


@pytest.mark.parametrize("entry", [0x71, 0x92, 0x1_0091])
def test_gpt_level_0__invalid_entries_have_problems(entry: int) -> None:
    assert level0_entry(entry).problems() != []


def test_gpt_level_1__contiguous_is_told_from_granules_by_its_low_bits() -> None:
    wide = level1_entry(0x1B1)
    assert isinstance(wide, GptContiguous)
    assert (wide.CONTIG, wide.GPI) == (1, GPI.REALM)
    granules = level1_entry(0xBBBB_BBBB_BBBB_BBB9)
    assert isinstance(granules, GptGranules)
    assert (granules.GPI0, granules.GPI1, granules.GPI15) == (GPI.NON_SECURE, GPI.REALM, GPI.REALM)


@given(nibbles=st.lists(st.sampled_from(list(GPI)), min_size=16, max_size=16))
def test_gpt_level_1__granule_i_is_at_bits_4i(nibbles: list[GPI]) -> None:
    entry = GptGranules(sum(int(gpi) << 4 * i for i, gpi in enumerate(nibbles)))
    assert [entry.as_dict()[f"GPI{i}"] for i in range(16)] == nibbles
    assert entry.problems() == []


def test_gpt_level_1__reserved_gpi_is_named() -> None:
    assert GptGranules(0x2 << 20).problems() == ["GPI5: 0x2 is reserved"]
