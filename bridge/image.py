# SPDX-License-Identifier: GPL-2.0-or-later
"""What is loaded into emulated memory: ELF files, arm64 Linux `Image` files and raw binaries.

Program headers are read here with two struct formats: importing pyelftools takes 80 ms, more than a whole
small machine takes to boot.  Symbols and DWARF are left to it (bridge/symbols.py).
Every field of a file is untrusted; what is wrong with one is a UserError of one line that names the file.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from bridge.errors import UserError

MAX_FILE = 1 << 30
MAX_FLAT = 1 << 32
_MAX_SEGMENTS = 1024
_ADDRESS_END = 1 << 52

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_IMAGE_HEADER = struct.Struct("<IIQQQQQQ4sI")
_ET_EXEC, _ET_DYN = 2, 3
_EM_AARCH64 = 183
_PT_LOAD = 1
_PF_X = 1
_MACHINES = {3: "i386", 40: "arm (32-bit)", 62: "x86-64", 243: "risc-v"}
# Documentation/arch/arm64/booting: where an Image without image_size is placed.
_LEGACY_TEXT_OFFSET = 0x80000


class Segment(NamedTuple):
    """`size` bytes at `address`: `data` first, zeros after it."""

    address: int
    data: memoryview
    size: int
    executable: bool = True

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Image:
    """A file as it goes into memory.

    kind: `elf`, `image` (arm64 Linux) or `raw`.  segments: ascending, disjoint.
    entry: address of the first instruction.  An ELF stands at its own addresses; `fixed` is False when its
    addresses count from 0 until `placed()` gives them a base.
    """

    path: str
    kind: str
    segments: tuple[Segment, ...]
    entry: int
    fixed: bool

    @property
    def base(self) -> int:
        return self.segments[0].address

    @property
    def end(self) -> int:
        return self.segments[-1].end

    def placed(self, base: int) -> Image:
        """The same file with its addresses counted from `base`; of an ELF with fixed addresses an error."""
        if self.fixed:
            raise UserError(f"{self.path}: an ELF with addresses of its own cannot be placed at {base:#x}")
        if base + self.end > _ADDRESS_END:
            raise UserError(f"{self.path}: does not fit below 2^52 when it is placed at {base:#x}")
        moved = tuple(segment._replace(address=base + segment.address) for segment in self.segments)
        return replace(self, segments=moved, entry=base + self.entry, fixed=True)


def read_image(path: str | os.PathLike[str]) -> Image:
    """Reads and checks one file; UserError says what is wrong with it."""
    name = os.fspath(path)
    data = read_bytes(name)
    if not data:
        raise UserError(f"{name}: empty file")
    if data[:4] == b"\x7fELF":
        return read_elf(name, memoryview(data))
    if len(data) >= _IMAGE_HEADER.size and data[56:60] == b"ARM\x64":
        return _linux_image(name, memoryview(data))
    view = memoryview(data)
    return Image(name, "raw", (Segment(0, view, len(view)),), 0, fixed=False)


def read_bytes(path: str) -> bytes:
    """A regular file's content; UserError when there is none, or more than 1 GiB."""
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path}: not a file")
            if status.st_size > MAX_FILE:
                raise UserError(f"{path}: {status.st_size} bytes, at most {MAX_FILE} can be loaded")
            return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{path}: {reason}") from None


def flatten(image: Image, base: int | None = None) -> bytes:
    """The image's memory from `base` (its own base by default) to its end, gaps and bss as zeros."""
    start = image.base if base is None else base
    if start > image.base:
        raise UserError(f"{image.path}: starts at {image.base:#x}, below {start:#x}")
    if image.end - start > MAX_FLAT:
        raise UserError(f"{image.path}: spans {image.end - start:#x} bytes, at most {MAX_FLAT:#x} can be loaded")
    flat = bytearray(image.end - start)
    for segment in image.segments:
        offset = segment.address - start
        flat[offset : offset + len(segment.data)] = segment.data
    return bytes(flat)


def read_elf(path: str, data: memoryview, address_end: int = _ADDRESS_END) -> Image:
    """The ELF `data` of a file; no segment ends beyond `address_end`."""

    def bad(what: str) -> UserError:
        return UserError(f"{path}: malformed ELF: {what}")

    if len(data) < 6:
        raise bad("the file ends inside its header")
    if data[4] != 2:
        raise UserError(f"{path}: not an aarch64 ELF: expected 64 bits (ELFCLASS64), got class {data[4]}")
    if data[5] != 1:
        raise UserError(f"{path}: not an aarch64 ELF: expected little-endian data, got encoding {data[5]}")
    if len(data) < _EHDR.size:
        raise bad("the file ends inside its header")
    _, type_, machine, _, entry, phoff, _, _, _, phentsize, phnum, _, _, _ = _EHDR.unpack_from(data)
    if machine != _EM_AARCH64:
        got = _MACHINES.get(machine, f"machine {machine}")
        raise UserError(f"{path}: not an aarch64 ELF: built for {got}")
    if type_ not in (_ET_EXEC, _ET_DYN):
        what = "an object file: link it first" if type_ == 1 else f"type {type_}"
        raise UserError(f"{path}: expected an executable ELF, got {what}")
    if phnum == 0:
        raise bad("no program headers: there is nothing to load")
    if phentsize != _PHDR.size:
        raise bad(f"program headers of {phentsize} bytes, expected {_PHDR.size}")
    if phnum > _MAX_SEGMENTS:
        raise bad(f"{phnum} program headers")
    if phoff + phnum * phentsize > len(data):
        raise bad("the program headers lie beyond the end of the file")
    segments: list[Segment] = []
    virtual: list[tuple[int, int, int]] = []
    for index in range(phnum):
        kind, flags, offset, vaddr, paddr, filesz, memsz, _ = _PHDR.unpack_from(data, phoff + index * phentsize)
        if kind != _PT_LOAD or memsz == 0:
            continue
        if filesz > memsz:
            raise bad(f"segment {index} has {filesz:#x} bytes in the file and {memsz:#x} in memory")
        if offset + filesz > len(data):
            raise bad(f"segment {index} lies beyond the end of the file")
        if paddr + memsz > address_end:
            raise bad(f"segment {index} at {paddr:#x} + {memsz:#x} ends beyond 2^{address_end.bit_length() - 1}")
        segments.append(Segment(paddr, data[offset : offset + filesz], memsz, bool(flags & _PF_X)))
        virtual.append((vaddr, paddr, memsz))
    if not segments:
        raise bad("no PT_LOAD segment: there is nothing to load")
    segments.sort(key=lambda segment: segment.address)
    for low, high in pairwise(segments):
        if low.end > high.address:
            raise bad(f"segments at {low.address:#x} and {high.address:#x} overlap")
    # The entry point is a virtual address; the machine starts with the MMU off.
    physical = next((entry - v + p for v, p, size in virtual if v <= entry < v + size), None)
    if physical is None:
        raise bad(f"the entry point {entry:#x} lies in no segment")
    if physical % 4:
        raise bad(f"the entry point {entry:#x} is not a multiple of 4")
    return Image(path, "elf", tuple(segments), physical, fixed=type_ == _ET_EXEC or segments[0].address != 0)


def _linux_image(path: str, data: memoryview) -> Image:
    _, _, text_offset, image_size, flags, *_ = _IMAGE_HEADER.unpack_from(data)
    if flags & 1:
        raise UserError(f"{path}: a big-endian arm64 Image")
    if image_size == 0:
        text_offset, image_size = _LEGACY_TEXT_OFFSET, len(data)
    if image_size > MAX_FLAT or text_offset > MAX_FLAT:
        raise UserError(f"{path}: malformed arm64 Image: image_size {image_size:#x}, text_offset {text_offset:#x}")
    if text_offset % 4:
        raise UserError(f"{path}: malformed arm64 Image: text_offset {text_offset:#x}")
    size = max(image_size, len(data))
    return Image(path, "image", (Segment(text_offset, data, size),), text_offset, fixed=False)


def overlaps(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Index pairs of [base, end) ranges that overlap, neighbours by base only."""
    order = sorted(range(len(ranges)), key=lambda index: ranges[index])
    widest = -1
    for index in order:
        if widest >= 0 and ranges[index][0] < ranges[widest][1]:
            yield tuple(sorted((widest, index)))  # type: ignore[misc]
        if widest < 0 or ranges[index][1] > ranges[widest][1]:
            widest = index
