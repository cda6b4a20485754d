# SPDX-License-Identifier: GPL-2.0-or-later
"""RMI_RTT_*: commands on realm translation tables (rmm-abi.md §3.11 to §3.16, §3.20, §3.21)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rmm import granule
from rmm.abi.values import GranuleState, Ripas
from rmm.frame import Check, Frame
from rmm.granule import DELEGATED, GRANULE
from rmm.measurement import rim_after_ripas
from rmm.realm import RD_CHECKS, not_new
from rmm.rec import REC_CHECKS, RUNNING
from rmm.stage2 import (
    BLOCK,
    ENTRIES,
    LIVE,
    MIN_BLOCK_LEVEL,
    NS,
    PAGE,
    PAGE_LEVEL,
    TABLE,
    UNASSIGNED_NS,
    address_bits,
    address_of,
    changed,
    describe,
    entry_shift,
    entry_size,
    is_assigned,
    is_assigned_ns,
    is_host_desc,
    is_table,
    next_live,
    ripas_of,
    table_entries,
    table_of,
    unassigned,
    walk,
)

EMPTY, RAM, DESTROYED = Ripas.EMPTY, Ripas.RAM, Ripas.DESTROYED


# Checks that several commands share.


def realm_walk(f: Frame, ipa: int, to_level: int) -> int:
    """Walks, and keeps in the frame where the walk stopped; the level."""
    f.walk_level, f.entry_pa, f.entry = walk(f.rmm.memory, f.realm, ipa, to_level)
    return f.walk_level


def _level_below_start(f: Frame) -> bool:
    return not f.realm.stage2.start_level < f.level <= PAGE_LEVEL


def ipa_beyond(f: Frame) -> bool:
    return f.ipa >= f.realm.ipa_end


def _parent_unaligned(f: Frame) -> bool:
    return bool(f.ipa & (entry_size(f.level - 1) - 1))


def _entry_unaligned(f: Frame) -> bool:
    return bool(f.ipa & (entry_size(f.level) - 1))


def _top(f: Frame) -> int:
    return next_live(f.rmm.memory, f.ipa, f.walk_level, f.entry_pa)


def set_top(f: Frame) -> bool:
    """Defines the output `top` of a call that fails."""
    f.top = _top(f)
    return True


def _stops_above_parent(f: Frame) -> bool:
    return realm_walk(f, f.ipa, f.level - 1) != f.level - 1


def _stops_above(f: Frame) -> bool:
    return realm_walk(f, f.ipa, f.level) != f.level


def _invalidate(f: Frame, level: int) -> None:
    """Drops what PEs have cached of the entry of `level` that covers f.ipa."""
    size = entry_size(level)
    f.rmm.platform.invalidate_ipa(f.realm.stage2, f.ipa & -size, size)


# RTT_CREATE


_WINDOW: dict[str, Check] = {
    "level_bound": _level_below_start,
    "ipa_bound": ipa_beyond,
    "ipa_align": _parent_unaligned,
}


CREATE_CHECKS: dict[str, Check] = {
    **granule.checks("rtt", DELEGATED),
    **RD_CHECKS,
    **_WINDOW,
    "rtt_bound2": lambda f: f.rtt >> 48 and not f.realm.lpa2,
    "rtt_walk": _stops_above_parent,
    "rtte_state": lambda f: is_table(f.entry, f.walk_level),
}


def create(f: Frame) -> None:
    rmm, realm, parent, level = f.rmm, f.realm, f.entry, f.level
    memory, granules = rmm.memory, rmm.granules
    if not parent & LIVE:  # UNASSIGNED of either half
        if parent:
            memory.write(f.rtt, parent.to_bytes(8, "little") * ENTRIES)
        granules.add_refs(table_of(f.entry_pa), 1)
    else:
        # A block: 512 entries of the same attributes, side by side.
        first = parent | PAGE if level == PAGE_LEVEL and parent & 1 else parent
        size = entry_size(level)
        memory.write(f.rtt, table_entries.pack(*range(first, first + ENTRIES * size, size)))
        if parent & NS:
            granules.add_refs(table_of(f.entry_pa), 1)
        else:
            granules.add_refs(f.rtt, ENTRIES)
    granules.set(f.rtt, GranuleState.RTT)
    memory.write64(f.entry_pa, address_bits(realm, f.rtt) | TABLE)
    if parent & 1:
        _invalidate(f, level - 1)


# RTT_DESTROY


def _no_table_with_top(f: Frame) -> bool:
    return not is_table(f.entry, f.walk_level) and set_top(f)


def _table_live(f: Frame) -> bool:
    f.rtt = address_of(f.realm, f.entry)
    f.top = f.ipa
    return f.rmm.granules.refs(f.rtt) != 0


DESTROY_CHECKS: dict[str, Check] = {
    **RD_CHECKS,
    **_WINDOW,
    "rtt_walk": lambda f: _stops_above_parent(f) and set_top(f),
    "rtte_state": _no_table_with_top,
    "rtt_live": _table_live,
}


def _release(f: Frame, entry: int) -> None:
    """Puts `entry` in the place of the TABLE f.rtt, whose granule becomes DELEGATED again."""
    rmm = f.rmm
    rmm.memory.write64(f.entry_pa, entry)
    _invalidate(f, f.level - 1)
    rmm.memory.zero(f.rtt, GRANULE)
    rmm.granules.set(f.rtt, DELEGATED)


def destroy(f: Frame) -> tuple[int, int]:
    f.rmm.granules.add_refs(table_of(f.entry_pa), -1)
    _release(f, unassigned(DESTROYED) if f.ipa < f.realm.par_end else UNASSIGNED_NS)
    return f.rtt, _top(f)


# RTT_FOLD


def _not_homogeneous(f: Frame) -> bool:
    """Reads the child table; keeps in the frame the entry that the parent would become."""
    f.rtt = address_of(f.realm, f.entry)
    refs = f.rmm.granules.refs(f.rtt)
    entries = table_entries.unpack(f.rmm.memory.read(f.rtt, GRANULE))
    first = entries[0]
    if not first & LIVE:
        f.folded = first
        return refs != 0 or entries.count(first) != ENTRIES
    if is_table(first, f.level) or refs != (0 if first & NS else ENTRIES):
        return True
    size = entry_size(f.level)
    if address_of(f.realm, first) & (size * ENTRIES - 1):
        return True
    f.folded = first & ~2 if first & 1 else first
    return entries != tuple(range(first, first + ENTRIES * size, size))


FOLD_CHECKS: dict[str, Check] = {
    **RD_CHECKS,
    **_WINDOW,
    "rtt_walk": _stops_above_parent,
    "rtte_state": lambda f: not is_table(f.entry, f.walk_level),
    "rtt_homogeneous": _not_homogeneous,
    "block_level": lambda f: f.folded & LIVE and f.level <= MIN_BLOCK_LEVEL,
}


def fold(f: Frame) -> tuple[int]:
    granules = f.rmm.granules
    if is_assigned(f.folded, f.level - 1):
        granules.add_refs(f.rtt, -ENTRIES)
    else:
        granules.add_refs(table_of(f.entry_pa), -1)
    _release(f, f.folded)
    return (f.rtt,)


# RTT_READ_ENTRY


READ_ENTRY_CHECKS: dict[str, Check] = {
    **RD_CHECKS,
    "level_bound": lambda f: not f.realm.stage2.start_level <= f.level <= PAGE_LEVEL,
    "ipa_bound": ipa_beyond,
    "ipa_align": _entry_unaligned,
}


def read_entry(f: Frame) -> tuple[int, int, int, int]:
    level = realm_walk(f, f.ipa, f.level)
    hipas, desc, ripas = describe(f.realm, level, f.entry)
    return level & (1 << 64) - 1, hipas, desc, ripas


# RTT_MAP_UNPROTECTED, RTT_UNMAP_UNPROTECTED


def _level_no_leaf(f: Frame) -> bool:
    return not MIN_BLOCK_LEVEL <= f.level <= PAGE_LEVEL


_MAP: dict[str, Check] = {
    "level_bound": _level_no_leaf,
    "ipa_bound": ipa_beyond,
    "ipa_align": _entry_unaligned,
    "ipa_protected": lambda f: f.ipa < f.realm.par_end,
    # The reference walks from below the root here; there is no entry to find (§3, level windows).
    "level_start": lambda f: f.level < f.realm.stage2.start_level,
}


MAP_CHECKS: dict[str, Check] = {
    **_MAP,
    **RD_CHECKS,
    "desc_valid": lambda f: not is_host_desc(f.realm, f.desc, f.level),
    "rtt_walk": _stops_above,
    "rtte_state": lambda f: f.entry != UNASSIGNED_NS,
}


def map_unprotected(f: Frame) -> None:
    kind = PAGE if f.level == PAGE_LEVEL else BLOCK
    f.rmm.memory.write64(f.entry_pa, f.desc | f.realm.ns_attrs | kind)


UNMAP_CHECKS: dict[str, Check] = {
    **_MAP,
    **RD_CHECKS,
    "rtt_walk": lambda f: _stops_above(f) and set_top(f),
    "rtte_state": lambda f: (not is_assigned_ns(f.entry) or is_table(f.entry, f.level)) and set_top(f),
}


def unmap_unprotected(f: Frame) -> tuple[int]:
    f.rmm.memory.write64(f.entry_pa, UNASSIGNED_NS)
    _invalidate(f, f.level)
    return (_top(f),)


# RTT_INIT_RIPAS, RTT_SET_RIPAS


def _base_unaligned(f: Frame) -> bool:
    return bool(f.base & entry_size(realm_walk(f, f.base, PAGE_LEVEL)) - 1)


def _beyond_top(f: Frame) -> bool:
    return (f.base & -entry_size(f.walk_level)) + entry_size(f.walk_level) > f.top


def rest_of_table(f: Frame) -> Sequence[int]:
    """Entries from f.entry_pa on that lie in its table and end at or below f.top."""
    fit = (f.top >> entry_shift(f.walk_level)) - (f.base >> entry_shift(f.walk_level))
    count = min(fit, ENTRIES - ((f.entry_pa & GRANULE - 1) >> 3))
    return struct.unpack(f"<{count}Q", f.rmm.memory.read(f.entry_pa, count * 8))


def _store(f: Frame, entries: Sequence[int]) -> None:
    f.rmm.memory.write(f.entry_pa, struct.pack(f"<{len(entries)}Q", *entries))


_INITIAL = frozenset({unassigned(EMPTY), unassigned(RAM)})


INIT_RIPAS_CHECKS: dict[str, Check] = {
    "top_base": lambda f: f.top <= f.base,
    **RD_CHECKS,
    "base_align": granule.align("base"),
    "base_bound": lambda f: f.base >= f.realm.par_end,
    "top_align": granule.align("top"),
    "top_bound": lambda f: f.top > f.realm.par_end,
    "realm_state": not_new,
    "base_walk": _base_unaligned,
    "rtte_state": lambda f: f.entry not in _INITIAL,
    "top_walk": _beyond_top,
}


def init_ripas(f: Frame) -> tuple[int]:
    realm = f.realm
    size = entry_size(f.walk_level)
    hash_, rim, at = realm.hash, realm.rim, f.base
    done = 0
    for entry in rest_of_table(f):
        if entry not in _INITIAL:
            break
        done += 1
        # Each entry is measured by itself, changed or not (§9.5).
        rim = rim_after_ripas(hash_, rim, at, at + size)
        at += size
    _store(f, (unassigned(RAM),) * done)
    realm.rim = rim
    return (at,)


def _ripas_refused(f: Frame) -> bool:
    """The first entry may not take the RIPAS that the REC asked for."""
    rec = f.vcpu
    return changed(f.realm, f.entry, f.walk_level, rec.ripas_value, rec.change_destroyed) is None


def _base_unaligned_to_change(f: Frame) -> bool:
    """As for INIT_RIPAS, except that an entry which has the RIPAS already needs no alignment (§12)."""
    if not _base_unaligned(f):
        return False
    entry = f.entry
    return bool(entry & NS) or is_table(entry, f.walk_level) or ripas_of(entry) != f.vcpu.ripas_value


SET_RIPAS_CHECKS: dict[str, Check] = {
    "top_base": lambda f: f.top <= f.base,
    "top_align": granule.align("top"),
    **RD_CHECKS,
    **REC_CHECKS,
    "rec_running": RUNNING,
    "rec_owner": lambda f: f.vcpu.realm is not f.realm,
    "base_request": lambda f: f.base != f.vcpu.ripas_addr,
    "top_request": lambda f: f.top > f.vcpu.ripas_top,
    "base_walk": _base_unaligned_to_change,
    "rtte_state": _ripas_refused,
    "top_walk": _beyond_top,
}


def set_ripas(f: Frame) -> tuple[int]:
    realm, rec, level = f.realm, f.vcpu, f.walk_level
    size = entry_size(level)
    out: list[int] = []
    unmapped = False
    old = rest_of_table(f)
    if f.base & size - 1:
        # Inside an entry that has the RIPAS already: there is nothing to do but to pass it.
        old = old[:1]
    for entry in old:
        new = changed(realm, entry, level, rec.ripas_value, rec.change_destroyed)
        if new is None:
            break
        unmapped = unmapped or bool(entry & 1 and not new & 1)
        out.append(new)
    if tuple(out) != old[: len(out)]:
        _store(f, out)
    base = f.base & -size
    top = base + len(out) * size
    if unmapped:
        realm.pages.clear()
        f.rmm.platform.invalidate_ipa(realm.stage2, base, top - base)
    rec.ripas_addr = top
    return (top,)
