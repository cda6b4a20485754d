# SPDX-License-Identifier: GPL-2.0-or-later
"""CCA tokens: what they consist of, what a verifier checks, and what it refuses to read (rmm-abi.md §10)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rmm.attestation import claims as c
from rmm.attestation import cose
from rmm.attestation.attester import RealmAttester
from rmm.attestation.cbor import Malformed, decode, encode
from rmm.attestation.token import combine, parse, realm_claims
from rmm.attestation.verify import Check, Expected, checks
from rmm.bare import BareMemory

REAL = (Path(__file__).parent / "cca-token.bin").read_bytes()
KEY, PLATFORM_KEY = bytes(47) + b"\x05", bytes(47) + b"\x07"
ES384 = cose.Es384()
PUBLIC = cose.encode_key(*ES384.public(KEY))
CHALLENGE = bytes(range(64))
RIM = hashlib.sha256(b"rim").digest()


def platform_claims(challenge: bytes) -> dict[int, Any]:
    return {
        265: "tag:arm.com,2023:cca_platform#1.0.0",
        10: challenge,
        2396: bytes(32),
        256: b"\x01" + bytes(32),
        2401: b"\xcf",
        2395: 0x3003,
        2402: "sha-256",
        2399: [{1: "RMM", 2: bytes(32), 5: bytes(32)}],
    }


def signed(key: bytes, payload: bytes) -> bytes:
    return cose.assemble(payload, ES384.sign(key, cose.sig_structure(cose.PROTECTED, payload)))


def realm_payload(**changes: Any) -> dict[int, Any]:
    public = cose.encode_key(*ES384.public(KEY))
    fields: dict[str, Any] = {"challenge": CHALLENGE, "rpv": bytes(64), "key": public, "algorithm": 0, "rim": RIM}
    payload = realm_claims(**{**fields, "rems": [bytes(32)] * 4, **changes})
    return dict(cbor2.loads(payload))


def token(realm: dict[int, Any] | None = None, platform: dict[int, Any] | None = None) -> bytes:
    realm = realm_payload() if realm is None else realm
    key = realm.get(44237)
    challenge = hashlib.sha256(key if isinstance(key, bytes) else b"").digest()
    platform = platform_claims(challenge) if platform is None else platform
    return combine(signed(PLATFORM_KEY, encode(platform)), signed(KEY, encode(realm)))


def failed(data: bytes, expected: Expected | None = None) -> list[str]:
    """Names of the checks that fail."""
    key = cose.public_key(*ES384.public(PLATFORM_KEY))
    return [check.name for check in checks(parse(data), key, expected) if not check.passed]


# The real one


def test_a_token_of_the_reference_stack_verifies() -> None:
    found = list(checks(parse(REAL), None, Expected(challenge=CHALLENGE)))
    assert [str(one) for one in found if one.passed is not True] == ["platform signature: NOT CHECKED (no key)"]
    assert {"realm signature", "binding", "challenge"} <= {one.name for one in found}


def test_a_token_of_the_reference_stack__another_challenge() -> None:
    found = {one.name: one for one in checks(parse(REAL), None, Expected(challenge=bytes(64)))}
    assert found["challenge"].passed is False


@pytest.mark.parametrize("at", range(0, len(REAL), 61))
def test_a_token_of_the_reference_stack__no_bit_can_be_changed_unnoticed(at: int) -> None:
    """In the realm half; of the platform half the key is not known."""
    data = bytearray(REAL)
    data[at] ^= 1
    try:
        found = list(checks(parse(bytes(data)), None, Expected(challenge=CHALLENGE)))
    except Malformed:
        return
    assert at < 1530 or any(one.passed is False for one in found)


# Ours


def test_ours_verifies() -> None:
    assert failed(token(), Expected(challenge=CHALLENGE, rims=[RIM], rems={1: bytes(32)}, rpv=bytes(64))) == []


def test_ours_begins_as_every_cca_token() -> None:
    assert token()[:7].hex() == "d9018fa219acca"


@pytest.mark.parametrize("half", [44234, 44241])
def test_an_independent_library_verifies_ours(half: int) -> None:
    from cwt import COSE, COSEKey

    inner = cbor2.loads(token()).value[half]
    x, y = ES384.public(KEY if half == 44241 else PLATFORM_KEY)
    key = COSEKey.new({1: 2, -1: 2, -2: x, -3: y, 3: -35})
    payload = COSE.new().decode(inner, key)
    assert cbor2.loads(payload)[10] == (CHALLENGE if half == 44241 else hashlib.sha256(realm_payload()[44237]).digest())


def test_claims_have_their_keys_and_types() -> None:
    """§10.2, written out."""
    claims = realm_payload(algorithm=1, rim=bytes(64), rems=[bytes(64)] * 4)
    assert {key: type(value) for key, value in claims.items()} == {
        10: bytes, 265: str, 44235: bytes, 44236: str, 44237: bytes, 44238: bytes, 44239: list, 44240: str,
    }  # fmt: skip
    assert (claims[265], claims[44236], claims[44240]) == ("tag:arm.com,2023:realm#1.0.0", "sha-512", "sha-256")
    key = cbor2.loads(claims[44237])
    assert (key[1], key[-1], len(key[-2]), len(key[-3])) == (2, 2, 48, 48)


def test_ours_is_canonical_throughout() -> None:
    """RFC 8949 §4.2.1, in the token, its halves, their headers, their claims and the key."""
    whole = token()
    items = [whole, cose.PROTECTED, realm_payload()[44237]]
    for half in cbor2.loads(whole).value.values():
        items += [half, cbor2.loads(half).value[2]]
    for item in items:
        assert cbor2.dumps(cbor2.loads(item), canonical=True) == item
    assert [list(cbor2.loads(item)) for item in items if item[0] >> 5 == 5] == [
        [1],
        [1, -1, -2, -3],
        [10, 256, 265, 2395, 2396, 2399, 2401, 2402],
        [10, 265, 44235, 44236, 44237, 44238, 44239, 44240],
    ]


@pytest.mark.parametrize(
    "key", [bytes(48), cose.P384_ORDER.to_bytes(48, "big"), b"\xff" * 48, b"\1" * 47, b"\0" * 48 + b"\1"]
)
def test_a_scalar_that_is_no_key_is_refused(key: bytes) -> None:
    """SEC 1, §3.2: 1 to n - 1."""
    with pytest.raises(ValueError, match="not a P-384 private key"):
        ES384.public(key)
    assert ES384.public((cose.P384_ORDER - 1).to_bytes(48, "big"))[0] == ES384.public(bytes(47) + b"\1")[0]


def test_signatures_are_the_same_every_time() -> None:
    assert token() == token()


# What each check finds


def changed(half: str, key: int, value: Any) -> bytes:
    realm, platform = realm_payload(), None
    if half == "realm":
        realm[key] = value
    else:
        platform = {**platform_claims(hashlib.sha256(realm[44237]).digest()), key: value}
    return token(realm, platform)


FAULTS = [
    ("realm", 10, bytes(63), ["realm claims"]),
    ("realm", 10, "text", ["realm claims"]),
    ("realm", 265, "tag:arm.com,2023:realm#9", ["realm claims"]),
    ("realm", 44236, "md5", ["realm claims"]),
    ("realm", 44236, "sha-512", ["realm claims"]),
    ("realm", 44238, bytes(48), ["realm claims"]),
    ("realm", 44239, [bytes(32)] * 3, ["realm claims"]),
    ("realm", 44239, [bytes(32)] * 3 + [bytes(64)], ["realm claims"]),
    ("realm", 44239, [bytes(32)] * 3 + [1], ["realm claims"]),
    ("realm", 44240, "sha-512", ["binding"]),
    ("realm", 44240, "md5", ["realm claims", "binding"]),
    ("realm", 44237, b"\x01", ["realm key", "realm signature"]),
    ("realm", 44237, encode({1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}), ["realm key", "realm signature"]),
    ("realm", 44237, encode({1: 2, -1: 2, -2: bytes(48), -3: bytes(48)}), ["realm key", "realm signature"]),
    *(
        ("realm", 44237, encode({**cbor2.loads(PUBLIC), **change}), ["realm key", "realm signature"])
        for change in ({1: 1}, {-1: 1}, {-2: bytes(47)}, {-3: bytes(49)}, {-2: "x" * 48}, {-3: 5}, {-3: None})
    ),
    ("platform", 10, bytes(32), ["binding"]),
    ("platform", 256, bytes(33), ["platform claims"]),
    ("platform", 2395, 1 << 16, ["platform claims"]),
    ("platform", 2395, -1, ["platform claims"]),
    ("platform", 2396, bytes(31), ["platform claims"]),
    ("platform", 2399, [], ["platform claims"]),
    ("platform", 2399, [{1: "RMM", 2: bytes(32)}], ["platform claims"]),
    ("platform", 2399, [5], ["platform claims"]),
    ("platform", 2402, 5, ["platform claims"]),
]


@pytest.mark.parametrize(("half", "key", "value", "names"), FAULTS)
def test_a_wrong_claim_is_found(half: str, key: int, value: Any, names: list[str]) -> None:
    assert failed(changed(half, key, value)) == names


@pytest.mark.parametrize("key", [10, 265, 44235, 44236, 44237, 44238, 44239, 44240])
def test_a_missing_realm_claim_is_found(key: int) -> None:
    claims = realm_payload()
    del claims[key]
    assert "realm claims" in failed(token(claims))


@pytest.mark.parametrize("key", [10, 256, 265, 2395, 2396, 2399, 2401, 2402])
def test_a_missing_platform_claim_is_found(key: int) -> None:
    claims = platform_claims(hashlib.sha256(realm_payload()[44237]).digest())
    del claims[key]
    assert "platform claims" in failed(token(platform=claims))


def test_another_signer_is_found() -> None:
    payload = encode(realm_payload())
    platform = signed(PLATFORM_KEY, encode(platform_claims(hashlib.sha256(realm_payload()[44237]).digest())))
    assert failed(combine(platform, signed(PLATFORM_KEY, payload))) == ["realm signature"]
    assert failed(combine(signed(KEY, cose.parse(platform).payload), signed(KEY, payload))) == ["platform signature"]


@pytest.mark.parametrize("algorithm", [-7, -36, -8, "ES384", None])
def test_another_algorithm_is_found(algorithm: Any) -> None:
    """Even where the signature itself would hold."""
    payload = encode(realm_payload())
    protected = b"" if algorithm is None else encode({1: algorithm})
    signature = ES384.sign(KEY, cose.sig_structure(protected, payload))
    realm = encode([protected, {}, payload, signature], 18)
    platform = signed(PLATFORM_KEY, encode(platform_claims(hashlib.sha256(realm_payload()[44237]).digest())))
    assert failed(combine(platform, realm)) == ["realm algorithm", "realm signature"]
    check = next(one for one in checks(parse(combine(platform, realm))) if one.name == "realm algorithm")
    found = {-7: "-7 (ES256)", -36: "-36 (ES512)", -8: "-8 (EdDSA)", None: "none"}.get(algorithm, "'ES384'")
    assert str(check) == f"realm algorithm: FAILED ({found}, expected -35 (ES384))"


def test_an_algorithm_that_nothing_protects_is_none() -> None:
    payload = encode(realm_payload())
    signature = ES384.sign(KEY, cose.sig_structure(b"", payload))
    platform = signed(PLATFORM_KEY, encode(platform_claims(hashlib.sha256(realm_payload()[44237]).digest())))
    realm = encode([b"", {1: -35}, payload, signature], 18)
    assert failed(combine(platform, realm)) == ["realm algorithm", "realm signature"]


def test_what_was_found_is_said() -> None:
    found = {one.name: str(one) for one in checks(parse(token()), None, Expected(rims=[bytes(32)], rpv=b"\1" * 64))}
    assert found["rim"] == f"rim: FAILED (found {RIM.hex()}, expected {bytes(32).hex()})"
    several = checks(parse(token()), None, Expected(rims=[bytes(32), bytes(64)]))
    assert str([*several][-1]) == f"rim: FAILED (found {RIM.hex()}, none of the 2 expected)"
    long = checks(parse(changed("realm", 10, bytes(65))), None, Expected(challenge=CHALLENGE))
    assert str([*long][-1]) == f"challenge: FAILED (found 65 bytes, expected {CHALLENGE.hex()})"


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        (Expected(challenge=bytes(64)), "challenge"),
        (Expected(rims=[bytes(32), bytes(64)]), "rim"),
        (Expected(rems={4: b"\1" * 32}), "rem4"),
        (Expected(rpv=b"\1" * 64), "personalization value"),
        (Expected(lifecycles=["decommissioned"]), "lifecycle"),
        (Expected(implementation_ids=[b"\1" * 32]), "implementation id"),
        (Expected(instance_ids=[b"\1" * 33]), "instance id"),
        (Expected(components={"RMM": [b"\1" * 32]}), "component RMM"),
        (Expected(components={"BL2": [bytes(32)]}), "component BL2"),
    ],
)
def test_what_was_expected_is_compared(expected: Expected, name: str) -> None:
    assert failed(token(), expected) == [name]


@pytest.mark.parametrize(
    ("half", "key", "value", "expected", "name"),
    [
        ("realm", 44239, 5, Expected(rems={1: bytes(32)}), "rem1"),
        ("realm", 44239, [bytes(32)] * 3, Expected(rems={4: bytes(32)}), "rem4"),
        ("realm", 44238, "text", Expected(rims=[RIM]), "rim"),
        ("realm", 44235, [], Expected(rpv=bytes(64)), "personalization value"),
        ("platform", 2395, "secured", Expected(lifecycles=["secured"]), "lifecycle"),
        ("platform", 2399, {}, Expected(components={"RMM": [bytes(32)]}), "component RMM"),
        ("platform", 2399, [5, "RMM"], Expected(components={"RMM": [bytes(32)]}), "component RMM"),
        ("platform", 2399, [{1: "RMM"}], Expected(components={"RMM": [bytes(32)]}), "component RMM"),
        ("platform", 256, None, Expected(instance_ids=[bytes(33)]), "instance id"),
    ],
)
def test_what_was_expected_and_is_no_such_thing(half: str, key: int, value: Any, expected: Expected, name: str) -> None:
    assert failed(changed(half, key, value), expected) == [f"{half} claims", name]


def test_each_component_of_a_type_must_be_accepted() -> None:
    components = [{1: "RMM", 2: bytes(32), 5: bytes(32)}, {1: "RMM", 2: b"\1" * 32, 5: bytes(32)}]
    assert failed(changed("platform", 2399, components), Expected(components={"RMM": [bytes(32)]})) == ["component RMM"]
    accepted = Expected(components={"RMM": [bytes(32), b"\1" * 32]})
    assert failed(changed("platform", 2399, components), accepted) == []


def test_many_faults_are_counted() -> None:
    claims = {10: 1, 265: 1, 44235: 1, 44236: 1, 44237: realm_payload()[44237]}
    check = next(one for one in checks(parse(token(claims))) if one.name == "realm claims")
    assert check.detail.startswith("challenge: expected bytes, found an integer; ") and check.detail.endswith(
        "; 3 more"
    )
    assert check.detail.count("; ") == 4


# What is not read at all

NESTED = b"\x81" * 100_000
# The largest that is read, and what is refused beyond it.
LIMITS = [
    (lambda n: b"\x59" + (n - 3).to_bytes(2, "big") + bytes(n - 3), 64 << 10, "oversized"),
    (lambda n: b"\x81" * n + b"\0", 8, "too-deep"),
    (lambda n: b"\x99" + (n - 1).to_bytes(2, "big") + bytes(n - 1), 4096, "too-many-items"),
]


@pytest.mark.parametrize(("item", "most", "name"), LIMITS)
def test_limits(item: Callable[[int], bytes], most: int, name: str) -> None:
    decode(item(most))
    with pytest.raises(Malformed) as caught:
        decode(item(most + 1))
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0, "unknown"), (0xFF, "unknown"), (0x100, "reserved"), (0x2FFF, "reserved"), (0x3000, "secured"),
        (0x30FF, "secured"), (0x3100, "reserved"), (0x6000, "decommissioned"), (0xFFFF, "reserved"),
    ],
)  # fmt: skip
def test_lifecycle__its_name_and_its_bounds(value: int, name: str) -> None:
    """§10.4: 0x3000 to 0x30FF is secured."""
    assert c.lifecycle_name(value) == name
    assert failed(changed("platform", 2395, value), Expected(lifecycles=[name])) == []


MALFORMED = [
    (b"", "truncated"),
    (REAL[:-1], "truncated"),
    (REAL[:3], "truncated"),
    (REAL + b"\0", "trailing-bytes"),
    (bytes(1 << 17), "oversized"),
    (b"\xd9\x01\x8f" + NESTED[:60_000], "too-deep"),
    (b"\xd9\x01\x8f\xbf\xff", "indefinite-length"),
    (b"\xd9\x01\x8f\x5f\xff", "indefinite-length"),
    (b"\xd9\x01\x8f\x18\x05", "non-canonical"),
    (b"\xd9\x01\x8f\x59\x00\x05hello", "non-canonical"),
    (b"\xda\x00\x00\x01\x8f\xa0", "non-canonical"),
    (b"\xd9\x01\x8f\xa2\x01\x02\x01\x03", "duplicate-key"),
    (b"\xd9\x01\x8f\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "truncated"),
    (b"\xd9\x01\x8f\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "truncated"),
    (b"\xd9\x01\x8f\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "truncated"),
    (b"\xd9\x01\x8f\xfb\x3f\xf0\0\0\0\0\0\0", "unexpected-type"),
    (b"\xd9\x01\x8f\xd8\x23\x61.", "unexpected-tag"),
    (b"\xd9\x01\x8f\xc2\x41\x01", "unexpected-tag"),
    (b"\xd9\x01\x8f\x61\xff", "not-utf-8"),
    (b"\xd9\x01\x8f\x1c", "reserved"),
    (b"\xd9\x01\x8f\xa1\x40\x01", "unexpected-type"),
    (b"\xd9\x01\x8f\x99\xe0\x00" + bytes(0xE000), "too-many-items"),
    (b"\xa0", "untagged"),
    (b"\xd9\x01\x8f\xa0", "not-a-cca-token"),
    (encode({44234: b"", 44241: b"", 1: b""}, 399), "not-a-cca-token"),
    (encode({44234: 1, 44241: b""}, 399), "not-a-cca-token"),
    (combine(b"\xd2\x80", b"\xd2\x80"), "not-a-cose-sign1"),
    (combine(encode([b"", {}, None, b""], 18), b""), "not-a-cose-sign1"),
    (combine(encode(["", {}, b"\xa0", b""], 18), b""), "not-a-cose-sign1"),
    (combine(encode([b"", [], b"\xa0", b""], 18), b""), "not-a-cose-sign1"),
    (combine(encode([b"", {}, b"\xa0", 1], 18), b""), "not-a-cose-sign1"),
    (combine(encode([b"", {}, b"\xa0", b"", b""], 18), b""), "not-a-cose-sign1"),
    (combine(encode([b"\x80", {}, b"\xa0", b""], 18), b""), "not-a-cose-sign1"),
    (combine(encode([b"\xa2\x01\x26\x01\x26", {}, b"\xa0", b""], 18), b""), "duplicate-key"),
    (combine(encode([encode({1: -35, 2: [1]}), {}, b"\xa0", b""], 18), b""), "critical-header"),
    (combine(encode([cose.PROTECTED, {1: -7}, b"\xa0", b""], 18), b""), "duplicate-key"),
    (combine(encode([b"", {}, b"\x80", b""], 18), b""), "no-claims"),
    (combine(encode([b"", {}, b"\xa2\x0a\x01\x0a\x02", b""], 18), b""), "duplicate-key"),
]


@pytest.mark.parametrize(("data", "name"), MALFORMED)
def test_malformed_input_is_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert caught.value.name == name and "\n" not in str(caught.value)


def judged(data: bytes) -> list[Check] | None:
    try:
        return list(checks(parse(data), None, Expected(challenge=CHALLENGE, rims=[RIM])))
    except Malformed:
        return None


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=70) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-5, 50_000), inner, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"\xd9\x01\x8f" + data))
@example(NESTED)
@settings(max_examples=300, deadline=1000)
def test_any_bytes_are_refused_without_a_crash(data: bytes) -> None:
    assert judged(data) is None


@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=200, deadline=1000)
def test_damaged_tokens_never_crash(damage: list[tuple[int, int]]) -> None:
    data = bytearray(REAL)
    for at, value in damage:
        data[at] = value
    judged(bytes(data))


@given(st.sampled_from([c.REALM, c.PLATFORM]), st.data())
@settings(max_examples=200, deadline=1000)
def test_any_claims_are_judged_without_a_crash(table: tuple[c.Claim, ...], data: Any) -> None:
    key = data.draw(st.sampled_from(table)).key
    found = judged(changed("realm" if table is c.REALM else "platform", key, data.draw(VALUES)))
    assert found is None or len(found) >= 9


# Key and platform token from the Root world (§10.6, §13.1)

BASE = 0x1000


class Root:
    """Scripted EL3: writes into the buffer as it is asked.  answers: of GET_PLAT_TOKEN, (status, part, remaining)."""

    shared_buffer = BASE

    def __init__(self, memory: BareMemory, answers: list[tuple[int, bytes, int]] | None = None) -> None:
        self.memory = memory
        self.answers = answers
        self.key = (0, KEY)
        self.asked: list[tuple[int, bytes]] = []

    def get_realm_key(self, buf: int, size: int, curve: int) -> tuple[int, int]:
        assert (buf, size, curve) == (BASE, 4096, 0)
        self.memory.write(buf, self.key[1])
        return self.key[0], len(self.key[1])

    def get_plat_token(self, buf: int, size: int, challenge_size: int) -> tuple[int, int, int]:
        challenge = self.memory.read(buf, challenge_size)
        self.asked.append((challenge_size, challenge))
        if self.answers is None:
            self.answers = [(0, signed(PLATFORM_KEY, encode(platform_claims(challenge))), 0)]
        status, part, remaining = self.answers.pop(0)
        self.memory.write(buf, part)
        return status, len(part), remaining


def attester(answers: list[tuple[int, bytes, int]] | None = None) -> tuple[RealmAttester, Root]:
    memory = BareMemory(BASE, 4096)
    root = Root(memory, answers)
    return RealmAttester(memory, root), root


def whole(one: RealmAttester) -> bytes | None:
    claims = one.claims(CHALLENGE, bytes(64), 0, RIM, [bytes(32)] * 4)
    realm = one.sign(claims)
    assert realm is not None
    return one.token(realm)


def test_attester__challenge_is_the_hash_of_the_key_and_the_token_verifies() -> None:
    one, root = attester()
    assert one.ready() and one.ready()
    public = cose.encode_key(*ES384.public(KEY))
    assert root.asked == [(32, hashlib.sha256(public).digest())]
    data = whole(one)
    assert data is not None and failed(data, Expected(rims=[RIM], challenge=CHALLENGE)) == []


def test_attester__wipes_the_key_from_the_buffer() -> None:
    one, root = attester([(-5, b"", 0)])
    assert not one.ready()
    assert KEY not in bytes(root.memory.data)


def test_attester__token_in_parts_and_again() -> None:
    whole_token = signed(PLATFORM_KEY, encode(platform_claims(bytes(32))))
    one, root = attester([(-6, b"", 0), (0, whole_token[:100], 1), (-6, b"", 0), (0, whole_token[100:], 0)])
    assert one.ready()
    assert [size for size, _ in root.asked] == [32, 32, 0, 0]
    data = whole(one)
    assert data is not None and cbor2.loads(data).value[44234] == whole_token


@pytest.mark.parametrize(
    "answers",
    [
        [(-6, b"", 0)] * 20,
        [(0, b"", 0)],
        [(0, b"", 1)] * 20,
        [(0, bytes(4096), 1)] * 3,
        [(0, b"\xa0", 0)],
        [(-1, b"", 0)],
    ],
)
def test_attester__no_platform_token(answers: list[tuple[int, bytes, int]]) -> None:
    one, root = attester(list(answers))
    assert not one.ready() and not one.ready() and KEY not in bytes(root.memory.data)


@pytest.mark.parametrize("key", [(0, bytes(48)), (0, b"\xff" * 48), (0, b"\5" * 47), (-5, KEY), (0, b"")])
def test_attester__no_key(key: tuple[int, bytes]) -> None:
    one, root = attester()
    root.key = key
    assert not one.ready() and KEY not in bytes(root.memory.data)


def test_attester__token_larger_than_the_buffer() -> None:
    claims = platform_claims(bytes(32))
    claims[2400] = "x" * 3400
    one, _ = attester([(0, signed(PLATFORM_KEY, encode(claims)), 0)])
    assert one.ready() and whole(one) is None


def test_secrets_show_in_no_text() -> None:
    one, _ = attester()
    one.ready()
    assert KEY.hex() not in repr(one) and repr(one) == "RealmAttester(ready)"
