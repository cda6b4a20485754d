# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns each granule: states and reference counts in flat arrays (rmm-abi.md §5.1), and their delegation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rmm.abi.values import El3Status, GranuleState
from rmm.frame import Check, Effect, Frame, Panic

if TYPE_CHECKING:
    from rmm.observer import Observer

GRANULE = 0x1000
OFFSET = GRANULE - 1

UNDELEGATED = GranuleState.UNDELEGATED
DELEGATED = GranuleState.DELEGATED


class Granules:
    """State of every granule of the tracked memory.

    dram: (base, size) of each bank, in bytes; ValueError unless they are granule aligned and do not overlap.
    """

    __slots__ = ("_bank", "_banks", "_refs", "_states", "observer")

    def __init__(self, dram: Sequence[tuple[int, int]], observer: Observer | None) -> None:
        banks = []
        count = end = 0
        for base, size in sorted(dram):
            if (base | size) & OFFSET or size <= 0 or base < end:
                raise ValueError(
                    f"memory bank {base:#x}+{size:#x} is not granule aligned, is empty, or overlaps another"
                )
            end = base + size
            banks.append((base >> 12, end >> 12, count - (base >> 12)))
            count += size >> 12
        self._banks = tuple(banks)
        self._bank = banks[0] if banks else (0, 0, 0)
        self._states = bytearray(count)
        self._refs = memoryview(bytearray(2 * count)).cast("H")
        self.observer = observer

    def _index(self, pa: int) -> int:
        """Where a granule stands in the arrays; -1 for memory that is not tracked."""
        page = pa >> 12
        for first, end, shift in self._banks:
            if first <= page < end:
                return page + shift
        return -1

    def state(self, pa: int) -> int:
        """GranuleState of the granule that holds `pa`; -1 for memory that is not tracked."""
        page = pa >> 12
        first, end, shift = self._bank
        if first <= page < end:  # most of them are in the first bank
            return self._states[page + shift]
        index = self._index(pa)
        return self._states[index] if index >= 0 else -1

    def set(self, pa: int, state: int) -> None:
        """Moves a tracked granule to another state."""
        index = self._index(pa)
        old = self._states[index]
        self._states[index] = state
        if self.observer is not None:
            self.observer.granule(pa, old, state)

    def refs(self, pa: int) -> int:
        """References that a tracked granule holds (§3, common helpers)."""
        return self._refs[self._index(pa)]

    def add_refs(self, pa: int, change: int) -> None:
        self._refs[self._index(pa)] += change

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(PA, state, references) of every granule that is not UNDELEGATED, by ascending PA."""
        states = self._states
        for first, end, shift in self._banks:
            for index in range(first + shift, end + shift):
                if states[index]:
                    yield (index - shift) << 12, states[index], self._refs[index]


# The three ways in which a granule named by an input can be the wrong one (GRAN of §3).


def align(name: str) -> Check:
    """The input `name` is not granule aligned."""
    return f"f.{name} & {OFFSET} != 0"


def bound(name: str) -> Check:
    """The input `name` lies outside the tracked memory."""
    return f"f.rmm.granules.state(f.{name}) < 0"


def wrong_state(name: str, state: int) -> Check:
    """The granule that the input `name` lies in is not in `state`."""
    return f"f.rmm.granules.state(f.{name}) != {int(state)}"


def checks(name: str, state: int | Callable[[Frame], bool]) -> dict[str, Check]:
    """All three, under the names that declarations use; `state` a GranuleState or a check of its own."""
    last = wrong_state(name, state) if isinstance(state, int) else state
    return {f"{name}_align": align(name), f"{name}_bound": bound(name), f"{name}_state": last}


def _delegate_refused(f: Frame) -> bool:
    return f.rmm.platform.delegate(f.addr) != El3Status.OK


def _delegate(f: Frame) -> None:
    # The wipe comes after the transition: before it, the host could still write (§3.2).
    f.rmm.memory.zero(f.addr, GRANULE)
    f.rmm.granules.set(f.addr, DELEGATED)


def _undelegate(f: Frame) -> None:
    status = f.rmm.platform.undelegate(f.addr)
    if status != El3Status.OK:
        raise Panic(f"the Root world refuses to undelegate {f.addr:#x}: status {status}")
    f.rmm.granules.set(f.addr, UNDELEGATED)


_ADDR: dict[str, Check] = {"gran_align": align("addr"), "gran_bound": bound("addr")}

DELEGATE_CHECKS: dict[str, Check] = {
    **_ADDR,
    "gran_state": wrong_state("addr", UNDELEGATED),
    "gran_gpt": _delegate_refused,
}
DELEGATE: Effect = _delegate
UNDELEGATE_CHECKS: dict[str, Check] = {**_ADDR, "gran_state": wrong_state("addr", DELEGATED)}
UNDELEGATE: Effect = _undelegate
