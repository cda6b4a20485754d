# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a machine, read, placed and checked against its memory map."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.errors import ConfigError, UserError, did_you_mean
from bridge.image import Image, flatten, read_image
from bridge.pas import PAS
from machine.gpt import GRANULE

from .files import locate
from .loader import MachineConfig
from .scalars import address_text, size_text, span_text
from .types import Realm
from .validate import WORLD_PAS, Area, boot_areas, disjoint, outside, region_of
from .vmm_files import check_vmm_files


@dataclass(frozen=True, slots=True)
class Piece:
    """What a realm is given besides its image.  size: bytes, whole granules; stage: its PA when the host starts."""

    ipa: int
    size: int
    stage: int
    data: bytes
    measured: bool


@dataclass(frozen=True, slots=True)
class LinuxEntry:
    """IPAs of a device tree and of a kernel's first instruction.  by_loader: the realm's image starts the kernel."""

    dtb: int
    kernel: int
    by_loader: bool


@dataclass(frozen=True, slots=True)
class RealmImage:
    """A realm's image as the machine hands it to the host.

    base: IPA of its first granule; size: bytes, whole granules; stage: PA at which the machine leaves it;
    entry: IPA of the first instruction; pieces: staged one after the other behind it.
    """

    realm: Realm
    image: Image
    base: int
    size: int
    stage: int
    entry: int
    pieces: tuple[Piece, ...] = ()
    linux: LinuxEntry | None = None

    @property
    def staged(self) -> int:
        """Bytes from `stage` on."""
        return self.size + sum(piece.size for piece in self.pieces)

    def content(self) -> bytes:
        """`size` bytes from `base` on, gaps and bss as zeros."""
        return flatten(self.image, self.base).ljust(self.size, b"\0")


@dataclass(frozen=True, slots=True)
class Images:
    """loads: by name, at physical addresses.  entry: PA of PE 0's first instruction; secure: of the service's."""

    loads: dict[str, Image]
    realms: tuple[RealmImage, ...]
    entry: int
    secure: int | None


def read_images(config: MachineConfig) -> Images:
    """Reads and places every file that the machine names; ConfigError at the key that is to blame."""
    loads: dict[str, Image] = {}
    areas = [area for area in boot_areas(config.boot) if area.name != "boot.stage"]
    for name, load in config.load.items():
        image = _read(load.file, config.source.where("load", name, "file"))
        image = _place(config, name, image)
        where = config.source.where("load", name, "file")
        pas = WORLD_PAS[load.world]
        for segment in image.segments:
            if region_of(config, segment.address, segment.size, pas) is None:
                reason = outside(config, segment.address, segment.size, pas)
                span = span_text(segment.address, segment.size)
                raise ConfigError(f"{where}: load.{name}: {load.file}: {span} {reason}")
            areas.append(Area(segment.address, segment.size, f"load.{name}", ("load", name, "file")))
        loads[name] = image
    realms: list[RealmImage] = []
    stage = config.boot.stage or 0
    if config.vmm is not None:
        check_vmm_files(config.vmm, config.source.where)
    for index, realm in enumerate(config.realms):
        staged = _realm(config, realm, index, stage)
        realms.append(staged)
        if config.boot.host == "vmm":  # which reads it from the file
            continue
        areas.append(Area(stage, staged.staged, f"the staged image of realm {realm.name}", ("realms", index, "image")))
        if region_of(config, stage, staged.staged, PAS.NON_SECURE) is None:
            where = config.source.where("realms", index, "image")
            raise ConfigError(
                f"{where}: realms[{index}].image: {size_text(staged.staged)} staged at {address_text(stage)} "
                f"{outside(config, stage, staged.staged, PAS.NON_SECURE)}"
            )
        stage += staged.staged
    disjoint(areas, config.source.where)
    boot = config.boot
    entry = _entry(config, loads, "boot", boot.entry, boot.world) if boot.host == "firmware" else 0
    service = config.secure
    secure = None if service is None else _entry(config, loads, "secure", service.entry, "secure")
    return Images(loads, tuple(realms), entry, secure)


def _read(file: str, where: str) -> Image:
    path = locate(file, where)
    try:
        return read_image(path)
    except UserError as error:
        raise ConfigError(f"{where}: {error}") from None


def _place(config: MachineConfig, name: str, image: Image) -> Image:
    load = config.load[name]
    if load.at is None:
        if image.kind != "elf":
            what = "an arm64 Image" if image.kind == "image" else "a raw binary"
            where = config.source.where("load", name, "file")
            raise ConfigError(f"{where}: load.{name}: {load.file} is {what}: the key `at` is missing")
        return image
    try:
        return image.placed(load.at)
    except UserError as error:
        raise ConfigError(f"{config.source.where('load', name, 'at')}: {error}") from None


def _realm(config: MachineConfig, realm: Realm, index: int, stage: int) -> RealmImage:
    if realm.linux is not None:
        return _linux(config, realm, index, stage)
    where = config.source.where("realms", index, "image")
    image = _read(realm.image, where)
    if not image.fixed:
        try:
            image = image.placed(realm.ram.base if realm.at is None else realm.at)
        except UserError as error:
            raise ConfigError(f"{where}: {error}") from None
    elif realm.at is not None:
        raise ConfigError(
            f"{config.source.where('realms', index, 'at')}: realms[{index}].at: {realm.image} is an ELF: it "
            f"stands at its own addresses ({address_text(image.base)})"
        )
    return _staged(config, realm, index, image, stage)


def _staged(config: MachineConfig, realm: Realm, index: int, image: Image, stage: int) -> RealmImage:
    where = config.source.where("realms", index, "image")
    ram = realm.ram
    if image.base < ram.base or image.end > ram.base + ram.size:
        raise ConfigError(
            f"{where}: realms[{index}].image: {realm.image} takes {address_text(image.base)} to "
            f"{address_text(image.end - 1)}, the realm's RAM is {span_text(ram.base, ram.size)}"
        )
    base = image.base & ~(GRANULE - 1)
    size = -(-(image.end - base) // GRANULE) * GRANULE
    entry = image.entry if realm.entry is None else realm.entry
    if isinstance(entry, str):
        entry = _symbol(image, entry, f"{config.source.where('realms', index, 'entry')}: realms[{index}].entry")
    return RealmImage(realm, image, base, size, stage, entry)


def _linux(config: MachineConfig, realm: Realm, index: int, stage: int) -> RealmImage:
    """A kernel, or a boot loader that starts one, with all that goes with it."""
    from . import linux_images

    assert realm.linux is not None
    where = config.source.where("realms", index, "image")
    by_loader = linux_images.is_loader(locate(realm.image, where), where)
    if by_loader is (realm.linux.kernel is None):
        what = "boot loader: name its kernel" if by_loader else "kernel itself, no boot loader that starts one"
        at = config.source.where("realms", index, "linux")
        raise ConfigError(f"{at}: realms[{index}].linux.kernel: {realm.image} is a {what}")
    launch = linux_images.launch(config, realm, index)
    image = _read(realm.image, where) if by_loader else linux_images.kernel_image(launch)
    staged = _staged(config, realm, index, image, stage)
    room = realm.ram.base + linux_images.LOADER_ROOM
    if by_loader and image.end > room:
        raise ConfigError(f"{where}: realms[{index}].image: {realm.image} ends beyond {address_text(room - 1)}")
    at_pa = stage + staged.size
    pieces = []
    for what, ipa, data in launch.contents():
        if what == "kernel" and not by_loader:
            continue
        base = ipa & ~(GRANULE - 1)
        data = bytes(ipa - base) + data
        size = -(-len(data) // GRANULE) * GRANULE
        pieces.append(Piece(base, size, at_pa, data, realm.linux.measure))
        at_pa += size
    entry = LinuxEntry(launch.where.dtb, launch.where.entry, by_loader)
    return replace(staged, pieces=tuple(pieces), linux=entry)


def _symbol(image: Image, name: str, label: str) -> int:
    from bridge.symbols import SymbolTable

    table = SymbolTable.from_elf(image.path)
    address = table.address(name)
    if address is None:
        raise ConfigError(f"{label}: {image.path} has no symbol `{name}`{did_you_mean(name, table.names())}")
    if address % 4:
        raise ConfigError(f"{label}: `{name}` at {address:#x} is not a multiple of 4")
    return address


def _entry(config: MachineConfig, loads: dict[str, Image], block: str, entry: int | str | None, world: str) -> int:
    """PA of the first instruction of a world, as `block`.entry says it."""
    where = config.source.where(block, "entry")
    label = f"{where}: {block}.entry"
    if isinstance(entry, int):
        return entry
    if entry is None:
        candidates = [name for name, load in config.load.items() if load.world == world]
        candidates = [name for name in candidates if loads[name].kind == "elf"] or candidates
        if len(candidates) != 1:
            which = f"could be any of {', '.join(candidates)}" if candidates else "nothing is loaded"
            raise ConfigError(f"{label}: give it: {which}")
        return loads[candidates[0]].entry
    name, _, symbol = entry.partition(":")
    image = loads[name]
    if config.load[name].world != world:
        raise ConfigError(f"{label}: load.{name} is in the {config.load[name].world} world")
    if not symbol:
        return image.entry
    address = _symbol(image, symbol, label)
    pas = WORLD_PAS[world]
    if region_of(config, address, 4, pas) is None:
        raise ConfigError(f"{label}: {address:#x} {outside(config, address, 4, pas)}")
    return address
