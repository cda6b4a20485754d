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

if TYPE_CHECKING:
    from bridge.core import Block
    from machine.traces.coverage import Module

_MOST_ROWS = 1 << 22


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
        for row in rows:
            of_file = lines.setdefault(row.file, {})
            of_file[row.line] = max(of_file.get(row.line, 0), counts.at(row.address))
            at[row.address] = row
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
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(f"{path}: malformed DWARF: {type(error).__name__}: {error}") from None


def _rows(elf: Any, bias: int) -> Iterator[Row]:
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    budget = _MOST_ROWS
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _files(program.header, unit)
        for entry in program.get_entries():
            state = entry.state
            budget -= 1
            if budget < 0:
                raise UserError(f"more than {_MOST_ROWS} rows of line tables")
            # Code that the linker has thrown away is left at address 0.
            if state is None or state.end_sequence or not state.is_stmt or not state.line or not state.address:
                continue
            name = names.get(state.file)
            if name is not None:
                yield Row(state.address + bias, name, state.line)


def _files(header: Any, unit: Any) -> dict[int, str]:
    """Paths by the number that rows have: from 1 on, or from 0 on in DWARF 5 (6.2.4)."""
    attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    compiled_in = "" if attribute is None else _text(attribute.value)
    five = header["version"] >= 5
    folders = [_text(folder) for folder in header["include_directory"]]
    if not five:
        folders.insert(0, compiled_in)
    out: dict[int, str] = {}
    for number, entry in enumerate(header["file_entry"], 0 if five else 1):
        folder = folders[entry["dir_index"]] if entry["dir_index"] < len(folders) else ""
        out[number] = one_line(os.path.normpath(os.path.join(compiled_in, folder, _text(entry["name"]))))
    return out


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _functions(elf: Any, bias: int) -> Iterator[Function]:
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"]:
            yield Function(symbol["st_value"] + bias, one_line(symbol.name))
