# SPDX-License-Identifier: GPL-2.0-or-later
"""CBOR as tokens use it (RFC 8949), hostile input included.

`cbor2` decodes and encodes.  Before it sees any input, `inspect` looks at the shape: what a token has no use for is
refused by name, so that decoding takes bounded time and memory.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

MAX_SIZE = 64 << 10  # bytes of a whole token; the reference RMM's buffer has 4 KiB
MAX_DEPTH = 8
MAX_ITEMS = 4096

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_SIMPLE_VALUES = (20, 21, 22)  # false, true, null
_ARGUMENT_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}


class Malformed(ValueError):
    """Bytes that are no token; `name` says in a word what is wrong."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class _Inspector:
    """One pass over one data item, nothing kept but the offsets of map keys."""

    def __init__(self, data: bytes, tags: Collection[int]) -> None:
        self.data = data
        self.tags = tags
        self.at = 0
        self.items = 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise Malformed("truncated", f"{size} bytes wanted at offset {self.at}, {len(self.data) - self.at} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def head(self) -> tuple[int, int]:
        """(major type, argument) of the next item."""
        start = self.at
        first = self.take(1)[0]
        major, short = first >> 5, first & 31
        if short < 24:
            return major, short
        if short == _INDEFINITE:
            raise Malformed("indefinite-length", f"item of no given length at offset {start}")
        size = _ARGUMENT_SIZES.get(short)
        if size is None:
            raise Malformed("reserved", f"byte {first:#04x} at offset {start}")
        if major == _SIMPLE:
            raise Malformed("unexpected-type", f"simple value or float {first:#04x} at offset {start}")
        value = int.from_bytes(self.take(size), "big")
        if value < 24 or (size > 1 and value >> 4 * size == 0):
            raise Malformed("non-canonical", f"{value} is written in {size} bytes at offset {start}")
        return major, value

    def item(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Malformed("too-deep", f"more than {MAX_DEPTH} levels at offset {self.at}")
        self.items += 1
        if self.items > MAX_ITEMS:
            raise Malformed("too-many-items", f"more than {MAX_ITEMS}")
        start = self.at
        major, value = self.head()
        if major == _BYTES:
            self.take(value)
        elif major == _TEXT:
            self.text(value, start)
        elif major == _ARRAY:
            self.room(value, start)
            for _ in range(value):
                self.item(depth + 1)
        elif major == _MAP:
            self.room(2 * value, start)
            self.map(value, depth + 1)
        elif major == _TAG:
            if value not in self.tags:
                raise Malformed("unexpected-tag", f"tag {value} at offset {start}")
            self.item(depth + 1)
        elif major == _SIMPLE and value not in _SIMPLE_VALUES:
            raise Malformed("unexpected-type", f"simple value {value} at offset {start}")

    def room(self, items: int, start: int) -> None:
        """Each item takes a byte at least: counts beyond the data end here, not in a loop."""
        if items > len(self.data) - self.at:
            raise Malformed("truncated", f"{items} items from offset {start}, {len(self.data) - self.at} bytes left")

    def text(self, size: int, start: int) -> None:
        try:
            self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("not-utf-8", f"text at offset {start}") from None

    def map(self, count: int, depth: int) -> None:
        seen: set[bytes] = set()
        for _ in range(count):
            start = self.at
            if self.data[start : start + 1] and self.data[start] >> 5 not in (_UINT, _NEGATIVE, _TEXT):
                raise Malformed("unexpected-type", f"the key at offset {start} is neither integer nor text")
            self.item(depth)
            key = self.data[start : self.at]
            if key in seen:
                raise Malformed("duplicate-key", f"key {_key_text(key)} comes twice, again at offset {start}")
            seen.add(key)
            self.item(depth)


def _key_text(encoded: bytes) -> str:
    import cbor2

    return repr(cbor2.loads(encoded))[:60]


def inspect(data: bytes, tags: Collection[int] = ()) -> None:
    """Malformed unless `data` is one well-formed item: lengths definite and shortest, no key twice, no other tags."""
    if len(data) > MAX_SIZE:
        raise Malformed("oversized", f"more than {MAX_SIZE} bytes")
    inspector = _Inspector(data, tags)
    inspector.item(0)
    if inspector.at != len(data):
        raise Malformed("trailing-bytes", f"{len(data) - inspector.at} after the item's end at offset {inspector.at}")


def decode(data: bytes, tag: int | None = None) -> Any:
    """The value of one item, and of what `tag` encloses where it must be tagged.  Raises Malformed."""
    inspect(data, () if tag is None else (tag,))
    import cbor2

    value = cbor2.loads(data)
    if tag is None:
        return value
    if not isinstance(value, cbor2.CBORTag):
        raise Malformed("untagged", f"expected tag {tag}")
    # `inspect` lets only this tag pass; a second one inside is what the caller finds instead of a value.
    return value.value


def encode(value: object, tag: int | None = None) -> bytes:
    """Core deterministic encoding (RFC 8949 §4.2)."""
    import cbor2

    return cbor2.dumps(value if tag is None else cbor2.CBORTag(tag, value), canonical=True)
