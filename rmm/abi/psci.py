# SPDX-License-Identifier: GPL-2.0-or-later
"""PSCI 1.1 and SMCCC_VERSION as a realm may call them (rmm-abi.md §8, §1.3)."""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call, Condition, Value
from rmm.abi.values import PsciStatus

VERSION_1_1 = 0x10001
SMCCC_1_2 = 0x10002
FIRST32, LAST32 = 0x84000000, 0x84000014
FIRST64, LAST64 = 0xC4000000, 0xC4000014

VERSION = Call(
    0x84000000,
    "PSCI_VERSION",
    outputs=(Value("version", t.REVISION),),
    status=False,
    section="§8",
    doc="The PSCI version, 1.1.",
)
CPU_SUSPEND = Call(
    0xC4000001,
    "PSCI_CPU_SUSPEND",
    fid32=0x84000001,
    inputs=(Value("power_state", t.U64), Value("entry_point", t.IPA), Value("context_id", t.U64)),
    section="§8",
    doc="Tells the host that this REC has nothing to do; entry point and context stay hidden.",
)
CPU_OFF = Call(
    0x84000002,
    "PSCI_CPU_OFF",
    footprint=("rec.runnable",),
    section="§8",
    doc="Turns this REC off until another's CPU_ON.",
)
CPU_ON = Call(
    0xC4000003,
    "PSCI_CPU_ON",
    fid32=0x84000003,
    inputs=(Value("target", t.MPIDR), Value("entry_point", t.IPA), Value("context_id", t.U64)),
    conditions=(
        Condition("entry_point_bound", PsciStatus.INVALID_ADDRESS, "entry_point is not in the protected half"),
        Condition("target_bound", PsciStatus.INVALID_PARAMETERS, "the realm has no such REC"),
        Condition("target_self", PsciStatus.ALREADY_ON, "the target is the caller"),
    ),
    footprint=("rec.psci_pending",),
    section="§8",
    doc="Asks for another REC to run; the host answers with RMI_PSCI_COMPLETE.",
)
AFFINITY_INFO = Call(
    0xC4000004,
    "PSCI_AFFINITY_INFO",
    fid32=0x84000004,
    inputs=(Value("target", t.MPIDR), Value("lowest_level", t.INDEX)),
    outputs=(Value("state", t.AFFINITY),),
    conditions=(
        Condition("level_valid", PsciStatus.INVALID_PARAMETERS, "the lowest affinity level is not 0"),
        Condition("target_bound", PsciStatus.INVALID_PARAMETERS, "the realm has no such REC"),
    ),
    footprint=("rec.psci_pending",),
    status=False,
    section="§8",
    doc="Whether a REC is on; the host is asked with RMI_PSCI_COMPLETE unless it is the caller.",
)
SYSTEM_OFF = Call(0x84000008, "PSCI_SYSTEM_OFF", footprint=("realm.state",), section="§8", doc="Ends the realm.")
SYSTEM_RESET = Call(0x84000009, "PSCI_SYSTEM_RESET", footprint=("realm.state",), section="§8", doc="Ends the realm.")
FEATURES = Call(
    0x8400000A,
    "PSCI_FEATURES",
    inputs=(Value("fid", t.FID),),
    conditions=(Condition("fid_supp", PsciStatus.NOT_SUPPORTED, "the call is not supported (PSCI_VERSION included)"),),
    section="§8",
    doc="Whether a call is supported.",
)
SMCCC_VERSION = Call(
    0x80000000,
    "SMCCC_VERSION",
    outputs=(Value("version", t.REVISION),),
    status=False,
    section="§1.3",
    doc="The SMC calling convention's version, 1.2.",
)

CALLS = (VERSION, CPU_SUSPEND, CPU_OFF, CPU_ON, AFFINITY_INFO, SYSTEM_OFF, SYSTEM_RESET, FEATURES)
# PSCI_FEATURES answers SUCCESS for these; that PSCI_VERSION is absent is the reference's way (§8).
FEATURES_SUPPORTED = frozenset(
    fid
    for call in (CPU_SUSPEND, CPU_OFF, CPU_ON, AFFINITY_INFO, SYSTEM_OFF, SYSTEM_RESET, FEATURES, SMCCC_VERSION)
    for fid in (call.fid, call.fid32)
    if fid is not None
)
