# SPDX-License-Identifier: GPL-2.0-or-later
"""The IPA layout and the interrupts of a realm, those of kvmtool (its arm/include/kvm/kvm-arch.h, gic.c, timer.c).

Devices are at the address given here with the shared bit, the highest bit of the realm's IPA width, set: RMM 1.0 has no
device memory in the protected half.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_CPUS = 8


@dataclass(frozen=True, slots=True)
class Region:
    """size: bytes; interrupt: the first INTID, or None."""

    name: str
    base: int
    size: int
    interrupt: int | None
    doc: str


SPI = 32
PPI = 16

UART = Region("uart", 0x0100_0000, 0x1_0000, SPI + 0, "16550, registers of one byte")
PL011 = Region(
    "pl011", 0x0900_0000, 0x1000, SPI + 1, "PL011, where QEMU's virt machine has it; in its place on request"
)
VIRTIO = Region("virtio-mmio", 0x0300_0000, 0x4000, SPI + 4, "32 slots of 0x200 bytes, an interrupt each")
VIRTIO_STRIDE = 0x200
GICR = Region("redistributors", 0x3FEF_0000, 0x10_0000, None, "GICv3, 0x20000 bytes for each of up to 8 vCPUs")
GICR_STRIDE = 0x2_0000
GICD = Region("distributor", 0x3FFF_0000, 0x1_0000, None, "GICv3")
RAM_BASE = 0x8000_0000

REGIONS = (UART, VIRTIO, PL011, GICR, GICD)

# Secure physical, physical, virtual and hypervisor timer: the order of the arm,armv8-timer binding.
TIMER_PPIS = (13, 14, 11, 10)
PMU_PPI = 7


def redistributors(cpus: int) -> tuple[int, int]:
    """(base, size) of the redistributors: they end where the distributor begins."""
    return GICD.base - cpus * GICR_STRIDE, cpus * GICR_STRIDE


def mpidr(index: int) -> int:
    """MPIDR_EL1 affinity of the REC with an index (DEN0137, RmiRecMpidr: Aff0 has 4 bits)."""
    return index & 0xF | (index >> 4 & 0xFF) << 8 | (index >> 12 & 0xFF) << 16
