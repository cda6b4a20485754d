# SPDX-License-Identifier: GPL-2.0-or-later
"""Which code the guests run: blocks counted by the plugin, by world and realm, and the images that they are of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import UserError
from bridge.image import Image
from bridge.pas import PAS

if TYPE_CHECKING:
    from bridge.core import Block, Core
    from machine.machine import Machine

DRCOV, LCOV = ".drcov", ".info"
SUFFIXES = (DRCOV, LCOV)
FETCH = 2
_SAMPLE = 64  # bytes of code at its entry by which a realm's image is known
_WORLDS = {PAS.NON_SECURE: "normal", PAS.SECURE: "secure"}
_WINDOW = 1 << 32  # what offsets within a module span


class Module(NamedTuple):
    """What blocks are of: an image, or a stretch of addresses of a context where no image is known to be.

    base, end: virtual addresses; image: None where none is known.
    """

    name: str
    base: int
    end: int
    image: Image | None


class Coverage:
    """Counts the blocks of a machine's contexts, from before its first instruction on.

    files: where they go when the machine has ended, by suffix: drcov, or LCOV (`.info`).
    """

    def __init__(self, machine: Machine, files: tuple[str, ...]) -> None:
        for path in files:
            if os.path.splitext(path)[1] not in SUFFIXES:
                raise UserError(f"--coverage {path}: the suffix says the format: {' or '.join(SUFFIXES)}")
            try:
                open(path, "ab").close()  # what cannot be written is said before the run
            except OSError as error:
                raise UserError(f"--coverage {path}: {error.strerror}") from None
        self._machine = machine
        self._files = files
        self._contexts: dict[str, int] = {}
        self._of: dict[int, tuple[Image, ...]] = {}
        images = machine.images
        self._loads = {
            world: tuple(images.loads[name] for name, load in machine.config.load.items() if load.world == world)
            for world in _WORLDS.values()
        }
        if any(path.endswith(LCOV) for path in files):
            from machine.traces.lcov import check

            check([*(image for loads in self._loads.values() for image in loads), *(r.image for r in images.realms)])
        machine.coverage = self
        for core in machine.cores:
            self.attach(core)

    def attach(self, core: Core) -> None:
        """A new context, before it runs."""
        world = _WORLDS.get(core.pas)
        name = f"{world} world" if world is not None else core.name.partition(" of ")[2]
        number = self._contexts.setdefault(name, len(self._contexts))
        if not self._of.get(number):
            self._of[number] = self._loads[world] if world is not None else self._realm_image(core)
        core.cover(number)

    def _realm_image(self, core: Core) -> tuple[Image, ...]:
        """The image whose code stands where a realm's REC begins."""
        at = core.translate(core.pc, FETCH)
        if at is None:
            return ()
        size = min(_SAMPLE, -core.pc % 4096 or _SAMPLE)
        code = self._machine.memory.read(at[0], size)
        for realm in self._machine.images.realms:
            if realm.image.kind == "elf" and _content(realm.image, core.pc, size) == code:
                return (realm.image,)
        return ()

    def blocks(self) -> Iterator[tuple[Module, Block]]:
        """Every block that has run, and what it is of, by context and address."""
        names = {number: name for name, number in self._contexts.items()}
        known: dict[tuple[int, int], Module] = {}
        for block in self._machine.board.covered():
            image = next((i for i in self._of.get(block.id, ()) if _executes(i, block.pc)), None)
            key = (block.id, id(image) if image is not None else block.pc & -_WINDOW)
            module = known.get(key)
            if module is None:
                if image is not None:
                    module = Module(image.path, image.base, image.end, image)
                else:
                    base = block.pc & -_WINDOW
                    module = Module(f"[{names[block.id]}]", base, base + _WINDOW - 1, None)
                known[key] = module
            yield module, block

    def write(self) -> None:
        """Writes the files; UserError for one that cannot be."""
        blocks = list(self.blocks())
        for path in self._files:
            content: Callable[[list[tuple[Module, Block]]], bytes]
            if path.endswith(DRCOV):
                from machine.traces.drcov import content
            else:
                from machine.traces.lcov import content
            try:
                with open(path, "wb") as file:
                    file.write(content(blocks))
            except OSError as error:
                raise UserError(f"--coverage {path}: {error.strerror}") from None


def _content(image: Image, address: int, size: int) -> bytes | None:
    for segment in image.segments:
        if segment.address <= address and address + size <= segment.end:
            at = address - segment.address
            return bytes(segment.data[at : at + size]).ljust(size, b"\0")
    return None


def _executes(image: Image, address: int) -> bool:
    return image.kind == "elf" and any(s.executable and s.address <= address < s.end for s in image.segments)
