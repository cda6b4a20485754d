# SPDX-License-Identifier: GPL-2.0-or-later
"""Stage 2 of the Normal world's guests (DDI 0487, D8.2 stage 2 translation; ESR_EL2, HPFAR_EL2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, DRAM, TABLES, UART, Bench
from tests.bridge.guests import (
    DC,
    ERET,
    GPF,
    HCR_EL2,
    HPFAR_EL2,
    LDR_W0_X1,
    LDR_X0_X1,
    MAIR_EL1,
    S2_NORMAL,
    S2_READ_ONLY,
    SCTLR_EL1,
    STR_W0_X1,
    STR_X0_X1,
    TCR_EL1,
    TEA,
    TTBR0_EL1,
    VM,
    VTCR_EL2,
    VTTBR_EL2,
    Guest,
    mrs,
    msr,
)

S1_BLOCK = 0x401  # AF, EL1 read-write
L1, L2, L3 = TABLES, TABLES + 0x1000, TABLES + 0x2000
S1_TABLES = DRAM + 0x40_0000


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def page(guest: Guest, ipa: int, descriptor: int) -> None:
    """Splits the 2 MiB block of `ipa` at L3 and writes one page's descriptor."""
    memory = guest.bench.memory
    base = ipa & ~0x1F_FFFF
    for i in range(512):
        memory.write64(L3 + 8 * i, (base + i * 4096) | S2_NORMAL | 3)
    memory.write64(L2 + 8 * (ipa >> 21 & 511), L3 | 3)
    memory.write64(L3 + 8 * (ipa >> 12 & 511), descriptor)
    lib.cca_flush(guest.core.handle)


def stage1(guest: Guest, entries: dict[int, int]) -> None:
    """EL1&0 on: 4K granule, 39-bit VA, level 1 at S1_TABLES with `entries` by index."""
    for index, descriptor in entries.items():
        guest.bench.memory.write64(S1_TABLES + 8 * index, descriptor)
    for register, value in (
        (TTBR0_EL1, S1_TABLES),
        (MAIR_EL1, 0xFF),
        (TCR_EL1, 25 | 1 << 23 | 5 << 32),
        (SCTLR_EL1, 0x30D0_0801 | 1 << 23),
    ):
        guest.core.set_sysreg(register, value)


def test_guest__runs_on_mapped_memory(bench: Bench) -> None:
    guest = Guest(bench)
    bench.memory.write64(DATA, 0x77)
    assert guest.run([LDR_X0_X1], x=[0, DATA]) is Reason.SMC
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x77]


def test_guest__reaches_ipas_that_are_not_pas(bench: Bench) -> None:
    guest = Guest(bench)
    bench.memory.write64(L1 + 8 * 3, (DRAM & ~0x3FFF_FFFF) | S2_NORMAL)  # IPA 0xC000_0000 -> PA 0x8000_0000
    bench.memory.write64(DATA, 0x99)
    guest.run([LDR_X0_X1], x=[0, 0xC000_0000 | DATA & 0x3FFF_FFFF])
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x99]


@pytest.mark.parametrize("el", [0, 1])
def test_translation_fault__goes_to_el2_with_syndrome_and_ipa(bench: Bench, el: int) -> None:
    guest = Guest(bench)
    ipa = 0x1_0900_0004
    assert guest.run([STR_W0_X1], el=el, x=[0xAB, ipa]) is Reason.SMC
    assert guest.taken(2, 0x400)
    # EC 0x24, IL, ISV, SAS word, SRT 0, WnR, DFSC translation fault level 1
    assert guest.esr() == 0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 1 << 6 | 0x05
    assert guest.core.get_sysreg(HPFAR_EL2) == ipa >> 12 << 4
    assert guest.far() == ipa
    assert guest.elr() == CODE
    assert guest.spsr() == {0: 0x3C0, 1: 0x3C5}[el]


def test_translation_fault__of_a_pair_has_no_isv(bench: Bench) -> None:
    guest = Guest(bench)
    guest.run([0xA9400820], x=[0, 0x1_0900_0000])  # ldp x0, x2, [x1]
    assert guest.esr() == 0x24 << 26 | 1 << 25 | 0x05


def test_fault_on_fetch__is_an_instruction_abort_from_a_lower_level(bench: Bench) -> None:
    guest = Guest(bench)
    guest.run([0xD61F0020], x=[0, 0x1_0000_0000])  # br x1
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x20 << 26 | 1 << 25 | 0x05
    assert guest.elr() == guest.far() == 0x1_0000_0000


def test_permission_fault__of_a_write_to_a_read_only_page(bench: Bench) -> None:
    guest = Guest(bench)
    page(guest, DATA, DATA | S2_READ_ONLY | 3)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.ended
    guest.run([STR_X0_X1], x=[0, DATA])
    assert guest.taken(2, 0x400)
    assert guest.esr() & 0x7F == 1 << 6 | 0x0F


def test_access_flag_fault__at_level_3(bench: Bench) -> None:
    guest = Guest(bench)
    page(guest, DATA, (DATA | S2_NORMAL | 3) & ~(1 << 10))
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.esr() & 0x3F == 0x0B


def test_el2_itself__is_under_no_stage_2(bench: Bench) -> None:
    guest = Guest(bench)
    page(guest, DATA, 0)
    bench.memory.write64(DATA, 0x55)
    guest.run([LDR_X0_X1], el=2, x=[0, DATA])
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x55]


def test_stage1_walk_that_stage_2_refuses__has_s1ptw(bench: Bench) -> None:
    guest = Guest(bench)
    stage1(guest, {2: DRAM | S1_BLOCK, 3: 0xD000_0000 | 3})  # the second: a table at an IPA that nothing maps
    va = 0xC000_0123
    guest.run([LDR_X0_X1], x=[0, va])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x24 << 26 | 1 << 25 | 1 << 7 | 0x05
    assert guest.far() == va
    assert guest.core.get_sysreg(HPFAR_EL2) == 0xD000_0000 >> 12 << 4


def test_stage1_fault__stays_at_el1(bench: Bench) -> None:
    guest = Guest(bench)
    stage1(guest, {2: DRAM | S1_BLOCK})
    guest.run([LDR_X0_X1], x=[0, 0x123])
    assert guest.taken(1, 0x200)
    assert guest.esr(1) == 0x9600_0005


def test_dc__turns_stage_1_off_and_stage_2_on(bench: Bench) -> None:
    guest = Guest(bench, hcr=DC)
    stage1(guest, {0: 0})  # tables that map nothing: HCR_EL2.DC has SCTLR_EL1.M as 0
    bench.memory.write64(DATA, 0x44)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x44]
    guest.run([LDR_X0_X1], x=[0, 0x1_0000_0000])
    assert guest.taken(2, 0x400)  # DC has VM as 1


def test_mmio__by_a_guest_faults_to_el2_where_stage_2_does_not_map_it(bench: Bench) -> None:
    guest = Guest(bench)
    guest.run([LDR_W0_X1], x=[0, UART + 0x18])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 0x05
    assert guest.core.get_sysreg(HPFAR_EL2) == UART >> 12 << 4


def test_mmio__by_a_guest_is_a_device_access_where_stage_2_maps_it(bench: Bench) -> None:
    guest = Guest(bench)
    bench.memory.write64(L1, 0 | S2_NORMAL & ~0x3C | 4)  # IPA 0..1 GiB, Device-nGnRE
    assert guest.run([STR_W0_X1], x=[0x41, UART]) is Reason.MMIO
    assert (guest.core.exit.pa, guest.core.exit.value, guest.core.exit.is_write) == (UART, 0x41, 1)
    lib.cca_mmio_done(guest.core.handle, 0)
    assert Reason(guest.core.run(100)) is Reason.SMC
    assert guest.ended


@pytest.mark.parametrize(("hcr", "level", "ec"), [(VM, 1, 0x25), (VM | TEA, 2, 0x24)])
def test_external_abort__goes_where_tea_says(bench: Bench, hcr: int, level: int, ec: int) -> None:
    guest = Guest(bench, hcr=hcr)
    bench.memory.write64(L1, 0 | S2_NORMAL)
    assert guest.run([LDR_W0_X1], x=[0, 0x0A00_0000]) is Reason.MMIO
    lib.cca_external_abort(guest.core.handle)
    guest.core.run(100)
    assert guest.taken(level, 0x400 if level == 2 else 0x200)
    assert guest.esr(level) == ec << 26 | 1 << 25 | 0x10


def test_granule_protection_fault__of_a_guest_goes_to_el1_unless_hcr_gpf(bench: Bench) -> None:
    guest = Guest(bench)
    bench.delegate(DATA)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.taken(1, 0x200)
    assert guest.esr(1) == 0x9600_0028
    guest.run([msr(HCR_EL2, 2), mrs(HCR_EL2, 3)], el=2, x=[0, 0, GPF | VM | 1 << 31])
    assert guest.core.get_x(3, 1)[0] & GPF
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.taken(2, 0x400)
    assert guest.esr() == 0x24 << 26 | 1 << 25 | 0x28
    assert guest.core.get_sysreg(HPFAR_EL2) == DATA >> 12 << 4


def test_stage2_tables__outside_the_normal_world_are_not_read(bench: Bench) -> None:
    guest = Guest(bench)
    bench.gpt.set(L2, PAS.REALM)
    bench.board.granule_changed(L2)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert not guest.ended


@pytest.mark.parametrize(
    ("tg0", "bits", "vtcr", "block"),
    [
        (0, 12, 1 << 6 | 31, 21),  # 4K, start level 1
        (2, 14, 1 << 6 | 31, 25),  # 16K, start level 2
        (1, 16, 1 << 6 | 31, 29),  # 64K, start level 2
    ],
)
def test_stage2__in_each_granule(bench: Bench, tg0: int, bits: int, vtcr: int, block: int) -> None:
    guest = Guest(bench)
    root = DRAM + 0x60_0000
    leaf = root + 0x4_0000
    stride = bits - 3
    if tg0 == 0:  # level 1 -> level 2 blocks
        bench.memory.write64(root + 8 * (DRAM >> 30), leaf | 3)
        for i in range(8):
            bench.memory.write64(leaf + 8 * i, (DRAM + (i << block)) | S2_NORMAL)
    else:
        bench.memory.write64(root + 8 * (DRAM >> block), leaf | 3)
        for i in range(0x100_0000 >> bits):
            bench.memory.write64(
                leaf + 8 * ((DRAM >> bits & (1 << stride) - 1) + i), (DRAM + (i << bits)) | S2_NORMAL | 3
            )
    guest.core.set_sysreg(VTTBR_EL2, root)
    guest.core.set_sysreg(VTCR_EL2, 1 << 31 | 5 << 16 | tg0 << 14 | vtcr)
    bench.memory.write64(DATA, 0x66)
    guest.run([LDR_X0_X1], x=[0, DATA])
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x66]
    guest.run([LDR_X0_X1], x=[0, 0x1_0000_0000])
    assert guest.esr() & 0x3F in (0x05, 0x06)


def test_host__switches_guests_by_vttbr(bench: Bench) -> None:
    """Two guests with different VMIDs see different memory at one IPA; no TLBI between them."""
    guest = Guest(bench)
    other = DRAM + 0x60_0000
    bench.memory.write64(L1 + 8 * 3, (DRAM & ~0x3FFF_FFFF) | S2_NORMAL)
    bench.memory.write64(other + 8 * 2, bench.memory.read64(L1 + 8 * 2))
    ipa = 0xC000_0000 | DATA & 0x3FFF_FFFF
    bench.memory.write64(DATA, 1)
    # the host: VTTBR_EL2 := x2, ERET to the guest, which reads and calls back
    for vttbr, reached in ((L1 | 1 << 48, True), (other | 2 << 48, False), (L1 | 1 << 48, True)):
        guest.core.set_x(1, [ipa, vttbr, CODE + 0x100, 0x3C5])
        bench.code([LDR_X0_X1, 0xD4000003], CODE + 0x100)
        host = [msr(VTTBR_EL2, 2), msr(sysreg(3, 4, 4, 0, 1), 3), msr(sysreg(3, 4, 4, 0, 0), 4), 0xD5033FDF, ERET]
        guest.run(host, el=2)
        assert guest.ended is reached
        assert guest.taken(2, 0x400) is not reached


def test_at_s12e1r__walks_both_stages_and_at_s1e1r_one(bench: Bench) -> None:
    guest = Guest(bench)
    bench.memory.write64(L1 + 8 * 3, (DRAM & ~0x3FFF_FFFF) | S2_NORMAL)  # IPA 0xC000_0000 -> PA 0x8000_0000
    stage1(guest, {0: 0xC000_0000 | S1_BLOCK, 1: 0x1_0000_0000 | S1_BLOCK})
    par = sysreg(3, 0, 7, 4, 0)
    # at s12e1r, x1 ; mrs x2, par_el1 ; at s1e1r, x1 ; mrs x3, par_el1 ; at s12e1r, x4 ; mrs x5, par_el1
    words = [0xD50C7881, mrs(par, 2), 0xD5087801, mrs(par, 3), 0xD50C7884, mrs(par, 5)]
    guest.run(words, el=2, x=[0, 0x10_0123, 0, 0, 0x4000_0000])
    both, one, fault = (guest.core.get_x(n, 1)[0] for n in (2, 3, 5))
    assert both & 0xF_FFFF_FFFF_F001 == DRAM + 0x10_0000
    assert one & 0xF_FFFF_FFFF_F001 == 0xC010_0000
    assert fault & 0x27F == 1 | 0x05 << 1 | 1 << 9  # F, translation fault level 1, S: stage 2


def test_tlbi_by_address__of_a_block_takes_all_of_it(bench: Bench) -> None:
    """DDI 0487 D8.14: one TLBI by VA invalidates the entry of the whole block that holds the VA."""
    guest = Guest(bench, hcr=0)
    stage1(guest, {2: DRAM | S1_BLOCK})
    guest.run([LDR_X0_X1], x=[0, DATA])
    bench.memory.write64(S1_TABLES + 8 * 2, DRAM | S1_BLOCK | 1 << 7)
    # tlbi vaae1, x2 with another page of the block; dsb ish; isb
    guest.run([0xD5088762, 0xD5033B9F, 0xD5033FDF, STR_X0_X1], x=[0, DATA, (DRAM + 0x80_0000) >> 12])
    assert guest.taken(1, 0x200)
    assert guest.esr(1) & 0x3F == 0x0D
