# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual GICv3 of a realm, KVM's role: interrupt state, list registers for REC_ENTER, SGIs, timers (IHI 0069).

Distributor and redistributors are emulated (machine.vmm.vgic_registers); the CPU interface is the hardware's, fed by
list registers (LRs) that the host hands to each RMI_REC_ENTER and gets back at each exit (rmm-abi.md §2.7, §7.3).

Sets of interrupts are integers with one bit an INTID: 0 to 31 in a vCPU's bank, from 32 on in the one of SPIs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .vgic_registers import Distributor, Redistributors

MAX_VCPUS: Final = 8
MAX_LRS: Final = 16
PRIORITY_MASK: Final = 0xF8
"""Five implemented bits of priority, as KVM and the RMM have it."""

PPI_PMU: Final = 23
PPI_VTIMER: Final = 27
PPI_PTIMER: Final = 30

# ICH_HCR_EL2
UIE: Final = 1 << 1
LRENPIE: Final = 1 << 2
NPIE: Final = 1 << 3
_EOICOUNT: Final = 27

# ICH_LR<n>_EL2
LR_EOI: Final = 1 << 41
LR_PRIORITY: Final = 48
LR_GROUP1: Final = 1 << 60
LR_PENDING: Final = 1 << 62
LR_ACTIVE: Final = 1 << 63
_INTID: Final = 0xFFFF_FFFF

Entry = tuple[int, tuple[int, ...]]
"""gicv3_hcr and the 16 gicv3_lrs of an RmiRecEnter."""

_NO_LRS: Final = (0,) * MAX_LRS
_SGIS: Final = 0xFFFF
_PRIVATE: Final = 0xFFFF_FFFF

# CRn, CRm and the rest of a trapped ICC_*SGI*R_EL1, as op2 in an ESR with EC 0x18; Rt is left out.
_ESR_SYSREG: Final = 0xFC3F_FC1F
_ESR_SGI: Final = {
    0x18 << 26 | 3 << 20 | 5 << 17 | 12 << 10 | 11 << 1: True,  # ICC_SGI1R_EL1
    0x18 << 26 | 3 << 20 | 6 << 17 | 12 << 10 | 11 << 1: False,  # ICC_ASGI1R_EL1
    0x18 << 26 | 3 << 20 | 7 << 17 | 12 << 10 | 11 << 1: False,  # ICC_SGI0R_EL1
}


def intids(mask: int) -> Iterator[int]:
    """The interrupts of a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Bank:
    """Interrupts and what is configured for them.  latch: pending by an edge, an SGI or a write; line: levels."""

    __slots__ = ("edge", "enabled", "group1", "latch", "line", "priority")

    def __init__(self, size: int, edge: int) -> None:
        self.enabled = self.group1 = self.latch = self.line = 0
        self.edge = edge
        self.priority = bytearray(size)


class Vcpu(Bank):
    """A vCPU: SGIs and PPIs, and the interrupts (SPIs too) that are active on it or in its LRs.

    lrs: as they were at the last exit, or are for the next entry; ids: the INTID in each that is in use.
    changed: the LRs must be made anew.  running: between fill and fold, the LRs are the hardware's.  ran: before the
    last fold.
    """

    __slots__ = (
        "active",
        "affinity",
        "changed",
        "entry",
        "ids",
        "levels",
        "listed",
        "lrs",
        "pmr",
        "ran",
        "routed",
        "running",
    )

    def __init__(self, affinity: int) -> None:
        super().__init__(32, _SGIS)
        self.affinity = affinity
        self.active = self.listed = self.routed = 0
        self.lrs: tuple[int, ...] = _NO_LRS
        self.ids: list[int] = []
        self.entry: Entry = (0, _NO_LRS)
        self.changed = False
        self.running = False
        self.ran = True
        self.levels = 0
        self.pmr = 0


class VGic:
    """affinities: MPIDR_EL1 affinity fields (Aff3 in [39:32]) of each vCPU.  spis: shared interrupts, from INTID 32
    on, rounded up to 32.  lrs: list registers that the RMM offers.

    The caller keeps this order at each exit: `fold`, `levels`, then the exit itself (MMIO,
    `sysreg`, devices), then `fill` and the next entry.
    """

    def __init__(self, affinities: Sequence[int], spis: int = 64, lrs: int = MAX_LRS) -> None:
        if not 0 < len(affinities) <= MAX_VCPUS or not 0 < lrs <= MAX_LRS or not 0 < spis <= 960:
            raise ValueError(f"{len(affinities)} vCPUs, {spis} SPIs, {lrs} LRs")
        self.num_lrs = lrs
        self.size = min(32 + -(-spis // 32) * 32, 1020)
        self.vcpus = [Vcpu(affinity) for affinity in affinities]
        self.shared = Bank(self.size, 0)
        self.group0 = self.group1 = False
        self.route = [0] * self.size
        for intid in range(32, self.size):
            self.set_route(intid, 0)
        self.distributor = Distributor(self)
        self.redistributors = Redistributors(self)

    # Inputs

    def set_line(self, intid: int, level: bool, vcpu: int | None = None) -> None:
        """The level of an interrupt line.  vcpu: whose, for PPIs (16 to 31)."""
        if intid < 32:
            if vcpu is None or intid < 16:
                raise ValueError(f"INTID {intid} is no shared interrupt")
            bank: Bank = self.vcpus[vcpu]
        else:
            bank = self.shared
        bit = 1 << intid
        if level:
            if bank.line & bit:
                return
            bank.line |= bit
            if bank.edge & bit:
                bank.latch |= bit
        else:
            bank.line &= ~bit
        if intid < 32:
            self.vcpus[vcpu or 0].changed = True
        else:
            self._touch(bit)

    def levels(self, vcpu: int, cntp_ctl: int, cntv_ctl: int, pmu: int = 0) -> None:
        """The vCPU's own wires by an exit: timer CTLs with ENABLE and ISTATUS without IMASK; the PMU's overflow."""
        state = (cntv_ctl & 7 == 5) << PPI_VTIMER | (cntp_ctl & 7 == 5) << PPI_PTIMER | bool(pmu) << PPI_PMU
        cpu = self.vcpus[vcpu]
        if state == cpu.levels or not cpu.ran:
            return
        before, cpu.levels = cpu.levels, state
        for intid in intids(before ^ state):
            self.set_line(intid, bool(state >> intid & 1), vcpu)

    def sysreg(self, vcpu: int, esr: int, value: int) -> bool:
        """A trapped system register access.  value: gprs[0] of the exit.  False: not one of the GIC's."""
        group1 = _ESR_SGI.get(esr & _ESR_SYSREG)
        if group1 is None:
            return False
        self.sgi(vcpu, value, group1)
        return True

    def sgi(self, vcpu: int, value: int, group1: bool = True) -> None:
        """ICC_SGI1R_EL1 (IHI 0069 §12.2.18).  group1: whether it may generate Group 1 interrupts."""
        bit = 1 << (value >> 24 & 0xF)
        if value >> 40 & 1:  # IRM: all but self
            targets = [cpu for at, cpu in enumerate(self.vcpus) if at != vcpu]
        else:
            cluster = (value >> 48 & 0xFF) << 32 | (value >> 32 & 0xFF) << 16 | (value >> 16 & 0xFF) << 8
            first = (value >> 44 & 0xF) * 16  # RS
            targets = [
                cpu
                for cpu in self.vcpus
                if cpu.affinity & ~0xFF == cluster
                and 0 <= (cpu.affinity & 0xFF) - first < 16
                and value >> (cpu.affinity & 0xFF) - first & 1
            ]
        for cpu in targets:
            if group1 or not cpu.group1 & bit:
                cpu.latch |= bit
                cpu.changed = True

    def set_route(self, intid: int, value: int) -> None:
        """GICD_IROUTER<n>: Aff3.Aff2.Aff1.Aff0; an affinity that no vCPU has leaves the interrupt pending."""
        self.route[intid] = value
        bit = 1 << intid
        for cpu in self.vcpus:
            cpu.routed = cpu.routed | bit if cpu.affinity == value else cpu.routed & ~bit
            cpu.changed = True

    # Entries and exits

    def fill(self, vcpu: int) -> Entry:
        """gicv3_hcr and gicv3_lrs for the next RMI_REC_ENTER."""
        cpu = self.vcpus[vcpu]
        cpu.running = True
        if cpu.changed:
            self._make(cpu)
        return cpu.entry

    def fold(self, vcpu: int, hcr: int, lrs: tuple[int, ...], misr: int, vmcr: int) -> None:
        """Takes back what an RmiRecExit reports."""
        cpu = self.vcpus[vcpu]
        cpu.running = False
        # VFIQEn is RES1: nothing at all is what an exit reports whose realm did not run (rmm-abi.md §4.9), timers too.
        cpu.ran = bool(vmcr) or any(lrs)
        if not cpu.ran:
            return
        cpu.pmr = vmcr >> 24 & 0xFF
        if lrs != cpu.lrs:
            self._take_back(cpu, lrs)
        if hcr >> _EOICOUNT:
            self._drop(cpu, hcr >> _EOICOUNT & 0x1F)

    def pending(self, vcpu: int) -> bool:
        """Whether an interrupt waits that would end the vCPU's WFI: one above its priority mask."""
        cpu = self.vcpus[vcpu]
        if not cpu.changed:
            pmr = cpu.pmr
            return any(lr & LR_PENDING and lr >> LR_PRIORITY & 0xFF < pmr for lr in cpu.lrs[: len(cpu.ids)])
        if not cpu.running:
            self.settle(cpu)
        return any(self._priority(cpu, intid) < cpu.pmr for intid in intids(self._ready(cpu)))

    def _touch(self, mask: int) -> None:
        """SPIs changed: their vCPUs need other LRs."""
        for cpu in self.vcpus:
            if (cpu.routed | cpu.listed | cpu.active) & mask:
                cpu.changed = True

    def touch_all(self) -> None:
        for cpu in self.vcpus:
            cpu.changed = True

    def _priority(self, cpu: Vcpu, intid: int) -> int:
        return (cpu if intid < 32 else self.shared).priority[intid]

    def _ready(self, cpu: Vcpu) -> int:
        """What the distributor may send to this vCPU now, beside what its LRs hold."""
        shared = self.shared
        mine = cpu.routed
        edge = cpu.edge | shared.edge
        group1 = cpu.group1 | shared.group1
        pending = cpu.latch | shared.latch & mine | (cpu.line | shared.line & mine) & ~edge
        ready = pending & (cpu.enabled | shared.enabled)
        if not self.group1:
            ready &= ~group1
        if not self.group0:
            ready &= group1
        # A level that is active is looked at again once it is not.
        ready &= ~(cpu.active & ~edge)
        if len(self.vcpus) > 1 and ready > _PRIVATE:
            for other in self.vcpus:
                if other is not cpu:
                    ready &= ~((other.active | other.listed) & ~_PRIVATE)
        return ready

    def _make(self, cpu: Vcpu) -> None:
        self.settle(cpu)
        cpu.changed = False
        ready, active = self._ready(cpu), cpu.active
        if not ready | active:
            cpu.lrs = _NO_LRS
            cpu.entry = (0, _NO_LRS)
            return
        # Active ones first: their end must find them.  Then by priority, and by number among equals.
        chosen = sorted(
            intids(ready | active), key=lambda intid: (not active >> intid & 1, self._priority(cpu, intid), intid)
        )
        hcr = 0
        if len(chosen) > self.num_lrs:
            left = chosen[self.num_lrs :]
            del chosen[self.num_lrs :]
            hcr = self._overflow(ready, active, chosen, left)
        shared = self.shared
        lrs = []
        for intid in chosen:
            bit = 1 << intid
            bank = cpu if intid < 32 else shared
            lr = intid | bank.priority[intid] << LR_PRIORITY
            if bank.group1 & bit:
                lr |= LR_GROUP1
            if active & bit:
                lr |= LR_ACTIVE
            if ready & bit:
                lr |= LR_PENDING
                if bank.edge & bit:
                    bank.latch &= ~bit
            if bank.line & bit and not bank.edge & bit:
                lr |= LR_EOI
            lrs.append(lr)
            cpu.listed |= bit
        cpu.ids = chosen
        cpu.lrs = (*lrs, *_NO_LRS[len(lrs) :])
        cpu.entry = (hcr, cpu.lrs)

    @staticmethod
    def _overflow(ready: int, active: int, chosen: list[int], left: list[int]) -> int:
        """What makes the realm exit once there is room for the others; never what would be true at once."""
        hcr = 0
        if any(ready >> intid & 1 for intid in left):
            if len(chosen) > 1:
                hcr |= UIE
            if any(ready >> intid & 1 for intid in chosen):
                hcr |= NPIE
        if any(active >> intid & 1 for intid in left):
            hcr |= LRENPIE
        return hcr

    def settle(self, cpu: Vcpu) -> None:
        """Takes the state of the LRs back; not while the vCPU runs."""
        if cpu.ids:
            self._take_back(cpu, cpu.lrs)

    def _take_back(self, cpu: Vcpu, lrs: tuple[int, ...]) -> None:
        listed = cpu.listed
        for intid, lr in zip(cpu.ids, lrs, strict=False):
            bit = 1 << intid
            bank = cpu if intid < 32 else self.shared
            if lr & LR_ACTIVE:
                cpu.active |= bit
            else:
                cpu.active &= ~bit
            if bank.edge & bit:
                if lr & LR_PENDING:
                    bank.latch |= bit
            elif not lr & LR_PENDING:
                bank.latch &= ~bit
        cpu.ids = []
        cpu.listed = 0
        cpu.lrs = _NO_LRS
        cpu.changed = True
        if listed > _PRIVATE and len(self.vcpus) > 1:
            self._touch(listed & ~_PRIVATE)

    def _drop(self, cpu: Vcpu, count: int) -> None:
        """EOIcount: the realm ended interrupts that were in no LR, the highest priority first."""
        unlisted = sorted(intids(cpu.active & ~cpu.listed), key=lambda intid: (self._priority(cpu, intid), intid))
        for intid in unlisted[:count]:
            cpu.active &= ~(1 << intid)
        cpu.changed = True
