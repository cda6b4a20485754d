# SPDX-License-Identifier: GPL-2.0-or-later
"""The Root world's monitor (EL3): routes each SMC by the caller's world and function id, owns the GPT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from machine.end import GUEST_EXIT, End

if TYPE_CHECKING:
    from machine.machine import Machine

UNKNOWN = (1 << 64) - 1
SVE_HINT = 1 << 16

SMCCC_VERSION = 0x8000_0000
SMCCC_ARCH_FEATURES = 0x8000_0001
SMCCC_1_2 = 0x10002
PSCI_VERSION = 0x8400_0000
PSCI_SYSTEM_OFF = 0x8400_0008
PSCI_FEATURES = 0x8400_000A
PSCI_1_1 = 0x10001
FFA_FIRST, FFA_LAST = 0x8400_0060, 0x8400_00FF
FFA_ANY = 1 << 30 | SVE_HINT  # SMC64, SVE hint
RMI_FIRST, RMI_LAST = 0xC400_0150, 0xC400_018E


class Monitor:
    """SMCs of the Normal world.  Registers that a call does not define as results are preserved (SMCCC 1.2 §2)."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._rmi = machine.rmm.rmi

    def normal(self, x: Sequence[int]) -> tuple[int, ...]:
        """One SMC of the Normal world, X0..X7 in; the values of X0.. out (as many as change)."""
        fid = x[0] & 0xFFFF_FFFF
        if RMI_FIRST <= fid & ~SVE_HINT <= RMI_LAST:
            return self._rmi(x)
        if FFA_FIRST <= fid & ~FFA_ANY <= FFA_LAST and (secure := self._machine.secure) is not None:
            return secure.smc(0, x)
        return self._own(fid, x)

    def _own(self, fid: int, x: Sequence[int]) -> tuple[int, ...]:
        calls = self._machine.calls
        match fid:
            case 0x8000_0000:
                result = SMCCC_1_2
            case 0x8000_0001:
                result = 0 if x[1] & 0xFFFF_FFFF in (SMCCC_VERSION, SMCCC_ARCH_FEATURES) else UNKNOWN
            case 0x8400_0000:
                result = PSCI_1_1
            case 0x8400_0008:
                calls.monitor(fid, x, 0)
                raise End(GUEST_EXIT, "PSCI_SYSTEM_OFF by the Normal world", code=0, core=self._machine.host)
            case 0x8400_000A:
                known = (PSCI_VERSION, PSCI_SYSTEM_OFF, PSCI_FEATURES, SMCCC_VERSION)
                result = 0 if x[1] & 0xFFFF_FFFF in known else UNKNOWN
            case _:
                result = UNKNOWN
        calls.monitor(fid, x, result)
        return (result,)
