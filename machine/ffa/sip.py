# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's SiP calls for the Secure world: granules between the Non-secure and the Secure PAS.

SMCCC 1.2: owning entity 2 (SiP), fast calls, SMC64.  Which changes of the GPT the Secure world may ask for is
rmm-abi.md §13.7; the statuses are those of the RMM-EL3 interface (§13.1).
"""

from __future__ import annotations

from rmm.abi import types as t
from rmm.abi.call import Call, Condition, Value
from rmm.abi.values import El3Status

_BAD_ADDR = El3Status.BAD_ADDR
_BAD_PAS = El3Status.BAD_PAS
_ADDR = (
    Condition("addr_align", _BAD_ADDR, "addr is not 4 KiB aligned"),
    Condition("addr_bound", _BAD_ADDR, "no RAM is there"),
    Condition("addr_root", _BAD_PAS, "the granule is Root"),
    Condition("addr_realm", _BAD_PAS, "the granule is Realm"),
)

GRANULE_TAKE = Call(
    0xC2000020,
    "SIP_GRANULE_TAKE",
    inputs=(Value("addr", t.PA),),
    conditions=(*_ADDR, Condition("addr_secure", _BAD_PAS, "the granule is Secure already")),
    footprint=("gpt(addr)",),
    section="§13.7",
    doc="Non-secure to Secure. The content stays: it is the service's to overwrite.",
)
GRANULE_GIVE_BACK = Call(
    0xC2000021,
    "SIP_GRANULE_GIVE_BACK",
    inputs=(Value("addr", t.PA),),
    conditions=(
        *_ADDR,
        Condition("addr_ns", _BAD_PAS, "the granule is Non-secure already"),
        Condition("addr_boot", _BAD_PAS, "the granule is Secure since boot"),
    ),
    footprint=("gpt(addr)", "content(addr)"),
    section="§13.7",
    doc="Secure to Non-secure, of a granule taken before. The monitor wipes it first, while it is still Secure.",
)

CALLS = (GRANULE_TAKE, GRANULE_GIVE_BACK)
