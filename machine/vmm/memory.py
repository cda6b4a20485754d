# SPDX-License-Identifier: GPL-2.0-or-later
"""A realm's memory as its host keeps it: which page of the host stands behind which page of RAM."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from machine.vmm.door import ERROR_RTT, GRANULE, SUCCESS, Door
from machine.vmm.errors import NO_SOURCE, POPULATED, RANGE, REFUSED, VmmError
from machine.vmm.pool import Pool
from rmm.abi import rmi
from rmm.abi.values import DataMeasure

if TYPE_CHECKING:
    from machine.vmm.options import RealmOptions

# State of a page of RAM, in the low bits of its entry; above them the PA of the host's page.
NONE = 0  # the realm's, nothing there yet
DATA = 1  # a DATA granule
SHARED = 2  # a page of the host's that belongs to the shared alias
MAPPED = 3  # the same, mapped there
EMPTY = 4  # given up by the realm, nothing there yet
GIVEN = 5  # given up by the realm, still a DATA granule: it comes back wiped when somebody looks
STATE = 7

# Stage-2 descriptor of an unprotected page as RTT_MAP_UNPROTECTED takes it: Normal write-back (FWB), S2AP
_DESC_NORMAL = 0x6 << 2
_DESC_READ, _DESC_WRITE = 1 << 6, 1 << 7
_ZERO = bytes(GRANULE)
_AROUND = 512  # pages that one demand fault brings at most
_RESERVE = 4096  # pages of the pool that are for what is asked for, tables among it


class RealmMemory:
    """rd: the realm.  The RTT calls create the tables that they find missing.

    pages: for each page of RAM a PA with one of the states above.
    """

    def __init__(self, door: Door, pool: Pool, rd: int, options: RealmOptions, start_level: int) -> None:
        self._door = door
        self._pool = pool
        self._rd = rd
        self._start_level = start_level
        self.base = options.ram_base
        self.size = options.memory
        self.end = self.base + self.size
        self.shared_bit = options.shared_bit
        self.pages = array("Q", bytes(8 * (options.memory // GRANULE)))
        self._scratch = pool.take()
        self.tables = 0
        self._after, self._window = -1, 0  # the page after the last demand fault's, and how many that brought

    # Pages by IPA

    def index(self, ipa: int) -> int | None:
        """Number of the page that a protected IPA or its alias lies in; None for what is not RAM."""
        offset = (ipa & ~self.shared_bit) - self.base
        return offset // GRANULE if 0 <= offset < self.size else None

    def numbers(self, base: int, top: int) -> range:
        """Numbers of the pages of RAM in [base, top)."""
        base, top = max(base, self.base), min(top, self.end)
        first = (base - self.base) // GRANULE
        return range(first, first + max(top - base, 0) // GRANULE)

    def _range(self, verb: str, base: int, size: int) -> range:
        if base % GRANULE or size % GRANULE or size <= 0 or base < self.base or base + size > self.end:
            raise VmmError(verb, RANGE, f"{base:#x} + {size:#x}")
        first = (base - self.base) // GRANULE
        return range(first, first + size // GRANULE)

    # Granules

    def granule(self) -> int:
        """A page of the pool, delegated."""
        pa = self._pool.take()
        self._door.call(rmi.GRANULE_DELEGATE, pa)
        return pa

    def give_granule(self, pa: int) -> None:
        self._door.call(rmi.GRANULE_UNDELEGATE, pa)
        self._pool.give(pa)

    # Tables

    def extend(self, ipa: int, level: int) -> None:
        """One table below the entry of `level` that translates `ipa`."""
        self._door.call(rmi.RTT_CREATE, self._rd, self.granule(), ipa & -(1 << 39 - 9 * level), level + 1)
        self.tables += 1

    def _try(self, fid: int, ipa: int, *arguments: int) -> tuple[int, ...]:
        """An RTT call about `ipa`, which is one of its arguments, with the tables that it needs; X0.. of it."""
        smc = self._door.smc
        while True:
            result = smc(fid, self._rd, *arguments)
            level = result[0] >> 8 & 0xFF
            if result[0] & 0xFF != ERROR_RTT or level >= 3:
                return result
            self.extend(ipa, level)

    def _walked(self, verb: str, fid: int, ipa: int, *arguments: int) -> tuple[int, ...]:
        """The same for a call that must succeed."""
        result = self._try(fid, ipa, *arguments)
        if result[0] != SUCCESS:
            raise VmmError(verb, REFUSED, self._door.explain())
        return result

    # Before activation

    def init_ripas(self, base: int, size: int) -> None:
        """Makes [base, base + size) RAM."""
        self._range("init_ripas", base, size)
        top = base + size
        while base < top:
            base = self._walked("init_ripas", rmi.RTT_INIT_RIPAS.fid, base, base, top)[1]

    def write_shared(self, ipa: int, data: bytes) -> None:
        """Content of pages at the shared alias of RAM, before or while the realm runs; whole pages."""
        pages = self._range("write_shared", ipa & ~self.shared_bit, -(-len(data) // GRANULE) * GRANULE)
        taken = [i for i in pages if self.pages[i] & STATE == DATA]
        if taken:
            raise VmmError("write_shared", POPULATED, f"{self.base + taken[0] * GRANULE:#x} is the realm's own")
        for at, i in enumerate(pages):
            self._door.write(self._share(i), data[at * GRANULE : (at + 1) * GRANULE].ljust(GRANULE, b"\0"))

    def _share(self, i: int) -> int:
        """The host's page behind page `i` of RAM, made if need be."""
        entry = self.entry(i)
        if entry in (NONE, EMPTY):
            pa = self._pool.take()
            self._door.write(pa, _ZERO)
            self.pages[i] = pa | SHARED
            return pa
        return entry & ~STATE

    def entry(self, i: int) -> int:
        """PA and state of page `i`, which is the host's by now if the realm gave it up."""
        entry = self.pages[i]
        if entry & STATE != GIVEN:
            return entry
        pa = entry & ~STATE
        self._door.call(rmi.DATA_DESTROY, self._rd, self.base + i * GRANULE)
        self._door.call(rmi.GRANULE_UNDELEGATE, pa)
        self.pages[i] = pa | SHARED
        return pa | SHARED

    def populate(self, ipa: int, pages: Iterator[bytes] | None, count: int, *, measure: bool) -> Iterator[int]:
        """DATA_CREATE for `count` pages from `ipa`; yields the number done after each.

        pages: their content; None for what stands at the shared alias, whose pages go back to the pool.
        """
        wanted = self._range("populate", ipa, count * GRANULE)
        for i in wanted:
            state = self.pages[i] & STATE
            if state == DATA:
                raise VmmError("populate", POPULATED, f"{self.base + i * GRANULE:#x}")
            if pages is None and state != SHARED:
                raise VmmError("populate", NO_SOURCE, f"{self.base + i * GRANULE:#x}")
        flags = DataMeasure.MEASURE_CONTENT if measure else DataMeasure.NO_MEASURE_CONTENT
        scratch, write = self._scratch, self._door.write
        for done, i in enumerate(wanted, 1):
            source = scratch
            if pages is None:
                source = self.pages[i] & ~STATE
            else:
                write(scratch, next(pages))
            data, at = self.granule(), self.base + i * GRANULE
            self._walked("populate", rmi.DATA_CREATE.fid, at, data, at, source, flags)
            if self.pages[i] & STATE == SHARED:
                self._pool.give(self.pages[i] & ~STATE)
            self.pages[i] = data | DATA
            yield done

    # While the realm runs

    def fault_in(self, i: int) -> None:
        """A page for a protected IPA that the realm touched: its content is zero.

        A realm that goes through its RAM in order gets more pages ahead with each fault, until one is not missing.
        """
        self.take_back(i)
        self._window = min(2 * self._window, _AROUND) if i == self._after else 1
        end = min(i + self._window, len(self.pages), i + max(self._pool.free - _RESERVE, 1))
        self._after = i
        while self._after < end and self.pages[self._after] == NONE:
            ipa, pa = self.base + self._after * GRANULE, self.granule()
            self._walked("fault", rmi.DATA_CREATE_UNKNOWN.fid, ipa, pa, ipa)
            self.pages[self._after] = pa | DATA
            self._after += 1

    def map(self, i: int, *, writable: bool = True) -> None:
        """Maps the host's page of page `i` at the shared alias."""
        if self.pages[i] & STATE == MAPPED:
            return
        pa = self._share(i)
        ipa = self.base + i * GRANULE | self.shared_bit
        descriptor = _DESC_NORMAL | _DESC_READ | (_DESC_WRITE if writable else 0)
        self._walked("map", rmi.RTT_MAP_UNPROTECTED.fid, ipa, ipa, 3, pa | descriptor)
        self.pages[i] = pa | MAPPED

    def unmap(self, i: int) -> None:
        """Takes the shared alias's mapping away; the page and its content stay the host's."""
        entry = self.pages[i]
        if entry & STATE == MAPPED:
            self._door.call(rmi.RTT_UNMAP_UNPROTECTED, self._rd, self.base + i * GRANULE | self.shared_bit, 3)
            self.pages[i] = entry & ~STATE | SHARED

    def reclaim(self, i: int) -> None:
        """The realm gave page `i` up: its granule will come back wiped, for the shared alias."""
        entry = self.pages[i]
        if entry & STATE == DATA:
            self.pages[i] = entry & ~STATE | GIVEN
        elif entry == NONE:
            self.pages[i] = EMPTY

    def take_back(self, i: int) -> None:
        """The realm wants page `i` as RAM: what the host has at the shared alias goes."""
        self.unmap(i)
        entry = self.entry(i)
        if entry & STATE == SHARED:
            self._pool.give(entry & ~STATE)
        if entry & STATE != DATA:
            self.pages[i] = NONE

    def drop(self, i: int) -> int:
        """DATA_DESTROY of a page that the realm still wants; its status."""
        self.entry(i)
        result = self._door.smc(rmi.DATA_DESTROY.fid, self._rd, self.base + i * GRANULE)
        if result[0] == SUCCESS:
            self.give_granule(result[1])
            self.pages[i] = NONE
        return result[0]

    def create_unknown(self, i: int) -> int:
        """DATA_CREATE_UNKNOWN where the host has nothing; its status."""
        pa, ipa = self.granule(), self.base + i * GRANULE
        status = self._try(rmi.DATA_CREATE_UNKNOWN.fid, ipa, pa, ipa)[0]
        if status == SUCCESS:
            self.pages[i] = pa | DATA
        else:
            self.give_granule(pa)
        return status

    def set_ripas(self, rec: int, base: int, top: int) -> tuple[int, ...]:
        """One RTT_SET_RIPAS, with the tables that it needs; X0 and X1."""
        return self._try(rmi.RTT_SET_RIPAS.fid, base, rec, base, top)

    # As devices reach it: only what the realm shares

    def shared_page(self, ipa: int) -> int | None:
        """PA of the host's page that the realm sees at an unprotected IPA; None where there is none."""
        i = self.index(ipa)
        if i is None or not ipa & self.shared_bit:
            return None
        state = self.pages[i] & STATE
        return self._share(i) if state in (SHARED, MAPPED, EMPTY, GIVEN) else None

    # Taking apart

    def destroy(self) -> None:
        """Everything back to the pool, tables included but for the root."""
        for i, entry in enumerate(self.pages):
            if entry & STATE == DATA:
                self.reclaim(i)
            self.take_back(i)
        for level in range(3, self._start_level, -1):
            self._destroy_tables(level)
        self._pool.give(self._scratch)

    def _destroy_tables(self, level: int) -> None:
        """Every table of a level, none of which has live entries; RTT_DESTROY's `top` skips what is not there."""
        ipa = 0
        while ipa < self.shared_bit << 1:
            status, rtt, top, *_ = self._door.smc(rmi.RTT_DESTROY.fid, self._rd, ipa, level)
            if status == SUCCESS:
                self.give_granule(rtt)
                self.tables -= 1
            elif status & 0xFF != ERROR_RTT or top <= ipa:
                raise VmmError("destroy", REFUSED, self._door.explain())
            ipa = top
