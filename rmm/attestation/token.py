# SPDX-License-Identifier: GPL-2.0-or-later
"""The CCA token as a whole: tag 399 around a platform token and a realm token (rmm-abi.md §10.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rmm.attestation import claims as c
from rmm.attestation import cose
from rmm.attestation.cbor import Malformed, decode, encode


class Half:
    """One of the two tokens: COSE_Sign1 and the claims in it, not verified."""

    __slots__ = ("claims", "encoded", "signed")

    def __init__(self, encoded: bytes, what: str) -> None:
        self.encoded = encoded
        try:
            self.signed = cose.parse(encoded)
            value = decode(self.signed.payload)
        except Malformed as error:
            raise Malformed(error.name, f"{what}: {str(error).partition(': ')[2]}") from None
        if not isinstance(value, dict):
            raise Malformed("no-claims", f"{what}: the payload is no map")
        self.claims: dict[Any, Any] = value


class CcaToken:
    """Both halves, decoded and not verified."""

    __slots__ = ("platform", "realm", "size")

    def __init__(self, platform: Half, realm: Half, size: int) -> None:
        self.platform = platform
        self.realm = realm
        self.size = size


def parse(data: bytes) -> CcaToken:
    """Raises Malformed, which names what is wrong."""
    value = decode(data, c.CCA_TAG)
    if not isinstance(value, dict) or set(value) != {c.PLATFORM_TOKEN, c.REALM_TOKEN}:
        raise Malformed(
            "not-a-cca-token", f"expected a map of {c.PLATFORM_TOKEN} and {c.REALM_TOKEN} in tag {c.CCA_TAG}"
        )
    platform, realm = value[c.PLATFORM_TOKEN], value[c.REALM_TOKEN]
    if not (isinstance(platform, bytes) and isinstance(realm, bytes)):
        raise Malformed("not-a-cca-token", "expected both tokens as bytes")
    return CcaToken(Half(platform, "platform token"), Half(realm, "realm token"), len(data))


def combine(platform: bytes, realm: bytes) -> bytes:
    """The CCA token of two COSE_Sign1."""
    return encode({c.PLATFORM_TOKEN: platform, c.REALM_TOKEN: realm}, c.CCA_TAG)


_HASH_NAMES = ("sha-256", "sha-512")  # by RmiHashAlgorithm


def realm_claims(
    *, challenge: bytes, rpv: bytes, key: bytes, algorithm: int, rim: bytes, rems: Sequence[bytes]
) -> bytes:
    """The payload of a realm token.  key: COSE_Key; algorithm: RmiHashAlgorithm, by which rim and rems were made."""
    return encode(
        {
            c.CHALLENGE: challenge,
            c.PROFILE: c.REALM_PROFILE,
            c.PERSONALIZATION: rpv,
            c.HASH_ALGORITHM: _HASH_NAMES[algorithm],
            c.PUBLIC_KEY: key,
            c.RIM: rim,
            c.REMS: list(rems),
            c.KEY_HASH_ALGORITHM: "sha-256",
        }
    )
