# SPDX-License-Identifier: GPL-2.0-or-later
"""Stage 1 as code runs under it: granules of 4, 16 and 64 KiB, TCR fields (DDI 0487 D8.2, TCR_EL1, TCR_EL2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, DRAM, DRAM_SIZE, UART, Bench
from tests.bridge.guests import E2H, HCR_EL2, ISB, LDR_X0_X1, RW, STR_W0_X1, STR_X0_X1, TGE, Guest

S1 = DRAM + 0x80_0000
AF, RO, NG, NEXT = 1 << 10, 1 << 7, 1 << 11, 3
HIGH = 0xFFFF_FF80_0000_0000  # TTBR1, T1SZ = 25
TG0 = {12: 0, 14: 2, 16: 1}
TG1 = {12: 2, 14: 1, 16: 3}
REGISTERS = {
    1: [sysreg(3, 0, 2, 0, n) for n in (0, 1, 2)] + [sysreg(3, 0, 10, 2, 0), sysreg(3, 0, 1, 0, 0)],
    2: [sysreg(3, 4, 2, 0, n) for n in (0, 1, 2)] + [sysreg(3, 4, 10, 2, 0), sysreg(3, 4, 1, 0, 0)],
}
EPD0, EPD1, A1, AS, TBI0, TBI1, HPD0 = 1 << 7, 1 << 23, 1 << 22, 1 << 36, 1 << 37, 1 << 38, 1 << 41


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def pages(bench: Bench, bits: int, root: int, va: int, pa: int, size: int, attributes: int = AF) -> None:
    """Maps [va, va + size) of a 39-bit half by pages of 2**bits bytes; tables from `root` up."""
    stride = bits - 3
    start = 3 - (39 - 1 - bits) // stride
    free = root + (1 << bits)
    memory = bench.memory
    tables: dict[tuple[int, int], int] = {}
    for at in range(0, size, 1 << bits):
        address, table = (va + at) & (1 << 39) - 1, root
        for level in range(start, 3):
            shift = bits + (3 - level) * stride
            key = level, address >> shift
            if key not in tables:
                tables[key] = free
                memory.write(free, bytes(1 << bits))
                memory.write64(table + 8 * (address >> shift & (1 << stride) - 1), free | NEXT)
                free += 1 << bits
            table = tables[key]
        memory.write64(table + 8 * (address >> bits & (1 << stride) - 1), (pa + at) | attributes | 3)


def regime(guest: Guest, el: int, tcr: int, root0: int, root1: int = 0) -> None:
    values = (root0, root1, tcr, 0xFF, 0x30D0_0801 | 1 << 23)
    for register, value in zip(REGISTERS[el], values, strict=True):
        guest.core.set_sysreg(register, value)


@pytest.mark.parametrize("bits", [12, 14, 16])
@pytest.mark.parametrize(("el", "hcr"), [(1, 0), (2, 0), (2, E2H | TGE)])
def test_granule__maps_moves_and_faults(bench: Bench, bits: int, el: int, hcr: int) -> None:
    guest = Guest(bench, hcr=hcr)
    pages(bench, bits, S1, DRAM, DRAM, DRAM_SIZE)
    # one page elsewhere: DATA's VA shows another PA
    other = DRAM + 0x60_0000
    table_entry = next(
        at for at in range(S1, S1 + 0x40_0000, 8) if bench.memory.read64(at) == (DATA & ~((1 << bits) - 1)) | AF | 3
    )
    bench.memory.write64(table_entry, other | AF | 3 | RO)
    tcr = 25 | TG0[bits] << 14 | 5 << 32 | EPD1
    if el == 2 and not hcr:
        tcr = 25 | TG0[bits] << 14 | 5 << 16
    regime(guest, el, tcr, S1)
    last = (1 << bits) - 8
    bench.memory.write64(other + last, 0x1616)
    guest.run([LDR_X0_X1], el=el, x=[0, (DATA & ~((1 << bits) - 1)) + last])
    assert guest.ended
    assert guest.core.get_x(0, 1) == [0x1616]
    guest.run([STR_X0_X1], el=el, x=[0, DATA])
    assert guest.taken(el, 0x200)
    assert guest.esr(el) & 0x7F == 1 << 6 | 0x0F
    guest.run([LDR_X0_X1], el=el, x=[0, DRAM + DRAM_SIZE])
    assert guest.taken(el, 0x200)
    assert guest.esr(el) & 0x3C == 0x04


@pytest.mark.parametrize("bits", [12, 14, 16])
def test_tlbi_by_va__takes_the_whole_page_of_a_larger_granule(bench: Bench, bits: int) -> None:
    guest = Guest(bench, hcr=0)
    pages(bench, bits, S1, DRAM, DRAM, DRAM_SIZE)
    regime(guest, 1, 25 | TG0[bits] << 14 | 5 << 32 | EPD1, S1)
    page = DATA & ~((1 << bits) - 1)
    address = page + (1 << bits) - 8  # the last 4 KiB of the page
    guest.run([LDR_X0_X1], x=[0, address])
    entry = next(at for at in range(S1, S1 + 0x40_0000, 8) if bench.memory.read64(at) == page | AF | 3)
    bench.memory.write64(entry, page | AF | 3 | RO)
    # tlbi vaae1is, x2: of the page's first byte
    guest.run([0xD5088362, 0xD5033B9F, ISB, STR_X0_X1], x=[0, address, page >> 12])
    assert guest.taken(1, 0x200)


def test_upper_half__has_its_own_granule(bench: Bench) -> None:
    guest = Guest(bench, hcr=0)
    pages(bench, 12, S1, DRAM, DRAM, DRAM_SIZE)
    pages(bench, 16, S1 + 0x40_0000, HIGH, DRAM, 0x80_0000)
    regime(guest, 1, 25 | 25 << 16 | TG1[16] << 30 | 5 << 32, S1, S1 + 0x40_0000)
    bench.memory.write64(DATA, 0x64)
    guest.run([LDR_X0_X1], x=[0, HIGH + DATA - DRAM])
    assert guest.core.get_x(0, 1) == [0x64]


@pytest.mark.parametrize(
    ("bits", "address", "faults"),
    [
        (EPD1, HIGH + DATA - DRAM, True),
        (0, HIGH + DATA - DRAM, False),
        (0, 0x5A00_0000_0000_0000 | DATA, True),
        (TBI0, 0x5A00_0000_0000_0000 | DATA, False),
        (TBI1, 0x5A00_0000_0000_0000 | DATA, True),
        (TBI1, (HIGH & ~(0xFF << 56)) + DATA - DRAM, False),
    ],
)
def test_tcr_bit__epd_and_tbi(bench: Bench, bits: int, address: int, faults: bool) -> None:
    guest = Guest(bench, hcr=0)
    pages(bench, 12, S1, DRAM, DRAM, DRAM_SIZE)
    pages(bench, 12, S1 + 0x40_0000, HIGH, DRAM, 0x80_0000)
    regime(guest, 1, 25 | 25 << 16 | TG1[12] << 30 | 5 << 32 | bits, S1, S1 + 0x40_0000)
    guest.run([LDR_X0_X1], x=[0, address])
    assert guest.taken(1, 0x200) is faults
    if faults:
        assert guest.esr(1) & 0x3F == 0x04
        assert guest.far(1) == address


@pytest.mark.parametrize(("hpd", "faults"), [(0, True), (HPD0, False)])
def test_hpd__ignores_what_table_descriptors_forbid(bench: Bench, hpd: int, faults: bool) -> None:
    guest = Guest(bench, hcr=0)
    bench.memory.write64(S1 + 8 * 2, (S1 + 0x1000) | NEXT | 1 << 62)  # APTable: read-only
    for i in range(8):
        bench.memory.write64(S1 + 0x1000 + 8 * i, (DRAM + i * 0x20_0000) | AF | 1)
    regime(guest, 1, 25 | 5 << 32 | EPD1 | hpd, S1)
    guest.run([STR_X0_X1], x=[0, DATA])
    assert guest.taken(1, 0x200) is faults


@pytest.mark.parametrize(("tcr", "register"), [(0, 0), (A1, 1)])
def test_asid__is_of_the_ttbr_that_a1_names(bench: Bench, tcr: int, register: int) -> None:
    """A new ASID in that TTBR is a new address space: what was cached of the old, not global, is not used."""
    guest = Guest(bench, hcr=0)
    pages(bench, 12, S1, DRAM, DRAM, DRAM_SIZE, AF | NG)
    regime(guest, 1, 25 | EPD1 | 5 << 32 | AS | tcr, S1, 0)
    guest.run([LDR_X0_X1], x=[0, DATA])
    entry = next(at for at in range(S1, S1 + 0x40_0000, 8) if bench.memory.read64(at) == DATA | AF | NG | 3)
    bench.memory.write64(entry, DATA | AF | NG | 3 | RO)
    name = REGISTERS[1][register]
    root = S1 if register == 0 else 0
    guest.run([0xD500_0000 | name << 5 | 2, ISB, STR_X0_X1], x=[0, DATA, root | 0x1234 << 48])
    assert guest.taken(1, 0x200)


def test_guest_exceptions__keep_uao_and_ssbs_in_spsr(bench: Bench) -> None:
    """DDI 0487, AArch64.TakeException: UAO is cleared, SSBS becomes SCTLR_ELx.DSSBS, the old ones are in SPSR."""
    for el, bit, expected in ((1, 0, 0), (1, 1 << 44, 1), (2, 0, 0), (2, 1 << 44, 1)):
        guest = Guest(bench, hcr=0)
        sctlr = REGISTERS[el][4]
        guest.core.set_sysreg(sctlr, 0x30D0_0800 | bit)
        guest.core.set_sysreg(HCR_EL2, RW)
        bench.code([0xD4000001, 0xD4000003], CODE)
        guest.core.pstate = (0x3C5 if el == 1 else 0x3C9) | 1 << 23 | (0 if expected else 1) << 12
        before = guest.core.pstate
        guest.core.pc = CODE
        guest.core.run(100)
        assert guest.spsr(el) == before
        assert guest.core.pstate >> 12 & 1 == expected
        assert guest.core.pstate >> 23 & 1 == 0


@pytest.mark.parametrize("el", [1, 2])
def test_ee__swaps_data_in_memory_and_at_devices(bench: Bench, el: int) -> None:
    guest = Guest(bench, hcr=0)
    guest.core.set_sysreg(REGISTERS[el][4], 0x30C5_0830 | 1 << 25)
    bench.memory.write64(DATA, 0x1122_3344_5566_7788)
    guest.run([LDR_X0_X1], el=el, x=[0, DATA])
    assert guest.core.get_x(0, 1) == [0x8877_6655_4433_2211]
    assert guest.run([STR_W0_X1], el=el, x=[0x0102_0304, UART]) is Reason.MMIO
    assert guest.core.exit.value == 0x0403_0201
    lib.cca_mmio_done(guest.core.handle, 0)
    assert guest.run([0x79400020], el=el, x=[0, UART]) is Reason.MMIO  # ldrh w0, [x1]
    lib.cca_mmio_done(guest.core.handle, 0x1234)
    guest.core.run(100)
    assert guest.core.get_x(0, 1) == [0x3412]
