# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical memory: RAM regions that the engines map and Python reads, and the Normal-world view of them."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterator

from bridge.pas import PAS

GRANULE_SIZE = 4096


class BusError(Exception):
    """An access to a PA that no RAM backs."""

    def __init__(self, pa: int) -> None:
        super().__init__(f"no memory at PA {pa:#x}")
        self.pa = pa


class Region:
    """One stretch of RAM.  base and size in bytes, both multiples of 4 KiB; zero at the start unless `fill`."""

    __slots__ = ("base", "bytes", "end", "fill", "mapping", "name", "pas", "retain", "size", "words")

    def __init__(self, name: str, base: int, size: int, pas: PAS, *, fill: int = 0, retain: bool = False) -> None:
        self.name = name
        self.base = base
        self.size = size
        self.end = base + size
        self.pas = pas
        self.fill = fill
        self.retain = retain
        # NORESERVE: gigabytes of DRAM cost only the pages that are touched.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self.mapping = mmap.mmap(-1, size, flags=flags)
        self.bytes = memoryview(self.mapping)
        self.words = self.bytes.cast("Q")
        if fill:
            self.bytes[:] = bytes([fill]) * size

    def zero(self) -> None:
        """Nothing but zeros, whatever `fill` is."""
        self.mapping.madvise(mmap.MADV_DONTNEED)

    def clear(self) -> None:
        """Back to what it holds at power-on."""
        self.zero()
        if self.fill:
            self.bytes[:] = bytes([self.fill]) * self.size


class PhysicalMemory:
    """All RAM of a machine by physical address, with no check of who asks: for Root, tools and the loader."""

    def __init__(self, regions: list[Region]) -> None:
        self.regions = sorted(regions, key=lambda r: r.base)
        self._bases = [r.base for r in self.regions]
        self._last = self.regions[0]

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    def region(self, pa: int, size: int = 1) -> Region:
        """The region that holds all of [pa, pa + size); BusError where there is none."""
        last = self._last
        if last.base <= pa and pa + size <= last.end:
            return last
        at = bisect_right(self._bases, pa) - 1
        if at >= 0:
            region = self.regions[at]
            if pa + size <= region.end:
                self._last = region
                return region
        raise BusError(pa)

    def read(self, pa: int, size: int) -> bytes:
        region = self._last
        if not (region.base <= pa and pa + size <= region.end):
            region = self.region(pa, size)
        offset = pa - region.base
        return bytes(region.bytes[offset : offset + size])

    def write(self, pa: int, data: bytes) -> None:
        region, size = self._last, len(data)
        if not (region.base <= pa and pa + size <= region.end):
            region = self.region(pa, size)
        offset = pa - region.base
        region.bytes[offset : offset + size] = data

    def read64(self, pa: int) -> int:
        """The aligned 64-bit word at a PA."""
        last = self._last
        if not last.base <= pa < last.end:
            last = self.region(pa, 8)
        return last.words[(pa - last.base) >> 3]

    def write64(self, pa: int, value: int) -> None:
        last = self._last
        if not last.base <= pa < last.end:
            last = self.region(pa, 8)
        last.words[(pa - last.base) >> 3] = value

    def is_ram(self, pa: int, size: int = 1) -> bool:
        try:
            self.region(pa, size)
        except BusError:
            return False
        return True
