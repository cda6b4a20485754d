# SPDX-License-Identifier: GPL-2.0-or-later
"""PSTATE and SPSR_ELx by name (Arm ARM DDI 0487, C5.2.19)."""

from __future__ import annotations

from enum import IntEnum

from bridge.bitfields import Field, Register


class Mode(IntEnum):
    """M[4:0] of an AArch64 state: the exception level and the stack pointer in use."""

    EL0t = 0x0
    EL1t = 0x4
    EL1h = 0x5
    EL2t = 0x8
    EL2h = 0x9
    EL3t = 0xC
    EL3h = 0xD


class Pstate(Register):
    """The processor state as an SPSR holds it."""

    M = Field(4, 0, names=Mode)
    F = Field(6)
    I = Field(7)  # noqa: E741  (the architecture's name)
    A = Field(8)
    D = Field(9)
    BTYPE = Field(11, 10)
    SSBS = Field(12)
    ALLINT = Field(13)
    IL = Field(20)
    SS = Field(21)
    PAN = Field(22)
    UAO = Field(23)
    DIT = Field(24)
    TCO = Field(25)
    V = Field(28)
    C = Field(29)
    Z = Field(30)
    N = Field(31)

    @property
    def el(self) -> int:
        """The exception level, of an AArch64 state."""
        return self.value >> 2 & 3

    @property
    def aarch32(self) -> bool:
        return bool(self.value & 1 << 4)


def describe_pstate(value: int) -> str:
    """`EL1h nZCv DAIF PAN`: flags in capitals are set, of the masks and the rest only those that are set."""
    state = Pstate(value)
    mode = "AArch32" if state.aarch32 else _mode(state.M)
    flags = "".join(name if state.fields[name].get(value) else name.lower() for name in "NZCV")
    masks = "".join(name for name in "DAIF" if state.fields[name].get(value))
    rest = [
        name for name in ("PAN", "UAO", "DIT", "TCO", "SSBS", "ALLINT", "SS", "IL") if state.fields[name].get(value)
    ]
    if state.BTYPE:
        rest.append(f"BTYPE={state.BTYPE}")
    return " ".join([mode, flags, *([masks] if masks else []), *rest])


def _mode(number: int) -> str:
    try:
        return Mode(number).name
    except ValueError:
        return f"M={number:#x}"
