# SPDX-License-Identifier: GPL-2.0-or-later
"""Realm translation tables as stage-2 tables in the architecture's format: entries and walks (rmm-abi.md §11).

An entry is UNASSIGNED or ASSIGNED with a RIPAS (protected IPAs), UNASSIGNED_NS or ASSIGNED_NS (unprotected), or a
TABLE.  Only ASSIGNED RAM, ASSIGNED_NS and TABLE are valid descriptors.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rmm.abi.values import Hipas, Ripas
from rmm.granule import GRANULE

if TYPE_CHECKING:
    from rmm.protocols import Memory
    from rmm.realm import Realm

ENTRIES = 512
PAGE_LEVEL = 3
MIN_BLOCK_LEVEL = 1

NS = 1 << 55
XN = 1 << 54
_AF = 1 << 10
_SH_INNER = 3 << 8
_S2AP_RW = 3 << 6
_MEMATTR_WB = 6 << 2  # Normal Write-Back under FWB
_HIPAS_ASSIGNED = 1 << 2
_HIPAS_MASK = 7 << 2
_RIPAS_SHIFT = 5
LIVE = _HIPAS_MASK | 3  # any of these bits set: the entry holds an address (§5.5)
TABLE = 3
BLOCK = 1
PAGE = 3
UNASSIGNED_NS = NS

OA_48 = 0x0000_FFFF_FFFF_F000
OA_50 = 0x0003_FFFF_FFFF_F000
OA_51_50 = 3 << 8  # OA[51:50] with LPA2
_HOST_ATTRS = 7 << 2 | 3 << 6  # MemAttr, S2AP
_MEMATTR = 7 << 2
_MEMATTR_RESERVED = 4 << 2

table_entries = struct.Struct(f"<{ENTRIES}Q")

EMPTY, RAM, DESTROYED = Ripas.EMPTY, Ripas.RAM, Ripas.DESTROYED


def entry_shift(level: int) -> int:
    """log2 of the bytes that an entry of a level covers."""
    return 39 - 9 * level


def entry_size(level: int) -> int:
    """Bytes that an entry of a level covers (§11.3)."""
    return 1 << 39 - 9 * level


def set_formats(realm: Realm) -> None:
    """The constant bits of a realm's leaf descriptors; with LPA2, bits [9:8] belong to the address."""
    shareable = 0 if realm.lpa2 else _SH_INNER
    realm.block_attrs = _AF | shareable | _S2AP_RW | _MEMATTR_WB | BLOCK
    realm.page_attrs = realm.block_attrs | PAGE
    realm.ns_attrs = NS | XN | _AF | shareable
    realm.ns_desc_mask = _HOST_ATTRS | ((OA_50 | OA_51_50) if realm.lpa2 else OA_48)


def address_bits(realm: Realm, pa: int) -> int:
    """A PA as a descriptor holds it."""
    if realm.lpa2:
        return pa & OA_50 | pa >> 50 << 8
    return pa


def address_of(realm: Realm, entry: int) -> int:
    """The PA that a descriptor holds."""
    if realm.lpa2:
        return entry & OA_50 | (entry & OA_51_50) << 42
    return entry & OA_48


def unassigned(ripas: int) -> int:
    return ripas << _RIPAS_SHIFT


def assigned(realm: Realm, pa: int, ripas: int, level: int) -> int:
    """ASSIGNED: a valid descriptor if RAM, else an invalid one that keeps address and RIPAS."""
    if ripas == RAM:
        return address_bits(realm, pa) | (realm.page_attrs if level == PAGE_LEVEL else realm.block_attrs)
    return address_bits(realm, pa) | _HIPAS_ASSIGNED | ripas << _RIPAS_SHIFT


def is_table(entry: int, level: int) -> bool:
    return entry & 3 == TABLE and level < PAGE_LEVEL


def is_unassigned(entry: int) -> bool:
    """UNASSIGNED, not UNASSIGNED_NS."""
    return entry & (LIVE | NS) == 0


def is_assigned(entry: int, level: int) -> bool:
    """ASSIGNED with any RIPAS, not ASSIGNED_NS."""
    return bool(entry & LIVE) and not entry & NS and not is_table(entry, level)


def is_assigned_ns(entry: int) -> bool:
    return bool(entry & 1) and bool(entry & NS)


def is_assigned_ram(entry: int, level: int) -> bool:
    """A valid protected page or block."""
    return bool(entry & 1) and not entry & NS and not is_table(entry, level)


def ripas_of(entry: int) -> int:
    """RIPAS of a protected entry that is no TABLE."""
    return RAM if entry & 1 else entry >> _RIPAS_SHIFT & 3


def walk(memory: Memory, realm: Realm, ipa: int, to_level: int) -> tuple[int, int, int]:
    """(level, PA of the entry, entry) where the walk for `ipa` stops: at `to_level`, or above it at no TABLE."""
    stage2 = realm.stage2
    level = stage2.start_level
    shift = 39 - 9 * level
    # Concatenated start-level tables lie side by side, so that one index spans them all.
    entry_pa = stage2.rtt_base + (ipa >> shift << 3)
    while True:
        entry = memory.read64(entry_pa)
        if level >= to_level or entry & 3 != TABLE:
            return level, entry_pa, entry
        level += 1
        shift -= 9
        entry_pa = address_of(realm, entry) + ((ipa >> shift & 511) << 3)


def next_live(memory: Memory, ipa: int, level: int, entry_pa: int) -> int:
    """`top` of §5.5: `ipa` if its entry is live, else the IPA of the next live entry or of the table's end."""
    size = 1 << 39 - 9 * level
    first = (entry_pa & GRANULE - 1) >> 3
    entries = struct.unpack(f"<{ENTRIES - first}Q", memory.read(entry_pa, (ENTRIES - first) * 8))
    if entries[0] & LIVE:
        return ipa
    base = ipa & -size
    for i, entry in enumerate(entries):
        if entry & LIVE:
            return base + i * size
    return base + len(entries) * size


def table_of(entry_pa: int) -> int:
    """The table that an entry lies in."""
    return entry_pa & -GRANULE


def describe(realm: Realm, level: int, entry: int) -> tuple[int, int, int]:
    """(HIPAS, descriptor, RIPAS) of an entry as RTT_READ_ENTRY reports them."""
    if is_table(entry, level):
        return Hipas.TABLE, address_of(realm, entry), EMPTY
    if entry & NS:
        return (Hipas.ASSIGNED, entry & realm.ns_desc_mask, EMPTY) if entry & 1 else (Hipas.UNASSIGNED, 0, EMPTY)
    if entry & LIVE:
        return Hipas.ASSIGNED, address_of(realm, entry), ripas_of(entry)
    return Hipas.UNASSIGNED, 0, ripas_of(entry)


def changed(realm: Realm, entry: int, level: int, ripas: int, change_destroyed: bool) -> int | None:
    """A protected entry with another RIPAS; None where SET_RIPAS must stop (§3.21, table)."""
    if entry & NS or is_table(entry, level):
        return None
    old = ripas_of(entry)
    if old == ripas:
        return entry
    if old == DESTROYED and not change_destroyed:
        return None
    if entry & LIVE:
        return assigned(realm, address_of(realm, entry), ripas, level)
    return unassigned(ripas)


def is_host_desc(realm: Realm, desc: int, level: int) -> bool:
    """`desc` is one that RTT_MAP_UNPROTECTED takes at a level: attributes and an aligned output address (§3.14)."""
    inside = entry_size(level) - 1
    return not desc & ~(realm.ns_desc_mask & ~(inside & OA_50)) and desc & _MEMATTR != _MEMATTR_RESERVED


def fill_roots(memory: Memory, realm: Realm) -> None:
    """Start-level tables of a new realm: UNASSIGNED EMPTY below, UNASSIGNED_NS above the middle (§3.4)."""
    # UNASSIGNED EMPTY is all zeroes, as delegated granules are.
    shift = entry_shift(realm.stage2.start_level)
    first, end = realm.par_end >> shift, realm.ipa_end >> shift
    memory.write(realm.stage2.rtt_base + first * 8, UNASSIGNED_NS.to_bytes(8, "little") * (end - first))
