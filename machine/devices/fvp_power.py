# SPDX-License-Identifier: GPL-2.0-or-later
"""Power controller of Arm's Base FVP (Fast Models reference, "Base - power controller")."""

from __future__ import annotations

from enum import IntEnum

from .device import Power
from .registers import U32, Registers


class Reg(IntEnum):
    """Offsets.  What is written holds the affinity of a PE in its low 24 bits."""

    PPOFFR = 0x00
    PPONR = 0x04
    PCOFFR = 0x08
    PWKUPR = 0x0C
    PSYSR = 0x10


PWKUPR_WEN = 1 << 31

PSYSR_L2 = 1 << 31
PSYSR_L1 = 1 << 30
PSYSR_L0 = 1 << 29
PSYSR_WEN = 1 << 28
PSYSR_PC = 1 << 27
PSYSR_PP = 1 << 26
PSYSR_WK_SHIFT = 24
PSYSR_INVALID = U32

WK_COLD = 0
WK_RESET = 1
WK_PPONR = 2

_AFFINITY = 0xFF_FFFF


class _State:
    """What the controller knows of one PE."""

    __slots__ = ("cluster_off", "off", "wake", "wake_enable")

    def __init__(self, wake: int) -> None:
        self.off = False
        self.cluster_off = False
        self.wake_enable = False
        self.wake = wake


class FvpPower(Registers):
    """The controller of all PEs of the machine."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._start(WK_COLD)

    def reset(self) -> None:
        self._start(WK_RESET)

    def _start(self, wake: int) -> None:
        self._selected = PSYSR_INVALID
        self._states = {affinity: _State(wake) for affinity in self._power.affinities}

    def load(self, offset: int) -> int:
        return self._status(self._selected) if offset == Reg.PSYSR else 0

    def store(self, offset: int, value: int) -> None:
        affinity = value & _AFFINITY
        state = self._states.get(affinity)
        if offset == Reg.PSYSR:
            self._selected = affinity
        elif state is None:
            return
        elif offset == Reg.PPOFFR:
            state.off = True
            self._power.off(affinity)
        elif offset == Reg.PPONR:
            if not self._power.is_on(affinity):
                state.wake = WK_PPONR
            state.off = state.cluster_off = False
            self._power.on(affinity)
        elif offset == Reg.PCOFFR:
            state.cluster_off = True
        elif offset == Reg.PWKUPR:
            state.wake_enable = bool(value & PWKUPR_WEN)

    def _status(self, affinity: int) -> int:
        state = self._states.get(affinity)
        if state is None:
            return PSYSR_INVALID
        on = self._power.is_on(affinity)
        if not on:
            state.off = state.cluster_off = False
        value = state.wake << PSYSR_WK_SHIFT
        value |= PSYSR_L0 if on else 0
        value |= PSYSR_L1 if self._any_on(affinity, 8) else 0
        value |= PSYSR_L2 if self._any_on(affinity, 16) else 0
        value |= PSYSR_WEN if state.wake_enable else 0
        value |= PSYSR_PP if state.off else 0
        value |= PSYSR_PC if state.cluster_off else 0
        return value

    def _any_on(self, affinity: int, shift: int) -> bool:
        return any(a >> shift == affinity >> shift and self._power.is_on(a) for a in self._states)
