"""EL1&0 and EL2 stage-1 regimes for the translation tests: RAM, a PE, tables, descriptor bits."""

from __future__ import annotations

from dataclasses import dataclass

from tests.plugin._units import Memory, Tables, Unit

DRAM = 0x4000_0000
OUTPUT = 0x5000_0000  # outside the RAM: data accesses are translated wherever they go
LOW = 0x12_3456_7000
HIGH = 0xFFFF_FFC0_1234_5000

# Stage-1 descriptor bits (Arm ARM D8.3).
TABLE, PAGE, BLOCK = 3, 3, 1
AP_EL0, AP_RO = 1 << 6, 1 << 7
AF, NG, DBM, CONTIGUOUS = 1 << 10, 1 << 11, 1 << 51, 1 << 52
PXN, UXN, XN = 1 << 53, 1 << 54, 1 << 54
PXN_TABLE, UXN_TABLE, AP_TABLE0, AP_TABLE1, NS_TABLE = 1 << 59, 1 << 60, 1 << 61, 1 << 62, 1 << 63
LEAF = PAGE | AF
BLOCK_LEAF = BLOCK | AF

# SCTLR and TCR_EL1 bits.
SCTLR_M, SCTLR_I, WXN, EE = 1 << 0, 1 << 12, 1 << 19, 1 << 25
EPD0, EPD1, TBI0, TBI1 = 1 << 7, 1 << 23, 1 << 37, 1 << 38
HA, HD, HPD0, HPD1, DS = 1 << 39, 1 << 40, 1 << 41, 1 << 42, 1 << 59
TCR_39 = 25 | 25 << 16 | 2 << 30 | 5 << 32  # both halves 39 bits, 4K granules, IPS 48 bits


@dataclass
class El1:
    """EL1&0 with 39-bit halves: start level 1."""

    memory: Memory
    unit: Unit
    low: Tables
    high: Tables


def el1(*, big: bool = False) -> El1:
    memory = Memory((DRAM, 1 << 20))
    unit = Unit(memory)
    low, high = Tables(memory, 1, 39, big=big), Tables(memory, 1, 39, big=big)
    mmu = unit.mmu
    mmu.sctlr_el1 = SCTLR_M | (EE if big else 0)
    mmu.tcr_el1 = TCR_39
    mmu.ttbr0_el1, mmu.ttbr1_el1 = low.base, high.base
    mmu.mair_el1 = 0xFF_44_04_00
    return El1(memory, unit, low, high)


def el2() -> tuple[Unit, Tables]:
    """The EL2 regime (E2H = 0), 39 bits."""
    memory = Memory((DRAM, 1 << 20))
    unit = Unit(memory)
    tables = Tables(memory, 1, 39)
    unit.mmu.sctlr_el2 = SCTLR_M
    unit.mmu.tcr_el2 = 25 | 5 << 16
    unit.mmu.ttbr0_el2 = tables.base
    return unit, tables
