"""Translation over random registers and tables: it ends, stays inside the RAM, and its answers agree.

The RAM of each run ends at an inaccessible page (``_units.GUARD``): a read or write past it kills the test.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugin._units import (
    FETCH,
    NO_GPC,
    NO_UPDATE,
    NS,
    READ,
    REALM,
    S1_ONLY,
    SECURE,
    WRITE,
    Fault,
    Mapped,
    Memory,
    Unit,
)

BASE = 0x4000_0000
SIZES = (0x1_0000, 0xF123, 0x1008, 0x1007, 8, 7)
NEED = {READ: 1, WRITE: 2, FETCH: 4}
FSC = {
    "translation": {0x2B, 0x04, 0x05, 0x06, 0x07},
    "access-flag": {0x08, 0x09, 0x0A, 0x0B},
    "permission": {0x0C, 0x0D, 0x0E, 0x0F},
    "address-size": {0x29, 0x00, 0x01, 0x02, 0x03},
    "external": {0x13, 0x14, 0x15, 0x16, 0x17},
    "gpf": {0x28, 0x23, 0x24, 0x25, 0x26, 0x27},
    "gpc-walk": {0x28, 0x23, 0x24, 0x25, 0x26, 0x27},
}


def descriptor(random: Random) -> int:
    """A descriptor that mostly leads somewhere: the pointer lies in or just around the RAM."""
    target = BASE + (random.randrange(-1, 18) << 12)
    attributes = random.getrandbits(12) | random.getrandbits(16) << 48
    if random.random() < 0.9:
        attributes |= 1 << 10 | 3
    if random.random() < 0.7:
        attributes &= ~(random.getrandbits(16) << 48)
    return random.getrandbits(64) if random.random() < 0.02 else target | attributes


def machine(seed: int) -> tuple[Unit, Random]:
    random = Random(seed)
    size = random.choice(SIZES) if random.random() < 0.4 else SIZES[0]
    memory = Memory((BASE, size))
    unit = Unit(memory)
    words = b"".join(descriptor(random).to_bytes(8, "little") for _ in range(1024)) * (size // 8192 + 1)
    memory.fill(BASE, words[:size])

    mmu = unit.mmu
    wild = random.random() < 0.3

    def register(value: int) -> int:
        return random.getrandbits(64) if wild and random.random() < 0.3 else value

    tcr = random.randrange(12, 49) | random.randrange(12, 49) << 16 | 5 << 32 | random.getrandbits(2) << 39
    tcr |= random.getrandbits(2) << 41 | random.choice([0, 1, 2]) << 14 | random.choice([1, 2, 3]) << 30
    mmu.tcr_el1 = register(tcr | random.getrandbits(1) << 59)
    mmu.tcr_el2 = register(random.randrange(12, 49) | 5 << 16 | random.getrandbits(2) << 21)
    mmu.sctlr_el1 = register(1 if random.random() < 0.9 else random.getrandbits(32))
    mmu.sctlr_el2 = register(1)
    for name in ("ttbr0_el1", "ttbr1_el1", "ttbr0_el2", "vttbr"):
        setattr(mmu, name, register(BASE + (random.randrange(17) << 12)))
    start, sl0 = random.choice([(1, 1), (0, 2), (2, 0), (3, 3)])
    bits = {0: 44, 1: 36, 2: 32, 3: 20}[start]
    mmu.vtcr = register((64 - bits) | sl0 << 6 | 5 << 16 | random.getrandbits(2) << 21)
    mmu.hcr_el2 = register(random.choice([0, 0, 1 << 2, 1 << 12, 1 << 46]))
    mmu.s2_enabled = random.getrandbits(1)
    mmu.pas = random.choice([NS, REALM, SECURE]) if not wild else random.getrandbits(8)
    mmu.realm = mmu.pas == REALM
    mmu.pa_bits = random.choice([32, 40, 48, 52]) if not wild else random.getrandbits(8)
    mmu.hafdbs, mmu.pan = random.randrange(3), random.getrandbits(1)

    gpc = memory.mem.gpc
    gpc.enabled = random.getrandbits(1)
    gpc.base, gpc.pps_bits, gpc.l0_bits, gpc.pgs_bits = BASE + 0xF000, 32, 30, 16
    if size == SIZES[0] and random.random() < 0.7:  # a GPT that works: 1 GiB regions, 64K granules
        gpis = random.choices([NS, mmu.pas & 0xF, 0xF, REALM, 0x0, 0x2], [30, 60, 30, 10, 10, 1], k=0x4000)
        level1 = bytes(low | high << 4 for low, high in zip(gpis[::2], gpis[1::2], strict=True))
        memory.fill(BASE + 0xC000, level1)
        for i in range(4):
            memory.write64(BASE + 0xF000 + i * 8, (BASE + 0xC000) | 3 if i < 2 else random.choice(gpis) << 4 | 1)
    elif wild:
        gpc.base = random.getrandbits(64)
        gpc.pps_bits, gpc.l0_bits, gpc.pgs_bits = (random.getrandbits(8) for _ in range(3))
    return unit, random


def check_fault(fault: Fault) -> None:
    assert fault.fsc in FSC[fault.kind], fault
    assert fault.stage in (1, 2)
    assert -1 <= fault.level <= 3
    if fault.s1ptw:
        assert fault.stage == 2
    if fault.kind in ("gpf", "gpc-walk"):
        assert fault.on_walk == (fault.fsc != 0x28)
        assert fault.gpc_level in (0, 1)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_translate__any_registers_and_tables(seed: int) -> None:
    unit, random = machine(seed)
    for _ in range(20):
        va = random.getrandbits(64) if random.random() < 0.1 else random.getrandbits(random.choice([12, 30, 44]))
        if random.random() < 0.2:
            va = ~va & (1 << 64) - 1
        access, el = random.choice([READ, WRITE, FETCH]), random.randrange(3)
        flags = random.choice([0, 0, S1_ONLY, NO_GPC, NO_UPDATE, S1_ONLY | NO_UPDATE])
        unpriv = random.random() < 0.1
        result = unit.translate(va, access, el=el, unpriv=unpriv, flags=flags)
        if isinstance(result, Fault):
            check_fault(result)
            continue
        assert result.prot & NEED[access]
        assert result.pa & 0xFFF == result.ipa & 0xFFF == va & 0xFFF
        assert result.page >= 4096
        again = unit.translate(va, access, el=el, unpriv=unpriv, flags=flags)
        if not unit.mmu.hafdbs:
            assert again == result
        if not flags and not unit.mmu.hafdbs:
            assert unit.gpc(result.pa, result.pas)[1] is None
        stage2 = unit.stage2(va, access, flags)
        if isinstance(stage2, Fault):
            check_fault(stage2)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, (1 << 64) - 1), st.booleans())
def test_translate__writes_no_memory_unless_hafdbs_is_on_and_updates_are_asked_for(seed: int, hafdbs: bool) -> None:
    unit, random = machine(seed)
    size = unit.memory.regions[0][1]
    before = unit.memory.read(BASE, size)
    unit.mmu.hafdbs = 2 if hafdbs else 0
    for _ in range(20):
        va = random.getrandbits(random.choice([12, 30, 44]))
        unit.translate(va, WRITE, el=random.randrange(3), flags=NO_UPDATE if hafdbs else 0)
    assert unit.memory.read(BASE, size) == before


def test_translate__the_fuzz_reaches_success_and_every_kind_of_fault() -> None:
    seen: set[str] = set()
    for seed in range(400):
        unit, random = machine(seed)
        for _ in range(20):
            result = unit.translate(random.getrandbits(30), random.choice([READ, WRITE, FETCH]), el=random.randrange(3))
            seen.add("mapped" if isinstance(result, Mapped) else result.kind)
    assert seen == {"mapped", *FSC}


@pytest.mark.parametrize(
    "regions", [(), ((0x1000, 0x1000), (0x8000, 0x2000), (0x2000, 0x10)), ((0, 8), (8, 0x18), (0x20, 0x20))]
)
def test_ram__only_whole_ranges_inside_one_region(regions: tuple[tuple[int, int], ...]) -> None:
    memory = Memory(*regions)
    for pa in range(0, 0xB000, 8):
        for length in (1, 8, 16, 0x1000, (1 << 64) - 1):
            inside = any(base <= pa and pa + length <= base + size for base, size in regions)
            assert memory.has_ram(pa, length) == inside, (hex(pa), length)
