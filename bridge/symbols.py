# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for addresses, from an ELF's symbol table; built only when one must be shown or found."""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable

from bridge.errors import UserError, one_line

# st_name, st_info, st_other, st_shndx, st_value, st_size
_SYMBOL = struct.Struct("<IBBHQQ")
_STT_KINDS = frozenset({0, 1, 2})  # NOTYPE, OBJECT, FUNC
_SHN_UNDEF = 0
_SHN_ABS = 0xFFF1
_MAX_SYMBOLS = 1 << 21
_MAX_NAME = 256


class SymbolTable:
    """Symbols of one image, sorted by address."""

    __slots__ = ("_bases", "_ends", "_names", "_by_name")

    def __init__(self, symbols: Iterable[tuple[int, int, str]]) -> None:
        """symbols: (address, size in bytes or 0, name)."""
        # Of several names at one address the one with a size is the function, and comes last here.
        ordered = sorted(symbols, key=lambda symbol: (symbol[0], symbol[1] > 0, symbol[2]))
        self._bases: list[int] = []
        self._ends: list[int] = []
        self._names: list[str] = []
        self._by_name: dict[str, int] = {}
        for base, size, name in ordered:
            self._by_name.setdefault(name, base)
            if self._bases and self._bases[-1] == base:
                self._ends[-1], self._names[-1] = base + size, name
                continue
            self._bases.append(base)
            self._ends.append(base + size)
            self._names.append(name)

    @classmethod
    def from_elf(cls, path: str | os.PathLike[str]) -> SymbolTable:
        """Symbols of `.symtab`, or else of `.dynsym`; none when both are missing or it is no ELF."""
        from io import BytesIO

        from bridge.image import read_bytes

        name = os.fspath(path)
        data = read_bytes(name)
        if data[:4] != b"\x7fELF":
            return cls(())
        from elftools.elf.elffile import ELFFile

        try:
            elf = ELFFile(BytesIO(data))
            section = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
            if section is None:
                return cls(())
            strings = elf.get_section(section["sh_link"]).data()
            return cls(_symbols(section.data(), strings))
        except Exception as error:  # the parser raises anything on a hostile file
            raise UserError(f"{name}: malformed ELF symbol table: {type(error).__name__}: {error}") from None

    def __len__(self) -> int:
        return len(self._bases)

    def lookup(self, address: int) -> str | None:
        """`name` or `name+0x10`; None where no symbol covers the address."""
        index = bisect_right(self._bases, address) - 1
        if index < 0:
            return None
        base, end = self._bases[index], self._ends[index]
        # A symbol without a size (a label in assembly) reaches to the next one.
        if end == base:
            end = self._bases[index + 1] if index + 1 < len(self._bases) else base + 0x1000
        if address >= end:
            return None
        offset = address - base
        return f"{self._names[index]}+{offset:#x}" if offset else self._names[index]

    def address(self, name: str) -> int | None:
        """The address of a symbol, or None."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """All names, in order of address."""
        return list(self._by_name)


def _symbols(table: bytes, strings: bytes) -> Iterable[tuple[int, int, str]]:
    usable = min(len(table) // _SYMBOL.size, _MAX_SYMBOLS) * _SYMBOL.size
    for st_name, info, _, section, value, size in _SYMBOL.iter_unpack(table[:usable]):
        if info & 0xF not in _STT_KINDS or section in (_SHN_UNDEF, _SHN_ABS) or st_name >= len(strings):
            continue
        end = strings.find(b"\0", st_name, st_name + _MAX_NAME)
        text = strings[st_name : end if end >= 0 else st_name + _MAX_NAME].decode("utf-8", "backslashreplace")
        # $x and $d are marks of the assembler, no names.
        if text and not text.startswith("$"):
            yield value, size, one_line(text)
