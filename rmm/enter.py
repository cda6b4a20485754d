# SPDX-License-Identifier: GPL-2.0-or-later
"""RMI_REC_ENTER: the run loop of a REC, realm exceptions, RSI and PSCI (rmm-abi.md §4, §6, §7, §8)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, Sequence

from rmm import measurement, rtt
from rmm.abi.calls import PSCI, REC_ENTER as ENTER, RSI
from rmm.abi.structs import REC_ENTER
from rmm.command import Result
from rmm.objects import Realm, Rec, index_of_mpidr
from rmm.protocols import ExitKind, HostFault, RecExit

if TYPE_CHECKING:
    from rmm.rmm import Rmm

M64 = (1 << 64) - 1
HCR_ENTRY = 0x40FE
HCR_EXIT = 0xF800_40FE
ABORT_MASK = 0xFC00_1E3F
EMUL_MASK = 0xFDC0_9E7F
EXIT_NAMES = ("SYNC", "IRQ", "FIQ", "PSCI", "RIPAS_CHANGE", "HOST_CALL", "SERROR")
_unpack_enter = REC_ENTER.unpacker("flags", "gprs", "gicv3_hcr", "gicv3_lrs")


class Exit:
    """What goes into RmiRecExit."""

    __slots__ = ("esr", "far", "gprs", "hpfar", "imm", "reason", "ripas")

    def __init__(self, reason: int, esr: int = 0, far: int = 0, hpfar: int = 0, gprs: Sequence[int] = (), imm: int = 0, ripas: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.reason = reason
        self.esr = esr
        self.far = far
        self.hpfar = hpfar
        self.gprs = gprs
        self.imm = imm
        self.ripas = ripas


def s2_data(rmm: Rmm, realm: Realm, ipa: int) -> tuple[int | None, int, int]:
    """(PA or None, RIPAS, walk level) of a protected page."""
    w = rtt.walk(rmm.memory, realm.s2, ipa, 3)
    hipas, ripas, _ = w.state
    if hipas == rtt.ASSIGNED and ripas == rtt.RAM:
        size = 1 << rtt.shift_of(w.level)
        return (w.entry & rtt.OA_MASK & ~(size - 1)) | ipa & (size - 1), ripas, w.level
    return None, ripas, w.level


def buffer_abort(level: int, ipa: int) -> Exit:
    return Exit(0, 0x9000_0004 + level, 0, (ipa & ~0xFFF) >> 8)


def compile_enter(rmm: Rmm) -> Callable[[Sequence[int]], Result]:
    memory = rmm.memory
    observer = rmm.observer

    def answer(rec_pa: int, run: int, x4: int, status: int, condition: str | None) -> Result:
        result = (status, 0, 0, 0, x4)
        if observer is not None:
            observer.call(ENTER, (rec_pa, run), result, condition, None)
        return result

    def enter(x: Sequence[int]) -> Result:
        rec_pa, run, x4 = x[1], x[2], x[4]
        if run & 0xFFF or rmm.state(run) != 0:
            return answer(rec_pa, run, x4, 1, "run_state")
        if rec_pa & 0xFFF or rmm.state(rec_pa) != 3:
            return answer(rec_pa, run, x4, 1, "rec_state")
        rec = rmm.recs_by_pa[rec_pa]
        realm = rec.realm
        if rec.running:
            return answer(rec_pa, run, x4, 3, "rec_running")
        try:
            raw = memory.host_read(run, 0x800)
        except HostFault:
            return answer(rec_pa, run, x4, 1, "run_pas")
        flags, *rest = _unpack_enter(raw)
        gprs, hcr, lrs = rest[:31], rest[31], rest[32:48]
        nlrs = rmm.features.gicv3_num_lrs + 1
        last = rec.last_abort
        condition = (
            (2, "realm_new") if realm.state == 0
            else (2 | 1 << 8, "realm_off") if realm.state == 2
            else (3, "rec_runnable") if not rec.runnable
            else (3, "psci_pending") if rec.psci is not None
            else (3, "gic_hcr") if hcr & ~HCR_ENTRY
            else (3, "gic_lrs") if bad_lrs(lrs[:nlrs])
            else (3, "inject_sea") if flags & 2 and (last is None or last[2] < realm.par)
            else (3, "emul_mmio") if flags & 3 == 1 and (last is None or not last[1])
            else None
        )
        if condition is not None:
            return answer(rec_pa, run, x4, *condition)
        context = rec.context
        context.load_gic(hcr, lrs[:nlrs])
        if flags & 2:
            assert last is not None
            context.inject(sea_esr(last[0], context_el(rec)), rec.last_far)  # type: ignore[attr-defined]
        elif flags & 1:
            assert last is not None
            complete_mmio(rec, last[0], gprs[0])
        if rec.ripas_top:
            response = 1 if rec.ripas_value == rtt.RAM and rec.ripas_addr != rec.ripas_top and flags & 16 else 0
            context.set_x(0, [0, rec.ripas_addr, response])
            if observer is not None:
                observer.call(RSI[0xC4000197], (rec.ripas_base, rec.ripas_top, rec.ripas_value, int(rec.ripas_destroyed)), (0, rec.ripas_addr, response), None, rec_pa)
            rec.ripas_base = rec.ripas_top = rec.ripas_addr = 0
        out: Exit | None = None
        if rec.host_call is not None:
            ipa = rec.host_call
            pa, ripas, level = s2_data(rmm, realm, ipa & ~0xFFF)
            if pa is not None:
                memory.write((pa | ipa & 0xFFF) + 8, struct.pack("<31Q", *gprs))
                context.set_x(0, [0])
                rec.host_call = None
            elif ripas == rtt.EMPTY:
                rec.host_call = None
            else:
                out = buffer_abort(level, ipa)
        rec.last_abort = None
        if out is None:
            rec.running = True
            if observer is not None:
                observer.rec_enter(rec_pa)
            try:
                out = loop(rmm, rec, bool(flags & 4), bool(flags & 8))
            finally:
                rec.running = False
        if observer is not None:
            observer.rec_exit(rec_pa, EXIT_NAMES[out.reason])
        try:
            memory.host_write(run + 0x800, exit_block(rmm, rec, out))
        except HostFault:
            return answer(rec_pa, run, x4, 1, "run_pas_exit")
        return answer(rec_pa, run, x4, 0, None)

    return enter


def context_el(rec: Rec) -> int:
    return getattr(rec, "last_el", 1)


def bad_lrs(lrs: Sequence[int]) -> bool:
    seen: set[int] = set()
    for lr in lrs:
        if lr >> 62 == 0:
            continue
        vintid = lr & 0xFFFF_FFFF
        if lr >> 61 & 1 or lr >> 48 & 7 or lr >> 32 & 0x1FFF & ~0x200 or vintid in seen:
            return True
        if not (vintid <= 1019 or 8192 <= vintid <= 0xFFFF):
            return True
        seen.add(vintid)
    return False


def sea_esr(esr: int, el: int) -> int:
    ec = esr >> 26 & 0x3F
    if el == 1:
        ec |= 1
    return ec << 26 | esr & 0x0200_0040 | 1 << 25 | 1 << 9 | 0x10


def complete_mmio(rec: Rec, esr: int, value: int) -> None:
    context = rec.context
    rt = esr >> 16 & 31
    if not esr & 0x40 and rt != 31:
        bits = 8 << (esr >> 22 & 3)
        v = value & (1 << bits) - 1
        if esr >> 21 & 1 and v >> bits - 1:
            v |= M64 & ~((1 << bits) - 1)
        if not esr >> 15 & 1:
            v &= 0xFFFF_FFFF
        context.set_x(rt, [v])
    context.pc = context.pc + 4


def exit_block(rmm: Rmm, rec: Rec, out: Exit) -> bytes:
    block = bytearray(0x800)
    struct.pack_into("<Q", block, 0, out.reason)
    struct.pack_into("<QQQ", block, 0x100, out.esr, out.far, out.hpfar)
    if out.gprs:
        struct.pack_into(f"<{len(out.gprs)}Q", block, 0x200, *out.gprs)
    context = rec.context
    gic, tm = context.gic(), context.timers()
    struct.pack_into("<Q16QQQ", block, 0x300, gic.hcr & HCR_EXIT, *gic.lrs, gic.misr, gic.vmcr)
    struct.pack_into("<QQQQ", block, 0x400, tm.cntp_ctl, tm.cntp_cval, tm.cntv_ctl, tm.cntv_cval)
    struct.pack_into("<QQB", block, 0x500, *out.ripas)
    struct.pack_into("<I", block, 0x600, out.imm)
    struct.pack_into("<Q", block, 0x700, int(context.pmu_overflow()))
    return bytes(block)


def loop(rmm: Rmm, rec: Rec, trap_wfi: bool, trap_wfe: bool) -> Exit:
    context = rec.context
    if rec.last_timers != (now := context.timer_asserted()):
        rec.last_timers = now
        return Exit(1)
    while True:
        e = context.run(trap_wfi=trap_wfi, trap_wfe=trap_wfe)
        rec.last_el = e.el  # type: ignore[attr-defined]
        kind = e.kind
        out: Exit | None
        if kind == ExitKind.SMC:
            out = smc(rmm, rec, e.x)
        elif kind == ExitKind.DATA_ABORT:
            out = data_abort(rmm, rec, e)
        elif kind == ExitKind.INSTRUCTION_ABORT:
            out = instruction_abort(rmm, rec, e)
        elif kind in (ExitKind.HVC, ExitKind.UNDEF):
            if kind == ExitKind.HVC:
                context.pc = e.pc - 4
            context.inject(0x0200_0000, None)
            out = None
        elif kind == ExitKind.SYSREG:
            context.pc = e.pc + 4
            out = Exit(0, e.esr, gprs=(e.value,))
        elif kind == ExitKind.WFX:
            context.pc = e.pc + 4
            out = Exit(0, e.esr & 0xFC00_0001)
        elif kind == ExitKind.IRQ:
            out = Exit(1)
        elif kind == ExitKind.FIQ:
            out = Exit(2)
        else:
            out = Exit(6, e.esr & 0x0100_1E3F)
        if out is not None:
            rec.last_timers = context.timer_asserted()
            return out


def inject_sea(rec: Rec, e: RecExit) -> None:
    rec.context.inject(sea_esr(e.esr, e.el), e.far)


def data_abort(rmm: Rmm, rec: Rec, e: RecExit) -> Exit | None:
    realm = rec.realm
    ipa = e.hpfar << 8
    if ipa >= realm.ipa_size:
        inject_sea(rec, e)
        return None
    if ipa < realm.par:
        if s2_data(rmm, realm, ipa)[1] == rtt.EMPTY:
            inject_sea(rec, e)
            return None
        rec.last_abort = (e.esr, False, ipa)
        rec.last_far = e.far  # type: ignore[attr-defined]
        return Exit(0, e.esr & ABORT_MASK, 0, e.hpfar)
    isv = e.esr >> 24 & 1
    rec.last_abort = (e.esr, bool(isv), ipa)
    rec.last_far = e.far  # type: ignore[attr-defined]
    if not isv:
        return Exit(0, e.esr & ABORT_MASK, 0, e.hpfar)
    return Exit(0, e.esr & EMUL_MASK, e.far & 0xFFF, e.hpfar, (e.value,) if e.esr & 0x40 else ())


def instruction_abort(rmm: Rmm, rec: Rec, e: RecExit) -> Exit | None:
    realm = rec.realm
    ipa = e.hpfar << 8
    if ipa >= realm.par or s2_data(rmm, realm, ipa)[1] == rtt.EMPTY:
        inject_sea(rec, e)
        return None
    rec.last_abort = (e.esr, False, ipa)
    return Exit(0, e.esr & 0xFC00_1A3F, 0, e.hpfar)


def smc(rmm: Rmm, rec: Rec, x: Sequence[int]) -> Exit | None:
    fid = x[0] & 0xFFFF_FFFF & ~(1 << 16)
    context = rec.context
    observer = rmm.observer
    decl = RSI.get(fid) or PSCI.get(fid)

    def done(condition: str | None, *values: int, width: int = 4) -> None:
        out = [v & M64 for v in values[:4]] + [0] * (4 - len(values))
        context.set_x(0, out)
        if observer is not None:
            args = tuple(x[1 : 1 + len(decl.inputs)]) if decl else (x[0] & 0xFFFF_FFFF, *x[1:4])
            observer.call(decl, args, tuple(out), condition, rec.pa)

    if decl is None:
        done(None, M64)
        return None
    realm = rec.realm
    if fid < 0xC4000190:
        return psci(rmm, rec, fid, x, done)
    n = fid & 0xF
    if n == 0:
        done(None if x[1] == 0x10000 else "unsupported", 0 if x[1] == 0x10000 else 1, 0x10000, 0x10000)
    elif n == 1:
        done(None, 0, 0)
    elif n == 2:
        if x[1] > 4:
            done("index", 1)
        else:
            value = (realm.rim if x[1] == 0 else realm.rem[x[1] - 1]).ljust(64, b"\0")
            words = struct.unpack("<8Q", value)
            done(None, 0, *words)
            context.set_x(1, words)
    elif n == 3:
        if not 1 <= x[1] <= 4:
            done("index", 1)
        elif x[2] > 64:
            done("size", 1)
        else:
            value = struct.pack("<8Q", *x[3:11])[: x[2]]
            realm.rem[x[1] - 1] = measurement.extend(realm.algorithm, realm.rem[x[1] - 1], value)
            done(None, 0)
    elif n == 4:
        done("no_platform_key", 4)
    elif n == 5:
        bad = x[1] & 0xFFF or x[2] >= 4096 or x[2] + x[3] > 4096 or x[1] >= realm.par
        done("buffer" if bad else "not_started", 1 if bad else 2)
    elif n == 6:
        if x[1] & 0xFFF or x[1] >= realm.par:
            done("addr", 1)
            return None
        pa, ripas, level = s2_data(rmm, realm, x[1])
        if pa is None:
            return no_page(rec, x[1], ripas, level, done)
        rmm.memory.write(pa, struct.pack("<QB", realm.s2.ipa_width, realm.algorithm))
        rmm.memory.write(pa + 0x200, realm.rpv)
        done(None, 0)
    elif n == 7:
        base, top, ripas, flags = x[1:5]
        if ripas > 1:
            done("ripas", 1)
        elif base & 0xFFF or top & 0xFFF:
            done("align", 1)
        elif top <= base or top > realm.par:
            done("range", 1)
        else:
            rec.ripas_base, rec.ripas_top, rec.ripas_addr, rec.ripas_value = base, top, base, ripas
            rec.ripas_destroyed = flags == 1
            context.set_x(0, [0, top, 0, 0])
            return Exit(4, ripas=(base, top, ripas))
    elif n == 8:
        base, top = x[1], x[2]
        if base & 0xFFF or top & 0xFFF or base >= top or top > realm.par:
            done("range", 1)
        else:
            done(None, 0, *state_get(rmm, realm, base, top))
    else:
        if x[1] & 0xFF or x[1] >= realm.par:
            done("addr", 1)
            return None
        pa, ripas, level = s2_data(rmm, realm, x[1] & ~0xFFF)
        if pa is None:
            return no_page(rec, x[1], ripas, level, done)
        imm, *gprs = struct.unpack("<I4x31Q", rmm.memory.read(pa | x[1] & 0xFFF, 256))
        rec.host_call = x[1]
        if observer is not None:
            observer.call(decl, (x[1],), (0,), None, rec.pa)
        return Exit(5, gprs=gprs, imm=imm)
    return None


def no_page(rec: Rec, ipa: int, ripas: int, level: int, done: Callable[..., None]) -> Exit | None:
    if ripas == rtt.EMPTY:
        done("addr_ripas", 1)
        return None
    rec.context.pc = rec.context.pc - 4
    return buffer_abort(level, ipa)


def state_get(rmm: Rmm, realm: Realm, base: int, top: int) -> tuple[int, int]:
    w = rtt.walk(rmm.memory, realm.s2, base, 3)
    size = 1 << rtt.shift_of(w.level)
    ripas = w.state[1]
    at = (base & ~(size - 1)) + size
    index = w.index + 1
    while index < 512 and at < top:
        hipas, r, _ = rtt.state_of(rmm.memory.read64(w.table + 8 * index), w.level)
        if hipas == rtt.TABLE or r != ripas:
            break
        at += size
        index += 1
    return min(at, top), ripas


FEATURES_KNOWN = {0x84000001, 0xC4000001, 0x84000002, 0x84000003, 0xC4000003, 0x84000004, 0xC4000004, 0x84000008, 0x84000009, 0x8400000A, 0x80000000}


def psci(rmm: Rmm, rec: Rec, fid: int, x: Sequence[int], done: Callable[..., None]) -> Exit | None:
    realm = rec.realm
    n = fid & 0xFFFF
    if fid == 0x80000000:
        done(None, 0x10002)
    elif n == 0:
        done(None, 0x10001)
    elif n == 0xA:
        done(None, 0 if x[1] & 0xFFFF_FFFF in FEATURES_KNOWN else -1)
    elif n in (1, 2):
        if n == 2:
            rec.runnable = False
        done(None, 0)
        return Exit(3, gprs=(fid,))
    elif n in (8, 9):
        realm.state = 2
        done(None, 0)
        return Exit(3, gprs=(fid,))
    else:
        wide = M64 if fid >> 30 & 1 else 0xFFFF_FFFF
        target, a2, a3 = x[1] & wide, x[2] & wide, x[3] & wide
        index = index_of_mpidr(target)
        if n == 3 and a2 >= realm.par:
            done("entry", -9)
        elif n == 4 and a2 != 0:
            done("level", -2)
        elif index >= realm.rec_count:
            done("target", -2)
        elif index == rec.index:
            done("self", -4 if n == 3 else 0)
        else:
            rec.psci = (fid, (target, a2, a3))
            return Exit(3, gprs=(fid, target))
    return None
