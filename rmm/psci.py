# SPDX-License-Identifier: GPL-2.0-or-later
"""PSCI from a realm, and RMI_PSCI_COMPLETE by which the host answers (rmm-abi.md §8, §3.22)."""

from __future__ import annotations

from rmm import granule
from rmm.abi import SVE_HINT
from rmm.abi import psci as abi
from rmm.abi.call import Call
from rmm.abi.values import AffinityState, ExitReason, PsciStatus, RealmState
from rmm.exits import Exit, register_bytes
from rmm.frame import MASK64, Check, Frame, RsiEffect
from rmm.rec import PsciRequest, Rec, index_of_mpidr

_FID_MASK = 0xFFFFFFFF & ~SVE_HINT


def _exit(f: Frame, *arguments: int) -> Exit:
    """The host sees the function id and, at most, the target; entry points and contexts stay hidden (§8.1)."""
    return Exit(ExitReason.PSCI, gprs=register_bytes(f.x[0] & _FID_MASK, *arguments))


def _no_target(f: Frame) -> bool:
    return index_of_mpidr(f.target) >= f.realm.rec_count


def _is_self(f: Frame) -> bool:
    return index_of_mpidr(f.target) == f.vcpu.index


def _succeed(f: Frame) -> None:
    """X0 = SUCCESS stands by, for the time that the REC runs again."""
    f.vcpu.context.set_x(0, (PsciStatus.SUCCESS, 0, 0, 0))


def _version(f: Frame) -> tuple[int]:
    return (abi.VERSION_1_1,)


def _smccc_version(f: Frame) -> tuple[int]:
    return (abi.SMCCC_1_2,)


def _cpu_suspend(f: Frame) -> Exit:
    _succeed(f)
    return _exit(f)


def _cpu_off(f: Frame) -> Exit:
    _succeed(f)
    f.vcpu.runnable = False
    return _exit(f)


def _cpu_on(f: Frame) -> Exit:
    f.vcpu.psci = PsciRequest(abi.CPU_ON, index_of_mpidr(f.target), f.entry_point, f.context_id)
    return _exit(f, f.target)


def _affinity_info(f: Frame) -> Exit | tuple[int]:
    if _is_self(f):
        return (AffinityState.ON,)
    f.vcpu.psci = PsciRequest(abi.AFFINITY_INFO, index_of_mpidr(f.target))
    return _exit(f, f.target)


def _system_off(f: Frame) -> Exit:
    _succeed(f)
    f.realm.state = RealmState.SYSTEM_OFF
    return _exit(f)


def _nothing(f: Frame) -> None:
    return None


HANDLERS: tuple[tuple[Call, dict[str, Check], RsiEffect], ...] = (
    (abi.VERSION, {}, _version),
    (abi.CPU_SUSPEND, {}, _cpu_suspend),
    (abi.CPU_OFF, {}, _cpu_off),
    (
        abi.CPU_ON,
        {
            "entry_point_bound": lambda f: f.entry_point >= f.realm.par_end,
            "target_bound": _no_target,
            "target_self": _is_self,
        },
        _cpu_on,
    ),
    (
        abi.AFFINITY_INFO,
        {"level_valid": lambda f: f.lowest_level != 0, "target_bound": _no_target},
        _affinity_info,
    ),
    (abi.SYSTEM_OFF, {}, _system_off),
    (abi.SYSTEM_RESET, {}, _system_off),
    (abi.FEATURES, {"fid_supp": lambda f: f.fid & 0xFFFFFFFF not in abi.FEATURES_SUPPORTED}, _nothing),
    (abi.SMCCC_VERSION, {}, _smccc_version),
)


# RMI_PSCI_COMPLETE


def _no_caller(f: Frame) -> bool:
    rec = f.rmm.rec_at.get(f.calling_rec)
    if rec is None:
        return True
    f.caller = rec
    return False


def _no_target_rec(f: Frame) -> bool:
    rec = f.rmm.rec_at.get(f.target_rec)
    if rec is None:
        return True
    f.target_vcpu = rec
    return False


def _request(f: Frame) -> PsciRequest:
    assert f.caller.psci is not None
    return f.caller.psci


def _status_invalid(f: Frame) -> bool:
    if f.status == PsciStatus.SUCCESS:
        return False
    return _request(f).call is not abi.CPU_ON or f.status != PsciStatus.DENIED


COMPLETE_CHECKS: dict[str, Check] = {
    "calling_align": granule.align("calling_rec"),
    "target_align": granule.align("target_rec"),
    "alias": lambda f: f.calling_rec == f.target_rec,
    "calling_bound": granule.bound("calling_rec"),
    "calling_state": _no_caller,
    "target_bound": granule.bound("target_rec"),
    "target_state": _no_target_rec,
    "calling_running": lambda f: f.caller.running,
    "pending": lambda f: f.caller.psci is None,
    "owner": lambda f: f.caller.realm is not f.target_vcpu.realm,
    "target": lambda f: f.target_vcpu.index != _request(f).target,
    "status": _status_invalid,
}


def _is_on(rec: Rec) -> bool:
    return rec.running or rec.runnable


def _turn_on(caller: Rec, target: Rec, request: PsciRequest) -> None:
    target.context.cpu_on(request.entry_point, request.context_id, caller.context.big_endian())
    target.runnable = True


def complete(f: Frame) -> None:
    caller, target, request = f.caller, f.target_vcpu, _request(f)
    result: int
    if request.call is abi.AFFINITY_INFO:
        result = AffinityState.ON if _is_on(target) else AffinityState.OFF
    elif _is_on(target):
        result = PsciStatus.ALREADY_ON
        if f.status == PsciStatus.DENIED:
            # INPUT to the host, but the request is consumed (§3.22 #8).
            f.late = "denied_on"
    elif f.status == PsciStatus.DENIED:
        result = PsciStatus.DENIED
    else:
        result = PsciStatus.SUCCESS
        _turn_on(caller, target, request)
    caller.context.set_x(0, (result & MASK64, 0, 0, 0))
    caller.psci = None
