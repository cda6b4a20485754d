# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in the kernel: from its System.map, its vmlinux, or the image itself, wherever it stands in memory."""

from __future__ import annotations

import os
import re

from bridge.errors import UserError, one_line
from bridge.image import read_bytes
from bridge.symbols import SymbolTable

from .kallsyms import kallsyms

_LINE = re.compile(rb"([0-9a-f]{8,16}) ([a-zA-Z]) ([^\s$][^\s]{0,255})(?:[ \t].*)?")
_NOT_IN_MEMORY = frozenset(b"aAUnN")


# Linux, arch/arm64/include/asm/memory.h: KIMAGE_VADDR with 48-bit addresses, where _text is without KASLR.
KIMAGE_VADDR = 0xFFFF_8000_8000_0000


class KernelSymbols:
    """A kernel's symbols, found by virtual address or by the IPA that it was loaded at: it starts with its MMU off."""

    def __init__(self, table: SymbolTable, base: int, text: int | None = None) -> None:
        """base: IPA of `_text`, where the Image stands.  text: its address in the table, by default of that name."""
        self._table = table
        self._base = base
        self._text = table.address("_text") if text is None else text
        end = table.address("_end")
        self._size = 0 if end is None or self._text is None else end - self._text

    def lookup(self, address: int) -> str | None:
        """`name+0x10`, or None where the kernel has nothing."""
        if self._text is None:
            return self._table.lookup(address)
        for start in (self._base, KIMAGE_VADDR):
            if 0 <= address - start < self._size:
                return self._table.lookup(self._text + address - start)
        return self._table.lookup(address) if self._text else None

    def offset(self, name: str) -> int | None:
        """Of a symbol, from the kernel's first byte."""
        address = self._table.address(name)
        return None if address is None else address - (self._text or 0)


def image_symbols(path: str, data: bytes, base: int) -> KernelSymbols | None:
    """Those of a vmlinux, or else of the image itself, loaded at IPA `base`.  data: the kernel as it is in memory."""
    try:
        table = SymbolTable.from_elf(path)
    except UserError:  # damaged symbols are none: it may have kallsyms
        table = SymbolTable(())
    if len(table):
        return KernelSymbols(table, base)
    own = kallsyms(data)
    return None if own is None else KernelSymbols(own, base, 0)


def read_symbols(path: str | os.PathLike[str]) -> SymbolTable:
    """The symbols of a System.map or a vmlinux; UserError when it has none."""
    name = os.fspath(path)
    data = read_bytes(name)
    table = SymbolTable.from_elf(name) if data[:4] == b"\x7fELF" else SymbolTable(_system_map(name, data))
    if not len(table):
        raise UserError(f"{name}: has no symbols")
    return table


def _system_map(path: str, data: bytes) -> list[tuple[int, int, str]]:
    symbols = []
    for number, line in enumerate(data.splitlines(), 1):
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            if not line.strip() or b" $" in line:
                continue
            raise UserError(f"{path}:{number}: expected `ADDRESS TYPE NAME`, as in a System.map")
        if match[3] == b"The" or line.startswith(b"ffffffffffffffff"):
            raise UserError(f"{path}: a placeholder: Debian has the real System.map in the kernel's -dbg package")
        if match[2][0] not in _NOT_IN_MEMORY:
            symbols.append((int(match[1], 16), 0, one_line(match[3].decode("utf-8", "backslashreplace"))))
    return symbols
