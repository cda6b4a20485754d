# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's free pages."""

from __future__ import annotations

from machine.vmm.door import GRANULE
from machine.vmm.errors import NO_MEMORY, VmmError


class Pool:
    """Pages of [base, base + size), lowest first; pages given back are taken again before fresh ones.

    A page is zero when it is taken for the first time, and holds what was left there after that.
    """

    def __init__(self, base: int, size: int) -> None:
        self._next = base
        self._end = base + size
        self._free: list[int] = []

    @property
    def free(self) -> int:
        """Pages that can be taken."""
        return len(self._free) + (self._end - self._next) // GRANULE

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        return self.take_aligned(1)

    def take_aligned(self, count: int) -> int:
        """`count` fresh pages next to each other, aligned to their size; count is a power of two."""
        size = count * GRANULE
        base = -(-self._next // size) * size
        if base + size > self._end:
            raise VmmError("memory", NO_MEMORY, f"{count} more pages of 4 KiB are needed")
        self._free.extend(range(self._next, base, GRANULE))
        self._next = base + size
        return base

    def give(self, pa: int) -> None:
        self._free.append(pa)
