# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's GICv3 (IHI 0069): what the root firmware, devices, the RMM and a debugger do with it.

Its frames and system registers are answered within the plugin; cores take its interrupts by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core import Board, Core, EngineError
from bridge.plugin import ffi, lib

FRAME = 0x1_0000
STRIDE = 2 * FRAME
MAX_PES = int(lib.GIC_MAX_PES)
MAX_SPIS = int(lib.GIC_MAX_SPIS)
MAX_LIST_REGISTERS = int(lib.GIC_MAX_LRS)
GROUPS = ("Group 0", "Secure Group 1", "Non-secure Group 1")


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The state of one interrupt.  priority: as the Secure side sees it.  route: GICD_IROUTER, of an SPI."""

    intid: int
    group: int  # index into GROUPS
    enabled: bool
    pending: bool
    active: bool
    edge: bool
    level: bool
    priority: int
    route: int


@dataclass(frozen=True, slots=True)
class VirtualInterface:
    """A context's virtual CPU interface, by the names of ICH_*_EL2 (IHI 0069, 12.4)."""

    hcr: int
    misr: int
    vmcr: int
    lrs: tuple[int, ...]
    ap0r0: int
    ap1r0: int


class Gic:
    """The GIC of a board, made before any core of it.

    mpidrs: of the PEs, in the order of their redistributors.  dist, redist: PAs, in steps of 64 KiB.  stride: bytes
    from one redistributor to the next.  spis: how many, from INTID 32.  virtual_only: a machine without a GIC, whose
    realms have virtual CPU interfaces all the same.  maintenance: with their maintenance interrupts, never masked.
    """

    def __init__(
        self,
        board: Board,
        mpidrs: Sequence[int],
        *,
        dist: int,
        redist: int,
        stride: int = STRIDE,
        spis: int = 96,
        list_registers: int = 4,
        virtual_only: bool = False,
        maintenance: bool = False,
    ) -> None:
        if len(mpidrs) > MAX_PES:
            raise EngineError(f"a GIC of {len(mpidrs)} PEs: {MAX_PES} are the most")
        config = ffi.new("struct gic_config *")
        config.npes = len(mpidrs)
        config.mpidr = list(mpidrs)
        config.dist, config.redist, config.stride = dist, redist, stride
        config.spis, config.list_registers = spis, list_registers
        config.virtual_only, config.maintenance = virtual_only, maintenance
        if lib.cca_machine_add_gic(board.handle, config) != 0:
            raise EngineError(f"a GIC with its distributor at {dist:#x} and redistributors at {redist:#x} cannot be")
        self.board = board
        self.npes = len(mpidrs)
        self.intids = 32 + spis
        self.frames = ((dist, FRAME), (redist, stride * self.npes))
        self._value = ffi.new("uint64_t *")
        self._values = ffi.new("uint64_t[]", 5 + MAX_LIST_REGISTERS)
        self._irq = ffi.new("struct gic_irq *")

    def reset(self) -> None:
        """As out of reset: everything is Secure Group 0, disabled, and the redistributors sleep."""
        lib.cca_gic_reset(self.board.handle)

    def handoff(self) -> None:
        """What EL3 firmware leaves: all interrupts are the Normal world's, the Secure groups are enabled."""
        lib.cca_gic_handoff(self.board.handle)

    def power(self, pe: int, on: bool) -> None:
        """A PE comes up with the CPU interface that EL3 firmware gives it, or goes down and takes no interrupts."""
        if lib.cca_gic_power(self.board.handle, pe, on) != 0:
            raise IndexError(f"PE {pe} of {self.npes}")

    def hold_secure(self, pe: int, on: bool) -> None:
        """Secure interrupts of a PE stay pending and are not signalled, while nobody can take them."""
        if lib.cca_gic_hold_secure(self.board.handle, pe, on) != 0:
            raise IndexError(f"PE {pe} of {self.npes}")

    def set_line(self, intid: int, level: bool) -> None:
        """A device's wire to an SPI."""
        if lib.cca_gic_set_line(self.board.handle, intid, level) != 0:
            raise IndexError(f"INTID {intid} is no SPI of this GIC")

    def set_ppi(self, pe: int, intid: int, level: bool) -> None:
        """A PE's own wire to a PPI, INTIDs 16 to 31; those of the timers and of maintenance are the plugin's."""
        if lib.cca_gic_set_ppi(self.board.handle, pe, intid, level) != 0:
            raise IndexError(f"INTID {intid} of PE {pe} is no PPI of this GIC")

    def read(self, pa: int, size: int = 4, *, secure: bool = True) -> int | None:
        """A register of a frame; None where no frame is."""
        if lib.cca_gic_access(self.board.handle, pa, size, secure, False, self._value) != 0:
            return None
        return int(self._value[0])

    def write(self, pa: int, value: int, size: int = 4, *, secure: bool = True) -> bool:
        self._value[0] = value
        return not lib.cca_gic_access(self.board.handle, pa, size, secure, True, self._value)

    def read_icc(self, pe: int, encoding: int) -> int | None:
        """ICC_* of a PE as EL3 reads it; IAR0 and IAR1 acknowledge.  None where that is UNDEFINED."""
        if lib.cca_gic_root(self.board.handle, pe, encoding, False, self._value) != 0:
            return None
        return int(self._value[0])

    def write_icc(self, pe: int, encoding: int, value: int) -> bool:
        self._value[0] = value
        return not lib.cca_gic_root(self.board.handle, pe, encoding, True, self._value)

    def interrupt(self, intid: int, pe: int = 0) -> Interrupt:
        """pe: whose, of INTIDs below 32."""
        irq = self._irq
        if lib.cca_gic_inspect(self.board.handle, pe, intid, irq) != 0:
            raise IndexError(f"INTID {intid} of PE {pe}")
        return Interrupt(
            intid,
            irq.group,
            bool(irq.enabled),
            bool(irq.pending),
            bool(irq.active),
            bool(irq.edge),
            bool(irq.level),
            irq.priority,
            irq.route,
        )

    def interrupts(self, pe: int = 0) -> list[Interrupt]:
        """Those that are enabled, pending or active: the SGIs and PPIs of one PE, then all SPIs."""
        found = (self.interrupt(intid, pe) for intid in range(self.intids))
        return [irq for irq in found if irq.enabled or irq.pending or irq.active]

    def virtual(self, core: Core) -> VirtualInterface:
        lib.cca_gic_save(core.handle, self._values)
        hcr, misr, vmcr, *lrs, ap0r0, ap1r0 = ffi.unpack(self._values, 5 + MAX_LIST_REGISTERS)
        return VirtualInterface(hcr, misr, vmcr, tuple(lrs), ap0r0, ap1r0)

    def load_virtual(self, core: Core, hcr: int, lrs: Sequence[int]) -> None:
        """ICH_HCR_EL2 and the list registers of a context, as the RMM loads them; VMCR and APRs stay the context's."""
        lib.cca_gic_load(core.handle, hcr, len(lrs), lrs)
