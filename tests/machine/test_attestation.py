# SPDX-License-Identifier: GPL-2.0-or-later
"""The platform's side of attestation: RMM_ATTEST_* (rmm-abi.md §13.1), claims by YAML (§10.4), keys."""

from __future__ import annotations

import copy
import hashlib
import pickle
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.errors import ConfigError, UserError
from machine import attestation
from machine.attestation import AttestationService, Identity, measure_own
from machine.config import load
from machine.keys import TEST_SEEDS, derive, kept, keys_dir, published_keys, read_public_key
from machine.machine import Machine
from machine.postmortem import report
from machine.recs import RecCore
from machine.traces.start import start
from rmm.abi import el3
from rmm.abi.call import Call
from rmm.attestation import cose
from rmm.bare import BareMemory
from tests.mutate.mutants import mutants

BASE = 0x5000
OK, BAD_ADDR, INVAL = 0, -2, -5
CHALLENGE = bytes(range(48))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's keys but those of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def pem(key: ec.EllipticCurvePrivateKey, encryption: Any = None) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption or serialization.NoEncryption())


def scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(48, "big")


# RMM_ATTEST_GET_REALM_KEY, RMM_ATTEST_GET_PLAT_TOKEN


class Bench:
    """A service with a page before its shared buffer and one behind it."""

    def __init__(self) -> None:
        self.memory = BareMemory(BASE - 4096, 3 * 4096)
        self.log: list[tuple[str, str | None]] = []
        identity = Identity(load("token", ["platform.seed=1"]))
        self.service = AttestationService(identity, self.memory, BASE, self._remember)

    def _remember(self, decl: Call, args: tuple[int, ...], result: tuple[int, ...], condition: str | None) -> None:
        assert len(args) == len(decl.inputs) and result[0] in (OK, BAD_ADDR & (1 << 64) - 1, INVAL & (1 << 64) - 1)
        self.log.append((decl.name, condition))

    def key(self, buf: int = BASE, size: int = 4096, curve: int = 0) -> tuple[int, ...]:
        return self.service.get_realm_key(buf, size, curve)

    def token(self, buf: int = BASE, size: int = 4096, challenge: int = 48) -> tuple[int, ...]:
        return self.service.get_plat_token(buf, size, challenge)


# Call, what it gives, the condition that decides.  Where two would, the first of the declaration does.
KEY_ROWS: list[tuple[tuple[int, int, int], int, str | None]] = [
    ((BASE, 4096, 0), OK, None),
    ((BASE, 48, 0), OK, None),
    ((BASE + 4048, 48, 0), OK, None),
    ((BASE - 1, 4096, 0), BAD_ADDR, "buf_bound"),
    ((BASE + 4096, 48, 0), BAD_ADDR, "buf_bound"),
    ((BASE - 4096, 0, 1), BAD_ADDR, "buf_bound"),
    ((1 << 63, 4096, 0), BAD_ADDR, "buf_bound"),
    ((BASE, 0, 1), INVAL, "size_bound"),
    ((BASE, 4097, 1), INVAL, "size_bound"),
    ((BASE + 4049, 48, 0), INVAL, "size_bound"),
    ((BASE, 4096, 1), INVAL, "curve"),
    ((BASE, 47, 1), INVAL, "curve"),
    ((BASE, 47, 0), INVAL, "key_bound"),
]
TOKEN_ROWS: list[tuple[tuple[int, int, int], int, str | None]] = [
    ((BASE, 4096, 32), OK, None),
    ((BASE, 4096, 48), OK, None),
    ((BASE, 64, 64), OK, None),
    ((BASE - 1, 0, 1), BAD_ADDR, "buf_bound"),
    ((BASE + 4096, 4096, 32), BAD_ADDR, "buf_bound"),
    ((BASE, 0, 1), INVAL, "size_bound"),
    ((BASE + 1, 4096, 1), INVAL, "size_bound"),
    ((BASE, 4096, 1), INVAL, "challenge_size"),
    ((BASE, 32, 65), INVAL, "challenge_size"),
    ((BASE, 4096, 63), INVAL, "challenge_size"),
    ((BASE, 32, 48), INVAL, "challenge_bound"),
    ((BASE, 4096, 0), INVAL, "token_state"),
]


def broken_row() -> str | None:
    """The first row that does not hold."""
    for rows, name in ((KEY_ROWS, "key"), (TOKEN_ROWS, "token")):
        for arguments, status, condition in rows:
            bench = Bench()
            before = bytes(bench.memory.data)
            try:
                got = getattr(bench, name)(*arguments)
            except (ValueError, AssertionError) as error:
                return f"{name}{arguments}: {error}"
            changed = bytes(bench.memory.data) != before
            if (got[0], bench.log[-1][1], changed) != (status, condition, status == OK):
                return f"{name}{arguments}: {got}, {bench.log}, changed {changed}"
            if status != OK and any(got[1:]):
                return f"{name}{arguments}: {got}"
    return None


def test_calls__every_condition_in_its_place() -> None:
    assert broken_row() is None


MUTANTS = [
    mutant
    for call in (el3.ATTEST_GET_REALM_KEY, el3.ATTEST_GET_PLAT_TOKEN)
    for mutant in mutants(call)
    # Nobody can tell: a challenge of 0 bytes is above no size.
    if mutant.what != "swap challenge_bound token_state"
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_calls__every_wrong_declaration_is_found(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = mutant.call.name.removeprefix("RMM_")
    monkeypatch.setattr(el3, name, mutant.amend(mutant.call))
    assert broken_row() is not None


def test_get_realm_key__is_the_scalar_and_nothing_else() -> None:
    bench = Bench()
    assert bench.key(BASE + 8, 100) == (OK, 48)
    key = derive("realm", 1)
    assert bytes(bench.memory.data) == bytes(4096 + 8) + key + bytes(2 * 4096 - 8 - 48)


@pytest.mark.parametrize("size", [64, 100, 505, 4096])
def test_get_plat_token__in_parts(size: int) -> None:
    bench = Bench()
    bench.memory.write(BASE, CHALLENGE)
    status, length, remaining = bench.token(BASE, size, 48)
    token = bench.memory.read(BASE, length)
    while remaining:
        assert (status, length) == (OK, size)
        before = remaining
        status, length, remaining = bench.token(BASE, size, 0)
        assert status == OK and length + remaining == before
        token += bench.memory.read(BASE, length)
    signed = cose.parse(token)
    assert cose.verify(cose.public_key(*cose.Es384().public(derive("platform", 1))), signed)
    assert cbor2.loads(signed.payload)[10] == CHALLENGE
    assert bench.token(BASE, size, 0)[0] == INVAL, "it was handed out"


def test_get_plat_token__a_new_challenge_ends_what_was_handed_out() -> None:
    bench = Bench()
    bench.token(BASE, 64, 64)
    bench.memory.write(BASE, bytes(32))
    assert bench.token(BASE, 4096, 32)[2] == 0
    assert bench.token(BASE, 4096, 0)[0] == INVAL


# Claims


def claims(*overrides: str) -> dict[int, Any]:
    token = Identity(load("hello-realm", ["platform.seed=1", *overrides])).platform_token(CHALLENGE)
    value = cbor2.loads(cose.parse(token).payload)
    assert isinstance(value, dict)
    return value


def test_claims__as_the_machine_file_says() -> None:
    found = claims(
        "platform.profile=tag:example,2024:p",
        f"platform.implementation_id='{'11' * 32}'",
        f"platform.instance_id='01{'22' * 32}'",
        "platform.lifecycle=0x4001",
        "platform.config='0a0b'",
        "platform.verification_service=https://v.example",
        f"platform.components=[{{type: BL2, measurement: '{'33' * 48}', version: '2', signer: '{'44' * 32}'}}, "
        "{type: RMM, measurement: rmm}]",
    )
    components = found.pop(2399)
    assert found == {
        265: "tag:example,2024:p",
        10: CHALLENGE,
        2396: b"\x11" * 32,
        256: b"\x01" + b"\x22" * 32,
        2395: 0x4001,
        2401: b"\x0a\x0b",
        2402: "sha-256",
        2400: "https://v.example",
    }
    assert components[0] == {1: "BL2", 2: b"\x33" * 48, 4: "2", 5: b"\x44" * 32, 6: "sha-384"}
    assert components[1][2] == measure_own("rmm") and components[1][6] == "sha-256"


def test_claims__by_default_the_monitor_and_the_rmm_as_they_are() -> None:
    found = claims()
    assert [(one[1], one[2]) for one in found[2399]] == [
        ("MONITOR", measure_own("monitor")),
        ("RMM", measure_own("rmm")),
    ]
    key = b"".join(cose.Es384().public(derive("platform", 1)))
    assert found[256] == b"\x01" + hashlib.sha256(key).digest()
    assert 2400 not in found and found[2395] == 0x3003 and found[265] == "tag:arm.com,2023:cca_platform#1.0.0"


def test_claims__are_encoded_canonically() -> None:
    """RFC 8949 §4.2: shortest heads, keys in order."""
    token = Identity(load("token", ["platform.seed=1"])).platform_token(CHALLENGE)
    payload = cose.parse(token).payload
    keys = list(cbor2.loads(payload))
    assert keys == sorted(keys) and payload == cbor2.dumps(cbor2.loads(payload), canonical=True)


@pytest.mark.parametrize("which", ["monitor", "rmm"])
def test_measure_own__any_byte_of_the_sources_counts(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("machine", "rmm"):
        shutil.copytree(attestation.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = measure_own(which)
    monkeypatch.setattr(attestation, "ROOT", tmp_path)
    assert measure_own(which) == before
    source = tmp_path / ("machine/gpt.py" if which == "monitor" else "rmm/rtt.py")
    source.write_bytes(source.read_bytes() + b"\n")
    assert measure_own(which) != before
    assert measure_own("rmm" if which == "monitor" else "monitor") != before


# Keys


def public_of(text: str) -> tuple[int, int]:
    numbers = read_public_key(text.encode()).public_numbers()
    return numbers.x, numbers.y


def test_keys__from_pem(home: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    (home / "key.pem").write_bytes(pem(key))
    identity = Identity(load("token", [f"platform.realm_key={home}/key.pem", f"platform.platform_key={home}/key.pem"]))
    assert identity.realm_key() == scalar(key)
    numbers = key.public_key().public_numbers()
    assert public_of(identity.public_pem()) == (numbers.x, numbers.y)
    assert not keys_dir().exists()


def test_keys__are_generated_once_and_for_this_user_only() -> None:
    first = Identity(load("token"))
    keys = {first.realm_key(), kept("platform")}
    assert len(keys) == 2 and Identity(load("hello-realm")).realm_key() == first.realm_key()
    files = sorted(keys_dir().iterdir())
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in files] == [
        ("platform.pem", 0o600),
        ("realm.pem", 0o600),
    ]
    shutil.rmtree(keys_dir())
    assert kept("realm") not in keys


def test_keys__two_processes_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one was faster: its key is there when ours would be linked."""
    other = pem(ec.generate_private_key(ec.SECP384R1()))
    import machine.keys as module

    link = module.os.link

    def late(source: str, target: Path) -> None:
        target.write_bytes(other)
        link(source, target)

    monkeypatch.setattr(module.os, "link", late)
    kept("realm")
    assert (keys_dir() / "realm.pem").read_bytes() == other
    assert len(list(keys_dir().iterdir())) == 1


def test_keys__that_cannot_be_kept_are_a_runs_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "data").write_text("a file")
    notes: list[str] = []
    identity = Identity(load("token"), notes.append)
    assert identity.realm_key() == identity.realm_key() == Identity(load("token"), notes.append).realm_key()
    assert len(notes) == 2 and notes[0].endswith("this run's only")
    with pytest.raises(UserError, match="cannot be kept"):
        Identity(load("token")).realm_key()


def wrong(home: Path) -> dict[str, bytes]:
    strong = serialization.BestAvailableEncryption(b"word")
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "nothing": b"",
        "text": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "bytes": bytes(range(256)) * 300,
        "encrypted": pem(key, strong),
        "P-256": pem(ec.generate_private_key(ec.SECP256R1())),
        "public": public,
        "truncated": pem(key)[:-40],
    }


@pytest.mark.parametrize("kind", ["nothing", "text", "bytes", "encrypted", "P-256", "public", "truncated", "missing"])
@pytest.mark.parametrize("which", ["platform_key", "realm_key"])
def test_keys__wrong_files_are_refused_when_the_machine_is_made(home: Path, which: str, kind: str) -> None:
    file = home / "key.pem"
    if kind != "missing":
        file.write_bytes(wrong(home)[kind])
    with pytest.raises(ConfigError) as caught:
        Machine(load("token", [f"platform.{which}={file}"]), lambda _line: None)
    text = str(caught.value)
    assert f"platform.{which}: {file}: " in text
    assert not any(line and line in text for line in file.read_text("latin-1").splitlines()) if file.exists() else True


def test_test_keys__are_all_known() -> None:
    found = {keys.seed: keys for keys in published_keys()}
    assert list(found) == list(TEST_SEEDS) and len({keys.realm for keys in found.values()}) == len(found)
    assert cose.encode_key(*cose.Es384().public(derive("realm", 3))) == found[3].realm
    with pytest.raises(ConfigError, match="seed"):
        load("token", [f"platform.seed={len(found)}"])


# A run


def printed_token(*overrides: str) -> tuple[list[str], int]:
    """The lines of the token that the shipped payload prints, and how often its REC left by IRQ."""
    lines: list[str] = []
    machine = Machine(load("token", ["platform.seed=1", *overrides]), lambda text: lines.append(text.strip()))
    exits: list[str] = []
    machine.calls.rec_exit = lambda _pa, reason: exits.append(reason)  # type: ignore[method-assign]
    try:
        assert machine.run().code == 0
    finally:
        machine.close()
    begin, end = (lines.index(f"[realm 0] -----{word} CCA TOKEN-----") for word in ("BEGIN", "END"))
    return lines[begin + 1 : end], exits.count("IRQ")


def test_run__a_host_that_interrupts_the_signature_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exits by IRQ in the midst of CONTINUE, and the payload asks again (rmm-abi.md §4.6)."""
    expected, interrupted = printed_token()
    assert interrupted == 0 and len(expected) > 30
    asked = iter((True, False, True))  # a step is made each time; the fourth signs
    monkeypatch.setattr(RecCore, "irq_pending", lambda _self: next(asked))
    assert printed_token() == (expected, 2)


def test_run__a_platform_that_says_too_much_is_refused_beforehand() -> None:
    """The RMM's buffer has 4 KiB for the whole token (rmm-abi.md §10.2)."""
    one = f"{{type: {'T' * 32}, measurement: '{'11' * 64}', version: '{'v' * 128}', signer: '{'22' * 64}'}}"
    printed_token(f"platform.components=[{', '.join([one] * 9)}]")
    with pytest.raises(ConfigError, match=r"platform.components: the token would have \d+ bytes, at most 4096"):
        Machine(load("token", [f"platform.components=[{', '.join([one] * 10)}]"]), lambda _line: None)


# Secrets


def spellings(key: bytes) -> list[bytes]:
    """The ways in which a scalar may be written somewhere."""
    number = int.from_bytes(key, "big")
    words = b"".join(key[at : at + 8][::-1] for at in range(0, 48, 8))
    texts = (key.hex(), key.hex().upper(), str(number), f"{number:x}", words.hex(), repr(key)[2:-1])
    return [key, key[::-1], words, key[:24], key[24:], *(text.encode() for text in texts)]


def run_with_keys(home: Path, *overrides: str, watch: Callable[[Machine], None]) -> tuple[str, list[bytes]]:
    """What a machine prints, traced in full, and how its secret keys may be written."""
    keys = {name: ec.generate_private_key(ec.SECP384R1()) for name in ("platform", "realm")}
    words = list(overrides)
    for name, key in keys.items():
        (home / f"{name}.pem").write_bytes(pem(key))
        words.append(f"platform.{name}_key={home}/{name}.pem")
    printed: list[str] = []
    machine = Machine(load("token", words), printed.append)
    trace = home / "trace.jsonl"
    wishes = SimpleNamespace(machine="token", trace="*", where=None, trace_format=None, trace_with="pc,delta")
    wishes.trace_file = str(trace)
    tracer = start(machine, wishes, printed.append)
    try:
        end = machine.run()
        printed += [*report(machine, end), repr(machine), repr(machine.rmm), repr(vars(machine))]
        printed += [repr(vars(machine.rmm)), str(machine.calls.ring), repr(machine.rmm.attester)]
        watch(machine)
    finally:
        tracer.close()
        machine.close()
    printed.append(trace.read_text())
    return "\n".join(printed), [form for key in keys.values() for form in spellings(scalar(key))]


def written(machine: Machine) -> Iterator[bytes]:
    """All memory that is not zero, in overlapping pieces."""
    step = 1 << 20
    for region in machine.memory:
        for at in range(0, len(region.bytes), step):
            chunk = bytes(region.bytes[at : at + step + 200])
            if chunk.count(0) < len(chunk):
                yield chunk


@pytest.mark.parametrize("limit", ["", "150_000"])
def test_secrets__are_in_no_memory_trace_or_report(home: Path, limit: str) -> None:
    """After the run, and when it is stopped in the middle of the token; in the memory of all worlds."""
    memory: list[bytes] = []
    overrides = [f"limits.instructions={limit}"] if limit else []
    text, forms = run_with_keys(home, *overrides, watch=lambda machine: memory.extend(written(machine)))
    assert '"el3_attest_get_realm_key"' in text and '"rsi_attestation_token_continue"' in text
    assert len(memory) > 3
    for form in forms:
        assert not any(form in chunk for chunk in memory)
        assert form not in text.encode()


def test_secrets__the_buffer_is_out_of_the_normal_worlds_reach() -> None:
    config = load("token")
    machine = Machine(config, lambda _line: None)
    try:
        service = machine._attester(BareMemory(0, 4096))  # type: ignore[arg-type]
        assert service is not None
        buffer = service._shared_buffer  # type: ignore[attr-defined]
        region = next(r for r in config.memory.values() if r.base <= buffer < r.base + r.size)
        assert region.pas == "realm"
    finally:
        machine.close()


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_secrets__what_holds_a_key_is_not_copied(copying: Callable[[object], object]) -> None:
    from rmm.attestation.attester import RealmAttester

    bench = Bench()
    for holder in (Identity(load("token")), RealmAttester(bench.memory, bench.service)):
        with pytest.raises(TypeError, match="keys stay in their process"):
            copying(holder)
