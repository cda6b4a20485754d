# SPDX-License-Identifier: GPL-2.0-or-later
"""RMI_REC_ENTER: checks, entry, the loop that runs a REC, exit (rmm-abi.md §3.10, §7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rmm import exits, granule, rsi
from rmm.abi.bits import GICV3_HCR, GICV3_LR, REC_ENTER_FLAGS
from rmm.abi.structs import REC_ENTER, REC_EXIT
from rmm.abi.values import ExitReason, PmuOverflow, RealmState, Response, Ripas, members
from rmm.exits import Exit
from rmm.frame import PAUSED, Check, Frame
from rmm.granule import UNDELEGATED
from rmm.protocols import ExitKind, HostFault, RecExit
from rmm.rec import REC_CHECKS, RUNNING, Rec

if TYPE_CHECKING:
    from rmm.features import Features
    from rmm.rmm import Rmm

EMUL_MMIO = REC_ENTER_FLAGS.by_name["EMUL_MMIO"].mask
INJECT_SEA = REC_ENTER_FLAGS.by_name["INJECT_SEA"].mask
TRAP_WFI = REC_ENTER_FLAGS.by_name["TRAP_WFI"].mask
TRAP_WFE = REC_ENTER_FLAGS.by_name["TRAP_WFE"].mask
RIPAS_RESPONSE = REC_ENTER_FLAGS.by_name["RIPAS_RESPONSE"].mask

# ICH_HCR_EL2 (§2.7)
_HCR_EOICOUNT = GICV3_HCR.by_name["EOICOUNT"].mask
_HCR_EXIT = GICV3_HCR.valid
HCR_HOST = _HCR_EXIT & ~_HCR_EOICOUNT
HCR_ALWAYS = 1 << 0 | 1 << 8 | 1 << 15  # En, vSGIEOICount, DVIM

_LR_STATE = GICV3_LR.by_name["STATE"].mask
_LR_HW = GICV3_LR.by_name["HW"].mask
_LR_PINTID = GICV3_LR.by_name["PINTID"].mask
_LR_EOI = 1 << 41
_LR_VINTID = GICV3_LR.by_name["VINTID"].mask
_LR_PRIORITY_SHIFT = GICV3_LR.by_name["PRIORITY"].lo

_flags = REC_ENTER.unpacker("flags")
_gic = REC_ENTER.unpacker("gicv3_hcr", "gicv3_lrs")
_ENTER_GPRS = slice(REC_ENTER.offset("gprs"), REC_ENTER.by_name["gprs"].end)
_EXIT_GPRS = REC_EXIT.offset("gprs")
_EXIT_GIC = slice(REC_EXIT.offset("gicv3_hcr"), REC_EXIT.by_name["gicv3_vmcr"].end)
_EXIT = REC_ENTER.size  # the exit record's offset in the run structure
_put_reason = REC_EXIT.packer("exit_reason")
_put_syndrome = REC_EXIT.packer("esr", "far", "hpfar")
_put_gic = REC_EXIT.packer("gicv3_hcr", "gicv3_lrs", "gicv3_misr", "gicv3_vmcr")
_put_timers = REC_EXIT.packer("cntp_ctl", "cntp_cval", "cntv_ctl", "cntv_cval")
_put_ripas = REC_EXIT.packer("ripas_base", "ripas_top", "ripas_value")
_put_imm = REC_EXIT.packer("imm")
_put_pmu = REC_EXIT.packer("pmu_ovf_status")
_REASONS = {value: name for name, value in members(ExitReason).items()}


# Checks


def _enter_fault(f: Frame) -> bool:
    try:
        data = f.rmm.memory.host_read(f.run, REC_ENTER.size)
    except HostFault:
        return True
    f.enter = data
    (f.flags_in,) = _flags(data)
    f.gic = _gic(data)
    return False


def lrs_valid(lrs: tuple[int, ...], features: Features) -> bool:
    """List registers as a host may give them (§7.3); only implemented ones are looked at."""
    if not any(lrs):
        return True
    low_priority = (1 << 8 - features.gic_priority_bits) - 1 << _LR_PRIORITY_SHIFT
    seen = set()
    for lr in lrs[: features.gicv3_num_lrs + 1]:
        if not lr & _LR_STATE:
            continue
        intid = lr & _LR_VINTID
        if lr & (_LR_HW | low_priority) or lr & _LR_PINTID & ~_LR_EOI or intid in seen:
            return False
        if not _intid_valid(intid, features):
            return False
        seen.add(intid)
    return True


def _intid_valid(intid: int, features: Features) -> bool:
    if intid <= 1019 or 8192 <= intid < 1 << features.gic_id_bits:
        return True
    return features.gic_ext_range and (1056 <= intid <= 1119 or 4096 <= intid <= 5119)


ENTER_CHECKS: dict[str, Check] = {
    **granule.checks("run", UNDELEGATED),
    **REC_CHECKS,
    "rec_running": RUNNING,
    "run_gpt": _enter_fault,
    "realm_new": f"f.vcpu.realm.state == {int(RealmState.NEW)}",
    "system_off": f"f.vcpu.realm.state == {int(RealmState.SYSTEM_OFF)}",
    "rec_runnable": "not f.vcpu.runnable",
    "rec_psci": "f.vcpu.psci is not None",
    "gicv3_hcr": f"f.gic[0] & {~HCR_HOST} != 0",
    "gicv3_lrs": lambda f: not lrs_valid(f.gic[1:], f.rmm.features),
    "inject_sea": lambda f: f.flags_in & INJECT_SEA and not exits.may_inject_sea(f.vcpu),
    "emul_mmio": f"f.flags_in & {EMUL_MMIO | INJECT_SEA} == {EMUL_MMIO}"
    " and (f.vcpu.last is None or not f.vcpu.last.emulatable)",
}


# Entry


def _resume_ripas(rec: Rec, flags: int) -> None:
    """Tells the realm how far its RIPAS change got (§4.7)."""
    incomplete = rec.ripas_value == Ripas.RAM and rec.ripas_addr != rec.ripas_top
    response = Response.REJECT if incomplete and flags & RIPAS_RESPONSE else Response.ACCEPT
    rec.context.set_x(0, (0, rec.ripas_addr, response))
    rec.ripas_base = rec.ripas_top = 0


def _prepare(f: Frame, rec: Rec) -> Exit | None:
    """What the host asks for on entry (§7.1); an Exit where the realm cannot run yet."""
    rmm, flags = f.rmm, f.flags_in
    context = rec.context
    context.load_gic(f.gic[0] | HCR_ALWAYS, f.gic[1 : rmm.features.gicv3_num_lrs + 2])
    last = rec.last
    if last is not None:
        if flags & INJECT_SEA:
            exits.inject_sea(rec, last.esr, last.far, last.el)
        elif flags & EMUL_MMIO:
            exits.complete_mmio(rec, last, int.from_bytes(f.enter[_ENTER_GPRS][:8], "little"))
    if rec.ripas_top:
        _resume_ripas(rec, flags)
    if rec.host_call is not None:
        bounced = rsi.complete_host_call(rmm, rec, f.enter[_ENTER_GPRS])
        if bounced is not None:
            return bounced
    rec.last = None
    return None


# The loop

_HANDLERS: dict[int, Callable[[Rmm, Rec, RecExit], Exit | None]] = {
    ExitKind.DATA_ABORT: exits.data_abort,
    ExitKind.INSTRUCTION_ABORT: exits.instruction_abort,
    ExitKind.HVC: exits.undefined,
    ExitKind.SYSREG: exits.sysreg,
    ExitKind.WFX: exits.wfx,
    ExitKind.IRQ: exits.irq,
    ExitKind.FIQ: exits.fiq,
    ExitKind.SERROR: exits.serror,
    ExitKind.UNDEF: exits.undefined,
}


def _loop(rmm: Rmm, rec: Rec, flags: int) -> Exit | None:
    """Runs the REC until something concerns the host; None when it is preempted."""
    context = rec.context
    trap_wfi, trap_wfe = bool(flags & TRAP_WFI), bool(flags & TRAP_WFE)
    while True:
        # The host must see a timer's edge before the realm runs on (§7.5).
        if context.timer_asserted() != rec.timers:
            return Exit(ExitReason.IRQ)
        exit_ = context.run(trap_wfi=trap_wfi, trap_wfe=trap_wfe)
        if exit_ is None:
            return None
        if exit_.kind == ExitKind.SMC:
            out = rmm.realm_call(rec, exit_.x)
        else:
            out = _HANDLERS[exit_.kind](rmm, rec, exit_)
        if out is not None:
            return out


# Exit


def record(rmm: Rmm, rec: Rec, exit_: Exit) -> bytes:
    """RmiRecExit of an exit (§7.4)."""
    data = bytearray(REC_EXIT.size)
    if exit_.reason:
        _put_reason(data, exit_.reason)
    if exit_.esr or exit_.hpfar:
        _put_syndrome(data, exit_.esr, exit_.far, exit_.hpfar)
    gprs = exit_.gprs
    if gprs:
        data[_EXIT_GPRS : _EXIT_GPRS + len(gprs)] = gprs
    if exit_.ripas is not None:
        _put_ripas(data, *exit_.ripas)
    if exit_.imm:
        _put_imm(data, exit_.imm)
    if not exit_.bare:
        context = rec.context
        gic = context.gic()
        shown, as_bytes = rec.gic_exit
        if shown is not gic:
            _put_gic(data, gic.hcr & _HCR_EXIT, *gic.lrs, gic.misr, gic.vmcr)
            rec.gic_exit = gic, bytes(data[_EXIT_GIC])
        else:
            data[_EXIT_GIC] = as_bytes
        timers = context.timers()
        _put_timers(data, timers.cntp_ctl, timers.cntp_cval, timers.cntv_ctl, timers.cntv_cval)
        if context.pmu_overflow():
            _put_pmu(data, PmuOverflow.ACTIVE)
    return bytes(data)


def enter(f: Frame) -> tuple[int, ...] | None:
    rmm, rec = f.rmm, f.vcpu
    exit_ = _prepare(f, rec)
    if exit_ is not None:
        _leave(f, rec, exit_)
        return None
    if rmm.observer is not None:
        rmm.observer.rec_enter(rec.pa)
    return go_on(f)


def go_on(f: Frame) -> tuple[int, ...] | None:
    """Runs the REC of a REC_ENTER in progress; PAUSED when it is preempted again."""
    rec = f.vcpu
    rec.running = True
    try:
        exit_ = _loop(f.rmm, rec, f.flags_in)
    except BaseException:
        rec.running = False
        raise
    if exit_ is None:
        return PAUSED
    rec.timers = rec.context.timer_asserted()
    _leave(f, rec, exit_)
    return None


def _leave(f: Frame, rec: Rec, exit_: Exit) -> None:
    rmm = f.rmm
    rec.running = False
    if rmm.observer is not None:
        rmm.observer.rec_exit(rec.pa, _REASONS[exit_.reason])
    try:
        rmm.memory.host_write(f.run + _EXIT, record(rmm, rec, exit_))
    except HostFault:
        f.late = "run_gpt_exit"
