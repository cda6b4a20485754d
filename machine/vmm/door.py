# SPDX-License-Identifier: GPL-2.0-or-later
"""The VMM's way into the machine: SMCs through the monitor, memory through the Normal-world view.  Nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.pas import PAS
from machine.vmm.errors import REFUSED, VmmError

if TYPE_CHECKING:
    from machine.machine import Machine
    from rmm.abi.call import Call

SUCCESS = 0
ERROR_RTT = 4
GRANULE = 4096


class HostMemoryFault(Exception):
    """The host reached for memory that is not the Normal world's: a granule protection fault."""

    def __init__(self, pa: int) -> None:
        super().__init__(f"granule protection fault at PA {pa:#x}")
        self.pa = pa


class Door:
    """What firmware at NS-EL2 could do, and no more."""

    def __init__(self, machine: Machine) -> None:
        self.wire(machine)

    def wire(self, machine: Machine) -> None:
        self._machine = machine
        self._board = machine.board

    def smc(self, fid: int, *arguments: int) -> tuple[int, ...]:
        """X0.. of one SMC; empty when a REC was entered and is preempted."""
        return self._machine.monitor.normal((fid, *arguments, *(0,) * (7 - len(arguments))))

    def call(self, decl: Call, *arguments: int) -> tuple[int, ...]:
        """The outputs of a call that must succeed; VmmError with the condition that failed."""
        result = self.smc(decl.fid, *arguments)
        if result[0] != SUCCESS:
            raise VmmError(decl.name, REFUSED, self.explain())
        return result[1:]

    def explain(self) -> str:
        """The last call as the trace shows it, with its status and the name of its condition."""
        from machine.trace import describe

        return describe(self._machine.calls.ring[-1])[1]

    def read(self, pa: int, size: int) -> bytes:
        data = self._board.read_as(PAS.NON_SECURE, pa, size)
        if data is None:
            raise HostMemoryFault(self._board.bad)
        return data

    def write(self, pa: int, data: bytes) -> None:
        if not self._board.write_as(PAS.NON_SECURE, pa, data):
            raise HostMemoryFault(self._board.bad)
