# SPDX-License-Identifier: GPL-2.0-or-later
"""The scalar types of a machine file that YAML has no word for: addresses, sizes, virtual time."""

from __future__ import annotations

import re
from typing import Any

U64_MAX = (1 << 64) - 1

INTEGER_PATTERN = r"(0[xX][0-9a-fA-F](_?[0-9a-fA-F])*|0[bB][01](_?[01])*|0|[1-9](_?[0-9])*)"
SIZE_PATTERN = INTEGER_PATTERN[:-1] + r"|[1-9][0-9]*[KMGT](iB)?)"
TIME_PATTERN = r"([0-9]+(\.[0-9]+)?)(ns|us|ms|s|min|h)"

_SIZE = r"([1-9][0-9]*)([KMGT])(iB)?"
_SHIFTS = {"K": 10, "M": 20, "G": 30, "T": 40}
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
# Longer than any 64-bit integer in binary with underscores; keeps hostile texts away from int().
_LONGEST = 140


def integer(text: str) -> int | None:
    """The value of `0x4000_0000`, `0b101` or `1_000`; None when the text is no unsigned integer."""
    if len(text) > _LONGEST or not re.fullmatch(INTEGER_PATTERN, text):
        return None
    return int(text, 0)


class Address(int):
    """A 64-bit address or register value: `0x4000_0000`."""

    expected = "an address such as 0x4000_0000"

    @classmethod
    def parse(cls, raw: Any) -> Address:
        value = integer(raw) if isinstance(raw, str) else raw
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected {cls.expected}")
        if not 0 <= value <= U64_MAX:
            raise ValueError("out of range: expected 0 to 2^64 - 1")
        return cls(value)


class Size(int):
    """A number of bytes: `512M`, `64K`, `1G`, `0x10_0000`."""

    expected = "a size such as 512M, 64K or 0x1000"

    @classmethod
    def parse(cls, raw: Any) -> Size:
        value: object = raw
        if isinstance(raw, str):
            match = re.fullmatch(_SIZE, raw) if len(raw) <= _LONGEST else None
            value = int(match[1]) << _SHIFTS[match[2]] if match else integer(raw)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected {cls.expected}")
        if not 0 <= value <= U64_MAX:
            raise ValueError("out of range: expected 0 to 2^64 - 1")
        return cls(value)


class Duration(int):
    """Virtual time in nanoseconds: `60s`, `1.5ms`, or a number of seconds."""

    expected = "a time such as 60s, 1.5ms or 0 for none"

    @classmethod
    def parse(cls, raw: Any) -> Duration:
        value: object = raw
        if isinstance(raw, str):
            match = re.fullmatch(TIME_PATTERN, raw) if len(raw) <= 24 else None
            if match:
                whole, _, fraction = match[1].partition(".")
                unit = _NANOSECONDS[match[3]]
                return cls._ranged(int(whole) * unit + int(fraction or "0") * unit // 10 ** len(fraction))
            value = integer(raw)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected {cls.expected}")
        return cls._ranged(value * 10**9)

    @classmethod
    def _ranged(cls, nanoseconds: int) -> Duration:
        if not 0 <= nanoseconds < 1 << 63:
            raise ValueError("out of range: expected at most 292 years")
        return cls(nanoseconds)


def dec_hook(declared: type, raw: Any) -> Any:
    """msgspec's door for these types."""
    if declared in (Address, Size, Duration):
        return declared.parse(raw)
    raise NotImplementedError(declared.__name__)


def size_text(value: int) -> str:
    """`512M` where a unit fits exactly, else a hexadecimal integer."""
    for unit, shift in reversed(_SHIFTS.items()):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift}{unit}"
    return f"{value:#x}" if value else "0"


def address_text(value: int) -> str:
    """`0x8000_0000`: groups of four hexadecimal digits."""
    digits = f"{value:x}"
    digits = digits.zfill(-(-len(digits) // 4) * 4) if len(digits) > 4 else digits
    groups = [digits[max(end - 4, 0) : end] for end in range(len(digits), 0, -4)]
    return "0x" + "_".join(reversed(groups))


def span_text(base: int, size: int) -> str:
    """`0x8000_0000 + 512M`."""
    return f"{address_text(base)} + {size_text(size)}"


def duration_text(value: int) -> str:
    """The longest unit that holds the value exactly."""
    for unit in ("s", "ms", "us"):
        if value % _NANOSECONDS[unit] == 0:
            return f"{value // _NANOSECONDS[unit]}{unit}"
    return f"{value}ns"
