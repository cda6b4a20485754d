# SPDX-License-Identifier: GPL-2.0-or-later
"""What the protocol needs of whatever is debugged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

# GDB's own feature: X0 to X30, SP, PC, CPSR, in this order
CORE = (*((f"x{n}", 64) for n in range(31)), ("sp", 64), ("pc", 64), ("cpsr", 32))
PC = 32


class Thread(NamedTuple):
    """number: from 1 on, stable while it lives.  name: world and exception level."""

    number: int
    name: str


class Debuggee(Protocol):
    """Registers are numbered: those of CORE, then `system`."""

    @property
    def system(self) -> Sequence[str]:
        """Names of the system registers, 64 bits each."""
        ...

    def threads(self) -> list[Thread]: ...
    def current(self) -> int:
        """The thread that stopped, or the one whose turn it is."""
        ...

    def registers(self, thread: int) -> list[int | None]:
        """All of them; None for one that this thread does not have."""
        ...

    def set_register(self, thread: int, index: int, value: int) -> bool: ...
    def read(self, thread: int, va: int, size: int) -> bytes | None:
        """As much as can be read from there; None when that is nothing."""
        ...

    def write(self, thread: int, va: int, data: bytes) -> bool: ...
    def set_breakpoints(self, addresses: frozenset[int]) -> None: ...
    def set_watch(self, va: int, size: int, *, read: bool, write: bool, on: bool) -> bool: ...
    def step(self, thread: int) -> None: ...
    def monitor(self, thread: int, line: str) -> str: ...
    def detach(self) -> None:
        """Nothing stops it any more."""
        ...
