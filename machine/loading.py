# SPDX-License-Identifier: GPL-2.0-or-later
"""Images into memory: the loads of the machine file, the realms' images, the host information block."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigError
from bridge.image import Image, flatten, read_image
from machine.config.files import locate

if TYPE_CHECKING:
    from bridge.core import Core
    from bridge.symbols import SymbolTable
    from machine.config.types import Realm
    from machine.machine import Machine

GRANULE = 4096


@dataclass(slots=True)
class StagedRealm:
    """A realm's image where the host finds it."""

    config: Realm
    image_pa: int
    image_size: int
    load_ipa: int
    entry_ipa: int


@dataclass(slots=True)
class Images:
    """What was loaded, and where the first PE starts."""

    entry: int
    registers: dict[int, int]
    realms: list[StagedRealm]
    paths: dict[str, list[Path]] = field(default_factory=dict)
    _symbols: dict[Path, SymbolTable | None] = field(default_factory=dict)

    def symbolise(self, core: Core, pc: int) -> str:
        """`0x88000010 <start+0x10>` where a loaded ELF has a symbol for it."""
        world = "realm" if core.name.startswith("rec") else "normal"
        for path in self.paths.get(world, []):
            table = self._table(path)
            name = table.lookup(pc) if table is not None else None
            if name is not None:
                return f"{pc:#x} <{name}>"
        return f"{pc:#x}"

    def _table(self, path: Path) -> SymbolTable | None:
        if path not in self._symbols:
            from bridge.symbols import SymbolTable

            elf = path.open("rb").read(4) == b"\x7fELF"
            self._symbols[path] = SymbolTable.from_elf(path) if elf else None
        return self._symbols[path]


def load_images(machine: Machine) -> Images:
    """Places everything that the configuration names; ConfigError, before anything runs, for what does not fit."""
    config = machine.config
    where = config.source.where
    images: dict[str, Image] = {}
    paths: dict[str, list[Path]] = {"normal": [], "realm": []}
    for name, load in config.load.items():
        path = locate(load.file, where("load", name, "file"))
        image = read_image(path)
        if not image.fixed:
            if load.at is None:
                raise ConfigError(f"{where('load', name)}: `at` is needed: {path} has no address of its own")
            image = image.placed(load.at)
        elif load.at is not None and load.at != image.base:
            raise ConfigError(
                f"{where('load', name, 'at')}: {path} is an ELF linked at {image.base:#x}: expected no `at`"
            )
        _place(machine, image, "non-secure" if load.world == "normal" else "secure", where("load", name, "file"))
        images[name] = image
        if load.world == "normal":
            paths["normal"].append(path)

    staged = []
    if config.realms:
        stage = config.boot.stage
        if stage is None:
            raise ConfigError(f"{where('boot')}: `stage` is needed: where the realms' images are left for the host")
        at: int = stage
        for index, realm in enumerate(config.realms):
            path = locate(realm.image, where("realms", index, "image"))
            one = _stage(machine, realm, path, at, where("realms", index, "image"))
            paths["realm"].append(path)
            staged.append(one)
            at = -(-(at + one.image_size) // GRANULE) * GRANULE

    registers = {int(name[1:]): int(value) for name, value in config.boot.registers.items()}
    result = Images(_entry(machine, images, paths), registers, staged, paths)
    if config.boot.info is not None:
        from machine.payload_abi import host_info

        machine.memory.write(config.boot.info, host_info(machine, staged))
        registers.setdefault(0, config.boot.info)
    return result


def _place(machine: Machine, image: Image, pas: str, where: str) -> None:
    for segment in image.segments:
        region = _region(machine, segment.address, segment.size, pas, where)
        offset = segment.address - region
        target = machine.memory.region(segment.address).bytes
        target[offset : offset + len(segment.data)] = segment.data


def _region(machine: Machine, base: int, size: int, pas: str, where: str) -> int:
    for memory in machine.config.memory.values():
        if memory.pas == pas and memory.base <= base and base + size <= memory.base + memory.size:
            return memory.base
    raise ConfigError(f"{where}: {base:#x} to {base + size - 1:#x} is not within {pas} memory")


def _stage(machine: Machine, realm: Realm, path: Path, at: int, where: str) -> StagedRealm:
    image = read_image(path)
    if not image.fixed:
        image = image.placed(realm.ram.base if realm.at is None else realm.at)
    load_ipa = image.base & ~(GRANULE - 1)
    flat = flatten(image, load_ipa)
    size = -(-len(flat) // GRANULE) * GRANULE
    if load_ipa < realm.ram.base or load_ipa + size > realm.ram.base + realm.ram.size:
        raise ConfigError(
            f"{where}: {path} takes IPA {load_ipa:#x} to {load_ipa + size - 1:#x}, outside the realm's RAM "
            f"({realm.ram.base:#x} to {realm.ram.base + realm.ram.size - 1:#x}): link it there, or change `ram`"
        )
    offset = at - _region(machine, at, size, "non-secure", where)
    machine.memory.region(at).bytes[offset : offset + len(flat)] = flat
    entry = image.entry
    if isinstance(realm.entry, int):
        entry = realm.entry
    elif realm.entry is not None:
        entry = _symbol(path, realm.entry, where)
    return StagedRealm(realm, at, size, load_ipa, entry)


def _symbol(path: Path, name: str, where: str) -> int:
    from bridge.errors import did_you_mean
    from bridge.symbols import SymbolTable

    table = SymbolTable.from_elf(path)
    address = table.address(name)
    if address is None:
        raise ConfigError(f"{where}: {path} has no symbol `{name}`{did_you_mean(name, table.names())}")
    return address


def _entry(machine: Machine, images: dict[str, Image], paths: dict[str, list[Path]]) -> int:
    config = machine.config
    where = config.source.where
    entry = config.boot.entry
    if isinstance(entry, int):
        return entry
    if isinstance(entry, str):
        name, _, symbol = entry.partition(":")
        if name not in images:
            from bridge.errors import did_you_mean

            hint = did_you_mean(name, list(images))
            raise ConfigError(f"{where('boot', 'entry')}: there is no load `{name}`{hint}")
        if symbol:
            return _symbol(Path(images[name].path), symbol, where("boot", "entry"))
        return images[name].entry
    candidates = [image for name, image in images.items() if config.load[name].world == config.boot.world]
    if len(candidates) == 1:
        return candidates[0].entry
    raise ConfigError(
        f"{where('boot')}: `entry` is needed: {len(candidates)} images are loaded for the {config.boot.world} world"
    )
