# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU that a machine presents: ID registers derived from the engine's and from the machine's features.

What the machine emulates itself is shown, what nobody emulates is hidden, whatever the engine claims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridge.core import sysreg

ID_REGISTERS = {
    "MIDR_EL1": sysreg(3, 0, 0, 0, 0),
    "REVIDR_EL1": sysreg(3, 0, 0, 0, 6),
    "ID_AA64PFR0_EL1": sysreg(3, 0, 0, 4, 0),
    "ID_AA64PFR1_EL1": sysreg(3, 0, 0, 4, 1),
    "ID_AA64ZFR0_EL1": sysreg(3, 0, 0, 4, 4),
    "ID_AA64SMFR0_EL1": sysreg(3, 0, 0, 4, 5),
    "ID_AA64DFR0_EL1": sysreg(3, 0, 0, 5, 0),
    "ID_AA64DFR1_EL1": sysreg(3, 0, 0, 5, 1),
    "ID_AA64AFR0_EL1": sysreg(3, 0, 0, 5, 4),
    "ID_AA64AFR1_EL1": sysreg(3, 0, 0, 5, 5),
    "ID_AA64ISAR0_EL1": sysreg(3, 0, 0, 6, 0),
    "ID_AA64ISAR1_EL1": sysreg(3, 0, 0, 6, 1),
    "ID_AA64ISAR2_EL1": sysreg(3, 0, 0, 6, 2),
    "ID_AA64MMFR0_EL1": sysreg(3, 0, 0, 7, 0),
    "ID_AA64MMFR1_EL1": sysreg(3, 0, 0, 7, 1),
    "ID_AA64MMFR2_EL1": sysreg(3, 0, 0, 7, 2),
}
MPIDR_ENCODING = sysreg(3, 0, 0, 0, 5)

PMUV3P7 = 7
PARANGE = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6}


class Features(Protocol):
    """The part of `machine.config` that the ID registers depend on."""

    @property
    def pauth(self) -> bool: ...
    @property
    def sve(self) -> bool: ...
    @property
    def hafdbs(self) -> str: ...
    @property
    def rndr(self) -> bool: ...
    @property
    def lse(self) -> bool: ...
    @property
    def pan(self) -> bool: ...
    @property
    def crypto(self) -> bool: ...
    @property
    def fp16(self) -> bool: ...
    @property
    def pmu(self) -> bool: ...


def _set(value: int, low: int, field: int) -> int:
    return value & ~(0xF << low) | field << low


def id_registers(
    engine: Callable[[int], int], features: Features, pa_bits: int, *, gic: bool = False
) -> dict[str, int]:
    """Values of the ID registers by name; a register that is not in the result reads as zero.

    engine: the engine's own value of an encoding.  gic: the machine has a GICv3 with system registers.
    """
    values = {name: engine(encoding) for name, encoding in ID_REGISTERS.items()}

    pfr0 = values["ID_AA64PFR0_EL1"]
    for low in (0, 4, 8, 12):
        pfr0 = _set(pfr0, low, 1)  # EL0..EL3: AArch64 only
    if not features.fp16:
        pfr0 = _set(_set(pfr0, 16, 0), 20, 0)
    for low in (24, 28, 36, 40, 44, 48, 56, 60):  # GIC, RAS, SEL2, MPAM, AMU, DIT, CSV2, CSV3
        pfr0 = _set(pfr0, low, 0)
    if gic:
        pfr0 = _set(pfr0, 24, 1)
    if not features.sve:
        pfr0 = _set(pfr0, 32, 0)
    values["ID_AA64PFR0_EL1"] = _set(pfr0, 52, 1)  # RME: the granule protection check is ours

    pfr1 = values["ID_AA64PFR1_EL1"]
    for low in (0, 8, 12, 16, 24):  # BT, MTE, RAS_frac, MPAM_frac, SME
        pfr1 = _set(pfr1, low, 0)
    values["ID_AA64PFR1_EL1"] = pfr1

    dfr0 = values["ID_AA64DFR0_EL1"]
    for low in (4, 8, 32, 36, 40, 44, 48, 52, 56, 60):  # all but DebugVer, BRPs, WRPs, CTX_CMPs
        dfr0 = _set(dfr0, low, 0)
    dfr0 = _set(dfr0, 36, 0xF)  # no Double Lock: OSDLR_EL1 is RES0
    values["ID_AA64DFR0_EL1"] = _set(dfr0, 8, PMUV3P7 if features.pmu else 0)
    values["ID_AA64DFR1_EL1"] = 0

    isar0 = values["ID_AA64ISAR0_EL1"]
    isar0 = _set(_set(isar0, 56, 0), 24, 0)  # TLBI range and outer shareable; TME
    if not features.rndr:
        isar0 = _set(isar0, 60, 0)
    if not features.lse:
        isar0 = _set(isar0, 20, 0)
    if not features.crypto:
        for low in (4, 8, 12, 32, 36, 40):
            isar0 = _set(isar0, low, 0)
    values["ID_AA64ISAR0_EL1"] = isar0

    isar1 = values["ID_AA64ISAR1_EL1"]
    if not features.pauth:
        for low in (4, 8, 24, 28):  # APA, API, GPA, GPI
            isar1 = _set(isar1, low, 0)
    values["ID_AA64ISAR1_EL1"] = isar1
    values["ID_AA64ISAR2_EL1"] = 0

    large = pa_bits == 52  # FEAT_LPA, FEAT_LPA2, FEAT_LVA
    mmfr0 = _set(values["ID_AA64MMFR0_EL1"], 0, PARANGE[pa_bits])
    for low, field in ((20, 2 if large else 1), (24, 0), (28, 1 if large else 0), (32, 0), (36, 0), (40, 0)):
        mmfr0 = _set(mmfr0, low, field)  # TGran16, 64, 4; stage 2 (TGran*_2) has what stage 1 has
    values["ID_AA64MMFR0_EL1"] = mmfr0
    mmfr1 = _set(values["ID_AA64MMFR1_EL1"], 0, {"none": 0, "af": 1, "dirty": 2}[features.hafdbs])
    mmfr1 = _set(mmfr1, 8, 1)  # VH
    if not features.pan:
        mmfr1 = _set(mmfr1, 20, 0)
    values["ID_AA64MMFR1_EL1"] = mmfr1
    mmfr2 = _set(values["ID_AA64MMFR2_EL1"], 40, 1)  # FWB: realms depend on it
    mmfr2 = _set(mmfr2, 16, 1 if large else 0)  # VARange
    values["ID_AA64MMFR2_EL1"] = _set(_set(mmfr2, 48, 0), 24, 0)  # TTL-hinted TLBI as plain; NV
    if not features.sve:
        values["ID_AA64ZFR0_EL1"] = 0
    values["ID_AA64SMFR0_EL1"] = 0
    return values
