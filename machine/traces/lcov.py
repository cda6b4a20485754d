# SPDX-License-Identifier: GPL-2.0-or-later
"""Coverage by source line, in LCOV's tracefile format, from the DWARF line tables of the ELF files that ran."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.errors import UserError, one_line
from bridge.image import Image, read_bytes
from bridge.lines import read_rows

if TYPE_CHECKING:
    from bridge.core import Block
    from machine.traces.coverage import Module


class Row(NamedTuple):
    """The code of a line begins at an address."""

    address: int
    file: str
    line: int


class Function(NamedTuple):
    address: int
    name: str


class Counts:
    """How often the instruction at an address was begun, from blocks that may overlap."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        edges: dict[int, int] = {}
        for block in blocks:
            edges[block.pc] = edges.get(block.pc, 0) + block.runs
            edges[block.pc + block.size] = edges.get(block.pc + block.size, 0) - block.runs
        self._starts = sorted(edges)
        self._counts = list(accumulate(edges[start] for start in self._starts))

    def at(self, address: int) -> int:
        index = bisect_right(self._starts, address) - 1
        return self._counts[index] if index >= 0 else 0


def check(images: Iterable[Image]) -> None:
    """UserError where no image has line tables."""
    found = [image.path for image in images if image.kind == "elf"]
    for path in found:
        if _elf(path).get_section_by_name(".debug_line") is not None:
            return
    what = f"none of {', '.join(found)} has" if found else "there is no ELF file with"
    raise UserError(f"--coverage: {what} DWARF line tables, which LCOV needs: build with -g, or write .drcov")


def content(blocks: list[tuple[Module, Block]]) -> bytes:
    """A record for each source file: functions, lines, and how often each was begun; a line that no block has, 0."""
    by_image: dict[str, tuple[Image, list[Block]]] = {}
    for module, block in blocks:
        if module.image is not None:
            by_image.setdefault(module.image.path, (module.image, []))[1].append(block)
    lines: dict[str, dict[int, int]] = {}
    functions: dict[str, dict[tuple[int, str], int]] = {}
    for path, (image, own) in sorted(by_image.items()):
        counts = Counts(own)
        rows, named = _read(path, image)
        at = {}
        here: dict[tuple[str, int], int] = {}  # a line may have code in several places
        for row in rows:
            here[row.file, row.line] = max(here.get((row.file, row.line), 0), counts.at(row.address))
            at[row.address] = row
        for (file, line), count in here.items():  # images that share a source add up
            lines.setdefault(file, {})[line] = lines.get(file, {}).get(line, 0) + count
        for function in named:
            begun = at.get(function.address)
            if begun is not None:
                of_file_functions = functions.setdefault(begun.file, {})
                key = (begun.line, function.name)
                of_file_functions[key] = of_file_functions.get(key, 0) + counts.at(function.address)
    return "".join(
        line for file in sorted(lines) for line in _record(file, lines[file], functions.get(file, {}))
    ).encode()


def _record(file: str, lines: dict[int, int], functions: dict[tuple[int, str], int]) -> Iterator[str]:
    yield f"TN:\nSF:{file}\n"
    for line, name in sorted(functions):
        yield f"FN:{line},{name}\n"
    for (_, name), count in sorted(functions.items()):
        yield f"FNDA:{count},{name}\n"
    yield f"FNF:{len(functions)}\nFNH:{sum(count > 0 for count in functions.values())}\n"
    for line, count in sorted(lines.items()):
        yield f"DA:{line},{count}\n"
    yield f"LF:{len(lines)}\nLH:{sum(count > 0 for count in lines.values())}\nend_of_record\n"


def _elf(path: str) -> Any:
    from io import BytesIO

    from elftools.elf.elffile import ELFFile

    try:
        return ELFFile(BytesIO(read_bytes(path)))
    except Exception as error:  # the parser raises anything on a hostile file
        raise UserError(f"{path}: malformed ELF: {type(error).__name__}: {error}") from None


def _read(path: str, image: Image) -> tuple[list[Row], list[Function]]:
    """Line table rows and functions, at the addresses that the image was placed at."""
    elf = _elf(path)
    try:
        first = min(segment["p_vaddr"] for segment in elf.iter_segments("PT_LOAD") if segment["p_memsz"])
        bias = image.base - first
        return list(_rows(elf, bias)), list(_functions(elf, bias))
    except Exception as error:  # as above
        raise UserError(f"{path}: malformed DWARF: {type(error).__name__}: {error}") from None


def _rows(elf: Any, bias: int) -> Iterator[Row]:
    for row in read_rows(elf):
        if row.statement and not row.end:
            yield Row(row.address + bias, os.path.normpath(os.path.join(row.folder, row.file)), row.line)


def _functions(elf: Any, bias: int) -> Iterator[Function]:
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"]:
            yield Function(symbol["st_value"] + bias, one_line(symbol.name))
