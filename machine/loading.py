# SPDX-License-Identifier: GPL-2.0-or-later
"""Checked images into memory, and the symbols that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import UserError

if TYPE_CHECKING:
    from bridge.core import Core
    from bridge.memory import PhysicalMemory
    from bridge.symbols import SymbolTable
    from machine.config.images import Images
    from machine.config.loader import MachineConfig
    from machine.config.types import Load


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
        # Of a realm's kernel, which stands in no ELF.
        self.kernel: Callable[[Core, int], str | None] | None = None

    def symbolise(self, core: Core, pc: int) -> str:
        """`0x88000010 <start+0x10>` where a loaded ELF has a symbol for it, else the address alone."""
        world = core.name.partition(" ")[0]  # `normal world, PE 0`, `secure service`, `rec 0 of realm …`
        if world == "rec" and self.kernel is not None:
            name = self.kernel(core, pc)
            if name is not None:
                return f"{pc:#x} <{name}>"
        for path in self._paths["realm" if world == "rec" else world]:
            table = self._table(path)
            name = table.lookup(pc) if table is not None else None
            if name is not None:
                return f"{pc:#x} <{name}>"
        return f"{pc:#x}"

    def find(self, name: str, world: str | None = None) -> list[tuple[str, int]]:
        """(world, address) of every loaded image's symbol of that name; world: `normal`, `secure`, `realm` or any."""
        found = []
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
