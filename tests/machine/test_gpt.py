# SPDX-License-Identifier: GPL-2.0-or-later
"""The granule protection table against rmm-abi.md §13.5 to §13.7, read back with a walk of its own."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.pas import GPI, PAS
from machine.gpt import EL3_BAD_ADDR, EL3_BAD_PAS, EL3_OK, GranuleProtectionTable, bytes_needed

ROOT = 0x0400_0000
RANGES: list[tuple[int, int, int]] = [
    (ROOT, 4 << 20, GPI.ROOT),
    (0x0580_0000, 512 << 10, GPI.REALM),
    (0x0600_0000, 1 << 20, GPI.SECURE),
    (0x0900_0000, 4096, GPI.NON_SECURE),
    (0x8000_0000, 512 << 20, GPI.NON_SECURE),
]


def table(ranges: list[tuple[int, int, int]] = RANGES, size: int = 4 << 20) -> tuple[GranuleProtectionTable, bytearray]:
    memory = bytearray(b"\xa5" * size)
    return GranuleProtectionTable(memory, ROOT, ranges), memory


def word(memory: bytes | bytearray, pa: int) -> int:
    return int(struct.unpack_from("<Q", memory, pa - ROOT)[0])


def walk(memory: bytes | bytearray, gpt: GranuleProtectionTable, pa: int) -> int:
    """§13.6: L0GPTSZ 1G, PGS 4K."""
    l0 = word(memory, gpt.l0_base + 8 * (pa >> 30))
    if l0 & 0xF == 1:
        return l0 >> 4 & 0xF
    assert l0 & 0xF == 3
    l1_base = l0 & 0x000F_FFFF_FFFF_F000
    assert l1_base % (128 << 10) == 0, "a level 1 table is aligned to its size"
    l1 = word(memory, l1_base + 8 * ((pa & 0x3FFF_FFFF) >> 16))
    assert l1 & 0xF != 1, "no contiguous descriptor"
    return l1 >> 4 * (pa >> 12 & 0xF) & 0xF


@pytest.mark.parametrize(
    ("pa", "gpi"),
    [
        (ROOT, GPI.ROOT),
        (ROOT + (4 << 20) - 1, GPI.ROOT),
        (ROOT + (4 << 20), GPI.NO_ACCESS),
        (0x0580_0000, GPI.REALM),
        (0x0587_F000, GPI.REALM),
        (0x0588_0000, GPI.NO_ACCESS),
        (0x0900_0FFF, GPI.NON_SECURE),
        (0x0900_1000, GPI.NO_ACCESS),
        (0x8000_0000, GPI.NON_SECURE),
        (0x9FFF_FFFF, GPI.NON_SECURE),
        (0xA000_0000, GPI.NO_ACCESS),
        (0x4000_0000, GPI.NO_ACCESS),
        (0xFF_FFFF_F000, GPI.NO_ACCESS),
    ],
)
def test_build__gpi_of_every_region(pa: int, gpi: GPI) -> None:
    gpt, memory = table()
    assert gpt.get(pa) is gpi
    assert walk(memory, gpt, pa) == gpi


def test_build__level_0_is_aligned_and_covers_pps() -> None:
    gpt, memory = table()
    assert gpt.l0_base % (8 << 10) == 0
    for region in range(1 << 10):
        entry = word(memory, gpt.l0_base + 8 * region)
        assert entry == 1 if region not in (0, 2) else entry & 0xF == 3


def test_build__rest_of_the_root_region_is_untouched() -> None:
    gpt, memory = table()
    assert gpt.end - ROOT == bytes_needed(ROOT, RANGES, 40, 30)
    assert set(memory[gpt.end - ROOT :]) == {0xA5}


def test_bytes_needed__is_enough_and_not_too_much() -> None:
    needed = bytes_needed(ROOT, RANGES, 40, 30)
    table(size=needed)
    with pytest.raises(ValueError, match="needs"):
        table(size=needed - 1)


@pytest.mark.parametrize("l0_bits", [30, 34, 36])
def test_build__other_level_0_sizes(l0_bits: int) -> None:
    ranges = [(0x1_0000_0000, 8 << 20, int(GPI.NON_SECURE)), (ROOT, 4096, int(GPI.ROOT))]
    memory = bytearray(bytes_needed(ROOT, ranges, 36, l0_bits))
    gpt = GranuleProtectionTable(memory, ROOT, ranges, pps_bits=36, l0_bits=l0_bits)
    assert gpt.get(0x1_0000_0000) is GPI.NON_SECURE and gpt.get(0x1_0080_0000) is GPI.NO_ACCESS
    assert list(gpt.ranges()) == [
        (ROOT, ROOT + 4096, GPI.ROOT),
        (0x1_0000_0000, 0x1_0080_0000, GPI.NON_SECURE),
    ]


def test_build__beyond_pps() -> None:
    with pytest.raises(ValueError, match="beyond"):
        table([(1 << 40, 4096, 9)])


def test_build__what_is_all_open_is_a_block() -> None:
    """§13.6: an L0 block of GPI ANY needs no table, and its granules cannot be transitioned."""
    everything = [(0, 1 << 40, int(GPI.ANY)), *RANGES]
    assert bytes_needed(ROOT, everything, 40, 30) == bytes_needed(ROOT, RANGES, 40, 30)
    gpt, memory = table(everything)
    for pa in (0x40_0000_0000, 0xFF_FFFF_F000, 0x4000_0000):
        assert walk(memory, gpt, pa) == gpt.get(pa) == GPI.ANY
        assert gpt.transition(pa, PAS.REALM, PAS.REALM) == EL3_BAD_ADDR
    assert walk(memory, gpt, 0xA000_0000) == gpt.get(0xA000_0000) == GPI.ANY, "in a region with a table"
    assert walk(memory, gpt, 0x8000_0000) == GPI.NON_SECURE
    assert gpt.transition(0x8000_0000, PAS.REALM, PAS.REALM) == EL3_OK
    assert [gpi for base, end, gpi in gpt.ranges() if base <= 0x40_0000_0000 < end] == [GPI.ANY]
    assert list(gpt.ranges())[-1][1] == 1 << 40


def test_build__what_is_open_in_part_is_in_a_table() -> None:
    gpt, memory = table([(0x4000_0000, 0x6000_0000, int(GPI.ANY)), *RANGES])
    assert walk(memory, gpt, 0x4000_0000) == GPI.ANY
    assert [walk(memory, gpt, pa) for pa in (0x3FFF_F000, 0xC000_0000)] == [GPI.NO_ACCESS] * 2


def test_set__one_granule_only() -> None:
    gpt, _ = table()
    gpt.set(0x8000_5000, GPI.ANY)
    assert [gpt.get(0x8000_0000 + i * 4096) for i in (4, 5, 6)] == [GPI.NON_SECURE, GPI.ANY, GPI.NON_SECURE]


def test_set__under_a_block() -> None:
    with pytest.raises(LookupError):
        table()[0].set(0x4000_0000, GPI.ANY)


NS_PAGE, REALM_PAGE, SECURE_PAGE = 0x8000_0000, 0x0580_0000, 0x0600_0000

# rmm-abi.md §13.7
TRANSITIONS = [
    (PAS.REALM, NS_PAGE, GPI.REALM, EL3_OK),
    (PAS.REALM, REALM_PAGE, GPI.NON_SECURE, EL3_OK),
    (PAS.SECURE, NS_PAGE, GPI.SECURE, EL3_OK),
    (PAS.SECURE, SECURE_PAGE, GPI.NON_SECURE, EL3_OK),
    (PAS.REALM, REALM_PAGE, GPI.REALM, EL3_BAD_PAS),
    (PAS.REALM, SECURE_PAGE, GPI.REALM, EL3_BAD_PAS),
    (PAS.REALM, ROOT, GPI.REALM, EL3_BAD_PAS),
    (PAS.REALM, ROOT, GPI.NON_SECURE, EL3_BAD_PAS),
    (PAS.REALM, NS_PAGE, GPI.NON_SECURE, EL3_BAD_PAS),
    (PAS.REALM, NS_PAGE, GPI.ANY, EL3_BAD_PAS),
    (PAS.REALM, NS_PAGE, GPI.SECURE, EL3_BAD_PAS),
    (PAS.SECURE, NS_PAGE, GPI.REALM, EL3_BAD_PAS),
    (PAS.SECURE, REALM_PAGE, GPI.NON_SECURE, EL3_BAD_PAS),
    (PAS.NON_SECURE, NS_PAGE, GPI.REALM, EL3_BAD_PAS),
    (PAS.NON_SECURE, REALM_PAGE, GPI.NON_SECURE, EL3_BAD_PAS),
    (PAS.ROOT, NS_PAGE, GPI.REALM, EL3_BAD_PAS),
    (PAS.REALM, 0x0588_0000, GPI.REALM, EL3_BAD_PAS),  # NO_ACCESS under a level 1 table
    (PAS.REALM, NS_PAGE + 1, GPI.REALM, EL3_BAD_ADDR),
    (PAS.REALM, NS_PAGE + 0x800, GPI.REALM, EL3_BAD_ADDR),
    (PAS.REALM, 0x4000_0000, GPI.REALM, EL3_BAD_ADDR),  # under a level 0 block
    (PAS.REALM, 1 << 40, GPI.REALM, EL3_BAD_ADDR),
    (PAS.REALM, (1 << 64) - 4096, GPI.REALM, EL3_BAD_ADDR),
]


@pytest.mark.parametrize(("requester", "pa", "to", "status"), TRANSITIONS)
def test_transition__policy(requester: PAS, pa: int, to: GPI, status: int) -> None:
    gpt, memory = table()
    before = bytes(memory)
    assert gpt.transition(pa, requester, to) == status
    if status == EL3_OK:
        assert gpt.get(pa) is to
        assert walk(memory, gpt, pa + 4096) == walk(before, gpt, pa + 4096)
    else:
        assert memory == before


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 3 << 18), min_size=2, max_size=9, unique=True).map(sorted),
    gpis=st.lists(st.sampled_from([8, 9, 10, 11, 15]), min_size=8, max_size=8),
)
def test_ranges__give_back_what_was_built(cuts: list[int], gpis: list[int]) -> None:
    ranges = [
        (low * 4096, (high - low) * 4096, gpi) for low, high, gpi in zip(cuts[::2], cuts[1::2], gpis, strict=False)
    ]
    gpt = GranuleProtectionTable(bytearray(bytes_needed(ROOT, ranges, 40, 30)), ROOT, ranges)
    expected: list[tuple[int, int, int]] = []
    for base, size, gpi in ranges:
        if expected and expected[-1][1] == base and expected[-1][2] == gpi:
            expected[-1] = (expected[-1][0], base + size, gpi)
        else:
            expected.append((base, base + size, gpi))
    assert list(gpt.ranges()) == expected
    for base, size, gpi in ranges:
        assert gpt.get(base) == gpi == gpt.get(base + size - 1)


def test_pas__names() -> None:
    assert [pas.text for pas in PAS] == ["secure", "non-secure", "root", "realm"]
    assert all(PAS.from_text(pas.text) is pas for pas in PAS)
    assert [int(pas) for pas in PAS] == [8, 9, 10, 11] == [int(GPI[pas.name]) for pas in PAS]
    with pytest.raises(ValueError, match="nowhere"):
        PAS.from_text("nowhere")
