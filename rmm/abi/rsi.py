# SPDX-License-Identifier: GPL-2.0-or-later
"""The Realm Services Interface: 10 commands of a realm at EL1 (rmm-abi.md §1.3, §4)."""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call, Condition, Value
from rmm.abi.values import RsiStatus

FIRST, LAST = 0xC4000190, 0xC40001AF
REVISION = 0x10000

INPUT = RsiStatus.ERROR_INPUT
STATE = RsiStatus.ERROR_STATE
UNKNOWN = RsiStatus.ERROR_UNKNOWN
INCOMPLETE = RsiStatus.INCOMPLETE

# A protected page that the RMM must reach: EMPTY is the realm's mistake, any other gap is the host's to fill (§4).
_PAGE = (
    Condition("rtte_empty", INPUT, "the page's RIPAS is EMPTY"),
    Condition("rtte_state", None, "the page is not ASSIGNED RAM: the REC exits with a stage-2 abort, to retry"),
)

VERSION = Call(
    0xC4000190,
    "RSI_VERSION",
    inputs=(Value("req", t.REVISION),),
    outputs=(Value("lower", t.REVISION), Value("higher", t.REVISION)),
    conditions=(Condition("req_revision", INPUT, "the revision is not supported", gives=("lower", "higher")),),
    section="§1.4",
    doc="The interface revisions that the RMM supports.",
)
FEATURES = Call(
    0xC4000191,
    "RSI_FEATURES",
    inputs=(Value("index", t.INDEX),),
    outputs=(Value("value", t.U64),),
    section="§1.3",
    doc="A feature register; all are zero in 1.0.",
)
MEASUREMENT_READ = Call(
    0xC4000192,
    "RSI_MEASUREMENT_READ",
    inputs=(Value("index", t.INDEX, doc="0 RIM, 1..4 REM"),),
    outputs=(Value("value", t.U64, 8),),
    conditions=(Condition("index_bound", INPUT, "index is above 4"),),
    section="§4.3",
    doc="A measurement of the realm.",
)
MEASUREMENT_EXTEND = Call(
    0xC4000193,
    "RSI_MEASUREMENT_EXTEND",
    inputs=(Value("index", t.INDEX), Value("size", t.SIZE), Value("value", t.U64, 8)),
    conditions=(
        Condition("index_bound", INPUT, "index is 0 (the RIM) or above 4"),
        Condition("size_bound", INPUT, "size is above 64"),
    ),
    footprint=("realm.rem[index]",),
    section="§4.4",
    doc="Extends a realm-extensible measurement.",
)
ATTESTATION_TOKEN_INIT = Call(
    0xC4000194,
    "RSI_ATTESTATION_TOKEN_INIT",
    inputs=(Value("challenge", t.U64, 8),),
    outputs=(Value("max_size", t.SIZE),),
    conditions=(Condition("no_platform_key", UNKNOWN, "the Root world has given no attestation key"),),
    footprint=("rec.token",),
    section="§4.5",
    doc="Begins an attestation token over a challenge.",
)
ATTESTATION_TOKEN_CONTINUE = Call(
    0xC4000195,
    "RSI_ATTESTATION_TOKEN_CONTINUE",
    inputs=(Value("addr", t.IPA), Value("offset", t.SIZE), Value("size", t.SIZE)),
    outputs=(Value("len", t.SIZE),),
    conditions=(
        Condition("addr_align", INPUT, "addr is not 4 KiB aligned"),
        Condition("offset_bound", INPUT, "offset is not below 4096"),
        Condition("size_bound", INPUT, "offset + size is above 4096"),
        Condition("addr_bound", INPUT, "addr is not in the protected half"),
        Condition("token_state", STATE, "no token was begun by ATTESTATION_TOKEN_INIT since the last one ended"),
        Condition("token_sign", UNKNOWN, "the token could not be signed"),
        Condition("irq_pending", INCOMPLETE, "an interrupt is pending while the token is signed: the REC exits by IRQ"),
        *_PAGE,
        Condition("size_zero", INCOMPLETE, "size is 0"),
        Condition("token_size", INPUT, "the whole token is larger than the RMM's buffer"),
        Condition("token_rest", INCOMPLETE, "there is more of the token to come", gives=("len",), late=True),
    ),
    footprint=("rec.token", "the realm's page at addr"),
    section="§4.6",
    doc="Hands out the next part of the token.",
)
REALM_CONFIG = Call(
    0xC4000196,
    "RSI_REALM_CONFIG",
    inputs=(Value("addr", t.IPA),),
    conditions=(
        Condition("addr_align", INPUT, "addr is not 4 KiB aligned"),
        Condition("addr_bound", INPUT, "addr is not in the protected half"),
        *_PAGE,
    ),
    footprint=("the realm's page at addr",),
    section="§4.2",
    doc="Writes RsiRealmConfig to a page of the realm.",
)
IPA_STATE_SET = Call(
    0xC4000197,
    "RSI_IPA_STATE_SET",
    inputs=(Value("base", t.IPA), Value("top", t.IPA), Value("ripas", t.RIPAS), Value("flags", t.RIPAS_FLAGS)),
    outputs=(Value("new_base", t.IPA), Value("response", t.RESPONSE)),
    conditions=(
        Condition("ripas_valid", INPUT, "ripas is neither EMPTY nor RAM"),
        Condition("base_align", INPUT, "base is not 4 KiB aligned"),
        Condition("top_align", INPUT, "top is not 4 KiB aligned"),
        Condition("top_base", INPUT, "top is not above base"),
        Condition("rgn_bound", INPUT, "the region leaves the protected half"),
    ),
    footprint=("rec.ripas",),
    section="§4.7",
    doc="Asks the host to change the RIPAS of a region; the REC exits.",
)
IPA_STATE_GET = Call(
    0xC4000198,
    "RSI_IPA_STATE_GET",
    inputs=(Value("base", t.IPA), Value("top", t.IPA)),
    outputs=(Value("out_top", t.IPA), Value("ripas", t.RIPAS)),
    conditions=(
        Condition("base_align", INPUT, "base is not 4 KiB aligned"),
        Condition("top_align", INPUT, "top is not 4 KiB aligned"),
        Condition("top_base", INPUT, "top is not above base"),
        Condition("rgn_bound", INPUT, "the region leaves the protected half"),
    ),
    section="§4.8",
    doc="The RIPAS at base, and how far it reaches.",
)
HOST_CALL = Call(
    0xC4000199,
    "RSI_HOST_CALL",
    inputs=(Value("addr", t.IPA),),
    conditions=(
        Condition("addr_align", INPUT, "addr is not 256-byte aligned"),
        Condition("addr_bound", INPUT, "addr is not in the protected half"),
        *_PAGE,
    ),
    footprint=("rec.host_call", "the realm's page at addr"),
    section="§4.9",
    doc="Calls the host with 31 registers and an immediate; the REC exits.",
)

CALLS = (
    VERSION,
    FEATURES,
    MEASUREMENT_READ,
    MEASUREMENT_EXTEND,
    ATTESTATION_TOKEN_INIT,
    ATTESTATION_TOKEN_CONTINUE,
    REALM_CONFIG,
    IPA_STATE_SET,
    IPA_STATE_GET,
    HOST_CALL,
)
