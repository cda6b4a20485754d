# SPDX-License-Identifier: GPL-2.0-or-later
"""Exception syndromes by name: ESR_ELx and its ISS for each exception class (Arm ARM DDI 0487, D24.2.40)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from bridge.bitfields import Field, Register


class ExceptionClass(IntEnum):
    """ESR_ELx.EC."""

    UNKNOWN = 0x00
    WFX = 0x01
    CP15_MCR = 0x03
    CP15_MCRR = 0x04
    CP14_MCR = 0x05
    CP14_LDC = 0x06
    FP_SIMD = 0x07
    VMRS = 0x08
    PAUTH = 0x09
    OTHER_INSTRUCTION = 0x0A
    CP14_MRRC = 0x0C
    BTI = 0x0D
    ILLEGAL_STATE = 0x0E
    SVC32 = 0x11
    HVC32 = 0x12
    SMC32 = 0x13
    SYS128 = 0x14
    SVC64 = 0x15
    HVC64 = 0x16
    SMC64 = 0x17
    SYS64 = 0x18
    SVE = 0x19
    ERET = 0x1A
    TSTART = 0x1B
    PAUTH_FAIL = 0x1C
    SME = 0x1D
    GPC = 0x1E
    IABT_LOWER_EL = 0x20
    IABT_CURRENT_EL = 0x21
    PC_ALIGNMENT = 0x22
    DABT_LOWER_EL = 0x24
    DABT_CURRENT_EL = 0x25
    SP_ALIGNMENT = 0x26
    MOPS = 0x27
    FP_AARCH32 = 0x28
    FP_AARCH64 = 0x2C
    GCS = 0x2D
    SERROR = 0x2F
    BREAKPOINT_LOWER_EL = 0x30
    BREAKPOINT_CURRENT_EL = 0x31
    STEP_LOWER_EL = 0x32
    STEP_CURRENT_EL = 0x33
    WATCHPOINT_LOWER_EL = 0x34
    WATCHPOINT_CURRENT_EL = 0x35
    BKPT32 = 0x38
    VECTOR_CATCH32 = 0x3A
    BRK64 = 0x3C
    PMU = 0x3D


class FaultStatus(IntEnum):
    """DFSC and IFSC: why an access failed.  GPF is a granule protection fault; _WALK_: on a table's fetch."""

    ADDRESS_SIZE_L0 = 0x00
    ADDRESS_SIZE_L1 = 0x01
    ADDRESS_SIZE_L2 = 0x02
    ADDRESS_SIZE_L3 = 0x03
    TRANSLATION_L0 = 0x04
    TRANSLATION_L1 = 0x05
    TRANSLATION_L2 = 0x06
    TRANSLATION_L3 = 0x07
    ACCESS_FLAG_L0 = 0x08
    ACCESS_FLAG_L1 = 0x09
    ACCESS_FLAG_L2 = 0x0A
    ACCESS_FLAG_L3 = 0x0B
    PERMISSION_L0 = 0x0C
    PERMISSION_L1 = 0x0D
    PERMISSION_L2 = 0x0E
    PERMISSION_L3 = 0x0F
    EXTERNAL_ABORT = 0x10
    TAG_CHECK = 0x11
    EXTERNAL_ABORT_WALK_LM2 = 0x12
    EXTERNAL_ABORT_WALK_LM1 = 0x13
    EXTERNAL_ABORT_WALK_L0 = 0x14
    EXTERNAL_ABORT_WALK_L1 = 0x15
    EXTERNAL_ABORT_WALK_L2 = 0x16
    EXTERNAL_ABORT_WALK_L3 = 0x17
    PARITY = 0x18
    PARITY_WALK_LM1 = 0x1B
    PARITY_WALK_L0 = 0x1C
    PARITY_WALK_L1 = 0x1D
    PARITY_WALK_L2 = 0x1E
    PARITY_WALK_L3 = 0x1F
    ALIGNMENT = 0x21
    GPF_WALK_LM2 = 0x22
    GPF_WALK_LM1 = 0x23
    GPF_WALK_L0 = 0x24
    GPF_WALK_L1 = 0x25
    GPF_WALK_L2 = 0x26
    GPF_WALK_L3 = 0x27
    GPF = 0x28
    ADDRESS_SIZE_LM1 = 0x29
    TRANSLATION_LM2 = 0x2A
    TRANSLATION_LM1 = 0x2B
    ADDRESS_SIZE_LM2 = 0x2C
    TLB_CONFLICT = 0x30
    UNSUPPORTED_HW_UPDATE = 0x31
    LOCKDOWN = 0x34
    UNSUPPORTED_EXCLUSIVE = 0x35


class GpcStatus(IntEnum):
    """GPCSC: why a granule protection check failed (EC GPC, taken to EL3)."""

    ADDRESS_SIZE_L0 = 0x00
    WALK_L0 = 0x04
    WALK_L1 = 0x05
    FAULT_L0 = 0x0C
    FAULT_L1 = 0x0D
    EXTERNAL_ABORT_L0 = 0x14
    EXTERNAL_ABORT_L1 = 0x15


class Trapped(IntEnum):
    """TI: which of the waiting instructions was trapped."""

    WFI = 0
    WFE = 1
    WFIT = 2
    WFET = 3


class Direction(IntEnum):
    """Of a trapped system register access."""

    WRITE = 0
    READ = 1


class AccessSize(IntEnum):
    """SAS."""

    BYTE = 0
    HALFWORD = 1
    WORD = 2
    DOUBLEWORD = 3


class Esr(Register):
    """ESR_ELx."""

    EC = Field(31, 26, names=ExceptionClass)
    IL = Field(25, always=True)
    ISS = Field(24, 0)
    ISS2 = Field(55, 32)


class DataAbortIss(Register, width=25):
    """EC DABT_*.  SAS, SSE, SRT, SF and AR hold when ISV is set."""

    DFSC = Field(5, 0, names=FaultStatus)
    WnR = Field(6)
    S1PTW = Field(7)
    CM = Field(8)
    EA = Field(9)
    FnV = Field(10)
    SET = Field(12, 11)
    VNCR = Field(13)
    AR = Field(14)
    SF = Field(15)
    SRT = Field(20, 16)
    SSE = Field(21)
    SAS = Field(23, 22)
    ISV = Field(24)

    def __str__(self) -> str:
        if not self.ISV:
            return super().__str__()
        plain = str(DataAbortIss(self.value & 0x3FFF))
        size = DataAbortIss.SAS.get(self.value)
        flags = "".join(f" {name}=1" for name in ("SSE", "SF", "AR") if self.fields[name].get(self.value))
        return f"{plain} ISV=1 SAS={AccessSize(size).name} SRT={self.SRT}{flags}"


class InstructionAbortIss(Register, width=25):
    """EC IABT_*."""

    IFSC = Field(5, 0, names=FaultStatus)
    S1PTW = Field(7)
    EA = Field(9)
    FnV = Field(10)
    SET = Field(12, 11)


class WfxIss(Register, width=25):
    """EC WFX."""

    TI = Field(1, 0, names=Trapped)
    RV = Field(2)
    RN = Field(9, 5)
    COND = Field(23, 20)
    CV = Field(24)


class SystemRegisterIss(Register, width=25):
    """EC SYS64: MSR, MRS and SYS trapped."""

    Direction = Field(0, names=Direction)
    CRm = Field(4, 1)
    Rt = Field(9, 5)
    CRn = Field(13, 10)
    Op1 = Field(16, 14)
    Op2 = Field(19, 17)
    Op0 = Field(21, 20)

    def __str__(self) -> str:
        from bridge.arch.sysregs import encode, sysreg_name

        name = sysreg_name(encode(self.Op0, self.Op1, self.CRn, self.CRm, self.Op2))
        return f"{Direction(self.Direction).name} {name} Rt={self.Rt}"


class ImmediateIss(Register, width=25):
    """EC SVC64, HVC64, SMC64 and BRK64."""

    IMM = Field(15, 0, always=True)


class GpcIss(Register, width=25):
    """EC GPC."""

    xFSC = Field(5, 0, names=FaultStatus)
    WnR = Field(6)
    S1PTW = Field(7)
    CM = Field(8)
    VNCR = Field(13)
    GPCSC = Field(19, 14, names=GpcStatus)
    InD = Field(20)
    S2PTW = Field(21)


class SerrorIss(Register, width=25):
    """EC SERROR."""

    DFSC = Field(5, 0)
    EA = Field(9)
    AET = Field(12, 10)
    IESB = Field(13)
    IDS = Field(24)


class FpAccessIss(Register, width=25):
    """EC FP_SIMD and SVE."""

    COND = Field(23, 20)
    CV = Field(24)


class FpExceptionIss(Register, width=25):
    """EC FP_AARCH64."""

    IOF = Field(0)
    DZF = Field(1)
    OFF = Field(2)
    UFF = Field(3)
    IXF = Field(4)
    IDF = Field(7)
    VECITR = Field(10, 8)
    TFV = Field(23)


class BreakpointIss(Register, width=25):
    """EC BREAKPOINT_*."""

    IFSC = Field(5, 0)


class StepIss(Register, width=25):
    """EC STEP_*."""

    IFSC = Field(5, 0)
    EX = Field(6)
    ISV = Field(24)


class WatchpointIss(Register, width=25):
    """EC WATCHPOINT_*."""

    DFSC = Field(5, 0)
    WnR = Field(6)
    CM = Field(8)
    VNCR = Field(13)


_E = ExceptionClass
ISS: Mapping[ExceptionClass, type[Register]] = MappingProxyType(
    {
        _E.WFX: WfxIss,
        _E.FP_SIMD: FpAccessIss,
        _E.SVE: FpAccessIss,
        _E.SVC64: ImmediateIss,
        _E.HVC64: ImmediateIss,
        _E.SMC64: ImmediateIss,
        _E.BRK64: ImmediateIss,
        _E.SYS64: SystemRegisterIss,
        _E.GPC: GpcIss,
        _E.IABT_LOWER_EL: InstructionAbortIss,
        _E.IABT_CURRENT_EL: InstructionAbortIss,
        _E.DABT_LOWER_EL: DataAbortIss,
        _E.DABT_CURRENT_EL: DataAbortIss,
        _E.FP_AARCH64: FpExceptionIss,
        _E.SERROR: SerrorIss,
        _E.BREAKPOINT_LOWER_EL: BreakpointIss,
        _E.BREAKPOINT_CURRENT_EL: BreakpointIss,
        _E.STEP_LOWER_EL: StepIss,
        _E.STEP_CURRENT_EL: StepIss,
        _E.WATCHPOINT_LOWER_EL: WatchpointIss,
        _E.WATCHPOINT_CURRENT_EL: WatchpointIss,
    }
)


def iss_of(esr: int) -> Register | None:
    """The ISS as the exception class has it, or None where it has none that is known here."""
    register = Esr(esr)
    try:
        layout = ISS.get(ExceptionClass(register.EC))
    except ValueError:
        return None
    return None if layout is None else layout(register.ISS)


def decode_esr(esr: int) -> str:
    """A syndrome on one line: `EC=DABT_CURRENT_EL(0x25) IL=1 DFSC=GPF(0x28) WnR=1`."""
    register, iss = Esr(esr), iss_of(esr)
    if iss is None:
        return str(register)
    head, tail = str(Esr(esr & ~Esr.ISS.mask)), str(iss)
    return head if tail == "0" else f"{head} {tail}"


_FAULT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "GPF": "granule protection fault",
        "EXTERNAL_ABORT": "synchronous external abort",
        "PARITY": "parity or ECC error",
        "TAG_CHECK": "tag check fault",
        "ALIGNMENT": "alignment fault",
        "TLB_CONFLICT": "TLB conflict abort",
        "UNSUPPORTED_HW_UPDATE": "atomic hardware update of a table in memory that cannot do it",
        "LOCKDOWN": "lockdown fault (implementation defined)",
        "UNSUPPORTED_EXCLUSIVE": "exclusive or atomic access to memory that cannot do it",
    }
)


def fault_status_text(status: int) -> str:
    """A DFSC or IFSC in words: `translation fault, level 3`, `granule protection fault on a table fetch, level 2`."""
    try:
        name = FaultStatus(status).name
    except ValueError:
        return f"reserved fault status {status:#x}"
    what, _, level = name.rpartition("_L") if name.endswith(("0", "1", "2", "3")) else (name, "", "")
    kind = what.removesuffix("_WALK")
    text = _FAULT_WORDS.get(kind) or f"{kind.lower().replace('_', ' ')} fault"
    if not level:
        return text
    return f"{text}{' on a table fetch' if what != kind else ''}, level {level.replace('M', '-')}"
