# SPDX-License-Identifier: GPL-2.0-or-later
"""Fields of the system registers that translation, traps and exceptions depend on (Arm ARM DDI 0487, D24).

Without the features that the machine does not have, their fields stay unnamed and count as reserved.
"""

from __future__ import annotations

from enum import IntEnum

from bridge.arch.pstate import Pstate
from bridge.bitfields import Field, Register


class Granule(IntEnum):
    """Translation granule of a lower half, of stage 2, and of the granule protection check."""

    KB_4 = 0
    KB_64 = 1
    KB_16 = 2


class UpperGranule(IntEnum):
    """Translation granule of an upper half."""

    KB_16 = 1
    KB_4 = 2
    KB_64 = 3


class Cacheability(IntEnum):
    NC = 0
    WB_WA = 1
    WT = 2
    WB = 3


class Shareability(IntEnum):
    NON = 0
    OUTER = 2
    INNER = 3


class PaSize(IntEnum):
    BITS_32 = 0
    BITS_36 = 1
    BITS_40 = 2
    BITS_42 = 3
    BITS_44 = 4
    BITS_48 = 5
    BITS_52 = 6


class FpTrap(IntEnum):
    TRAP = 0
    TRAP_EL0 = 1
    TRAP_TOO = 2
    NO_TRAP = 3


class TagCheck(IntEnum):
    NONE = 0
    SYNC = 1
    ASYNC = 2
    ASYMMETRIC = 3


class Barrier(IntEnum):
    NONE = 0
    INNER = 1
    OUTER = 2
    FULL = 3


class L0Size(IntEnum):
    GB_1 = 0
    GB_16 = 4
    GB_64 = 6
    GB_512 = 9


class SctlrEl1(Register):
    """System control of EL1&0."""

    TIDCP = Field(63, doc="trap implementation defined registers at EL0")
    SPINTMASK = Field(62, doc="SPSel masks interrupts")
    NMI = Field(61, doc="non-maskable interrupts")
    EnTP2 = Field(60, doc="EL0 may use TPIDR2_EL0")
    EPAN = Field(57, doc="PAN covers execute-only pages")
    EnALS = Field(56, doc="EL0 may use LD64B and ST64B")
    EnAS0 = Field(55, doc="EL0 may use ST64BV0")
    EnASR = Field(54, doc="EL0 may use ST64BV")
    TWEDEL = Field(49, 46, doc="delay before WFE is trapped")
    TWEDEn = Field(45, doc="TWEDEL counts")
    DSSBS = Field(44, doc="SSBS on exception entry")
    ATA = Field(43, doc="EL1 may use allocation tags")
    ATA0 = Field(42, doc="EL0 may use allocation tags")
    TCF = Field(41, 40, doc="tag check fault in EL1", names=TagCheck)
    TCF0 = Field(39, 38, doc="tag check fault in EL0", names=TagCheck)
    ITFSB = Field(37, doc="tag faults are synchronised on entry")
    BT1 = Field(36, doc="branch targets: PACIxSP at EL1")
    BT0 = Field(35, doc="branch targets: PACIxSP at EL0")
    MSCEn = Field(33, doc="EL0 may use memory copy and set")
    CMOW = Field(32, doc="cache maintenance needs write permission")
    EnIA = Field(31, doc="pointer authentication, instruction key A")
    EnIB = Field(30, doc="pointer authentication, instruction key B")
    LSMAOE = Field(29, doc="load/store multiple atomicity (AArch32)")
    nTLSMD = Field(28, doc="no trap of load/store multiple to Device memory (AArch32)")
    EnDA = Field(27, doc="pointer authentication, data key A")
    UCI = Field(26, doc="EL0 may maintain caches")
    EE = Field(25, doc="EL1 is big-endian")
    E0E = Field(24, doc="EL0 is big-endian")
    SPAN = Field(23, doc="1: PSTATE.PAN is kept on exception entry")
    EIS = Field(22, doc="exception entry synchronises context")
    IESB = Field(21, doc="implicit error synchronisation")
    TSCXT = Field(20, doc="trap SCXTNUM_EL0 at EL0")
    WXN = Field(19, doc="writable pages are never executable")
    nTWE = Field(18, doc="WFE at EL0 is not trapped")
    nTWI = Field(16, doc="WFI at EL0 is not trapped")
    UCT = Field(15, doc="EL0 may read CTR_EL0")
    DZE = Field(14, doc="EL0 may use DC ZVA")
    EnDB = Field(13, doc="pointer authentication, data key B")
    I = Field(12, doc="instruction caches")  # noqa: E741 - the architecture's name
    EOS = Field(11, doc="exception return synchronises context")
    EnRCTX = Field(10, doc="EL0 may use CFP, CPP and DVP RCTX")
    UMA = Field(9, doc="EL0 may access DAIF")
    SED = Field(8, doc="SETEND is disabled (AArch32)")
    ITD = Field(7, doc="IT is restricted (AArch32)")
    nAA = Field(6, doc="unaligned acquire and release are allowed")
    CP15BEN = Field(5, doc="CP15 barriers (AArch32)")
    SA0 = Field(4, doc="SP alignment check at EL0")
    SA = Field(3, doc="SP alignment check at EL1")
    C = Field(2, doc="data caches")
    A = Field(1, doc="alignment check")
    M = Field(0, doc="stage 1 translation")


class SctlrEl2(Register):
    """System control of EL2, with HCR_EL2.E2H = 0."""

    EnIA = Field(31, doc="pointer authentication, instruction key A")
    EnIB = Field(30, doc="pointer authentication, instruction key B")
    RES1_29_28 = Field(29, 28, doc="reserved, one")
    EnDA = Field(27, doc="pointer authentication, data key A")
    EE = Field(25, doc="EL2 is big-endian")
    RES1_23 = Field(23, doc="reserved, one")
    EIS = Field(22, doc="exception entry synchronises context")
    IESB = Field(21, doc="implicit error synchronisation")
    WXN = Field(19, doc="writable pages are never executable")
    RES1_18 = Field(18, doc="reserved, one")
    RES1_16 = Field(16, doc="reserved, one")
    EnDB = Field(13, doc="pointer authentication, data key B")
    I = Field(12, doc="instruction caches")  # noqa: E741 - the architecture's name
    EOS = Field(11, doc="exception return synchronises context")
    nAA = Field(6, doc="unaligned acquire and release are allowed")
    RES1_5_4 = Field(5, 4, doc="reserved, one")
    SA = Field(3, doc="SP alignment check")
    C = Field(2, doc="data caches")
    A = Field(1, doc="alignment check")
    M = Field(0, doc="stage 1 translation")


class TcrEl1(Register):
    """Translation control of EL1&0, stage 1."""

    DS = Field(59, doc="52-bit addresses with 4K and 16K granules")
    TCMA1 = Field(58, doc="upper half: unchecked where the tag is 15")
    TCMA0 = Field(57, doc="lower half: unchecked where the tag is 0")
    E0PD1 = Field(56, doc="upper half: faults at EL0")
    E0PD0 = Field(55, doc="lower half: faults at EL0")
    NFD1 = Field(54, doc="upper half: non-fault access fails")
    NFD0 = Field(53, doc="lower half: non-fault access fails")
    TBID1 = Field(52, doc="upper half: top byte counts in fetches")
    TBID0 = Field(51, doc="lower half: top byte counts in fetches")
    HWU1 = Field(50, 47, doc="upper half: descriptor bits 62:59 are hardware's")
    HWU0 = Field(46, 43, doc="lower half: descriptor bits 62:59 are hardware's")
    HPD1 = Field(42, doc="upper half: no hierarchical permissions")
    HPD0 = Field(41, doc="lower half: no hierarchical permissions")
    HD = Field(40, doc="hardware sets the dirty state")
    HA = Field(39, doc="hardware sets the access flag")
    TBI1 = Field(38, doc="upper half: top byte ignored")
    TBI0 = Field(37, doc="lower half: top byte ignored")
    AS = Field(36, doc="16-bit ASIDs")
    IPS = Field(34, 32, doc="output address size", names=PaSize)
    TG1 = Field(31, 30, doc="upper half: granule", names=UpperGranule)
    SH1 = Field(29, 28, doc="upper half: shareability of walks", names=Shareability)
    ORGN1 = Field(27, 26, doc="upper half: outer cacheability of walks", names=Cacheability)
    IRGN1 = Field(25, 24, doc="upper half: inner cacheability of walks", names=Cacheability)
    EPD1 = Field(23, doc="upper half: no walks")
    A1 = Field(22, doc="the ASID is TTBR1_EL1's")
    T1SZ = Field(21, 16, doc="upper half: 64 - size in bits")
    TG0 = Field(15, 14, doc="lower half: granule", names=Granule)
    SH0 = Field(13, 12, doc="lower half: shareability of walks", names=Shareability)
    ORGN0 = Field(11, 10, doc="lower half: outer cacheability of walks", names=Cacheability)
    IRGN0 = Field(9, 8, doc="lower half: inner cacheability of walks", names=Cacheability)
    EPD0 = Field(7, doc="lower half: no walks")
    T0SZ = Field(5, 0, doc="lower half: 64 - size in bits")


class TcrEl2(Register):
    """Translation control of EL2, with HCR_EL2.E2H = 0."""

    DS = Field(32, doc="52-bit addresses with 4K and 16K granules")
    RES1_31 = Field(31, doc="reserved, one")
    TCMA = Field(30, doc="unchecked where the tag is 0")
    TBID = Field(29, doc="top byte counts in fetches")
    HWU = Field(28, 25, doc="descriptor bits 62:59 are hardware's")
    HPD = Field(24, doc="no hierarchical permissions")
    RES1_23 = Field(23, doc="reserved, one")
    HD = Field(22, doc="hardware sets the dirty state")
    HA = Field(21, doc="hardware sets the access flag")
    TBI = Field(20, doc="top byte ignored")
    PS = Field(18, 16, doc="output address size", names=PaSize)
    TG0 = Field(15, 14, doc="granule", names=Granule)
    SH0 = Field(13, 12, doc="shareability of walks", names=Shareability)
    ORGN0 = Field(11, 10, doc="outer cacheability of walks", names=Cacheability)
    IRGN0 = Field(9, 8, doc="inner cacheability of walks", names=Cacheability)
    T0SZ = Field(5, 0, doc="64 - size in bits")


class VtcrEl2(Register):
    """Translation control of stage 2."""

    SL2 = Field(33, doc="start level, high bit, with DS")
    DS = Field(32, doc="52-bit addresses with 4K and 16K granules")
    RES1_31 = Field(31, doc="reserved, one")
    NSA = Field(30, doc="output of the Non-secure IPA space")
    NSW = Field(29, doc="walks of the Non-secure IPA space")
    HWU = Field(28, 25, doc="descriptor bits 62:59 are hardware's")
    HD = Field(22, doc="hardware sets the dirty state")
    HA = Field(21, doc="hardware sets the access flag")
    VS = Field(19, doc="16-bit VMIDs")
    PS = Field(18, 16, doc="output address size", names=PaSize)
    TG0 = Field(15, 14, doc="granule", names=Granule)
    SH0 = Field(13, 12, doc="shareability of walks", names=Shareability)
    ORGN0 = Field(11, 10, doc="outer cacheability of walks", names=Cacheability)
    IRGN0 = Field(9, 8, doc="inner cacheability of walks", names=Cacheability)
    SL0 = Field(7, 6, doc="start level, with the granule")
    T0SZ = Field(5, 0, doc="64 - size of the IPA space in bits")


class Ttbr(Register):
    """Translation table base of stage 1."""

    ASID = Field(63, 48, doc="address space")
    BADDR = Field(47, 1, doc="table, bits 47:1")
    CnP = Field(0, doc="common to all PEs")


class VttbrEl2(Register):
    """Translation table base of stage 2."""

    VMID = Field(63, 48, doc="virtual machine")
    BADDR = Field(47, 1, doc="table, bits 47:1")
    CnP = Field(0, doc="common to all PEs")


class HcrEl2(Register):
    """Hypervisor configuration."""

    TWEDEL = Field(63, 60, doc="delay before WFE is trapped")
    TWEDEn = Field(59, doc="TWEDEL counts")
    TID5 = Field(58, doc="trap GMID_EL1")
    DCT = Field(57, doc="default cacheability: tagged")
    ATA = Field(56, doc="EL1 and EL0 may use allocation tags")
    TTLBOS = Field(55, doc="trap outer shareable TLBI")
    TTLBIS = Field(54, doc="trap inner shareable TLBI")
    EnSCXT = Field(53, doc="EL1 and EL0 may use SCXTNUM")
    TOCU = Field(52, doc="trap maintenance to the point of unification")
    AMVOFFEN = Field(51, doc="activity monitor offsets")
    TICAB = Field(50, doc="trap IC IALLUIS")
    TID4 = Field(49, doc="trap cache identification")
    GPF = Field(48, doc="granule protection faults of EL1 and EL0 go to EL2")
    FIEN = Field(47, doc="fault injection registers")
    FWB = Field(46, doc="stage 2 forces write-back")
    NV2 = Field(45, doc="nested virtualisation through memory")
    AT = Field(44, doc="trap address translation")
    NV1 = Field(43, doc="nested virtualisation, more of it")
    NV = Field(42, doc="nested virtualisation")
    API = Field(41, doc="pointer authentication is not trapped")
    APK = Field(40, doc="pointer authentication keys are not trapped")
    TME = Field(39, doc="transactional memory")
    MIOCNCE = Field(38, doc="mismatched cacheability may lose coherency")
    TEA = Field(37, doc="external aborts go to EL2")
    TERR = Field(36, doc="trap error records")
    TLOR = Field(35, doc="trap limited ordering regions")
    E2H = Field(34, doc="EL2 hosts an operating system")
    ID = Field(33, doc="stage 2: instructions are not cacheable")
    CD = Field(32, doc="stage 2: data are not cacheable")
    RW = Field(31, doc="EL1 is AArch64")
    TRVM = Field(30, doc="trap reads of memory controls")
    HCD = Field(29, doc="HVC is disabled")
    TDZ = Field(28, doc="trap DC ZVA")
    TGE = Field(27, doc="exceptions of EL0 go to EL2")
    TVM = Field(26, doc="trap writes of memory controls")
    TTLB = Field(25, doc="trap TLBI")
    TPU = Field(24, doc="trap maintenance to the point of unification")
    TPCP = Field(23, doc="trap maintenance to the point of coherency")
    TSW = Field(22, doc="trap maintenance by set and way")
    TACR = Field(21, doc="trap ACTLR_EL1")
    TIDCP = Field(20, doc="trap implementation defined registers")
    TSC = Field(19, doc="trap SMC")
    TID3 = Field(18, doc="trap ID registers, group 3")
    TID2 = Field(17, doc="trap ID registers, group 2")
    TID1 = Field(16, doc="trap ID registers, group 1")
    TID0 = Field(15, doc="trap ID registers, group 0")
    TWE = Field(14, doc="trap WFE")
    TWI = Field(13, doc="trap WFI")
    DC = Field(12, doc="default cacheability")
    BSU = Field(11, 10, doc="least shareability of barriers", names=Barrier)
    FB = Field(9, doc="maintenance is broadcast")
    VSE = Field(8, doc="virtual SError is pending")
    VI = Field(7, doc="virtual IRQ is pending")
    VF = Field(6, doc="virtual FIQ is pending")
    AMO = Field(5, doc="SError goes to EL2")
    IMO = Field(4, doc="IRQ goes to EL2")
    FMO = Field(3, doc="FIQ goes to EL2")
    PTW = Field(2, doc="walks through Device memory fault")
    SWIO = Field(1, doc="invalidation by set and way cleans")
    VM = Field(0, doc="stage 2 translation")


class CpacrEl1(Register):
    """Access to floating point and vectors from EL1 and EL0."""

    TTA = Field(28, doc="trap trace registers")
    SMEN = Field(25, 24, doc="SME", names=FpTrap)
    FPEN = Field(21, 20, doc="floating point and SIMD", names=FpTrap)
    ZEN = Field(17, 16, doc="SVE", names=FpTrap)


class ScrEl3(Register):
    """Secure configuration: with NSE, the security state of the levels below EL3."""

    NSE = Field(62, doc="with NS: 0,0 Secure; 0,1 Non-secure; 1,1 Realm")
    GPF = Field(48, doc="granule protection faults go to EL3")
    HXEn = Field(38, doc="EL2 may use HCRX_EL2")
    ATA = Field(26, doc="allocation tags")
    FGTEn = Field(27, doc="fine-grained traps")
    ECVEn = Field(28, doc="CNTPOFF_EL2")
    TERR = Field(15, doc="trap error records")
    TLOR = Field(14, doc="trap limited ordering regions")
    TWE = Field(13, doc="trap WFE")
    TWI = Field(12, doc="trap WFI")
    ST = Field(11, doc="Secure EL1 may use the physical timer")
    RW = Field(10, doc="the level below is AArch64")
    SIF = Field(9, doc="no fetch from Non-secure memory in Secure state")
    HCE = Field(8, doc="HVC is enabled")
    SMD = Field(7, doc="SMC is disabled")
    RES1_5_4 = Field(5, 4, doc="reserved, one")
    EA = Field(3, doc="external aborts and SError go to EL3")
    FIQ = Field(2, doc="FIQ goes to EL3")
    IRQ = Field(1, doc="IRQ goes to EL3")
    NS = Field(0, doc="Non-secure")
    EEL2 = Field(18, doc="Secure EL2 is enabled")
    APK = Field(16, doc="pointer authentication keys are not trapped")
    API = Field(17, doc="pointer authentication is not trapped")


class GpccrEl3(Register):
    """Granule protection check control (DDI 0615)."""

    L0GPTSZ = Field(23, 20, doc="level 0 entry covers", names=L0Size)
    NSO = Field(19, doc="Non-secure only is a GPI")
    GPCP = Field(17, doc="GPC faults have priority")
    GPC = Field(16, doc="granule protection check", always=True)
    PGS = Field(15, 14, doc="granule", names=Granule)
    SH = Field(13, 12, doc="shareability of walks", names=Shareability)
    ORGN = Field(11, 10, doc="outer cacheability of walks", names=Cacheability)
    IRGN = Field(9, 8, doc="inner cacheability of walks", names=Cacheability)
    PPS = Field(2, 0, doc="protected address size", names=PaSize)


class GptbrEl3(Register):
    """Granule protection table base (DDI 0615)."""

    BADDR = Field(39, 0, doc="PA of the level 0 table, bits 51:12", always=True)


class MfarEl3(Register):
    """Physical address of a granule protection check exception (DDI 0615)."""

    NS = Field(63, doc="with NSE: the physical address space")
    NSE = Field(62, doc="with NS: 0,0 Secure; 0,1 Non-secure; 1,0 Root; 1,1 Realm")
    FPA = Field(51, 12, doc="PA, bits 51:12", always=True)


class HpfarEl2(Register):
    """IPA of a stage-2 fault."""

    NS = Field(63, doc="the IPA space is Non-secure (Secure state)")
    FIPA = Field(43, 4, doc="IPA, bits 51:12", always=True)


class ParEl1(Register):
    """Result of an address translation that failed (F = 1)."""

    S = Field(9, doc="stage of the fault: 1 stage 2")
    PTW = Field(8, doc="a stage-2 fault of a stage-1 walk")
    FST = Field(6, 1, doc="fault status")
    F = Field(0, doc="the translation failed", always=True)


class TimerCtl(Register):
    """Control of a generic timer."""

    ISTATUS = Field(2, doc="the condition is met")
    IMASK = Field(1, doc="no interrupt")
    ENABLE = Field(0, doc="counting", always=True)


class MpidrEl1(Register):
    """Affinity of a PE."""

    Aff3 = Field(39, 32)
    RES1_31 = Field(31, doc="reserved, one")
    U = Field(30, doc="uniprocessor")
    MT = Field(24, doc="lowest level is of threads")
    Aff2 = Field(23, 16, always=True)
    Aff1 = Field(15, 8, always=True)
    Aff0 = Field(7, 0, always=True)


class Mair(Register):
    """Memory attributes by AttrIndx."""

    Attr7 = Field(63, 56, doc="memory type of AttrIndx 7")
    Attr6 = Field(55, 48, doc="memory type of AttrIndx 6")
    Attr5 = Field(47, 40, doc="memory type of AttrIndx 5")
    Attr4 = Field(39, 32, doc="memory type of AttrIndx 4")
    Attr3 = Field(31, 24, doc="memory type of AttrIndx 3")
    Attr2 = Field(23, 16, doc="memory type of AttrIndx 2")
    Attr1 = Field(15, 8, doc="memory type of AttrIndx 1")
    Attr0 = Field(7, 0, always=True, doc="memory type of AttrIndx 0")


class CptrEl2(Register):
    """Traps of floating point and SVE to EL2, as they are while HCR_EL2.E2H is clear."""

    TCPAC = Field(31, doc="CPACR_EL1")
    TAM = Field(30, doc="activity monitors")
    TTA = Field(20, doc="trace")
    RES1_13_12 = Field(13, 12, doc="reserved, ones")
    TFP = Field(10, doc="floating point and SIMD")
    RES1_9 = Field(9, doc="reserved, one")
    TZ = Field(8, doc="SVE")
    RES1_7_0 = Field(7, 0, doc="reserved, ones")


class IchHcrEl2(Register):
    """Control of a virtual CPU interface (IHI 0069, 12.4)."""

    EOIcount = Field(31, 27, doc="EOIs that found no list register")
    DVIM = Field(15, doc="virtual interrupts of the GIC itself are masked")
    TDIR = Field(14, doc="ICV_DIR traps")
    TSEI = Field(13, doc="local SErrors trap")
    TALL1 = Field(12, doc="Group 1's registers trap")
    TALL0 = Field(11, doc="Group 0's registers trap")
    TC = Field(10, doc="registers that both groups share trap")
    vSGIEOICount = Field(8, doc="deactivations of virtual SGIs do not count")
    VGrp1DIE = Field(7, doc="maintenance interrupt while Group 1 is disabled")
    VGrp1EIE = Field(6, doc="maintenance interrupt while Group 1 is enabled")
    VGrp0DIE = Field(5, doc="maintenance interrupt while Group 0 is disabled")
    VGrp0EIE = Field(4, doc="maintenance interrupt while Group 0 is enabled")
    NPIE = Field(3, doc="maintenance interrupt while no list register is pending")
    LRENPIE = Field(2, doc="maintenance interrupt while EOIcount is not 0")
    UIE = Field(1, doc="maintenance interrupt while at most one list register is in use")
    En = Field(0, always=True, doc="the virtual CPU interface is on")


class IchMisrEl2(Register):
    """Maintenance interrupts that are asserted (IHI 0069, 12.4)."""

    VGrp1D = Field(7, doc="Group 1 is disabled")
    VGrp1E = Field(6, doc="Group 1 is enabled")
    VGrp0D = Field(5, doc="Group 0 is disabled")
    VGrp0E = Field(4, doc="Group 0 is enabled")
    NP = Field(3, doc="no list register is pending")
    LRENP = Field(2, doc="EOIcount is not 0")
    U = Field(1, doc="at most one list register is in use")
    EOI = Field(0, doc="a list register that asks for it has ended")


class IchVmcrEl2(Register):
    """A virtual CPU interface's masks and enables (IHI 0069, 12.4)."""

    VPMR = Field(31, 24, always=True, doc="ICV_PMR's priority mask")
    VBPR0 = Field(23, 21, doc="binary point of Group 0")
    VBPR1 = Field(20, 18, doc="binary point of Group 1")
    VEOIM = Field(9, doc="EOIR drops the priority and does not deactivate")
    VCBPR = Field(4, doc="one binary point for both groups")
    VFIQEn = Field(3, doc="Group 0 comes as virtual FIQs")
    VAckCtl = Field(2, doc="IAR of Group 0 acknowledges Group 1 too")
    VENG1 = Field(1, always=True, doc="Group 1 is enabled")
    VENG0 = Field(0, doc="Group 0 is enabled")


class LrState(IntEnum):
    INVALID = 0
    PENDING = 1
    ACTIVE = 2
    PENDING_ACTIVE = 3


class IchLrEl2(Register):
    """A list register (IHI 0069, 12.4)."""

    State = Field(63, 62, names=LrState, always=True, doc="of the interrupt")
    HW = Field(61, doc="a physical interrupt stands behind it")
    Group = Field(60, doc="1: Group 1, a virtual IRQ")
    Priority = Field(55, 48, doc="the lower, the more urgent")
    pINTID = Field(44, 32, doc="physical INTID with HW, else bit 41 asks for a maintenance interrupt at its EOI")
    vINTID = Field(31, 0, always=True, doc="virtual INTID")


_ALL: tuple[tuple[type[Register], tuple[str, ...]], ...] = (
    (SctlrEl1, ("SCTLR_EL1", "SCTLR_EL12")),
    (SctlrEl2, ("SCTLR_EL2",)),
    (TcrEl1, ("TCR_EL1", "TCR_EL12")),
    (TcrEl2, ("TCR_EL2",)),
    (VtcrEl2, ("VTCR_EL2",)),
    (Ttbr, ("TTBR0_EL1", "TTBR1_EL1", "TTBR0_EL2", "TTBR1_EL2", "TTBR0_EL12", "TTBR1_EL12", "TTBR0_EL3")),
    (VttbrEl2, ("VTTBR_EL2",)),
    (HcrEl2, ("HCR_EL2",)),
    (Pstate, ("SPSR_EL1", "SPSR_EL2", "SPSR_EL3", "SPSR_EL12", "PSTATE", "SPSR")),
    (CpacrEl1, ("CPACR_EL1", "CPACR_EL12")),
    (ScrEl3, ("SCR_EL3",)),
    (GpccrEl3, ("GPCCR_EL3",)),
    (GptbrEl3, ("GPTBR_EL3",)),
    (MfarEl3, ("MFAR_EL3",)),
    (HpfarEl2, ("HPFAR_EL2",)),
    (ParEl1, ("PAR_EL1",)),
    (TimerCtl, ("CNTV_CTL_EL0", "CNTP_CTL_EL0", "CNTHP_CTL_EL2", "CNTHV_CTL_EL2")),
    (MpidrEl1, ("MPIDR_EL1", "VMPIDR_EL2")),
    (Mair, ("MAIR_EL1", "MAIR_EL12", "MAIR_EL2")),
    (CptrEl2, ("CPTR_EL2",)),
    (IchHcrEl2, ("ICH_HCR_EL2",)),
    (IchMisrEl2, ("ICH_MISR_EL2",)),
    (IchVmcrEl2, ("ICH_VMCR_EL2",)),
    (IchLrEl2, tuple(f"ICH_LR{n}_EL2" for n in range(16))),
)


def named(name: str) -> type[Register] | None:
    """The fields of a system register by its architectural name, in either case; None when they are not here."""
    upper = name.upper()
    return next((fields for fields, names in _ALL if upper in names), None)


def names() -> list[str]:
    """Every name that `named` knows."""
    return [name for _, some in _ALL for name in some]
