# SPDX-License-Identifier: GPL-2.0-or-later
"""arm64 kernels as they come: Image, Image.gz and its kin, EFI zboot, vmlinux.

Sources: Linux, Documentation/arch/arm64/booting.rst (the header, text_offset, flags) and
drivers/firmware/efi/libstub/zboot-header.S (the zboot header).
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, replace

from bridge.errors import UserError
from bridge.image import flatten, read_bytes, read_elf

from . import compressed

ALIGNMENT = 2 << 20
_HEADER = struct.Struct("<IIQQQQQQ4sI")
_MAGIC, _MAGIC_AT = b"ARM\x64", 56
_PAGE_SIZES = {0: None, 1: 4096, 2: 16384, 3: 65536}
_MAX_SIZE = 1 << 30
_ZBOOT = struct.Struct("<4s4sII8s32s")
_PE_ARM64 = 0xAA64
_PE_MACHINES = {0x14C: "i386", 0x1C0: "arm (32-bit)", 0x1C2: "arm (32-bit)", 0x8664: "x86-64", 0x5064: "risc-v"}
_BANNER = re.compile(rb"Linux version (\d[\w.+~-]{0,64})")
_RSI = b"RME: Using RSI version"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel ready for memory: `data` goes to `text_offset` above an address that is a multiple of ALIGNMENT.

    form: `Image`, `Image.gz`, `zboot (zstd)`, `vmlinux`, … .  size: bytes in memory from there, .bss included.
    entry: offset of the first instruction, from the aligned address.  page_size: None where the header does not say.
    anywhere: whether it may stand at any aligned address, or wants the first of RAM.
    """

    path: str
    form: str
    data: bytes
    text_offset: int
    size: int
    entry: int
    page_size: int | None
    anywhere: bool

    @property
    def end(self) -> int:
        """The first byte after the kernel, from the aligned address."""
        return self.text_offset + self.size

    @property
    def release(self) -> str | None:
        """What `uname -r` will print, from the banner in the image; None without one."""
        match = _BANNER.search(self.data)
        return match[1].decode("ascii") if match else None

    @property
    def knows_rsi(self) -> bool:
        """Whether it has Linux' support for running in a realm: by its message about it (6.13 and later)."""
        return _RSI in self.data


def read_kernel(path: str | os.PathLike[str]) -> Kernel:
    """Reads, decompresses and checks one kernel file; UserError says what is wrong with it."""
    name = os.fspath(path)
    data = read_bytes(name)
    if not data:
        raise UserError(f"{name}: empty file")
    if data[:4] == b"\x7fELF":
        return _vmlinux(name, data)
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return _zboot(name, data)
    kind = compressed.kind(data)
    if kind is None:
        return _image(name, data, "Image")
    suffix = {"gzip": "gz", "bzip2": "bz2", "zstd": "zst"}.get(kind, kind)
    return _image(name, compressed.decompress(name, data), f"Image.{suffix}")


def _image(path: str, data: bytes, form: str) -> Kernel:
    if data[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise UserError(f"{path}: not an arm64 kernel: {_what(data)}")
    if len(data) < _HEADER.size:
        raise UserError(f"{path}: truncated: {len(data)} bytes, the header alone has {_HEADER.size}")
    _, _, text_offset, size, flags, _, _, _, _, pe = _HEADER.unpack_from(data)
    if flags & 1:
        raise UserError(f"{path}: a big-endian arm64 kernel: realms here are little-endian")
    if size == 0:
        raise UserError(f"{path}: its image_size is 0: a kernel older than 3.17 does not say how much memory it needs")
    if size > _MAX_SIZE or text_offset > _MAX_SIZE or text_offset % 4:
        raise UserError(f"{path}: malformed arm64 Image: image_size {size:#x}, text_offset {text_offset:#x}")
    _whole_pe(path, data, pe)
    # What follows image_size is a signature for Secure Boot: the kernel never looks there.
    placement = bool(flags >> 3 & 1)
    return Kernel(path, form, data[:size], text_offset, size, text_offset, _PAGE_SIZES[flags >> 1 & 3], placement)


def _whole_pe(path: str, data: bytes, at: int) -> None:
    """An Image with an EFI stub is also a PE file, whose sections say how long the file must be."""
    if data[:2] != b"MZ" or not _HEADER.size <= at <= len(data) - 24 or data[at : at + 4] != b"PE\0\0":
        return
    count, optional = struct.unpack_from("<H12xH", data, at + 6)
    for index in range(min(count, 64)):
        header = at + 24 + optional + 40 * index
        if header + 40 > len(data):
            raise UserError(f"{path}: truncated: the file ends inside its headers")
        size, start = struct.unpack_from("<II", data, header + 16)
        if start + size > len(data):
            raise UserError(f"{path}: truncated: {len(data)} bytes of at least {start + size}")


def _what(data: bytes) -> str:
    """What a file that is no arm64 Image looks like instead."""
    if len(data) < _HEADER.size:
        return f"a file of {len(data)} bytes"
    if data[0x202:0x206] == b"HdrS":
        return "built for x86 (a bzImage)"
    if data[0x24:0x28] == b"\x18\x28\x6f\x01":
        return "built for arm (32-bit)"
    if data[_MAGIC_AT : _MAGIC_AT + 4] == b"RSC\x05":
        return "built for risc-v"
    if data[:2] == b"MZ":
        at = int.from_bytes(data[0x3C:0x40], "little")
        machine = int.from_bytes(data[at + 4 : at + 6], "little") if data[at : at + 4] == b"PE\0\0" else 0
        if machine and machine != _PE_ARM64:
            return f"an EFI file built for {_PE_MACHINES.get(machine, f'machine {machine:#x}')}"
        return "an EFI file of another kind (take the Image out of a unified kernel image)"
    return "it has no `ARM\\x64` at 0x38, and is neither an ELF nor compressed"


def _zboot(path: str, data: bytes) -> Kernel:
    if len(data) < _HEADER.size:
        raise UserError(f"{path}: truncated: {len(data)} bytes, a zboot header has {_HEADER.size}")
    _, _, start, size, _, name = _ZBOOT.unpack_from(data)
    said = name.split(b"\0")[0].decode("ascii", "replace")
    if start + size > len(data):
        raise UserError(f"{path}: truncated: its compressed kernel ends at {start + size}, the file at {len(data)}")
    if start < _HEADER.size or size == 0:
        raise UserError(f"{path}: malformed zboot file: {size} bytes of kernel at {start}")
    payload = memoryview(data)[start : start + size]
    if compressed.kind(payload) is None:
        raise UserError(f"{path}: a zboot kernel compressed with `{said}`, which is not known here")
    return _image(path, compressed.decompress(path, payload), f"zboot ({compressed.kind(payload)})")


def _vmlinux(path: str, data: bytes) -> Kernel:
    """An ELF linked at the kernel's virtual addresses: what objcopy would make an Image of."""
    elf = read_elf(path, memoryview(data), address_end=1 << 64)
    if elf.end - elf.base > _MAX_SIZE:
        raise UserError(f"{path}: spans {elf.end - elf.base:#x} bytes, more than a kernel has")
    flat = flatten(elf)
    if flat[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise UserError(f"{path}: an aarch64 ELF without an arm64 kernel's header at its start: not a vmlinux")
    image = _image(path, flat, "vmlinux")
    return replace(image, data=image.data.rstrip(b"\0"))
