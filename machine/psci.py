# SPDX-License-Identifier: GPL-2.0-or-later
"""PSCI for the Normal world (DEN0022, 1.1), as the Root world's monitor offers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bridge.pas import PAS
from machine.end import GUEST_EXIT, End, Reset
from machine.pe import Mode, Pe
from rmm.abi import psci as abi
from rmm.abi.values import AffinityState, PsciStatus

if TYPE_CHECKING:
    from machine.machine import Machine

MASK64 = (1 << 64) - 1
AFFINITY = 0xFF_00FF_FFFF
MIGRATE_INFO_TYPE = 0x8400_0006
NO_MIGRATION = 2  # there is no Trusted OS that would have to migrate
POWER_DOWN = 1 << 16  # power_state, original format (§5.4.2)
POWER_STATE_VALID = 0x0301_FFFF
# Bits of MPIDR_EL1 above which affinity level n's are
_LEVEL_SHIFT = (0, 8, 16, 32)

Answer = tuple[int, str | None]
"""(X0 or status, name of the condition that failed)"""
NOTHING = (0, None)


class NormalPsci:
    """Power control of the machine's PEs.

    `call` returns None where the caller does not go on: it is off, or asleep until an interrupt.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._calls: dict[int, Callable[[Sequence[int]], Answer | None]] = {
            abi.VERSION.fid: lambda x: (abi.VERSION_1_1, None),
            abi.CPU_SUSPEND.fid: self._cpu_suspend,
            abi.CPU_OFF.fid: self._cpu_off,
            abi.CPU_ON.fid: self._cpu_on,
            abi.AFFINITY_INFO.fid: self._affinity_info,
            MIGRATE_INFO_TYPE: lambda x: (NO_MIGRATION, None),
            abi.SYSTEM_OFF.fid: self._system_off,
            abi.SYSTEM_RESET.fid: self._system_reset,
            abi.FEATURES.fid: self._features,
        }
        for decl in (abi.CPU_SUSPEND, abi.CPU_ON, abi.AFFINITY_INFO):
            assert decl.fid32 is not None
            self._calls[decl.fid32] = self._calls[decl.fid]

    def call(self, fid: int, x: Sequence[int]) -> Answer | None:
        """One call; KeyError where there is no such function."""
        function = self._calls[fid]
        if not fid >> 30 & 1:
            x = [value & 0xFFFF_FFFF for value in x]
        return function(x)

    def __contains__(self, fid: int) -> bool:
        return fid in self._calls

    def _features(self, x: Sequence[int]) -> Answer:
        fid = x[1] & 0xFFFF_FFFF
        return NOTHING if fid in self._calls or fid == abi.SMCCC_VERSION.fid else (PsciStatus.NOT_SUPPORTED, None)

    def _find(self, target: int) -> Pe | None:
        return next((pe for pe in self._machine.pes if pe.mpidr == target), None)

    def _enterable(self, entry: int) -> bool:
        """An entry point that the Normal world can fetch from."""
        return entry & 3 == 0 and self._machine.board.refused(entry, 4, PAS.NON_SECURE) is None

    def _cpu_on(self, x: Sequence[int]) -> Answer:
        pe = self._find(x[1])
        if pe is None:
            return PsciStatus.INVALID_PARAMETERS, "target_bound"
        if not self._enterable(x[2]):
            return PsciStatus.INVALID_ADDRESS, "entry_point"
        if pe.on:
            return PsciStatus.ALREADY_ON, "target_on"
        self._machine.power_on(pe, x[2], x[3])
        return NOTHING

    def _cpu_off(self, x: Sequence[int]) -> None:
        machine = self._machine
        machine.pe.mode = Mode.OFF
        if machine.gic is not None:
            machine.gic.power(machine.pe.index, False)

    def _cpu_suspend(self, x: Sequence[int]) -> Answer | None:
        if x[1] & ~POWER_STATE_VALID:
            return PsciStatus.INVALID_PARAMETERS, "power_state"
        pe = self._machine.pe
        if x[1] & POWER_DOWN:
            if not self._enterable(x[2]):
                return PsciStatus.INVALID_ADDRESS, "entry_point"
            pe.resume_at = (x[2], x[3])
        else:
            pe.normal.set_x(0, [0])
        self._machine.wait(pe.normal)
        return None

    def _affinity_info(self, x: Sequence[int]) -> Answer:
        target, level = x[1], x[2]
        if level > 3:
            return PsciStatus.INVALID_PARAMETERS, "level_valid"
        shift = _LEVEL_SHIFT[level]
        found = [pe for pe in self._machine.pes if pe.mpidr >> shift == target >> shift]
        if not found or target & ~AFFINITY:
            return PsciStatus.INVALID_PARAMETERS, "target_bound"
        return (AffinityState.ON if any(pe.on for pe in found) else AffinityState.OFF), None

    def _system_off(self, x: Sequence[int]) -> Answer:
        machine = self._machine
        machine.calls.monitor(abi.SYSTEM_OFF.fid, x, 0)
        raise End(GUEST_EXIT, "PSCI_SYSTEM_OFF by the Normal world", code=0, core=machine.running)

    def _system_reset(self, x: Sequence[int]) -> Answer:
        self._machine.calls.monitor(abi.SYSTEM_RESET.fid, x, 0)
        raise Reset("PSCI_SYSTEM_RESET by the Normal world")
