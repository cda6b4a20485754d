"""First accesses to where the board has nothing: one a page, bounded, all counted."""

from __future__ import annotations

from typing import Any, cast

from machine.unclaimed import MAX_PAGES, Unclaimed


class Core:
    name = "normal world, PE 0"


class Symbols:
    def symbolise(self, core: Core, pc: int) -> str:
        return f"{pc:#x} <probe+0x4>"


CORE, SYMBOLS = cast(Any, Core()), cast(Any, Symbols())


def test_first_touch__of_each_page() -> None:
    record = Unclaimed()
    assert record.note(0x1C13_0000, 4, False, 0x8800_0010, CORE)
    assert not record.note(0x1C13_0FFC, 8, True, 0x8800_0014, CORE)
    assert record.note(0x1C13_1000, 1, True, 0x8800_0018, CORE)
    assert list(record.report(SYMBOLS)) == [
        "  3 accesses to addresses where the board has nothing, the first in each of 2 pages:",
        "    read of 4 bytes at PA 0x1c13_0000 by normal world, PE 0, PC 0x88000010 <probe+0x4>",
        "    write of 1 byte at PA 0x1c13_1000 by normal world, PE 0, PC 0x88000018 <probe+0x4>",
    ]


def test_nothing_touched__nothing_said() -> None:
    assert list(Unclaimed().report(SYMBOLS)) == []


def test_guest_that_touches_everything__bounded() -> None:
    record = Unclaimed()
    for page in range(10_000):
        record.note(page << 12, 4, False, 0, CORE)
    assert record.count == 10_000 and len(record.touches) == MAX_PAGES == len(record._pages)
