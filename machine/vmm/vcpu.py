# SPDX-License-Identifier: GPL-2.0-or-later
"""One vCPU of a realm: registers until it is finalized, a REC from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machine.vmm.errors import FINALIZED, PSTATE, REGISTER, VmmError

if TYPE_CHECKING:
    from rmm.frame import Frame

GPRS = 8
PSTATE_RESET = 0x3C5


def mpidr_of(index: int) -> int:
    """RmiRecMpidr of the REC with an index (rmm-abi.md §11.8)."""
    return index & 0xF | (index >> 4 & 0xFF) << 8 | (index >> 12 & 0xFF) << 16 | (index >> 20 & 0xFF) << 24


class Vcpu:
    """mpidr: RmiRecMpidr.  runnable: the REC is entered when it is created as such, or turned on later.

    rec, run, aux: PAs once it is finalized.  entry: its REC_ENTER while the machine's turn is over.
    request: (PSCI function, target MPIDR) that waits for an answer.  waiting: in WFI or suspended.
    """

    def __init__(self, index: int, *, runnable: bool) -> None:
        self.index = index
        self.mpidr = mpidr_of(index)
        self.runnable = runnable
        self.gprs = [0] * GPRS
        self.pc: int | None = None
        self.rec = self.run = 0
        self.aux: list[int] = []
        self.finalized = False
        self.on = runnable
        self.waiting = False
        self.wake_at = 0  # instruction count at which a timer ends the waiting
        self.entry: Frame | None = None
        self.request: tuple[int, int] | None = None
        self.entries = 0
        self.flags = 0

    def set_register(self, number: int, value: int) -> None:
        """X0 to X7 at the first instruction."""
        if self.finalized:
            raise VmmError("set_register", FINALIZED)
        if not 0 <= number < GPRS:
            raise VmmError("set_register", REGISTER, f"X{number}")
        self.gprs[number] = value & (1 << 64) - 1

    def set_pc(self, value: int) -> None:
        """IPA of the first instruction."""
        if self.finalized:
            raise VmmError("set_pc", FINALIZED)
        self.pc = value & (1 << 64) - 1

    def set_pstate(self, value: int) -> None:
        """Only the one that a REC starts with."""
        if self.finalized:
            raise VmmError("set_pstate", FINALIZED)
        if value != PSTATE_RESET:
            raise VmmError("set_pstate", PSTATE, f"{value:#x}")
