# SPDX-License-Identifier: GPL-2.0-or-later
"""Text and numbers of a report.  Whatever a guest or a file has a say in passes through `escaped`."""

from __future__ import annotations

from html import escape

from bridge.errors import one_line

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def escaped(text: object) -> str:
    """Text as HTML, attributes included; what does not print, and what turns the direction of text, as an escape."""
    return escape(one_line(str(text)), quote=True)


def time_text(ns: int) -> str:
    """`1.234 ms`: four digits that count."""
    for unit, name in _UNITS:
        if abs(ns) >= unit:
            value = ns / unit
            digits = 0 if unit == 1 else 3 if value < 10 else 2 if value < 100 else 1
            return f"{value:,.{digits}f} {name}"
    return "0"


def ticks(ns: int, most: int = 8) -> list[tuple[int, str]]:
    """(ns, label) at round times from 0 to `ns`: 1, 2 or 5 times a power of ten apart."""
    step = next(factor * 10**power for power in range(24) for factor in (1, 2, 5) if ns // (factor * 10**power) <= most)
    unit, name = next((unit for unit in _UNITS if step >= unit[0]), _UNITS[-1])
    return [(at, f"{at // unit:,} {name}" if at else "0") for at in range(0, ns + 1, step)]


def size_text(granules: int) -> str:
    """The memory of so many granules of 4 KiB."""
    kib = granules * 4
    return f"{kib:,} KiB" if kib < 1024 else f"{kib / 1024:,.1f} MiB"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
