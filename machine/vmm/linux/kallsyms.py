# SPDX-License-Identifier: GPL-2.0-or-later
"""The symbols that a kernel image carries for its own use, so that a stuck guest is named without a System.map.

Linux, scripts/kallsyms.c writes these tables one after the other: the number of symbols, their compressed names, a
marker for each 256 of them, 256 tokens that names are made of, where each token begins, and the symbols' offsets from
the first of them.  Nothing points at them; they are found by what they must look like, and each is checked by another.
"""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise

from bridge.errors import one_line
from bridge.symbols import SymbolTable

_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_TOKENS = 256
_MAX_TOKEN = 512
_PER_MARKER = 256
_MAX_SYMBOLS = 1 << 21
# Types of symbols that are no place in memory, and of the assembler's marks.
_SKIPPED = frozenset("aAUnN")


def kallsyms(data: bytes) -> SymbolTable | None:
    """The symbols of an uncompressed kernel, by their offset from its start, or None."""
    at = data.find(_DIGITS)
    while at >= 0:
        found = _tables(data, at)
        if found is not None:
            return found
        at = data.find(_DIGITS, at + 1)
    return None


def _tables(data: bytes, digits: int) -> SymbolTable | None:
    """The symbols, when the token for `0` stands at `digits`: a character that names have stands for itself."""
    start = digits
    for _ in range(ord("0")):
        start = data.rfind(b"\0", max(0, start - _MAX_TOKEN), max(0, start - 1)) + 1
        if start == 0:
            return None
    tokens = data[start : start + _TOKENS * _MAX_TOKEN].split(b"\0", _TOKENS)[:_TOKENS]
    index_at = _up(start + sum(len(token) + 1 for token in tokens), 4)
    begins = [0, *accumulate(len(token) + 1 for token in tokens)][:_TOKENS]
    table = next((at for at in (index_at, index_at + 4) if _shorts(data, at) == begins), None)
    if table is None:
        return None
    markers = _markers(data, start)
    if markers is None:
        return None
    names = _names(data, *markers, [token.decode("ascii", "backslashreplace") for token in tokens])
    if names is None:
        return None
    # Since 7.0 an offset counts from its own place, and its table stands at any multiple of 4.
    end = table + 2 * _TOKENS
    relative = next((at for at in (_up(end, 4), _up(end, 8)) if data[at : at + 4] == struct.pack("<i", -at)), None)
    offsets_at = _up(end, 8) if relative is None else relative
    if offsets_at + 4 * len(names) > len(data):
        return None
    offsets = list(struct.unpack_from(f"<{len(names)}i", data, offsets_at))
    if relative is not None:
        offsets = [offset + offsets_at + 4 * index for index, offset in enumerate(offsets)]
    # Sorted by address: the last of the checks.
    if offsets[0] != 0 or any(low > high for low, high in pairwise(offsets)):
        return None
    pairs = zip(offsets, names, strict=True)
    return SymbolTable(
        (offset, 0, one_line(name[1:])) for offset, name in pairs if name[:1] not in _SKIPPED and name[1:2] != "$"
    )


def _shorts(data: bytes, at: int) -> list[int]:
    return list(struct.unpack_from(f"<{_TOKENS}H", data, at)) if at + 2 * _TOKENS <= len(data) else []


def _markers(data: bytes, end: int) -> tuple[int, list[int]] | None:
    """(place, values) of the table that ends before `end`: it grows from 0."""
    end &= ~3
    for padding in (0, 4):
        at = end - padding
        values: list[int] = []
        while at >= 4:
            at -= 4
            value = int.from_bytes(data[at : at + 4], "little")
            if values and value >= values[-1]:
                break
            values.append(value)
            if value == 0 and len(values) > 1:
                return at, values[::-1]
    return None


def _names(data: bytes, markers_at: int, markers: list[int], tokens: list[str]) -> list[str] | None:
    """The names, type first: their table begins after a plausible number of them, and agrees with all markers."""
    most = len(markers) * _PER_MARKER
    latest = markers_at - markers[-1]
    for number_at in range(latest & ~3, max(0, latest - _PER_MARKER * 512), -4):
        number = int.from_bytes(data[number_at : number_at + 4], "little")
        if not most - _PER_MARKER < number <= min(most, _MAX_SYMBOLS):
            continue
        for start in (number_at + 8, number_at + 4):
            names = _decode(data, start, number, markers, tokens)
            if names is not None:
                return names
    return None


def _decode(data: bytes, start: int, number: int, markers: list[int], tokens: list[str]) -> list[str] | None:
    names, at = [], start
    for count in range(number):
        if count % _PER_MARKER == 0 and at - start != markers[count // _PER_MARKER]:
            return None
        length = data[at]
        at += 1
        if length & 0x80:
            length = length & 0x7F | data[at] << 7
            at += 1
        if at + length + 2 > len(data):
            return None
        names.append("".join([tokens[byte] for byte in data[at : at + length]]))
        at += length
    return names


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
