# SPDX-License-Identifier: GPL-2.0-or-later
"""ID registers as a realm reads them: the host's, with what realms do not have masked out (rmm-abi.md §6.7, §12)."""

from __future__ import annotations

from collections.abc import Mapping


def _nibbles(*low_bits: int) -> int:
    """A mask of four-bit fields."""
    return sum(0xF << low for low in low_bits)


_SVE = _nibbles(32)
_PMUVER = _nibbles(8)
# Fields that read as zero.
_HIDDEN = {
    "ID_AA64PFR0_EL1": _nibbles(44, 40),  # AMU, MPAM
    "ID_AA64PFR1_EL1": _nibbles(8, 24, 16),  # MTE, SME, MPAM_frac
    # TraceVer, PMSS, SEBEP, CTX_CMPs, PMSVer, TraceFilt, TraceBuffer, BRBE, ExtTrcBuff
    "ID_AA64DFR0_EL1": _nibbles(4, 16, 24, 28, 32, 40, 44, 52, 56),
    "ID_AA64DFR1_EL1": _nibbles(48, 36),  # EBEP, ICNTR
}
_UNCHANGED = frozenset(
    {
        "MIDR_EL1",
        "REVIDR_EL1",
        "ID_AA64AFR0_EL1",
        "ID_AA64AFR1_EL1",
        "ID_AA64ISAR0_EL1",
        "ID_AA64ISAR1_EL1",
        "ID_AA64MMFR0_EL1",
        "ID_AA64MMFR1_EL1",
        "ID_AA64MMFR2_EL1",
    }
)
_MASK64 = (1 << 64) - 1


def realm_id_registers(host: Mapping[str, int], *, sve: bool = False, pmu: bool = False) -> dict[str, int]:
    """{register: value} for a realm, over the names in `host`; sve, pmu: the realm was created with it.

    Registers that are neither passed on nor masked read as zero, every AArch32 one among them.
    """
    out = {}
    for name, value in host.items():
        if name in _UNCHANGED:
            out[name] = value
        elif name in _HIDDEN:
            out[name] = value & _MASK64 & ~_HIDDEN[name]
        else:
            out[name] = value if name == "ID_AA64ZFR0_EL1" and sve else 0
    if not sve and "ID_AA64PFR0_EL1" in out:
        out["ID_AA64PFR0_EL1"] &= ~_SVE
    if not pmu and "ID_AA64DFR0_EL1" in out:
        out["ID_AA64DFR0_EL1"] &= ~_PMUVER
    return out
