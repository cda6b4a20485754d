# SPDX-License-Identifier: GPL-2.0-or-later
"""Checked images into memory, and the symbols that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import UserError

if TYPE_CHECKING:
    from bridge.core import Core
    from bridge.lines import LineTable
    from bridge.memory import PhysicalMemory
    from bridge.symbols import SymbolTable
    from machine.config.images import Images
    from machine.config.loader import MachineConfig
    from machine.config.types import Load
    from machine.kernel_names import KernelNames


def place(images: Images, memory: PhysicalMemory, *, stage: bool) -> None:
    """Writes every load and, with `stage`, each realm's image where the host firmware will look for it."""
    for image in images.loads.values():
        for segment in image.segments:
            memory.write(segment.address, bytes(segment.data))
    for realm in images.realms if stage else ():
        memory.write(realm.stage, realm.content())
        for piece in realm.pieces:
            memory.write(piece.stage, piece.data)


def registers(config: MachineConfig) -> dict[int, int]:
    """General registers of PE 0 at entry, by number."""
    values = {int(name[1:]): int(value) for name, value in config.boot.registers.items()}
    if config.boot.info is not None:
        values.setdefault(0, config.boot.info)
    return values


def _world(core: Core) -> str:
    """`normal`, `secure` or `realm`, from `normal world, PE 0`, `secure service`, `rec 0 of realm …`."""
    first = core.name.partition(" ")[0]
    return "realm" if first == "rec" else first


class Symbols:
    """Names for addresses, by world.  A file's symbols are read when an address is first asked for."""

    def __init__(self, images: Images, loads: Mapping[str, Load]) -> None:
        elves = [(loads[name].world, image.path) for name, image in images.loads.items() if image.kind == "elf"]
        self._paths = {
            "normal": [path for world, path in elves if world == "normal"],
            "secure": [path for world, path in elves if world == "secure"],
            "realm": [realm.image.path for realm in images.realms if realm.image.kind == "elf"],
        }
        self._tables: dict[str, SymbolTable | None] = {}
        self._lines: dict[str, LineTable] = {}
        # Of a realm's kernel, which stands in no ELF.
        self.kernel: KernelNames | None = None
        # What the user names by `--symbols`: a realm's kernel by its `_text`, and the rest by world
        self.given_kernel: SymbolTable | None = None
        self._given: dict[str, list[SymbolTable]] = {"normal": [], "secure": [], "realm": []}

    def give(self, text: str) -> None:
        """`[WORLD:]FILE`: a System.map, a vmlinux or another ELF, for the realms unless a world is named; UserError."""
        from machine.vmm.linux.symbols import read_symbols

        head, colon, tail = text.partition(":")
        world, path = (head, tail) if colon and head in self._given else ("realm", text)
        table = read_symbols(path)
        if world == "realm" and table.address("_text") is not None:
            self.given_kernel = table
        self._given[world].append(table)
        self._paths[world].append(path)  # for its lines

    def symbolise(self, core: Core, pc: int) -> str:
        """`0x88000010 <start+0x10>` where a loaded ELF has a symbol for it, else the address alone."""
        world = _world(core)
        name = self.kernel(core, pc) if world == "realm" and self.kernel is not None else None
        for table in self._given[world] if name is None else ():
            name = name or table.lookup(pc)
        for path in self._paths[world] if name is None else ():
            own = self._table(path)
            name = name or (own.lookup(pc) if own is not None else None)
        return f"{pc:#x}" if name is None else f"{pc:#x} <{name}>"

    def source(self, core: Core, pc: int) -> str | None:
        """`file.c:12`, where a loaded ELF has line tables."""
        for path in self._paths[_world(core)]:
            if path not in self._lines:
                from bridge.lines import LineTable

                self._lines[path] = LineTable.from_elf(path)
            place = self._lines[path].lookup(pc)
            if place is not None:
                return place
        return None

    def place(self, core: Core, pc: int) -> str:
        """As `symbolise`, with the source line behind it."""
        line = self.source(core, pc)
        return self.symbolise(core, pc) + (f" ({line})" if line is not None else "")

    def find(self, name: str, world: str | None = None) -> list[tuple[str, int]]:
        """(world, address) of every loaded image's symbol of that name; world: `normal`, `secure`, `realm` or any."""
        found = []
        if world in (None, "realm") and self.kernel is not None:
            found += [("realm", address) for address in self.kernel.find(name)]
        for where, tables in self._given.items():
            for given in tables if world in (None, where) and not found else ():
                at = given.address(name)
                if at is not None:
                    found.append((where, at))
        for where, paths in self._paths.items():
            for path in paths if world in (None, where) else ():
                table = self._table(path)
                address = table.address(name) if table is not None else None
                if address is not None and (where, address) not in found:
                    found.append((where, address))
        return found

    def _table(self, path: str) -> SymbolTable | None:
        if path not in self._tables:
            from bridge.symbols import SymbolTable

            try:
                self._tables[path] = SymbolTable.from_elf(Path(path))
            except UserError:
                # An ELF that loads need not have a readable symbol table; addresses stay numbers then.
                self._tables[path] = None
        return self._tables[path]
