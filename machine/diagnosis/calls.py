# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagnoses from calls that were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm.abi import rmi
from rmm.stage2 import MIN_BLOCK_LEVEL, PAGE_LEVEL

if TYPE_CHECKING:
    from machine.diagnosis.case import Case
    from machine.stuck import Refusal
    from rmm.abi.call import Call

# Whose `level` is that of a table to be made, and whose is that of an entry.
_TABLES = (rmi.RTT_CREATE, rmi.RTT_DESTROY, rmi.RTT_FOLD)
_ENTRIES = (rmi.RTT_MAP_UNPROTECTED, rmi.RTT_UNMAP_UNPROTECTED, rmi.RTT_READ_ENTRY)
_PAGES = (rmi.DATA_CREATE, rmi.DATA_CREATE_UNKNOWN)
REPEATED = 1_000


def _argument(refusal: Refusal, name: str) -> int:
    decl = refusal.record.decl
    assert decl is not None
    return refusal.record.args[[value.name for value in decl.inputs].index(name)]


def missing_psci_complete(case: Case) -> dict[str, str] | None:
    refusal = case.refused(rmi.REC_ENTER, "rec_psci")
    rec = None if refusal is None else case.machine.rmm.rec_at.get(_argument(refusal, "rec"))
    if rec is None or rec.psci is None:
        return None
    return {"rec": case.name(rec), "call": rec.psci.call.name, "target": str(rec.psci.target)}


def wrong_mpidr_order(case: Case) -> dict[str, str] | None:
    refusal = case.refused(rmi.REC_CREATE, "mpidr_index")
    if refusal is None or "mpidr" not in refusal.said:
        return None
    return {**refusal.said, "rd": f"{_argument(refusal, 'rd'):#x}"}


def dirty_aux(case: Case) -> dict[str, str] | None:
    refusal = case.refused(rmi.REC_CREATE, "aux_state")
    return None if refusal is None or "aux" not in refusal.said else refusal.said


def bad_level(case: Case) -> dict[str, str] | None:
    for decl in _TABLES + _ENTRIES:
        refusal = case.refused(decl, "level_bound", "level_start")
        realm = None if refusal is None else case.machine.rmm.realm_at.get(_argument(refusal, "rd"))
        if refusal is None or realm is None:
            continue
        start = realm.stage2.start_level
        first = start + 1 if decl in _TABLES else start if decl is rmi.RTT_READ_ENTRY else max(start, MIN_BLOCK_LEVEL)
        return {
            "call": decl.name,
            "ipa": f"{_argument(refusal, 'ipa'):#x}",
            "level": str(_argument(refusal, "level")),
            "rd": f"{realm.rd:#x}",
            "start": str(start),
            "levels": f"{first} to {PAGE_LEVEL}" if first < PAGE_LEVEL else str(PAGE_LEVEL),
        }
    return None


def _needed(decl: Call, refusal: Refusal) -> int:
    """The level of the table whose entry a command is about."""
    if decl in _PAGES:
        return PAGE_LEVEL
    level = _argument(refusal, "level")
    return level - 1 if decl in _TABLES else level


def missing_rtt(case: Case) -> dict[str, str] | None:
    for decl in (*_PAGES, rmi.RTT_MAP_UNPROTECTED, rmi.RTT_CREATE):
        refusal = case.refused(decl, "rtt_walk")
        if refusal is None:
            continue
        ipa, needed = _argument(refusal, "ipa"), _needed(decl, refusal)
        steps = case.machine.rmm.walk(_argument(refusal, "rd"), ipa)
        if steps and steps[-1].level < needed:
            stop = steps[-1].level
            return {
                "call": decl.name,
                "ipa": f"{ipa:#x}",
                "needed": str(needed),
                "stop": str(stop),
                "next": str(stop + 1),
            }
    return None


def refused_for_ever(case: Case) -> dict[str, str] | None:
    from machine.trace import describe

    evidence = case.evidence
    last = evidence.refused_last
    if last is None or last.decl is None or evidence.refused < REPEATED or not case.hangs:
        return None
    if case.refused(last.decl, last.condition or "") is None:
        return None
    return {"call": describe(last)[1], "times": f"{evidence.refused:,}"}
