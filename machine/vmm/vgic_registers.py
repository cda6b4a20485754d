# SPDX-License-Identifier: GPL-2.0-or-later
"""GICD_* and GICR_* of a realm's virtual GICv3: one security state (DS = 1), affinity routing, no LPIs (IHI 0069 §12).

Where the architecture says that accesses of other widths are undefined, they read as zero and write nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .vgic import Bank, Vcpu, VGic

GICD_CTLR: Final = 0x0000
GICD_TYPER: Final = 0x0004
GICD_IIDR: Final = 0x0008
IGROUPR: Final = 0x0080
ISENABLER: Final = 0x0100
ICENABLER: Final = 0x0180
ISPENDR: Final = 0x0200
ICPENDR: Final = 0x0280
ISACTIVER: Final = 0x0300
ICACTIVER: Final = 0x0380
IPRIORITYR: Final = 0x0400
ITARGETSR: Final = 0x0800
ICFGR: Final = 0x0C00
IGRPMODR: Final = 0x0D00
IROUTER: Final = 0x6000
PIDR2: Final = 0xFFE8

GICR_IIDR: Final = 0x0004
GICR_TYPER: Final = 0x0008
SGI_BASE: Final = 0x1_0000

CTLR_GROUP0: Final = 1 << 0
CTLR_GROUP1: Final = 1 << 1
CTLR_ARE: Final = 1 << 4
CTLR_DS: Final = 1 << 6

IIDR: Final = 0x43 << 24 | 0x43B
ARCH_GICV3: Final = 0x3B
_PRIORITIES: Final = 0xF8F8F8F8
_AFFINITIES: Final = 0xFF_00FF_FFFF
_U32: Final = 0xFFFF_FFFF


class _Frames:
    """Registers of 32 bits; 64-bit accesses are two of them, narrow ones reach priorities only."""

    size = 0

    def __init__(self, gic: VGic) -> None:
        self._gic = gic

    def read(self, offset: int, size: int) -> int:
        value = self._load(offset & ~3)
        if size == 8:
            return value | self._load((offset & ~7) + 4) << 32
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        if size < 4:
            self._narrow(offset, size, value)
        elif not offset & size - 1:
            self._store(offset, value & _U32)
            if size == 8:
                self._store(offset + 4, value >> 32)

    def _load(self, offset: int) -> int:
        raise NotImplementedError

    def _store(self, offset: int, value: int) -> None:
        raise NotImplementedError

    def _narrow(self, offset: int, size: int, value: int) -> None:
        raise NotImplementedError

    def _load_bank(self, bank: Bank, cpus: list[Vcpu], offset: int, valid: int) -> int:
        """The registers that SPIs and private interrupts have alike.  valid: the interrupts that `bank` has."""
        if IPRIORITYR <= offset < ITARGETSR:
            at = offset - IPRIORITYR
            return int.from_bytes(bank.priority[at : at + 4], "little") if valid >> at & 1 else 0
        if ICFGR <= offset < IGRPMODR:
            first = (offset - ICFGR) * 4
            return sum((bank.edge & valid) >> first + at << 2 * at + 1 & 2 << 2 * at for at in range(16))
        if not IGROUPR <= offset < IPRIORITYR:
            return 0
        register, shift = offset & ~0x7F, (offset & 0x7F) * 8
        if register == IGROUPR:
            value = bank.group1
        elif register in (ISENABLER, ICENABLER):
            value = bank.enabled
        elif register in (ISPENDR, ICPENDR):
            self._settle()
            value = bank.latch | bank.line & ~bank.edge
            for cpu in cpus:  # one that runs has them in its LRs
                for intid, lr in zip(cpu.ids, cpu.lrs, strict=False):
                    value |= (lr >> 62 & 1) << intid
        else:
            self._settle()
            value = 0
            for cpu in cpus:
                value |= cpu.active
        return (value & valid) >> shift & _U32

    def _store_bank(self, bank: Bank, cpus: list[Vcpu], offset: int, value: int, valid: int) -> None:
        if IPRIORITYR <= offset < ITARGETSR:
            at = offset - IPRIORITYR
            if valid >> at & 1:
                bank.priority[at : at + 4] = (value & _PRIORITIES).to_bytes(4, "little")
        elif ICFGR <= offset < IGRPMODR:
            self._configure(bank, (offset - ICFGR) * 4, value, valid)
        elif IGROUPR <= offset < IPRIORITYR:
            self._settle()
            self._store_bits(bank, cpus, offset & ~0x7F, value << (offset & 0x7F) * 8 & valid, offset)
        else:
            return
        self._gic.touch_all()

    def _configure(self, bank: Bank, first: int, value: int, valid: int) -> None:
        self._settle()
        for at in range(16):
            bit = 1 << first + at & valid
            bank.edge = bank.edge | bit if value >> 2 * at & 2 else bank.edge & ~bit

    def _store_bits(self, bank: Bank, cpus: list[Vcpu], register: int, bits: int, offset: int) -> None:
        if register == IGROUPR:
            whole = _U32 << (offset & 0x7F) * 8
            bank.group1 = bank.group1 & ~whole | bits
        elif register == ISENABLER:
            bank.enabled |= bits
        elif register == ICENABLER:
            bank.enabled &= ~bits
        elif register == ISPENDR:
            bank.latch |= bits
        elif register == ICPENDR:
            bank.latch &= ~bits
        elif register == ICACTIVER:
            for cpu in cpus:
                cpu.active &= ~bits
        else:
            held = 0
            for cpu in cpus:
                held |= cpu.active
            for cpu in cpus:
                cpu.active |= bits & ~held & (cpu.routed | _U32)

    def _settle(self) -> None:
        for cpu in self._gic.vcpus:
            if not cpu.running:
                self._gic.settle(cpu)


class Distributor(_Frames):
    """GICD_*: 64 KiB."""

    size = 0x1_0000

    def __init__(self, gic: VGic) -> None:
        super().__init__(gic)
        self._valid = (1 << gic.size) - 1 & ~_U32

    def _load(self, offset: int) -> int:
        gic = self._gic
        if offset == GICD_CTLR:
            return CTLR_DS | CTLR_ARE | gic.group1 << 1 | int(gic.group0)
        if offset == GICD_TYPER:
            # No1N: no "1 of N" routing; A3V; INTIDs of 10 bits.
            return 1 << 25 | 1 << 24 | 9 << 19 | (gic.size + 31) // 32 - 1
        if offset == GICD_IIDR:
            return IIDR
        if offset == PIDR2:
            return ARCH_GICV3
        if IROUTER <= offset < IROUTER + 8 * gic.size:
            intid = offset - IROUTER >> 3
            return gic.route[intid] >> 8 * (offset & 4) & _U32 if intid >= 32 else 0
        return self._load_bank(gic.shared, gic.vcpus, offset, self._valid)

    def _store(self, offset: int, value: int) -> None:
        gic = self._gic
        if offset == GICD_CTLR:
            gic.group0, gic.group1 = bool(value & CTLR_GROUP0), bool(value & CTLR_GROUP1)
            gic.touch_all()
        elif IROUTER <= offset < IROUTER + 8 * gic.size:
            intid = offset - IROUTER >> 3
            if intid >= 32:
                shift = 8 * (offset & 4)
                self._settle()
                gic.set_route(intid, (gic.route[intid] & ~(_U32 << shift) | value << shift) & _AFFINITIES)
        else:
            self._store_bank(gic.shared, gic.vcpus, offset, value, self._valid)

    def _narrow(self, offset: int, size: int, value: int) -> None:
        gic = self._gic
        if size == 1 and IPRIORITYR + 32 <= offset < IPRIORITYR + gic.size:
            gic.shared.priority[offset - IPRIORITYR] = value & 0xF8
            gic.touch_all()


class Redistributors(_Frames):
    """GICR_*: two frames of 64 KiB for each vCPU, one after the other.  They never sleep and have no LPIs."""

    def __init__(self, gic: VGic) -> None:
        super().__init__(gic)
        self.size = 2 * SGI_BASE * len(gic.vcpus)

    def _load(self, offset: int) -> int:
        index, at = divmod(offset, 2 * SGI_BASE)
        cpu = self._gic.vcpus[index]
        if at >= SGI_BASE:
            return self._load_bank(cpu, [cpu], at - SGI_BASE, _U32) if self._private(at - SGI_BASE) else 0
        if at == GICR_IIDR:
            return IIDR
        if at == GICR_TYPER:
            last = index == len(self._gic.vcpus) - 1
            return index << 8 | last << 4
        if at == GICR_TYPER + 4:
            return (cpu.affinity >> 32 & 0xFF) << 24 | cpu.affinity & 0xFF_FFFF
        return ARCH_GICV3 if at == PIDR2 else 0

    def _store(self, offset: int, value: int) -> None:
        index, at = divmod(offset, 2 * SGI_BASE)
        register = at - SGI_BASE
        if register >= 0 and self._private(register) and register != ICFGR:  # SGIs are edges
            cpu = self._gic.vcpus[index]
            self._store_bank(cpu, [cpu], register, value, _U32)

    def _narrow(self, offset: int, size: int, value: int) -> None:
        index, at = divmod(offset, 2 * SGI_BASE)
        if size == 1 and 0 <= at - SGI_BASE - IPRIORITYR < 32:
            cpu = self._gic.vcpus[index]
            cpu.priority[at - SGI_BASE - IPRIORITYR] = value & 0xF8
            cpu.changed = True

    @staticmethod
    def _private(register: int) -> bool:
        """Whether there is a register of the SGI frame: each has one word of bits, eight of priorities."""
        if IGROUPR <= register < IPRIORITYR:
            return not register & 0x7F
        return IPRIORITYR <= register < IPRIORITYR + 32 or register in (ICFGR, ICFGR + 4)
