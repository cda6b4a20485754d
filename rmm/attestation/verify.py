# SPDX-License-Identifier: GPL-2.0-or-later
"""What a relying party checks of a CCA token, check by check (rmm-abi.md §10.2 to §10.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rmm.attestation import claims as c
from rmm.attestation import cose
from rmm.attestation.cbor import Malformed
from rmm.attestation.token import CcaToken, Half

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class Check:
    """passed: None when it could not be made, for the reason in `detail`."""

    __slots__ = ("detail", "name", "passed")

    def __init__(self, name: str, passed: bool | None, detail: str = "") -> None:
        self.name = name
        self.passed = passed
        self.detail = detail

    @property
    def verdict(self) -> str:
        if self.passed is None:
            return "NOT CHECKED"
        return "ok" if self.passed else "FAILED"

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}{f' ({self.detail})' if self.detail else ''}"


class Expected:
    """What the relying party knows beforehand; None or empty: anything goes.

    rims: those of the realms that it trusts.  rems: by number, 1..4.  components: accepted measurements by the
    component's type; each type named must be there.
    """

    __slots__ = ("challenge", "components", "implementation_ids", "instance_ids", "lifecycles", "rems", "rims", "rpv")

    def __init__(
        self,
        *,
        challenge: bytes | None = None,
        rims: Sequence[bytes] = (),
        rems: Mapping[int, bytes] | None = None,
        rpv: bytes | None = None,
        lifecycles: Sequence[str] = (),
        implementation_ids: Sequence[bytes] = (),
        instance_ids: Sequence[bytes] = (),
        components: Mapping[str, Sequence[bytes]] | None = None,
    ) -> None:
        self.challenge = challenge
        self.rims = rims
        self.rems = rems or {}
        self.rpv = rpv
        self.lifecycles = lifecycles
        self.implementation_ids = implementation_ids
        self.instance_ids = instance_ids
        self.components = components or {}


def checks(
    token: CcaToken, platform_key: EllipticCurvePublicKey | None = None, expected: Expected | None = None
) -> Iterator[Check]:
    """Every check, the structural ones first; a check that depends on a failed one fails too, and says so."""
    realm, platform = token.realm.claims, token.platform.claims
    yield Check("token structure", True, f"{token.size} bytes")
    yield _algorithm("realm", token.realm)
    yield _algorithm("platform", token.platform)
    yield _faults("realm claims", c.realm_faults(realm))
    yield _faults("platform claims", c.platform_faults(platform))
    yield from _realm_signature(token.realm)
    yield _binding(realm, platform)
    if platform_key is None:
        yield Check("platform signature", None, "no key")
    else:
        yield Check(
            "platform signature", _is_es384(token.platform) and cose.verify(platform_key, token.platform.signed)
        )
    yield from _expectations(realm, platform, expected or Expected())


def _is_es384(half: Half) -> bool:
    return half.signed.algorithm == cose.ES384 and type(half.signed.algorithm) is int


def _algorithm(which: str, half: Half) -> Check:
    if _is_es384(half):
        return Check(f"{which} algorithm", True, "ES384")
    found = half.signed.algorithm
    name = cose.ALGORITHMS.get(found, "") if type(found) is int else ""
    text = "none" if found is None else f"{found!r:.40}{f' ({name})' if name else ''}"
    return Check(f"{which} algorithm", False, f"{text}, expected {cose.ES384} (ES384)")


def _faults(name: str, faults: Iterator[str]) -> Check:
    found = list(faults)
    return Check(name, not found, "; ".join(found[:4]) + (f"; {len(found) - 4} more" if len(found) > 4 else ""))


def _realm_signature(half: Half) -> Iterator[Check]:
    encoded = half.claims.get(c.PUBLIC_KEY)
    try:
        if type(encoded) is not bytes:
            raise cose.BadKey("there is none")
        key = cose.public_key(*cose.decode_key(encoded))
    except (Malformed, cose.BadKey) as error:
        yield Check("realm key", False, str(error))
        yield Check("realm signature", False, "no key to check it with")
        return
    yield Check("realm key", True, "P-384")
    if not _is_es384(half):
        yield Check("realm signature", False, "not ES384")
        return
    yield Check("realm signature", cose.verify(key, half.signed))


def _binding(realm: Mapping[Any, Any], platform: Mapping[Any, Any]) -> Check:
    name = "binding"
    key, algorithm, challenge = realm.get(c.PUBLIC_KEY), realm.get(c.KEY_HASH_ALGORITHM), platform.get(c.CHALLENGE)
    hash_name = c.HASHES.get(algorithm) if isinstance(algorithm, str) else None
    if type(key) is not bytes or hash_name is None or type(challenge) is not bytes:
        return Check(name, False, "realm key, its hash algorithm or the platform challenge is missing")
    if hashlib.new(hash_name, key).digest() != challenge:
        return Check(name, False, f"the platform challenge is not the {algorithm} of the realm key")
    return Check(name, True, f"the platform challenge is the {algorithm} of the realm key")


def _hex(value: object) -> str:
    if type(value) is not bytes:
        return "nothing"
    return value.hex() if len(value) <= 64 else f"{len(value)} bytes"


def _one_of(name: str, found: object, wanted: Sequence[bytes]) -> Check:
    if found in wanted:
        return Check(name, True)
    which = f"expected {_hex(wanted[0])}" if len(wanted) == 1 else f"none of the {len(wanted)} expected"
    return Check(name, False, f"found {_hex(found)}, {which}")


def _expectations(realm: Mapping[Any, Any], platform: Mapping[Any, Any], want: Expected) -> Iterator[Check]:
    if want.challenge is not None:
        yield _one_of("challenge", realm.get(c.CHALLENGE), [want.challenge])
    if want.rims:
        yield _one_of("rim", realm.get(c.RIM), want.rims)
    rems = realm.get(c.REMS)
    for number, value in sorted(want.rems.items()):
        found = rems[number - 1] if isinstance(rems, list) and number <= len(rems) else None
        yield _one_of(f"rem{number}", found, [value])
    if want.rpv is not None:
        yield _one_of("personalization value", realm.get(c.PERSONALIZATION), [want.rpv])
    if want.lifecycles:
        lifecycle = platform.get(c.LIFECYCLE)
        found = c.lifecycle_name(lifecycle) if type(lifecycle) is int else "nothing"
        yield Check("lifecycle", found in want.lifecycles, f"found {found}")
    if want.implementation_ids:
        yield _one_of("implementation id", platform.get(c.IMPLEMENTATION_ID), want.implementation_ids)
    if want.instance_ids:
        yield _one_of("instance id", platform.get(c.INSTANCE_ID), want.instance_ids)
    components = platform.get(c.COMPONENTS)
    for type_, accepted in sorted(want.components.items()):
        found_components = [
            component.get(c.MEASUREMENT)
            for component in (components if isinstance(components, list) else [])
            if isinstance(component, dict) and component.get(c.TYPE) == type_
        ]
        if not found_components:
            yield Check(f"component {type_}", False, "there is none")
        for found in found_components:
            yield _one_of(f"component {type_}", found, accepted)
