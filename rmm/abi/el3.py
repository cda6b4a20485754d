# SPDX-License-Identifier: GPL-2.0-or-later
"""The RMM-EL3 interface: what the RMM asks of the Root world's monitor (rmm-abi.md §13.1)."""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call, Condition, Value
from rmm.abi.values import El3Status

FIRST, LAST = 0xC40001B0, 0xC40001CF

_SECTION = "§13.1"
_BAD_ADDR = El3Status.BAD_ADDR
_BAD_PAS = El3Status.BAD_PAS
_GTSI_ADDR = (
    Condition("addr_align", _BAD_ADDR, "addr is not 4 KiB aligned"),
    Condition("addr_bound", _BAD_ADDR, "addr is out of range, or no level 1 GPT describes it"),
)

_INVAL = El3Status.INVAL
_BUFFER = (
    Condition("buf_bound", _BAD_ADDR, "buf is not in the shared buffer"),
    Condition("size_bound", _INVAL, "size is 0, or buf + size is beyond the shared buffer"),
)

GTSI_DELEGATE = Call(
    0xC40001B0,
    "RMM_GTSI_DELEGATE",
    inputs=(Value("addr", t.PA),),
    conditions=(*_GTSI_ADDR, Condition("gpi", _BAD_PAS, "the granule is not Non-secure")),
    footprint=("gpt(addr)",),
    section=_SECTION,
    doc="Non-secure to Realm.",
)
GTSI_UNDELEGATE = Call(
    0xC40001B1,
    "RMM_GTSI_UNDELEGATE",
    inputs=(Value("addr", t.PA),),
    conditions=(*_GTSI_ADDR, Condition("gpi", _BAD_PAS, "the granule is not Realm")),
    footprint=("gpt(addr)",),
    section=_SECTION,
    doc="Realm to Non-secure.",
)
ATTEST_GET_REALM_KEY = Call(
    0xC40001B2,
    "RMM_ATTEST_GET_REALM_KEY",
    inputs=(Value("buf", t.PA), Value("size", t.SIZE), Value("curve", t.INDEX, doc="0 = P-384")),
    outputs=(Value("key_size", t.SIZE),),
    conditions=(
        *_BUFFER,
        Condition("curve", _INVAL, "the curve is not P-384"),
        Condition("key_bound", _INVAL, "size is below that of the key"),
    ),
    section=_SECTION,
    doc="The realm attestation key, into the shared buffer.",
)
ATTEST_GET_PLAT_TOKEN = Call(
    0xC40001B3,
    "RMM_ATTEST_GET_PLAT_TOKEN",
    inputs=(Value("buf", t.PA), Value("size", t.SIZE), Value("challenge_size", t.SIZE)),
    outputs=(Value("len", t.SIZE), Value("remaining", t.SIZE)),
    conditions=(
        *_BUFFER,
        Condition("challenge_size", _INVAL, "challenge_size is not 0, 32, 48 or 64"),
        Condition("challenge_bound", _INVAL, "challenge_size is above size"),
        Condition("token_state", _INVAL, "challenge_size is 0, and no token is being handed out"),
    ),
    section=_SECTION,
    doc="The platform token, in parts, into the shared buffer.",
)
EL3_FEATURES = Call(
    0xC40001B4,
    "RMM_EL3_FEATURES",
    inputs=(Value("index", t.INDEX),),
    outputs=(Value("value", t.U64),),
    since="0.4",
    section=_SECTION,
    doc="Features of the interface.",
)
RESERVE_MEMORY = Call(
    0xC40001BB,
    "RMM_RESERVE_MEMORY",
    inputs=(Value("size", t.SIZE), Value("flags", t.U64)),
    outputs=(Value("addr", t.PA),),
    since="0.7",
    section=_SECTION,
    doc="Memory for the RMM.",
)
BOOT_COMPLETE = Call(
    0xC40001CF,
    "RMM_BOOT_COMPLETE",
    inputs=(Value("error", t.U64),),
    section="§13.2",
    doc="The RMM's boot has ended; never returns to that context.",
)
RMI_REQ_COMPLETE = Call(
    0xC400018F,
    "RMM_RMI_REQ_COMPLETE",
    inputs=(Value("result", t.U64, 5, doc="X0..X4 of the RMI call"),),
    section=_SECTION,
    doc="Hands a result to the host; returns with the next RMI request.",
)


def _later(fid: int, name: str, since: str, doc: str) -> Call:
    return Call(fid, name, since=since, section=_SECTION, doc=doc, supported=False)


CALLS = (
    GTSI_DELEGATE,
    GTSI_UNDELEGATE,
    ATTEST_GET_REALM_KEY,
    ATTEST_GET_PLAT_TOKEN,
    EL3_FEATURES,
    RESERVE_MEMORY,
    BOOT_COMPLETE,
    RMI_REQ_COMPLETE,
    _later(0xC40001B5, "RMM_EL3_TOKEN_SIGN", "0.4", "Signs a realm token in EL3."),
    _later(0xC40001B6, "RMM_MEC_REFRESH", "0.5", "Memory encryption contexts."),
    _later(0xC40001B7, "RMM_IDE_KEY_PROG", "0.6", "Link encryption: programs a key."),
    _later(0xC40001B8, "RMM_IDE_KEY_SET_GO", "0.6", "Link encryption: starts a key."),
    _later(0xC40001B9, "RMM_IDE_KEY_SET_STOP", "0.6", "Link encryption: stops a key."),
    _later(0xC40001BA, "RMM_IDE_KM_PULL_RESPONSE", "0.6", "Link encryption: a pending answer."),
)
