# SPDX-License-Identifier: GPL-2.0-or-later
"""What the RMM needs from the machine around it: memory, the Root world, and a PE to run a REC on.

The RMM imports no emulator.  A machine (or a test) hands it objects of these shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Protocol


class HostFault(Exception):
    """A Normal-world address that the granule protection check refuses (FSC 0x28) or that backs no memory."""

    def __init__(self, pa: int) -> None:
        super().__init__(f"granule protection fault at PA {pa:#x}")
        self.pa = pa


class Memory(Protocol):
    """Physical memory as R-EL2 reaches it.

    `read`/`write`/`zero`/`read64`/`write64` use the Realm PAS and are only called on granules that the RMM
    owns.  The `host_*` calls use the Non-secure PAS and raise `HostFault`.
    """

    def read(self, pa: int, size: int) -> bytes: ...
    def write(self, pa: int, data: bytes) -> None: ...
    def zero(self, pa: int, size: int) -> None: ...
    def read64(self, pa: int) -> int: ...
    def write64(self, pa: int, value: int) -> None: ...
    def host_read(self, pa: int, size: int) -> bytes: ...
    def host_write(self, pa: int, data: bytes) -> None: ...


class ExitKind(IntEnum):
    """Why a REC stopped running, as the PE reports it to R-EL2."""

    SMC = 0
    DATA_ABORT = 1  # EC 0x24
    INSTRUCTION_ABORT = 2  # EC 0x20
    HVC = 3  # EC 0x16
    SYSREG = 4  # EC 0x18, an access trapped to EL2
    WFX = 5  # EC 0x01, only under TRAP_WFI / TRAP_WFE
    IRQ = 6
    FIQ = 7
    SERROR = 8
    UNDEF = 9  # trapped SVE/SME access (EC 0x19/0x1D): the RMM injects an Unknown exception


class _Record:
    """Equality and text of a record, by its slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        def text(value: Any) -> str:
            return f"{value:#x}" if type(value) is int else repr(value)

        fields = ", ".join(f"{name}={text(getattr(self, name))}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class RecExit(_Record):
    """One exit of a running REC to R-EL2, registers as the architecture leaves them.

    pc: for SMC the instruction AFTER the SMC (already advanced), for everything else the instruction itself.
    el: exception level the REC was at (0 or 1).
    esr, far, hpfar: ESR_EL2, FAR_EL2, HPFAR_EL2 in full (unmasked).
    value: the value a store (data abort with ISV) or a trapped MSR would have written, 0 for XZR.
    x: at an SMC X0 and as many more as any call of a realm has inputs (`rmm.rmm.REALM_WORDS`), else empty.
    """

    __slots__ = ("el", "esr", "far", "hpfar", "kind", "pc", "value", "x")

    def __init__(
        self,
        kind: ExitKind,
        pc: int,
        el: int = 1,
        esr: int = 0,
        far: int = 0,
        hpfar: int = 0,
        value: int = 0,
        x: Sequence[int] = (),
    ) -> None:
        self.kind = kind
        self.pc = pc
        self.el = el
        self.esr = esr
        self.far = far
        self.hpfar = hpfar
        self.value = value
        self.x = x


class Timers(_Record):
    """CNTx_CTL_EL0 (with ISTATUS) and CNTx_CVAL_EL0 of a REC."""

    __slots__ = ("cntp_ctl", "cntp_cval", "cntv_ctl", "cntv_cval")

    def __init__(self, cntp_ctl: int = 0, cntp_cval: int = 0, cntv_ctl: int = 0, cntv_cval: int = 0) -> None:
        self.cntp_ctl = cntp_ctl
        self.cntp_cval = cntp_cval
        self.cntv_ctl = cntv_ctl
        self.cntv_cval = cntv_cval


class Gic(_Record):
    """The virtual CPU interface of a REC as ICH_* registers hold it; 16 list registers."""

    __slots__ = ("hcr", "lrs", "misr", "vmcr")

    def __init__(self, hcr: int = 0, lrs: tuple[int, ...] = (0,) * 16, misr: int = 0, vmcr: int = 0) -> None:
        self.hcr = hcr
        self.lrs = lrs
        self.misr = misr
        self.vmcr = vmcr


class Stage2(_Record):
    """What a PE needs to walk a realm's RTTs: VTTBR_EL2/VTCR_EL2 in the architecture's terms.

    ipa_width: bits.  start_level: -1..3.  rtt_base: PA of the first start-level RTT.  Constant once made.
    """

    __slots__ = ("ipa_width", "lpa2", "rtt_base", "start_level", "vmid")

    def __init__(self, vmid: int, ipa_width: int, start_level: int, rtt_base: int, lpa2: bool = False) -> None:
        self.vmid = vmid
        self.ipa_width = ipa_width
        self.start_level = start_level
        self.rtt_base = rtt_base
        self.lpa2 = lpa2


class RecContext(Protocol):
    """One REC's PE state, at rest between runs, and the means to run it."""

    pc: int

    def run(self, *, trap_wfi: bool, trap_wfe: bool) -> RecExit | None:
        """Until the REC leaves for R-EL2; None when the PE's turn is over and the REC goes on later."""
        ...

    def get_x(self, first: int, count: int) -> Sequence[int]:
        """X[first] .. X[first+count-1]."""
        ...

    def set_x(self, first: int, values: Sequence[int]) -> None: ...
    def inject(self, esr: int, far: int | None) -> None:
        """Take a synchronous exception to EL1 (§6.3): ESR_EL1 := esr, FAR_EL1 := far unless None, ELR/SPSR from
        the present PC and PSTATE, PC := VBAR_EL1 + offset."""
        ...

    def cpu_on(self, pc: int, context_id: int, big_endian: bool) -> None:
        """Reset for PSCI CPU_ON (§8.3): PSTATE 0x3C5, SCTLR_EL1 reset value, X0 and PC."""
        ...

    def big_endian(self) -> bool:
        """SCTLR_EL1.EE"""
        ...

    def timers(self) -> Timers: ...
    def timer_asserted(self) -> tuple[bool, bool]:
        """(CNTV, CNTP): ENABLE & ISTATUS & !IMASK."""
        ...

    def gic(self) -> Gic: ...
    def load_gic(self, hcr: int, lrs: Sequence[int]) -> None: ...
    def pmu_overflow(self) -> bool: ...
    def irq_pending(self) -> bool:
        """A physical interrupt is pending (long operations poll it, §4.6 #5)."""
        ...


class RecInit(_Record):
    """Initial state of a REC (§7.6).

    index: §11.8.  mpidr: MPIDR_EL1 form, bit 31 set.  gprs: X0..X7.  sve_vq: vector length / 128 - 1, None
    without SVE.  pmu_counters: None without PMU.  Constant once made.
    """

    __slots__ = ("gprs", "index", "mpidr", "pc", "pmu_counters", "rd_pa", "rec_pa", "stage2", "sve_vq")

    def __init__(
        self,
        rec_pa: int,
        index: int,
        mpidr: int,
        pc: int,
        gprs: tuple[int, ...],
        stage2: Stage2,
        sve_vq: int | None,
        pmu_counters: int | None,
        rd_pa: int,
    ) -> None:
        self.rec_pa = rec_pa
        self.index = index
        self.mpidr = mpidr
        self.pc = pc
        self.gprs = gprs
        self.stage2 = stage2
        self.sve_vq = sve_vq
        self.pmu_counters = pmu_counters
        self.rd_pa = rd_pa


class Platform(Protocol):
    """The Root world (RMM-EL3 interface, §13.1) and the PEs."""

    def delegate(self, pa: int) -> int:
        """RMM_GTSI_DELEGATE; an EL3 status: 0, -2 BAD_ADDR, -3 BAD_PAS."""
        ...

    def undelegate(self, pa: int) -> int: ...
    def invalidate_ipa(self, stage2: Stage2, ipa: int, size: int) -> None:
        """TLBI IPAS2 for a range; also used (size = the whole IPA space) before a VMID is reused."""
        ...

    def create_rec(self, init: RecInit) -> RecContext: ...
    def destroy_rec(self, rec: RecContext) -> None: ...


class Attester(Protocol):
    """What makes attestation tokens (§10).  max_size: bytes of the largest token that it hands out."""

    max_size: int

    def ready(self) -> bool:
        """Key and platform token are there; they are fetched from the Root world when they are first asked for."""
        ...

    def claims(self, challenge: bytes, rpv: bytes, algorithm: int, rim: bytes, rems: Sequence[bytes]) -> bytes:
        """The realm token's payload.  challenge, rpv: 64 bytes.  algorithm: RmiHashAlgorithm of rim and the 4 rems."""
        ...

    def sign(self, claims: bytes) -> bytes | None:
        """The realm token; None when it cannot be signed."""
        ...

    def token(self, realm: bytes) -> bytes | None:
        """The CCA token around a realm token; None when it is larger than max_size."""
        ...


class Signer(Protocol):
    """ES384 on raw P-384 scalars of 48 bytes."""

    def public(self, key: bytes) -> tuple[bytes, bytes]:
        """(x, y), 48 bytes each; ValueError for what is no key."""
        ...

    def sign(self, key: bytes, message: bytes) -> bytes:
        """r and s, 48 bytes each."""
        ...


class AttestationRoot(Protocol):
    """RMM_ATTEST_* of the RMM-EL3 interface (§13.1).  shared_buffer: PA of the 4 KiB that both worlds reach."""

    shared_buffer: int

    def get_realm_key(self, buf: int, size: int, curve: int) -> tuple[int, int]:
        """(EL3 status, bytes of the key now at `buf`)."""
        ...

    def get_plat_token(self, buf: int, size: int, challenge_size: int) -> tuple[int, int, int]:
        """(EL3 status, bytes of the token now at `buf`, bytes still to come)."""
        ...
