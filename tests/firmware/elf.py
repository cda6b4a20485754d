# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests want to know of a built ELF."""

from __future__ import annotations

from pathlib import Path

from elftools.elf.elffile import ELFFile

PF_X, PF_W = 1, 2


def segments(path: Path) -> list[tuple[int, int, int]]:
    """(address, size in memory, flags) of each PT_LOAD."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        return [(s["p_paddr"], s["p_memsz"], s["p_flags"]) for s in elf.iter_segments("PT_LOAD")]


def entry(path: Path) -> int:
    with path.open("rb") as file:
        return int(ELFFile(file)["e_entry"])


def symbols(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name}


def functions(path: Path) -> list[tuple[str, bytes]]:
    """(name, code) of each function symbol."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        loads = [(s["p_vaddr"], s.data()) for s in elf.iter_segments("PT_LOAD")]
        found = []
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            at, size = symbol["st_value"], symbol["st_size"]
            if symbol["st_info"]["type"] != "STT_FUNC" or not size:
                continue
            base, data = next((base, data) for base, data in loads if base <= at < base + len(data))
            found.append((symbol.name, data[at - base : at - base + size]))
        return found
