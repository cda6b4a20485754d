# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls that a realm makes, and REC_ENTER: RSI (rmm-abi.md §1.3, §4) and PSCI (§8)."""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call

REC_ENTER = Call(0xC400015C, "RMI_REC_ENTER", (("rec", t.REC), ("run_ptr", t.NS_PA)))


def _words(prefix: str, count: int) -> tuple[tuple[str, t.Type], ...]:
    return tuple((f"{prefix}{i}", t.U64) for i in range(count))


RSI = {
    call.fid: call
    for call in (
        Call(
            0xC4000190,
            "RSI_VERSION",
            (("requested", t.REVISION),),
            (("lower", t.REVISION), ("higher", t.REVISION)),
        ),
        Call(0xC4000191, "RSI_FEATURES", (("index", t.INDEX),), (("value", t.U64),)),
        Call(0xC4000192, "RSI_MEASUREMENT_READ", (("index", t.INDEX),), _words("value", 8)),
        Call(0xC4000193, "RSI_MEASUREMENT_EXTEND", (("index", t.INDEX), ("size", t.SIZE), *_words("value", 8))),
        Call(0xC4000194, "RSI_ATTESTATION_TOKEN_INIT", _words("challenge", 8), (("max_size", t.SIZE),)),
        Call(
            0xC4000195,
            "RSI_ATTESTATION_TOKEN_CONTINUE",
            (("addr", t.IPA), ("offset", t.SIZE), ("size", t.SIZE)),
            (("len", t.SIZE),),
        ),
        Call(0xC4000196, "RSI_REALM_CONFIG", (("addr", t.IPA),)),
        Call(
            0xC4000197,
            "RSI_IPA_STATE_SET",
            (("base", t.IPA), ("top", t.IPA), ("ripas", t.RIPAS), ("flags", t.RIPAS_FLAGS)),
            (("new_base", t.IPA), ("response", t.RESPONSE)),
        ),
        Call(
            0xC4000198,
            "RSI_IPA_STATE_GET",
            (("base", t.IPA), ("top", t.IPA)),
            (("run_top", t.IPA), ("ripas", t.RIPAS)),
        ),
        Call(0xC4000199, "RSI_HOST_CALL", (("addr", t.IPA),)),
    )
}
_CPU_ON = (("target", t.MPIDR), ("entry", t.IPA), ("context", t.U64))
_AFFINITY = (("target", t.MPIDR), ("level", t.INDEX))
_SUSPEND = (("state", t.U64), ("entry", t.IPA), ("context", t.U64))
PSCI = {
    call.fid: call
    for call in (
        Call(0x84000000, "PSCI_VERSION"),
        Call(0x84000001, "PSCI_CPU_SUSPEND32", _SUSPEND),
        Call(0xC4000001, "PSCI_CPU_SUSPEND", _SUSPEND),
        Call(0x84000002, "PSCI_CPU_OFF"),
        Call(0x84000003, "PSCI_CPU_ON32", _CPU_ON),
        Call(0xC4000003, "PSCI_CPU_ON", _CPU_ON),
        Call(0x84000004, "PSCI_AFFINITY_INFO32", _AFFINITY),
        Call(0xC4000004, "PSCI_AFFINITY_INFO", _AFFINITY),
        Call(0x84000008, "PSCI_SYSTEM_OFF"),
        Call(0x84000009, "PSCI_SYSTEM_RESET"),
        Call(0x8400000A, "PSCI_FEATURES", (("fid", t.FID),)),
        Call(0x80000000, "SMCCC_VERSION"),
        Call(0x80000001, "SMCCC_ARCH_FEATURES", (("fid", t.FID),)),
    )
}
