# SPDX-License-Identifier: GPL-2.0-or-later
"""The claims of both halves of a CCA token, declared once (rmm-abi.md §10.2, §10.4): making, checking and showing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

CCA_TAG = 399
PLATFORM_TOKEN, REALM_TOKEN = 44234, 44241

CHALLENGE, PROFILE = 10, 265
PERSONALIZATION, HASH_ALGORITHM, PUBLIC_KEY, RIM, REMS, KEY_HASH_ALGORITHM = 44235, 44236, 44237, 44238, 44239, 44240
INSTANCE_ID, LIFECYCLE, IMPLEMENTATION_ID = 256, 2395, 2396
COMPONENTS, VERIFICATION_SERVICE, CONFIG, PLATFORM_HASH_ALGORITHM = 2399, 2400, 2401, 2402
TYPE, MEASUREMENT, VERSION, SIGNER_ID, COMPONENT_HASH = 1, 2, 4, 5, 6

REALM_PROFILE = "tag:arm.com,2023:realm#1.0.0"
PLATFORM_PROFILE = "tag:arm.com,2023:cca_platform#1.0.0"
LEGACY_PLATFORM_PROFILE = "http://arm.com/CCA-SSD/1.0.0"

HASHES: Mapping[str, str] = MappingProxyType({"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"})
DIGESTS = (32, 48, 64)
RIM_SIZES: Mapping[str, int] = MappingProxyType({"sha-256": 32, "sha-512": 64})
REM_COUNT = 4
_UEID = 33
UEID_RANDOM = 0x01
SECURED = range(0x3000, 0x3100)

# Bits [15:8] of the lifecycle claim (PSA Security Model, as the CCA platform profile takes it)
LIFECYCLES = (
    (range(0x0100), "unknown"),
    (range(0x1000, 0x1100), "assembly and test"),
    (range(0x2000, 0x2100), "CCA platform RoT provisioning"),
    (SECURED, "secured"),
    (range(0x4000, 0x4100), "non-CCA platform RoT debug"),
    (range(0x5000, 0x5100), "recoverable CCA platform RoT debug"),
    (range(0x6000, 0x6100), "decommissioned"),
)


class Claim:
    """One claim.  kind: bytes, str, int or list; sizes: lengths in bytes that it may have, any when empty."""

    __slots__ = ("key", "kind", "name", "required", "sizes")

    def __init__(self, key: int, name: str, kind: type, *, sizes: tuple[int, ...] = (), required: bool = True) -> None:
        self.key = key
        self.name = name
        self.kind = kind
        self.sizes = sizes
        self.required = required

    def fault(self, value: object) -> str | None:
        """What is wrong with a value of this claim's."""
        if type(value) is not self.kind:
            return f"{self.name}: expected {KINDS[self.kind]}, found {KINDS.get(type(value), 'something else')}"
        if self.sizes and isinstance(value, bytes) and len(value) not in self.sizes:
            wanted = " or ".join(map(str, self.sizes))
            return f"{self.name}: expected {wanted} bytes, found {len(value)}"
        return None


KINDS: dict[type, str] = {bytes: "bytes", str: "text", int: "an integer", list: "an array", dict: "a map"}

REALM = (
    Claim(CHALLENGE, "challenge", bytes, sizes=(64,)),
    Claim(PROFILE, "profile", str),
    Claim(PERSONALIZATION, "personalization value", bytes, sizes=(64,)),
    Claim(HASH_ALGORITHM, "hash algorithm", str),
    Claim(KEY_HASH_ALGORITHM, "public key hash algorithm", str),
    Claim(PUBLIC_KEY, "public key", bytes),
    Claim(RIM, "initial measurement", bytes, sizes=(32, 64)),
    Claim(REMS, "extensible measurements", list),
)
PLATFORM = (
    Claim(PROFILE, "profile", str),
    Claim(CHALLENGE, "challenge", bytes, sizes=DIGESTS),
    Claim(IMPLEMENTATION_ID, "implementation id", bytes, sizes=(32,)),
    Claim(INSTANCE_ID, "instance id", bytes, sizes=(_UEID,)),
    Claim(CONFIG, "config", bytes),
    Claim(LIFECYCLE, "lifecycle", int),
    Claim(PLATFORM_HASH_ALGORITHM, "hash algorithm", str),
    Claim(COMPONENTS, "software components", list),
    Claim(VERIFICATION_SERVICE, "verification service", str, required=False),
)
COMPONENT = (
    Claim(TYPE, "type", str, required=False),
    Claim(MEASUREMENT, "measurement", bytes, sizes=DIGESTS),
    Claim(VERSION, "version", str, required=False),
    Claim(SIGNER_ID, "signer id", bytes, sizes=DIGESTS),
    Claim(COMPONENT_HASH, "hash algorithm", str, required=False),
)


def lifecycle_name(value: int) -> str:
    return next((name for values, name in LIFECYCLES if value in values), "reserved")


def _by_table(table: tuple[Claim, ...], claims: Mapping[Any, Any]) -> Iterator[str]:
    for claim in table:
        if claim.key not in claims:
            if claim.required:
                yield f"{claim.name} (claim {claim.key}) is missing"
            continue
        fault = claim.fault(claims[claim.key])
        if fault is not None:
            yield fault


def realm_faults(claims: Mapping[Any, Any]) -> Iterator[str]:
    """What is wrong with the claims of a realm token."""
    faults = list(_by_table(REALM, claims))
    yield from faults
    if faults:
        return
    if claims[PROFILE] != REALM_PROFILE:
        yield f"profile: {claims[PROFILE][:80]!r}, expected {REALM_PROFILE!r}"
    size = RIM_SIZES.get(claims[HASH_ALGORITHM])
    if size is None:
        yield f"hash algorithm: {claims[HASH_ALGORITHM][:40]!r}, expected sha-256 or sha-512"
    elif len(claims[RIM]) != size:
        yield f"initial measurement: {len(claims[RIM])} bytes, {claims[HASH_ALGORITHM]} has {size}"
    if claims[KEY_HASH_ALGORITHM] not in HASHES:
        yield f"public key hash algorithm: {claims[KEY_HASH_ALGORITHM][:40]!r} is not known"
    rems = claims[REMS]
    if len(rems) != REM_COUNT:
        yield f"extensible measurements: {len(rems)}, expected {REM_COUNT}"
    elif any(type(rem) is not bytes or len(rem) != len(claims[RIM]) for rem in rems):
        yield f"extensible measurements: expected {len(claims[RIM])} bytes each"


def platform_faults(claims: Mapping[Any, Any]) -> Iterator[str]:
    """What is wrong with the claims of a platform token."""
    faults = list(_by_table(PLATFORM, claims))
    yield from faults
    if faults:
        return
    if claims[PROFILE] not in (PLATFORM_PROFILE, LEGACY_PLATFORM_PROFILE):
        yield f"profile: {claims[PROFILE][:80]!r}, expected {PLATFORM_PROFILE!r}"
    if claims[INSTANCE_ID][0] != UEID_RANDOM:
        yield f"instance id: first byte {claims[INSTANCE_ID][0]:#04x}, expected 0x01 (a random UEID)"
    if not 0 <= claims[LIFECYCLE] <= 0xFFFF:
        yield "lifecycle: expected 16 bits"
    if claims[PLATFORM_HASH_ALGORITHM] not in HASHES:
        yield f"hash algorithm: {claims[PLATFORM_HASH_ALGORITHM][:40]!r} is not known"
    if not claims[COMPONENTS]:
        yield "software components: there is none"
    for index, component in enumerate(claims[COMPONENTS]):
        if type(component) is not dict:
            yield f"software component {index}: no map"
            continue
        for fault in _by_table(COMPONENT, component):
            yield f"software component {index}: {fault}"
