# SPDX-License-Identifier: GPL-2.0-or-later
"""Every FF-A 1.1 call, declared once (DEN0077A chapters 12 to 15): ids, inputs, outputs, callers, failures in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from rmm.abi.call import Call, Condition, Value
from rmm.abi.types import FID, Type
from rmm.abi.types import U64 as WORD
from rmm.abi.values import Values

VERSION_1_0, VERSION_1_1 = 0x10000, 0x10001
FIRST, LAST = 0x60, 0xFF  # function numbers of FF-A within the standard service ranges (SMCCC 1.2)
NIL_UUID = bytes(16)

NORMAL, SECURE = "normal", "secure"
BOTH = (NORMAL, SECURE)

HYPERVISOR_ID = 0x0000  # the Normal world's physical endpoint (chapter 6)
SPMC_ID = 0x8000
PARTITION_ID = 0x8001
SECURE_ID_BIT = 0x8000


class FfaStatus(Values):
    """W2 of FFA_ERROR, as a signed number (§12.1); W0 of a failed FFA_VERSION."""

    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    NO_MEMORY = -3
    BUSY = -4
    INTERRUPTED = -5
    DENIED = -6
    RETRY = -7
    ABORTED = -8
    NO_DATA = -9


class InfoFlags(Values):
    """W5 of FFA_PARTITION_INFO_GET (§13.8)."""

    DESCRIPTORS = 0
    COUNT = 1


class Properties(Values):
    """Properties of a partition information descriptor (chapter 6)."""

    RECEIVES_DIRECT = 1 << 0
    SENDS_DIRECT = 1 << 1
    INDIRECT = 1 << 2
    NOTIFICATIONS = 1 << 3
    AARCH64 = 1 << 8


ENDPOINTS = Type("sender [31:16], receiver [15:0]", "hex", role="endpoints")
VCPU = Type("endpoint [31:16], vCPU [15:0]", "hex", role="vcpu")
ADDRESS = Type("PA", "address")
VERSION_TYPE = Type("version", "revision")
NUMBER = Type("number", "number")
INFO = Type("flags", "enum", values=InfoFlags)
STATUS = Type("FF-A status", "enum", values=FfaStatus, role="status")


class FfaCall(Call):
    """An FF-A interface.

    outputs: X2 upwards of FFA_SUCCESS.  callers: worlds that may invoke it at their boundary to EL3.
    receivers: worlds in which it completes another call.  section: of DEN0077A.
    """

    __slots__ = ("callers", "receivers")

    def __init__(
        self,
        fid: int,
        name: str,
        *,
        section: str,
        doc: str,
        fid32: int | None = None,
        inputs: Sequence[Value] = (),
        outputs: Sequence[Value] = (),
        conditions: Sequence[Condition] = (),
        callers: Sequence[str] = (),
        receivers: Sequence[str] = (),
        since: str = "1.0",
        supported: bool = True,
    ) -> None:
        super().__init__(
            fid,
            name,
            inputs=inputs,
            outputs=outputs,
            conditions=conditions,
            since=since,
            section=section,
            doc=doc,
            fid32=fid32,
            supported=supported,
        )
        self.callers = tuple(callers)
        self.receivers = tuple(receivers)

    @property
    def fids(self) -> tuple[int, ...]:
        """The SMC64 id, where there is one, and the SMC32 id."""
        return (self.fid,) if self.fid32 is None else (self.fid, self.fid32)


_NOT_SUPPORTED = FfaStatus.NOT_SUPPORTED
_INVALID = FfaStatus.INVALID_PARAMETERS
_BUSY = FfaStatus.BUSY
_DENIED = FfaStatus.DENIED
_ABORTED = FfaStatus.ABORTED

ERROR = FfaCall(
    0x84000060,
    "FFA_ERROR",
    inputs=(Value("target", VCPU), Value("status", STATUS)),
    conditions=(Condition("model", _DENIED, "the partition neither initialises nor serves a direct request"),),
    callers=(SECURE,),
    receivers=BOTH,
    section="§12.1",
    doc="Completes a call with an error. By the partition: its initialisation, or a direct request, has failed.",
)
SUCCESS = FfaCall(
    0xC4000061,
    "FFA_SUCCESS",
    fid32=0x84000061,
    inputs=(Value("target", VCPU), Value("results", WORD, 6)),
    receivers=BOTH,
    section="§12.2",
    doc="Completes a call.",
)
INTERRUPT = FfaCall(
    0x84000062,
    "FFA_INTERRUPT",
    inputs=(Value("target", VCPU), Value("interrupt", NUMBER)),
    receivers=BOTH,
    section="§12.3",
    doc="To the Normal world: the partition was preempted, FFA_RUN resumes it. To the partition: an interrupt is its.",
)
VERSION = FfaCall(
    0x84000063,
    "FFA_VERSION",
    inputs=(Value("version", VERSION_TYPE),),
    outputs=(Value("version", VERSION_TYPE),),
    conditions=(
        Condition("version_bit31", _NOT_SUPPORTED, "bit 31 is set"),
        Condition("version_major", _NOT_SUPPORTED, "the major version is not 1"),
        Condition("version_settled", _NOT_SUPPORTED, "another version is in use: the caller has made other calls"),
    ),
    callers=BOTH,
    section="§13.2",
    doc="Agrees on a version; W0 is the callee's, 1.1. A caller of 1.0 gets descriptors of 1.0.",
)
FEATURES = FfaCall(
    0x84000064,
    "FFA_FEATURES",
    inputs=(Value("feature", FID), Value("properties", WORD)),
    outputs=(Value("properties", WORD), Value("properties2", WORD)),
    conditions=(
        Condition("feature_supp", _NOT_SUPPORTED, "no such function or feature at this instance"),
        Condition("properties_zero", _NOT_SUPPORTED, "input properties other than 0"),
    ),
    callers=BOTH,
    section="§13.3",
    doc="Whether a function is there. Feature ids (bit 31 clear) are not supported.",
)
RX_RELEASE = FfaCall(
    0x84000065,
    "FFA_RX_RELEASE",
    inputs=(Value("vm", NUMBER),),
    conditions=(
        Condition("vm_zero", _INVALID, "on behalf of a VM: it has no buffers here"),
        Condition("rx_owned", _DENIED, "the caller does not own its RX buffer"),
    ),
    callers=BOTH,
    section="§13.5",
    doc="Gives the RX buffer back to the SPMC.",
)
RXTX_MAP = FfaCall(
    0xC4000066,
    "FFA_RXTX_MAP",
    fid32=0x84000066,
    inputs=(Value("tx", ADDRESS), Value("rx", ADDRESS), Value("pages", NUMBER)),
    conditions=(
        Condition("pages_valid", _INVALID, "no page, or bits beyond [5:0]"),
        Condition("align", _INVALID, "an address is not 4 KiB aligned"),
        Condition("overlap", _INVALID, "the buffers overlap"),
        Condition("access", _INVALID, "a page is not RAM of the caller's world"),
        Condition("mapped", _DENIED, "the caller has a pair already"),
    ),
    callers=BOTH,
    section="§13.6",
    doc="Registers the caller's RX and TX buffers: of the Normal world Non-secure, of the partition Secure memory.",
)
RXTX_UNMAP = FfaCall(
    0x84000067,
    "FFA_RXTX_UNMAP",
    inputs=(Value("vm", NUMBER),),
    conditions=(
        Condition("vm_zero", _INVALID, "on behalf of a VM: it has no buffers here"),
        Condition("mapped", _INVALID, "the caller has no pair"),
    ),
    callers=BOTH,
    section="§13.7",
    doc="Forgets the caller's buffers.",
)
PARTITION_INFO_GET = FfaCall(
    0x84000068,
    "FFA_PARTITION_INFO_GET",
    inputs=(Value("uuid", Type("UUID, 4 bytes a register", "uuid", role="uuid"), 4), Value("flags", INFO)),
    outputs=(Value("count", NUMBER), Value("size", NUMBER)),
    conditions=(
        Condition("flags_valid", _INVALID, "flags other than bit 0"),
        Condition("uuid_known", _INVALID, "neither the nil UUID nor the partition's"),
        Condition("rx_mapped", _BUSY, "descriptors are asked for, and the caller has no RX buffer"),
        Condition("rx_free", _BUSY, "descriptors are asked for, and the caller still owns its RX buffer"),
        Condition("rx_access", _DENIED, "the RX buffer is not memory of the caller's world any more"),
    ),
    callers=BOTH,
    section="§13.8",
    doc="Partitions with a UUID, all for the nil UUID: their number, and descriptors in the RX buffer unless bit 0 of "
    "the flags is set. The caller then owns the RX buffer.",
)
ID_GET = FfaCall(
    0x84000069,
    "FFA_ID_GET",
    outputs=(Value("id", Type("endpoint", "hex")),),
    callers=BOTH,
    section="§13.9",
    doc="The caller's endpoint id.",
)
MSG_WAIT = FfaCall(
    0x8400006B,
    "FFA_MSG_WAIT",
    inputs=(Value("target", VCPU),),
    conditions=(Condition("model", _DENIED, "a direct request is being served"),),
    callers=(SECURE,),
    receivers=(NORMAL,),
    section="§14.1",
    doc="The partition has initialised, or is done with what it was run for, and waits; gives its RX buffer back.",
)
YIELD = FfaCall(
    0x8400006C,
    "FFA_YIELD",
    inputs=(Value("target", VCPU),),
    conditions=(Condition("model", _DENIED, "the partition initialises, or handles an interrupt"),),
    callers=(SECURE,),
    receivers=(NORMAL,),
    section="§14.2",
    doc="Leaves the PE to the Normal world until FFA_RUN.",
)
RUN = FfaCall(
    0x8400006D,
    "FFA_RUN",
    inputs=(Value("target", VCPU),),
    conditions=(
        Condition("target_id", _INVALID, "the target is not the partition, or the caller is"),
        Condition("target_vcpu", _INVALID, "a vCPU other than 0"),
        Condition("target_aborted", _ABORTED, "the partition failed to initialise"),
        Condition("target_running", _BUSY, "the partition runs, on another PE"),
    ),
    callers=BOTH,
    receivers=(SECURE,),
    section="§14.3",
    doc="Gives the PE to the partition: after FFA_YIELD or a preemption it goes on, from FFA_MSG_WAIT it starts.",
)
_DIRECT = (Value("endpoints", ENDPOINTS), Value("flags", WORD), Value("payload", WORD, 5))
MSG_SEND_DIRECT_REQ = FfaCall(
    0xC400006F,
    "FFA_MSG_SEND_DIRECT_REQ",
    fid32=0x8400006F,
    inputs=_DIRECT,
    conditions=(
        Condition("flags_zero", _INVALID, "a framework message, or reserved flags"),
        Condition("sender", _INVALID, "the sender is not of the caller's world"),
        Condition("receiver", _INVALID, "the receiver is not the partition, or the caller is"),
        Condition("receiver_aborted", _ABORTED, "the partition failed to initialise"),
        Condition("receiver_waits", _BUSY, "the partition does not wait for a message"),
    ),
    callers=BOTH,
    receivers=(SECURE,),
    section="§15.2",
    doc="Runs the partition with a message in X3..X7 until it answers, yields or is preempted.",
)
MSG_SEND_DIRECT_RESP = FfaCall(
    0xC4000070,
    "FFA_MSG_SEND_DIRECT_RESP",
    fid32=0x84000070,
    inputs=_DIRECT,
    conditions=(
        Condition("flags_zero", _INVALID, "a framework message, or reserved flags"),
        Condition("sender", _INVALID, "the sender is not the partition"),
        Condition("model", _DENIED, "no direct request is being served"),
        Condition("receiver", _DENIED, "the receiver is not who made the request"),
    ),
    callers=(SECURE,),
    receivers=(NORMAL,),
    section="§15.3",
    doc="Answers a direct request, and waits.",
)
SPM_ID_GET = FfaCall(
    0x84000085,
    "FFA_SPM_ID_GET",
    outputs=(Value("id", Type("endpoint", "hex")),),
    callers=BOTH,
    since="1.1",
    section="§13.10",
    doc="The SPMC's id.",
)


def _later(fid: int, name: str, *, wide: bool = False, since: str = "1.0") -> FfaCall:
    return FfaCall(
        fid | 0x40000000 if wide else fid,
        name,
        fid32=fid if wide else None,
        section="",
        doc="",
        since=since,
        supported=False,
    )


CALLS = (
    ERROR,
    SUCCESS,
    INTERRUPT,
    VERSION,
    FEATURES,
    RX_RELEASE,
    RXTX_MAP,
    RXTX_UNMAP,
    PARTITION_INFO_GET,
    ID_GET,
    SPM_ID_GET,
    MSG_WAIT,
    YIELD,
    RUN,
    MSG_SEND_DIRECT_REQ,
    MSG_SEND_DIRECT_RESP,
    _later(0x8400006A, "FFA_MSG_POLL"),
    _later(0x8400006E, "FFA_MSG_SEND"),
    _later(0x84000071, "FFA_MEM_DONATE", wide=True),
    _later(0x84000072, "FFA_MEM_LEND", wide=True),
    _later(0x84000073, "FFA_MEM_SHARE", wide=True),
    _later(0x84000074, "FFA_MEM_RETRIEVE_REQ", wide=True),
    _later(0x84000075, "FFA_MEM_RETRIEVE_RESP"),
    _later(0x84000076, "FFA_MEM_RELINQUISH"),
    _later(0x84000077, "FFA_MEM_RECLAIM"),
    _later(0x8400007A, "FFA_MEM_FRAG_RX"),
    _later(0x8400007B, "FFA_MEM_FRAG_TX"),
    _later(0x8400007C, "FFA_NORMAL_WORLD_RESUME"),
    _later(0x8400007D, "FFA_NOTIFICATION_BITMAP_CREATE", since="1.1"),
    _later(0x8400007E, "FFA_NOTIFICATION_BITMAP_DESTROY", since="1.1"),
    _later(0x8400007F, "FFA_NOTIFICATION_BIND", since="1.1"),
    _later(0x84000080, "FFA_NOTIFICATION_UNBIND", since="1.1"),
    _later(0x84000081, "FFA_NOTIFICATION_SET", since="1.1"),
    _later(0x84000082, "FFA_NOTIFICATION_GET", since="1.1"),
    _later(0x84000083, "FFA_NOTIFICATION_INFO_GET", wide=True, since="1.1"),
    _later(0x84000084, "FFA_RX_ACQUIRE", since="1.1"),
    _later(0x84000086, "FFA_MSG_SEND2", since="1.1"),
    _later(0x84000087, "FFA_SECONDARY_EP_REGISTER", wide=True, since="1.1"),
    _later(0x84000088, "FFA_MEM_PERM_GET", wide=True, since="1.1"),
    _later(0x84000089, "FFA_MEM_PERM_SET", wide=True, since="1.1"),
)


@cache
def calls_by_fid() -> Mapping[int, FfaCall]:
    """Every declared FF-A call by each of its function ids."""
    return {fid: call for call in CALLS for fid in call.fids}


def is_ffa(fid: int) -> bool:
    """Whether a function id (W0, without the SVE hint) lies in the range of FF-A."""
    return fid & 0xBFFF_FF00 == 0x8400_0000 and fid & 0xFF >= FIRST
