# SPDX-License-Identifier: GPL-2.0-or-later
"""Semihosting of the Normal world (HLT #0xF000): console and exit, as Arm's semihosting specification numbers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.pas import PAS
from machine.end import GUEST_EXIT, End

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.machine import Machine

SYS_WRITEC = 0x03
SYS_WRITE0 = 0x04
SYS_EXIT = 0x18
SYS_EXIT_EXTENDED = 0x20
ADP_STOPPED_APPLICATION_EXIT = 0x20026
MAX_STRING = 65536
FAILURE = (1 << 64) - 1


class Semihosting:
    """Answers the calls of one machine; guest memory is reached as the caller reaches it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def call(self, core: Core) -> None:
        """Carries out the call at the core's PC and steps over it; raises End for the exits."""
        operation, parameter = core.exit.x[0] & 0xFFFF_FFFF, core.exit.x[1]
        result = 0
        if operation in (SYS_EXIT, SYS_EXIT_EXTENDED):
            raise self._exit(core, parameter)
        if operation == SYS_WRITEC:
            byte = self._read(core, parameter, 1)
            if byte is None:
                result = FAILURE
            else:
                self._machine.console("NS").write(byte)
        elif operation == SYS_WRITE0:
            self._machine.console("NS").write(self._string(core, parameter))
        else:
            self._machine.calls.event("semihosting", f"operation {operation:#x} is not supported: -1")
            result = FAILURE
        core.set_x(0, [result])
        core.pc = core.pc + 4

    def _exit(self, core: Core, parameter: int) -> End:
        block = self._read(core, parameter, 16)
        if block is None:
            return End(GUEST_EXIT, "semihosting exit, its block is not readable", code=1, core=core)
        reason = int.from_bytes(block[:8], "little")
        code = int.from_bytes(block[8:], "little")
        if reason != ADP_STOPPED_APPLICATION_EXIT:
            return End(GUEST_EXIT, f"semihosting exit, reason {reason:#x}", code=1, core=core)
        return End(GUEST_EXIT, f"the host ended with {code}", code=code & 0xFF, core=core)

    def _string(self, core: Core, va: int) -> bytes:
        out = bytearray()
        while len(out) < MAX_STRING:
            byte = self._read(core, va + len(out), 1)
            if byte in (None, b"\0"):
                break
            out += byte or b""
        return bytes(out)

    def _read(self, core: Core, va: int, size: int) -> bytes | None:
        out = b""
        while len(out) < size:
            at = core.translate(va + len(out))
            if at is None:
                return None
            pa, pas = at
            take = min(size - len(out), 4096 - (pa & 0xFFF))
            if self._machine.board.refused(pa, take, PAS(pas)) is not None:
                return None
            out += self._machine.memory.read(pa, take)
        return out
