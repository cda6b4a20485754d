# SPDX-License-Identifier: GPL-2.0-or-later
"""The GIC unit with short names for its registers; no engine."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.core import sysreg
from tests.plugin._units import units

SECURE, NS, EL3 = 0, 1, 2
DIST, REDIST, STRIDE = 0x0800_0000, 0x080A_0000, 0x2_0000
NONE = 1023


def _icc(crm: int, op2: int) -> int:
    return sysreg(3, 0, 12, crm, op2)


def _ich(crm: int, op2: int) -> int:
    return sysreg(3, 4, 12, crm, op2)


PMR = sysreg(3, 0, 4, 6, 0)
IAR0, EOIR0, HPPIR0, BPR0, AP0R0 = (_icc(8, n) for n in range(5))
AP1R0 = _icc(9, 0)
DIR, RPR, SGI1R, ASGI1R, SGI0R = _icc(11, 1), _icc(11, 3), _icc(11, 5), _icc(11, 6), _icc(11, 7)
IAR1, EOIR1, HPPIR1, BPR1, CTLR, SRE, IGRPEN0, IGRPEN1 = (_icc(12, n) for n in range(8))
SRE_EL2 = sysreg(3, 4, 12, 9, 5)
CTLR_EL3, SRE_EL3, IGRPEN1_EL3 = (sysreg(3, 6, 12, 12, n) for n in (4, 5, 7))
HCR, VTR, MISR, EISR, ELRSR, VMCR = (_ich(11, n) for n in (0, 1, 2, 3, 5, 7))
ICH_AP0R0, ICH_AP1R0 = _ich(8, 0), _ich(9, 0)


def LR(n: int) -> int:
    return _ich(12 + n // 8, n % 8)


# distributor offsets (IHI 0069, 12.8); in SGI_base the same from 0x10000
CTLR_D, TYPER_D, IIDR_D = 0x0, 0x4, 0x8
IGROUPR, ISENABLER, ICENABLER, ISPENDR, ICPENDR, ISACTIVER, ICACTIVER = range(0x080, 0x400, 0x80)
IPRIORITYR, ICFGR, IGRPMODR, NSACR, IROUTER = 0x400, 0xC00, 0xD00, 0xE00, 0x6000
WAKER, TYPER_R, SGI_BASE, PIDR2 = 0x14, 0x8, 0x1_0000, 0xFFE8


class Undefined(Exception):
    """The access is UNDEFINED."""


class Gic:
    """A GIC whose firmware has done nothing yet; `booted` as EL3 firmware and a Normal-world OS leave it."""

    def __init__(
        self, mpidr: Sequence[int] = (0, 1), *, spis: int = 64, list_registers: int = 4, stride: int = STRIDE
    ) -> None:
        self._units = units()
        ffi, self.lib = self._units.ffi, self._units.lib
        config = ffi.new("struct gic_config *")
        config.npes, config.spis, config.list_registers = len(mpidr), spis, list_registers
        config.mpidr = list(mpidr)
        config.dist, config.redist, config.stride = DIST, REDIST, stride
        self.stride = stride
        self.gic = ffi.new("struct gic *")
        if self.lib.gic_init(self.gic, config):
            raise ValueError("refused")
        self.virt = ffi.new("struct gic_virt *")
        self._value = ffi.new("uint64_t *")
        self.pes = range(len(mpidr))

    @classmethod
    def booted(cls, mpidr: Sequence[int] = (0, 1), **options: int) -> Gic:
        gic = cls(mpidr, **options)
        gic.lib.gic_handoff(gic.gic)
        gic.write(DIST + CTLR_D, 2)
        for pe in gic.pes:
            gic.lib.gic_power(gic.gic, pe, True)
            gic.set(pe, PMR, 0xF0)
            gic.set(pe, IGRPEN1, 1)
        return gic

    def read(self, pa: int, size: int = 4, *, secure: bool = False) -> int:
        self._value[0] = 0x5A5A_5A5A_5A5A_5A5A
        assert self.lib.gic_access(self.gic, pa, size, secure, True, self._value)
        return int(self._value[0])

    def write(self, pa: int, value: int, size: int = 4, *, secure: bool = False) -> None:
        self._value[0] = value
        assert self.lib.gic_access(self.gic, pa, size, secure, False, self._value)

    def bank(self, register: int, intid: int, pe: int = 0) -> int:
        """PA of the 32-bit register of one bit an interrupt that holds `intid`."""
        if intid < 32:
            return REDIST + pe * self.stride + SGI_BASE + register
        return DIST + register + intid // 32 * 4

    def bit(self, register: int, intid: int, pe: int = 0, *, secure: bool = True) -> int:
        return self.read(self.bank(register, intid, pe), secure=secure) >> intid % 32 & 1

    def poke(self, register: int, intid: int, pe: int = 0, *, secure: bool = True) -> None:
        """Writes the one bit of `intid`, as the set and clear registers want it."""
        self.write(self.bank(register, intid, pe), 1 << intid % 32, secure=secure)

    def priority(self, intid: int, value: int, pe: int = 0, *, secure: bool = True) -> None:
        base = REDIST + pe * self.stride + SGI_BASE if intid < 32 else DIST
        self.write(base + IPRIORITYR + intid, value, 1, secure=secure)

    def group(self, intid: int, group: int, pe: int = 0) -> None:
        """0: Group 0, 1: Secure Group 1, 2: Non-secure Group 1."""
        for register, on in ((IGROUPR, group == 2), (IGRPMODR, group == 1)):
            pa, bit = self.bank(register, intid, pe), 1 << intid % 32
            old = self.read(pa, secure=True)
            self.write(pa, old | bit if on else old & ~bit, secure=True)

    def edge(self, intid: int, pe: int = 0) -> None:
        base = REDIST + pe * self.stride + SGI_BASE if intid < 32 else DIST
        pa = base + ICFGR + intid // 16 * 4
        self.write(pa, self.read(pa, secure=True) | 2 << intid % 16 * 2, secure=True)

    def line(self, intid: int, level: int, pe: int = 0) -> None:
        assert self.lib.gic_set_line(self.gic, pe, intid, bool(level)) == 0

    def get(self, pe: int, encoding: int, state: int = NS) -> int:
        self._value[0] = 0x5A5A_5A5A_5A5A_5A5A
        if not self.lib.gic_icc(self.gic, pe, state, True, encoding, True, self._value):
            raise Undefined
        return int(self._value[0])

    def set(self, pe: int, encoding: int, value: int, state: int = NS) -> None:
        self._value[0] = value
        if not self.lib.gic_icc(self.gic, pe, state, True, encoding, False, self._value):
            raise Undefined

    def lines(self, pe: int = 0, *, secure: bool = False) -> int:
        """1: IRQ, 2: FIQ."""
        return int(self.lib.gic_lines(self.gic, pe, secure))

    def ich(self, encoding: int, value: int | None = None) -> int:
        """Reads, or with a value writes, an ICH register."""
        self._value[0] = value or 0
        if not self.lib.gic_ich(self.gic, self.virt, encoding, value is None, self._value):
            raise Undefined
        return int(self._value[0])

    def icv(self, encoding: int, value: int | None = None, pe: int = 0) -> int:
        self._value[0] = value or 0
        if not self.lib.gic_icv(self.gic, pe, self.virt, encoding, value is None, self._value):
            raise Undefined
        return int(self._value[0])

    def virtual_lines(self) -> int:
        return int(self.lib.gic_virtual_lines(self.gic, self.virt))

    def maintenance(self) -> bool:
        return bool(self.lib.gic_maintenance(self.gic, self.virt))
