# SPDX-License-Identifier: GPL-2.0-or-later
"""The realm's memory as devices reach it: what it shares, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machine.vmm.door import GRANULE
from machine.vmm.ports import GuestFault

if TYPE_CHECKING:
    from machine.vmm.door import Door
    from machine.vmm.memory import RealmMemory


class SharedMemory:
    """machine.vmm.ports.GuestMemory: pages that the realm gave up, by their unprotected IPAs.

    A bare IPA of the protected half is what a driver has that does not go through the DMA API.
    """

    def __init__(self, door: Door, memory: RealmMemory) -> None:
        self._door = door
        self._memory = memory

    def _page(self, ipa: int) -> int:
        page = self._memory.shared_page(ipa)
        if page is None:
            if self._memory.index(ipa) is None:
                raise GuestFault(ipa, "not RAM")
            raise GuestFault(ipa, "protected" if not ipa & self._memory.shared_bit else "not shared")
        return page + ipa % GRANULE

    def read(self, ipa: int, size: int) -> bytes:
        first = min(size, GRANULE - ipa % GRANULE)
        if first == size:
            return self._door.read(self._page(ipa), size) if size else b""
        parts = [self._door.read(self._page(ipa), first)]
        for at in range(first, size, GRANULE):
            parts.append(self._door.read(self._page(ipa + at), min(GRANULE, size - at)))
        return b"".join(parts)

    def write(self, ipa: int, data: bytes) -> None:
        size = len(data)
        at, spans = 0, []
        while at < size:
            count = min(size - at, GRANULE - (ipa + at) % GRANULE)
            spans.append((self._page(ipa + at), at, count))
            at += count
        for pa, start, count in spans:
            self._door.write(pa, data[start : start + count])
