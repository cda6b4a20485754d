# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements (rmm-abi.md §9)."""

from __future__ import annotations

import hashlib
import struct

_HASHES = (hashlib.sha256, hashlib.sha512)


def digest(algorithm: int, data: bytes) -> bytes:
    return _HASHES[algorithm](data).digest()


def initial(algorithm: int, params: bytes) -> bytes:
    kept = bytearray(4096)
    for low, high in ((0, 8), (8, 12), (0x10, 0x14), (0x18, 0x1C), (0x20, 0x24), (0x28, 0x2C), (0x30, 0x31)):
        kept[low:high] = params[low:high]
    return digest(algorithm, bytes(kept))


def data(algorithm: int, rim: bytes, ipa: int, flags: int, content: bytes) -> bytes:
    body = digest(algorithm, content) if flags & 1 else b""
    return digest(algorithm, struct.pack("<B7xQ64sQQ64s96x", 0, 0x100, rim, ipa, flags, body))


def rec(algorithm: int, rim: bytes, params: bytes) -> bytes:
    kept = bytearray(4096)
    for low, high in ((0, 8), (0x200, 0x208), (0x300, 0x340)):
        kept[low:high] = params[low:high]
    return digest(algorithm, struct.pack("<B7xQ64s64s112x", 1, 0x100, rim, digest(algorithm, bytes(kept))))


def ripas(algorithm: int, rim: bytes, base: int, top: int) -> bytes:
    return digest(algorithm, struct.pack("<B7xQ64sQQ160x", 2, 0x100, rim, base, top))


def extend(algorithm: int, rem: bytes, value: bytes) -> bytes:
    return digest(algorithm, rem + value)
