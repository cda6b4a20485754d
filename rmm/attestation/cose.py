# SPDX-License-Identifier: GPL-2.0-or-later
"""COSE_Sign1 and COSE_Key with ES384, as the halves of a CCA token have them (RFC 9052, RFC 9053 §2.1, §7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rmm.attestation.cbor import Malformed, decode, encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

TAG = 18
ES384 = -35
COORDINATE = 48  # bytes of a P-384 coordinate or scalar
SIGNATURE = 2 * COORDINATE
_ALGORITHM, _CRITICAL = 1, 2
_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_EC2, _P384 = 2, 2
ALGORITHMS = {-7: "ES256", -35: "ES384", -36: "ES512", -37: "PS256", -38: "PS384", -39: "PS512", -8: "EdDSA"}


class BadKey(ValueError):
    """A COSE_Key that is no P-384 public key."""


class Sign1:
    """A COSE_Sign1, not verified.  protected, payload: as encoded.  headers: protected and unprotected ones."""

    __slots__ = ("headers", "payload", "protected", "signature", "unprotected")

    def __init__(self, protected: bytes, unprotected: dict[Any, Any], payload: bytes, signature: bytes) -> None:
        self.protected = protected
        self.unprotected = unprotected
        self.payload = payload
        self.signature = signature
        self.headers = decode(protected) if protected else {}
        if not isinstance(self.headers, dict):
            raise Malformed("not-a-cose-sign1", "the protected headers are no map")
        if _CRITICAL in self.headers:
            raise Malformed("critical-header", "headers that must be understood (RFC 9052 §3.1): there are none here")
        both = self.headers.keys() & unprotected.keys()
        if both:
            raise Malformed("duplicate-key", f"header {min(map(repr, both))[:40]} is both protected and unprotected")

    @property
    def algorithm(self) -> object:
        """The protected algorithm header; None when there is none."""
        return self.headers.get(_ALGORITHM)

    @property
    def to_be_signed(self) -> bytes:
        return sig_structure(self.protected, self.payload)


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    """What is signed (RFC 9052 §4.4), without external data."""
    return encode(["Signature1", protected, b"", payload])


def parse(data: bytes) -> Sign1:
    """Raises Malformed."""
    value = decode(data, TAG)
    if not isinstance(value, list) or len(value) != 4:
        raise Malformed("not-a-cose-sign1", "expected an array of 4")
    protected, unprotected, payload, signature = value
    if not (isinstance(protected, bytes) and isinstance(unprotected, dict) and isinstance(signature, bytes)):
        raise Malformed("not-a-cose-sign1", "expected [bytes, map, bytes, bytes]")
    if not isinstance(payload, bytes):
        raise Malformed("not-a-cose-sign1", "the payload is not here")
    return Sign1(protected, unprotected, payload, signature)


PROTECTED = bytes.fromhex("a1013822")  # {1: -35}


def assemble(payload: bytes, signature: bytes) -> bytes:
    """A COSE_Sign1 with ES384 and no key id."""
    return encode([PROTECTED, {}, payload, signature], TAG)


# Keys


def encode_key(x: bytes, y: bytes) -> bytes:
    """A P-384 public key as COSE_Key."""
    return encode({_KTY: _EC2, _CRV: _P384, _X: x, _Y: y})


def decode_key(data: bytes) -> tuple[bytes, bytes]:
    """(x, y) of a COSE_Key; Malformed, or BadKey for another kind of key."""
    value = decode(data)
    if not isinstance(value, dict):
        raise BadKey("no map, hence no COSE_Key")
    if value.get(_KTY) != _EC2 or value.get(_CRV) != _P384:
        raise BadKey(f"kty {value.get(_KTY)!r:.40}, crv {value.get(_CRV)!r:.40}: expected EC2 and P-384")
    x, y = value.get(_X), value.get(_Y)
    if not (isinstance(x, bytes) and isinstance(y, bytes) and len(x) == len(y) == COORDINATE):
        raise BadKey(f"expected x and y of {COORDINATE} bytes each")
    return x, y


# ES384


def public_key(x: bytes, y: bytes) -> EllipticCurvePublicKey:
    """BadKey when the point is not on P-384."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP384R1()
        ).public_key()
    except ValueError:
        raise BadKey("the point is not on P-384") from None


def verify(key: EllipticCurvePublicKey, signed: Sign1) -> bool:
    """The signature, r and s one after the other, is the key's over protected headers and payload."""
    if len(signed.signature) != SIGNATURE:
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    r, s = (int.from_bytes(signed.signature[at : at + COORDINATE], "big") for at in (0, COORDINATE))
    try:
        key.verify(utils.encode_dss_signature(r, s), signed.to_be_signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True


class Es384:
    """ES384 with raw P-384 scalars of 48 bytes: a `rmm.protocols.Signer`.  Deterministic (RFC 6979)."""

    def public(self, key: bytes) -> tuple[bytes, bytes]:
        """(x, y) of 48 bytes each; ValueError for a scalar that is no key."""
        from cryptography.hazmat.primitives.asymmetric import ec

        numbers = ec.derive_private_key(_scalar(key), ec.SECP384R1()).public_key().public_numbers()
        return numbers.x.to_bytes(COORDINATE, "big"), numbers.y.to_bytes(COORDINATE, "big")

    def sign(self, key: bytes, message: bytes) -> bytes:
        """r and s, 48 bytes each."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        private = ec.derive_private_key(_scalar(key), ec.SECP384R1())
        der = private.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(COORDINATE, "big") + s.to_bytes(COORDINATE, "big")


P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


def _scalar(key: bytes) -> int:
    value = int.from_bytes(key, "big")
    if len(key) != COORDINATE or not 0 < value < P384_ORDER:
        raise ValueError("not a P-384 private key")
    return value
