# SPDX-License-Identifier: GPL-2.0-or-later
"""Realm measurements: RIM and REMs (rmm-abi.md §9)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from rmm.abi.structs import REALM_PARAMS, REC_PARAMS
from rmm.abi.values import HashAlgorithm

if TYPE_CHECKING:
    from rmm.abi.layout import Struct

SLOT = 64  # bytes of a measurement, whatever the hash

Hash = Callable[[bytes], bytes]

_DESCRIPTOR_SIZE = 0x100
_DATA, _REC, _RIPAS = 0, 1, 2
_data = struct.Struct("<B7xQ64sQQ64s96x").pack
_rec = struct.Struct("<B7xQ64s64s112x").pack
_ripas = struct.Struct("<B7xQ64sQQ160x").pack

_REALM_FIELDS = ("flags", "s2sz", "sve_vl", "num_bps", "num_wps", "pmu_num_ctrs", "hash_algo")
_REC_FIELDS = ("flags", "pc", "gprs")


def hash_function(algorithm: int) -> Hash:
    """From data to a digest of 32 (SHA_256) or 64 bytes (SHA_512)."""
    # hashlib costs more to import than a machine's start-up can spare before a realm needs it.
    import hashlib

    new = hashlib.sha256 if algorithm == HashAlgorithm.SHA_256 else hashlib.sha512
    return lambda data: new(data).digest()


def _masked(struct_: Struct, image: bytes, names: tuple[str, ...]) -> bytes:
    """The structure's image with only the named fields kept."""
    kept = bytearray(struct_.size)
    for name in names:
        field = struct_.by_name[name]
        kept[field.offset : field.end] = image[field.offset : field.end]
    return bytes(kept)


def initial_rim(hash_: Hash, params: bytes) -> bytes:
    """RIM of a new realm, from the 4096 bytes of its RmiRealmParams (§9.1)."""
    return hash_(_masked(REALM_PARAMS, params, _REALM_FIELDS))


def rim_after_data(hash_: Hash, rim: bytes, ipa: int, flags: int, content: bytes | None) -> bytes:
    """RIM after DATA_CREATE; content: the 4096 bytes, None when they are not measured (§9.2)."""
    digest = b"" if content is None else hash_(content)
    return hash_(_data(_DATA, _DESCRIPTOR_SIZE, rim, ipa, flags, digest))


def rim_after_rec(hash_: Hash, rim: bytes, params: bytes) -> bytes:
    """RIM after REC_CREATE of a runnable REC, from the 4096 bytes of its RmiRecParams (§9.4)."""
    return hash_(_rec(_REC, _DESCRIPTOR_SIZE, rim, hash_(_masked(REC_PARAMS, params, _REC_FIELDS))))


def rim_after_ripas(hash_: Hash, rim: bytes, base: int, top: int) -> bytes:
    """RIM after INIT_RIPAS of one RTT entry, [base, top) (§9.5)."""
    return hash_(_ripas(_RIPAS, _DESCRIPTOR_SIZE, rim, base, top))


def extend_rem(hash_: Hash, rem: bytes, value: bytes) -> bytes:
    """A REM extended by up to 64 bytes (§4.4, §9.7)."""
    return hash_(rem + value)
