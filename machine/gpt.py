# SPDX-License-Identifier: GPL-2.0-or-later
"""The granule protection table: levels 0 and 1 in Root memory, in the architecture's format.

The plugin walks the same bytes on every translation; nothing here keeps a second copy of a GPI.
Layout and parameters: rmm-abi.md §13.6.  Who may change what: §13.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.pas import GPI, PAS

GRANULE = 4096

# RMM-EL3 statuses (rmm-abi.md §13.1)
EL3_OK = 0
EL3_BAD_ADDR = -2
EL3_BAD_PAS = -3

_L0_BLOCK = 1
_L0_TABLE = 3
_TYPE_MASK = 0xF
_L1_ADDR_MASK = 0x000F_FFFF_FFFF_F000
_GPIS_PER_ENTRY = 16

# rmm-abi.md §13.7: the only changes that a world may ask the monitor for.
_MAY_CHANGE = frozenset(
    {
        (PAS.REALM, PAS.NON_SECURE, PAS.REALM),
        (PAS.REALM, PAS.REALM, PAS.NON_SECURE),
        (PAS.SECURE, PAS.NON_SECURE, PAS.SECURE),
        (PAS.SECURE, PAS.SECURE, PAS.NON_SECURE),
    }
)

Range = tuple[int, int, int]
"""(base PA, size in bytes, GPI or PAS), granule aligned."""


def _level0_bytes(pps_bits: int, l0_bits: int) -> int:
    return max(8 << max(pps_bits - l0_bits, 0), GRANULE)


def _level1_bytes(l0_bits: int) -> int:
    return 8 << (l0_bits - 16)


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _l0_regions(ranges: Iterable[Range], l0_bits: int) -> tuple[list[int], set[int]]:
    """Indices of level 0 regions: those that need a table, ascending; those all of which is ANY and nothing else."""
    touched: set[int] = set()
    open_: set[int] = set()
    for base, size, gpi in ranges:
        inside = range(_align(base, 1 << l0_bits) >> l0_bits, (base + size) >> l0_bits) if gpi == GPI.ANY else range(0)
        open_.update(inside)
        every = range(base >> l0_bits, ((base + size - 1) >> l0_bits) + 1)
        touched.update(region for region in every if region not in inside)
    return sorted(touched), open_ - touched


def bytes_needed(base: int, ranges: Iterable[Range], pps_bits: int, l0_bits: int) -> int:
    """Bytes of Root memory, counted from `base`, that the tables for `ranges` take up, alignment included."""
    top = _align(base, _level0_bytes(pps_bits, l0_bits)) + _level0_bytes(pps_bits, l0_bits)
    level1 = _level1_bytes(l0_bits)
    tables = len(_l0_regions(ranges, l0_bits)[0])
    return (_align(top, level1) + tables * level1 if tables else top) - base


class GranuleProtectionTable:
    """GPT of one machine, written into its Root region.

    memory: the whole Root region, writable, at least `bytes_needed()` long.  base: its PA; GPTBR_EL3 holds
    `l0_base`.  ranges: (base, size, GPI) of all memory and devices; what they leave out is NO_ACCESS.
    A level 0 region that none of them touches is a block, as is one that is all ANY: its granules cannot be
    transitioned (§13.6).
    """

    __slots__ = (
        "base",
        "l0_base",
        "pps_bits",
        "l0_bits",
        "pgs_bits",
        "end",
        "_open",
        "_words",
        "_region_mask",
        "_tables",
    )

    def __init__(
        self,
        memory: memoryview | bytearray,
        base: int,
        ranges: Iterable[Range],
        *,
        pps_bits: int = 40,
        l0_bits: int = 30,
    ) -> None:
        ranges = list(ranges)
        self.base = base
        self.pps_bits = pps_bits
        self.l0_bits = l0_bits
        self.pgs_bits = 12
        self._region_mask = (1 << l0_bits) - 1
        needed = bytes_needed(base, ranges, pps_bits, l0_bits)
        view = memoryview(memory).cast("B")
        if len(view) < needed:
            raise ValueError(f"the granule protection table needs {needed:#x} bytes, {len(view):#x} are there")
        self._words = view[: needed & ~7].cast("Q")
        self.end = base + needed
        self.l0_base = _align(base, _level0_bytes(pps_bits, l0_bits))
        l0_index = (self.l0_base - base) >> 3
        entries = 1 << max(pps_bits - l0_bits, 0)
        words = self._words
        for i in range(entries):
            words[l0_index + i] = _L0_BLOCK | GPI.NO_ACCESS << 4
        level1 = _level1_bytes(l0_bits)
        table = _align(self.l0_base + _level0_bytes(pps_bits, l0_bits), level1)
        # Index into `words` of each level 1 table.  Which region has one never changes after this.
        self._tables: dict[int, int] = {}
        tables, self._open = _l0_regions(ranges, l0_bits)
        for region in (*tables, *self._open):
            if region >= entries:
                raise ValueError(f"{region << l0_bits:#x} lies beyond the protected physical address size")
        for region in self._open:
            words[l0_index + region] = _L0_BLOCK | GPI.ANY << 4
        for region in tables:
            words[l0_index + region] = _L0_TABLE | table
            start = (table - base) >> 3
            self._tables[region] = start
            view[table - base : table - base + level1] = bytes(level1)
            table += level1
        for start_pa, size, gpi in ranges:
            self._fill(start_pa, size, gpi)

    def _fill(self, base: int, size: int, gpi: int) -> None:
        if base % GRANULE or size % GRANULE or size <= 0:
            raise ValueError(f"range {base:#x} + {size:#x} is not made of granules")
        span = GRANULE * _GPIS_PER_ENTRY
        pattern = int(gpi) * 0x1111_1111_1111_1111
        pa, end = base, base + size
        while pa < end:
            if pa >> self.l0_bits in self._open:
                pa = (pa | self._region_mask) + 1
                continue
            if pa % span or end - pa < span:
                self.set(pa, gpi)
                pa += GRANULE
                continue
            stop = min(end & ~(span - 1), (pa | self._region_mask) + 1)
            first = self._tables[pa >> self.l0_bits] + ((pa & self._region_mask) >> 16)
            count = (stop - pa) >> 16
            self._words[first : first + count] = memoryview(pattern.to_bytes(8, "little") * count).cast("Q")
            pa = stop

    def get(self, pa: int) -> GPI:
        """The GPI of the granule that holds `pa`; beyond the protected size everything is NO_ACCESS."""
        start = self._tables.get(pa >> self.l0_bits)
        if start is None:
            return GPI.ANY if pa >> self.l0_bits in self._open else GPI.NO_ACCESS
        entry = self._words[start + ((pa & self._region_mask) >> 16)]
        return GPI(entry >> (pa >> 10 & 0x3C) & 0xF)

    def set(self, pa: int, gpi: int) -> None:
        """Writes one GPI, and flushes nothing; LookupError when no level 1 table describes `pa`."""
        index = self._tables[pa >> self.l0_bits] + ((pa & self._region_mask) >> 16)
        shift = pa >> 10 & 0x3C
        words = self._words
        words[index] = words[index] & ~(0xF << shift) | gpi << shift

    def transition(self, pa: int, requester: int, to: int) -> int:
        """One granule changes hands at `requester`'s wish (a PAS; rmm-abi.md §13.7).

        Returns an RMM-EL3 status: 0; -2 when `pa` is not granule aligned, out of range or under a level 0
        block; -3 when this world may not ask for the change, or the GPI is not the one it starts from.
        """
        start = self._tables.get(pa >> self.l0_bits)
        if start is None or pa & 0xFFF:
            return EL3_BAD_ADDR
        index = start + ((pa & self._region_mask) >> 16)
        shift = pa >> 10 & 0x3C
        entry = self._words[index]
        if (requester, entry >> shift & 0xF, to) not in _MAY_CHANGE:
            return EL3_BAD_PAS
        self._words[index] = entry & ~(0xF << shift) | to << shift
        return EL3_OK

    def ranges(self) -> Iterator[tuple[int, int, GPI]]:
        """(base, end, GPI) of every maximal run that is not NO_ACCESS, ascending."""
        run_base, run_end, run_gpi = 0, 0, 0
        for base, size, gpi in self._pieces():
            if gpi != run_gpi or base != run_end:
                if run_gpi:
                    yield run_base, run_end, GPI(run_gpi)
                run_base, run_gpi = base, gpi
            run_end = base + size
        if run_gpi:
            yield run_base, run_end, GPI(run_gpi)

    def _pieces(self) -> Iterator[tuple[int, int, int]]:
        """(base, size, GPI) of all that level 1 tables and open blocks describe, ascending."""
        for region in sorted((*self._tables, *self._open)):
            pa = region << self.l0_bits
            if region in self._open:
                yield pa, 1 << self.l0_bits, GPI.ANY
                continue
            start = self._tables[region]
            for entry in self._words[start : start + (1 << (self.l0_bits - 16))]:
                uniform = entry & 0xF
                if entry == uniform * 0x1111_1111_1111_1111:
                    yield pa, GRANULE * _GPIS_PER_ENTRY, uniform
                else:
                    for i in range(_GPIS_PER_ENTRY):
                        yield pa + i * GRANULE, GRANULE, entry >> 4 * i & 0xF
                pa += GRANULE * _GPIS_PER_ENTRY
