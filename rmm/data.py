# SPDX-License-Identifier: GPL-2.0-or-later
"""RMI_DATA_*: pages of a realm's protected memory (rmm-abi.md §3.17 to §3.19)."""

from __future__ import annotations

from rmm import granule, realm, rtt, stage2
from rmm.abi.values import DataMeasure, GranuleState, Ripas
from rmm.frame import Check, Frame
from rmm.granule import DELEGATED, GRANULE, OFFSET, UNDELEGATED
from rmm.measurement import rim_after_data

_LEVEL = stage2.PAGE_LEVEL


def _stops_above(f: Frame) -> bool:
    return rtt.realm_walk(f, f.ipa, _LEVEL) != _LEVEL


_IPA: dict[str, Check] = {
    "ipa_bound": lambda f: f.ipa >= f.realm.par_end,
    "ipa_align": lambda f: f.ipa & OFFSET,
}
_UNKNOWN: dict[str, Check] = {
    **granule.checks("data", DELEGATED),
    **realm.RD_CHECKS,
    **_IPA,
    "data_bound2": lambda f: f.data >> 48 and not f.realm.lpa2,
    "rtt_walk": _stops_above,
    "rtte_state": lambda f: not stage2.is_unassigned(f.entry),
}
CREATE_UNKNOWN_CHECKS: dict[str, Check] = _UNKNOWN
CREATE_CHECKS: dict[str, Check] = {
    "flags_valid": lambda f: f.flags > DataMeasure.MEASURE_CONTENT,
    **granule.checks("src", UNDELEGATED),
    **_UNKNOWN,
    "realm_state": realm.not_new,
    "src_gpt": lambda f: realm.host_granule(f, f.src),
}
DESTROY_CHECKS: dict[str, Check] = {
    **realm.RD_CHECKS,
    **_IPA,
    "rtt_walk": lambda f: _stops_above(f) and rtt.set_top(f),
    "rtte_state": lambda f: not stage2.is_assigned(f.entry, _LEVEL) and rtt.set_top(f),
}


def _assign(f: Frame, ripas: int) -> None:
    rmm = f.rmm
    rmm.granules.set(f.data, GranuleState.DATA)
    rmm.memory.write64(f.entry_pa, stage2.assigned(f.realm, f.data, ripas, _LEVEL))
    rmm.granules.add_refs(stage2.table_of(f.entry_pa), 1)


def create(f: Frame) -> None:
    content = f.host_data
    f.rmm.memory.write(f.data, content)
    _assign(f, Ripas.RAM)
    measured = content if f.flags & DataMeasure.MEASURE_CONTENT else None
    f.realm.rim = rim_after_data(f.realm.hash, f.realm.rim, f.ipa, f.flags, measured)


def create_unknown(f: Frame) -> None:
    _assign(f, stage2.ripas_of(f.entry))


def destroy(f: Frame) -> tuple[int, int]:
    rmm, entry = f.rmm, f.entry
    data = stage2.address_of(f.realm, entry)
    after = Ripas.EMPTY if stage2.ripas_of(entry) == Ripas.EMPTY else Ripas.DESTROYED
    rmm.memory.write64(f.entry_pa, stage2.unassigned(after))
    rmm.granules.add_refs(stage2.table_of(f.entry_pa), -1)
    if entry & 1:
        f.realm.pages.clear()
        rmm.platform.invalidate_ipa(f.realm.stage2, f.ipa, GRANULE)
    rmm.memory.zero(data, GRANULE)
    rmm.granules.set(data, DELEGATED)
    return data, stage2.next_live(rmm.memory, f.ipa, _LEVEL, f.entry_pa)
