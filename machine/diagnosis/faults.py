# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagnoses from faults: what was reached for, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.arch.esr import decode_esr
from bridge.core import Core, sysreg
from bridge.pas import GPI
from rmm.abi.values import GranuleState, name_of

if TYPE_CHECKING:
    from machine.diagnosis.case import Case, OpenFault

_ABORTS = (0x20, 0x21, 0x24, 0x25)
_GPF = frozenset({0x23, 0x24, 0x25, 0x26, 0x27, 0x28})  # FSC: on a walk at level -1 to 3, and not on a walk
_ESR = {1: sysreg(3, 0, 5, 2, 0), 2: sysreg(3, 4, 5, 2, 0)}
_FAR = {1: sysreg(3, 0, 6, 0, 0), 2: sysreg(3, 4, 6, 0, 0)}
_ELR = {1: sysreg(3, 0, 4, 0, 1), 2: sysreg(3, 4, 4, 0, 1)}
REPEATED = 1_000


def ns_access(case: Case) -> dict[str, str] | None:
    from machine.inspect.contexts import Context
    from machine.inspect.tables import owner
    from machine.inspect.walk import physical

    machine = case.machine
    for pe in machine.pes:
        core = pe.core
        for el in (2, 1) if core is not None else ():
            assert core is not None
            esr = core.get_sysreg(_ESR[el])
            if esr >> 26 not in _ABORTS or esr & 0x3F not in _GPF:
                continue
            pa = physical(
                machine, Context(("pe", pe.index), f"Normal NS-EL:PE {pe.index}", core), core.get_sysreg(_FAR[el])
            )
            if pa is None or machine.gpt.get(pa) != GPI.REALM:
                continue
            state = machine.rmm.granule_state(pa)
            if state < 0 or state == GranuleState.UNDELEGATED:
                continue
            whose = owner(machine, pa & ~0xFFF, state)
            write = esr >> 26 & 4 and esr & 1 << 6
            return {
                "who": f"PE {pe.index} of the Normal world",
                "pc": case.where(core, core.get_sysreg(_ELR[el])),
                "verb": "writes" if write else "reads" if esr >> 26 & 4 else "fetches from",
                "pa": f"{pa:#x}",
                "state": f"{name_of(GranuleState, state)}{f' ({whose})' if whose else ''}",
            }
    return None


def _fields(case: Case, one: OpenFault) -> dict[str, str]:
    return {
        "rec": case.name(one.rec),
        "how": case.how(one.fault),
        "ipa": f"{one.fault.ipa & ~0xFFF | one.fault.far & 0xFFF:#x}",
        "pc": case.where(one.core, one.fault.pc),
    }


def _device(case: Case, ipa: int) -> str | None:
    """What the realm's host has at an IPA without the shared bit."""
    from machine.payload_abi import UART_IPA
    from machine.vmm.linux.layout import REGIONS

    config = case.machine.config
    if config.boot.host == "firmware" and UART_IPA <= ipa < UART_IPA + 0x1000:
        return "UART"
    if config.boot.host == "vmm" or "host-linux" in " ".join(str(one.file) for one in config.load.values()):
        return next((r.name for r in REGIONS if r.base <= ipa < r.base + r.size), None)
    return None


def mmio_at_protected(case: Case) -> dict[str, str] | None:
    for one in case.open_faults():
        realm = one.rec.realm
        device = _device(case, one.fault.ipa) if one.step.ripas == "EMPTY" else None
        if device is not None:
            fields = _fields(case, one)
            return {**fields, "device": device, "alias": f"{int(fields['ipa'], 16) | realm.par_end:#x}"}
    return None


def wrong_ripas(case: Case) -> dict[str, str] | None:
    for one in case.open_faults():
        ripas = one.step.ripas
        if ripas == "EMPTY":
            why = case.who_made_it_empty(one.rec, one.fault.ipa)
        elif ripas == "DESTROYED":
            why = "the host took it away, and the guest never called RSI_IPA_STATE_SET with CHANGE_DESTROYED for it"
        else:
            continue
        return {**_fields(case, one), "ripas": ripas, "why": why}
    return None


def missing_data(case: Case) -> dict[str, str] | None:
    for one in case.open_faults():
        if one.step.ripas == "RAM" and one.step.hipas == "UNASSIGNED":
            return _fields(case, one)
    return None


def unmapped_shared(case: Case) -> dict[str, str] | None:
    for one in case.open_faults():
        if one.step.hipas == "UNASSIGNED_NS":
            return _fields(case, one)
    return None


def same_exception(case: Case) -> dict[str, str] | None:
    if not case.hangs:
        return None
    for core in case.machine.cores:
        times, elr, esr, far = core.repeats()
        if times >= REPEATED and esr >> 26 in (0x00, 0x22, 0x26, *_ABORTS):
            return {
                "who": _who(core),
                "times": f"{times:,}",
                "pc": case.where(core, elr),
                "esr": f"ESR={esr:#x} {decode_esr(esr)}",
                "far": f"{far:#x}",
            }
    return None


def _who(core: Core) -> str:
    """`REC 0 of realm 0x…`, `normal world, PE 0`."""
    return core.name.replace("rec ", "REC ", 1)
