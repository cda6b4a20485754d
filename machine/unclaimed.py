# SPDX-License-Identifier: GPL-2.0-or-later
"""First accesses to addresses where the board has nothing: what a port to another board stumbles over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from machine.config.scalars import address_text

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.loading import Symbols

MAX_PAGES = 64
_PAGE_SHIFT = 12


class Touch(NamedTuple):
    """One access.  pa: physical address; size: bytes; pc: virtual address of the instruction; core: who did it."""

    pa: int
    size: int
    write: bool
    pc: int
    core: Core

    def describe(self, symbols: Symbols) -> str:
        """`write of 4 bytes at PA 0x1c13_0000 by normal world, PE 0, PC 0x88000010 <probe+0x10>`."""
        what = "write" if self.write else "read"
        where = symbols.symbolise(self.core, self.pc)
        plural = "s" if self.size != 1 else ""
        return f"{what} of {self.size} byte{plural} at PA {address_text(self.pa)} by {self.core.name}, PC {where}"


class Unclaimed:
    """The first access to each page that nothing answers at; at most MAX_PAGES of them are kept, all are counted."""

    def __init__(self) -> None:
        self.touches: list[Touch] = []
        self.count = 0
        self._pages: set[int] = set()

    def note(self, pa: int, size: int, write: bool, pc: int, core: Core) -> bool:
        """Notes an access; whether it is the first to its page (which a trace may show)."""
        self.count += 1
        page = pa >> _PAGE_SHIFT
        if page in self._pages or len(self.touches) >= MAX_PAGES:
            return False
        self._pages.add(page)
        self.touches.append(Touch(pa, size, write, pc, core))
        return True

    def report(self, symbols: Symbols) -> Iterator[str]:
        """Lines for a person; none where nothing was touched."""
        if not self.touches:
            return
        many = f", the first in each of {len(self.touches)} pages" if self.count > len(self.touches) else ""
        what = "1 access to an address" if self.count == 1 else f"{self.count:,} accesses to addresses"
        yield f"  {what} where the board has nothing{many}:"
        for touch in self.touches:
            yield f"    {touch.describe(symbols)}"
