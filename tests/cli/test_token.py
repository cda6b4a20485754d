# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge token`: what it prints of a run's token, which checks it names, what it refuses."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from machine.measure import predict
from rmm.attestation import claims as c
from rmm.attestation.cbor import encode
from tests.system.cli import ccabridge

REAL = Path(__file__).parents[1] / "rmm" / "cca-token.bin"
CHALLENGE = bytes(range(64)).hex()
REM1 = "f0bac6157eaec34c9368f09d783aa3a47ae1ff0e295aeb322b063e9f60feeeb3"  # H(zeros || 01 .. 08), rmm-abi.md §4.4
NOT_CHECKED = "platform signature: NOT CHECKED (no key)"
CHECKS = [
    "token structure",
    "realm algorithm",
    "platform algorithm",
    "realm claims",
    "platform claims",
    "realm key",
    "realm signature",
    "binding",
    "platform signature",
]


class Made(NamedTuple):
    """A run of configs/token.yaml.  public: the platform's key; overrides: those of the run."""

    log: str
    public: str
    overrides: list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    overrides = []
    for which in ("platform", "realm"):
        key = ec.generate_private_key(ec.SECP384R1())
        private = folder / f"{which}.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        overrides += ["-s", f"platform.{which}_key={private}"]
    result = ccabridge("run", "token", *overrides)
    assert result.code == 0, result.out + result.err
    (folder / "token.log").write_text(result.out)
    public = ccabridge("token", "key", "token", *overrides)
    assert public.code == 0 and public.out.startswith("-----BEGIN PUBLIC KEY-----")
    (folder / "public.pem").write_text(public.out)
    return Made(str(folder / "token.log"), str(folder / "public.pem"), overrides[1::2])


def raw(made: Made) -> bytes:
    from bridge.cli.token import _bytes

    return _bytes(made.log)


# Verify


def test_verify__without_a_key_the_rest_is_checked(say: Any, made: Made) -> None:
    said = say("token", "verify", made.log)
    assert [line.partition(":")[0] for line in said.lines] == [*CHECKS, "token"]
    assert said.lines[-2:] == [NOT_CHECKED, "token: accepted"]
    assert (said.code, said.err) == (0, ""), "its keys are nobody else's"


def test_verify__strict_wants_the_key(say: Any, made: Made) -> None:
    said = say("token", "verify", made.log, "--strict")
    assert said.code == 1 and said.lines[-2:] == [NOT_CHECKED, "token: REFUSED"]
    said = say("token", "verify", made.log, "--strict", "--platform-key", made.public)
    assert said.code == 0 and said.lines[-2:] == ["platform signature: ok", "token: accepted"]


def test_verify__what_was_expected(say: Any, made: Made) -> None:
    from machine.config import load

    rim = predict(load("token", made.overrides))[0].rim
    words = (
        "--challenge",
        CHALLENGE,
        "--rim",
        "00" * 32,
        "--rim",
        rim,
        "--rem",
        f"1={REM1}",
        "--rem",
        f"4={'00' * 32}",
    )
    said = say("token", "verify", made.log, *words, "--rpv", "a realm of docs/attestation.md", "--strict",
               "--platform-key", made.public)  # fmt: skip
    assert said.code == 0 and said.lines[-6:-1] == [
        "challenge: ok",
        "rim: ok",
        "rem1: ok",
        "rem4: ok",
        "personalization value: ok",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--challenge", "01"), f"challenge: FAILED (found {CHALLENGE}, expected 01{'00' * 63})"),
        (("--rim", "00" * 32), "rim: FAILED (found "),
        (("--rem", f"1={'00' * 32}"), f"rem1: FAILED (found {REM1}, expected {'00' * 32})"),
        (("--rpv", "x"), "personalization value: FAILED (found "),
    ],
)
def test_verify__a_failed_check_is_named(say: Any, made: Made, words: Sequence[str], line: str) -> None:
    said = say("token", "verify", made.log, *words)
    assert said.code == 1 and said.lines[-1] == "token: REFUSED"
    assert [found for found in said.lines if "FAILED" in found] == [said.lines[-2]] and said.lines[-2].startswith(line)


def test_verify__another_platforms_key(say: Any, made: Made, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text(ccabridge("token", "key", "token", "-s", "platform.seed=7").out)
    said = say("token", "verify", made.log, "--platform-key", str(tmp_path / "other.pem"))
    assert said.code == 1 and said.lines[-2:] == ["platform signature: FAILED", "token: REFUSED"]


def test_verify__json(say: Any, made: Made) -> None:
    said = say("token", "verify", made.log, "--json", "--challenge", "00")
    value = json.loads(said.out)
    assert value["ok"] is False and said.code == 1
    assert [one["check"] for one in value["checks"]] == [*CHECKS, "challenge"]
    assert value["checks"][-2] == {"check": "platform signature", "verdict": "NOT CHECKED", "detail": "no key"}


def test_verify__a_token_of_the_reference_stack(say: Any) -> None:
    said = say("token", "verify", str(REAL), "--challenge", CHALLENGE)
    assert said.code == 0 and NOT_CHECKED in said.lines and said.lines[-2:] == ["challenge: ok", "token: accepted"]


def test_verify__test_keys_are_warned_of(say: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(ccabridge("run", "token", "-s", "platform.seed=15").out)
    for action in ("show", "verify"):
        said = say("token", action, str(log))
        assert said.code == 0 and said.err.splitlines() == [
            f"ccabridge: warning: the {which} key is the test key of platform.seed 15, which everybody has: this token "
            "proves nothing"
            for which in ("realm", "platform")
        ]


def test_an_independent_library_verifies_a_runs_token(made: Made) -> None:
    """python-cwt: both signatures, the realm's by the key that the token carries."""
    from cwt import COSE, COSEKey

    halves = cbor2.loads(raw(made)).value
    platform = COSE.new().decode(halves[44234], COSEKey.from_pem(Path(made.public).read_text(), alg="ES384"))
    x, y = (cbor2.loads(cbor2.loads(cbor2.loads(halves[44241]).value[2])[44237])[label] for label in (-2, -3))
    realm = COSE.new().decode(halves[44241], COSEKey.new({1: 2, -1: 2, -2: x, -3: y, 3: -35}))
    assert cbor2.loads(realm)[10].hex() == CHALLENGE and cbor2.loads(platform)[2395] == 0x3003


# Policies

POLICY = """
challenge: {challenge}
rim: ["{rim}"]
rem: {{1: {rem1}}}
personalization: a realm of docs/attestation.md
lifecycle: [secured]
components: {{RMM: ["{rmm}"], MONITOR: ["{monitor}"]}}
"""


def policy(folder: Path, made: Made, **changes: str) -> str:
    from machine.attestation import measure_own
    from machine.config import load

    own = {which: measure_own(which).hex() for which in ("rmm", "monitor")}
    values = {"challenge": CHALLENGE, "rim": predict(load("token", made.overrides))[0].rim, "rem1": REM1, **own}
    file = folder / "policy.yaml"
    file.write_text(POLICY.format(**{**values, **changes}))
    return str(file)


def test_policy__holds(say: Any, made: Made, tmp_path: Path) -> None:
    said = say("token", "verify", made.log, "--policy", policy(tmp_path, made))
    assert said.code == 0 and said.lines[len(CHECKS) : -1] == [
        "challenge: ok",
        "rim: ok",
        "rem1: ok",
        "personalization value: ok",
        "lifecycle: ok (found secured)",
        "component MONITOR: ok",
        "component RMM: ok",
    ]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"challenge": "00"}, "challenge"),
        ({"rim": "11" * 32}, "rim"),
        ({"rem1": "22" * 32}, "rem1"),
        ({"rmm": "33" * 32}, "component RMM"),
        ({"monitor": "44" * 32}, "component MONITOR"),
    ],
)
def test_policy__does_not_hold(say: Any, made: Made, tmp_path: Path, change: dict[str, str], check: str) -> None:
    said = say("token", "verify", made.log, "--policy", policy(tmp_path, made, **change))
    assert said.code == 1 and [line.partition(":")[0] for line in said.lines if "FAILED" in line] == [check]


def test_policy__options_count_more(say: Any, made: Made, tmp_path: Path) -> None:
    file = policy(tmp_path, made, challenge="00")
    assert say("token", "verify", made.log, "--policy", file, "--challenge", CHALLENGE).code == 0


WRONG_POLICIES = [
    ("rim: [", ":1:7: "),
    ("rim: zz", "Expected `array`"),
    ("rim: [zz]", "rim: expected pairs of hexadecimal digits"),
    ("rem: {5: '00'}", "rem: 5: expected 1 to 4"),
    ("lifecycle: [insecure]", "lifecycle: 'insecure': expected one of"),
    ("colour: red", "unknown field `colour`"),
    ("a: &a [x]\nb: *a", "no aliases"),
    ("[" * 5000, "nested too deep"),
    ("\xff\xfe", "policy.yaml: "),
    ("- 1", "Expected `object`"),
    ("challenge: 00\nrem: {}\nchallenge: 01", "policy.yaml:3: key `challenge` stands here twice"),
    ("rem: {1: 00, 1: 01}", "policy.yaml:1: key `1` stands here twice"),
    ("rim: []", "policy.yaml:1:6: an empty list accepts nothing"),
    ("components: {RMM: []}", "policy.yaml:1:19: an empty list accepts nothing"),
    ("challenge: " + "00" * 65, "challenge: 65 bytes, a challenge has at most 64"),
]


@pytest.mark.parametrize(("text", "what"), WRONG_POLICIES)
def test_policy__that_is_none(say: Any, made: Made, tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(text.encode("latin-1"))
    said = say("token", "verify", made.log, "--policy", str(file))
    assert said.code == 2 and said.out == "" and what in said.err and len(said.err.splitlines()) == 1


# Show


def test_show__every_claim(say: Any, made: Made) -> None:
    lines = say("token", "show", made.log).lines
    assert lines[0] == f"CCA token, {len(raw(made))} bytes, not verified"
    heads = [line.strip().partition(" [")[0] for line in lines if "]:" in line]
    assert heads == [one.name for table in (c.PLATFORM, c.REALM) for one in table]
    assert "  lifecycle [2395]: 0x3003 (secured)" in lines
    assert f"  challenge [10]: {CHALLENGE}" in lines and f"    1: {REM1}" in lines
    assert next(line for line in lines if "personalization" in line).endswith("00 (a realm of docs/attestation.md)")
    assert next(line for line in lines if "public key [" in line).endswith(" (COSE_Key: EC2, P-384)")


def test_show__json(say: Any, made: Made) -> None:
    value = json.loads(say("token", "show", made.log, "--json").out)
    assert value["size"] == len(raw(made)) and value["platform"]["algorithm"] == value["realm"]["algorithm"] == "ES384"
    realm, platform = value["realm"]["claims"], value["platform"]["claims"]
    assert realm["challenge"] == CHALLENGE and realm["extensible measurements"][0] == REM1
    assert set(realm) == {one.name for one in c.REALM} and set(platform) == {one.name for one in c.PLATFORM}
    assert [one["type"] for one in platform["software components"]] == ["MONITOR", "RMM"]


def test_show__what_nothing_declares(say: Any) -> None:
    """A later RMM's claim."""
    assert "  (unknown) [44243]: shared" in say("token", "show", str(REAL)).lines
    assert json.loads(say("token", "show", str(REAL), "--json").out)["realm"]["claims"]["44243"] == "shared"


def test_show__takes_every_form(say: Any, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = raw(made)
    expected = say("token", "show", made.log).out
    forms = {
        "raw": data,
        "hex": data.hex().encode(),
        "lines": b"\n".join(data[at : at + 16].hex(" ").upper().encode() for at in range(0, len(data), 16)) + b"\r\n",
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        assert say("token", "show", str(tmp_path / name)).out == expected, name
    with open(tmp_path / "raw", "rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file}))
        assert say("token", "show", "-").out == expected


# Unreadable


def unreadable(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    real = REAL.read_bytes()
    yield "empty", b"", "truncated: it is empty"
    yield "half", real[:1000], "truncated"
    yield "more", real + b"\0", "trailing-bytes"
    yield "large", bytes((4 << 20) + 1), "oversized"
    yield "larger", real + bytes(1 << 17), "oversized"
    yield "nested", b"\xd9\x01\x8f" + b"\x81" * 60_000, "too-deep"
    yield "tags", b"\xd9\x01\x8f" * 20_000, "too-deep"
    yield "maps", b"\xd9\x01\x8f" + b"\xa1\x01" * 30_000, "too-deep"
    yield "claimed", b"\xd9\x01\x8f\x9b" + b"\x7f" * 8, "truncated"
    yield "text", b"this is no token", "not a CCA token"
    yield "odd", b"d9018", "expected pairs of hexadecimal digits"
    yield "cut log", b"-----BEGIN CCA TOKEN-----\nd901", "truncated: no line"
    yield "log of text", b"-----BEGIN CCA TOKEN-----\nxyz\n-----END CCA TOKEN-----\n", "expected pairs of hexadecimal"
    yield "terminal", encode({44234: b"", "\x1b[2J": 1}, 399), "not-a-cca-token"


def test_unreadable__exit_code_2_and_one_line(say: Any, tmp_path: Path) -> None:
    for name, data, what in unreadable(tmp_path):
        file = tmp_path / name
        file.write_bytes(data)
        for action in ("show", "verify"):
            said = say("token", action, str(file))
            assert said.code == 2 and said.out == "" and what in said.err, (name, said)
            assert len(said.err.splitlines()) == 1 and said.err.strip().isprintable() and len(said.err) < 400


@pytest.mark.parametrize(
    "words",
    [
        ("--challenge", "0"),
        ("--challenge", "00" * 65),
        ("--rim", "x"),
        ("--rem", "0=00"),
        ("--rem", "1"),
        ("--rpv", "hex:0"),
        ("--platform-key", "/nonexistent"),
        ("--platform-key", str(REAL)),
        ("--policy", "/nonexistent"),
    ],
)
def test_unreadable__arguments(say: Any, words: Sequence[str]) -> None:
    said = say("token", "verify", str(REAL), *words)
    assert said.code == 2 and said.out == "" and len(said.err.splitlines()) == 1
    assert say("token", "show", "/nonexistent").code == 2 and say("token", "show", "/").code == 2


# Damage: a loop of mutations, in bounded time and memory


def damaged(rng: random.Random, data: bytes) -> bytes:
    """One to four changes of the kinds that parsers trip over."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        match rng.randrange(7):
            case 0:
                out[at] = rng.randrange(256)
            case 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at : at + rng.randint(1, 40)]
            case 3:
                out[at:at] = out[at : at + rng.randint(1, 40)]
            case 4:
                out[at:at] = rng.choice((b"\x9b", b"\xbb", b"\x5b")) + rng.randbytes(8)
            case 5:
                out[at:at] = bytes([rng.choice((0x81, 0xA1, 0xC1, 0xD8))]) * rng.randint(1, 3000)
            case 6:
                del out[at:]
        out = out or bytearray(b"\0")
    return bytes(out)


def test_damage__never_more_than_a_verdict(say: Any, made: Made, tmp_path: Path) -> None:
    """1,000 damaged tokens: judged or refused by name; never accepted with another realm half."""
    rng = random.Random(399)
    whole = raw(made)
    realm = cbor2.loads(whole).value[44241]
    file = tmp_path / "damaged"
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    codes = {0: 0, 1: 0, 2: 0}
    for _ in range(1000):
        data = damaged(rng, whole)
        file.write_bytes(data)
        said = say("token", "verify", str(file), "--challenge", CHALLENGE, "--platform-key", made.public)
        codes[said.code] += 1
        assert "Traceback" not in said.err and len(said.err) < 1000 and len(said.out) < 10_000
        if said.code == 0:
            assert cbor2.loads(data).value[44241] == realm
    assert codes[1] > 50 and codes[2] > 50, codes
    assert time.monotonic() - start < 120
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "KiB"
