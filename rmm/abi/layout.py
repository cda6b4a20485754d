# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory layouts: a structure is one declaration of fields with offsets; everything else derives from it.

    CALL = Struct("RsiHostCall", "rsi_host_call", 0x100, Field("imm", 0x0, "u32"), Field("gprs", 0x8, "u64", 31))
    imm, *gprs = CALL.unpacker("imm", "gprs")(data)

All structures are little-endian.  Bytes between fields are padding: zero when packed, ignored when unpacked.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any, Callable, Mapping, Sequence

_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s8": "b", "s16": "h", "s32": "i", "s64": "q", "bytes": "s"}
_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4, "s64": 8, "bytes": 1}
_C_TYPES = {kind: f"{'uint' if kind[0] == 'u' else 'int'}{size * 8}_t" for kind, size in _SIZES.items()}
_C_TYPES["bytes"] = "uint8_t"


class Field:
    """A member of a structure: `count` elements of `kind` (u8..u64, s8..s64, or "bytes") at byte `offset`."""

    __slots__ = ("count", "doc", "end", "kind", "name", "offset", "size")

    def __init__(self, name: str, offset: int, kind: str, count: int = 1, doc: str = "") -> None:
        self.name = name
        self.offset = offset
        self.kind = kind
        self.count = count
        self.doc = doc
        self.size = _SIZES[kind] * count
        self.end = offset + self.size

    @property
    def is_array(self) -> bool:
        return self.count != 1 and self.kind != "bytes"


class Struct:
    """A structure of `size` bytes.  Fields stand in ascending, non-overlapping order (ValueError otherwise)."""

    __slots__ = ("by_name", "c_name", "doc", "fields", "name", "size")

    def __init__(self, name: str, c_name: str, size: int, *fields: Field, doc: str = "") -> None:
        self.name = name
        self.c_name = c_name
        self.size = size
        self.fields = fields
        self.doc = doc
        self.by_name = {field.name: field for field in fields}
        end = 0
        for field in fields:
            if field.offset < end or field.end > size:
                raise ValueError(f"{name}.{field.name}: offset {field.offset:#x} overlaps or leaves the structure")
            end = field.end

    def offset(self, name: str) -> int:
        """Byte offset of a field."""
        return self.by_name[name].offset

    def _format(self, names: Sequence[str]) -> tuple[str, int]:
        """A struct-module format for the named fields in ascending order, and the offset where it starts."""
        chosen = [self.by_name[name] for name in names]
        start = end = chosen[0].offset
        text = "<"
        for field in chosen:
            if field.offset < end:
                raise ValueError(f"{self.name}: fields must be named in ascending order, {field.name} is not")
            if field.offset > end:
                text += f"{field.offset - end}x"
            text += f"{field.count}{_CODES[field.kind]}" if field.count != 1 else _CODES[field.kind]
            end = field.end
        return text, start

    def unpacker(self, *names: str) -> Callable[[bytes], tuple[Any, ...]]:
        """A function from the structure's bytes to the named fields' values, arrays laid out flat."""
        text, start = self._format(names or tuple(self.by_name))
        unpack_from = struct.Struct(text).unpack_from
        return unpack_from if start == 0 else partial(unpack_from, offset=start)

    def packer(self, *names: str) -> Callable[..., None]:
        """A function (buffer, *values) that writes the named fields; it also zeroes the padding between them."""
        text, start = self._format(names or tuple(self.by_name))
        pack_into = struct.Struct(text).pack_into
        return lambda buffer, *values: pack_into(buffer, start, *values)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """{field: int, tuple of int, or bytes}."""
        text, start = self._format(tuple(self.by_name))
        flat = iter(struct.unpack_from(text, data, start))
        return {
            field.name: tuple(next(flat) for _ in range(field.count)) if field.is_array else next(flat)
            for field in self.fields
        }

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """The structure's `size` bytes; absent fields are zero.  KeyError for a name that is not a field."""
        buffer = bytearray(self.size)
        for name, value in values.items():
            field = self.by_name[name]
            text = f"<{field.count}{_CODES[field.kind]}" if field.count != 1 else "<" + _CODES[field.kind]
            struct.pack_into(text, buffer, field.offset, *(value if field.is_array else (value,)))
        return bytes(buffer)

    def c_text(self) -> str:
        """The C definition, with an assertion on the size and on each field's offset."""
        lines = [f"struct {self.c_name} {{"]
        end = 0
        for field in self.fields:
            if field.offset > end:
                lines.append(f"    uint8_t pad_{end:x}[{field.offset - end:#x}];")
            suffix = f"[{field.count}]" if field.count != 1 else ""
            comment = f" /* {field.doc} */" if field.doc else ""
            lines.append(f"    {_C_TYPES[field.kind]} {field.name}{suffix};{comment}")
            end = field.end
        if end < self.size:
            lines.append(f"    uint8_t pad_{end:x}[{self.size - end:#x}];")
        lines.append("};")
        tag = f"struct {self.c_name}"
        lines.append(f'_Static_assert(sizeof({tag}) == {self.size:#x}, "{tag}");')
        lines += [
            f'_Static_assert(offsetof({tag}, {field.name}) == {field.offset:#x}, "{self.c_name}.{field.name}");'
            for field in self.fields
        ]
        return "\n".join(lines) + "\n"

    def doc_rows(self) -> list[tuple[str, str, str, str]]:
        """(offset, field, type, meaning) of each field, for the documentation."""
        return [
            (f"{f.offset:#05x}", f.name, f.kind if f.count == 1 else f"{f.kind}[{f.count}]", f.doc) for f in self.fields
        ]
