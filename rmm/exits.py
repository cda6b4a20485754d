# SPDX-License-Identifier: GPL-2.0-or-later
"""What a REC's exception means: handled here, injected into the realm, or shown to the host (rmm-abi.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmm.abi.values import ExitReason, Ripas
from rmm.frame import Panic
from rmm.rec import LastExit
from rmm.stage2 import PAGE_LEVEL, is_table, ripas_of, walk

if TYPE_CHECKING:
    from rmm.protocols import RecExit
    from rmm.rec import Rec
    from rmm.rmm import Rmm

# ESR_ELx
EC_SHIFT = 26
EC_UNKNOWN = 0x00
EC_WFX = 0x01
EC_INSTRUCTION_ABORT_LOWER = 0x20
EC_DATA_ABORT_LOWER = 0x24
_EC_MASK = 0x3F << EC_SHIFT
_EC_SAME_EL = 1 << EC_SHIFT  # from an abort of a lower EL to one of the same EL
_IL = 1 << 25
_ISV = 1 << 24
_SSE = 1 << 21
_SF = 1 << 15
_SET_SHIFT = 11
_FNV = 1 << 10
_EA = 1 << 9
_S1PTW = 1 << 7
_WNR = 1 << 6
_FSC = 0x3F
_FSC_EXTERNAL = 0x10
_FSC_TRANSLATION = 0x04
_TI = 1
_SET_UER, _SET_UC, _SET_UEO = 0, 2, 3

# What the host may see of a syndrome (§6.1, §6.6).
NON_EMULATABLE_MASK = 0xFC001E3F
EMULATABLE_MASK = 0xFDC09E7F
_SERROR_MASK = 0x01001E3F
_FAR_MASK = 0xFFF
_HPFAR_FIPA = 0x0000_0FFF_FFFF_FFF0

_SERROR_IDS = 1 << 24
_SERROR_ASYNC = 0x11
_AET_SHIFT = 10
_AET_UC = 0

# ISS of a trapped system register access
_SYSREG_READ = 1
_SYSREG_MASK = 0x3FFC1E  # op0, op2, op1, CRn, CRm


class Exit:
    """What REC_ENTER reports to the host (RmiRecExit).

    gprs: X0 upwards as they stand in memory, the rest zero.  bare: the virtual GIC and timer fields are left zero too.
    """

    __slots__ = ("bare", "esr", "far", "gprs", "hpfar", "imm", "reason", "ripas")

    def __init__(
        self,
        reason: int,
        *,
        esr: int = 0,
        far: int = 0,
        hpfar: int = 0,
        gprs: bytes = b"",
        ripas: tuple[int, int, int] | None = None,
        imm: int = 0,
        bare: bool = False,
    ) -> None:
        self.reason = reason
        self.esr = esr
        self.far = far
        self.hpfar = hpfar
        self.gprs = gprs
        self.ripas = ripas
        self.imm = imm
        self.bare = bare


def register_bytes(*values: int) -> bytes:
    """X0 upwards as `gprs` of an Exit."""
    return b"".join(value.to_bytes(8, "little") for value in values)


def _sysreg(op1: int, crn: int, crm: int, op2: int) -> int:
    """A register with op0 = 3 as the ISS of a trapped access names it."""
    return 3 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1


# Writes that the host must deliver: ICC_SGI1R_EL1, ICC_SGI0R_EL1, ICC_DIR_EL1 (§6.7).
_INTERRUPT_WRITES = frozenset({_sysreg(0, 12, 11, 5), _sysreg(0, 12, 11, 7), _sysreg(0, 12, 11, 1)})


def ipa_of(hpfar: int) -> int:
    """The page's IPA in an HPFAR_EL2 value."""
    return (hpfar & _HPFAR_FIPA) << 8


_ISV_FIELDS = 0x7FF << 14  # ISV, SAS, SSE, SRT, SF, AR


def sea_syndrome(esr: int, el: int) -> int:
    """ESR_EL1 of a synchronous external abort that stands for a stage-2 abort (§6.3).

    ISV and the fields it vouches for are cleared: EL1 never sees them in an abort of its own.
    """
    same_el = _EC_SAME_EL if el else 0
    return esr & ~(_FSC | _FNV | _S1PTW | _ISV_FIELDS) | same_el | _FSC_EXTERNAL | _EA


def inject_sea(rec: Rec, esr: int, far: int, el: int) -> None:
    rec.context.inject(sea_syndrome(esr, el), far)


def inject_unknown(rec: Rec) -> None:
    """An Unknown exception at the REC's present instruction (§6.4)."""
    rec.context.inject(EC_UNKNOWN << EC_SHIFT | _IL, None)


def _is_external(fsc: int) -> bool:
    return fsc == _FSC_EXTERNAL or 0x13 <= fsc <= 0x17


def _external_abort(rec: Rec, exit_: RecExit) -> Exit:
    severity = exit_.esr >> _SET_SHIFT & 3
    if severity == _SET_UC:
        raise Panic(f"uncontainable external abort in REC {rec.pa:#x}: ESR {exit_.esr:#x}")
    if severity == _SET_UER:
        inject_sea(rec, exit_.esr, exit_.far, exit_.el)
    rec.last = LastExit(exit_.pc, exit_.esr, exit_.far, exit_.hpfar, exit_.el, emulatable=False)
    return Exit(ExitReason.SYNC, esr=exit_.esr & NON_EMULATABLE_MASK)


def _is_empty(rmm: Rmm, rec: Rec, ipa: int) -> bool:
    """A protected IPA whose RIPAS is EMPTY."""
    level, _, entry = walk(rmm.memory, rec.realm, ipa, PAGE_LEVEL)
    return not is_table(entry, level) and ripas_of(entry) == Ripas.EMPTY


def data_abort(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit | None:
    """§6.1; None when the realm goes on with an exception of its own."""
    esr = exit_.esr
    if _is_external(esr & _FSC):
        return _external_abort(rec, exit_)
    realm = rec.realm
    ipa = ipa_of(exit_.hpfar)
    protected = ipa < realm.par_end
    if ipa >= realm.ipa_end or (protected and _is_empty(rmm, rec, ipa)):
        inject_sea(rec, esr, exit_.far, exit_.el)
        return None
    emulatable = not protected and bool(esr & _ISV)
    rec.last = LastExit(exit_.pc, esr, exit_.far, exit_.hpfar, exit_.el, emulatable)
    hpfar = exit_.hpfar & _HPFAR_FIPA
    if not emulatable:
        return Exit(ExitReason.SYNC, esr=esr & NON_EMULATABLE_MASK, hpfar=hpfar)
    written = exit_.value & _access_mask(esr) if esr & _WNR else 0
    return Exit(
        ExitReason.SYNC,
        esr=esr & EMULATABLE_MASK,
        far=exit_.far & _FAR_MASK,
        hpfar=hpfar,
        gprs=written.to_bytes(8, "little"),
    )


def instruction_abort(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit | None:
    """§6.2."""
    esr = exit_.esr
    if _is_external(esr & _FSC):
        return _external_abort(rec, exit_)
    realm = rec.realm
    ipa = ipa_of(exit_.hpfar)
    if ipa >= realm.par_end or _is_empty(rmm, rec, ipa):
        inject_sea(rec, esr, exit_.far, exit_.el)
        return None
    rec.last = LastExit(exit_.pc, esr, exit_.far, exit_.hpfar, exit_.el, emulatable=False)
    if esr & _FSC & ~3 != _FSC_TRANSLATION:
        return Exit(ExitReason.SYNC)
    return Exit(ExitReason.SYNC, esr=esr & NON_EMULATABLE_MASK, hpfar=exit_.hpfar & _HPFAR_FIPA)


def _access_mask(esr: int) -> int:
    """All bits of an access of the size that a syndrome tells."""
    return (1 << (8 << (esr >> 22 & 3))) - 1


def complete_mmio(rec: Rec, last: LastExit, loaded: int) -> None:
    """Finishes the load or store that the host has emulated (§7.2); `loaded`: the host's X0."""
    esr, context = last.esr, rec.context
    register = esr >> 16 & 31
    if not esr & _WNR and register != 31:
        mask = _access_mask(esr)
        value = loaded & mask
        if esr & _SSE and value & ~(mask >> 1):
            value |= ~mask
        value &= 0xFFFF_FFFF_FFFF_FFFF if esr & _SF else 0xFFFF_FFFF
        context.set_x(register, (value,))
    context.pc = last.pc + 4


def sysreg(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit | None:
    """A trapped system register: interrupt writes go to the host, the rest reads as zero, ignores writes (§6.7)."""
    esr, context = exit_.esr, rec.context
    context.pc = exit_.pc + 4
    if esr & _SYSREG_READ:
        register = esr >> 5 & 31
        if register != 31:
            context.set_x(register, (0,))
        return None
    if esr & _SYSREG_MASK not in _INTERRUPT_WRITES:
        return None
    return Exit(ExitReason.SYNC, esr=esr, gprs=register_bytes(exit_.value))


def wfx(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit:
    """§6.5"""
    rec.context.pc = exit_.pc + 4
    return Exit(ExitReason.SYNC, esr=EC_WFX << EC_SHIFT | exit_.esr & _TI)


def undefined(rmm: Rmm, rec: Rec, exit_: RecExit) -> None:
    """HVC, and trapped instructions that the realm does not have (§6.4, §6.7)."""
    inject_unknown(rec)


def irq(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit:
    return Exit(ExitReason.IRQ)


def fiq(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit:
    return Exit(ExitReason.FIQ)


def serror(rmm: Rmm, rec: Rec, exit_: RecExit) -> Exit:
    """§6.6.  A virtual SError is not queued for the realm: no PE of RecContext can take one."""
    esr = exit_.esr
    if esr & _SERROR_IDS or esr & _FSC != _SERROR_ASYNC or esr >> _AET_SHIFT & 7 == _AET_UC:
        raise Panic(f"uncontainable SError in REC {rec.pa:#x}: ESR {esr:#x}")
    return Exit(ExitReason.SERROR, esr=esr & _SERROR_MASK)


def page_abort(ipa: int, level: int, *, bare: bool = False) -> Exit:
    """The stage-2 abort that stands for a page which the RMM needs and the host has not supplied (§4)."""
    esr = EC_DATA_ABORT_LOWER << EC_SHIFT | (_FSC_TRANSLATION + level) & _FSC
    return Exit(ExitReason.SYNC, esr=esr, hpfar=ipa >> 8 & _HPFAR_FIPA, bare=bare)


def may_inject_sea(rec: Rec) -> bool:
    """INJECT_SEA fits the last exit: a data abort at an unprotected IPA (§3.10 #10)."""
    last = rec.last
    return (
        last is not None
        and last.esr >> EC_SHIFT & 0x3F == EC_DATA_ABORT_LOWER
        and ipa_of(last.hpfar) >= rec.realm.par_end
    )
