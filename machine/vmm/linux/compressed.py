# SPDX-License-Identifier: GPL-2.0-or-later
"""Compressed data by its magic number: what kernels, modules and packages come in."""

from __future__ import annotations

import shutil
import subprocess

from bridge.errors import UserError

MAX_PLAIN = 1 << 30
_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x5d\0\0", "lzma"),
    (b"BZh", "bzip2"),
    (b"\x89LZO", "lzo"),
)
# This Python has no library for these: programs of the same name, or none.
_PROGRAMS = ("zstd", "lz4")


def kind(data: bytes | memoryview) -> str | None:
    """The compression that `data` begins like, or None."""
    head = bytes(data[:8])
    return next((name for magic, name in _MAGICS if head.startswith(magic)), None)


def decompress(path: str, data: bytes | memoryview) -> bytes:
    """`data`, decompressed as its magic number says, at most 1 GiB; UserError names the file and what is wrong."""
    name = kind(data)
    if name in ("gzip", "xz", "lzma", "bzip2"):
        return _library(path, name, data)
    if name in _PROGRAMS:
        return _program(path, name, data)
    raise UserError(f"{path}: compressed with {name or 'something unknown'}: decompress it first")


def _library(path: str, name: str, data: bytes | memoryview) -> bytes:
    import bz2
    import lzma
    import zlib

    try:
        if name == "gzip":
            gzip = zlib.decompressobj(wbits=31)
            plain, complete = gzip.decompress(data, MAX_PLAIN), gzip.eof
        elif name == "bzip2":
            bzip2 = bz2.BZ2Decompressor()
            plain, complete = bzip2.decompress(data, MAX_PLAIN), bzip2.eof
        else:
            xz = lzma.LZMADecompressor(memlimit=MAX_PLAIN)
            plain, complete = xz.decompress(data, MAX_PLAIN), xz.eof
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path}: malformed {name} data: {error}") from None
    return _whole(path, name, plain, complete)


def _whole(path: str, name: str, plain: bytes, complete: bool) -> bytes:
    if len(plain) >= MAX_PLAIN:
        raise UserError(f"{path}: more than {MAX_PLAIN} bytes when decompressed")
    if not complete:
        raise UserError(f"{path}: truncated: its {name} data end early")
    return plain


def _program(path: str, name: str, data: bytes | memoryview) -> bytes:
    program = shutil.which(name)
    if program is None:
        raise UserError(f"{path}: compressed with {name}: `apt install {name}`, or decompress it first")
    process = subprocess.Popen([program, "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, complaints = process.communicate(bytes(data))
    if process.returncode:
        lines = complaints.decode("utf-8", "replace").strip().splitlines()
        raise UserError(f"{path}: {lines[0] if lines else f'malformed {name} data'}")
    return _whole(path, name, output, True)
