# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in the kernel: from its System.map or its vmlinux, wherever the kernel stands in memory."""

from __future__ import annotations

import os
import re

from bridge.errors import UserError, one_line
from bridge.image import read_bytes
from bridge.symbols import SymbolTable

_LINE = re.compile(rb"([0-9a-f]{8,16}) ([a-zA-Z]) ([^\s$][^\s]{0,255})(?:[ \t].*)?")
_NOT_IN_MEMORY = frozenset(b"aAUnN")


class KernelSymbols:
    """Symbols at the kernel's virtual addresses, found by those or by the IPA that the kernel was loaded at."""

    def __init__(self, table: SymbolTable, base: int) -> None:
        """base: IPA of `_text`, where the Image stands."""
        self._table = table
        self._base = base
        self._text = table.address("_text")
        self._end = table.address("_end")

    def lookup(self, address: int) -> str | None:
        """`name+0x10` for a virtual address, or for an IPA: the kernel starts with its MMU off."""
        if self._text is not None and self._end is not None and 0 <= address - self._base < self._end - self._text:
            address += self._text - self._base
        return self._table.lookup(address)


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
