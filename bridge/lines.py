# SPDX-License-Identifier: GPL-2.0-or-later
"""Source lines for addresses, from an ELF's DWARF line tables; read only when one must be shown."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from bridge.errors import one_line
from bridge.image import read_bytes

_MAX_ROWS = 1 << 21


class LineTable:
    """`file:line` of the instructions of one image."""

    __slots__ = ("_places", "_starts")

    def __init__(self, rows: list[tuple[int, str | None]]) -> None:
        """rows: (first address, place), None where a sequence ends; in any order."""
        # Where one sequence ends and the next begins at one address, that one counts.
        rows.sort(key=lambda row: (row[0], row[1] is not None))
        self._starts = [start for start, _ in rows]
        self._places = [place for _, place in rows]

    @classmethod
    def from_elf(cls, path: str | os.PathLike[str]) -> LineTable:
        """The lines of an ELF with debug information; none of any other file, or where they cannot be read."""
        from io import BytesIO

        data = read_bytes(os.fspath(path))
        if data[:4] != b"\x7fELF":
            return cls([])
        from elftools.elf.elffile import ELFFile

        try:
            rows = read_rows(ELFFile(BytesIO(data)))
            return cls([(row.address, None if row.end else f"{row.file}:{row.line}") for row in rows])
        except Exception:  # the parser raises anything on a hostile file, and lines are a comfort
            return cls([])

    def __len__(self) -> int:
        return len(self._starts)

    def lookup(self, address: int) -> str | None:
        """`file.c:12`, with the path as it was compiled; None where no line is known."""
        at = bisect_right(self._starts, address) - 1
        return self._places[at] if at >= 0 else None


class Row(NamedTuple):
    """The code from an address on is a line's.  folder: where the unit was compiled, to which `file` may be relative.

    statement: a place to stop at.  end: the first address behind a stretch of code.
    """

    address: int
    folder: str
    file: str
    line: int
    statement: bool
    end: bool


def read_rows(elf: Any) -> Iterator[Row]:
    """The line table of an ELFFile, at most _MAX_ROWS rows; whatever the parser raises where it is malformed."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    left = _MAX_ROWS
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        header = program.header
        version = header["version"]
        attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
        folder = "" if attribute is None else _text(attribute.value)
        names: dict[int, str] = {}
        dead = False  # a sequence at 0 is that of a section which the linker has left out
        fresh = True
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if fresh:
                dead = state.address == 0
                fresh = False
            # line 0 is the compiler's own: it goes with what is before it
            if not dead and (state.line or state.end_sequence):
                if state.file not in names:
                    names[state.file] = _file_name(header, state.file, version)
                yield Row(
                    state.address, folder, names[state.file], state.line, bool(state.is_stmt), bool(state.end_sequence)
                )
                left -= 1
                if left == 0:
                    return
            fresh = fresh or state.end_sequence


def _file_name(header: Any, number: int, version: int) -> str:
    """A file's name with its directory, from the unit's own; tables of DWARF 5 count from 0."""
    entries, folders = header["file_entry"], header["include_directory"]
    index = number if version >= 5 else number - 1
    if not 0 <= index < len(entries):
        return "?"
    entry = entries[index]
    folder_at = entry.dir_index if version >= 5 else entry.dir_index - 1
    folder = _text(folders[folder_at]) if 0 <= folder_at < len(folders) else ""
    name = _text(entry.name)
    inside = folder and not name.startswith("/") and folder not in (".", "")
    return one_line(f"{folder}/{name}" if inside else name)


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
