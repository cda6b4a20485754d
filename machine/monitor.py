# SPDX-License-Identifier: GPL-2.0-or-later
"""The Root world's monitor (EL3): routes each SMC by the caller's world and function id, owns the GPT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from machine.psci import MASK64, NormalPsci

if TYPE_CHECKING:
    from machine.machine import Machine

UNKNOWN = MASK64
SVE_HINT = 1 << 16

SMCCC_VERSION = 0x8000_0000
SMCCC_ARCH_FEATURES = 0x8000_0001
SMCCC_1_2 = 0x10002
FFA_FIRST, FFA_LAST = 0x8400_0060, 0x8400_00FF
FFA_ANY = 1 << 30 | SVE_HINT  # SMC64, SVE hint
RMI_FIRST, RMI_LAST = 0xC400_0150, 0xC400_018E


class Monitor:
    """SMCs of the Normal world.  Registers that a call does not define as results are preserved (SMCCC 1.2 §2)."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._rmi = machine.rmm.rmi
        self._psci = NormalPsci(machine)

    def normal(self, x: Sequence[int]) -> tuple[int, ...]:
        """One SMC of the Normal world, X0..X7 in; the values of X0.. out (as many as change).

        Nothing comes out when the Normal world of this PE does not go on: a REC runs there, it is off or asleep.
        """
        fid = x[0] & 0xFFFF_FFFF
        if RMI_FIRST <= fid & ~SVE_HINT <= RMI_LAST:
            return self._rmi(x)
        if FFA_FIRST <= fid & ~FFA_ANY <= FFA_LAST and (secure := self._machine.secure) is not None:
            return secure.smc(self._machine.pe, x)
        return self._own(fid, x)

    def _own(self, fid: int, x: Sequence[int]) -> tuple[int, ...]:
        calls = self._machine.calls
        condition = None
        if fid in self._psci:
            answer = self._psci.call(fid, x)
            if answer is None:
                calls.monitor(fid, x, 0)
                return ()
            result, condition = answer
        elif fid == SMCCC_VERSION:
            result = SMCCC_1_2
        elif fid == SMCCC_ARCH_FEATURES:
            result = 0 if x[1] & 0xFFFF_FFFF in (SMCCC_VERSION, SMCCC_ARCH_FEATURES) else UNKNOWN
        else:
            result = UNKNOWN
        result &= MASK64
        calls.monitor(fid, x, result, condition)
        return (result,)
