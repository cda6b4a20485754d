# SPDX-License-Identifier: GPL-2.0-or-later
"""ID registers as a realm sees them (rmm-abi.md §6.7)."""

from __future__ import annotations

from typing import Mapping


def realm_id_registers(host: Mapping[str, int], *, sve: bool) -> dict[str, int]:
    values = dict(host)
    def clear(name: str, *fields: int) -> None:
        for low in fields:
            values[name] = values.get(name, 0) & ~(0xF << low)
    clear("ID_AA64PFR0_EL1", 44, 40)
    if not sve:
        clear("ID_AA64PFR0_EL1", 32)
        values["ID_AA64ZFR0_EL1"] = 0
    clear("ID_AA64PFR1_EL1", 8, 24)
    clear("ID_AA64DFR0_EL1", 4, 28, 32, 36, 40, 44, 52, 56)
    values["ID_AA64SMFR0_EL1"] = 0
    return values
