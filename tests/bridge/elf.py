# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF files built in memory, right or wrong in one field."""

from __future__ import annotations

import struct
from collections.abc import Sequence

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
SYM = struct.Struct("<IBBHQQ")

NOP = bytes.fromhex("1f2003d5")


def elf(
    segments: Sequence[tuple[int, bytes, int]] = ((0x8800_0000, NOP * 4, 16),),
    entry: int | None = None,
    *,
    symbols: Sequence[tuple[str, int, int]] = (),
    machine: int = 183,
    bits: int = 2,
    endian: int = 1,
    kind: int = 2,
    phentsize: int = 56,
    vaddr_offset: int = 0,
) -> bytes:
    """segments: (physical address, content, bytes in memory).  symbols: (name, address, size)."""
    offset = EHDR.size + PHDR.size * len(segments)
    headers, body = b"", b""
    for address, content, memsz in segments:
        virtual = address + vaddr_offset
        headers += PHDR.pack(1, 7, offset + len(body), virtual, address, len(content), memsz, 4)
        body += content
    start = entry if entry is not None else (segments[0][0] + vaddr_offset if segments else 0)
    after = offset + len(body)
    names = b"\0"
    table = SYM.pack(0, 0, 0, 0, 0, 0)
    for name, address, size in symbols:
        table += SYM.pack(len(names), 0x12, 0, 1, address, size)
        names += name.encode() + b"\0"
    shstr = b"\0.symtab\0.strtab\0.shstrtab\0"
    sections = SHDR.pack(*([0] * 10))
    sections += SHDR.pack(1, 2, 0, 0, after, len(table), 2, 1, 8, SYM.size)
    sections += SHDR.pack(9, 3, 0, 0, after + len(table), len(names), 0, 0, 1, 0)
    sections += SHDR.pack(17, 3, 0, 0, after + len(table) + len(names), len(shstr), 0, 0, 1, 0)
    shoff = after + len(table) + len(names) + len(shstr)
    ident = b"\x7fELF" + bytes((bits, endian, 1)) + bytes(9)
    header = EHDR.pack(
        ident,
        kind,
        machine,
        1,
        start,
        EHDR.size,
        shoff,
        0,
        EHDR.size,
        phentsize,
        len(segments),
        SHDR.size,
        4,
        3,
    )
    return header + headers + body + table + names + shstr + sections


def linux_image(code: bytes = NOP * 32, *, text_offset: int = 0, image_size: int = 0x1000, flags: int = 0xA) -> bytes:
    """An arm64 `Image`: 64 bytes of header, then code."""
    return struct.pack("<IIQQQQQQ4sI", 0, 0, text_offset, image_size, flags, 0, 0, 0, b"ARM\x64", 0) + code
