# SPDX-License-Identifier: GPL-2.0-or-later
"""RSI: services for a realm (rmm-abi.md §4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rmm import token
from rmm.abi import rsi as abi
from rmm.abi.structs import HOST_CALL, REALM_CONFIG
from rmm.abi.values import ExitReason, Ripas
from rmm.exits import Exit, page_abort
from rmm.frame import Check, Frame, RsiEffect
from rmm.granule import GRANULE, OFFSET, align
from rmm.measurement import SLOT, extend_rem
from rmm.stage2 import (
    PAGE_LEVEL,
    address_of,
    entry_size,
    is_assigned_ram,
    is_table,
    ripas_of,
    walk,
)

if TYPE_CHECKING:
    from rmm.abi.call import Call
    from rmm.protocols import Memory
    from rmm.realm import Realm
    from rmm.rec import Rec
    from rmm.rmm import Rmm

_MEASUREMENTS = 5
_HOST_CALL_OFFSET = HOST_CALL.size - 1
_SMC_SIZE = 4
_MAX_PAGES = 64

_entry = struct.Struct("<Q")
_imm = HOST_CALL.unpacker("imm")
_GPRS = HOST_CALL.offset("gprs")


# Pages that an RSI call names (S2WALK of §4)


def find_page(memory: Memory, realm: Realm, ipa: int) -> tuple[int | None, int, int]:
    """(PA of the page if it is ASSIGNED RAM, else None; walk level; RIPAS) of a protected IPA."""
    base = ipa & -GRANULE
    known = realm.pages.get(base)
    if known is not None:
        return known, PAGE_LEVEL, Ripas.RAM
    level, _, entry = walk(memory, realm, ipa, PAGE_LEVEL)
    if is_assigned_ram(entry, level):
        page = address_of(realm, entry) + (base & entry_size(level) - 1)
        if len(realm.pages) >= _MAX_PAGES:
            realm.pages.clear()
        realm.pages[base] = page
        return page, level, Ripas.RAM
    return None, level, Ripas.EMPTY if is_table(entry, level) else ripas_of(entry)


def _page_empty(f: Frame) -> bool:
    page, f.walk_level, ripas = find_page(f.rmm.memory, f.realm, f.addr)
    f.page = -1 if page is None else page
    return ripas == Ripas.EMPTY


def retry_exit(f: Frame) -> Exit:
    """The call is not completed: the host sees an abort, and the SMC comes again at the next entry."""
    f.vcpu.context.pc -= _SMC_SIZE
    return page_abort(f.addr, f.walk_level)


_PAGE: dict[str, Check] = {
    "addr_align": align("addr"),
    "addr_bound": "f.addr >= f.realm.par_end",
    "rtte_empty": _page_empty,
    "rtte_state": "f.page < 0",
}


# Versions and features


def wrong_revision(revision: int) -> Check:
    def check(f: Frame) -> bool:
        f.lower = f.higher = revision
        return f.req != revision

    return check


def version(f: Frame) -> tuple[int, int]:
    return f.lower, f.higher


def _features(f: Frame) -> tuple[int]:
    return (0,)


# Measurements


def _words(data: bytes) -> tuple[int, ...]:
    padded = data.ljust(SLOT, b"\0")
    return tuple(int.from_bytes(padded[at : at + 8], "little") for at in range(0, SLOT, 8))


def _measurement_read(f: Frame) -> tuple[int, ...]:
    return _words(f.realm.rems[f.index - 1] if f.index else f.realm.rim)


def _measurement_extend(f: Frame) -> None:
    value = b"".join(word.to_bytes(8, "little") for word in f.x[3:11])
    rems = f.realm.rems
    rems[f.index - 1] = extend_rem(f.realm.hash, rems[f.index - 1], value[: f.size])


# Realm configuration


def _realm_config(f: Frame) -> None:
    realm, memory = f.realm, f.rmm.memory
    values = {"ipa_width": realm.stage2.ipa_width, "hash_algo": realm.hash_algo, "rpv": realm.params.rpv}
    image = REALM_CONFIG.pack(values)
    # Only the fields are written: the rest of the realm's page stays as it was (§2.4).
    for field in REALM_CONFIG.fields:
        memory.write(f.page + field.offset, image[field.offset : field.end])


# RIPAS


def _region_beyond(f: Frame) -> bool:
    return f.base >= f.realm.par_end or f.top > f.realm.par_end


_REGION: dict[str, Check] = {
    "base_align": align("base"),
    "top_align": align("top"),
    "top_base": lambda f: f.top <= f.base,
    "rgn_bound": _region_beyond,
}


def _ipa_state_set(f: Frame) -> Exit:
    rec = f.vcpu
    rec.ripas_base = rec.ripas_addr = f.base
    rec.ripas_top = f.top
    rec.ripas_value = f.ripas
    rec.change_destroyed = f.flags == 1
    # The result that stands until the next entry tells how far the host got (§4.7).
    rec.context.set_x(0, (0, f.top, 0, 0))
    return Exit(ExitReason.RIPAS_CHANGE, ripas=(f.base, f.top, f.ripas))


def _ipa_state_get(f: Frame) -> tuple[int, int]:
    memory, realm = f.rmm.memory, f.realm
    level, entry_pa, entry = walk(memory, realm, f.base, PAGE_LEVEL)
    ripas = ripas_of(entry)
    size = entry_size(level)
    top = (f.base & -size) + size
    if top < f.top:
        rest = GRANULE - 8 - (entry_pa & OFFSET)
        for (following,) in _entry.iter_unpack(memory.read(entry_pa + 8, rest)):
            if top >= f.top or is_table(following, level) or ripas_of(following) != ripas:
                break
            top += size
    return min(top, f.top), ripas


# Host calls


def _host_call(f: Frame) -> Exit:
    structure = f.rmm.memory.read(f.page + (f.addr & OFFSET), HOST_CALL.size)
    f.vcpu.host_call = f.addr
    (imm,) = _imm(structure)
    return Exit(ExitReason.HOST_CALL, imm=imm, gprs=structure[_GPRS:])


def complete_host_call(rmm: Rmm, rec: Rec, gprs: bytes) -> Exit | None:
    """Hands the host's answer to the realm at the next entry; an Exit if the page has gone meanwhile (§4.9)."""
    ipa = rec.host_call
    assert ipa is not None
    page, level, ripas = find_page(rmm.memory, rec.realm, ipa)
    if page is None and ripas != Ripas.EMPTY:
        return page_abort(ipa, level, bare=True)
    rec.host_call = None
    if page is not None:
        rmm.memory.write(page + (ipa & OFFSET) + _GPRS, gprs)
        rec.context.set_x(0, (0,))
    return None


HANDLERS: tuple[tuple[Call, dict[str, Check], RsiEffect], ...] = (
    (abi.VERSION, {"req_revision": wrong_revision(abi.REVISION)}, version),
    (abi.FEATURES, {}, _features),
    (abi.MEASUREMENT_READ, {"index_bound": lambda f: f.index >= _MEASUREMENTS}, _measurement_read),
    (
        abi.MEASUREMENT_EXTEND,
        {
            "index_bound": lambda f: not 0 < f.index < _MEASUREMENTS,
            "size_bound": lambda f: f.size > SLOT,
        },
        _measurement_extend,
    ),
    (abi.ATTESTATION_TOKEN_INIT, token.INIT_CHECKS, token.init),
    (abi.ATTESTATION_TOKEN_CONTINUE, {**_PAGE, **token.CONTINUE_CHECKS}, token.continue_),
    (abi.REALM_CONFIG, _PAGE, _realm_config),
    (abi.IPA_STATE_SET, {"ripas_valid": lambda f: f.ripas > Ripas.RAM, **_REGION}, _ipa_state_set),
    (abi.IPA_STATE_GET, _REGION, _ipa_state_get),
    (abi.HOST_CALL, {**_PAGE, "addr_align": f"f.addr & {_HOST_CALL_OFFSET} != 0"}, _host_call),
)
